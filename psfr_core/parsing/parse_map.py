"""Which region each pixel of a face belongs to."""

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
_MAX_SIDE = 2**15 - 1  # pixels; a larger side is a mistake


class UnknownColor(str, Enum):
    """What to do with a color that no region has."""

    ERROR = "error"
    NEAREST = (
        "nearest"  # take the region whose color is nearest: for soft brushes, smooth resizing and generated pictures
    )


@dataclass(frozen=True, eq=False)  # tensors do not compare to one bool
class ParseMap:
    """Labels of a batch of faces, uint8 (B, H, W), each the number of a FaceRegion."""

    labels: Tensor

    def __post_init__(self) -> None:
        check_shape(self.labels, "B H W", "labels")
        if self.labels.dtype != torch.uint8:
            raise InputError(
                f"labels must be whole numbers in torch.uint8, got {self.labels.dtype}. "
                "Use ParseMap.from_logits for class scores and ParseMap.from_color for color pictures."
            )
        low, high = torch.stack(torch.aminmax(self.labels)).tolist()
        if high >= _CLASSES:
            raise InputError(f"labels must lie from 0 to {_CLASSES - 1}, found {low} to {high}.")

    @classmethod
    def from_logits(cls, parse_logits: Tensor) -> ParseMap:
        """The likeliest region of each pixel, from class scores (B, 19, H, W)."""
        check_shape(parse_logits, f"B {_CLASSES} H W", "parse_logits")
        check_float(parse_logits, "parse_logits")
        check_finite(parse_logits, "parse_logits")
        return cls(parse_logits.argmax(dim=1).to(torch.uint8))

    @classmethod
    def from_picture(cls, picture: Tensor, unknown: UnknownColor = UnknownColor.ERROR) -> ParseMap:
        """The map that ``to_grey`` or ``to_color`` drew, from a picture (B, 3, H, W), RGB in [0, 1].

        It is taken as labels when all its values are equal greys from 0 to 18 of 255, which no region color but black is.
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
        """The map that ``to_color`` drew, from a picture (B, 3, H, W), RGB in [0, 1].

        Raises InputError for any other color, unless the nearest one is wanted; a picture that was resized smoothly
        or saved as JPEG has them. Values that are not finite are an InputError always.
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
        place = torch.searchsorted(ordered, codes).clamp(max=_CLASSES - 1)
        is_unknown = ordered[place] != codes
        if bool(is_unknown.any()):
            raise InputError(_unknown_color(picture, is_unknown))
        return cls(region[place].to(torch.uint8))

    @classmethod
    def from_png(cls, path: str | Path) -> ParseMap:
        """Return the map of one face, from a PNG whose grey values or palette entries are the labels.

        Raises ImageFileError for a file that cannot be read or holds other values than labels.
        """
        try:
            return cls(read_label_png(Path(path))[None])
        except InputError as error:
            raise ImageFileError(f"{path} is not a label image: {error}") from error

    def to_png(self, path: str | Path) -> None:
        """Write the map of one face as an 8-bit grey PNG of the labels; nearly black to look at.

        Raises ImageFileError when the file cannot be written.
        """
        if len(self) != 1:
            raise InputError(
                f"A PNG file holds one parse map, got {len(self)}. Write parse_map[0], parse_map[1] and so on."
            )
        write_label_png(Path(path), self.labels[0])

    def __len__(self) -> int:
        return self.labels.shape[0]

    def __iter__(self) -> Iterator[ParseMap]:
        """Iterate over the maps of single faces, each a batch of one."""
        return (self[place] for place in range(len(self)))

    def __getitem__(self, index: int | slice) -> ParseMap:
        """Return the map of one face or of some, still a batch; PositionError beyond the last one."""
        try:
            places = range(len(self))[index]
        except IndexError:
            raise PositionError(f"There are only {len(self)} parse maps, numbered from 0.") from None
        except (TypeError, ValueError) as error:
            raise InputError(f"Parse maps are chosen by a whole number or a slice of them: {error}.") from None
        if isinstance(places, int):
            return ParseMap(self.labels[places][None])
        return ParseMap(
            self.labels[places.start : places.stop : places.step] if places.step > 0 else self.labels[list(places)]
        )

    @property
    def size(self) -> Size:
        return Size.of(self.labels)

    @property
    def one_hot(self) -> Tensor:
        """float32 (B, 19, H, W), 1 in the channel of each pixel's region and 0 in the others."""
        channels = torch.arange(_CLASSES, dtype=torch.uint8, device=self.labels.device)
        return (self.labels[:, None] == channels[:, None, None]).float()

    def mask(self, regions: Regions) -> Tensor:
        """float32 (B, 1, H, W), 1 where a pixel is of these regions or groups, 0 elsewhere."""
        chosen = regions_of(regions)
        table = torch.tensor(
            [region in chosen for region in FaceRegion], dtype=torch.float32, device=self.labels.device
        )
        return table[self.labels.long()][:, None]

    def to_color(self) -> Tensor:
        """A picture (B, 3, H, W), RGB in [0, 1], of the regions in their REGION_COLORS."""
        palette = _palette(self.labels.device).float() / 255
        return palette[self.labels.long()].permute(0, 3, 1, 2).contiguous()

    def to_grey(self) -> Tensor:
        """A picture (B, 3, H, W) whose grey of 0 to 18 of 255 is the label: exact in PNG files, nearly black to look at."""
        return (self.labels.float() / 255)[:, None].repeat(1, 3, 1, 1)

    def resized(self, size: Size) -> ParseMap:
        """The map at another size: each pixel takes the label of the nearest one."""
        check_type(size, Size, "size")
        for name, pixels in size._asdict().items():
            check_value(name, pixels, int, low=1, high=_MAX_SIDE)
        if size == self.size:
            return self
        rows = _nearest(self.size.height, size.height, self.labels.device)
        columns = _nearest(self.size.width, size.width, self.labels.device)
        return ParseMap(self.labels[:, rows][:, :, columns])

    def mirrored(self) -> ParseMap:
        """The map of the mirror image: left and right sides and left and right regions exchanged."""
        exchange = torch.tensor(
            [MIRRORED_REGION[region] for region in FaceRegion], dtype=torch.uint8, device=self.labels.device
        )
        return ParseMap(exchange[self.labels.flip(-1).long()])

    def replaced(self, mask: Tensor, region: FaceRegion) -> ParseMap:
        """The map with ``region`` wherever ``mask`` (B, 1, H, W) or (1, 1, H, W) is above one half."""
        check_type(region, FaceRegion, "region")
        check_real(mask, "mask")
        check_shape(mask, f"B 1 {self.size.height} {self.size.width}", "mask")
        if mask.shape[0] not in (1, len(self)):
            raise InputError(f"{mask.shape[0]} masks do not fit {len(self)} parse maps. Give one for all or one each.")
        return ParseMap(self.labels.masked_fill(mask[:, 0] > 0.5, int(region)))


def _palette(device: torch.device) -> Tensor:
    return torch.tensor([REGION_COLORS[region] for region in FaceRegion], device=device)


def _nearest_color(picture: Tensor) -> Tensor:
    colors = _palette(picture.device).float() / 255
    flat = picture.float().permute(0, 2, 3, 1).reshape(-1, 3)
    nearest = [torch.cdist(part, colors).argmin(dim=1) for part in flat.split(1 << 20)]  # 76 MB of distances at a time
    return torch.cat(nearest).to(torch.uint8).view(picture.shape[0], *picture.shape[2:])


def _levels(picture: Tensor) -> Tensor:
    """Return the values of a picture as whole levels of 255; far beyond 0 and 255 only that they are beyond."""
    return (picture.float() * 255).round().clamp(-1024, 3071)


def _color_codes(levels: Tensor) -> Tensor:
    """Return one number for each color of a picture (B, 3, H, W) of ``_levels``."""
    red, green, blue = (levels + 1024).unbind(dim=1)
    return (red << 24) | (green << 12) | blue


def _unknown_color(picture: Tensor, is_unknown: Tensor) -> str:
    index, y, x = (int(place) for place in is_unknown.nonzero()[0])
    levels = tuple(int(level) for level in _levels(picture[index, :, y, x]))
    return (
        f"Color {levels} at x {x}, y {y} of picture {index} belongs to no face region. "
        "Paint with the exact colors of the regions, without soft brushes, and save as PNG, not JPEG; or take the nearest color."
    )


def _nearest(old: int, new: int, device: torch.device) -> Tensor:
    return ((torch.arange(new, device=device) + 0.5) * (old / new)).long().clamp(max=old - 1)
