"""Define the interface of networks that restore aligned faces, and adapt restorers of other authors to it."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from ..checks import COMPUTE_DTYPES


class FaceRestorer(nn.Module):
    """A network that restores aligned faces, such as ``PsfrGenerator``. Subclass it to use a network of your own.

    ``forward(lq, parse_one_hot)`` restores the faces ``lq`` (B, 3, size, size), RGB in [-1, 1], and returns faces of the same
    shape and range. ``parse_one_hot`` (B, 19, size, size) is None if the network does not use a parse map.
    """

    uses_parse_map: bool = True
    dtypes: tuple[torch.dtype, ...] = COMPUTE_DTYPES  # dtypes in which the network can compute

    @property
    def size(self) -> int:
        """Side in pixels of the faces that the network takes and returns."""
        raise NotImplementedError

    def for_side(self, side: float) -> FaceRestorer:
        """Return the restorer for a face whose crop has a side of ``side`` image pixels.

        Except for ``SizedRestorer``, this is the restorer itself.
        """
        return self


class OtherRestorer(FaceRestorer):
    """A restorer with the network of GFPGAN, RestoreFormer or CodeFormer.

    All three networks were trained on FFHQ-aligned faces of 512 px, RGB in [-1, 1]. They return several values; the first is the
    batch of restored faces.
    """

    uses_parse_map = False

    def __init__(self, network: nn.Module, settings: Mapping[str, object], dtypes: tuple[torch.dtype, ...]) -> None:
        super().__init__()
        self.network = network
        self.settings = settings  # further arguments for each call of the network
        self.dtypes = dtypes

    @property
    def size(self) -> int:
        """Side of the faces in pixels."""
        return 512

    def forward(self, lq: Tensor, parse_one_hot: Tensor | None = None) -> Tensor:
        """Restore faces as ``FaceRestorer`` describes."""
        return self.network(lq, **self.settings)[0]
