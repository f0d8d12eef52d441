"""Evaluation protocols: the number, size and seeds of the faces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from ...errors import OptionError


@dataclass(frozen=True)
class EvaluationProtocol:
    """Random sample of ``count`` faces from a folder, at ``size`` pixels; the n-th is degraded with seed ``seed`` + n.

    The metrics are PSNR, SSIM, MS-SSIM, LPIPS, a Fréchet distance, and FID if the Inception weights are given.
    """

    count: int
    size: int
    seed: int

    def draw(self, faces: Sequence[Path]) -> list[Path]:
        """Return the faces of the protocol in the order of ``faces``; raise OptionError if there are too few."""
        if len(faces) < self.count:
            raise OptionError(
                f"The protocol measures {self.count:,} faces, but only {len(faces):,} were found. "
                "Give a folder with more faces, such as the 30,000 of CelebA-HQ."
            )
        order = torch.randperm(len(faces), generator=torch.Generator().manual_seed(self.seed))
        return [faces[index] for index in sorted(order[: self.count].tolist())]


# Chen et al., Progressive Semantic-Aware Style Transformation for Blind Face Restoration (2021), measures
# 2,800 faces of CelebA-HQ. It is not known which, nor how they were degraded, so both are drawn with a fixed seed.
PAPER = EvaluationProtocol(count=2_800, size=512, seed=0)
