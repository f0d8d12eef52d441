"""Protocols: which faces are measured, at which size, degraded by which seeds, and by what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import torch

from ..errors import OptionError


class ProtocolName(str, Enum):
    """The protocols there are."""

    PAPER = "paper"


@dataclass(frozen=True)
class Protocol:
    """``count`` faces drawn by ``draw_seed`` from a folder, at ``size`` pixels, the n-th degraded by ``degradation_seed`` + n.

    PSNR, SSIM, MS-SSIM, LPIPS and a Fréchet distance are measured: FID where the weights of Inception are given.
    """

    count: int
    size: int
    draw_seed: int
    degradation_seed: int

    def draw(self, faces: Sequence[Path]) -> list[Path]:
        """The faces of the protocol, in the order of ``faces``; OptionError when there are too few."""
        if len(faces) < self.count:
            raise OptionError(
                f"The protocol measures {self.count:,} faces, but only {len(faces):,} were found. "
                "Give a folder that holds at least as many, such as the 30,000 of CelebA-HQ."
            )
        order = torch.randperm(len(faces), generator=torch.Generator().manual_seed(self.draw_seed))
        return [faces[index] for index in sorted(order[: self.count].tolist())]


PROTOCOLS = {
    # Chen et al., Progressive Semantic-Aware Style Transformation for Blind Face Restoration (2021), measures
    # 2,800 faces of CelebA-HQ. Which those are and how each was degraded is not known here, so the seeds say.
    ProtocolName.PAPER: Protocol(count=2_800, size=512, draw_seed=0, degradation_seed=0),
}
