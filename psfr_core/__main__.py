"""Run ``psfr`` as ``python -m psfr_core``."""

import os
import signal
import sys
from types import FrameType


def run() -> int:
    """Run the command line and return its exit code. Ctrl-C during imports exits without a traceback."""

    def exit_at_once(_: int, __: FrameType | None) -> None:
        os._exit(128 + signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    # Background jobs ignore SIGINT, and must continue to ignore it.
    if before is signal.default_int_handler:
        signal.signal(signal.SIGINT, exit_at_once)
    from .cli.main import main

    signal.signal(signal.SIGINT, before)
    return main()


if __name__ == "__main__":
    sys.exit(run())
