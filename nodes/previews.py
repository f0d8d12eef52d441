"""Previews that a node shows after a run."""

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
    """Preview the first images of an IMAGE, downscaled; saving large frames takes longer than restoring them."""
    frames = to_frames(image[:_MAX_IMAGES])
    return ui.PreviewImage(to_image([resize_within(to_rgb(frame), _SIDE).clamp(0, 1) for frame in frames]))


def face_picker(faces: DetectedFaces, options: SelectionOptions, indices: str) -> dict[str, Any]:
    """Return the data for web/js/face_picker.js: the preview image, its faces numbered by ``options``, and ``indices``.

    ``indices`` is included because a link may have set it, which the widget does not show.
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
