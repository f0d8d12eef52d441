"""PSFR-GAN face restoration: find faces, align them, parse them into 19 regions, restore them, and paste them back.

    models = psfr_core.load_models()
    result = psfr_core.restore_image(image, models)  # image (C, H, W), float, RGB in [0, 1]

Importing reads no file but code, and touches neither network nor device. PyTorch is imported with the first name that
is used.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .alignment.align import AlignedFace, align_faces
    from .detection.face import Face, FaceDetector
    from .detection.load import load_detector
    from .detection.options import DetectionOptions
    from .detection.selection import FaceOrder, FaceSelection, SelectionOptions, select_faces
    from .errors import PsfrError
    from .geometry.box import Box, Size
    from .networks.inference.optimize import optimize_for_inference
    from .parsing.labels import FaceRegion, RegionGroup
    from .parsing.parse_map import ParseMap
    from .parsing.parser import parse_faces
    from .paste_back.color_match import ColorMatch, match_colors
    from .paste_back.masks import crop_masks
    from .paste_back.paste import PasteOptions, paste_faces
    from .restoration.enhance import enhance_faces
    from .restoration.models import RestorationModels, load_models
    from .restoration.options import RestoreOptions
    from .restoration.restore import RestorationResult, restore_image
    from .weights.loader import load_generator, load_parse_net

__version__ = "0.3.0"
__all__ = [
    "AlignedFace",
    "Box",
    "ColorMatch",
    "DetectionOptions",
    "Face",
    "FaceDetector",
    "FaceOrder",
    "FaceRegion",
    "FaceSelection",
    "ParseMap",
    "PasteOptions",
    "PsfrError",
    "RegionGroup",
    "RestorationModels",
    "RestorationResult",
    "RestoreOptions",
    "SelectionOptions",
    "Size",
    "align_faces",
    "crop_masks",
    "enhance_faces",
    "load_detector",
    "load_generator",
    "load_models",
    "load_parse_net",
    "match_colors",
    "optimize_for_inference",
    "parse_faces",
    "paste_faces",
    "restore_image",
    "select_faces",
]

_MODULES = {
    "alignment.align": "AlignedFace align_faces",
    "detection.face": "Face FaceDetector",
    "detection.load": "load_detector",
    "detection.options": "DetectionOptions",
    "detection.selection": "FaceOrder FaceSelection SelectionOptions select_faces",
    "errors": "PsfrError",
    "geometry.box": "Box Size",
    "networks.inference.optimize": "optimize_for_inference",
    "parsing.labels": "FaceRegion RegionGroup",
    "parsing.parse_map": "ParseMap",
    "parsing.parser": "parse_faces",
    "paste_back.color_match": "ColorMatch match_colors",
    "paste_back.masks": "crop_masks",
    "paste_back.paste": "PasteOptions paste_faces",
    "restoration.enhance": "enhance_faces",
    "restoration.models": "RestorationModels load_models",
    "restoration.options": "RestoreOptions",
    "restoration.restore": "RestorationResult restore_image",
    "weights.loader": "load_generator load_parse_net",
}


def __getattr__(name: str) -> object:
    """Import a public name, or a subpackage, when it is first asked for: PyTorch alone takes a second to import."""
    for module, names in _MODULES.items():
        if name in names.split():
            return getattr(import_module(f".{module}", __name__), name)
    try:
        return import_module(f".{name}", __name__)
    except ModuleNotFoundError as error:
        if error.name != f"{__name__}.{name}":
            raise
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
