"""Describe the environment of a run, which is recorded in the run folder beside the recipe."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import socket
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from accelerate import Accelerator


def describe_environment(accelerator: Accelerator) -> dict[str, Any]:
    """Return the command, host, versions, commit and device of a run as JSON values."""
    device = accelerator.device
    return {
        "begun": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "command": sys.argv,
        "host": socket.gethostname(),
        "process": os.getpid(),
        "version": _version(),
        **describe_commit(Path(__file__)),
        "python": sys.version.split()[0],
        "torch": torch.__version__,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else str(device),
        "processes": accelerator.num_processes,
    }


def describe_commit(file: Path) -> dict[str, str | bool | None]:
    """Return the current commit of the repository of ``file``, and whether tracked files differ from this commit.

    Both are None if git does not track ``file``.
    """
    # an installed package may lie inside the repository of another project, so the file itself must be tracked
    commit = _git(file, "rev-parse", "HEAD") if _git(file, "ls-files", "--error-unmatch", file.name) else None
    changes = _git(file, "status", "--porcelain", "--untracked-files=no")
    return {"commit": commit, "changed": None if commit is None else bool(changes)}


def _version() -> str | None:
    try:
        return importlib.metadata.version("psfrgan")
    except importlib.metadata.PackageNotFoundError:  # not installed
        return None


def _git(file: Path, *arguments: str) -> str | None:
    git = shutil.which("git")
    if git is None:
        return None
    done = subprocess.run(  # noqa: S603
        [git, "-C", str(file.parent), *arguments], capture_output=True, text=True, check=False
    )
    return done.stdout.strip() if done.returncode == 0 else None
