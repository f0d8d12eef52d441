"""Define training tasks, which combine a network with its data and losses."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

MAX_PREVIEW_FACES = 4
N = TypeVar("N", bound=nn.Module)


class TrainingTask(nn.Module, ABC, Generic[N]):
    """Network with its samples and losses, as one module that returns the losses.

    A wrapper for several processes or mixed precision thus covers the whole computation, including a trained discriminator.
    Only trained networks are submodules; frozen loss networks are not.
    """

    def __init__(self, network: N, samples: Dataset[Any]) -> None:
        super().__init__()
        # Images and weights must have the same memory layout. Otherwise, PyTorch's instance norm on a CPU computes wrong
        # gradients for a batch with a single sample.
        self.network: N = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.samples = samples

    @property
    def device(self) -> torch.device:
        return next(self.network.parameters()).device

    def discriminator_parameters(self) -> list[dict[str, Any]]:
        """Return the optimizer's parameter groups for the discriminator, or an empty list if there is none."""
        return []

    @abstractmethod
    def forward(self, batch: Any, step: int) -> dict[str, Tensor]:
        """Return the losses of a batch of ``samples`` by name: ``total``, which is minimized, and its terms.

        ``discriminator``, if present, is minimized in the same step and has gradients only for the discriminator. Random
        numbers depend only on ``step``, which is counted from 0.
        """

    @abstractmethod
    def validate(self, network: N) -> dict[str, float]:
        """Return the metrics of ``network`` on the validation data by name."""

    def preview(self, network: N) -> Tensor | None:
        """Return an image (3, H, W), RGB in [0, 1], that shows results on validation data, or None."""
        return None
