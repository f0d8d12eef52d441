"""Make image pyramids and tiles for face detection, and convert the results to pixels of the image.

Detection networks recognize faces up to a certain size, and report parts of larger faces. Therefore, an image is searched at
several sizes, each half as large as the previous one, and only the smallest may report large faces. The search also finds large
blurred faces, which look like ordinary faces once they are small enough.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil, inf

import torch
import torch.nn.functional as F
from torch import Tensor

from ..images.box import PixelBox, Size
from ..images.resize import resize
from .detection_options import DetectionOptions
from .proposals import Candidates

SIZE_MULTIPLE = 32  # side of the networks' coarsest cells in pixels
TILE_OVERLAP = 0.25  # minimum overlap of tiles as a fraction of their side
BORDER_PX = 4  # boxes this close to an inner border of a tile may be truncated


@dataclass(frozen=True)
class ScaleRange:
    """Range of face sizes that a network detects well, in pixels of its input. The defaults are for RetinaFace."""

    max_face: float = 400  # maximum longer side of a box in all levels except the smallest
    coarsest_side: int = 512  # maximum longer side of the smallest level


@dataclass(frozen=True)
class PyramidLevel:
    """The rectangle ``part`` of an image, resized to ``size``."""

    part: PixelBox
    size: Size
    max_face: float = inf  # maximum longer side of a box in pixels of this level

    def to_image(self, candidates: Candidates) -> Candidates:
        """Convert candidates of this level to pixels of the whole image."""
        scale = (self.part.size.width / self.size.width, self.part.size.height / self.size.height)
        return candidates.mapped(scale, (self.part.left, self.part.top))

    def is_reliable(self, candidates: Candidates, image_size: Size) -> Tensor:
        """Return a mask (N,) of the ``candidates`` that are not too large and not truncated by an inner border of the level.

        ``candidates`` are in pixels of this level. An inner border is a border of ``part`` that is not a border of the image.
        """
        part, image, boxes = self.part, PixelBox(0, 0, *image_size), candidates.boxes
        low = [-inf if part[side] == image[side] else BORDER_PX for side in (0, 1)]
        high = [inf if part[side] == image[side] else self.size[side - 2] - BORDER_PX for side in (2, 3)]
        is_whole = (boxes[:, :2] >= boxes.new_tensor(low)) & (boxes[:, 2:] <= boxes.new_tensor(high))
        return is_whole.all(dim=1) & ((boxes[:, 2:] - boxes[:, :2]) <= self.max_face).all(dim=1)


def level_images(images: Tensor, levels: Sequence[PyramidLevel]) -> Iterator[Tensor]:
    """Yield ``images`` (B, C, H, W) at each of ``levels``, padded at the right and the bottom to multiples of 32 pixels.

    Levels of the whole image must be sorted by descending size, because each is computed from the previous one. The padding has the
    mean color of the level. If border pixels were replicated, they would form large stripes in small levels, and the network would
    miss faces that touch the border.
    """
    whole = images
    for level in levels:
        if level.part.size == Size.of(images):
            # Downscale the previous level, which is faster than downscaling the images.
            whole = level_image = _shrunk(whole, level.size)
        else:
            level_image = _shrunk(level.part.cut(images), level.size)
        yield _padded(level_image)


def _padded(level_image: Tensor) -> Tensor:
    height, width = (ceil(side / SIZE_MULTIPLE) * SIZE_MULTIPLE for side in level_image.shape[-2:])
    if (height, width) == level_image.shape[-2:]:
        return level_image
    padded = level_image.mean(dim=(-2, -1), keepdim=True).repeat(1, 1, height, width)
    padded[..., : level_image.shape[-2], : level_image.shape[-1]] = level_image
    return padded


def _shrunk(images: Tensor, size: Size) -> Tensor:
    """Resize ``images`` to ``size``. While their sides are even and at least twice as long, halve them by averaging.

    Averaging takes a fifth of the time of bicubic resizing.
    """
    while min(images.shape[-1] / size.width, images.shape[-2] / size.height) >= 2 and not (
        images.shape[-1] % 2 or images.shape[-2] % 2
    ):
        images = _halved(images)
    return resize(images, size)


def _halved(images: Tensor) -> Tensor:
    # Each output pixel is the mean of four input pixels. With a single channel, PyTorch does not copy the images.
    planes = F.interpolate(images.flatten(0, 1)[:, None], scale_factor=0.5, mode="bilinear")
    return planes.view(*images.shape[:2], *planes.shape[-2:])


def image_pyramid(size: Size, options: DetectionOptions, scale_range: ScaleRange) -> list[PyramidLevel]:
    """Return the pyramid levels of an image of ``size``.

    With the option ``tiles``, an image with a side above ``max_side`` is also divided into tiles at full size.
    """
    whole = PixelBox(0, 0, *size)
    sizes = search_sizes(size, options, scale_range.coarsest_side)
    levels = [
        *(PyramidLevel(whole, larger, scale_range.max_face) for larger in sizes[:-1]),
        PyramidLevel(whole, sizes[-1]),
    ]
    if options.tiles and max(size) > options.max_side:
        levels += [PyramidLevel(tile, tile.size, scale_range.max_face) for tile in _tiles(size, options.max_side)]
    return levels


def search_sizes(size: Size, options: DetectionOptions, coarsest_side: int) -> list[Size]:
    """Return the sizes at which an image of ``size`` is searched, largest first.

    The first size is that of the image. If necessary, it is enlarged to a shorter side of ``min_side``, and then limited to a
    longer side of ``max_side``. The sides are halved until the longer side is at most ``coarsest_side``.
    """
    scale = min(max(1.0, options.min_side / min(size)), options.max_side / max(size))
    sizes = [_scaled(size, scale)]
    while max(sizes[-1]) > coarsest_side:
        scale /= 2
        sizes.append(_scaled(size, scale))
    return sizes


def _scaled(size: Size, scale: float) -> Size:
    return Size(*(max(1, round(side * scale)) for side in size))


def _tiles(size: Size, side: int) -> list[PixelBox]:
    columns, rows = _intervals(size.width, side), _intervals(size.height, side)
    return [PixelBox(left, top, right, bottom) for top, bottom in rows for left, right in columns]


def _intervals(length: int, side: int) -> list[tuple[int, int]]:
    """Return equal intervals of at most ``side`` that cover 0 to ``length`` and overlap by at least a quarter of ``side``."""
    if length <= side:
        return [(0, length)]
    overlap = round(side * TILE_OVERLAP)
    count = ceil((length - overlap) / (side - overlap))
    starts = torch.linspace(0, length - side, count, device="cpu").round().int().tolist()
    return [(start, start + side) for start in starts]
