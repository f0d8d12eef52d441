"""Parse maps: made, drawn, edited, and read from pictures."""

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
from .images import masks_of_frames, to_crops, to_image, to_mask, to_rgb_batch
from .inputs import crops_input, parse_map_input, parser_input, regions_input
from .previews import preview
from .runtime import HostedNetwork, Steps, on_device, with_smaller_batches
from .schema import CATEGORY, parse_enum, shows_preview, supported_fields
from .types import ParseMapSocket

ANY_REGION = "any"
_REGION_CHOICES = [region.name.lower() for region in FaceRegion]
# The replaced regions may also be both of a pair.
_PAIRS = [group.value for group in (RegionGroup.EYES, RegionGroup.BROWS, RegionGroup.LIPS, RegionGroup.EARS)]


class PSFR_ParseFaces(io.ComfyNode):
    """Regions of aligned faces."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="PSFR_ParseFaces",
            display_name="Parse Faces (PSFR-GAN)",
            category=CATEGORY,
            description="Tells 19 regions of each aligned face apart: skin, eyes, lips, hair and so on. The parse map guides the "
            "restoration, and may be edited before.",
            inputs=[
                crops_input(),
                parser_input(),
            ],
            outputs=[
                ParseMapSocket.Output(display_name="parse map", tooltip="The region of each pixel."),
                io.Image.Output(
                    display_name="colours", tooltip="The regions in their colours, to look at or to paint over."
                ),
                io.Image.Output(
                    display_name="labels",
                    tooltip="The regions as greys of 0 to 18 of 255, nearly black: exact in PNG files.",
                ),
            ],
            **shows_preview(),
            **supported_fields(search_aliases=["face parsing", "face segmentation", "face regions"]),
        )

    @classmethod
    def execute(cls, crops: Tensor, parser: HostedNetwork[ParseNet]) -> io.NodeOutput:
        parse_map = parse_crops(to_crops(crops), parser)
        colours = to_image(parse_map.to_color())
        return io.NodeOutput(parse_map, colours, to_image(parse_map.to_grey()), ui=preview(colours))


class PSFR_ParseMapToMask(io.ComfyNode):
    """Some regions as a mask."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="PSFR_ParseMapToMask",
            display_name="Parse Map to Mask (PSFR-GAN)",
            category=CATEGORY,
            description="A mask of some regions of the aligned faces.",
            inputs=[
                parse_map_input("From Parse Faces."),
                regions_input("face", "The regions in the mask."),
            ],
            outputs=[io.Mask.Output(display_name="mask", tooltip="White where a pixel is of these regions.")],
            **supported_fields(search_aliases=["face mask", "hair mask", "eyes mask", "segmentation mask"]),
        )

    @classmethod
    def execute(cls, parse_map: ParseMap, regions: str) -> io.NodeOutput:
        return io.NodeOutput(to_mask(parse_map.mask(parse_regions(regions))))


class PSFR_EditParseMap(io.ComfyNode):
    """A parse map with one region painted."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="PSFR_EditParseMap",
            display_name="Edit Parse Map (PSFR-GAN)",
            category=CATEGORY,
            description="Paints a region where a mask is white, turns one region into another, or both: one region, inside a mask.",
            inputs=[
                parse_map_input("From Parse Faces."),
                io.Combo.Input(
                    "region",
                    options=_REGION_CHOICES,
                    default="skin",
                    tooltip="What the chosen pixels become. Left and right are the person's own.",
                ),
                io.Combo.Input(
                    "replaces",
                    options=[ANY_REGION, *_REGION_CHOICES, *_PAIRS],
                    default=ANY_REGION,
                    tooltip="Only pixels of this region change: with the region skin, glasses takes glasses off, and eyes closes "
                    "the eyes.",
                ),
                io.Mask.Input(
                    "mask", optional=True, tooltip="Only pixels in this mask change. One for all faces, or one each."
                ),
            ],
            outputs=[
                ParseMapSocket.Output(display_name="parse map", tooltip="The edited map."),
                io.Image.Output(display_name="colours", tooltip="The regions in their colours."),
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
            chosen = chosen & _at_size_of(mask, parse_map)
        edited = parse_map.replaced(chosen[:, None].float(), _region(region))
        colours = to_image(edited.to_color())
        return io.NodeOutput(edited, colours, ui=preview(colours))


class PSFR_ImageToParseMap(io.ComfyNode):
    """A parse map from a picture of it."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="PSFR_ImageToParseMap",
            display_name="Image to Parse Map (PSFR-GAN)",
            category=CATEGORY,
            description="Reads a parse map from a picture in the regions' colours or from label greys, as Parse Faces draws "
            "them: so that a painted or generated map can drive the restoration.",
            inputs=[
                io.Image.Input("image", tooltip="One picture for each face, in colours or labels."),
                io.Combo.Input(
                    "unknown",
                    options=UnknownColor,
                    default=UnknownColor.ERROR,
                    tooltip="Colours that no region has: error says where one is, nearest takes the most similar region.",
                ),
            ],
            outputs=[ParseMapSocket.Output(display_name="parse map", tooltip="The region of each pixel.")],
            **supported_fields(search_aliases=["segmentation map", "load parse map"]),
        )

    @classmethod
    def execute(cls, image: Tensor, unknown: str) -> io.NodeOutput:
        return io.NodeOutput(ParseMap.from_picture(to_rgb_batch(image), parse_enum(UnknownColor, unknown)))


def parse_crops(crops: Tensor, parser: HostedNetwork[ParseNet]) -> ParseMap:
    """The parse map of crops (B, 3, S, S)."""
    steps = Steps(len(crops))
    with on_device(parser, pictures=len(crops)):
        return with_smaller_batches(lambda batch_size: parse_faces(crops, parser.network, batch_size, progress=steps))


def _region(name: str) -> FaceRegion:
    try:
        return FaceRegion[name.upper()]
    except KeyError:
        raise OptionError(f"{name!r} is no region. Choose one of {', '.join(_REGION_CHOICES)}.") from None


def _replaced(name: str) -> FaceRegion | RegionGroup:
    return RegionGroup(name) if name in _PAIRS else _region(name)


def _at_size_of(mask: Tensor, parse_map: ParseMap) -> Tensor:
    """Where a MASK of any size is white, (B, H, W) like the labels."""
    masks = masks_of_frames(mask, len(parse_map))
    if masks[0] is None:
        return torch.zeros_like(parse_map.labels, dtype=torch.bool)
    size = (parse_map.size.height, parse_map.size.width)
    stacked = torch.stack([found for found in masks if found is not None])
    return F.interpolate(stacked[:, None], size, mode="nearest-exact")[:, 0].to(parse_map.labels.device) > 0.5
