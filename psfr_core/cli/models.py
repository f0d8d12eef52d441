"""``psfr models``: the known models, and which of them are on this machine."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from ..weights.locate import find_model_file
from ..weights.manifest import MODEL_FILES, ModelFile

HEADINGS = ("name", "kind", "size", "where", "licence", "what")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options of ``psfr models``."""
    parser.add_argument(
        "--folder", action="append", default=[], metavar="DIR", help="a folder to look into as well (may be repeated)"
    )


def run(args: argparse.Namespace) -> int:
    """Prints one line a model."""
    rows = [HEADINGS, *(_row(entry, args.folder) for entry in MODEL_FILES)]
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    return 0


def _row(entry: ModelFile, folders: Sequence[str]) -> tuple[str, ...]:
    path = find_model_file(entry, folders)
    return entry.name, entry.kind.value, _size(entry, path), _where(entry, path), entry.licence, entry.description


def _size(entry: ModelFile, path: Path | None) -> str:
    size_bytes = path.stat().st_size if path else entry.size_bytes
    return f"{size_bytes / 1e6:.1f} MB" if size_bytes else "?"


def _where(entry: ModelFile, path: Path | None) -> str:
    if path is None:
        return "missing" if entry.is_bundled else "not here"
    return "bundled" if entry.is_bundled else str(path)
