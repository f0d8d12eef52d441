"""The terminal: text that never ends a run, messages, progress bars, and signals that stop a run."""

from __future__ import annotations

import argparse
import io
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from ..errors import PsfrError, is_out_of_memory

_log = logging.getLogger(__name__)


class Stopped(KeyboardInterrupt):
    """A signal has asked the program to stop; ``number`` is the signal's."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


class _Console(io.TextIOWrapper):
    """A standard stream that is given up, instead of ending the run, when it can no longer be written."""

    def write(self, text: str, /) -> int:
        try:
            return super().write(text)
        except OSError as error:
            self._give_up(error)
            return len(text)

    def flush(self) -> None:
        try:
            super().flush()
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.fileno())  # what is buffered goes there, too
        os.close(nowhere)
        if not isinstance(error, BrokenPipeError) and self is not sys.stderr:
            report(f"The output cannot be written ({error.strerror}); the work goes on.")


def protect_streams() -> None:
    """Make the standard streams safe: for text that their encoding does not know, and when they cannot be written."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # it is closed: the next file that is opened would get what libraries print
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115
        elif stream is getattr(sys, f"__{name}__") and type(stream) is io.TextIOWrapper:
            with suppress(OSError):
                stream.flush()
            # The original stays usable, for those who hold it.
            safe = _Console(
                stream.buffer,
                stream.encoding,
                "backslashreplace",
                line_buffering=stream.line_buffering,
                write_through=stream.write_through,
            )
            setattr(sys, name, safe)
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def add_verbose_argument(parser: argparse.ArgumentParser) -> None:
    """Declare ``--verbose``, for a command or one of its parts."""
    parser.add_argument(
        "--verbose",
        action="store_true",
        default=argparse.SUPPRESS,  # so that a part of a command does not undo what was given before it
        help="also show debug messages, and the tracebacks of unexpected errors",
    )


def configure_logging(verbose: bool) -> None:
    """Send this library's log to stderr, with debug messages if ``verbose``; the logs of other packages stay as they are."""
    log = logging.getLogger(__name__.split(".")[0])
    log.setLevel(logging.DEBUG if verbose else logging.INFO)
    log.propagate = False
    if not log.handlers:
        log.addHandler(logging.StreamHandler())


@contextmanager
def stop_on_signals() -> Generator[None]:
    """Raise Stopped for SIGTERM and SIGHUP inside the block, so that a run can remove what it has not finished."""

    def stop(number: int, _: FrameType | None) -> None:
        raise Stopped(number)

    with _handling(stop, "SIGTERM", "SIGHUP"):
        yield


@contextmanager
def exit_on_interrupt() -> Generator[None]:
    """End the program at once, with exit code 130, for Ctrl-C inside the block; imports turn it into other errors."""

    def leave(_: int, __: FrameType | None) -> None:
        os._exit(128 + signal.SIGINT)

    with _handling(leave, "SIGINT"):
        yield


@contextmanager
def _handling(handler: Callable[[int, FrameType | None], None], *names: str) -> Generator[None]:
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]  # Windows has no SIGHUP
    usual = (signal.SIG_DFL, signal.default_int_handler)
    is_main_thread = threading.current_thread() is threading.main_thread()
    # A signal that is ignored, as by nohup, stays so.
    replaced = [number for number in numbers if is_main_thread and signal.getsignal(number) in usual]
    before = {number: signal.signal(number, handler) for number in replaced}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)


def report(text: str) -> None:
    """Print a line on stderr, above a progress bar that may be there."""
    from tqdm import tqdm

    tqdm.write(text, file=sys.stderr)


def describe_error(error: Exception) -> str:
    """Return what went wrong in words; the traceback of an unexpected error goes to the log, for ``--verbose``."""
    if is_out_of_memory(error):
        return "there is not enough memory for it" + (f": {error}" if str(error) else "")
    if isinstance(error, (PsfrError, OSError)):
        return str(error)
    _log.debug("Traceback of the error:", exc_info=error)
    return f"an unexpected {type(error).__name__}: {error} (--verbose shows where)"


@contextmanager
def progress_bar(label: str, unit: str = "it") -> Generator[Callable[[int, int], None]]:
    """Give a function that shows how many of how many are done."""
    from tqdm import tqdm  # comes with huggingface-hub

    bar = tqdm(desc=label, unit=unit, unit_scale=unit == "B", mininterval=1.0)

    def show(done: int, total: int) -> None:
        bar.total = total
        bar.update(done - bar.n)

    try:
        yield show
    finally:
        bar.close()
