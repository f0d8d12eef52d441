"""Test the pack in ComfyUI's real frontend, in both renderings, by running pack.test.mjs with a real server.

The tests need COMFYUI_PATH (see tests/comfy_server.py), Node.js, Chromium (its path may be set in CHROMIUM), and
``npm install`` in this folder.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.comfyui

HERE = Path(__file__).parent


@pytest.mark.parametrize("rendering", ["classic", "nodes 2.0"])
def test_in_a_browser(comfy: Any, rendering: str) -> None:
    node, chromium = shutil.which("node"), os.environ.get("CHROMIUM", "/usr/bin/chromium")
    if node is None or not Path(chromium).exists() or not (HERE / "node_modules" / "playwright-core").is_dir():
        pytest.skip(f"needs node, {chromium} and 'npm install' in {HERE.name}/")
    settings = {"COMFYUI_URL": comfy.address, "CHROMIUM": chromium, "NODES_2": "1" if rendering == "nodes 2.0" else "0"}
    done = subprocess.run(  # noqa: S603
        [node, "--test", "--test-reporter=spec", HERE / "pack.test.mjs"],
        env=os.environ | settings,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    print(done.stdout)
