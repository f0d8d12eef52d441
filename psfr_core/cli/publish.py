"""``psfr publish``: upload a converted weight file to a repository on the Hugging Face Hub."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..errors import CheckpointError
from ..models.publish import publish_weights


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``psfr publish``."""
    parser.add_argument("file", type=Path, metavar="FILE", help=".safetensors file written by psfr convert")
    parser.add_argument("--repo-id", required=True, metavar="OWNER/NAME", help="repository to upload to")
    parser.add_argument("--private", action="store_true", help="if the repository does not exist, create a private one")


def run(args: argparse.Namespace) -> int:
    """Upload the file with a model card, and print the address of the file."""
    try:
        print(publish_weights(args.file, args.repo_id, private=args.private))
    except CheckpointError as error:
        raise CheckpointError(f"{error} Run: psfr convert {args.file} OUT.safetensors") from error
    return 0
