"""What a detector finds, and what a detector is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from ..geometry.box import Box


@dataclass(frozen=True, eq=False)  # tensors do not compare to one bool
class Face:
    """One detected face, in pixels of the image it was found in.

    ``landmarks`` is a float32 CPU tensor (5, 2) of x, y with the centre of the top-left pixel at (0, 0): left eye, right eye,
    nose tip, left and right mouth corner, left and right as seen in the image. ``score`` lies in [0, 1].
    """

    box: Box
    landmarks: Tensor
    score: float

    @property
    def eye_distance(self) -> float:
        """Distance between the eyes in pixels."""
        return float((self.landmarks[1] - self.landmarks[0]).norm())


class FaceDetector(Protocol):
    """Finds faces in images of any size."""

    def detect(self, images: Tensor) -> list[list[Face]]:
        """The faces of each image of a batch (B, 3, H, W), RGB in [0, 1]: one list an image, highest score first."""
        ...
