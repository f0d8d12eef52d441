"""``psfr models``: list the known models and their locations on this machine."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..models.library import ModelLibrary, assets_folder
from ..models.manifest import MODEL_FILES, ModelFile
from .plan import existing_folders

UNKNOWN = "not known"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``psfr models``."""
    parser.add_argument(
        "--folder",
        action="append",
        default=[],
        metavar="DIR",
        help="additional folder to search, such as ComfyUI's models; repeatable",
    )


def run(args: argparse.Namespace) -> int:
    """Print a block of facts about each known model, with one fact per line."""
    folders = existing_folders("--folder", args.folder)
    library = ModelLibrary(folders)
    print("\n\n".join(_block(entry, library) for entry in MODEL_FILES))
    return 0


def _block(entry: ModelFile, library: ModelLibrary) -> str:
    facts = {
        "model": f"{entry.kind.value}: {entry.description}",
        "file": entry.file_name,
        "size": f"{entry.size_bytes:,} bytes" if entry.size_bytes else UNKNOWN,
        "sha256": entry.sha256 or UNKNOWN,
        "sources": ("\n" + " " * 11).join(entry.addresses or ["this package"]),
        "license": entry.licence,
        "found": _found(library.find(entry)),
    }
    return "\n".join([entry.name, *(f"  {name:9}{fact}" for name, fact in facts.items())])


def _found(path: Path | None) -> str:
    if path is None:
        return "no"
    origin = "bundled, " if path.parent == assets_folder() else ""
    return f"{origin}{path} ({path.stat().st_size:,} bytes)"
