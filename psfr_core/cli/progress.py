"""Progress bars on the terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager


def report(text: str) -> None:
    """Prints a line on stderr, above a progress bar that may be there."""
    from tqdm import tqdm

    tqdm.write(text, file=sys.stderr)


@contextmanager
def progress_bar(label: str, unit: str = "it") -> Generator[Callable[[int, int], None]]:
    """A function that shows how many of how many are done."""
    from tqdm import tqdm  # comes with huggingface-hub

    bar = tqdm(desc=label, unit=unit, mininterval=1.0)

    def show(done: int, total: int) -> None:
        bar.total = total
        bar.update(done - bar.n)

    try:
        yield show
    finally:
        bar.close()
