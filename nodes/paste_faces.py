"""Putting restored faces back into their images."""

from __future__ import annotations

import torch
from comfy_api.latest import io
from torch import Tensor

from ..psfr_core.errors import InputError
from ..psfr_core.faces.align import place_crops
from ..psfr_core.parsing.parse_map import ParseMap
from ..psfr_core.restoration.grain import add_grain
from ..psfr_core.restoration.masks import crop_masks
from ..psfr_core.restoration.paste import WHOLE_CROP, PasteOptions, parse_pasted_regions, paste_faces
from .detected_faces import DetectedFaces
from .images import to_crops, to_frames, to_mask
from .inputs import parse_map_input, regions_input, strength_input
from .previews import preview
from .runtime import Steps
from .schema import CATEGORY, shows_preview, supported_fields
from .types import FacesSocket, PasteOptionsSocket

_PASTED = "face,ears,hair,earring"


class PSFR_PasteFacesBack(io.ComfyNode):
    """Images with faces in them replaced."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="PSFR_PasteFacesBack",
            display_name="Paste Faces Back (PSFR-GAN)",
            category=CATEGORY,
            description="Puts aligned faces back where they came from, with a soft edge. Nothing else changes, by not one bit.",
            inputs=[
                io.Image.Input(
                    "image", tooltip="The images the faces were found in, at any scale: upscaled ones as well."
                ),
                FacesSocket.Input("faces", tooltip="From Align Faces."),
                io.Image.Input(
                    "crops",
                    tooltip="One picture for each face, in their order; any size, and changed by any other node.",
                ),
                strength_input("0 leaves the image exactly as it is, 1 replaces the faces."),
                parse_map_input(
                    "With it only some regions are pasted, see Paste Options; without it the whole crop with a soft edge.",
                    optional=True,
                ),
                PasteOptionsSocket.Input("options", optional=True, tooltip="From Paste Options."),
            ],
            outputs=[
                io.Image.Output(display_name="image", tooltip="The images with the faces."),
                io.Mask.Output(display_name="mask", tooltip="How much of each pixel was replaced."),
            ],
            **shows_preview(),
            **supported_fields(search_aliases=["uncrop faces", "face stitch", "composite faces"]),
        )

    @classmethod
    def execute(
        cls,
        image: Tensor,
        faces: DetectedFaces,
        crops: Tensor,
        strength: float,
        parse_map: ParseMap | None = None,
        options: PasteOptions | None = None,
    ) -> io.NodeOutput:
        pasted = image.clone()
        frames = to_frames(pasted)
        faces = faces.in_frames(frames)
        if faces.count == 0:  # the crops are Align Faces' placeholder, whatever became of it
            return io.NodeOutput(pasted, torch.zeros_like(frames[:, 0], dtype=torch.float32), ui=preview(pasted))
        _check_counts(faces.count, crops, parse_map)
        restored = to_crops(crops).clamp(0, 1)
        options = options or PasteOptions()
        masks = strength * crop_masks(restored.shape[-1], options, parse_map)
        masks = masks.expand(len(restored), -1, -1, -1)
        steps = Steps(len(frames))
        changed: list[Tensor] = []
        first = 0
        for before, frame, found in zip(to_frames(image), frames, faces.frames, strict=True):
            part = slice(first, first := first + len(found))
            aligned = place_crops(found, restored[part]) if found else []
            result = paste_faces(frame, aligned, restored[part], masks[part], out=frame)
            if options.grain:
                frame.copy_(add_grain(before, result, aligned, options.grain).image)
            changed.append(result.mask)
            steps(len(changed), steps.total)
        return io.NodeOutput(pasted, to_mask(changed), ui=preview(pasted))


class PSFR_PasteOptions(io.ComfyNode):
    """What of a face is pasted."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="PSFR_PasteOptions",
            display_name="Paste Options (PSFR-GAN)",
            category=CATEGORY,
            description="Which regions of a restored face go back into the image, and how soft the edge is.",
            inputs=[
                io.Float.Input(
                    "feather",
                    default=PasteOptions.feather,
                    min=0.0,
                    max=0.5,
                    step=0.01,
                    tooltip="Width of the soft edge, as a fraction of the crop's side.",
                ),
                regions_input(_PASTED, f"The regions to paste; {WHOLE_CROP}: the whole crop."),
                io.Float.Input(  # came later: older workflows do not have it
                    "grain",
                    default=PasteOptions.grain,
                    min=0.0,
                    max=1.0,
                    step=0.05,
                    optional=True,
                    tooltip="Film grain or sensor noise on restored faces, 0 to 1. 0 adds none, 1 as much as the photo has.",
                ),
            ],
            outputs=[
                PasteOptionsSocket.Output(display_name="options", tooltip="For Paste Faces Back or Restore Options.")
            ],
            **supported_fields(search_aliases=["feather", "face blend"]),
        )

    @classmethod
    def execute(cls, feather: float, regions: str, grain: float = PasteOptions.grain) -> io.NodeOutput:
        return io.NodeOutput(PasteOptions(feather=feather, regions=parse_pasted_regions(regions), grain=grain))


def _check_counts(faces: int, crops: Tensor, parse_map: ParseMap | None) -> None:
    if len(crops) != faces:
        raise InputError(f"There are {faces} faces but {len(crops)} crops: each face needs its own, in their order.")
    if parse_map is not None and len(parse_map) != len(crops):
        raise InputError(f"There are {len(crops)} crops but {len(parse_map)} parse maps: each crop needs its own.")
