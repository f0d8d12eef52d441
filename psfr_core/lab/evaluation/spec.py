"""Define and read the specifications of evaluations.

In all specifications, ``max_pixels`` is the maximum number of pixels of an image, and None sets no limit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any, ClassVar, cast

from ...checks import check_seed
from ...errors import OptionError
from ...faces.detection_options import DetectionOptions
from ...images.decoding import MAX_PIXELS
from ...models.manifest import is_model_name
from ...options import check_value
from ...restoration.restoration_models import BUNDLED, BUNDLED_GENERATOR, BUNDLED_PARSE_NET
from ..typed_yaml import read_yaml, to_dataclass
from .metrics_spec import MetricsSpec

MAX_SIDE = 8192
_DEFAULT_DEGRADATION = "paper"
_DEFAULT_REFERENCE = "retinaface-mobile0.25"


class ProtocolName(str, Enum):
    """Name of an evaluation protocol, which fixes the number of faces, their size, seeds and degradation."""

    PAPER = "paper"


@dataclass(frozen=True, kw_only=True)
class ImagesSpec:
    """Comparison of a method's results, and optionally of its inputs, with references of the same names."""

    kind: ClassVar[str] = "images"
    results: Path
    references: Path
    inputs: Path | None = None
    metrics: MetricsSpec = MetricsSpec()
    max_pixels: int | None = MAX_PIXELS


@dataclass(frozen=True, kw_only=True)
class GeneratorSpec:
    """Evaluation of a generator on clean aligned faces, which are degraded and restored.

    Face n, counted from 0, is degraded with seed ``seed`` + n. ``size`` is the side of the faces in pixels; if it is None, the
    size of the generator is used. A protocol sets the seed, degradation and size, so these fields must keep their defaults. It
    needs ``metrics.features``. ``fidelity`` applies only to CodeFormer: see ``load_face_restorer``. Raises OptionError for
    values out of range, and for fields that do not fit the protocol.
    """

    kind: ClassVar[str] = "generator"
    faces: Path
    generator: str = BUNDLED_GENERATOR
    parser: str = BUNDLED_PARSE_NET
    degradation: str = _DEFAULT_DEGRADATION
    seed: int = 0
    size: int | None = None
    protocol: ProtocolName | None = None
    metrics: MetricsSpec = MetricsSpec()
    max_pixels: int | None = MAX_PIXELS
    fidelity: float | None = None

    def __post_init__(self) -> None:
        check_seed(self.seed, "seed")
        if self.size is not None:
            check_value("size", self.size, int, low=1, high=MAX_SIDE)
        if self.protocol is None:
            return
        if (self.seed, self.degradation, self.size) != (0, _DEFAULT_DEGRADATION, None):
            raise OptionError(
                "A protocol has its own size, degradation and seeds: leave out size, degradation and seed."
            )
        if self.metrics.features is None:
            raise OptionError("The protocol measures LPIPS: give features and heads.")


@dataclass(frozen=True, kw_only=True)
class RestorersSpec:
    """Comparison of several restorers on the same degraded faces (see ``GeneratorSpec``).

    ``restorers`` are generator names or files that ``load_face_restorer`` reads. ``fidelity`` applies only to CodeFormer. If
    ``size`` is None, the size of the largest restorer is used. Colors are matched before the faces are measured. Raises
    OptionError for values out of range, if there is no restorer, and if a name in the tables occurs twice or is "before" or
    "reference".
    """

    kind: ClassVar[str] = "restorers"
    faces: Path
    restorers: tuple[str, ...]
    fidelity: float | None = None
    parser: str = BUNDLED_PARSE_NET
    degradation: str = _DEFAULT_DEGRADATION
    seed: int = 0
    size: int | None = None
    metrics: MetricsSpec = MetricsSpec()
    max_pixels: int | None = MAX_PIXELS

    def __post_init__(self) -> None:
        check_seed(self.seed, "seed")
        if self.size is not None:
            check_value("size", self.size, int, low=1, high=MAX_SIDE)
        if not self.restorers:
            raise OptionError("A comparison needs at least one restorer.")
        reserved = ("before", "reference")  # names of the other images of a face in the tables and on the page
        if len({*self.names, *reserved}) < len(self.names) + len(reserved):
            raise OptionError(
                f"The names of restorers in the tables must differ from each other and from {', '.join(reserved)}, "
                f"got {', '.join(self.names)}. Rename a file."
            )

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the restorers in the tables: the names of known models, and the names of files without suffix."""
        return tuple(name if is_model_name(name) else Path(name).stem for name in self.restorers)


@dataclass(frozen=True, kw_only=True)
class ParserSpec:
    """Evaluation of a parsing network on degraded faces.

    The PNG label images in ``labels`` have the names of the clean faces. Face n, counted from 0, is degraded with seed
    ``seed`` + n.
    """

    kind: ClassVar[str] = "parser"
    faces: Path
    labels: Path
    parser: str = BUNDLED_PARSE_NET
    degradation: str = _DEFAULT_DEGRADATION
    seed: int = 0
    max_pixels: int | None = MAX_PIXELS

    def __post_init__(self) -> None:
        check_seed(self.seed, "seed")


@dataclass(frozen=True, kw_only=True)
class StrengthSpec:
    """Comparison of the automatic strength with no restoration and full restoration, on faces at many degradation levels.

    Face n of the clean aligned ``faces``, counted from 0, is degraded with seed ``seed`` + n. ``features`` and ``heads`` are the
    weight files of LPIPS.
    """

    kind: ClassVar[str] = "strength"
    faces: Path
    features: Path
    heads: Path
    generator: str = BUNDLED_GENERATOR
    parser: str = BUNDLED_PARSE_NET
    seed: int = 0
    max_pixels: int | None = MAX_PIXELS

    def __post_init__(self) -> None:
        check_seed(self.seed, "seed")


@dataclass(frozen=True, kw_only=True)
class VideoSpec:
    """Comparison of clips of degraded faces that are restored frame by frame and as one video.

    The clips are made of clean aligned faces. Clip n, counted from 0, uses seed ``seed`` + n. ``features`` and ``heads`` are the
    weight files of LPIPS.
    """

    kind: ClassVar[str] = "video"
    faces: Path
    features: Path
    heads: Path
    generator: str = BUNDLED
    parser: str = BUNDLED_PARSE_NET
    seed: int = 0
    max_pixels: int | None = MAX_PIXELS

    def __post_init__(self) -> None:
        check_seed(self.seed, "seed")


@dataclass(frozen=True, kw_only=True)
class DetectorSpec:
    """Comparison of a detector with a reference detector.

    ``inputs`` are image files, folders or patterns. ``detector`` and ``reference`` are model names or files. If ``detector``
    is None, ``load_detector`` chooses it. If ``reference`` is None, the images are assumed to show no faces. Models given by
    name are also searched for in ``folders``. If ``download`` is true, a missing ``detector`` is downloaded. The second opinion
    in ``options`` is that of the bundled parsing network.
    """

    kind: ClassVar[str] = "detector"
    inputs: tuple[str, ...]
    detector: str | None = None
    reference: str | None = _DEFAULT_REFERENCE
    options: DetectionOptions = field(default_factory=DetectionOptions)
    folders: tuple[Path, ...] = ()
    download: bool = False
    max_pixels: int | None = MAX_PIXELS


EvaluationSpec = ImagesSpec | GeneratorSpec | RestorersSpec | ParserSpec | StrengthSpec | VideoSpec | DetectorSpec
SPECS: Mapping[str, type[EvaluationSpec]] = {
    spec.kind: spec
    for spec in (ImagesSpec, GeneratorSpec, RestorersSpec, ParserSpec, StrengthSpec, VideoSpec, DetectorSpec)
}


def read_spec(path: str | Path) -> EvaluationSpec:
    """Read a specification from a YAML file. Its field ``kind`` names the type of the evaluation.

    Raises OptionError if the file cannot be read or is not valid, and MissingPackageError if pydantic is not installed.
    """
    values: Any = read_yaml(Path(path), "specification")
    kinds = list(SPECS)  # a list accepts comparisons with values that have no hash
    if not isinstance(values, dict) or values.get("kind") not in kinds:
        raise OptionError(
            f"The specification {path} must have a field kind with one of these values: {', '.join(kinds)}."
        )
    values = cast("dict[str, Any]", values)
    return to_dataclass(SPECS[values.pop("kind")], values, str(path))


def settings_of(spec: EvaluationSpec | MetricsSpec | DetectionOptions, prefix: str = "") -> dict[str, str]:
    """Return the fields of ``spec`` as text, by dotted name. Fields that are None are left out."""
    settings: dict[str, str] = {}
    for part in fields(spec):
        value = getattr(spec, part.name)
        if is_dataclass(value):
            settings |= settings_of(cast("Any", value), f"{prefix}{part.name}.")
        elif value is not None:
            settings[prefix + part.name] = str(value.value if isinstance(value, Enum) else value)
    return settings
