"""Compare the automatic strength with no and full restoration at many levels of degradation."""

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
from .tables import markdown_table, means_of, shown


@torch.no_grad()
def strength_rows(
    face: Tensor, seed: int, generator: FaceRestorer, parse_net: ParseNet, lpips: Lpips
) -> Mapping[str, Row]:
    """Return one row for each level of degradation of the clean ``face`` (3, S, S), at the size of the generator.

    The columns are LPIPS of the photo, of its full and of its automatic restoration, the automatic strength, and the measures
    that it follows.
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


def strength_table(rows: Mapping[str, Mapping[str, Row]]) -> str:
    """Return the means of the ``rows`` of faces by level as a Markdown table with a line for each level."""
    levels = list(next(iter(rows.values())))
    means = {level: means_of({name: of_face[level] for name, of_face in rows.items()}) for level in levels}
    columns = list(next(iter(means.values())))
    return markdown_table(
        [f"mean of {len(rows)}", *columns],
        *([level, *(shown(mean[column]) for column in columns)] for level, mean in means.items()),
    )
