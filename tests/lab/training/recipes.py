"""Make small recipes, and samples of the test faces."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

from psfr_core.lab.degradation.config import DegradationConfig
from psfr_core.lab.training.face_samples import FaceSample, FaceSamples, FaceSet, degraded_once, load_face_set
from psfr_core.lab.training.generator_losses import GeneratorLossConfig
from psfr_core.lab.training.loop_config import LoopConfig, MixedPrecision
from psfr_core.lab.training.recipe import FaceFolders, GeneratorRecipe, ParserRecipe
from psfr_core.networks.parse_net import ParseNetConfig
from psfr_core.networks.psfr_generator import GeneratorConfig

DATA = Path(__file__).parents[2] / "data"
FACES, LABELS = DATA / "faces", DATA / "labels"
FOLDERS = FaceFolders((FACES,), (LABELS,), (FACES,), (LABELS,), val_count=1)
PIXEL_ONLY = GeneratorLossConfig(style=0, adversarial=0, feature_matching=0)
LOOP = LoopConfig(
    steps=1, batch_size=1, warmup_steps=1, log_every=1, mixed_precision=MixedPrecision.NONE, checkpoint_every=1
)


def small_parser(**changes: Any) -> ParserRecipe:
    return replace(ParserRecipe(FOLDERS, LOOP, network=ParseNetConfig((4, 4), 1), license="CC0"), **changes)


def small_generator(**changes: Any) -> GeneratorRecipe:
    recipe = GeneratorRecipe(FOLDERS, LOOP, network=GeneratorConfig((4, 4), 4), losses=PIXEL_ONLY, license="CC0")
    return replace(recipe, **changes)


def small_faces() -> FaceSet:
    """Return the test faces at 32 px."""
    return load_face_set([FACES], [LABELS], 32)


def samples(faces: FaceSet) -> FaceSamples:
    return FaceSamples(faces, [DegradationConfig()], seed=1)


def validation_of(faces: FaceSet, count: int) -> FaceSample:
    return degraded_once(faces, [DegradationConfig()], seed=1, count=count)


def read_rows(path: Path) -> list[dict[str, str]]:
    """Return the rows of a CSV file as dicts by column."""
    with path.open() as file:
        return list(csv.DictReader(file))
