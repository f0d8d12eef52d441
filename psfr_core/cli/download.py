"""``psfr download``: download a known model from the Hugging Face Hub or its official release."""

from __future__ import annotations

import argparse

from ..models.download import download_model
from ..models.library import default_model_folder
from ..models.manifest import MODEL_FILES, model_file
from .console import progress_bar


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``psfr download``."""
    names = [entry.name for entry in MODEL_FILES if not entry.is_bundled]
    parser.add_argument("name", choices=names, metavar="NAME", help=f"model to download: {', '.join(names)}")
    parser.add_argument("--folder", metavar="DIR", help="target folder; default: ~/.cache/psfrgan")
    parser.add_argument(
        "--repo-id",
        metavar="OWNER/NAME",
        help="repository on the Hub from which the file or its converted copy is downloaded instead",
    )


def run(args: argparse.Namespace) -> int:
    """Download the model and print its path."""
    entry, folder = model_file(args.name), args.folder or default_model_folder()
    with progress_bar(entry.name, unit="B") as show:
        path = download_model(entry, folder, repo_id=args.repo_id, progress=show)
    print(path)
    return 0
