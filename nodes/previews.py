"""Build the previews that nodes show."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io, ui
from torch import Tensor

from ..psfr_core.faces.face import Face
from ..psfr_core.faces.selection import SelectionOptions, select_faces
from ..psfr_core.images.box import Size
from ..psfr_core.images.channels import to_rgb
from ..psfr_core.visualize import draw_faces
from .detected_faces import DetectedFaces, track_starts
from .images import to_frames, to_image
from .inputs import without_numbers
from .notes import Note, add_note

_MAX_IMAGES = 16
_MAX_PIXELS = 16_000_000  # saving this many takes about a second


def preview(image: Tensor) -> ui.PreviewImage:
    """Preview the first images of an IMAGE at their full size, and add a note if there are more."""
    pixels = image.shape[1] * image.shape[2]
    shown = min(len(image), _MAX_IMAGES, max(1, _MAX_PIXELS // pixels))
    if shown < len(image):
        add_note(Note.PREVIEW_LIMIT, shown=shown, count=len(image))
    return ui.PreviewImage(to_image([to_rgb(frame).clamp(0, 1) for frame in to_frames(image[:shown])]))


def preview_faces(faces: DetectedFaces) -> ui.PreviewImage:
    """Preview the pictures of ``faces``, with boxes, landmarks and face numbers."""
    shown: list[Tensor] = []
    for frame, pixels in faces.pictures:
        found = [face.scaled(faces.size, Size.of(pixels)) for face in faces.frames[frame]]
        shown.append(draw_faces(pixels, found))
    return preview(to_image(shown))


def face_picker(faces: DetectedFaces, options: SelectionOptions, indices: str) -> dict[str, Any]:
    """Return the data for web/js/face_picker.js: the pictures with their faces, ``count``, ``hidden`` and ``indices``.

    ``count`` is one more than the highest number of a face, and ``hidden`` is the number of faces that no picture shows. Faces are
    numbered in the order of ``options``. Tracked faces keep the numbers of their tracks, and each is only in the picture in which
    its track starts. ``indices`` is included because it may come from a link, and the widget does not show values from links.
    """
    starts = track_starts(faces.frames)
    first = faces.pictures[0].frame
    found = [start.face for start in starts.values()] or faces.frames[first]
    frames: dict[int, list[dict[str, Any]]] = {picture.frame: [] for picture in faces.pictures}
    selected = select_faces(found, faces.size, without_numbers(options))
    for index, face in enumerate(selected):
        number, frame = (index, first) if face.track is None else (face.track, starts[face.track].frame)
        if frame in frames:
            frames[frame].append(_picked(face, number, faces.size))
    width, height = faces.size
    return {
        "face_picker": [
            {
                "width": width,
                "height": height,
                "frames": [
                    {"image": _saved(picture.pixels), "faces": frames[picture.frame]} for picture in faces.pictures
                ],
                "count": max(starts, default=len(selected) - 1) + 1,
                "hidden": len(selected) - sum(map(len, frames.values())),
                "indices": indices,
            }
        ]
    }


def _picked(face: Face, index: int, size: Size) -> dict[str, Any]:
    left, top, right, bottom = face.box
    box = [left / size.width, top / size.height, right / size.width, bottom / size.height]
    return {"index": index, "box": box, "score": round(face.score, 3)}


def _saved(pixels: Tensor) -> Any:
    (saved,) = ui.ImageSaveHelper.save_images(
        to_image(pixels[None]), "psfr_faces", io.FolderType.temp, None, compress_level=1
    )
    return saved
