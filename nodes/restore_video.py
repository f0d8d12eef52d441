"""The node that restores the faces of a video."""

from __future__ import annotations

import uuid
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import folder_paths
from comfy_api.latest import InputImpl, io, ui
from torch import nn

from ..psfr_core.errors import NoFaceError, VideoFileError
from ..psfr_core.faces.selection import FaceSelection
from ..psfr_core.networks.face_restorer import FaceRestorer
from ..psfr_core.networks.parse_net import ParseNet
from ..psfr_core.restoration.restore_options import RestoreOptions
from ..psfr_core.video.encoding import EncodingOptions
from ..psfr_core.video.read_video import load_av, open_video
from ..psfr_core.video.restore_video import restore_video
from ..psfr_core.video.video_options import VideoOptions
from ..psfr_core.video.write_video import copyable_streams
from .hosted_models import models_on_device
from .inputs import UNCONNECTED, detector_input, generator_input, parser_input, strength_input
from .notes import Note, add_note, notes_text
from .runtime import HostedNetwork, steps_of_passes, with_smaller_batches
from .schema import CATEGORY, parse_enum, shows_preview, supported_fields
from .types import RestoreOptionsSocket

_MAX_DEVIATION = 0.001  # seconds by which the durations of a video and of its file may differ


class PSFR_RestoreFacesInVideo(io.ComfyNode):
    """Restore the faces of a video from file to file."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="PSFR_RestoreFacesInVideo",
            display_name="Restore Faces in Video (PSFR-GAN)",
            category=CATEGORY,
            description="Follows the faces of a video, restores them without flicker, and keeps the sound. Frames are "
            "streamed to a temporary file, so long videos need no more memory than short ones.",
            inputs=[
                io.Video.Input("video", tooltip="Video from Load Video or any node with a VIDEO output."),
                io.Combo.Input(
                    "faces",
                    options=FaceSelection,
                    default=FaceSelection.ALL,
                    tooltip="Faces to restore in each shot: all, the largest, or the one closest to the center.",
                ),
                strength_input("Blend strength, 0 to 1. 0 keeps the faces unchanged, 1 replaces them."),
                io.Int.Input(
                    "steady_frames",
                    default=3,
                    min=0,
                    max=30,
                    tooltip="Number of frames on each side of a frame over which the unchanged parts of a face are averaged. "
                    "Higher values reduce flicker more; with 0, nothing is averaged.",
                ),
                io.Int.Input(
                    "quality",
                    default=17,
                    min=0,
                    max=51,
                    tooltip="Constant rate factor (CRF) of the H.264 video, 0 to 51. Lower values increase quality and file size. "
                    "17, the default, has no visible loss.",
                ),
                generator_input(optional=True),
                parser_input(UNCONNECTED, optional=True),
                detector_input(optional=True),
                RestoreOptionsSocket.Input("options", optional=True, tooltip="Options from Restore Options."),
            ],
            outputs=[
                io.Video.Output(display_name="video", tooltip="Video with restored faces and the sound of the input."),
                io.Int.Output(
                    display_name="face count",
                    tooltip="Number of restored tracks of faces. A person who returns after a cut or a long gap counts again.",
                ),
                io.String.Output(
                    display_name="report",
                    tooltip="Text report with the numbers of faces and frames, and the damaged parts of the video, if any.",
                ),
            ],
            **shows_preview(),
            **supported_fields(search_aliases=["video face restore", "face enhance video", "deflicker faces"]),
        )

    @classmethod
    def execute(
        cls,
        video: Any,
        faces: str,
        strength: float,
        steady_frames: int,
        quality: int,
        generator: HostedNetwork[FaceRestorer] | None = None,
        parser: HostedNetwork[ParseNet] | None = None,
        detector: HostedNetwork[nn.Module] | None = None,
        options: RestoreOptions | None = None,
    ) -> io.NodeOutput:
        options = options or RestoreOptions()
        selection = replace(options.selection, selection=parse_enum(FaceSelection, faces))
        restoration = replace(options, strength=strength, selection=selection)
        treatment = VideoOptions(steady_frames=steady_frames, encoding=EncodingOptions(quality=quality))
        with _file_of(video) as source, models_on_device(generator, parser, detector) as models:
            target = _temporary_file(_suffix_for(source))
            try:
                result = with_smaller_batches(
                    lambda size: restore_video(
                        source,
                        target,
                        models,
                        replace(restoration, batch_size=size),
                        treatment,
                        progress=steps_of_passes(),
                    )
                )
            except NoFaceError as error:
                raise NoFaceError(
                    "No face in the video matches the settings. Lower confidence or min_size, or set no_face to keep."
                ) from error
        add_note(Note.FOLLOWED, count=result.face_count, frames=result.frame_count)
        if result.damage:
            add_note(Note.DAMAGED, damage=result.damage)
        shown = ui.PreviewVideo([ui.SavedResult(target.name, "", io.FolderType.temp)])
        return io.NodeOutput(InputImpl.VideoFromFile(str(target)), result.face_count, notes_text(), ui=shown)


@contextmanager
def _file_of(video: Any) -> Generator[Path]:
    """Yield the file of a VIDEO: its own, or a temporary one for a video in memory and for an edited file.

    Raises VideoFileError for a video that ComfyUI cannot write.
    """
    source = _unedited_file(video)
    if isinstance(source, str):
        yield Path(source)
        return
    # .mkv files can contain the streams of any edited file, but round times to milliseconds.
    path = _temporary_file(".mkv" if isinstance(video, InputImpl.VideoFromFile) else ".mp4")
    try:
        if source is not None:
            path.write_bytes(source.getbuffer())
        else:
            _save(video, path)
        yield path
    finally:
        path.unlink(missing_ok=True)


def _save(video: Any, path: Path) -> None:
    try:
        video.save_to(str(path))
    except (load_av().error.FFmpegError, OSError, ValueError) as error:
        raise VideoFileError(
            f"ComfyUI cannot write this video to a file: {error}. If it comes from Create Video, use RGB images whose width and "
            "height are even, or connect the images to Restore Faces in Image and set frames_are of Restore Options to one video."
        ) from error


def _suffix_for(source: Path) -> str:
    """Return the suffix of a container that can hold the sound of ``source``: .mp4, which browsers play, or .mkv."""
    with open_video(source) as reader:
        try:
            copyable_streams(reader, Path("video.mp4"))
        except VideoFileError:
            return ".mkv"
    return ".mp4"


def _unedited_file(video: Any) -> str | BytesIO | None:
    """Return the path or content of the file of ``video``, or None if ``video`` is edited or has no file.

    ComfyUI trims, crops and resizes videos only when it reads frames.
    """
    if not isinstance(video, InputImpl.VideoFromFile):  # get_stream_source of other classes encodes the video in memory
        return None
    if getattr(video, "has_pending_frame_edits", lambda: False)():  # unknown to older versions
        return None
    source = video.get_stream_source()
    file = InputImpl.VideoFromFile(source)
    try:
        is_whole = abs(file.get_duration() - video.get_duration()) < _MAX_DEVIATION
        return source if is_whole and file.get_dimensions() == video.get_dimensions() else None
    except (OSError, ValueError):  # the file is missing or damaged, which the restoration reports
        return source


def _temporary_file(suffix: str) -> Path:
    folder = Path(folder_paths.get_temp_directory())
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"psfr_video_{uuid.uuid4().hex}{suffix}"
