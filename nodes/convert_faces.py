"""Nodes that convert faces to masks and SEGS."""

from __future__ import annotations

from comfy_api.latest import io

from ..psfr_core.faces.face_mask import MaskShape, faces_mask
from .detected_faces import DetectedFaces
from .images import to_mask
from .schema import CONVERSION_CATEGORY, parse_enum, supported_fields
from .segs import to_segs
from .types import FacesSocket, SegsSocket


class PSFR_FacesToMask(io.ComfyNode):
    """Draw faces into a mask."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="PSFR_FacesToMask",
            display_name="Faces to Mask (PSFR-GAN)",
            category=CONVERSION_CATEGORY,
            description="Draws the faces of each image into a mask of the image's size, for example to inpaint them.",
            inputs=[
                _faces_input(),
                _shape_input(MaskShape.ELLIPSE),
                io.Float.Input(
                    "scale",
                    default=1.0,
                    min=0.1,
                    max=10.0,
                    step=0.05,
                    tooltip="Size of the shape relative to the face box. 1 is the size of the box, 2 twice its width and height.",
                ),
            ],
            outputs=[io.Mask.Output(display_name="mask", tooltip="One mask per image: white inside faces.")],
            **supported_fields(search_aliases=["face mask", "mask from faces", "inpaint faces"]),
        )

    @classmethod
    def execute(cls, faces: DetectedFaces, shape: str, scale: float) -> io.NodeOutput:
        chosen = parse_enum(MaskShape, shape)
        return io.NodeOutput(to_mask([faces_mask(found, faces.size, chosen, scale)[None] for found in faces.frames]))


class PSFR_FacesToSEGS(io.ComfyNode):
    """Convert faces to the segments of Impact Pack."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="PSFR_FacesToSEGS",
            display_name="Faces to SEGS (PSFR-GAN)",
            category=CONVERSION_CATEGORY,
            description="Converts faces to SEGS, the segments of Impact Pack, for its detailers and filters.",
            inputs=[
                _faces_input(),
                _shape_input(MaskShape.BOX),
                io.Float.Input(
                    "crop_factor",
                    default=3.0,
                    min=1.0,
                    max=100.0,
                    step=0.1,
                    tooltip="Side of the region that a detailer crops, relative to the side of the face box. Larger regions show "
                    "the detailer more of the surroundings.",
                ),
            ],
            outputs=[
                SegsSocket.Output(
                    display_name="SEGS", is_output_list=True, tooltip="A list of SEGS, one per image, for Impact Pack."
                )
            ],
            **supported_fields(search_aliases=["Impact Pack", "segments", "FaceDetailer"]),
        )

    @classmethod
    def execute(cls, faces: DetectedFaces, shape: str, crop_factor: float) -> io.NodeOutput:
        chosen = parse_enum(MaskShape, shape)
        return io.NodeOutput([to_segs(found, faces.size, crop_factor, chosen) for found in faces.frames])


def _faces_input() -> io.Input:
    return FacesSocket.Input("faces", tooltip="Faces from Detect Faces or Select Faces.")


def _shape_input(default: MaskShape) -> io.Combo.Input:
    return io.Combo.Input(
        "shape",
        options=MaskShape,
        default=default,
        tooltip="Shape of a face in the mask: the box, or the ellipse inside it.",
    )
