"""The node that selects faces."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from comfy_api.latest import io

from ..psfr_core.faces.selection import LeftOut, Selection, SelectionOptions, explain_selection, positions
from .bounding_boxes import to_bounding_boxes
from .detected_faces import DetectedFaces, track_starts
from .inputs import (
    indices_input,
    max_faces_input,
    max_size_input,
    min_size_input,
    order_input,
    selection_options,
    without_numbers,
)
from .notes import Note, add_selection_notes
from .previews import face_picker
from .schema import CATEGORY, shows_preview, supported_fields
from .types import BoundingBoxSocket, FacesSocket


class PSFR_SelectFaces(io.ComfyNode):
    """Select faces of each image, or tracks. web/js/face_picker.js lets users click the faces."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="PSFR_SelectFaces",
            display_name="Select Faces (PSFR-GAN)",
            category=CATEGORY,
            description="Selects faces of each image, or people after Track Faces. After a run, click faces in the preview to "
            "select them.",
            inputs=[
                FacesSocket.Input("faces", tooltip="Faces from Detect Faces or Track Faces."),
                order_input(),
                indices_input(),
                max_faces_input(),
                min_size_input(),
                max_size_input(),
            ],
            outputs=[
                FacesSocket.Output(display_name="selected", tooltip="Selected faces, in the chosen order."),
                FacesSocket.Output(display_name="rest", tooltip="All other faces."),
                io.Int.Output(display_name="count", tooltip="Total number of selected faces in all images."),
                BoundingBoxSocket.Output(
                    display_name="bounding boxes", tooltip="Boxes of the selected faces, in pixels."
                ),
            ],
            **shows_preview(),
            **supported_fields(search_aliases=["pick faces", "filter faces", "face index"]),
        )

    @classmethod
    def execute(
        cls, faces: DetectedFaces, order: str, indices: str, max_faces: int, min_size: float, max_size: float = 0.0
    ) -> io.NodeOutput:
        options = selection_options(order, indices, max_faces, min_size, max_size)
        selected, selections = _select_tracks(faces, options) or _select_in_each_frame(faces, options)
        add_selection_notes(Note.SELECTED, selections, options)
        kept = {id(face) for found in selected.frames for face in found}
        rest = faces.map(lambda found: [face for face in found if id(face) not in kept])
        boxes = to_bounding_boxes(selected)
        return io.NodeOutput(selected, rest, selected.count, boxes, ui=face_picker(faces, options, indices))


def _select_in_each_frame(faces: DetectedFaces, options: SelectionOptions) -> tuple[DetectedFaces, list[Selection]]:
    selections = [explain_selection(found, faces.size, options) for found in faces.frames]
    return replace(faces, frames=tuple(tuple(selection.faces) for selection in selections)), selections


def _select_tracks(faces: DetectedFaces, options: SelectionOptions) -> tuple[DetectedFaces, list[Selection]] | None:
    """Select tracks by their numbers and by their first faces; return None if the faces are not tracked."""
    starts = track_starts(faces.frames)
    if not starts:
        return None
    fitting = explain_selection([start.face for start in starts.values()], faces.size, without_numbers(options))
    wanted = set(starts) if options.indices is None else positions(options.indices, max(starts) + 1)
    chosen = [face for face in fitting.faces if face.track in wanted][: options.max_faces]
    rank = {face.track: position for position, face in enumerate(chosen)}
    selected = faces.map(
        lambda found: sorted((face for face in found if face.track in rank), key=lambda face: rank[face.track])
    )
    not_chosen = Counter({LeftOut.NOT_CHOSEN: len(fitting.faces) - len(chosen)})
    return selected, [Selection(chosen, not_chosen + Counter(fitting.left_out))]
