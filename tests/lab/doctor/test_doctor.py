"""Test the checks of the installation, the report and the command psfr doctor."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from psfr_core.cli import doctor
from psfr_core.cli.main import main
from psfr_core.lab.doctor import examine as examination
from psfr_core.lab.doctor.check import Check, Finding, Outcome, passed_if, run_check
from psfr_core.lab.doctor.installation import memory, package, versions
from psfr_core.lab.doctor.report import row

CPU = torch.device("cpu")


def test_a_check_that_raises_has_failed_with_its_error() -> None:
    def fail() -> Finding:
        raise RuntimeError("no kernel image")

    assert run_check("x", fail) == Check("x", Outcome.FAILED, "unexpected RuntimeError: no kernel image")
    assert run_check("y", lambda: passed_if(True, "ok")) == Check("y", Outcome.PASSED, "ok")


def test_packages_are_missing_broken_or_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "psfr_broken_package.py").write_text("raise OSError('libGL.so.1 is missing')")
    (tmp_path / "psfr_whole_package.py").write_text("__version__ = '1.2'")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert package("psfr_no_such_package", "nothing") == (Outcome.SKIPPED, "not installed; needed for nothing")
    assert package("psfr_whole_package", "nothing") == (Outcome.PASSED, "1.2 can be imported")
    broken = run_check("broken", lambda: package("psfr_broken_package", "nothing"))
    assert (broken.outcome, broken.detail) == (Outcome.FAILED, "libGL.so.1 is missing")
    sys.modules.pop("psfr_whole_package")


def test_versions_include_torch_but_no_folders() -> None:
    finding = versions(CPU)
    assert finding.outcome is Outcome.NOTED
    assert f"torch {torch.__version__}" in finding.detail
    assert str(Path.home()) not in finding.detail
    assert Path(sys.prefix).as_posix() not in finding.detail


@pytest.mark.skipif(not Path("/proc/meminfo").exists(), reason="needs Linux")
def test_system_memory_is_reported() -> None:
    free, total = memory(CPU).detail.split(" GB available of ")
    assert 0 < float(free) < float(total.removesuffix(" GB"))


def test_rows_stay_on_one_line_and_failures_are_bold() -> None:
    assert row(Check("a", Outcome.FAILED, "x | y\nz")) == "| a | **failed** | x \\| y z |"
    assert len(row(Check("a", Outcome.FAILED, "word " * 1000))) < 350


def test_every_bundled_network_is_compared_in_every_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examination, "run_check", lambda name, _: Check(name, Outcome.PASSED, ""))
    names = [check.name for check in examination.examine(CPU)]
    for precision in ("float32", "float16", "bfloat16"):
        assert {f"{model}, {precision}" for model in ("parser", "psfrgan-256", "psfrgan-512-small")} <= {*names}
    assert {"detector, float32", "paste-back", "a batch of 8", "out of memory", "torch.compile"} <= {*names}
    assert len(names) == len({*names}) == 28


@pytest.mark.parametrize(("outcome", "code"), [(Outcome.PASSED, 0), (Outcome.SKIPPED, 0), (Outcome.FAILED, 1)])
def test_command_writes_what_it_prints_and_fails_if_a_check_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], outcome: Outcome, code: int
) -> None:
    checks = [Check("first", outcome, "why"), Check("second", Outcome.PASSED, "fine")]
    monkeypatch.setattr(doctor, "examine", lambda _: iter(checks))
    file = tmp_path / "new" / "report.md"
    assert main(["doctor", "--device", "cpu", "-o", str(file)]) == code
    printed = capsys.readouterr().out
    assert file.read_text() == printed
    assert printed.startswith("## psfr doctor on cpu\n\n| check | outcome | detail |")
    assert printed.endswith(f"{1 + (outcome is Outcome.PASSED)} checks passed, {code} failed.\n")


def test_an_unusable_device_is_reported(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--device", "hpu"]) == 2
    assert "The device hpu cannot be used here" in capsys.readouterr().err


@pytest.mark.long
def test_all_checks_pass_here() -> None:
    assert [check for check in examination.examine(CPU) if check.outcome is Outcome.FAILED] == []
