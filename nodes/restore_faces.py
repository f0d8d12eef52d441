"""The node that restores aligned faces."""

from __future__ import annotations

from comfy_api.latest import io
from torch import Tensor

from ..psfr_core.errors import InputError
from ..psfr_core.networks.face_restorer import FaceRestorer
from ..psfr_core.networks.parse_net import ParseNet
from ..psfr_core.parsing.parse_map import ParseMap
from ..psfr_core.restoration.automatic_strength import automatic_strength as strength_of_quality
from ..psfr_core.restoration.color_match import ColorMatch, match_colors
from ..psfr_core.restoration.consistency import contradictions
from ..psfr_core.restoration.enhance import enhance_faces
from .images import to_crops, to_image
from .inputs import (
    automatic_strength_input,
    color_match_input,
    crops_input,
    generator_input,
    guard_input,
    parse_map_input,
    strength_input,
)
from .parse_faces import parse_crops
from .previews import preview
from .runtime import HostedNetwork, Steps, on_device, with_smaller_batches
from .schema import CATEGORY, parse_enum, shows_preview, supported_fields
from .types import ParserSocket


class PSFR_RestoreAlignedFaces(io.ComfyNode):
    """Restore aligned faces."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="PSFR_RestoreAlignedFaces",
            display_name="Restore Aligned Faces (PSFR-GAN)",
            category=CATEGORY,
            description="Restores aligned faces, guided by a parse map. Without a parse map, the parser computes one.",
            inputs=[
                crops_input(),
                generator_input(),
                strength_input("Blend strength, 0 to 1. 0 returns the crops unchanged, 1 the restored faces."),
                color_match_input(),
                parse_map_input(
                    "Parse map that guides the restoration, possibly edited. Without it, a PSFR-GAN generator requires a parser.",
                    optional=True,
                ),
                ParserSocket.Input("parser", optional=True, tooltip="Parses the crops if no parse map is connected."),
                guard_input(  # optional, because older workflows do not have it
                    False,
                    "Keep the crop where the result contradicts it, for example where lettering or a spoon became skin or "
                    "teeth. Turn it off if you connect an edited parse map, because the guard would undo the edit.",
                ),
                automatic_strength_input(),
            ],
            outputs=[io.Image.Output(display_name="crops", tooltip="Restored faces, at the size of the crops.")],
            **shows_preview(),
            **supported_fields(search_aliases=["face restore", "face enhance", "PSFRGAN"]),
        )

    @classmethod
    def execute(
        cls,
        crops: Tensor,
        generator: HostedNetwork[FaceRestorer],
        strength: float,
        color_match: str,
        parse_map: ParseMap | None = None,
        parser: HostedNetwork[ParseNet] | None = None,
        guard: bool = False,
        automatic_strength: bool = False,
    ) -> io.NodeOutput:
        faces = to_crops(crops)
        if parse_map is None and generator.network.uses_parse_map:
            parse_map = _parsed(faces, parser)
        restored = _restore(faces, parse_map, generator)
        matched = restored = match_colors(restored, faces, parse_enum(ColorMatch, color_match))
        sizes = [generator.network.for_side(faces.shape[-1]).size] * len(faces)
        if guard:
            restored = restored.lerp(faces, contradictions(matched, faces, sizes))
        if automatic_strength:
            weight = strength_of_quality(matched, faces, sizes)
            restored = faces.lerp(restored, weight[:, None, None, None])
        mixed = to_image(faces.lerp(restored, strength).clamp(0, 1))
        return io.NodeOutput(mixed, ui=preview(mixed))


def _parsed(faces: Tensor, parser: HostedNetwork[ParseNet] | None) -> ParseMap:
    if parser is None:
        raise InputError("The restoration needs a parse map. Connect a parse map, or a parser that computes one.")
    return parse_crops(faces, parser)


def _restore(faces: Tensor, parse_map: ParseMap | None, generator: HostedNetwork[FaceRestorer]) -> Tensor:
    steps = Steps(len(faces))
    with on_device(generator, images=len(faces)):
        return with_smaller_batches(
            lambda batch_size: enhance_faces(faces, parse_map, generator.network, batch_size=batch_size, progress=steps)
        )
