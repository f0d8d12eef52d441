"""``python -m psfr_core``, the same as ``psfr``."""

import sys

from .cli.main import main

sys.exit(main())
