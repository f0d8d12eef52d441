"""The node that runs the complete restoration, and its options."""

from __future__ import annotations

from dataclasses import replace

from comfy_api.latest import io
from torch import Tensor, nn

from ..psfr_core.faces.selection import FaceSelection
from ..psfr_core.networks.face_restorer import FaceRestorer
from ..psfr_core.networks.parse_net import ParseNet
from ..psfr_core.restoration.color_match import ColorMatch
from ..psfr_core.restoration.paste_options import PasteOptions
from ..psfr_core.restoration.restore_options import Eyes, NoFace, RestoreOptions
from .batch_options import BatchOptions, Frames
from .detect_faces import check_face_count
from .hosted_models import models_on_device
from .images import to_frames, to_image, to_mask
from .inputs import (
    UNCONNECTED,
    automatic_strength_input,
    color_match_input,
    confidence_input,
    detection_options,
    detector_input,
    eyes_input,
    face_mask_input,
    generator_input,
    guard_input,
    indices_input,
    max_faces_input,
    max_size_input,
    min_size_input,
    no_face_input,
    order_input,
    parser_input,
    search_inputs,
    selection_options,
    strength_input,
)
from .notes import Note, add_face_notes, add_left_out_notes, add_note, notes_text
from .previews import preview
from .restore_batch import restore_as_video, restore_one_by_one
from .runtime import HostedNetwork
from .schema import CATEGORY, REPORT_TOOLTIP, parse_enum, shows_preview, supported_fields
from .types import PasteOptionsSocket, RestoreOptionsSocket


class PSFR_RestoreFacesInImage(io.ComfyNode):
    """Detect, align, parse, restore and paste back faces."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="PSFR_RestoreFacesInImage",
            display_name="Restore Faces in Image (PSFR-GAN)",
            category=CATEGORY,
            description="Detects the faces in every image of a batch, restores them and pastes them back. "
            "All other pixels stay unchanged.",
            inputs=[
                io.Image.Input("image", tooltip="Images or video frames."),
                io.Combo.Input(
                    "faces",
                    options=FaceSelection,
                    default=FaceSelection.ALL,
                    tooltip="Faces to restore in each image: all, the largest, or the one closest to the center.",
                ),
                strength_input("Blend strength, 0 to 1. 0 keeps the image unchanged, 1 replaces the faces."),
                generator_input(optional=True),
                parser_input(UNCONNECTED, optional=True),
                detector_input(optional=True),
                face_mask_input(),
                RestoreOptionsSocket.Input("options", optional=True, tooltip="Options from Restore Options."),
            ],
            outputs=[
                io.Image.Output(display_name="image", tooltip="Images with restored faces."),
                io.Mask.Output(display_name="mask", tooltip="Blend weight of every pixel, 0 to 1."),
                io.Int.Output(display_name="face count", tooltip="Total number of restored faces in all images."),
                io.String.Output(display_name="report", tooltip=REPORT_TOOLTIP),
            ],
            **shows_preview(),
            **supported_fields(
                search_aliases=[
                    "restoration",
                    "face restoration",
                    "face restore",
                    "face fix",
                    "face enhance",
                    "upscale face",
                    "deblur face",
                    "sharpen face",
                    "old photo",
                    "CodeFormer",
                    "GFPGAN",
                    "FaceDetailer",
                    "ReActor",
                ]
            ),
        )

    @classmethod
    def execute(
        cls,
        image: Tensor,
        faces: str,
        strength: float,
        generator: HostedNetwork[FaceRestorer] | None = None,
        parser: HostedNetwork[ParseNet] | None = None,
        detector: HostedNetwork[nn.Module] | None = None,
        mask: Tensor | None = None,
        options: RestoreOptions | None = None,
    ) -> io.NodeOutput:
        options = options or RestoreOptions()
        selection = replace(options.selection, selection=parse_enum(FaceSelection, faces))
        # NoFace.ERROR applies to the whole batch, so the number of faces is checked after all images.
        restoration = replace(options, strength=strength, selection=selection, no_face=NoFace.KEEP)
        with models_on_device(generator, parser, detector) as models:
            if isinstance(options, BatchOptions) and options.frames is Frames.VIDEO:
                result = restore_as_video(to_frames(image), models, restoration, mask)
                restored, changed = to_image(result.images), result.masks
                count = sum(len(track) for track in result.tracks)
                add_note(Note.FOLLOWED, count=len(result.tracks), frames=len(image))
                add_left_out_notes(result.left_out, selection)
            else:
                restored, changed, found = restore_one_by_one(image, models, restoration, mask)
                count = sum(image.used for image in found)
                add_face_notes(Note.RESTORED, found, selection)
        check_face_count(count, options.no_face)
        return io.NodeOutput(restored, to_mask(changed), count, notes_text(), ui=preview(restored))


class PSFR_RestoreOptions(io.ComfyNode):
    """Set the less common options of Restore Faces in Image and Restore Faces in Video."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="PSFR_RestoreOptions",
            display_name="Restore Options (PSFR-GAN)",
            category=CATEGORY,
            description="Options for Restore Faces in Image and Restore Faces in Video: detection, face selection, color match "
            "and pasting.",
            inputs=[
                confidence_input(),
                min_size_input(),
                order_input(),
                indices_input(),
                max_faces_input(),
                color_match_input(),
                no_face_input(),
                PasteOptionsSocket.Input("paste", optional=True, tooltip="Options from Paste Options."),
                # Optional, because older workflows do not have them.
                *search_inputs(optional=True),
                eyes_input(),
                guard_input(
                    True,
                    "Keep the photo where the result contradicts it, for example where lettering or a spoon became skin "
                    "or teeth.",
                ),
                max_size_input(),
                automatic_strength_input(),
                io.Combo.Input(
                    "frames_are",
                    options=Frames,
                    default=Frames.SINGLE,
                    optional=True,
                    tooltip="Relation of the images of a batch. 'single images' restores each image separately; 'one video' "
                    "follows the faces over successive frames and restores them without flicker.",
                ),
            ],
            outputs=[
                RestoreOptionsSocket.Output(
                    display_name="options", tooltip="Options for Restore Faces in Image or Restore Faces in Video."
                )
            ],
            **supported_fields(search_aliases=["face index", "face order", "face threshold"]),
        )

    @classmethod
    def execute(
        cls,
        confidence: float,
        min_size: float,
        order: str,
        indices: str,
        max_faces: int,
        color_match: str,
        no_face: str,
        paste: PasteOptions | None = None,
        tiles: bool = False,
        turned: bool = False,
        eyes: str = Eyes.AS_PARSED.value,
        guard: bool = True,
        max_size: float = 0.0,
        automatic_strength: bool = False,
        frames_are: str = Frames.SINGLE.value,
    ) -> io.NodeOutput:
        options = BatchOptions(
            detection=detection_options(confidence, tiles, turned),
            color_match=parse_enum(ColorMatch, color_match),
            no_face=parse_enum(NoFace, no_face),
            eyes=parse_enum(Eyes, eyes),
            guard=guard,
            automatic_strength=automatic_strength,
            selection=selection_options(order, indices, max_faces, min_size, max_size),
            paste=paste or PasteOptions(),
            frames=parse_enum(Frames, frames_are),
        )
        return io.NodeOutput(options)
