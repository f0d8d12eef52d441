"""The content of an image file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor

from ..errors import InputError
from .channels import check_channels


@dataclass(frozen=True, eq=False)  # tensors do not compare to one bool
class ImageFile:
    """The content of an image file, upright.

    ``pixels`` is float32 (C, H, W) in [0, 1], channels grey, grey + alpha, RGB or RGBA. ``bit_depth`` is 8 or 16.
    ``icc_profile`` describes their colors; None means sRGB. ``exif`` is what Pillow writes as such: date, camera,
    place; without a preview, an orientation, or tags about how a file stores its pixels. ``xmp`` is an XMP packet.
    ``texts`` are texts by their keywords, such as ComfyUI's ``workflow``; the comment of a JPEG file is ``Comment``.
    ``dpi`` is the resolution along x and y in pixels per inch.
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
