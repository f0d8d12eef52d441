"""The node that follows faces over the frames of a video."""

from __future__ import annotations

from comfy_api.latest import io
from torch import Tensor

from ..psfr_core.faces.selection import parse_indices, positions
from ..psfr_core.video.follow_faces import follow_faces
from ..psfr_core.video.scene_cuts import SceneCutFinder
from .detected_faces import DetectedFaces
from .images import to_frames, to_rgb_batch
from .notes import Note, add_note
from .previews import preview_faces
from .schema import CATEGORY, shows_preview, supported_fields
from .types import FacesSocket


class PSFR_TrackFaces(io.ComfyNode):
    """Follow faces over successive frames."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="PSFR_TrackFaces",
            display_name="Track Faces (PSFR-GAN)",
            category=CATEGORY,
            description="Follows the faces of successive frames, so that Align Faces crops each of them steadily. "
            "Bridges short gaps, drops faces found in few frames, and keeps only the chosen people.",
            inputs=[
                io.Image.Input("image", tooltip="Frames in which the faces were detected."),
                FacesSocket.Input("faces", tooltip="Faces from Detect Faces or Select Faces."),
                io.String.Input(
                    "tracks",
                    default="",
                    tooltip="Tracks to keep, by number from 0 in the order of their first frames, for example 0,2; -1 is the "
                    "last. Empty keeps all.",
                ),
            ],
            outputs=[
                FacesSocket.Output(display_name="faces", tooltip="Followed faces, in the order of the tracks."),
                io.Int.Output(
                    display_name="track count",
                    tooltip="Number of kept tracks. A person who returns after a cut or a long gap counts again.",
                ),
            ],
            **shows_preview(),
            **supported_fields(search_aliases=["video face", "face tracking", "stabilize faces"]),
        )

    @classmethod
    def execute(cls, image: Tensor, faces: DetectedFaces, tracks: str) -> io.NodeOutput:
        frames = to_frames(image)
        faces = faces.in_frames(frames)
        wanted = parse_indices(tracks)
        cuts = SceneCutFinder()
        for frame in to_rgb_batch(image):
            cuts.add(frame)
        followed = follow_faces(faces.frames, cuts.cuts())
        if wanted is not None:
            kept = positions(wanted, len(followed))
            followed = [track for index, track in enumerate(followed) if index in kept]
        of_frames = [[track[index] for track in followed if index in track] for index in range(len(frames))]
        add_note(Note.TRACKED, count=len(followed), frames=len(frames))
        result = DetectedFaces.of(of_frames, frames)
        return io.NodeOutput(result, len(followed), ui=preview_faces(result))
