"""``python -m psfr_core``, the same as ``psfr``."""

import os
import signal
import sys
from types import FrameType


def run() -> int:
    """Run the command line and return its exit code; Ctrl-C while it is imported ends it quietly."""

    def leave(_: int, __: FrameType | None) -> None:
        os._exit(128 + signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    if before is signal.default_int_handler:  # it is not ignored, as by nohup
        signal.signal(signal.SIGINT, leave)
    from .cli.main import main

    signal.signal(signal.SIGINT, before)
    return main()


if __name__ == "__main__":
    sys.exit(run())
