"""Inputs that several nodes have."""

from __future__ import annotations

from comfy_api.latest import io

from ..psfr_core.faces.detection_options import DetectionOptions
from ..psfr_core.faces.selection import FaceOrder, SelectionOptions, parse_indices
from ..psfr_core.parsing.labels import REGION_NAMES
from ..psfr_core.restoration.color_match import ColorMatch
from ..psfr_core.restoration.restore_options import Eyes, NoFace
from .schema import advanced, parse_enum
from .types import DetectorSocket, GeneratorSocket, ParseMapSocket, ParserSocket


def generator_input() -> io.Input:
    return GeneratorSocket.Input("generator", tooltip="From Load PSFR-GAN or Load Generator.")


def parser_input(use: str = "", *, optional: bool = False) -> io.Input:
    tooltip = " ".join(filter(None, ["From Load PSFR-GAN or Load Face Parser.", use]))
    return ParserSocket.Input("parser", optional=optional, tooltip=tooltip)


def detector_input() -> io.Input:
    return DetectorSocket.Input("detector", tooltip="From Load PSFR-GAN or Load Face Detector.")


def crops_input() -> io.Input:
    return io.Image.Input("crops", tooltip="Aligned faces, from Align Faces.")


def parse_map_input(tooltip: str, *, optional: bool = False) -> io.Input:
    return ParseMapSocket.Input("parse_map", display_name="parse map", optional=optional, tooltip=tooltip)


def face_mask_input() -> io.Input:
    return io.Mask.Input("mask", optional=True, tooltip="Only faces with at least half of their box in this mask.")


def strength_input(tooltip: str) -> io.Float.Input:
    return io.Float.Input("strength", default=1.0, min=0.0, max=1.0, step=0.01, tooltip=tooltip)


def confidence_input() -> io.Float.Input:
    return io.Float.Input(
        "confidence",
        default=0.0,
        min=0.0,
        max=1.0,
        step=0.01,
        tooltip="How sure the detector must be, 0 to 1. 0: what suits the detector. Lower finds more, and more that is no face.",
    )


def min_size_input() -> io.Float.Input:
    return io.Float.Input(
        "min_size",
        default=0.0,
        min=0.0,
        max=16384.0,
        step=1.0,
        tooltip="Faces whose box has a shorter side of fewer pixels are left out.",
    )


def no_face_input() -> io.Combo.Input:
    return io.Combo.Input(
        "no_face",
        options=NoFace,
        default=NoFace.KEEP,
        tooltip="When there is no face: keep goes on and leaves the image as it is, error stops the workflow.",
    )


def eyes_input() -> io.Combo.Input:
    return io.Combo.Input(
        "eyes",
        options=Eyes,
        default=Eyes.AS_PARSED,
        optional=True,
        tooltip="closed restores all eyes as lids, where the parser mistakes closed eyes for open ones.",
    )


def search_inputs(*, optional: bool = False) -> list[io.Input]:
    """Where faces are searched beside the image as it is."""
    tooltips = {
        "tiles": "Search large images also in tiles at full size: finds tiny faces, and takes longer.",
        "turned": "Search also with the image on its sides and its head: finds faces lying or upside down, and takes four times "
        "as long.",
    }
    return [
        advanced(io.Boolean.Input(name, default=False, optional=optional, tooltip=tooltip))
        for name, tooltip in tooltips.items()
    ]


def detection_options(confidence: float, tiles: bool, turned: bool) -> DetectionOptions:
    """The options that confidence and the two inputs above stand for."""
    return DetectionOptions(min_score=confidence or None, tiles=tiles, turned=turned)


def order_input() -> io.Combo.Input:
    return io.Combo.Input(
        "order",
        options=FaceOrder,
        default=FaceOrder.AREA,
        tooltip="How the faces of an image are numbered. area: largest first.",
    )


def indices_input() -> io.String.Input:
    return io.String.Input(
        "indices",
        default="",
        tooltip="Which faces of each image, by their numbers in the order, from 0: 0,2,4-6. Empty: all. none: no face.",
    )


def max_faces_input() -> io.Int.Input:
    return io.Int.Input(
        "max_faces",
        default=0,
        min=0,
        max=9999,
        tooltip="At most so many faces of each image, the first in the order. 0: all.",
    )


def selection_options(order: str, indices: str, max_faces: int, min_size: float) -> SelectionOptions:
    """The options that the four inputs above stand for."""
    return SelectionOptions(
        min_size=min_size,
        order=parse_enum(FaceOrder, order),
        indices=parse_indices(indices),
        max_faces=max_faces or None,
    )


def color_match_input() -> io.Combo.Input:
    return io.Combo.Input(
        "color_match",
        options=ColorMatch,
        default=ColorMatch.LOW_FREQUENCY,
        tooltip="Where the broad colours of a restored face come from: low-frequency takes the photo's, none the generator's.",
    )


def guard_input(default: bool, tooltip: str) -> io.Boolean.Input:
    return io.Boolean.Input("guard", default=default, optional=True, tooltip=tooltip)


def regions_input(default: str, tooltip: str) -> io.String.Input:
    """A text that names regions and groups of regions."""
    return io.String.Input(
        "regions", default=default, tooltip=f"{tooltip} Names with commas between them: {', '.join(REGION_NAMES)}."
    )
