from __future__ import annotations

import json
from pathlib import Path

import pytest

from psfr_core.errors import TrainingError
from psfr_core.lab.training.experiment import run
from psfr_core.lab.training.run_lock import locked

from .recipes import small_parser


def test_a_folder_is_locked_once_and_released(tmp_path: Path) -> None:
    owner = {"process": 4711, "host": "here", "begun": "2026-11-29"}
    (tmp_path / "runs.json").write_text(json.dumps({"inputs": {}, "runs": [{}, owner]}))
    expected = (
        r"run uses .* \(process 4711 on here, since 2026-11-29\)\. Wait until it ends, stop it, or choose another"
    )
    with locked(tmp_path), pytest.raises(TrainingError, match=expected), locked(tmp_path):
        pass
    with locked(tmp_path):
        pass


@pytest.mark.parametrize("content", ["", "{", '{"runs": []}', "[" * 100_000])
def test_the_lock_does_not_depend_on_runs_json(tmp_path: Path, content: str) -> None:
    (tmp_path / "runs.json").write_text(content)
    with locked(tmp_path), pytest.raises(TrainingError, match="Another training run uses"), locked(tmp_path):
        pass


def test_a_second_training_does_not_change_the_folder(tmp_path: Path) -> None:
    with locked(tmp_path), pytest.raises(TrainingError, match="Another training run uses"):
        run(small_parser(), tmp_path, "cpu")
    assert not (tmp_path / "recipe.yaml").exists()
