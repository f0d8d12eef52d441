"""The nodes that create, edit and read parse maps."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from comfy_api.latest import io
from torch import Tensor

from ..psfr_core.errors import OptionError
from ..psfr_core.networks.parse_net import ParseNet
from ..psfr_core.parsing.labels import FaceRegion, RegionGroup, parse_regions
from ..psfr_core.parsing.parse_map import ParseMap, UnknownColor
from ..psfr_core.parsing.parser import parse_faces
from .images import expanded_mask, to_crops, to_image, to_mask, to_rgb_batch
from .inputs import crops_input, parse_map_input, parser_input, regions_input
from .previews import preview
from .runtime import HostedNetwork, Steps, on_device, with_smaller_batches
from .schema import CATEGORY, parse_enum, shows_preview, supported_fields
from .types import ParseMapSocket

ANY_REGION = "any"
_REGION_CHOICES = [region.name.lower() for region in FaceRegion]
# Both regions of a pair can be replaced at once.
_PAIRS = [group.value for group in (RegionGroup.EYES, RegionGroup.BROWS, RegionGroup.LIPS, RegionGroup.EARS)]


class PSFR_ParseFaces(io.ComfyNode):
    """Parse aligned faces into regions."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="PSFR_ParseFaces",
            display_name="Parse Faces (PSFR-GAN)",
            category=CATEGORY,
            description="Segments each aligned face into 19 regions such as skin, eyes, lips and hair. The parse map guides the "
            "restoration and can be edited first.",
            inputs=[
                crops_input(),
                parser_input(),
            ],
            outputs=[
                ParseMapSocket.Output(display_name="parse map", tooltip="Region of every pixel."),
                io.Image.Output(display_name="colors", tooltip="Color-coded regions, for viewing or painting."),
                io.Image.Output(
                    display_name="labels",
                    tooltip="Region numbers as gray values 0 to 18 of 255; nearly black, exact in PNG files.",
                ),
            ],
            **shows_preview(),
            **supported_fields(search_aliases=["face parsing", "face segmentation", "face regions"]),
        )

    @classmethod
    def execute(cls, crops: Tensor, parser: HostedNetwork[ParseNet]) -> io.NodeOutput:
        parse_map = parse_crops(to_crops(crops), parser)
        colors = to_image(parse_map.to_color())
        return io.NodeOutput(parse_map, colors, to_image(parse_map.to_grey()), ui=preview(colors))


class PSFR_ParseMapToMask(io.ComfyNode):
    """Convert regions of a parse map to a mask."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="PSFR_ParseMapToMask",
            display_name="Parse Map to Mask (PSFR-GAN)",
            category=CATEGORY,
            description="Converts selected regions of a parse map to a mask.",
            inputs=[
                parse_map_input("Parse map from Parse Faces."),
                regions_input("face", "Regions to include in the mask."),
            ],
            outputs=[io.Mask.Output(display_name="mask", tooltip="White in the selected regions, black elsewhere.")],
            **supported_fields(search_aliases=["face mask", "hair mask", "eyes mask", "segmentation mask"]),
        )

    @classmethod
    def execute(cls, parse_map: ParseMap, regions: str) -> io.NodeOutput:
        return io.NodeOutput(to_mask(parse_map.mask(parse_regions(regions))))


class PSFR_EditParseMap(io.ComfyNode):
    """Paint or replace one region of a parse map."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="PSFR_EditParseMap",
            display_name="Edit Parse Map (PSFR-GAN)",
            category=CATEGORY,
            description="Assigns a region to the pixels in a mask, to all pixels of another region, or to the pixels of another "
            "region in the mask.",
            inputs=[
                parse_map_input("Parse map from Parse Faces."),
                io.Combo.Input(
                    "region",
                    options=_REGION_CHOICES,
                    default="skin",
                    tooltip="Region assigned to the chosen pixels. Left and right are from the person's point of view.",
                ),
                io.Combo.Input(
                    "replaces",
                    options=[ANY_REGION, *_REGION_CHOICES, *_PAIRS],
                    default=ANY_REGION,
                    tooltip="Region to replace; 'any' replaces all regions. If region is 'skin', 'glasses' removes glasses, and "
                    "'eyes' closes the eyes.",
                ),
                io.Mask.Input(
                    "mask", optional=True, tooltip="Area to change: one mask for all faces, or one per face."
                ),
            ],
            outputs=[
                ParseMapSocket.Output(display_name="parse map", tooltip="Edited parse map."),
                io.Image.Output(display_name="colors", tooltip="Color-coded regions."),
            ],
            **shows_preview(),
            **supported_fields(search_aliases=["paint regions", "remove glasses", "segmentation edit"]),
        )

    @classmethod
    def execute(cls, parse_map: ParseMap, region: str, replaces: str, mask: Tensor | None = None) -> io.NodeOutput:
        if mask is None and replaces == ANY_REGION:
            raise OptionError("Everything would become one region. Connect a mask, or choose which region is replaced.")
        chosen = torch.ones_like(parse_map.labels, dtype=torch.bool)
        if replaces != ANY_REGION:
            chosen = parse_map.mask(_replaced(replaces))[:, 0] > 0.5
        if mask is not None:
            chosen = chosen & _is_white(mask, parse_map)
        edited = parse_map.replaced(chosen[:, None].float(), _region(region))
        colors = to_image(edited.to_color())
        return io.NodeOutput(edited, colors, ui=preview(colors))


class PSFR_ImageToParseMap(io.ComfyNode):
    """Read a parse map from an image."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="PSFR_ImageToParseMap",
            display_name="Image to Parse Map (PSFR-GAN)",
            category=CATEGORY,
            description="Reads a parse map from an image in the color or gray coding of Parse Faces, so that a painted or "
            "generated map can guide the restoration.",
            inputs=[
                io.Image.Input("image", tooltip="Color-coded or gray label images, one per face."),
                io.Combo.Input(
                    "unknown",
                    options=UnknownColor,
                    default=UnknownColor.ERROR,
                    tooltip="Handling of unknown colors. 'error' stops and reports the position. 'nearest' uses the region with "
                    "the most similar color.",
                ),
            ],
            outputs=[ParseMapSocket.Output(display_name="parse map", tooltip="Region of every pixel.")],
            **supported_fields(search_aliases=["segmentation map", "load parse map"]),
        )

    @classmethod
    def execute(cls, image: Tensor, unknown: str) -> io.NodeOutput:
        return io.NodeOutput(ParseMap.from_picture(to_rgb_batch(image), parse_enum(UnknownColor, unknown)))


def parse_crops(crops: Tensor, parser: HostedNetwork[ParseNet]) -> ParseMap:
    """Parse crops (B, 3, S, S) on ComfyUI's device, in smaller batches if memory runs out."""
    steps = Steps(len(crops))
    with on_device(parser, images=len(crops)):
        return with_smaller_batches(lambda batch_size: parse_faces(crops, parser.network, batch_size, progress=steps))


def _region(name: str) -> FaceRegion:
    try:
        return FaceRegion[name.upper()]
    except KeyError:
        raise OptionError(f"Unknown region {name!r}. Choose one of {', '.join(_REGION_CHOICES)}.") from None


def _replaced(name: str) -> FaceRegion | RegionGroup:
    return RegionGroup(name) if name in _PAIRS else _region(name)


def _is_white(mask: Tensor, parse_map: ParseMap) -> Tensor:
    """Resize a MASK to the size of ``parse_map``. Return a bool tensor (B, H, W), True where the MASK exceeds 0.5."""
    masks = expanded_mask(mask, len(parse_map))
    size = (parse_map.size.height, parse_map.size.width)
    return F.interpolate(masks[:, None], size, mode="nearest-exact")[:, 0].to(parse_map.labels.device) > 0.5
