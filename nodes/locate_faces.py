"""Nodes that find the faces in given places: in the boxes, masks or segments of other nodes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from comfy_api.latest import io
from torch import Tensor, nn

from ..psfr_core.faces.box_search import PLACE_MIN_SCORE, find_faces_in_boxes, find_faces_in_mask
from ..psfr_core.faces.detection_options import DetectionOptions
from ..psfr_core.faces.detector import make_detector
from ..psfr_core.faces.face import Face, FaceDetector
from ..psfr_core.images.box import Box, Size
from ..psfr_core.images.channels import to_rgb
from .bounding_boxes import boxes_of_frames
from .detected_faces import DetectedFaces
from .hosted_models import bundled_detector
from .images import expanded_mask, to_frames
from .inputs import detector_input
from .notes import Note, add_note, notes_text
from .previews import preview_faces
from .runtime import HostedNetwork, Steps, on_device
from .schema import CONVERSION_CATEGORY, shows_preview, supported_fields
from .segs import boxes_of_segs
from .types import BoundingBoxSocket, FacesSocket, SegsSocket

_MAX_NAMED = 5  # maximum number of places without a face that a note lists


class PSFR_BoxesToFaces(io.ComfyNode):
    """Find the faces in boxes."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="PSFR_BoxesToFaces",
            display_name="Boxes to Faces (PSFR-GAN)",
            category=CONVERSION_CATEGORY,
            description="Finds the face in each bounding box of another node, with the landmarks that restoration needs.",
            inputs=[
                _image_input(),
                _bounding_boxes_input(),
                _confidence_input(),
                detector_input(optional=True),
            ],
            outputs=_outputs("Faces, at most one per box", "boxes"),
            **shows_preview(),
            **supported_fields(search_aliases=["bbox", "bounding box", "landmarks", "YOLO"]),
        )

    @classmethod
    def execute(
        cls, image: Tensor, bounding_boxes: Any, confidence: float, detector: HostedNetwork[nn.Module] | None = None
    ) -> io.NodeOutput:
        boxes = boxes_of_frames(bounding_boxes, len(image))
        return _faces_in_boxes(to_frames(image), boxes, confidence, detector)


class PSFR_SEGSToFaces(io.ComfyNode):
    """Find the faces in the segments of Impact Pack."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="PSFR_SEGSToFaces",
            display_name="SEGS to Faces (PSFR-GAN)",
            category=CONVERSION_CATEGORY,
            description="Finds the face in each segment of Impact Pack, with the landmarks that restoration needs.",
            inputs=[
                _image_input(),
                SegsSocket.Input(
                    "segs", tooltip="Segments from a detector or filter of Impact Pack, or from Faces to SEGS."
                ),
                _confidence_input(),
                detector_input(optional=True),
            ],
            outputs=_outputs("Faces, at most one per segment", "segments"),
            **shows_preview(),
            **supported_fields(search_aliases=["Impact Pack", "segments", "landmarks"]),
        )

    @classmethod
    def execute(
        cls, image: Tensor, segs: Any, confidence: float, detector: HostedNetwork[nn.Module] | None = None
    ) -> io.NodeOutput:
        frames = to_frames(image)
        boxes = boxes_of_segs(segs, Size.of(frames))
        return _faces_in_boxes(frames, [boxes] * len(frames), confidence, detector)


class PSFR_MaskToFaces(io.ComfyNode):
    """Find the faces in a mask."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="PSFR_MaskToFaces",
            display_name="Mask to Faces (PSFR-GAN)",
            category=CONVERSION_CATEGORY,
            description="Finds the faces in the painted areas of a mask, including faces that a search of the whole image misses.",
            inputs=[
                _image_input(),
                io.Mask.Input(
                    "mask",
                    tooltip="Mask that marks the faces to find. A face is marked if its center, or at least half of its box, is "
                    "painted. One mask for all images, or one per image.",
                ),
                _confidence_input(),
                detector_input(optional=True),
            ],
            outputs=_outputs("Faces that the mask marks", "painted areas"),
            **shows_preview(),
            **supported_fields(search_aliases=["paint faces", "face mask", "missed faces"]),
        )

    @classmethod
    def execute(
        cls, image: Tensor, mask: Tensor, confidence: float, detector: HostedNetwork[nn.Module] | None = None
    ) -> io.NodeOutput:
        frames = to_frames(image)
        masks = expanded_mask(mask, len(frames))
        options = DetectionOptions(min_score=confidence)

        def search(frame: Tensor, index: int, network: FaceDetector) -> tuple[list[Face], list[Box]]:
            found = find_faces_in_mask(frame, masks[index], network, options)
            return found.faces, [Box(*area) for area in found.empty_areas]

        if not bool((masks > 0.5).any()):
            add_note(Note.NOTHING_PAINTED)
        return _faces(frames, search, Note.EMPTY_AREAS, detector)


def _image_input() -> io.Image.Input:
    return io.Image.Input("image", tooltip="Images or video frames to search.")


def _bounding_boxes_input() -> io.Input:
    socket = BoundingBoxSocket.Input(
        "bounding_boxes",
        tooltip="Boxes in pixels from a detector of ComfyUI or another pack: one list for all images, or one per image.",
    )
    socket.extra_dict["forceInput"] = True  # no widget, although ComfyUI has one for this type
    return socket


def _confidence_input() -> io.Float.Input:
    return io.Float.Input(
        "confidence",
        default=PLACE_MIN_SCORE,
        min=0.05,
        max=1.0,
        step=0.01,
        tooltip="Minimum detection score, 0.05 to 1. The default is lower than for whole images, because the place of "
        "the face is known. Lower it if a face is not found.",
    )


def _outputs(faces: str, places: str) -> list[io.Output]:
    return [
        FacesSocket.Output(display_name="faces", tooltip=f"{faces}, for Select Faces or Align Faces."),
        io.Int.Output(display_name="count", tooltip="Total number of faces in all images."),
        io.String.Output(
            display_name="report", tooltip=f"Text report with the number of faces, and the {places} without a face."
        ),
    ]


def _faces_in_boxes(
    frames: Tensor, boxes: Sequence[Sequence[Box]], confidence: float, detector: HostedNetwork[nn.Module] | None
) -> io.NodeOutput:
    options = DetectionOptions(min_score=confidence)

    def search(frame: Tensor, index: int, network: FaceDetector) -> tuple[list[Face], list[Box]]:
        found = find_faces_in_boxes(frame, boxes[index], network, options)
        empty = [box for box, face in zip(boxes[index], found, strict=True) if face is None]
        return [face for face in found if face is not None], empty

    return _faces(frames, search, Note.EMPTY_BOXES, detector)


def _faces(
    frames: Tensor,
    search: Callable[[Tensor, int, FaceDetector], tuple[list[Face], list[Box]]],
    empty_note: Note,
    hosted: HostedNetwork[nn.Module] | None,
) -> io.NodeOutput:
    """Call ``search`` for each of ``frames`` (B, C, H, W), and return the faces as the output of the node.

    ``search`` takes an RGB frame (3, H, W), its index and the detector, and returns the faces and the places without a face.
    ``empty_note`` lists these places.
    """
    hosted = hosted or bundled_detector()
    detector = make_detector(hosted.network)
    steps = Steps(len(frames))
    found: list[list[Face]] = []
    empty: list[tuple[int, Box]] = []
    with on_device(hosted, images=1):
        for index, frame in enumerate(frames):
            faces, without = search(to_rgb(frame), index, detector)
            found.append(faces)
            empty += [(index + 1, box) for box in without]
            steps(len(found), steps.total)
    faces_of_frames = DetectedFaces.of(found, frames)
    add_note(Note.FOUND, count=faces_of_frames.count)
    if empty:
        add_note(empty_note, count=len(empty), places=_describe(empty))
    return io.NodeOutput(faces_of_frames, faces_of_frames.count, notes_text(), ui=preview_faces(faces_of_frames))


def _describe(places: Sequence[tuple[int, Box]]) -> str:
    named = [
        f"{number}: {box.left:.0f}, {box.top:.0f}, {box.width:.0f} x {box.height:.0f}"
        for number, box in places[:_MAX_NAMED]
    ]
    return "; ".join(named) + ("; ..." if len(places) > _MAX_NAMED else "")
