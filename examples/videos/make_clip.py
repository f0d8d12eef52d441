"""Make portrait.mp4 from ../images/portrait_clean.jpg: a poor recording of a moving face, with new noise in each frame.

python make_clip.py
"""

from __future__ import annotations

import math
from pathlib import Path

import torch
from torch import Tensor

from psfr_core.images.box import Size
from psfr_core.images.channels import to_rgb
from psfr_core.images.io import read_image
from psfr_core.images.similarity import compose_affines, shift_affine
from psfr_core.images.warp import warp_affine
from psfr_core.lab.clip_files import write_clip
from psfr_core.lab.evaluation.face_clips import degraded

HERE = Path(__file__).parent
SIZE = Size(320, 320)
FRAMES = 48


def similarity(image: Tensor, time: float) -> Tensor:
    """Return the transform (2, 3) from the photo to the frame at ``time`` from 0 to 1: a slow sway and an approach."""
    angle, scale = math.radians(4 * math.sin(2 * math.pi * time)), 0.72 + 0.08 * time
    cos, sin = scale * math.cos(angle), scale * math.sin(angle)
    turn = torch.tensor([[cos, -sin, 0.0], [sin, cos, 0.0]], dtype=torch.float64)
    center = (image.shape[-1] - 1) / 2
    x = (SIZE.width - 1) / 2 + 16 * math.sin(4 * math.pi * time)
    return compose_affines(
        compose_affines(shift_affine(-center, -center), turn), shift_affine(x, (SIZE.height - 1) / 2)
    )


def clean_photo() -> Tensor:
    """Return the photo (3, H, W), RGB in [0, 1]."""
    return to_rgb(read_image(HERE.parent / "images" / "portrait_clean.jpg").pixels)


if __name__ == "__main__":
    photo = clean_photo()
    frames = [warp_affine(photo, similarity(photo, index / FRAMES), SIZE).clamp(0, 1) for index in range(FRAMES)]
    write_clip(HERE / "portrait.mp4", degraded(frames, seed=0))
