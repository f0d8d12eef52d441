"""PSFR-GAN face restoration: find faces, align them, parse them into 19 regions, restore them, and paste them back.

    models = psfr_core.load_models()
    result = psfr_core.restore_image(image, models)  # image (C, H, W), float, RGB in [0, 1]

Importing reads no file but code, and touches neither network nor device. PyTorch is imported with the first name that
is used.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .errors import PsfrError
    from .faces.align import AlignedFace, align_faces
    from .faces.detection_options import DetectionOptions
    from .faces.detector import load_detector
    from .faces.face import Face, FaceDetector
    from .faces.selection import FaceOrder, FaceSelection, SelectionOptions, select_faces
    from .images.box import Box, Size
    from .models.loader import load_generator, load_parse_net
    from .networks.inference.optimize import optimize_for_inference
    from .parsing.labels import FaceRegion, RegionGroup
    from .parsing.parse_map import ParseMap
    from .parsing.parser import parse_faces
    from .restoration.color_match import ColorMatch, match_colors
    from .restoration.enhance import enhance_faces
    from .restoration.masks import crop_masks
    from .restoration.paste import PasteOptions, paste_faces
    from .restoration.restoration_models import RestorationModels, load_models
    from .restoration.restore import RestorationResult, restore_image
    from .restoration.restore_options import RestoreOptions

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
    "faces.align": "AlignedFace align_faces",
    "faces.face": "Face FaceDetector",
    "faces.detector": "load_detector",
    "faces.detection_options": "DetectionOptions",
    "faces.selection": "FaceOrder FaceSelection SelectionOptions select_faces",
    "errors": "PsfrError",
    "images.box": "Box Size",
    "networks.inference.optimize": "optimize_for_inference",
    "parsing.labels": "FaceRegion RegionGroup",
    "parsing.parse_map": "ParseMap",
    "parsing.parser": "parse_faces",
    "restoration.color_match": "ColorMatch match_colors",
    "restoration.masks": "crop_masks",
    "restoration.paste": "PasteOptions paste_faces",
    "restoration.enhance": "enhance_faces",
    "restoration.restoration_models": "RestorationModels load_models",
    "restoration.restore_options": "RestoreOptions",
    "restoration.restore": "RestorationResult restore_image",
    "models.loader": "load_generator load_parse_net",
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
