from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from psfr_core.errors import TrainingError
from psfr_core.training.circumstances import describe_commit
from psfr_core.training.run_folder import append_row, drop_rows_after, identified, record_run


def settings(**loop: Any) -> dict[str, Any]:
    return {"loop": {"steps": 10, "batch_size": 4, "betas": (0.5, 0.9), **loop}, "pixel": 1.0}


def checkpointed(folder: Path) -> Path:
    record_run(folder, settings(), {"device": "cpu"})
    (folder / "checkpoint.pt").touch()
    return folder


def test_a_run_that_goes_on_is_added(tmp_path: Path) -> None:
    record_run(checkpointed(tmp_path), settings(steps=20, workers=2), {"device": "cuda"})
    content = json.loads((tmp_path / "config.json").read_text())
    assert content["settings"] == json.loads(json.dumps(settings(steps=20, workers=2)))
    assert content["runs"] == [{"device": "cpu"}, {"device": "cuda"}]


def test_other_settings_are_named(tmp_path: Path) -> None:
    checkpointed(tmp_path)
    before = (tmp_path / "config.json").read_bytes()
    other = {**settings(batch_size=8, steps=20), "parser": "p"}
    expected = r'loop\.batch_size was 4, is 8; parser was not given, is "p"\. Give those it was begun with'
    with pytest.raises(TrainingError, match=expected):
        record_run(tmp_path, other, {})
    assert (tmp_path / "config.json").read_bytes() == before


def test_without_a_checkpoint_anything_may_change(tmp_path: Path) -> None:
    record_run(tmp_path, settings(), {})
    record_run(tmp_path, settings(batch_size=8), {})
    content = json.loads((tmp_path / "config.json").read_text())
    assert content["settings"]["loop"]["batch_size"] == 8
    assert len(content["runs"]) == 1


@pytest.mark.parametrize("content", [None, b"{", b'{"steps": 3}', b"[]"])
def test_a_checkpoint_without_its_settings_is_refused(tmp_path: Path, content: bytes | None) -> None:
    (tmp_path / "checkpoint.pt").touch()
    if content is not None:
        (tmp_path / "config.json").write_bytes(content)
    with pytest.raises(TrainingError, match=r"config\.json does not say how the checkpoint beside it was made"):
        record_run(tmp_path, settings(), {})


def test_settings_are_kept_by_what_they_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").write_bytes(b"")
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert identified([tmp_path / "a", 3]) == [{"file": "a", "sha256": empty}, 3]
    assert identified(tmp_path) == {"folder": str(tmp_path.resolve()), "files": 1}
    assert identified(tmp_path / "none") == str(tmp_path / "none")

    def refuse(path: Path, mode: str) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(TrainingError, match=r"a is named in the settings and cannot be read \(Permission denied\)"):
        identified(tmp_path / "a")


def test_an_empty_table_gets_its_header(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.touch()  # what a full disk leaves
    drop_rows_after(path, 3)
    append_row(path, {"step": 4, "total": 0.5})
    assert path.read_text().splitlines() == ["step,total", "4,0.5"]


def test_rows_of_later_steps_and_cut_off_rows_are_dropped(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    drop_rows_after(path, 3)  # no file, nothing to do
    for step in (2, 4, 1_234_567):
        append_row(path, {"step": step, "total": 1 / step})
    assert path.read_text().splitlines() == ["step,total", "2,0.5", "4,0.25", "1234567,8.10001e-07"]
    with path.open("a") as file:
        file.write("3,0.")
    drop_rows_after(path, 4)
    assert path.read_text().splitlines() == ["step,total", "2,0.5", "4,0.25"]
    drop_rows_after(path, 1)
    assert not path.exists()


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=a", "-c", "user.email=a@b.c")
    command = ["git", "-C", str(folder), *identity, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603


def test_the_commit_is_that_of_the_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, installed = tmp_path / "code.py", tmp_path / "installed.py"
    for path in (file, installed):
        path.write_text("1")
    assert describe_commit(file) == {"commit": None, "changed": None}
    git(tmp_path, "init")
    git(tmp_path, "add", "code.py")
    git(tmp_path, "commit", "-m", "a")
    assert describe_commit(file) == {"commit": git(tmp_path, "rev-parse", "HEAD"), "changed": False}
    file.write_text("2")
    assert describe_commit(file)["changed"] is True
    assert describe_commit(installed) == {
        "commit": None,
        "changed": None,
    }  # the checkout around it is of something else
    monkeypatch.setenv("PATH", str(tmp_path))
    assert describe_commit(file) == {"commit": None, "changed": None}
