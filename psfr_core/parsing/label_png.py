"""Read and write region labels as PNG files."""

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
    """Read labels (H, W), uint8, from a PNG file with 8-bit gray values or palette indices.

    Raises ImageFileError for other files.
    """
    with decoding(path), _opened_png(path) as image:
        if image.mode not in ("L", "P"):
            raise ImageFileError(
                f"{path} has {image.mode} pixels, but labels need 8-bit gray values or palette indices. "
                "Read images in region colors with ParseMap.from_color."
            )
        return torch.from_numpy(np.array(image, dtype=np.uint8))


def _opened_png(path: Path) -> Image.Image:
    try:
        return Image.open(path, formats=["PNG"])
    except Image.UnidentifiedImageError as error:
        raise ImageFileError(f"{path} is not a PNG file. Only PNG files store labels exactly.") from error


def write_label_png(path: Path, labels: Tensor) -> None:
    """Write labels (H, W), uint8, atomically to an 8-bit gray PNG file.

    Raises ImageFileError if the file cannot be written or ``path`` does not end with .png.
    """
    if path.suffix.lower() != ".png":
        raise ImageFileError(f"{path}: only PNG files store labels exactly. Use a name that ends with .png.")
    buffer = BytesIO()
    Image.fromarray(labels.cpu().numpy()).save(buffer, "PNG", optimize=True)
    try:
        atomic_write(path, buffer.getvalue())
    except OSError as error:
        raise ImageFileError(f"{path} cannot be written: {error.strerror or error}.") from error
