"""Load or restore the samples of an evaluation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from torch import Tensor

from ...checks import check_shape, seeded_generator
from ...errors import ImageFileError, OptionError
from ...images.box import Size
from ...images.channels import to_rgb
from ...images.decoding import MAX_PIXELS
from ...images.folders import find_images
from ...images.io import read_image
from ...images.resize import resize
from ...networks.face_restorer import FaceRestorer
from ...networks.parse_net import ParseNet
from ...parsing.parser import parse_faces
from ...restoration.color_match import ColorMatch, match_colors
from ...restoration.enhance import enhance_faces
from ..degradation.config import DegradationConfig
from ..degradation.pipeline import DegradedPair, degrade
from .stage import Stage


@dataclass(frozen=True, eq=False)  # comparing tensors does not give a single bool
class Sample:
    """Reference image and the image at each stage, all (1, 3, H, W) of equal size, RGB in [0, 1], on the CPU."""

    reference: Tensor
    images: Mapping[Stage, Tensor]


class SampleSource(Protocol):
    """Source of samples. Loading a sample twice returns the same images."""

    @property
    def stages(self) -> tuple[Stage, ...]:
        """Stages of every sample, with the final stage last."""
        ...

    @property
    def names(self) -> Mapping[Path, str]:
        """Name of each sample in the tables, by its file."""
        ...

    def load(self, path: Path) -> Sample:
        """Load the sample of a file. Raise PsfrError if the sample cannot be measured."""
        ...


class ResultFolder:
    """Results of any method, with references and optional inputs of the same names.

    A reference or input may differ from its result in the suffix if no other file in the same folder has this stem. Raises
    ImageFileError if a folder does not exist or contains no images.
    """

    def __init__(
        self, results: Path, references: Path, inputs: Path | None = None, max_pixels: int | None = MAX_PIXELS
    ) -> None:
        for folder in (results, references, inputs):
            if folder is not None and not folder.is_dir():
                raise ImageFileError(f"{folder} is not a folder. Give a folder of results and a folder of references.")
        self._max_pixels = max_pixels
        self._references = _ImagesByName(references, "reference")
        self._inputs = None if inputs is None else _ImagesByName(inputs, "input")
        self.names: Mapping[Path, str] = {path: path.name for path in find_images([results])}
        self.stages = (Stage.RESULT,) if inputs is None else (Stage.BEFORE, Stage.RESULT)

    @property
    def left_out(self) -> list[str]:
        """Names of the references without a result."""
        done = {path.stem for path in self.names}
        return [path.name for path in self._references.paths if path.stem not in done]

    def load(self, path: Path) -> Sample:
        """Load a result with its reference and input.

        Raises ImageFileError if the reference or input is missing, is ambiguous, or differs in size from the result.
        """
        reference = self._references.match(path)
        images = {Stage.RESULT: path}
        if self._inputs is not None:
            images = {Stage.BEFORE: self._inputs.match(path), **images}
        clean = _read(reference, self._max_pixels)
        sample = Sample(clean, {stage: _read(image, self._max_pixels) for stage, image in images.items()})
        for stage, image in sample.images.items():
            if image.shape != clean.shape:
                size, expected = Size.of(image), Size.of(clean)
                raise ImageFileError(
                    f"{images[stage]} has {size.width} x {size.height} pixels, but its reference {reference} has "
                    f"{expected.width} x {expected.height}: resize one of them."
                )
        return sample


class _ImagesByName:
    """Images of a folder that are found by the names of other images."""

    def __init__(self, folder: Path, subject: str) -> None:
        self.paths = find_images([folder])
        self._folder, self._subject = folder, subject
        self._by_stem: dict[str, list[Path]] = {}
        for path in self.paths:
            self._by_stem.setdefault(path.stem, []).append(path)

    def match(self, result: Path) -> Path:
        """Return the image with the name of ``result``, or else the only image with its stem; raise ImageFileError otherwise."""
        candidates = self._by_stem.get(result.stem, [])
        exact = [path for path in candidates if path.name == result.name]
        if not candidates:
            raise ImageFileError(
                f"the image has no {self._subject}: no file {self._folder / result.stem} with any suffix exists."
            )
        if len(candidates) > 1 and not exact:
            raise ImageFileError(
                f"the image has more than one {self._subject}: {' and '.join(map(str, candidates))}. Keep one."
            )
        return (exact or candidates)[0]


class DegradedFaces:
    """Clean aligned faces at ``size`` pixels and their degraded versions.

    Face n, counted from 0, is degraded with seed ``seed`` + n. None for ``degradation`` stands for the degradation of the paper.
    Raises OptionError if two files have the same name without suffix.
    """

    def __init__(
        self,
        faces: Sequence[Path],
        size: int,
        seed: int,
        degradation: DegradationConfig | None = None,
        max_pixels: int | None = MAX_PIXELS,
    ) -> None:
        self.names: Mapping[Path, str] = {path: path.stem for path in faces}
        seen: dict[str, Path] = {}
        for path, name in self.names.items():
            if name in seen:
                raise OptionError(f"{seen[name]} and {path} would have the same name in the table: rename one of them.")
            seen[name] = path
        self._size, self._max_pixels = size, max_pixels
        self._degradation = degradation or DegradationConfig()
        self._seeds = {path: seed + index for index, path in enumerate(self.names)}

    def clean(self, path: Path) -> Tensor:
        """Return the clean face of a file (3, S, S), RGB in [0, 1]. Raise InputError if the image is not square."""
        pixels = to_rgb(read_image(path, max_pixels=self._max_pixels).pixels)
        check_shape(pixels, "3 S S", f"The face {path}")
        return resize(pixels, Size(self._size, self._size)).clamp(0, 1)

    def pair(self, path: Path) -> DegradedPair:
        """Return the degraded and the clean face of a file, both (3, S, S). Raise InputError if the image is not square."""
        return degrade(self.clean(path), self._degradation, seeded_generator(self._seeds[path]))


class RestoredFaces:
    """Degraded faces and their restorations by ``generator``."""

    stages = (Stage.BEFORE, Stage.GENERATOR, Stage.COLOR_MATCHED)

    def __init__(self, faces: DegradedFaces, generator: FaceRestorer, parse_net: ParseNet) -> None:
        self._faces, self._generator, self._parse_net = faces, generator, parse_net
        self.names = faces.names

    def load(self, path: Path) -> Sample:
        """Return the sample of a clean face: the degraded face, and the restored face before and after color matching."""
        lq, hq = (face[None] for face in self._faces.pair(path))
        on_device = lq.to(next(self._generator.parameters()).device)
        restored = enhance_faces(on_device, parse_faces(on_device, self._parse_net), self._generator).cpu()
        matched = match_colors(restored, lq, ColorMatch.LOW_FREQUENCY)
        return Sample(hq, dict(zip(self.stages, (lq, restored, matched), strict=True)))


class ComparedRestorers:
    """Degraded faces and their restorations by several restorers, with matched colors. Each restorer is a stage."""

    def __init__(self, faces: DegradedFaces, restorers: Mapping[str, FaceRestorer], parse_net: ParseNet) -> None:
        self._faces, self._parse_net = faces, parse_net
        self._restorers = {Stage(name): restorer for name, restorer in restorers.items()}
        self.stages = (Stage.BEFORE, *self._restorers)
        self.names = faces.names

    def load(self, path: Path) -> Sample:
        """Return the sample of a clean face: the degraded face, and its restoration by each restorer, with matched colors."""
        lq, hq = (face[None] for face in self._faces.pair(path))
        on_device = lq.to(next(self._parse_net.parameters()).device)
        parse_map = parse_faces(on_device, self._parse_net)
        images = {Stage.BEFORE: lq}
        for stage, restorer in self._restorers.items():
            restored = enhance_faces(on_device, parse_map, restorer).cpu()
            images[stage] = match_colors(restored, lq, ColorMatch.LOW_FREQUENCY)
        return Sample(hq, images)


def _read(path: Path, max_pixels: int | None) -> Tensor:
    return to_rgb(read_image(path, max_pixels=max_pixels).pixels)[None]
