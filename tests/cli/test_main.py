from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import psfr_core
from psfr_core.cli.main import COMMANDS, main
from psfr_core.errors import OptionError
from psfr_core.files import atomic_path


def test_help_lists_all_commands(capsys: pytest.CaptureFixture[str]) -> None:
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
        (["restore", "a.png", "-o", "out", "--regions", "skin,ear"], 2, "Unknown face region 'ear'. Use one of"),
        (["restore", "a.png", "-o", "out", "--indices", "2-1"], 2, "the range '2-1' runs backwards"),
        (["restore", "a.png", "-o", "out", "--indices", "9" * 4301], 2, "is above the highest index 9999"),
        (["restore", __file__, "-o", "out", "--models-folder", "none"], 2, "--models-folder none is not a folder"),
        (["restore", __file__, "-o", "out", "--device", "meta"], 2, "The device meta cannot be used here"),
        (["restore", __file__, "-o", "out", "--device", "hpu"], 2, "The device hpu cannot be used here"),
        (["restore", __file__, "-o", "out", "--generator", "~no.such.user/x"], 2, "The home folder in ~no.such.user/x"),
        (["restore", __file__, "-o", "out", "--min-side", "1" + "0" * 20], 2, "min_side must be"),
        (["restore", __file__, "-o", __file__], 2, "is a file, not a folder. Choose another output folder"),
        (["parse", __file__, "-o", "out", "--size", "1" + "0" * 20], 2, "--size must be an integer from 1 to 8192"),
        (["degrade", __file__, "-o", "out", "--seed", str(2**64)], 2, "--seed must be from -2^63 to 2^64 - 1"),
        (["degrade", __file__, "-o", "out", "--degradation", "/dev/zero"], 2, "not a regular file"),
    ],
)
def test_invalid_arguments_are_reported(
    arguments: list[str], code: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == code
    assert words in capsys.readouterr().err


LINUX_ONLY = pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux")
INTERRUPTED = """
import os, signal, sys
from psfr_core.__main__ import run

signal.signal(signal.SIGINT, signal.default_int_handler)  # because background processes ignore SIGINT

class Interrupt:
    def find_spec(self, name, *_):
        if name == "psfr_core.cli.%s":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupt())
sys.argv = ["psfr", "detect", "x.png", "-o", "out"]
sys.exit(run())
"""


@pytest.mark.slow
@LINUX_ONLY
@pytest.mark.parametrize("redirection", ["2>&-", ">&-", ">&- 2>&-", "> /dev/full", "2> /dev/full", "| true"])
def test_closed_and_full_streams_do_not_stop_a_command(redirection: str) -> None:
    command = f'set -o pipefail; "{sys.executable}" -m psfr_core models {redirection}'
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)  # noqa: S603, S607
    assert done.returncode == 0
    expected = "The output cannot be written (No space left on device). Processing continues.\n"
    assert done.stderr == (expected if redirection == "> /dev/full" else "")


SHARED = """
import sys
from psfr_core.cli.main import main
first = sys.stdout
print("before")
assert main(["models"]) == 0 == main(["models"])
print("after", file=first)
first.flush()
print("end")
"""


def test_earlier_references_to_stdout_stay_usable() -> None:
    done = subprocess.run([sys.executable, "-c", SHARED], capture_output=True, text=True, check=True)  # noqa: S603
    lines = done.stdout.splitlines()
    assert [lines.count(text) for text in ("before", "after", "end", "psfrgan-256")] == [1, 1, 1, 2]
    assert done.stderr == ""


@LINUX_ONLY
@pytest.mark.parametrize("module", ["main", "console", "detect"])
def test_ctrl_c_during_imports_exits_without_output(module: str) -> None:
    done = subprocess.run([sys.executable, "-c", INTERRUPTED % module], capture_output=True, text=True, check=False)  # noqa: S603
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


@LINUX_ONLY
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129)])
def test_stopped_commands_remove_unfinished_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], number: int, code: int
) -> None:
    def work(_: argparse.Namespace) -> int:
        with atomic_path(tmp_path / "a") as temporary:
            temporary.write_bytes(b"half")
            os.kill(os.getpid(), number)
            time.sleep(5)
        return 0

    monkeypatch.setattr("psfr_core.cli.models.run", work)
    # background processes and nohup ignore some signals
    before = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
    outside = signal.signal(number, before)
    try:
        assert main(["models"]) == code
    finally:
        inside = signal.signal(number, outside)
    assert capsys.readouterr().err == "psfr models: stopped.\n"
    assert list(tmp_path.iterdir()) == []
    assert inside is before


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (OptionError("no"), 2, "psfr models: no\n"),
        (RuntimeError("odd"), 1, "psfr models: unexpected RuntimeError: odd (use --verbose for the traceback)\n"),
        (MemoryError(), 1, "psfr models: not enough memory\n"),
    ],
)
def test_errors_are_printed_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception, code: int, words: str
) -> None:
    def fail(_: argparse.Namespace) -> int:
        raise error

    monkeypatch.setattr("psfr_core.cli.models.run", fail)
    assert main(["models"]) == code
    assert capsys.readouterr().err == words


def test_package_runs_as_a_module() -> None:
    done = subprocess.run([sys.executable, "-m", "psfr_core", "models"], capture_output=True, text=True, check=True)
    assert "psfrgan-256" in done.stdout


def test_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out == f"psfr {psfr_core.__version__}\n"
