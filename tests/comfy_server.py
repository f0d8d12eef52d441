"""Run a real ComfyUI with this pack for tests/comfyui and tests/browser.

COMFYUI_PATH is the folder of ComfyUI. If it is not set, these tests are skipped. COMFYUI_PYTHON is the Python interpreter that runs
ComfyUI; by default, it is the one that runs the tests. COMFYUI_ARGS are further arguments, such as ``--front-end-root``. Models,
inputs and outputs are in a temporary folder, and the folder of ComfyUI is not changed.
"""

from __future__ import annotations

import json
import os
import shlex
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
PACK_FOLDER = "psfr-gan"  # has no space, because aiohttp does not serve files below addresses with spaces
MORE_MODELS = "more models"  # a folder in extra_model_paths.yaml
_START_SECONDS, _RUN_SECONDS, _POLL_SECONDS = 180, 600, 0.1


@dataclass
class Run:
    """The result of a prompt."""

    messages: list[tuple[str, dict[str, Any]]]
    outputs: dict[str, dict[str, Any]]

    @property
    def end(self) -> str:
        """The last message: ``execution_success``, ``execution_error`` or ``execution_interrupted``."""
        return self.messages[-1][0]

    @property
    def error(self) -> str:
        """The error message of the node that failed."""
        return next(data["exception_message"] for name, data in self.messages if name == "execution_error")

    @property
    def error_type(self) -> str:
        """The type of the error, which is the title of the dialog."""
        return next(data["exception_type"] for name, data in self.messages if name == "execution_error")

    def text(self, node_id: str) -> str:
        """Return the text that a node shows."""
        return self.outputs[node_id]["text"][0]

    @property
    def cached(self) -> set[str]:
        """The ids of nodes whose results came from the cache."""
        return {node for name, data in self.messages if name == "execution_cached" for node in data["nodes"]}


class ComfyServer:
    """A client of a running server."""

    def __init__(self, address: str, base: Path, log: Path) -> None:
        self.address, self.base, self.log = address, base, log

    def get(self, path: str) -> bytes:
        with urllib.request.urlopen(self.address + path, timeout=60) as response:  # noqa: S310
            return response.read()

    def get_json(self, path: str) -> Any:
        return json.loads(self.get(path))

    def post(self, path: str, value: dict[str, Any]) -> Any:
        """Post ``value`` as JSON, and return the response. Raise HTTPError if the server rejects the request."""
        request = urllib.request.Request(  # noqa: S310
            self.address + path, json.dumps(value).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as response:  # noqa: S310
            return json.loads(response.read() or b"null")

    def queue(self, prompt: dict[str, Any]) -> str:
        """Queue ``prompt``, and return its id. Raise AssertionError with the server's message if it is rejected."""
        try:
            return self.post("/prompt", {"prompt": prompt})["prompt_id"]
        except urllib.error.HTTPError as error:
            raise AssertionError(error.read().decode()) from None

    def wait(self, prompt_id: str) -> Run:
        end = time.monotonic() + _RUN_SECONDS
        while time.monotonic() < end:
            history = self.get_json(f"/history/{prompt_id}").get(prompt_id)
            if history:
                return Run([(name, data) for name, data in history["status"]["messages"]], history["outputs"])
            time.sleep(_POLL_SECONDS)
        raise AssertionError(f"the prompt did not end in {_RUN_SECONDS} s; see {self.log}")

    def run(self, prompt: dict[str, Any]) -> Run:
        return self.wait(self.queue(prompt))


@contextmanager
def running_server(base: Path) -> Generator[ComfyServer]:
    """Run ComfyUI on a free port with only this pack. The folders for models, inputs and outputs are below ``base``."""
    comfyui = os.environ.get("COMFYUI_PATH")
    if not comfyui:
        pytest.skip("COMFYUI_PATH is not set; it is the ComfyUI folder for these tests (see CONTRIBUTING.md)")
    for folder in ("custom_nodes", "models/psfrgan", "models/facedetection", "input", "output", "temp", "user"):
        (base / folder).mkdir(parents=True)
    (base / "custom_nodes" / PACK_FOLDER).symlink_to(ROOT)
    more_paths = base / "extra_model_paths.yaml"
    more_paths.write_text(f"elsewhere:\n  base_path: {base}\n  psfrgan: {MORE_MODELS}\n")
    port = _free_port()
    command = [
        *(os.environ.get("COMFYUI_PYTHON", sys.executable), "main.py", "--cpu", "--disable-auto-launch"),
        *("--port", str(port), "--base-directory", str(base), "--extra-model-paths-config", str(more_paths)),
        *shlex.split(os.environ.get("COMFYUI_ARGS", "")),
    ]
    log = base / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=comfyui, stdout=output, stderr=subprocess.STDOUT)  # noqa: S603
        try:
            server = ComfyServer(f"http://127.0.0.1:{port}", base, log)
            _wait_until_up(server, process)
            yield server
        finally:
            process.terminate()
            process.wait(30)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _wait_until_up(server: ComfyServer, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + _START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        try:
            server.get("/system_stats")
            return
        except OSError:
            time.sleep(_POLL_SECONDS)
    raise AssertionError(f"ComfyUI did not start:\n{server.log.read_text(errors='replace')[-3000:]}")
