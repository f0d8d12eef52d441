"""PNG files whose pixel values are labels."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..errors import ImageFileError
from ..files import atomic_write
from ..images.decoding import decoding


def read_label_png(path: Path) -> Tensor:
    """The labels (H, W), uint8, in a PNG file of 8-bit grey values or palette entries; ImageFileError for any other."""
    with decoding(path), _opened_png(path) as image:
        if image.mode not in ("L", "P"):
            raise ImageFileError(
                f"{path} holds {image.mode} pixels, labels need 8-bit grey values or palette entries. "
                "Read a picture in region colors with ParseMap.from_color."
            )
        return torch.from_numpy(np.array(image, dtype=np.uint8))


def _opened_png(path: Path) -> Image.Image:
    try:
        return Image.open(path, formats=["PNG"])
    except Image.UnidentifiedImageError as error:
        raise ImageFileError(f"{path} is not a PNG file. Labels are only kept exactly by PNG.") from error


def write_label_png(path: Path, labels: Tensor) -> None:
    """Write labels (H, W), uint8, as an 8-bit grey PNG file, which appears only when it is complete.

    Raises ImageFileError when that is impossible.
    """
    if path.suffix.lower() != ".png":
        raise ImageFileError(f"{path}: labels are only kept exactly by PNG. Use a name that ends with .png.")
    buffer = BytesIO()
    Image.fromarray(labels.cpu().numpy()).save(buffer, "PNG", optimize=True)
    try:
        atomic_write(path, buffer.getvalue())
    except OSError as error:
        raise ImageFileError(f"{path} cannot be written: {error.strerror or error}.") from error
