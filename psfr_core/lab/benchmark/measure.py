"""Measure the time and memory of a function, compared with a baseline."""

from __future__ import annotations

import ctypes
import gc
import os
import platform
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import torch
from torch import nn

Work = Callable[[], object]

MIN_REPEATS = 7
_STATUS, _CLEAR_REFS = Path("/proc/self/status"), Path("/proc/self/clear_refs")


@dataclass(frozen=True)
class Measurement:
    """One line of a report. None means not measured.

    Seconds are medians, and megabytes are peak values. ``ratio`` is the median of baseline seconds divided by seconds, over
    pairs of successive runs.
    """

    name: str
    seconds: float
    baseline: str = ""
    ratio: float | None = None
    baseline_seconds: float | None = None
    megabytes: float | None = None
    baseline_megabytes: float | None = None
    note: str = ""


def compare(name: str, work: Work, baseline_name: str, baseline: Work, repeats: int, note: str = "") -> Measurement:
    """Compare ``work`` with ``baseline`` in alternating runs, after one warm-up run of each."""
    pairs = [(timed(baseline), timed(work)) for _ in range(1 + repeats)][1:]
    return Measurement(
        name,
        median(after for _, after in pairs),
        baseline_name,
        median(before / after for before, after in pairs),
        median(before for before, _ in pairs),
        note=note,
    )


def timed(work: Work) -> float:
    """Return the seconds that ``work`` takes, including the work that it starts on the accelerator."""
    _wait()
    start = time.perf_counter()
    work()
    _wait()
    return time.perf_counter() - start


def peak_megabytes(work: Work, networks: Sequence[nn.Module], device: torch.device) -> float | None:
    """Return the peak increase of used memory on ``device`` during ``work``, plus the size of ``networks``, in MB.

    Returns None without calling ``work`` if the memory of the device cannot be measured.
    """
    weights = sum(_bytes(network) for network in networks)
    if device.type == "cuda":
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        work()
        return (torch.cuda.max_memory_allocated() - before + weights) / 1e6
    if device.type != "cpu" or not _CLEAR_REFS.exists():
        return None
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)  # return free memory to the system, so that its reuse is counted
    _CLEAR_REFS.write_text("5")  # reset the recorded peak
    before = _status("VmRSS")
    work()
    return (_status("VmHWM") - before + weights) / 1e6


def machine(device: torch.device) -> dict[str, str | int | float]:
    """Return facts about the hardware and software of this machine by name."""
    return {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else str(device),
        "cpu": _cpu_name(),
        "threads": torch.get_num_threads(),
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else "unknown",
        "torch": torch.__version__,
        "python": platform.python_version(),
        "system": platform.platform(terse=True),
    }


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    elif torch.backends.mps.is_available():
        torch.mps.synchronize()
    elif torch.xpu.is_available():
        torch.xpu.synchronize()


def _bytes(network: nn.Module) -> int:
    """Return the size of all tensors in bytes, including the weights that spectral norm stores as attributes."""
    computed = (value for module in network.modules() for value in vars(module).values())
    tensors = [
        *network.parameters(),
        *network.buffers(),
        *(value for value in computed if isinstance(value, torch.Tensor)),
    ]
    return sum(tensor.nelement() * tensor.element_size() for tensor in tensors)


def _status(field: str) -> int:
    """Return a memory field of this process, such as ``VmRSS``, in bytes."""
    line = next(line for line in _STATUS.read_text().splitlines() if line.startswith(field))
    return int(line.split()[1]) * 1024


def _cpu_name() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [
            line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines() if line.startswith("model name")
        ]
        if names:
            return f"{names[0]} ({len(names)} cores)"
    return platform.processor() or platform.machine()


@contextmanager
def one_thread() -> Generator[None]:
    """Limit PyTorch to one thread within the context."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
