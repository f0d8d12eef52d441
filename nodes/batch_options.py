"""Options of the nodes that restore whole images."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from ..psfr_core.options import option
from ..psfr_core.restoration.restore_options import RestoreOptions


class Frames(str, Enum):
    """Relation of the images of a batch to each other."""

    SINGLE = "single images"
    VIDEO = "one video"  # successive frames, in which faces are followed


@dataclass(frozen=True)
class BatchOptions(RestoreOptions):
    """Options of Restore Faces in Image."""

    frames: Frames = option(Frames.SINGLE, "whether the images of a batch are successive frames of one video")
