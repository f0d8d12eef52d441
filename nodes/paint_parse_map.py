"""The node that paints parse maps by hand. Its editor is in web/js/parse_map_painter.js."""

from __future__ import annotations

import logging
from typing import Any

from comfy_api.latest import io, ui
from torch import Tensor

from ..psfr_core.errors import InputError
from ..psfr_core.images.box import Size
from ..psfr_core.images.resize import resize_within
from ..psfr_core.parsing.labels import REGION_COLORS, FaceRegion
from ..psfr_core.parsing.parse_map import ParseMap
from ..psfr_core.parsing.strokes import Painting
from .images import to_crops, to_image
from .inputs import crops_input, parse_map_input
from .schema import CATEGORY, shows_preview, supported_fields
from .types import ParseMapSocket

logger = logging.getLogger(__name__)

_MAX_FACES = 24  # each is sent to the browser as two images
_MAX_SIDE = 512  # maximum side of these images, pixels


class PSFR_PaintParseMap(io.ComfyNode):
    """Paint brush strokes on parse maps."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="PSFR_PaintParseMap",
            display_name="Paint Parse Map (PSFR-GAN)",
            category=CATEGORY,
            description="Lets you paint the regions of each face by hand with a brush. Run the workflow once to see the faces, "
            "paint, and run it again: only the nodes after this one are computed again.",
            inputs=[
                crops_input(),
                parse_map_input("Parse map to paint on, from Parse Faces."),
                io.String.Input(
                    "strokes",
                    default="",
                    tooltip="Brush strokes in the format of the editor: face, region, diameter and points. Diameters and points "
                    "are in thousandths of the map's side. Empty leaves the map unchanged.",
                ),
            ],
            outputs=[
                ParseMapSocket.Output(display_name="parse map", tooltip="Painted parse map."),
                io.Image.Output(display_name="colors", tooltip="Color-coded regions."),
            ],
            is_output_node=True,  # shows the faces even if no other node is connected
            **shows_preview(),
            **supported_fields(search_aliases=["draw mask", "segmentation painter", "edit face regions", "brush"]),
        )

    @classmethod
    def execute(cls, crops: Tensor, parse_map: ParseMap, strokes: str = "") -> io.NodeOutput:
        faces = to_crops(crops)
        if len(faces) != len(parse_map):
            raise InputError(
                f"There are {len(faces)} crops but {len(parse_map)} parse maps. Connect the crops that the map was parsed from."
            )
        painting = Painting.from_text(strokes)
        painted = parse_map
        if painting is not None:
            if painting.face_count != len(faces):
                logger.warning(
                    "Paint Parse Map: the strokes were painted on %d faces, but now there are %d. The strokes stay on the faces "
                    "with the same numbers.",
                    painting.face_count,
                    len(faces),
                )
            painted = painting.paint(parse_map)
        return io.NodeOutput(painted, to_image(painted.to_color()), ui=_editor(faces, parse_map, strokes))


def _editor(faces: Tensor, parse_map: ParseMap, strokes: str) -> dict[str, Any]:
    """Return the data for the editor: files of the crops and labels, strokes, names and colors of the regions."""
    shown = parse_map[:_MAX_FACES]
    side = min(shown.size.width, _MAX_SIDE)
    crops = [resize_within(face.clamp(0, 1), _MAX_SIDE).clamp(0, 1) for face in faces[:_MAX_FACES]]
    return {
        "parse_map_painter": [
            {
                "crops": _saved(to_image(crops), "psfr_crop"),
                "labels": _saved(to_image(shown.resized(Size(side, side)).to_grey()), "psfr_labels"),
                "count": len(faces),
                "strokes": strokes,  # may come from another node instead of the widget
                "regions": [region.name.lower() for region in FaceRegion],
                "colors": [list(REGION_COLORS[region]) for region in FaceRegion],
            }
        ]
    }


def _saved(image: Tensor, prefix: str) -> list[Any]:
    return list(ui.ImageSaveHelper.save_images(image, prefix, io.FolderType.temp, None, compress_level=1))
