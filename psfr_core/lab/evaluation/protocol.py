"""Define evaluation protocols, which fix the number and size of the faces, and the seeds of their degradation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from ...errors import OptionError


@dataclass(frozen=True)
class EvaluationProtocol:
    """Protocol that measures a random sample of ``count`` faces, resized to ``size`` pixels.

    Face n of the sample, counted from 0, is degraded with seed ``seed`` + n. PSNR, SSIM, MS-SSIM, LPIPS and a
    Fréchet distance are always measured, and other metrics such as FID on request.
    """

    count: int
    size: int
    seed: int

    def draw(self, faces: Sequence[Path]) -> list[Path]:
        """Draw ``count`` of the ``faces`` and return them in the order of ``faces``. Raise OptionError if there are too few."""
        if len(faces) < self.count:
            raise OptionError(
                f"The protocol measures {self.count:,} faces, but only {len(faces):,} were found. "
                "Give a folder with more faces, such as the 30,000 of CelebA-HQ."
            )
        order = torch.randperm(len(faces), generator=torch.Generator().manual_seed(self.seed))
        return [faces[index] for index in sorted(order[: self.count].tolist())]


# Chen et al., Progressive Semantic-Aware Style Transformation for Blind Face Restoration (2021), measures
# 2,800 faces of CelebA-HQ. The faces and their degradations are not published, so both are drawn with a fixed seed.
PAPER = EvaluationProtocol(count=2_800, size=512, seed=0)
