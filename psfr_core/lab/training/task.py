"""Training tasks: a network with its data and losses."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

MAX_PREVIEW_FACES = 4
N = TypeVar("N", bound=nn.Module)


class TrainingTask(nn.Module, ABC, Generic[N]):
    """A network with its samples and losses, as one module that returns the losses.

    A wrapper for several processes or mixed precision then covers the whole computation, including that of a trained
    discriminator. Only trained networks are submodules; frozen loss networks are not.
    """

    def __init__(self, network: N, samples: Dataset[Any]) -> None:
        super().__init__()
        # Images and weights must share one memory layout: if they differ, PyTorch's instance norm on a CPU gives wrong
        # gradients for a batch of one.
        self.network: N = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.samples = samples

    @property
    def device(self) -> torch.device:
        return next(self.network.parameters()).device

    def discriminator_parameters(self) -> list[dict[str, Any]]:
        """Return the optimizer's parameter groups for the discriminator; empty without one."""
        return []

    @abstractmethod
    def forward(self, batch: Any, step: int) -> dict[str, Tensor]:
        """Return the named losses of a batch of ``samples``: ``total``, which is minimized, and its terms.

        ``discriminator``, if present, is minimized in the same step and has gradients for the discriminator alone. Random
        numbers depend on ``step`` alone.
        """

    @abstractmethod
    def validate(self, network: N) -> dict[str, float]:
        """Return named metrics of ``network`` on validation data."""

    def preview(self, network: N) -> Tensor | None:
        """Return an image (3, H, W), RGB in [0, 1], of outputs for validation data, or None if there is none."""
        return None
