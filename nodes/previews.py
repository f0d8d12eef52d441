"""Build the previews that nodes show."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from comfy_api.latest import io, ui
from torch import Tensor

from ..psfr_core.faces.selection import SelectionOptions, select_faces
from ..psfr_core.images.box import Size
from ..psfr_core.images.channels import to_rgb
from ..psfr_core.visualize import draw_faces
from .detected_faces import DetectedFaces
from .images import to_frames, to_image
from .notes import Note, tell

_MAX_IMAGES = 16
_MAX_PIXELS = 16_000_000  # saving this many takes about a second


def preview(image: Tensor) -> ui.PreviewImage:
    """Preview the first images of an IMAGE at their full size, and add a note if there are more."""
    pixels = image.shape[1] * image.shape[2]
    shown = min(len(image), _MAX_IMAGES, max(1, _MAX_PIXELS // pixels))
    if shown < len(image):
        tell(Note.PREVIEW_LIMIT, shown=shown, count=len(image))
    return ui.PreviewImage(to_image([to_rgb(frame).clamp(0, 1) for frame in to_frames(image[:shown])]))


def preview_faces(faces: DetectedFaces) -> ui.PreviewImage:
    """Preview the first frame with a face, with boxes, landmarks and face numbers."""
    found = [face.scaled(faces.size, Size.of(faces.picture)) for face in faces.frames[faces.picture_frame]]
    return preview(to_image(draw_faces(faces.picture, found)[None]))


def face_picker(faces: DetectedFaces, options: SelectionOptions, indices: str) -> dict[str, Any]:
    """Return the data for web/js/face_picker.js: the preview image, its faces numbered by ``options``, and ``indices``.

    ``indices`` is included because it may come from a link, and the widget does not show values from links.
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
