from __future__ import annotations

import subprocess
import sys

import pytest

from psfr_core.cli.main import COMMANDS, main


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["--help"])
    assert stopped.value.code == 0
    printed = capsys.readouterr().out
    assert all(command in printed for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([command, "--help"])
    assert stopped.value.code == 0
    assert f"psfr {command}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["restore", "nothing.png", "-o", "out"], 1, "psfr restore: nothing.png does not exist"),
        (["restore", "a.png", "-o", "out", "--strength", "2"], 2, "strength must be a number from 0 to 1, got 2.0"),
        (["restore", "a.png", "-o", "out", "--regions", "skin,ear"], 2, "'ear' is no region of a face. Known are"),
        (["restore", "a.png", "-o", "out", "--indices", "2-1"], 2, "the range '2-1' runs backwards"),
    ],
)
def test_mistakes_are_named(arguments: list[str], code: int, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == code
    assert words in capsys.readouterr().err


def test_runs_as_a_module() -> None:
    done = subprocess.run([sys.executable, "-m", "psfr_core", "models"], capture_output=True, text=True, check=True)
    assert "psfrgan-256" in done.stdout
