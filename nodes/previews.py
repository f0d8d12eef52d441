"""Small pictures that a node shows after it ran."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from comfy_api.latest import io, ui
from torch import Tensor

from ..psfr_core.faces.selection import SelectionOptions, select_faces
from ..psfr_core.images.channels import to_rgb
from ..psfr_core.images.resize import resize_within
from .detected_faces import DetectedFaces
from .images import to_frames, to_image

_MAX_IMAGES = 16
_SIDE = 512


def preview(image: Tensor) -> ui.PreviewImage:
    """The first pictures of an IMAGE, made small: saving a batch of large frames takes longer than restoring them."""
    frames = to_frames(image[:_MAX_IMAGES])
    return ui.PreviewImage(to_image([resize_within(to_rgb(frame), _SIDE).clamp(0, 1) for frame in frames]))


def face_picker(faces: DetectedFaces, options: SelectionOptions, indices: str) -> dict[str, Any]:
    """What web/js/face_picker.js shows: the picture of ``faces``, all faces in it by their numbers under ``options``, and
    the text that chose some, which came from a link perhaps.
    """
    (saved,) = ui.ImageSaveHelper.save_images(
        to_image(faces.picture[None]), "psfr_faces", io.FolderType.temp, None, compress_level=1
    )
    width, height = faces.size
    numbered = replace(options, indices=None, max_faces=None)
    shown = select_faces(faces.frames[faces.picture_frame], faces.size, numbered)
    boxes = [
        {
            "index": index,
            "box": [face.box.left / width, face.box.top / height, face.box.right / width, face.box.bottom / height],
            "score": round(face.score, 3),
        }
        for index, face in enumerate(shown)
    ]
    return {"face_picker": [{"image": saved, "width": width, "height": height, "faces": boxes, "indices": indices}]}
