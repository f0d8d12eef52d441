"""Verify uncertain faces of the bundled detector with the parsing network.

The detector reports some lanterns, wheels and coins as faces, and gives low scores to faces behind masks, hands and scarves.
Parse maps distinguish faces from objects: a nose or brows appear at the positions of the template in almost every face, but in
hardly any object.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..errors import InputError
from ..faces.align import align_faces
from ..faces.compact import CompactDetector
from ..faces.detection_options import DetectionOptions
from ..faces.exposure import MAX_GAIN, find_low_contrast, stretch_contrast
from ..faces.face import Face, FaceDetector
from ..networks.parse_net import ParseNet
from ..parsing.labels import FaceRegion, RegionGroup
from ..parsing.parse_map import ParseMap
from ..parsing.parser import parse_faces
from ..progress import Progress

LOWEST_SCORE = 0.4  # minimum score of proposals if min_score is not set
SURE_SCORE = 0.7  # faces with at least this score need no second opinion
UNSURE_SPAN = 0.1  # scores from a given min_score to min_score + UNSURE_SPAN are verified if they are below SURE_SCORE
EVIDENCE_PER_SCORE = 0.15  # required facial_evidence divided by the score that a face lacks to count as sure
# Faces in which the 75 % quantile of the pixel values is below DARK_FACE are too dark to parse. They are brightened until this
# quantile is LIT_FACE, but at most by the factor MAX_GAIN.
DARK_FACE, LIT_FACE = 0.2, 0.6
_MIDDLE = ((0.25, 0.85), (0.2, 0.8))  # rows and columns from brows to chin, as fractions of the crop's side


def with_second_opinion(detector: FaceDetector, parse_net: ParseNet) -> FaceDetector:
    """Return the bundled ``detector`` with a second opinion from ``parse_net``. Return other detectors unchanged."""
    return ConfirmedDetector(detector, parse_net) if isinstance(detector, CompactDetector) else detector


@dataclass(frozen=True, eq=False)
class ConfirmedDetector:
    """Detector that lets ``parse_net`` verify the faces of ``detector`` whose scores are near the threshold.

    The option ``second_opinion`` can disable the verification. If ``min_score`` is not set, faces below the detector's own
    threshold are also found if their parse maps are convincing. A lower ``min_score`` never loses a face that a higher one finds.
    """

    detector: CompactDetector
    parse_net: ParseNet

    def detect(
        self, images: Tensor, options: DetectionOptions | None = None, *, progress: Progress | None = None
    ) -> list[list[Face]]:
        """Detect faces as ``FaceDetector`` describes. ``progress`` does not count the few faces that are parsed."""
        options = options or self.detector.options
        if not options.second_opinion:
            return self.detector.detect(images, options, progress=progress)
        lowest = LOWEST_SCORE if options.min_score is None else options.min_score
        sure = SURE_SCORE if options.min_score is None else min(lowest + UNSURE_SPAN, SURE_SCORE)
        found = self.detector.detect(images, replace(options, min_score=lowest), progress=progress)
        return [
            self._confirmed(image, faces, sure) if any(face.score < sure for face in faces) else faces
            for image, faces in zip(images, found, strict=True)
        ]

    def _confirmed(self, image: Tensor, faces: Sequence[Face], sure: float) -> list[Face]:
        """Return the ``faces`` in ``image`` (3, H, W) that have at least the score ``sure`` or a convincing parse map."""
        if find_low_contrast(image[None]):
            # The parsing network, like the detector, does not recognize faces in dark or pale images.
            image = stretch_contrast(image[None])[0]
        crops = {
            index: crop
            for index, face in enumerate(faces)
            if face.score < sure and (crop := _crop(image, face, self.parse_net.config.size)) is not None
        }
        evidence: dict[int, float] = {}
        if crops:
            maps = parse_faces(_brightened(torch.stack([*crops.values()])), self.parse_net)
            evidence = dict(zip(crops, facial_evidence(maps).tolist(), strict=True))
        return [
            face
            for index, face in enumerate(faces)
            if face.score >= sure or evidence.get(index, -1.0) >= EVIDENCE_PER_SCORE * (sure - face.score)
        ]


def facial_evidence(parse_maps: ParseMap) -> Tensor:
    """Return the fraction (N,) of the middle of each map (N, S, S) that is labeled as nose or brow, about 0.08 for a face."""
    return _middle(parse_maps.mask((FaceRegion.NOSE, RegionGroup.BROWS))).mean(dim=(1, 2, 3))


def _brightened(crops: Tensor) -> Tensor:
    """Return ``crops`` (N, 3, S, S) with dark faces brightened, for example backlit ones, because the network cannot parse them."""
    level = _middle(crops).flatten(1).quantile(0.75, dim=1).view(-1, 1, 1, 1)
    brightened = (crops * (LIT_FACE / level).clamp(max=MAX_GAIN)).clamp(0, 1)
    return torch.where(level < DARK_FACE, brightened, crops)


def _middle(crops: Tensor) -> Tensor:
    side = crops.shape[-1]
    rows, columns = (slice(round(start * side), round(stop * side)) for start, stop in _MIDDLE)
    return crops[..., rows, columns]


def _crop(image: Tensor, face: Face, size: int) -> Tensor | None:
    """Return the aligned crop (3, ``size``, ``size``) of ``face``, or None if the landmarks do not form a face."""
    try:
        return align_faces(image, [face], size)[0].crop
    except InputError:
        return None
