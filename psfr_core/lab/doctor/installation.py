"""Check versions, memory and optional packages."""

from __future__ import annotations

import importlib
import importlib.util

import torch

from ... import __version__
from ..benchmark.measure import machine
from .check import Finding, Outcome, passed_if

# Optional packages by display name: the module to import, and the feature that needs the package.
PACKAGES = {
    "facexlib": ("facexlib.detection.retinaface", "RetinaFace detectors"),
    "OpenCV": ("cv2", "16-bit color PNG files"),
    "PyAV": ("av", "video files"),
    "Ray": ("ray", "restoration on several machines"),
    "spandrel": ("spandrel", "GFPGAN and RestoreFormer files"),
    "ONNX Runtime": ("onnxruntime", "psfr export"),
}


def versions(device: torch.device) -> Finding:
    """Report hardware and software versions, without the names of users or folders."""
    facts = {"psfr": __version__, **machine(device)}
    facts |= {"CUDA": torch.version.cuda, "ROCm": torch.version.hip}
    return Finding(Outcome.NOTED, ", ".join(f"{name} {value}" for name, value in facts.items() if value is not None))


def memory(device: torch.device) -> Finding:
    """Report the free and total memory of the device; on MPS, report the recommended maximum."""
    if device.type == "cpu":
        return Finding(Outcome.NOTED, _system_memory())
    if device.type == "mps":
        return Finding(Outcome.NOTED, f"{torch.mps.recommended_max_memory() / 1e9:.1f} GB recommended maximum")
    free, total = getattr(torch, device.type).mem_get_info(device)
    return Finding(Outcome.NOTED, f"{free / 1e9:.1f} GB free of {total / 1e9:.1f} GB")


def package(module: str, purpose: str) -> Finding:
    """Import an optional package. Skip a package that is not installed, and raise the error of a failed import."""
    name = module.partition(".")[0]
    if importlib.util.find_spec(name) is None:
        return Finding(Outcome.SKIPPED, f"not installed; needed for {purpose}")
    importlib.import_module(module)
    version = getattr(importlib.import_module(name), "__version__", "")
    return passed_if(True, f"{version} can be imported".strip())


def _system_memory() -> str:
    try:
        with open("/proc/meminfo", encoding="ascii") as file:  # noqa: PTH123
            kilobytes = {line.split(":")[0]: int(line.split()[1]) for line in file}
    except OSError:  # only Linux has this file
        return "unknown"
    return f"{kilobytes['MemAvailable'] / 1e6:.1f} GB available of {kilobytes['MemTotal'] / 1e6:.1f} GB"
