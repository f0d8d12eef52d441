"""Define the nodes of this pack, which convert ComfyUI's values and call ``psfr_core``. Only this folder imports ComfyUI."""

from __future__ import annotations

from pathlib import Path

from comfy_api.latest import ComfyExtension, io

from .align_faces import PSFR_AlignFaces
from .checked import checked
from .compare_images import PSFR_CompareImages
from .convert_faces import PSFR_FacesToMask, PSFR_FacesToSEGS
from .degrade_image import PSFR_DegradationOptions, PSFR_DegradeImage
from .detect_faces import PSFR_DetectFaces
from .error_titles import set_error_titles
from .example_image import PSFR_LoadExampleImage
from .example_video import PSFR_LoadExampleVideo
from .load_face_restorer import PSFR_LoadFaceRestorer
from .load_models import PSFR_LoadFaceDetector, PSFR_LoadFaceParser, PSFR_LoadGenerator, PSFR_LoadModels
from .locate_faces import PSFR_BoxesToFaces, PSFR_MaskToFaces, PSFR_SEGSToFaces
from .model_folders import register_model_folders
from .pack_folder import warn_about_folder_name
from .paint_parse_map import PSFR_PaintParseMap
from .parse_faces import PSFR_EditParseMap, PSFR_ImageToParseMap, PSFR_ParseFaces, PSFR_ParseMapToMask
from .paste_faces import PSFR_PasteFacesBack, PSFR_PasteOptions
from .restore_faces import PSFR_RestoreAlignedFaces
from .restore_image import PSFR_RestoreFacesInImage, PSFR_RestoreOptions
from .restore_video import PSFR_RestoreFacesInVideo
from .select_faces import PSFR_SelectFaces
from .track_faces import PSFR_TrackFaces

NODES: list[type[io.ComfyNode]] = [
    checked(node)
    for node in (
        PSFR_LoadModels,
        PSFR_LoadGenerator,
        PSFR_LoadFaceParser,
        PSFR_LoadFaceDetector,
        PSFR_LoadFaceRestorer,
        PSFR_RestoreFacesInImage,
        PSFR_RestoreFacesInVideo,
        PSFR_RestoreOptions,
        PSFR_DetectFaces,
        PSFR_SelectFaces,
        PSFR_TrackFaces,
        PSFR_AlignFaces,
        PSFR_ParseFaces,
        PSFR_ParseMapToMask,
        PSFR_EditParseMap,
        PSFR_PaintParseMap,
        PSFR_ImageToParseMap,
        PSFR_RestoreAlignedFaces,
        PSFR_PasteFacesBack,
        PSFR_PasteOptions,
        PSFR_FacesToMask,
        PSFR_MaskToFaces,
        PSFR_BoxesToFaces,
        PSFR_FacesToSEGS,
        PSFR_SEGSToFaces,
        PSFR_DegradeImage,
        PSFR_DegradationOptions,
        PSFR_CompareImages,
        PSFR_LoadExampleImage,
        PSFR_LoadExampleVideo,
    )
]


class PsfrExtension(ComfyExtension):
    """The entry point of the pack."""

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        """Register the model folders, set the titles of errors, and return all nodes."""
        warn_about_folder_name(Path(__file__).parents[1])
        set_error_titles()
        register_model_folders()
        return NODES


async def comfy_entrypoint() -> PsfrExtension:
    """Return the extension; ComfyUI calls this when it loads the pack."""
    return PsfrExtension()
