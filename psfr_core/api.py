"""List the public names of ``psfr_core``, which loads this module on the first use of a public name."""

from .errors import PsfrError
from .faces.align import AlignedFace, align_faces
from .faces.detection_options import DetectionOptions
from .faces.detector import load_detector
from .faces.face import Face, FaceDetector
from .faces.selection import FaceOrder, FaceSelection, SelectionOptions, select_faces
from .images.box import Box, Size
from .models.loader import load_face_restorer, load_generator, load_parse_net
from .networks.face_restorer import FaceRestorer
from .networks.inference.optimize import optimize_for_inference
from .parsing.labels import FaceRegion, RegionGroup
from .parsing.parse_map import ParseMap
from .parsing.parser import parse_faces
from .restoration.color_match import ColorMatch, match_colors
from .restoration.enhance import enhance_faces
from .restoration.masks import crop_masks
from .restoration.paste import paste_faces
from .restoration.paste_options import PasteOptions
from .restoration.region_strengths import RegionStrengths
from .restoration.restoration_models import RestorationModels, load_models
from .restoration.restore import RestorationResult, restore_image
from .restoration.restore_options import RestoreOptions
from .video.restore_sequence import SequenceResult, restore_sequence
from .video.restore_video import VideoResult, restore_video
from .video.video_options import VideoOptions

__all__ = [
    "AlignedFace",
    "Box",
    "ColorMatch",
    "DetectionOptions",
    "Face",
    "FaceDetector",
    "FaceOrder",
    "FaceRegion",
    "FaceRestorer",
    "FaceSelection",
    "ParseMap",
    "PasteOptions",
    "PsfrError",
    "RegionGroup",
    "RegionStrengths",
    "RestorationModels",
    "RestorationResult",
    "RestoreOptions",
    "SelectionOptions",
    "SequenceResult",
    "Size",
    "VideoOptions",
    "VideoResult",
    "align_faces",
    "crop_masks",
    "enhance_faces",
    "load_detector",
    "load_face_restorer",
    "load_generator",
    "load_models",
    "load_parse_net",
    "match_colors",
    "optimize_for_inference",
    "parse_faces",
    "paste_faces",
    "restore_image",
    "restore_sequence",
    "restore_video",
    "select_faces",
]
