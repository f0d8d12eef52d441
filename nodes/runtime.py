"""Run networks inside ComfyUI: devices, precision, batch sizes, progress and cancellation."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from itertools import chain
from typing import Any, Generic, Protocol, TypeVar

import comfy.model_management as management
import comfy.model_patcher
import comfy.utils
import torch
from torch import nn

from ..psfr_core.batch_size import default_batch_size
from ..psfr_core.errors import is_out_of_memory
from ..psfr_core.networks.inference.optimize import fastest_dtype, optimize_for_inference
from ..psfr_core.progress import Progress
from ..psfr_core.video.video_options import VideoProgress, VideoStep

N = TypeVar("N", bound=nn.Module)
T = TypeVar("T")

_STEPS_PER_FRAME = 1000


class Precision(str, Enum):
    """Compute precision."""

    AUTO = "auto"  # ComfyUI's choice by the device and the --force flags; on a CPU, ``fastest_dtype``
    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"
    FLOAT16 = "float16"

    @property
    def dtype(self) -> torch.dtype:
        """Return the dtype of the weights."""
        if self is not Precision.AUTO:
            return getattr(torch, self.value)
        device = management.get_torch_device()
        if management.is_device_cpu(device) and not getattr(management, "FORCE_FP32", False):
            return fastest_dtype(device)  # ComfyUI would always use float32 on a CPU
        if management.should_use_bf16(device):
            return torch.bfloat16
        return torch.float16 if management.should_use_fp16(device) else torch.float32


@dataclass(frozen=True, eq=False)
class HostedNetwork(Generic[N]):
    """A network whose memory ComfyUI manages through ``patcher``, a ModelPatcher.

    ``image_bytes`` is the memory in bytes that the activations for one image need.
    """

    network: N
    image_bytes: int
    patcher: Any

    @classmethod
    def of(cls, network: N, image_bytes: int, precision: Precision) -> HostedNetwork[N]:
        """Optimize ``network`` in place for ComfyUI's device, and let ComfyUI manage its memory. The network is not moved yet.

        Raise OptionError for a ``precision`` that the network does not support.
        """
        load_device = management.get_torch_device()
        network = optimize_for_inference(network, load_device, precision.dtype)
        # Look up the class at each call, because ComfyUI replaces it after importing the packs.
        patcher_class = getattr(comfy.model_patcher, "CoreModelPatcher", comfy.model_patcher.ModelPatcher)
        patcher = patcher_class(network, load_device=load_device, offload_device=management.unet_offload_device())
        return cls(network, image_bytes, patcher)


@contextmanager
def on_device(*hosted: HostedNetwork[Any], images: int | None = None) -> Generator[None]:
    """Load all ``hosted`` networks on ComfyUI's device while the block runs.

    Memory is reserved for a batch of ``images`` images, but at most for the batch limit, which is also the default.
    """
    batch_size = batch_limit() if images is None else min(images, batch_limit())
    needed = max(network.image_bytes for network in hosted) * batch_size
    management.load_models_gpu([network.patcher for network in hosted], memory_required=needed, force_full_load=True)
    # With --novram, and in modes that move only ComfyUI's own layers, ComfyUI leaves weights on the offload device.
    moved = [network for network in hosted if not _is_on(network.network, network.patcher.load_device)]
    try:
        for network in moved:
            network.network.to(network.patcher.load_device)
        yield
    finally:
        for network in moved:
            network.network.to(network.patcher.offload_device)


def batch_limit() -> int:
    """Return the maximum batch size on ComfyUI's device."""
    return default_batch_size(management.get_torch_device())


def with_smaller_batches(work: Callable[[int], T]) -> T:
    """Return ``work(batch_size)``. Halve the batch size whenever memory runs out.

    Raise ComfyUI's out-of-memory error if a single image does not fit.
    """
    size = batch_limit()
    while True:
        try:
            return work(size)
        except Exception as error:
            if not _is_out_of_memory(error):
                raise
            reason = str(error).strip() or type(error).__name__
        management.soft_empty_cache()
        if size == 1:
            raise management.OOM_EXCEPTION(
                "There is not enough memory for one image at a time. Free memory (Unload Models), use smaller images or "
                f"smaller models, or start ComfyUI with --cpu. ({reason})"
            )
        size //= 2


class Steps:
    """Progress bar of a node. A call updates the bar, or stops the node if Cancel was pressed."""

    def __init__(self, total: int) -> None:
        self.total = total
        self._bar = comfy.utils.ProgressBar(total)

    def __call__(self, done: int, total: int) -> None:
        management.throw_exception_if_processing_interrupted()
        self._bar.update_absolute(done, total)


class FrameProgress(Protocol):
    """A function that returns the progress callback for ``count`` frames from ``index`` on. All callbacks share one bar."""

    def __call__(self, index: int, count: int = 1) -> Progress: ...


def steps_of_frames(frames: int) -> FrameProgress:
    """Return a function that returns progress callbacks. All callbacks share one bar for a total of ``frames`` frames."""
    steps = Steps(frames * _STEPS_PER_FRAME)

    def of_frames(index: int, count: int = 1) -> Progress:
        steps(index * _STEPS_PER_FRAME, steps.total)
        return lambda done, total: steps(
            index * _STEPS_PER_FRAME + count * done * _STEPS_PER_FRAME // total, steps.total
        )

    return of_frames


def steps_of_passes() -> VideoProgress:
    """Return a progress callback that shows both passes over a video in one bar, which counts each frame twice."""
    steps = Steps(1)

    def progress(step: VideoStep, done: int, total: int) -> None:
        steps(done if step is VideoStep.FIND else total + done, 2 * total)

    return progress


def _is_on(network: nn.Module, device: torch.device) -> bool:
    found = {tensor.device for tensor in chain(network.parameters(), network.buffers())}
    # A device such as mps may be requested without the index that its tensors have.
    return all(on.type == device.type and device.index in (None, on.index) for on in found)


def _is_out_of_memory(error: Exception) -> bool:
    # ComfyUI 0.17 added is_oom.
    is_oom = getattr(management, "is_oom", lambda error: isinstance(error, management.OOM_EXCEPTION))
    return is_oom(error) or is_out_of_memory(error)
