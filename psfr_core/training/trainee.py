"""What differs between the networks being trained."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

PICTURE_ROWS = 4  # of a picture of several faces
N = TypeVar("N", bound=nn.Module)


class Trainee(nn.Module, ABC, Generic[N]):
    """A network with its samples and losses, as one module whose output is the losses.

    So whatever wraps a module for several processes or another precision wraps the whole computation, a discriminator
    that is trained along included. Only what is trained is a submodule; networks that judge or feed it are not.
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

    def opponents(self) -> list[dict[str, Any]]:
        """Parameter groups, with their own learning rates, of what is trained against the network."""
        return []

    @abstractmethod
    def forward(self, batch: Any, step: int) -> dict[str, Tensor]:
        """Named losses of a batch of ``samples``: ``total``, which is minimised, and its terms.

        ``opponent``, where there is one, is minimised in the same step by the opponents, and reaches no other parameter.
        What is drawn at random depends on ``step`` alone.
        """

    @abstractmethod
    def validate(self, network: N) -> dict[str, float]:
        """Named figures of ``network`` on data not trained on."""

    def picture(self, network: N) -> Tensor | None:
        """What ``network`` makes of data not trained on, to look at: (3, H, W), RGB in [0, 1]."""
        return None
