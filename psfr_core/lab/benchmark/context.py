"""The device, models and images that all benchmark cases share."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ...models.loader import load_generator, load_parse_net
from ...networks.inference.optimize import fastest_dtype
from ...networks.parse_net import PUBLISHED_PARSE_NET, ParseNet
from ...networks.psfr_generator import PUBLISHED_GENERATOR, PsfrGenerator


@dataclass(frozen=True)
class BenchmarkContext:
    """Values that all cases share; models are names or files, None for random weights; images are (3, H, W), RGB."""

    device: torch.device
    repeats: int
    generator: str | None = None
    parser: str | None = None
    detector: str | None = None
    images: tuple[Tensor, ...] = ()

    def plain_generator(self) -> PsfrGenerator:
        """Return the generator as it is loaded, before optimization."""
        return PsfrGenerator(PUBLISHED_GENERATOR).eval() if self.generator is None else load_generator(self.generator)

    def plain_parse_net(self) -> ParseNet:
        """Return the parsing network as it is loaded, before optimization."""
        return ParseNet(PUBLISHED_PARSE_NET).eval() if self.parser is None else load_parse_net(self.parser)

    @property
    def dtypes(self) -> list[torch.dtype]:
        """Return float32 and, if there is one, the faster dtype of the device."""
        fast = torch.float16 if self.device.type == "cuda" else fastest_dtype(self.device)
        return [torch.float32] if fast == torch.float32 else [torch.float32, fast]
