"""Imitate previews with tensors instead of files."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from . import io


class SavedResult(dict[str, str]):
    """Entry of a saved image, with its pixels."""

    def __init__(self, filename: str, subfolder: str, type: io.FolderType, pixels: Tensor | None = None) -> None:
        super().__init__(filename=filename, subfolder=subfolder, type=type.value)
        self.pixels = pixels


class ImageSaveHelper:
    @staticmethod
    def save_images(
        images: Tensor, filename_prefix: str, folder_type: io.FolderType, cls: type[Any] | None, compress_level: int = 4
    ) -> list[SavedResult]:
        return [
            SavedResult(f"{filename_prefix}_{number:05}_.png", "", folder_type, image)
            for number, image in enumerate(images)
        ]


class PreviewImage:
    def __init__(self, image: Tensor, animated: bool = False, cls: type[Any] | None = None) -> None:
        self.values = ImageSaveHelper.save_images(image, "ComfyUI_temp", io.FolderType.temp, cls)

    def as_dict(self) -> dict[str, Any]:
        return {"images": self.values, "animated": (False,)}


class PreviewVideo:
    def __init__(self, values: list[SavedResult]) -> None:
        self.values = values

    def as_dict(self) -> dict[str, Any]:
        return {"images": self.values, "animated": (True,)}
