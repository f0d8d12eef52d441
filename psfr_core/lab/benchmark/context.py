"""Define the device, models and images that all benchmark cases use."""

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
    """Device, number of runs, models and images that all cases use.

    Models are names or files. If ``generator`` or ``parser`` is None, the cases networks and loading use random weights in the
    published shapes, and other cases use the bundled network. ``images`` are (3, H, W), RGB in [0, 1].
    """

    device: torch.device
    repeats: int
    generator: str | None = None
    parser: str | None = None
    detector: str | None = None
    images: tuple[Tensor, ...] = ()

    def plain_generator(self) -> PsfrGenerator:
        """Load the generator, or create one with random weights, without optimizing it."""
        return PsfrGenerator(PUBLISHED_GENERATOR).eval() if self.generator is None else load_generator(self.generator)

    def plain_parse_net(self) -> ParseNet:
        """Load the parsing network, or create one with random weights, without optimizing it."""
        return ParseNet(PUBLISHED_PARSE_NET).eval() if self.parser is None else load_parse_net(self.parser)

    @property
    def dtypes(self) -> list[torch.dtype]:
        """float32 and, if the device computes faster in another dtype, that dtype."""
        fast = torch.float16 if self.device.type == "cuda" else fastest_dtype(self.device)
        return [torch.float32] if fast == torch.float32 else [torch.float32, fast]
