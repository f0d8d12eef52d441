"""``psfr``: the command line."""

from __future__ import annotations

import argparse
import importlib
import logging
import sys
from collections.abc import Sequence

from ..errors import OptionError, PsfrError

COMMANDS = {
    "restore": "restore the faces in images",
    "detect": "find faces: JSON and a picture with boxes",
    "parse": "label the regions of faces: label and colour pictures",
    "degrade": "make images worse, as the training does",
    "models": "list the known models and where they are",
    "download": "fetch a known model from the Hugging Face Hub",
    "convert": "turn a weight file into a .safetensors file",
    "blend": "make a network between two",
    "publish": "upload a converted file to a Hugging Face repository of yours",
    "train": "train the detector, the parsing network or the generator",
    "ablate": "train generators that lack one idea of the paper each, and compare them",
    "evaluate": "measure restored images and models",
    "benchmark": "measure the speed and memory of everything on this machine",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code: 0 done, 1 something failed, 2 a mistake in the command line."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    parser = argparse.ArgumentParser(prog="psfr", description="PSFR-GAN face restoration.", allow_abbrev=False)
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, purpose in COMMANDS.items():
        command_parser = subparsers.add_parser(
            name, help=purpose, description=f"Command to {purpose}.", allow_abbrev=False
        )
        # Only the command that runs is imported, so that the others need none of its packages.
        if name in arguments[:1]:
            command = importlib.import_module(f"..{name}", __name__)
            command.add_arguments(command_parser)
            command_parser.set_defaults(run=command.run)
    args = parser.parse_args(arguments)
    _show_our_messages()
    try:
        return args.run(args)
    except OptionError as error:
        print(f"psfr {args.command}: {error}", file=sys.stderr)
        return 2
    except (PsfrError, OSError) as error:  # a folder that cannot be entered, a disk that is full
        print(f"psfr {args.command}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"psfr {args.command}: stopped.", file=sys.stderr)
        return 130


def _show_our_messages() -> None:
    """This library's log goes to the terminal; those of the packages it uses stay as they are."""
    log = logging.getLogger(__name__.split(".")[0])
    log.setLevel(logging.INFO)
    log.propagate = False
    if not log.handlers:
        log.addHandler(logging.StreamHandler())
