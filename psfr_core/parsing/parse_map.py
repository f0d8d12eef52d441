"""Define parse maps, which label each pixel of a face with its region."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import torch
from torch import Tensor

from ..checks import check_finite, check_float, check_real, check_shape, check_type
from ..errors import ImageFileError, InputError, PositionError
from ..images.box import Size
from ..options import check_value
from .label_png import read_label_png, write_label_png
from .labels import MIRRORED_REGION, REGION_COLORS, FaceRegion, Regions, regions_of

_CLASSES = len(FaceRegion)
_MAX_SIDE = 2**15 - 1  # pixels


class UnknownColor(str, Enum):
    """Handling of colors that do not belong to any region."""

    ERROR = "error"
    NEAREST = "nearest"  # use the nearest region color, for images that are resized, generated or softly painted


@dataclass(frozen=True, eq=False)  # comparing tensors does not yield a single bool
class ParseMap:
    """Region labels of a batch of faces: ``labels`` (B, H, W) is uint8 and contains the numbers of FaceRegion.

    Raises InputError for another shape or dtype, and for other numbers.
    """

    labels: Tensor

    def __post_init__(self) -> None:
        check_shape(self.labels, "B H W", "labels")
        if self.labels.dtype != torch.uint8:
            raise InputError(
                f"labels must be of dtype torch.uint8, got {self.labels.dtype}. "
                "Use ParseMap.from_logits for class scores and ParseMap.from_color for color images."
            )
        low, high = torch.stack(torch.aminmax(self.labels)).tolist()
        if high >= _CLASSES:
            raise InputError(f"labels must be from 0 to {_CLASSES - 1}, found {low} to {high}.")

    @classmethod
    def from_logits(cls, parse_logits: Tensor) -> ParseMap:
        """Return maps with the region of the highest class score in ``parse_logits`` (B, 19, H, W) for each pixel.

        Raises InputError for another shape or dtype, and for values that are not finite.
        """
        check_shape(parse_logits, f"B {_CLASSES} H W", "parse_logits")
        check_float(parse_logits, "parse_logits")
        check_finite(parse_logits, "parse_logits")
        return cls(parse_logits.max(dim=1).indices.to(torch.uint8))  # four times as fast as argmax on a CPU

    @classmethod
    def from_picture(cls, picture: Tensor, unknown: UnknownColor = UnknownColor.ERROR) -> ParseMap:
        """Read the maps from images (B, 3, H, W), RGB in [0, 1], that ``to_grey`` or ``to_color`` returned.

        If all images contain only gray levels from 0 to 18 of 255, these are the labels. Except for black, no region has such a
        color. Otherwise, the images are read by ``from_color``, which may raise InputError.
        """
        check_shape(picture, "B 3 H W", "picture")
        check_float(picture, "picture")
        check_type(unknown, UnknownColor, "unknown")
        levels = _levels(picture)
        if bool((levels == levels[:, :1]).all() and (levels >= 0).all() and (levels < _CLASSES).all()):
            return cls(levels[:, 0].to(torch.uint8))
        return cls.from_color(picture, unknown)

    @classmethod
    def from_color(cls, picture: Tensor, unknown: UnknownColor = UnknownColor.ERROR) -> ParseMap:
        """Read the maps from images (B, 3, H, W), RGB in [0, 1], that ``to_color`` returned.

        Other colors, which occur in resized and JPEG images, raise InputError unless ``unknown`` is UnknownColor.NEAREST.
        Values that are not finite always raise InputError.
        """
        check_shape(picture, "B 3 H W", "picture")
        check_float(picture, "picture")
        check_finite(picture, "picture")
        check_type(unknown, UnknownColor, "unknown")
        if unknown is UnknownColor.NEAREST:
            return cls(_nearest_color(picture))
        codes = _color_codes(_levels(picture).long())
        palette = _color_codes(_palette(picture.device).T[None, :, :, None]).flatten()
        ordered, region = palette.sort()
        index = torch.searchsorted(ordered, codes).clamp(max=_CLASSES - 1)
        is_unknown = ordered[index] != codes
        if bool(is_unknown.any()):
            raise InputError(_unknown_color(picture, is_unknown))
        return cls(region[index].to(torch.uint8))

    @classmethod
    def from_png(cls, path: str | Path) -> ParseMap:
        """Read the map of one face from a PNG file whose gray values or palette indices are labels.

        Raises ImageFileError for files that cannot be read or have other values.
        """
        try:
            return cls(read_label_png(Path(path))[None])
        except InputError as error:
            raise ImageFileError(f"{path} is not a label image: {error}") from error

    def to_png(self, path: str | Path) -> None:
        """Write the map of one face to an 8-bit gray PNG file with the labels as values, which looks nearly black.

        Raises InputError unless there is exactly one map, and ImageFileError if the file cannot be written or its name does not end
        with .png.
        """
        if len(self) != 1:
            raise InputError(
                f"A PNG file stores one parse map, got {len(self)}. Write parse_map[0], parse_map[1] and so on separately."
            )
        write_label_png(Path(path), self.labels[0])

    def __len__(self) -> int:
        return self.labels.shape[0]

    def __iter__(self) -> Iterator[ParseMap]:
        """Yield the map of each face as a batch of one."""
        return (self[index] for index in range(len(self)))

    def __getitem__(self, index: int | slice) -> ParseMap:
        """Return the map of one face or the maps of a slice, as a batch.

        Raises PositionError for an index out of range, and InputError for other types and empty slices.
        """
        try:
            indices = range(len(self))[index]
        except IndexError:
            raise PositionError(f"The index {index} is out of range for {len(self)} parse maps.") from None
        except (TypeError, ValueError) as error:
            raise InputError(f"Indices of parse maps must be integers or slices: {error}.") from None
        if isinstance(indices, int):
            return ParseMap(self.labels[indices][None])
        return ParseMap(
            self.labels[indices.start : indices.stop : indices.step] if indices.step > 0 else self.labels[list(indices)]
        )

    @property
    def size(self) -> Size:
        return Size.of(self.labels)

    @property
    def one_hot(self) -> Tensor:
        """One-hot labels, float32 (B, 19, H, W)."""
        channels = torch.arange(_CLASSES, dtype=torch.uint8, device=self.labels.device)
        return (self.labels[:, None] == channels[:, None, None]).float()

    def mask(self, regions: Regions) -> Tensor:
        """Return a mask, float32 (B, 1, H, W), that is 1 in ``regions`` and 0 elsewhere.

        Raises OptionError for ``regions`` of another type.
        """
        chosen = regions_of(regions)
        table = torch.tensor(
            [region in chosen for region in FaceRegion], dtype=torch.float32, device=self.labels.device
        )
        return table[self.labels.long()][:, None]

    def to_color(self) -> Tensor:
        """Return images (B, 3, H, W), RGB in [0, 1], that show each region in its color of REGION_COLORS."""
        palette = _palette(self.labels.device).float() / 255
        return palette[self.labels.long()].permute(0, 3, 1, 2).contiguous()

    def to_grey(self) -> Tensor:
        """Return images (B, 3, H, W) with the labels as gray levels from 0 to 18 of 255, which look nearly black."""
        return (self.labels.float() / 255)[:, None].repeat(1, 3, 1, 1)

    def resized(self, size: Size) -> ParseMap:
        """Return the map resized to ``size`` by nearest-neighbor interpolation.

        Raises OptionError for sides that are not from 1 to 32767 pixels.
        """
        check_type(size, Size, "size")
        for name, pixels in size._asdict().items():
            check_value(name, pixels, int, low=1, high=_MAX_SIDE)
        if size == self.size:
            return self
        rows = _nearest(self.size.height, size.height, self.labels.device)
        columns = _nearest(self.size.width, size.width, self.labels.device)
        return ParseMap(self.labels[:, rows][:, :, columns])

    def mirrored(self) -> ParseMap:
        """Return the map of the horizontally mirrored face, with left and right regions exchanged."""
        exchange = torch.tensor(
            [MIRRORED_REGION[region] for region in FaceRegion], dtype=torch.uint8, device=self.labels.device
        )
        return ParseMap(exchange[self.labels.flip(-1).long()])

    def replaced(self, mask: Tensor, region: FaceRegion) -> ParseMap:
        """Return the map with ``region`` where ``mask`` (B, 1, H, W) or (1, 1, H, W) is above 0.5.

        Raises InputError for a mask of another shape or dtype.
        """
        check_type(region, FaceRegion, "region")
        check_real(mask, "mask")
        check_shape(mask, f"B 1 {self.size.height} {self.size.width}", "mask")
        if mask.shape[0] not in (1, len(self)):
            raise InputError(
                f"mask has a batch of {mask.shape[0]} for {len(self)} parse maps. Pass one mask, or one per map."
            )
        return ParseMap(self.labels.masked_fill(mask[:, 0] > 0.5, int(region)))


def _palette(device: torch.device) -> Tensor:
    """Return the region colors (19, 3), integers from 0 to 255."""
    return torch.tensor([REGION_COLORS[region] for region in FaceRegion], device=device)


def _nearest_color(image: Tensor) -> Tensor:
    """Return the labels (B, H, W) of the regions whose colors are nearest to ``image`` (B, 3, H, W) in RGB."""
    colors = _palette(image.device).float() / 255
    flat = image.float().permute(0, 2, 3, 1).reshape(-1, 3)
    nearest = [torch.cdist(part, colors).argmin(dim=1) for part in flat.split(1 << 20)]  # 80 MB of distances at a time
    return torch.cat(nearest).to(torch.uint8).view(image.shape[0], *image.shape[2:])


def _levels(image: Tensor) -> Tensor:
    """Convert values in [0, 1] to levels from 0 to 255. Levels far out of this range are clamped to -1024 and 3071."""
    return (image.float() * 255).round().clamp(-1024, 3071)


def _color_codes(levels: Tensor) -> Tensor:
    """Encode each color of ``levels`` (B, 3, H, W) as one integer (B, H, W)."""
    red, green, blue = (levels + 1024).unbind(dim=1)
    return (red << 24) | (green << 12) | blue


def _unknown_color(image: Tensor, is_unknown: Tensor) -> str:
    index, y, x = (int(position) for position in is_unknown.nonzero()[0])
    levels = tuple(int(level) for level in _levels(image[index, :, y, x]))
    return (
        f"Color {levels} at x {x}, y {y} of image {index} does not belong to any face region. "
        "Use the exact region colors without soft brushes, and save as PNG, not JPEG; or choose the nearest color."
    )


def _nearest(old: int, new: int, device: torch.device) -> Tensor:
    """Return the index of the nearest of ``old`` pixels for each of ``new`` pixels along an axis."""
    return ((torch.arange(new, device=device) + 0.5) * (old / new)).long().clamp(max=old - 1)
