"""Draw closed and narrowed eyes over open ones, for training and for clips with blinks.

The opening of an eye is read from its labels, column by column. The skin above the eye is stretched down to the line where
the lids meet, like a real lid. Color, shading, make-up and lashes vary widely, so that the drawn eyes resemble many real ones.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ...parsing.labels import FaceRegion

BOTH_EYES_PROBABILITY = 0.8  # otherwise one eye stays open
NARROWED_PROBABILITY = 0.25  # otherwise the eyes are closed completely
_MIN_EYE_WIDTH = 0.03  # fraction of the image width; narrower regions are parts of eyes behind hair


def close_eyes(image: Tensor, labels: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return the face with one or both eyes closed or narrowed, and its labels, in which lids are skin.

    ``image`` is (3, S, S) float, RGB in [0, 1]. ``labels`` are (S, S) uint8, values of FaceRegion. Eyes without labels and
    very narrow eyes do not change. Narrowed eyes keep their label where they stay open.
    """
    draws = torch.rand(3, generator=generator).tolist()
    eyes = [FaceRegion.LEFT_EYE, FaceRegion.RIGHT_EYE]
    if draws[0] > BOTH_EYES_PROBABILITY:
        eyes = eyes[int(draws[1] < 0.5) :][:1]
    style = _Style.sampled(draws[2] < NARROWED_PROBABILITY, generator)
    for eye in eyes:
        opening = _Opening.of(labels == eye)
        if opening is not None:
            image, labels = _close_eye(image, labels, opening, style, generator)
    return image, labels


class _Style(NamedTuple):
    """Style of the lids of both eyes. Lengths are fractions of the opening's height unless stated otherwise."""

    drop: float  # movement of the upper lid; 1 closes the eye completely
    rise: float  # movement of the lower lid
    bend: float  # downward bend of the line where the lids meet
    reach: float  # height of the stretched skin above and below the opening
    lash_edge: float  # lowest stretched row, below the opening's upper edge; lashes are stretched if positive
    plainness: float  # 0: stretched skin, 1: mean color of the skin
    shade: float  # darkening towards crease and lashes
    crease: float  # opacity of the crease
    crease_height: float  # 0: at the top of the lid, 1: at the lashes
    line: float  # opacity of the lash line
    thickness: float  # thickness of the lash line, in 256ths of the image side
    darkness: float  # darkness of the lash line, 1: black
    lashes: float  # opacity of single lashes below the line
    makeup: Tensor  # factors of the color channels, (3,)

    @classmethod
    def sampled(cls, is_narrowed: bool, generator: torch.Generator) -> _Style:
        u = torch.rand(16, generator=generator).tolist()
        tint = torch.rand(3, generator=generator)
        return cls(
            drop=0.3 + 0.35 * u[0] if is_narrowed else 1.0,
            rise=0.0 if is_narrowed else max(0.0, 0.9 * u[1] - 0.35),
            bend=0.0 if is_narrowed else 0.7 * u[2] - 0.4,
            reach=0.3 + 0.9 * u[3],
            lash_edge=0.25 * u[4] - 0.17,
            plainness=u[5] if u[6] < 0.6 else 0.0,
            shade=0.25 * u[7] - 0.05,
            crease=0.4 * u[8] if u[9] < 0.6 else 0.0,
            crease_height=0.5 * u[10],
            line=0.25 + 0.75 * u[11],
            thickness=0.5 + 1.7 * u[12] ** 1.5,
            darkness=0.6 + 0.4 * u[13],
            lashes=u[14] if u[15] < 0.5 else 0.0,
            makeup=1 - 0.35 * tint if tint[0] < 0.25 else torch.ones(3),
        )

    @property
    def is_narrowed(self) -> bool:
        """Whether a part of the eye stays open."""
        return self.drop < 1


class _Opening(NamedTuple):
    """Opening of an eye between two smooth curves, with one value for each image column."""

    upper: Tensor  # (S,): row of the upper edge
    lower: Tensor  # (S,): row of the lower edge
    across: Tensor  # (S,): -1 at the left corner of the eye, 1 at the right corner
    height: float  # maximum height in pixels

    @classmethod
    def of(cls, is_eye: Tensor) -> _Opening | None:
        """Fit the opening to the mask (S, S) of one eye. Return None if the mask is too narrow."""
        columns = is_eye.any(dim=0).nonzero()[:, 0]
        side = is_eye.shape[-1]
        if len(columns) < max(4, _MIN_EYE_WIDTH * side):
            return None
        rows = torch.arange(side)[:, None]
        first = torch.where(is_eye, rows, side).amin(dim=0)[columns]
        last = torch.where(is_eye, rows, -1).amax(dim=0)[columns] + 1
        center, half = (columns[0] + columns[-1]) / 2, (columns[-1] - columns[0] + 1) / 2
        across = (torch.arange(side) - center) / half
        # the curves are constant beyond the corners, where cubic polynomials would diverge
        powers = across.clamp(-1.15, 1.15).double()[:, None] ** torch.arange(4)
        curves = torch.linalg.lstsq(powers[columns], torch.stack([first, last], dim=1).double()).solution
        upper, lower = (powers @ curves).float().T
        lower = torch.maximum(lower, upper)
        return cls(upper, lower, across, max(1.0, float((lower - upper)[columns].amax())))

    @property
    def arch(self) -> Tensor:
        """Curve (S,) that is 1 at the center of the eye, and 0 at its corners and beyond."""
        return (1 - self.across**2).clamp(min=0)


class _Lids(NamedTuple):
    """Drawn lids as curves with one value for each image column."""

    top: Tensor  # (S,): top row of the stretched skin of the upper lid
    line: Tensor  # (S,): bottom row of the upper lid, with its lashes
    bottom: Tensor  # (S,): bottom row of the stretched skin of the lower lid
    fade: Tensor  # (S,): 1 over the eye, 0 beyond the corners
    rows: Tensor  # (S, 1): rows of the pixel centers

    @classmethod
    def of(cls, eye: _Opening, style: _Style) -> _Lids:
        gap = eye.lower - eye.upper
        if style.is_narrowed:
            line = eye.upper + style.drop * gap
        else:
            line = eye.lower - style.rise * gap + style.bend * eye.height * eye.arch
        fade = (12 * (1.12 - eye.across.abs())).clamp(0, 1)
        reach = style.reach * eye.height * fade.clamp(min=0.05)
        rows = torch.arange(len(line))[:, None] + 0.5
        return cls(eye.upper - reach, line, eye.lower + 0.5 * reach, fade, rows)

    @property
    def depth(self) -> Tensor:
        """Relative position (S, S) of each pixel on the upper lid: 0 at its top, 1 at its lashes."""
        return (self.rows - self.top) / (self.line - self.top).clamp(min=1e-3)

    @property
    def is_upper(self) -> Tensor:
        return (self.rows > self.top) & (self.rows < self.line)

    @property
    def is_lower(self) -> Tensor:
        return (self.rows >= self.line) & (self.rows < self.bottom)


def _close_eye(
    image: Tensor, labels: Tensor, eye: _Opening, style: _Style, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Draw the lids of one eye, and return the image and the labels."""
    lids = _Lids.of(eye, style)
    end = lids.line if style.is_narrowed else eye.lower + 1
    is_covered = (lids.rows > eye.upper - 1) & (lids.rows < end) & (eye.across.abs() < 1.1)
    drawn = _resample_columns(image, _source_rows(eye, lids, style))
    is_stretched = lids.is_upper if style.is_narrowed else lids.is_upper | lids.is_lower
    skin = is_stretched & ~is_covered & (labels == FaceRegion.SKIN)
    if bool(skin.any()):
        color = image[:, skin].mean(dim=1)[:, None, None]
        drawn = drawn.lerp(color.expand_as(drawn), style.plainness * _soften(is_covered))
    drawn = drawn * _shading(lids, style)
    drawn = _with_lashes(drawn, lids.rows - lids.line, eye, style, generator)
    is_eye = (labels == FaceRegion.LEFT_EYE) | (labels == FaceRegion.RIGHT_EYE)
    is_lid = is_eye & (eye.across.abs() < 1.3) & ((lids.rows < lids.line) | (not style.is_narrowed))
    return drawn.clamp(0, 1), labels.masked_fill(is_lid, FaceRegion.SKIN)


def _source_rows(eye: _Opening, lids: _Lids, style: _Style) -> Tensor:
    """Return the row (S, S) from which each pixel is sampled, so that the skin is stretched until the lids meet."""
    inset = style.lash_edge * eye.height * eye.arch.sqrt()
    upper = lids.top + lids.depth * (eye.upper + inset - lids.top)
    rows = torch.where(lids.is_upper, upper, lids.rows)
    if not style.is_narrowed:
        up = (lids.bottom - lids.rows) / (lids.bottom - lids.line).clamp(min=1e-3)
        rows = torch.where(lids.is_lower, lids.bottom - up * (lids.bottom - eye.lower - inset.abs()), rows)
    return torch.lerp(lids.rows.expand_as(rows), rows, lids.fade)


def _resample_columns(image: Tensor, rows: Tensor) -> Tensor:
    """Sample each column of the image (3, S, S) at the given ``rows`` (S, S)."""
    side = image.shape[-1]
    columns = (torch.arange(side) + 0.5).expand(side, side)
    grid = torch.stack([columns, rows], dim=-1) * 2 / side - 1
    return F.grid_sample(image[None], grid[None], mode="bilinear", padding_mode="border", align_corners=False)[0]


def _soften(mask: Tensor) -> Tensor:
    """Blur the mask (S, S) over 3 x 3 pixels, and return it as (1, S, S)."""
    return F.avg_pool2d(mask[None, None].float(), 3, stride=1, padding=1)[0]


def _shading(lids: _Lids, style: _Style) -> Tensor:
    """Return color factors (3, S, S) for the bulge, the crease and the make-up of the upper lid."""
    bulge = 1 - style.shade * (2 * lids.depth - 1).clamp(-1, 1) ** 2
    crease = 1 - style.crease * torch.exp(-(((lids.depth - style.crease_height) / 0.08) ** 2))
    factor = (bulge * crease)[None] * style.makeup[:, None, None]
    return 1 + (factor - 1) * _soften(lids.fade * lids.is_upper * (3 * lids.depth).clamp(0, 1))


def _with_lashes(image: Tensor, below: Tensor, eye: _Opening, style: _Style, generator: torch.Generator) -> Tensor:
    """Draw the lash line and single lashes below it.

    ``below`` (S, S) is the number of rows from the line to each pixel, and negative above the line.
    """
    unit = image.shape[-1] / 256
    taper = (1.05 - eye.across**2).clamp(0, 1) ** 0.5
    thickness = (style.thickness * unit * (0.4 + 0.6 * taper)).clamp(min=0.3)
    line = style.line * torch.exp(-((below / thickness) ** 2))
    dense = torch.rand(image.shape[-1], generator=generator)
    hang = torch.exp(-below.clamp(min=0) / (2.5 * unit)) * (below > 0)
    opacity = torch.maximum(line, style.lashes * dense * hang) * (taper > 0.05)
    color = image.mean(dim=(1, 2), keepdim=True) * (1 - style.darkness)
    return image.lerp(color.expand_as(image), opacity)
