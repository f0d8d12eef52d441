"""Compare the automatic strength with no restoration and full restoration at many degradation levels."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from ...networks.face_restorer import FaceRestorer
from ...networks.parse_net import ParseNet
from ...parsing.parser import parse_faces
from ...restoration.automatic_strength import automatic_strength
from ...restoration.color_match import ColorMatch, match_colors
from ...restoration.enhance import enhance_faces
from ...restoration.photo_quality import fine_correlation, noise_level
from ..metrics.lpips import Lpips
from .quality_levels import degraded_versions
from .stage import Row


@torch.no_grad()
def strength_rows(
    face: Tensor, seed: int, generator: FaceRestorer, parse_net: ParseNet, lpips: Lpips
) -> Mapping[str, Row]:
    """Return one row for each degradation level of the clean ``face`` (3, S, S), where S is the size of the generator.

    ``input``, ``full`` and ``automatic`` are the LPIPS of the degraded face, of the fully restored face and of the face restored
    at the automatic strength. ``strength`` is the automatic strength, which ``correlation`` and ``removed_noise`` determine.
    ``seed`` determines the degradations. ``lpips`` must be on the device of the generator.
    """
    rows: dict[str, Row] = {}
    device = next(generator.parameters()).device
    for level, pair in degraded_versions(face, seed).items():
        lq, hq = (image[None].to(device) for image in pair)
        result = match_colors(enhance_faces(lq, parse_faces(lq, parse_net), generator), lq, ColorMatch.LOW_FREQUENCY)
        strength = automatic_strength(result, lq)
        restored = lq.lerp(result, strength[:, None, None, None])
        rows[level] = {
            "input": float(lpips(lq, hq)),
            "full": float(lpips(result, hq)),
            "automatic": float(lpips(restored, hq)),
            "strength": float(strength),
            "correlation": float(fine_correlation(result, lq)),
            "removed_noise": float(noise_level(lq) - noise_level(result)),
        }
    return rows
