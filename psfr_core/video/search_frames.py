"""Search the frames of a video for faces, and skip frames between two with the same faces."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..errors import InputError
from ..faces.detection_options import DetectionOptions
from ..faces.face import Face, FaceDetector
from .assignment import assign

_MIN_OVERLAP = 0.5  # minimum IoU of the boxes of a face in two frames of which the frame between is skipped


class FrameSearch:
    """Search of successive frames.

    If it ``skips``, about every second frame is skipped where faces neither appear, leave nor move fast.
    """

    def __init__(self, detector: FaceDetector, options: DetectionOptions | None, *, skips: bool) -> None:
        self._detector, self._skips = detector, skips
        self._options = [] if options is None else [options]  # a user's detector may not accept options
        self._batch_size = (options or DetectionOptions()).batch_size
        self._last: list[Face] | None = None  # the faces of the last frame

    @property
    def frame_count(self) -> int:
        """Number of frames per call of ``search`` at which the detector gets full batches."""
        return 2 * self._batch_size

    def search(self, frames: Sequence[Tensor], begins_shot: Sequence[bool]) -> list[list[Face] | None]:
        """Return the faces of each of the next ``frames`` (3, H, W), RGB in [0, 1], or None for a skipped frame.

        ``begins_shot`` tells which frames may be the first of a shot; no frame beside a cut is skipped. The last of ``frames`` is
        never skipped. Raises InputError if the detector does not return a list for each frame.
        """
        found: dict[int, list[Face]] = {}
        ends = range((len(frames) - 1) % 2, len(frames), 2)
        found.update(zip(ends, self._detect([frames[index] for index in ends]), strict=True))
        between = [
            index
            for index in range(1 - ends.start, len(frames) - 1, 2)
            if not self._skips
            or any(begins_shot[index : index + 2])
            or not are_same_faces(found.get(index - 1, self._last), found[index + 1])
        ]
        found.update(zip(between, self._detect([frames[index] for index in between]), strict=True))
        self._last = found[len(frames) - 1] if frames else self._last
        return [found.get(index) for index in range(len(frames))]

    def _detect(self, frames: Sequence[Tensor]) -> list[list[Face]]:
        results: list[list[Face]] = []
        for start in range(0, len(frames), self._batch_size):
            batch = torch.stack(list(frames[start : start + self._batch_size]))
            faces = self._detector.detect(batch, *self._options)
            if len(faces) != len(batch):
                raise InputError(
                    f"The detector must return one list of faces per image, got {len(faces)} for {len(batch)}."
                )
            results += faces
        return results


def are_same_faces(faces: Sequence[Face] | None, others: Sequence[Face]) -> bool:
    """Return whether both have the same number of faces, and each face overlaps another one by at least half (IoU)."""
    if faces is None or len(faces) != len(others):
        return False
    if not faces:
        return True
    costs = [[1 - face.box.iou(other.box) for other in others] for face in faces]
    return len(assign(torch.tensor(costs, dtype=torch.float64), 1 - _MIN_OVERLAP)) == len(faces)
