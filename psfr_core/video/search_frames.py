"""Search the frames of a video for faces, and skip frames that lie between two frames with the same faces."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..errors import InputError
from ..faces.detection_options import DetectionOptions
from ..faces.face import Face, FaceDetector
from .assignment import assign

_MIN_OVERLAP = 0.5  # minimum IoU of the boxes of one face before and after a skipped frame


class FrameSearch:
    """Search of the successive frames of a video with ``detector``.

    With ``skips``, about every second frame is skipped where no face appears, leaves or moves fast. If ``options`` is None,
    the detector's own options apply, in batches of the default size.
    """

    def __init__(self, detector: FaceDetector, options: DetectionOptions | None, *, skips: bool) -> None:
        self._detector, self._skips = detector, skips
        self._options = [] if options is None else [options]  # a user's detector may not accept options
        self._batch_size = (options or DetectionOptions()).batch_size
        self._last: list[Face] | None = None  # the faces of the last frame of the previous call

    @property
    def frame_count(self) -> int:
        """Number of frames per call of ``search`` at which the detector gets full batches."""
        return 2 * self._batch_size

    def search(self, frames: Sequence[Tensor], begins_shot: Sequence[bool]) -> list[list[Face] | None]:
        """Return the faces of each of the next ``frames`` (3, H, W), RGB in [0, 1], or None for a skipped frame.

        ``begins_shot`` tells for each frame whether it may be the first of a shot. Such a frame, the frame before it, the first
        frame of the video and the last of ``frames`` are never skipped. Raises InputError if the detector does not return a list
        for each frame.
        """
        found = self._detect(frames, range((len(frames) - 1) % 2, len(frames), 2))
        between = [
            index
            for index in range(len(frames) % 2, len(frames) - 1, 2)
            if not self._skips
            or any(begins_shot[index : index + 2])
            or not are_same_faces(found.get(index - 1, self._last), found[index + 1])
        ]
        found |= self._detect(frames, between)
        self._last = found.get(len(frames) - 1, self._last)
        return [found.get(index) for index in range(len(frames))]

    def _detect(self, frames: Sequence[Tensor], indices: Sequence[int]) -> dict[int, list[Face]]:
        """Return the faces of the frames with the ``indices``, by index."""
        found: dict[int, list[Face]] = {}
        for start in range(0, len(indices), self._batch_size):
            batch = indices[start : start + self._batch_size]
            faces = self._detector.detect(torch.stack([frames[index] for index in batch]), *self._options)
            if len(faces) != len(batch):
                raise InputError(
                    f"The detector must return one list of faces per image, got {len(faces)} for {len(batch)}."
                )
            found.update(zip(batch, faces, strict=True))
        return found


def are_same_faces(faces: Sequence[Face] | None, others: Sequence[Face]) -> bool:
    """Return whether ``assign`` pairs all faces of two frames, each pair with an IoU of at least 0.5.

    Returns False if ``faces`` is None, which stands for the faces before the first frame.
    """
    if faces is None or len(faces) != len(others):
        return False
    if not faces:
        return True
    costs = [[1 - face.box.iou(other.box) for other in others] for face in faces]
    return len(assign(torch.tensor(costs, dtype=torch.float64), 1 - _MIN_OVERLAP)) == len(faces)
