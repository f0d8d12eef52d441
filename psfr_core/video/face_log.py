"""Store the faces of many frames in little memory."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence

import torch

from ..faces.face import Face, check_faces
from ..images.box import Box

_NUMBERS = 15  # numbers per face: 4 for the box, 10 for the landmarks, and the score
_NOT_SEARCHED = -1  # count of a frame that was not searched


class FaceLog:
    """The faces of successive frames, as plain numbers.

    Tensors of faces would fragment the memory: they outlive the large tensors of their frames, and the gaps between them are too
    small for the next frames, so memory would grow with each frame.
    """

    def __init__(self) -> None:
        self._values = array("d")
        self._counts = array("q")

    def __len__(self) -> int:
        return len(self._counts)

    def add(self, faces: Sequence[Face] | None) -> None:
        """Add the faces of the next frame, or None if it was not searched.

        Raises InputError for invalid faces (see ``check_faces``).
        """
        check_faces(faces or [])
        for face in faces or []:
            self._values.extend((*face.box, *face.landmarks.flatten().tolist(), face.score))
        self._counts.append(_NOT_SEARCHED if faces is None else len(faces))

    def repeat(self) -> None:
        """Add the last frame once more."""
        count = self._counts[-1]
        self._values.extend(self._values[len(self._values) - max(count, 0) * _NUMBERS :])
        self._counts.append(count)

    def __iter__(self) -> Iterator[list[Face] | None]:
        """Yield the faces of each frame, or None for a frame that was not searched."""
        start = 0
        for count in self._counts:
            if count == _NOT_SEARCHED:
                yield None
                continue
            faces: list[Face] = []
            for _ in range(count):
                left, top, right, bottom, *landmarks, score = self._values[start : start + _NUMBERS]
                faces.append(Face(Box(left, top, right, bottom), torch.tensor(landmarks).view(5, 2), score))
                start += _NUMBERS
            yield faces
