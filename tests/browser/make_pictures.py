"""Make the images of the examples and the help pages; ``make pictures`` runs this file.

The arguments are names of images, such as ``05_step_by_step`` or ``psfr_graph``. Without arguments, all images are made. This
needs all that test_browser.py needs, and a ComfyUI that has the nodes ImageCompare and Painter.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))
from comfy_server import running_server  # noqa: E402

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as base, running_server(Path(base)) as server:
        command = ["node", HERE / "pictures.mjs", *sys.argv[1:]]
        subprocess.run(command, env=os.environ | {"COMFYUI_URL": server.address}, check=True)  # noqa: S603
