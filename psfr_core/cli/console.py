"""Handle console output, progress bars, logging and signals."""

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

from ..errors import ImageTooLargeError, ModelNotFoundError, PsfrError, describe, is_out_of_memory

_log = logging.getLogger(__name__)


class Stopped(KeyboardInterrupt):
    """Raised when a signal stops the program. ``number`` is the number of the signal."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


class _Console(io.TextIOWrapper):
    """Standard stream that discards its output, instead of raising an error, once the output cannot be written."""

    def write(self, text: str, /) -> int:
        try:
            return super().write(text)
        except OSError as error:
            self._discard(error)
            return len(text)

    def flush(self) -> None:
        try:
            super().flush()
        except OSError as error:
            self._discard(error)

    def _discard(self, error: OSError) -> None:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, self.fileno())  # buffered output is discarded as well
        os.close(null)
        if not isinstance(error, BrokenPipeError) and self is not sys.stderr:
            report(f"The output cannot be written ({error.strerror}). Processing continues.")


def protect_streams() -> None:
    """Make the standard streams escape text that they cannot encode, and ignore write errors."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # a closed stream is replaced, because library output would go to the next opened file
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115
        elif stream is getattr(sys, f"__{name}__") and type(stream) is io.TextIOWrapper:
            with suppress(OSError):
                stream.flush()
            # the original stream stays usable for code that has a reference to it
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
    """Add ``--verbose`` to a command or a subcommand."""
    parser.add_argument(
        "--verbose",
        action="store_true",
        default=argparse.SUPPRESS,  # because a subcommand must not reset the flag of the main command
        help="show debug messages, and the tracebacks of unexpected errors",
    )


def configure_logging(verbose: bool) -> None:
    """Log messages of this library to stderr, including debug messages if ``verbose`` is true. Other packages are unaffected."""
    log = logging.getLogger(__name__.split(".")[0])
    log.setLevel(logging.DEBUG if verbose else logging.INFO)
    log.propagate = False
    log.handlers = [logging.StreamHandler()]  # a new handler uses the current sys.stderr


@contextmanager
def stop_on_signals() -> Generator[None]:
    """Raise Stopped for SIGTERM and SIGHUP inside the context, so that unfinished files are removed."""

    def stop(number: int, _: FrameType | None) -> None:
        raise Stopped(number)

    with _handling(stop, "SIGTERM", "SIGHUP"):
        yield


@contextmanager
def exit_on_interrupt() -> Generator[None]:
    """Exit immediately with code 130 for Ctrl-C inside the context, because imports convert KeyboardInterrupt to other errors."""

    def exit_at_once(_: int, __: FrameType | None) -> None:
        os._exit(128 + signal.SIGINT)

    with _handling(exit_at_once, "SIGINT"):
        yield


@contextmanager
def _handling(handler: Callable[[int, FrameType | None], None], *names: str) -> Generator[None]:
    """Set ``handler`` for the signals ``names`` inside the context.

    Only default handlers are replaced: other handlers are kept, and ignored signals stay ignored. Outside the main thread, no
    handler is set.
    """
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]  # Windows has no SIGHUP
    defaults = (signal.SIG_DFL, signal.default_int_handler)
    is_main_thread = threading.current_thread() is threading.main_thread()
    # signals that are ignored, for example under nohup, stay ignored
    replaced = [number for number in numbers if is_main_thread and signal.getsignal(number) in defaults]
    before = {number: signal.signal(number, handler) for number in replaced}
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)


def report(text: str) -> None:
    """Print a line to stderr, above any progress bar."""
    from tqdm import tqdm

    tqdm.write(text, file=sys.stderr)


def count_of(number: int, noun: str) -> str:
    """Return ``number`` with ``noun``, such as "1 face" or "2 faces"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def describe_error(error: Exception) -> str:
    """Return the message for ``error`` with advice on options. Log the traceback of an unexpected error at debug level."""
    if isinstance(error, ModelNotFoundError) and error.downloadable:
        return f"{error} Or run: psfr download {error.downloadable}"
    if isinstance(error, ImageTooLargeError):
        return f"{error} The option is --max-megapixels."
    if isinstance(error, (PsfrError, OSError)) or is_out_of_memory(error):
        return describe(error)
    _log.debug("Traceback of the error:", exc_info=error)
    return f"{describe(error)} (use --verbose for the traceback)"


@contextmanager
def progress_bar(label: str, unit: str = "it") -> Generator[Callable[[int, int], None]]:
    """Yield a function that shows the number of finished items and the total on a progress bar. ``unit`` "B" means bytes."""
    from tqdm import tqdm  # a dependency of huggingface-hub

    bar = tqdm(desc=label, unit=unit, unit_scale=unit == "B", mininterval=1.0)

    def show(done: int, total: int) -> None:
        bar.total = total
        bar.update(done - bar.n)

    try:
        yield show
    finally:
        bar.close()
