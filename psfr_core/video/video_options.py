"""Options of video restoration."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum

from ..options import check_options, option
from .encoding import EncodingOptions
from .steady_alignment import Smoothing
from .tracks import TrackOptions


class VideoStep(str, Enum):
    """The passes over a video. Only ``plan_clip`` registers the faces in a pass of its own."""

    FIND = "finding faces"
    REGISTER = "registering faces"
    RESTORE = "restoring"


VideoProgress = Callable[[VideoStep, int, int], None]
"""Function that is called with the step, the number of finished frames and the estimated total, and may raise to stop."""


@dataclass(frozen=True)
class VideoOptions:
    """Options for restoring the frames of a video together."""

    smoothing: Smoothing = option(
        Smoothing.TWO_SIDED,
        "smoothing of the alignment of faces by past and future frames, by past frames only, or none",
    )
    steady_frames: int = option(
        3,
        "number of frames on each side of a frame over which crops, parse maps and results are averaged where the face does not "
        "change; 0: no averaging",
        low=0,
        high=30,
    )
    tracks: TrackOptions = field(default_factory=TrackOptions)
    encoding: EncodingOptions = field(default_factory=EncodingOptions)

    def __post_init__(self) -> None:
        check_options(self)
