"""Hold the content of an image file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor

from ..errors import InputError
from .channels import check_channels


@dataclass(frozen=True, eq=False)  # comparing tensors does not yield a single bool
class ImageFile:
    """The content of an image file in upright orientation. Raises InputError for another shape or bit depth, and for integers.

    Attributes:
        pixels: float32 (C, H, W) in [0, 1]; the channels are gray, gray + alpha, RGB or RGBA.
        bit_depth: 8 or 16 bits per channel.
        icc_profile: ICC profile of the colors. None means sRGB.
        exif: EXIF data such as date, camera and location, or None; orientation, thumbnail and storage tags are omitted.
        xmp: XMP packet, or None.
        texts: texts by keyword, such as ComfyUI's ``workflow``. The comment of a JPEG file has the keyword ``Comment``.
        dpi: resolution along x and y in pixels per inch, or None if unknown.
    """

    pixels: Tensor
    bit_depth: int = 8
    icc_profile: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    texts: Mapping[str, str] = field(default_factory=dict[str, str])
    dpi: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        check_channels(self.pixels, "pixels")
        if self.bit_depth not in (8, 16):
            raise InputError(f"bit_depth must be 8 or 16, got {self.bit_depth}.")

    @property
    def has_alpha(self) -> bool:
        return self.pixels.shape[0] in (2, 4)
