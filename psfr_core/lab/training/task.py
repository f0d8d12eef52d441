"""Training tasks: a network with its data and losses."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

PICTURE_ROWS = 4  # of a picture of several faces
N = TypeVar("N", bound=nn.Module)


class TrainingTask(nn.Module, ABC, Generic[N]):
    """A network with its samples and losses, as one module whose output is the losses.

    A wrapper for several processes or another precision then covers the whole computation, including a discriminator that
    is trained along. Only trained networks are submodules; those that judge or feed them are not.
    """

    def __init__(self, network: N, samples: Dataset[Any]) -> None:
        super().__init__()
        # The layout of the images must be that of the weights: where they differ, PyTorch's instance norm on a CPU gives
        # wrong gradients for a batch of one.
        self.network: N = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.samples = samples

    @property
    def device(self) -> torch.device:
        return next(self.network.parameters()).device

    def discriminator_parameters(self) -> list[dict[str, Any]]:
        """Return parameter groups, with their own learning rates, of a discriminator trained along; none without one."""
        return []

    @abstractmethod
    def forward(self, batch: Any, step: int) -> dict[str, Tensor]:
        """Return named losses of a batch of ``samples``: ``total``, which is minimized, and its terms.

        ``discriminator``, if present, is minimized in the same step by the discriminator, and reaches no other parameter.
        Random numbers depend on ``step`` alone.
        """

    @abstractmethod
    def validate(self, network: N) -> dict[str, float]:
        """Return named metrics of ``network`` on data not trained on."""

    def picture(self, network: N) -> Tensor | None:
        """Return an image (3, H, W), RGB in [0, 1], of what ``network`` makes of data not trained on."""
        return None
