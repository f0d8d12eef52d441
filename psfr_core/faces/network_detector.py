"""Define the base class of detectors that search images with a network."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import partial
from typing import ClassVar, Generic, TypeVar

from torch import Tensor, nn

from ..checks import check_type
from ..progress import Progress
from .detection_options import DetectionOptions
from .face import Face
from .proposals import Candidates
from .pyramid import ScaleRange
from .search import search_faces

N = TypeVar("N", bound=nn.Module)


class NetworkDetector(ABC, Generic[N]):
    """Detector that searches images with a network in eval mode."""

    default_min_score: ClassVar[float]
    scale_range: ClassVar[ScaleRange]

    def __init__(self, network: N, options: DetectionOptions | None = None) -> None:
        self.network = network
        self.options = options or DetectionOptions()

    def detect(
        self, images: Tensor, options: DetectionOptions | None = None, *, progress: Progress | None = None
    ) -> list[list[Face]]:
        """Detect faces as ``FaceDetector`` describes. If ``options`` is None, those of the constructor apply."""
        options = self.options if options is None else options
        check_type(options, DetectionOptions, "options")
        min_score = self.default_min_score if options.min_score is None else options.min_score
        propose = partial(self.propose, min_score=min_score)
        return search_faces(images, self.network, propose, options, self.scale_range, progress=progress)

    @abstractmethod
    def propose(self, images: Tensor, min_score: float) -> list[Candidates]:
        """Return the candidates with a score of at least ``min_score`` in each of ``images``, which ``search_faces`` prepares."""
