"""The nodes that paste restored faces back into their images."""

from __future__ import annotations

import torch
from comfy_api.latest import io
from torch import Tensor

from ..psfr_core.errors import InputError
from ..psfr_core.faces.align import place_crops
from ..psfr_core.parsing.parse_map import ParseMap
from ..psfr_core.restoration.grain import add_grain
from ..psfr_core.restoration.masks import crop_masks
from ..psfr_core.restoration.paste import paste_faces
from ..psfr_core.restoration.paste_options import PASTED_REGION_NAMES, WHOLE_CROP, PasteOptions, parse_pasted_regions
from .detected_faces import DetectedFaces
from .images import to_crops, to_frames, to_mask
from .inputs import (
    more_regions,
    more_regions_inputs,
    parse_map_input,
    region_strength_inputs,
    region_strengths,
    regions_input,
    strength_input,
)
from .previews import preview
from .runtime import Steps
from .schema import CATEGORY, shows_preview, supported_fields
from .types import FacesSocket, PasteOptionsSocket


class PSFR_PasteFacesBack(io.ComfyNode):
    """Paste crops back into their images."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="PSFR_PasteFacesBack",
            display_name="Paste Faces Back (PSFR-GAN)",
            category=CATEGORY,
            description="Pastes aligned faces back at their original positions with a soft edge. "
            "All other pixels stay bit-identical.",
            inputs=[
                io.Image.Input("image", tooltip="Images in which the faces were detected, or upscaled copies of them."),
                FacesSocket.Input("faces", tooltip="Faces from Align Faces."),
                io.Image.Input(
                    "crops",
                    tooltip="Square crops of any size, one per face in the same order. Other nodes may have processed them.",
                ),
                strength_input("Blend strength, 0 to 1. 0 keeps the image unchanged, 1 replaces the faces."),
                parse_map_input(
                    "Restricts pasting to the regions of Paste Options. Without it, the whole crop is pasted.",
                    optional=True,
                ),
                PasteOptionsSocket.Input("options", optional=True, tooltip="Options from Paste Options."),
            ],
            outputs=[
                io.Image.Output(display_name="image", tooltip="Images with the pasted faces."),
                io.Mask.Output(display_name="mask", tooltip="Blend weight of every pixel, 0 to 1."),
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
        if faces.count == 0:  # The crops are the placeholder of Align Faces, possibly processed by other nodes.
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
    """Set the options of pasting."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="PSFR_PasteOptions",
            display_name="Paste Options (PSFR-GAN)",
            category=CATEGORY,
            description="Options for pasting restored faces: regions and their strengths, edge softness and grain.",
            inputs=[
                io.Float.Input(
                    "feather",
                    default=PasteOptions.feather,
                    min=0.0,
                    max=0.5,
                    step=0.01,
                    tooltip="Width of the soft edge, as a fraction of the crop size. 0 gives a hard edge.",
                ),
                regions_input(PASTED_REGION_NAMES, f"Regions to paste; '{WHOLE_CROP}' pastes the whole crop."),
                io.Float.Input(  # optional, because older workflows do not have it
                    "grain",
                    default=PasteOptions.grain,
                    min=0.0,
                    max=1.0,
                    step=0.05,
                    optional=True,
                    tooltip="Amount of film grain or sensor noise on restored faces, 0 to 1. 0 adds none, 1 matches the photo.",
                ),
                *region_strength_inputs(),
                *more_regions_inputs(),
            ],
            outputs=[
                PasteOptionsSocket.Output(
                    display_name="options", tooltip="Options for Paste Faces Back or Restore Options."
                )
            ],
            **supported_fields(search_aliases=["feather", "face blend", "region strength", "eyes only"]),
        )

    @classmethod
    def execute(
        cls,
        feather: float,
        regions: str,
        grain: float = PasteOptions.grain,
        hat: bool = False,
        neck: bool = False,
        cloth: bool = False,
        **strengths: float,
    ) -> io.NodeOutput:
        pasted = parse_pasted_regions(regions)
        options = PasteOptions(
            feather=feather,
            regions=None if pasted is None else pasted | more_regions(hat, neck, cloth),
            grain=grain,
            strengths=region_strengths(strengths),
        )
        return io.NodeOutput(options)


def _check_counts(faces: int, crops: Tensor, parse_map: ParseMap | None) -> None:
    if len(crops) != faces:
        raise InputError(f"There are {faces} faces but {len(crops)} crops: give one crop per face, in the same order.")
    if parse_map is not None and len(parse_map) != len(crops):
        raise InputError(f"There are {len(crops)} crops but {len(parse_map)} parse maps: each crop needs its own.")
