"""Find closed eyes that a parser labeled as eyes, and relabel them as skin.

Parsers see few closed eyes in training, and label parts of the lids as eyes, where a generator would draw open eyes. ``EyeNet``
classifies each eye of a face as open or closed.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor

from ..images.channels import luma
from ..images.resize import interpolate
from ..models.library import assets_folder
from ..networks.eye_net import EYE_WINDOW, EyeNet
from .labels import FaceRegion, RegionGroup
from .parse_map import ParseMap

CLOSED_LOGITS = 3.0  # eyes are closed if the sum of both logits is larger
_EYES = (FaceRegion.LEFT_EYE, FaceRegion.RIGHT_EYE)
_SIDE = 256  # side of the faces from which windows are cut, in pixels
_MIN_AREA = 6 / _SIDE**2  # fraction of the crop's area; smaller regions are remnants of eyes behind hair


class EyeWindows(NamedTuple):
    """Gray windows of the left eye and the mirrored right eye, and whether the parse map has enough labels of these eyes.

    ``windows`` is (B, 2, 32, 48), or larger with a margin, in [0, 1] on the CPU. ``is_labeled`` is bool (B, 2), also on the CPU.
    The windows of eyes that are not labeled have no meaning.
    """

    windows: Tensor
    is_labeled: Tensor


def with_closed_eyes(crops: Tensor, parse_map: ParseMap) -> ParseMap:
    """Return ``parse_map`` with the eyes relabeled as skin for each face whose eyes are both closed.

    ``crops`` (B, 3, S, S) are the faces, RGB in [0, 1]. An eye without a label counts as undecided, so a single visible eye needs
    twice the evidence. If one eye is clearly open, both eyes keep their labels.
    """
    if not bool(parse_map.mask(RegionGroup.EYES).any()):
        return parse_map
    windows, is_labeled = eye_windows(crops, parse_map)
    with torch.no_grad():
        logits = _bundled_eye_net()(windows.flatten(0, 1)[:, None]).view(-1, 2)
    is_closed = (logits * is_labeled).sum(dim=1) > CLOSED_LOGITS
    mask = parse_map.mask(RegionGroup.EYES) * is_closed.to(parse_map.labels.device)[:, None, None, None]
    return parse_map.replaced(mask, FaceRegion.SKIN)


def eye_windows(crops: Tensor, parse_map: ParseMap, margin: int = 0) -> EyeWindows:
    """Resize ``crops`` (B, 3, S, S), RGB in [0, 1], to 256 px, and cut a window around each labeled eye.

    Each window is extended by ``margin`` pixels on each side.
    """
    gray = luma(interpolate(crops.float(), (_SIDE, _SIDE), "bilinear")).clamp(0, 1).cpu()
    maps = torch.stack([parse_map.labels == eye for eye in _EYES], dim=1).float().cpu()
    rows, columns = (size + 2 * margin for size in EYE_WINDOW)
    padded = F.pad(gray, (columns // 2, columns // 2, rows // 2, rows // 2), mode="replicate")
    area = maps.mean(dim=(2, 3))
    center_y, center_x = _centers(maps)
    windows = [
        torch.stack([image[0, y : y + rows, x : x + columns] for y, x in zip(ys, xs, strict=True)])
        for image, ys, xs in zip(padded, center_y.tolist(), center_x.tolist(), strict=True)
    ]
    left, right = torch.stack(windows).unbind(dim=1)
    return EyeWindows(torch.stack([left, right.flip(-1)], dim=1), area >= _MIN_AREA)


def _centers(maps: Tensor) -> tuple[Tensor, Tensor]:
    """Return the rows and the columns (B, 2) of the centers of ``maps`` (B, 2, S, S), scaled to a side of 256 pixels.

    The center of an empty map is 0.
    """
    positions = (torch.arange(maps.shape[-1]) + 0.5) * (_SIDE / maps.shape[-1])
    total = maps.sum(dim=(2, 3)).clamp(min=1)
    y, x = (maps.sum(dim=axis) @ positions / total for axis in (3, 2))
    return y.long(), x.long()


@cache
def _bundled_eye_net() -> EyeNet:
    network = EyeNet()
    network.load_state_dict(load_file(assets_folder() / "eye_net.safetensors"))
    return network.eval()
