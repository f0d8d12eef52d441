"""The node that detects faces."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from comfy_api.latest import io
from torch import Tensor, nn

from ..psfr_core.errors import NoFaceError
from ..psfr_core.faces.detection_options import DetectionOptions
from ..psfr_core.faces.detector import make_detector
from ..psfr_core.faces.face import Face
from ..psfr_core.faces.selection import SelectionOptions, explain_selection
from ..psfr_core.images.box import Size
from ..psfr_core.images.channels import to_rgb
from ..psfr_core.networks.parse_net import ParseNet
from ..psfr_core.progress import Progress
from ..psfr_core.restoration.restore_options import NoFace
from ..psfr_core.restoration.second_opinion import with_second_opinion
from ..psfr_core.visualize import draw_faces
from .bounding_boxes import to_bounding_boxes
from .detected_faces import DetectedFaces
from .images import blank_image, masks_of_frames, to_frames
from .inputs import (
    confidence_input,
    detection_options,
    detector_input,
    face_mask_input,
    min_size_input,
    no_face_input,
    parser_input,
    search_inputs,
)
from .notes import Note, add_selection_notes, notes_text
from .previews import preview
from .runtime import HostedNetwork, batch_limit, on_device, steps_of_frames, with_smaller_batches
from .schema import CATEGORY, REPORT_TOOLTIP, parse_enum, shows_preview, supported_fields
from .types import BoundingBoxSocket, FacesSocket


class PSFR_DetectFaces(io.ComfyNode):
    """Detect the faces of all frames."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="PSFR_DetectFaces",
            display_name="Detect Faces (PSFR-GAN)",
            category=CATEGORY,
            description="Detects faces in every image of a batch and numbers them from 0, largest first.",
            inputs=[
                io.Image.Input("image", tooltip="Images or video frames to search."),
                detector_input(),
                confidence_input(),
                min_size_input(),
                no_face_input(),
                *search_inputs(),
                face_mask_input(),
                parser_input(
                    "Verifies uncertain detections of the bundled detector: more faces, fewer false positives.",
                    optional=True,
                ),
            ],
            outputs=[
                FacesSocket.Output(display_name="faces", tooltip="Faces of each image."),
                BoundingBoxSocket.Output(
                    display_name="bounding boxes", tooltip="Boxes in pixels, one list per image, for other nodes."
                ),
                io.Int.Output(display_name="count", tooltip="Total number of faces in all images."),
                io.Image.Output(display_name="overlay", tooltip="Images with boxes, landmarks and face numbers."),
                io.String.Output(display_name="report", tooltip=REPORT_TOOLTIP),
            ],
            **shows_preview(),
            **supported_fields(search_aliases=["face detection", "find faces", "RetinaFace", "bbox"]),
        )

    @classmethod
    def execute(
        cls,
        image: Tensor,
        detector: HostedNetwork[nn.Module],
        confidence: float,
        min_size: float,
        no_face: str,
        tiles: bool = False,
        turned: bool = False,
        mask: Tensor | None = None,
        parser: HostedNetwork[ParseNet] | None = None,
    ) -> io.NodeOutput:
        frames = to_frames(image)
        progress = steps_of_frames(2 * len(frames))  # detection and drawing
        found = _detect(frames, detector, parser, detection_options(confidence, tiles, turned), progress)
        options = SelectionOptions(min_size=min_size)
        selections = [
            explain_selection(faces, Size.of(frames), options, frame_mask)
            for faces, frame_mask in zip(found, masks_of_frames(mask, len(frames)), strict=True)
        ]
        faces = DetectedFaces.of([selection.faces for selection in selections], frames)
        check_face_count(faces.count, parse_enum(NoFace, no_face))
        add_selection_notes(Note.FOUND, selections, options)
        overlay = _draw(frames, faces, progress)
        shown = overlay[[picture.frame for picture in faces.pictures]]
        return io.NodeOutput(faces, to_bounding_boxes(faces), faces.count, overlay, notes_text(), ui=preview(shown))


def check_face_count(count: int, no_face: NoFace) -> None:
    """Raise NoFaceError if ``count``, the number of faces in all images, is 0 and ``no_face`` is ``ERROR``."""
    if count == 0 and no_face is NoFace.ERROR:
        raise NoFaceError(
            "No face in any image matches the settings. Lower confidence or min_size, change mask or indices, or set "
            "no_face to keep."
        )


def _detect(
    frames: Tensor,
    hosted: HostedNetwork[nn.Module],
    parser: HostedNetwork[ParseNet] | None,
    options: DetectionOptions,
    progress: Callable[[int], Progress],
) -> list[list[Face]]:
    found: list[list[Face]] = []
    detector = make_detector(hosted.network)
    if parser is not None:
        detector = with_second_opinion(detector, parser.network)

    def search(images: Tensor, report: Progress) -> list[list[Face]]:
        def report_batch(done: int, total: int) -> None:
            report(len(images) * done, total)

        return with_smaller_batches(
            lambda size: detector.detect(images, replace(options, batch_size=size), progress=report_batch)
        )

    with on_device(*filter(None, (hosted, parser)), images=len(frames)):
        for batch in frames.split(batch_limit()):
            found += search(torch.stack([to_rgb(frame) for frame in batch]), progress(len(found)))
    return found


def _draw(frames: Tensor, faces: DetectedFaces, progress: Callable[[int], Progress]) -> Tensor:
    overlay = blank_image(frames)
    pictures = zip(to_frames(overlay), frames, faces.frames, strict=True)
    for index, (picture, frame, found) in enumerate(pictures, start=len(frames)):
        report = progress(index)
        picture.copy_(draw_faces(to_rgb(frame).clamp(0, 1), found))
        report(1, 1)
    return overlay
