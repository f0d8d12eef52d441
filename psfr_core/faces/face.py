"""Define detected faces and the interface of detectors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from torch import Tensor

from ..checks import check_shape, check_type
from ..errors import InputError
from ..images.box import Box, Size
from ..progress import Progress
from .detection_options import DetectionOptions


@dataclass(frozen=True, eq=False)  # comparing tensors does not yield a single bool
class Face:
    """A detected face, in pixels of its image.

    ``landmarks`` is a float32 CPU tensor (5, 2) of x, y, where (0, 0) is the center of the top-left pixel. Its rows are left eye,
    right eye, nose tip, left and right mouth corner, with left and right as seen in the image. ``score`` is in [0, 1]. ``track``
    is the number of the face's track in a video, or None.
    """

    box: Box
    landmarks: Tensor
    score: float
    track: int | None = None

    @property
    def eye_distance(self) -> float:
        """Distance between the eyes in pixels."""
        return float((self.landmarks[1] - self.landmarks[0]).norm())

    def scaled(self, old: Size, new: Size) -> Face:
        """Return this face in pixels of its image after a resize from ``old`` to ``new``.

        Raises InputError if the aspect ratios differ by more than one percent.
        """
        if not old.has_aspect_of(new):
            raise InputError(
                f"The face was found in an image of {old.width} x {old.height} pixels, but this one has "
                f"{new.width} x {new.height}. Use the same image, which may be resized but not cropped."
            )
        across, down = new.width / old.width, new.height / old.height
        box = Box(self.box.left * across, self.box.top * down, self.box.right * across, self.box.bottom * down)
        landmarks = (self.landmarks + 0.5) * self.landmarks.new_tensor([across, down]) - 0.5
        return replace(self, box=box, landmarks=landmarks)


def check_faces(faces: Sequence[Face]) -> None:
    """Raise InputError unless all ``faces`` have finite boxes and scores, and float landmarks (5, 2)."""
    check_type(faces, Sequence, "faces")
    for index, face in enumerate(faces):
        check_type(face, Face, f"Face {index}")
        if not all(map(math.isfinite, (*face.box, face.score))):
            raise InputError(f"Face {index} must have a finite box and score, got {face.box} and score {face.score}.")
        check_shape(face.landmarks, "5 2", f"The landmarks of face {index}")
        if not face.landmarks.is_floating_point():
            raise InputError(
                f"The landmarks of face {index} must be floating point numbers, got {face.landmarks.dtype}. "
                "Convert them with float()."
            )


class FaceDetector(Protocol):
    """Detector of faces in images of any size."""

    def detect(
        self, images: Tensor, options: DetectionOptions | None = None, *, progress: Progress | None = None
    ) -> list[list[Face]]:
        """Return one list of faces per image of a batch (B, 3, H, W), RGB in [0, 1], with the highest score first.

        If ``options`` is None, the detector's own options apply. ``progress`` is called with the numbers of finished
        and total passes through the network, and may raise to stop. Raises InputError for images of another shape or dtype,
        or with values that are not finite.
        """
        ...
