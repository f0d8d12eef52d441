"""Faces as upright crops."""

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
    """A batch of crops of one size."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="PSFR_AlignFaces",
            display_name="Align Faces (PSFR-GAN)",
            category=CATEGORY,
            description="Cuts every face out upright and in one size. The crops may pass through any other nodes; "
            "Paste Faces Back puts them where they came from.",
            inputs=[
                io.Image.Input("image", tooltip="The images that the faces were found in, or these upscaled."),
                FacesSocket.Input("faces", tooltip="From Detect Faces or Select Faces."),
                io.Int.Input(
                    "crop_size",
                    default=512,
                    min=64,
                    max=2048,
                    step=64,
                    tooltip="Side of the crops in pixels. A generator of another size works too: it resizes them.",
                ),
            ],
            outputs=[
                io.Image.Output(
                    display_name="crops",
                    tooltip="One picture for each face, image by image; a black one when there is none.",
                ),
                FacesSocket.Output(display_name="faces", tooltip="The faces of the crops, in the same order."),
                io.Int.Output(
                    display_name="count", tooltip="How many crops there are: 0 when the only one is a placeholder."
                ),
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
