"""The node that crops aligned faces."""

from __future__ import annotations

import torch
from comfy_api.latest import io
from torch import Tensor

from ..psfr_core.faces.align import align_faces
from ..psfr_core.images.channels import to_rgb
from .detected_faces import DetectedFaces
from .images import to_frames, to_image
from .previews import preview
from .runtime import Steps
from .schema import CATEGORY, shows_preview, supported_fields
from .types import FacesSocket


class PSFR_AlignFaces(io.ComfyNode):
    """Crop faces upright, at one size."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="PSFR_AlignFaces",
            display_name="Align Faces (PSFR-GAN)",
            category=CATEGORY,
            description="Crops every face upright at one size. Other nodes may process the crops; "
            "Paste Faces Back returns them to their original positions.",
            inputs=[
                io.Image.Input("image", tooltip="Images in which the faces were detected, or upscaled copies of them."),
                FacesSocket.Input("faces", tooltip="Faces from Detect Faces, Select Faces or Track Faces."),
                io.Int.Input(
                    "crop_size",
                    default=512,
                    min=64,
                    max=2048,
                    step=64,
                    tooltip="Side length of the crops, in pixels. Choose the size of the generator, 256 or 512; a generator of "
                    "another size resizes the crops.",
                ),
            ],
            outputs=[
                io.Image.Output(
                    display_name="crops",
                    tooltip="One crop per face, in image order; a black placeholder if there are no faces.",
                ),
                FacesSocket.Output(display_name="faces", tooltip="Faces of the crops, in the same order."),
                io.Int.Output(display_name="count", tooltip="Number of crops; 0 if the only crop is the placeholder."),
            ],
            **shows_preview(),
            **supported_fields(search_aliases=["crop faces", "face crop", "FFHQ align"]),
        )

    @classmethod
    def execute(cls, image: Tensor, faces: DetectedFaces, crop_size: int) -> io.NodeOutput:
        frames = to_frames(image)
        faces = faces.in_frames(frames)
        steps = Steps(len(frames))
        crops: list[Tensor] = []
        for index, (frame, found) in enumerate(zip(frames, faces.frames, strict=True), start=1):
            crops += [aligned.crop for aligned in align_faces(to_rgb(frame).clamp(0, 1), found, crop_size)]
            steps(index, steps.total)
        batch = to_image(crops or [torch.zeros(3, crop_size, crop_size)])
        return io.NodeOutput(batch, faces, faces.count, ui=preview(batch))
