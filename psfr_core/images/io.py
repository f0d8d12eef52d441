"""Read and write image files as tensors."""

from .folders import find_images
from .image_file import ImageFile
from .read import read_image
from .write import write_image

__all__ = ["ImageFile", "find_images", "read_image", "write_image"]
