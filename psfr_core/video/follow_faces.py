"""Follow detected faces over frames, and remove the jitter of their landmarks."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from ..faces.face import Face
from ..faces.template import template_for
from ..images.similarity import invert_affine, transform_points
from .steady_alignment import Smoothing, align_track
from .tracks import TrackOptions, track_faces


def follow_faces(
    faces: Sequence[Sequence[Face]],
    cuts: Collection[int] = (),
    options: TrackOptions | None = None,
    smoothing: Smoothing = Smoothing.TWO_SIDED,
) -> list[dict[int, Face]]:
    """Return a dict for each track of ``track_faces``, which maps the index of each frame to the face with steady landmarks.

    ``Face.track`` is the index of the track in the result. The landmarks are those of the template, placed in the image such that
    ``align_faces`` returns the transforms of ``align_track``. In a frame in which the face was not found, its score is
    the mean score of the frames in which it was found. Raises InputError as ``track_faces`` does.
    """
    followed: list[dict[int, Face]] = []
    for number, track in enumerate(track_faces(faces, cuts, options)):
        found = float(track.scores[track.scores > 0].mean())
        placed: dict[int, Face] = {}
        for frame, transform in zip(track.frames, align_track(track, smoothing), strict=True):
            face = track.face(frame)
            landmarks = transform_points(invert_affine(transform), template_for(1)).float()
            placed[frame] = replace(face, landmarks=landmarks, score=face.score or found, track=number)
        followed.append(placed)
    return followed
