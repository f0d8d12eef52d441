"""Run the ``psfr`` command-line interface."""

from __future__ import annotations

import argparse
import importlib
import re
import sys
from collections.abc import Sequence

from .. import __version__
from ..errors import OptionError
from .console import (
    Stopped,
    add_verbose_argument,
    configure_logging,
    describe_error,
    exit_on_interrupt,
    protect_streams,
    stop_on_signals,
)

COMMANDS = {
    "restore": "restore the faces in images and videos",
    "detect": "detect faces, and write JSON files and images with boxes",
    "parse": "label the regions of faces, and write label and color images",
    "degrade": "degrade images the way training does",
    "models": "list the known models and their locations",
    "download": "download a known model",
    "convert": "convert a weight file to .safetensors",
    "blend": "interpolate the weights of two networks",
    "export": "export a network to ONNX, so that it runs without PyTorch",
    "publish": "upload a converted file to your Hugging Face repository",
    "train": "train the detector, the parsing network or the generator",
    "ablate": "train generators that each lack one idea of the paper, and compare them",
    "evaluate": "compute quality metrics of restored images and models",
    "benchmark": "measure speed and memory on this machine",
    "doctor": "check the installation and the device, and write a report for an issue",
}


def _with_joined_indices(arguments: list[str]) -> list[str]:
    """Join ``--indices`` with a following value such as ``-2-`` by ``=``, because argparse takes it for an option."""
    joined: list[str] = []
    for argument in arguments:
        if joined and joined[-1] == "--indices" and re.match(r"-\d", argument):
            joined[-1] += f"={argument}"
        else:
            joined.append(argument)
    return joined


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    The code is 0 for success, 1 for a failure, and 2 for invalid arguments. If a signal stopped the command, the code is 128
    plus the number of the signal, such as 130 for Ctrl-C and 143 for SIGTERM. For ``--help`` and ``--version``, SystemExit
    is raised with code 0, and for arguments that argparse rejects, with code 2.
    """
    arguments = _with_joined_indices(sys.argv[1:] if arguments is None else list(arguments))
    protect_streams()
    command = next(iter(arguments), "")
    try:
        with stop_on_signals():
            args = _parse(arguments)
            configure_logging(args.verbose)
            return args.run(args)
    except KeyboardInterrupt as stop:
        print(f"psfr {command}: stopped.", file=sys.stderr)
        return 128 + (stop.number if isinstance(stop, Stopped) else 2)
    except Exception as error:
        print(f"psfr {command}: {describe_error(error)}", file=sys.stderr)
        return 2 if isinstance(error, OptionError) else 1


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="psfr", description="PSFR-GAN face restoration.", allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"psfr {__version__}")
    parser.set_defaults(verbose=False)
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, purpose in COMMANDS.items():
        command_parser = subparsers.add_parser(
            name, help=purpose, description=f"{purpose[0].upper()}{purpose[1:]}.", allow_abbrev=False
        )
        # only the command that runs is imported, because other commands may need packages that are not installed
        if name in arguments[:1]:
            with exit_on_interrupt():
                command = importlib.import_module(f"..{name}", __name__)
            command.add_arguments(command_parser)
            add_verbose_argument(command_parser)
            command_parser.set_defaults(run=command.run)
    return parser.parse_args(arguments)
