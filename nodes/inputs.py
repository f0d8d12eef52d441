"""Define the inputs that several nodes share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace

from comfy_api.latest import io

from ..psfr_core.faces.detection_options import DetectionOptions
from ..psfr_core.faces.selection import FaceOrder, SelectionOptions, parse_indices
from ..psfr_core.options import description_of
from ..psfr_core.parsing.labels import REGION_NAMES, FaceRegion
from ..psfr_core.restoration.color_match import ColorMatch
from ..psfr_core.restoration.region_strengths import RegionStrengths
from ..psfr_core.restoration.restore_options import Eyes, NoFace
from .schema import advanced, parse_enum
from .types import DetectorSocket, GeneratorSocket, ParseMapSocket, ParserSocket

UNCONNECTED = "Without it, the bundled model is used."


def generator_input(*, optional: bool = False) -> io.Input:
    tooltip = _sentences(
        "Generator from Load PSFR-GAN, Load Generator or Load Face Restorer.", UNCONNECTED if optional else ""
    )
    return GeneratorSocket.Input("generator", optional=optional, tooltip=tooltip)


def parser_input(use: str = "", *, optional: bool = False) -> io.Input:
    tooltip = _sentences("Face parser from Load PSFR-GAN or Load Face Parser.", use)
    return ParserSocket.Input("parser", optional=optional, tooltip=tooltip)


def detector_input(*, optional: bool = False) -> io.Input:
    tooltip = _sentences("Face detector from Load PSFR-GAN or Load Face Detector.", UNCONNECTED if optional else "")
    return DetectorSocket.Input("detector", optional=optional, tooltip=tooltip)


def _sentences(*parts: str) -> str:
    return " ".join(filter(None, parts))


def crops_input() -> io.Input:
    return io.Image.Input("crops", tooltip="Aligned faces from Align Faces.")


def parse_map_input(tooltip: str, *, optional: bool = False) -> io.Input:
    return ParseMapSocket.Input("parse_map", optional=optional, tooltip=tooltip)


def face_mask_input() -> io.Input:
    return io.Mask.Input(
        "mask",
        optional=True,
        tooltip="Mask that marks the faces to use. A face is marked if its center, or at least half of its box, is painted. An "
        "unpainted mask has no effect.",
    )


def strength_input(tooltip: str) -> io.Float.Input:
    return io.Float.Input("strength", default=1.0, min=0.0, max=1.0, step=0.01, tooltip=tooltip)


def confidence_input() -> io.Float.Input:
    return io.Float.Input(
        "confidence",
        default=0.0,
        min=0.0,
        max=1.0,
        step=0.01,
        tooltip="Minimum detection score. 0 is automatic: 0.6 for the bundled detector (with a parser, 0.4 for faces "
        "that it verifies and 0.7 for others), and 0.9 for RetinaFace. From 0.01 to 1, higher "
        "values find fewer faces and fewer false positives.",
    )


def min_size_input() -> io.Float.Input:
    return io.Float.Input(
        "min_size",
        default=0.0,
        min=0.0,
        max=16384.0,
        step=1.0,
        tooltip="Minimum length of the shorter side of a face box, in pixels. Smaller faces are left out, for example those in "
        "the background. 0 means no limit.",
    )


def max_size_input() -> io.Float.Input:
    return io.Float.Input(
        "max_size",
        default=0.0,
        min=0.0,
        max=16384.0,
        step=1.0,
        optional=True,
        tooltip="Maximum length of the shorter side of a face box, in pixels. Larger faces are left out, for example because they "
        "are already sharp. 0 means no limit.",
    )


def no_face_input() -> io.Combo.Input:
    return io.Combo.Input(
        "no_face",
        options=NoFace,
        default=NoFace.KEEP,
        tooltip="Behavior if no image has a face that fits the settings: 'keep' continues and leaves the images unchanged, "
        "'error' stops the workflow.",
    )


def eyes_input() -> io.Combo.Input:
    return io.Combo.Input(
        "eyes",
        options=Eyes,
        default=Eyes.AS_PARSED,
        optional=True,
        tooltip="State of the eyes. 'as-parsed' follows the face parser; 'closed' restores all eyes as closed, for closed eyes "
        "that would come out open.",
    )


def search_inputs(*, optional: bool = False) -> list[io.Input]:
    """Return the inputs that extend the search to tiles and rotations."""
    tooltips = {
        "tiles": "Also search large images in full-resolution tiles. Finds tiny faces; slower.",
        "turned": "Also search at 90, 180 and 270 degrees. Finds faces that lie sideways or upside down; four times slower.",
    }
    return [
        advanced(io.Boolean.Input(name, default=False, optional=optional, tooltip=tooltip))
        for name, tooltip in tooltips.items()
    ]


def detection_options(confidence: float, tiles: bool, turned: bool) -> DetectionOptions:
    """Build detection options from the values of the inputs."""
    return DetectionOptions(min_score=confidence or None, tiles=tiles, turned=turned)


def order_input() -> io.Combo.Input:
    return io.Combo.Input(
        "order",
        options=FaceOrder,
        default=FaceOrder.AREA,
        tooltip="Order in which the faces of an image are numbered. 'area' starts with the largest face, and 'score' with "
        "the highest detection score.",
    )


def indices_input() -> io.String.Input:
    return io.String.Input(
        "indices",
        default="",
        tooltip="Faces to keep in each image, by number from 0, for example 0,2,4-6; 1- means 1 and all later faces, -1 the "
        "last face. Empty or all keeps all; none keeps no face.",
    )


def max_faces_input() -> io.Int.Input:
    return io.Int.Input(
        "max_faces",
        default=0,
        min=0,
        max=9999,
        tooltip="Maximum number of faces per image, in the chosen order. 0 means no limit.",
    )


def selection_options(order: str, indices: str, max_faces: int, min_size: float, max_size: float) -> SelectionOptions:
    """Build selection options from the values of the inputs."""
    return SelectionOptions(
        min_size=min_size,
        order=parse_enum(FaceOrder, order),
        indices=parse_indices(indices),
        max_faces=max_faces or None,
        max_size=max_size or None,
    )


def without_numbers(options: SelectionOptions) -> SelectionOptions:
    """Return ``options`` without ``indices`` and ``max_faces``, so that only sizes leave faces out."""
    return replace(options, indices=None, max_faces=None)


def color_match_input() -> io.Combo.Input:
    return io.Combo.Input(
        "color_match",
        options=ColorMatch,
        default=ColorMatch.LOW_FREQUENCY,
        tooltip="Source of the overall colors of a restored face. 'low-frequency': the photo, for most images. 'none': the "
        "generator, for photos with wrong colors. 'detail-only': the photo, also for the shading; adds only fine detail, for "
        "slightly soft faces.",
    )


def automatic_strength_input() -> io.Boolean.Input:
    return io.Boolean.Input(
        "automatic_strength",
        default=False,
        optional=True,
        tooltip="Reduce the strength of each face according to its quality. Sharp faces with little noise stay unchanged; soft or "
        "noisy faces get the full strength.",
    )


def guard_input(default: bool, tooltip: str) -> io.Boolean.Input:
    return io.Boolean.Input("guard", default=default, optional=True, tooltip=tooltip)


def regions_input(default: str, tooltip: str) -> io.String.Input:
    """Return the input for names of regions and groups of regions."""
    return io.String.Input(
        "regions", default=default, tooltip=f"{tooltip} Comma-separated names: {', '.join(REGION_NAMES)}."
    )


def region_strength_inputs() -> list[io.Input]:
    """Return one slider for each part of a face. They are optional, because older workflows do not have them."""
    return [
        io.Float.Input(
            f"{part.name}_strength",
            default=1.0,
            min=0.0,
            max=1.0,
            step=0.05,
            display_mode=io.NumberDisplay.slider,
            optional=True,
            tooltip=f"{description_of(part).capitalize()}.",
        )
        for part in fields(RegionStrengths)
    ]


def more_regions_inputs() -> list[io.Input]:
    """Return toggles for hats, necks and clothes. They are optional, because older workflows do not have them."""
    return [
        io.Boolean.Input(
            name, default=False, optional=True, tooltip=f"Paste {what} too, in addition to the chosen regions."
        )
        for name, what in {"hat": "hats", "neck": "the neck and necklaces", "cloth": "clothes"}.items()
    ]


def more_regions(hat: bool, neck: bool, cloth: bool) -> frozenset[FaceRegion]:
    """Return the regions of the toggles that are on."""
    chosen = {FaceRegion.HAT: hat, FaceRegion.NECK: neck, FaceRegion.NECKLACE: neck, FaceRegion.CLOTH: cloth}
    return frozenset(region for region, is_on in chosen.items() if is_on)


def region_strengths(values: Mapping[str, float]) -> RegionStrengths:
    """Build region strengths from the values of the inputs."""
    return RegionStrengths(**{name.removesuffix("_strength"): value for name, value in values.items()})
