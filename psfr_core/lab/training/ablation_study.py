"""Run an ablation study: train variants of the generator in the same way, and compare them."""

from __future__ import annotations

import csv
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn

from ...device import resolve_device
from ...errors import OptionError
from ...networks.parse_net import ParseNet
from ...options import option
from ...parsing.parser import parse_faces
from ...progress import Progress
from ..degradation.config import load_degradations
from ..evaluation.scorer import MetricSet, Scorer
from ..evaluation.sources import Sample
from ..evaluation.stage import Row, Stage
from ..evaluation.tables import markdown_table, means_of
from ..metrics.lpips import load_lpips, lpips_metric
from ..metrics.psnr import PSNR
from ..metrics.ssim import SSIM
from .ablations import Ablation
from .acceleration import make_accelerator
from .experiment import load_loss_networks
from .face_samples import FaceSample, FaceSamples, degraded_once, load_face_set
from .generator import GeneratorTask
from .generator_losses import LossNetworks
from .loop import train
from .recipe import GeneratorRecipe
from .recipe_file import read_stages
from .run_lock import recorded_run

logger = logging.getLogger(__name__)
TEST_SEED = 0


@dataclass(frozen=True, kw_only=True)
class AblationRecipe(GeneratorRecipe):
    """Recipe for one of the compared networks."""

    kind: ClassVar[str] = "ablation"
    variant: Ablation


@dataclass(frozen=True)
class AblationStudy:
    """Comparison of all ablations: the recipe of the full network, the LPIPS files, and the random seeds.

    Each network is trained once with each seed, and measured on the validation faces of ``full``. Raises OptionError if
    ``full`` has no parser, or uses a discriminator or an LPIPS term.
    """

    kind: ClassVar[str] = "ablation study"
    full: GeneratorRecipe
    lpips_features: Path = field(metadata={"description": "weight file of AlexNet or VGG-16 for LPIPS"})
    lpips_heads: Path = field(metadata={"description": "file of LPIPS v0.1 heads for lpips_features"})
    seeds: tuple[int, ...] = option((0, 1), "random seeds, one run of each network per seed")

    def __post_init__(self) -> None:
        if self.full.losses.needs_discriminator or self.full.losses.lpips or not self.full.loss_networks.parser:
            raise OptionError(
                "An ablation study needs a parser, no discriminator, and no LPIPS term, because it compares by LPIPS: set "
                "adversarial, feature_matching and lpips of full.losses to 0, and set full.loss_networks.parser."
            )

    def recipes(self) -> list[AblationRecipe]:
        """Return the recipes of all combinations of network and seed."""
        full: dict[str, Any] = {part.name: getattr(self.full, part.name) for part in fields(self.full)}
        return [
            replace(
                AblationRecipe(**full, variant=variant),
                loop=replace(self.full.loop, seed=seed),
                losses=variant.losses(self.full.losses),
            )
            for seed in self.seeds
            for variant in Ablation
        ]


def read_study(
    source: str | Path, *, data: Path | None = None, out: Path | None = None, overrides: Sequence[str] = ()
) -> AblationStudy:
    """Read a study by its name in this package or from a file. Arguments and errors are those of ``read_recipes``."""
    (study,) = read_stages(
        source, {AblationStudy.kind: AblationStudy}, data=data, out=out, overrides=overrides
    ).values()
    return study


@dataclass(frozen=True)
class StudyRow:
    """Mean metrics of one network trained with one seed."""

    network: str
    seed: int
    metrics: Row


def run_study(
    study: AblationStudy, out: Path, device: torch.device | str | None = None, progress: Progress | None = None
) -> list[StudyRow]:
    """Train the networks that have no result yet, measure all, and write ablations.csv and ablations.md into ``out``.

    Returns a row for the degraded faces, and one for each network and seed. Each network has its own run folder in ``out``.
    ``progress`` counts the steps of each network and may raise an error to stop the study. Raises the errors of
    ``experiment.run``.
    """
    target = resolve_device(device)
    recipe, size = study.full, study.full.network.size
    data, degradations = recipe.data, load_degradations(recipe.degradation)
    loss_networks = load_loss_networks(recipe, target)
    lpips = load_lpips(study.lpips_features, study.lpips_heads).to(target)
    metrics = MetricSet(target, [PSNR, SSIM, lpips_metric(lpips)])
    faces = load_face_set(data.faces, data.labels, size, skip_small=data.skip_small)
    test_faces = load_face_set(data.val_faces, data.val_labels, size, skip_small=data.skip_small)
    test = degraded_once(test_faces, degradations, seed=TEST_SEED, count=data.val_count or len(test_faces))
    rows = [StudyRow("degraded", TEST_SEED, _measure(test.lq, test.hq, metrics))]
    for variant in study.recipes():
        samples = FaceSamples(faces, degradations, seed=variant.loop.seed)
        network = _train(variant, samples, loss_networks, test, out, target, progress)
        restored = _restore(network, test, cast("ParseNet", loss_networks.parser))
        rows.append(StudyRow(variant.variant.value, variant.loop.seed, _measure(restored, test.hq, metrics)))
        logger.info("%s, seed %d: %s", variant.variant.value, variant.loop.seed, _format_metrics(rows[-1].metrics))
    _write(out, rows)
    return rows


def _train(
    recipe: AblationRecipe,
    samples: FaceSamples,
    loss_networks: LossNetworks,
    test: FaceSample,
    out: Path,
    device: torch.device,
    progress: Progress | None,
) -> nn.Module:
    torch.manual_seed(recipe.loop.seed)
    network = recipe.variant.network(recipe.network).to(device)
    task = GeneratorTask(network, samples, loss_networks, recipe.losses, test)
    folder = out / f"{recipe.variant.value.replace(' ', '_')}_{recipe.loop.seed}"
    accelerator = make_accelerator(recipe.loop, device)
    with recorded_run(folder, recipe, accelerator):
        return train(task, recipe.loop, folder, accelerator=accelerator, progress=progress)


@torch.no_grad()
def _restore(network: nn.Module, faces: FaceSample, parse_net: ParseNet) -> Tensor:
    lq = faces.lq.to(next(network.parameters()).device)
    parse_maps = parse_faces(lq, parse_net).one_hot
    restored = [network(face[None] * 2 - 1, parse_map[None]) for face, parse_map in zip(lq, parse_maps, strict=True)]
    return ((torch.cat(restored) + 1) / 2).clamp(0, 1).cpu()


def _measure(images: Tensor, references: Tensor, models: MetricSet) -> Row:
    scorer = Scorer(models, (Stage.RESULT,))
    for number, (image, reference) in enumerate(zip(images, references, strict=True)):
        scorer.add(str(number), Sample(reference[None], {Stage.RESULT: image[None]}))
    return means_of(scorer.result().rows)


def study_table(rows: Sequence[StudyRow]) -> str:
    """Return a Markdown table with the mean over the seeds and half of the range between seeds, for each network."""
    lines: list[list[str]] = []
    for network in dict.fromkeys(row.network for row in rows):
        values = torch.tensor([list(row.metrics.values()) for row in rows if row.network == network])
        spread = (values.amax(0) - values.amin(0)) / 2
        means = zip(values.mean(0).tolist(), spread.tolist(), strict=True)
        lines.append([network, *(f"{mean:.3f} ± {half:.3f}" for mean, half in means)])
    return markdown_table(["network", *rows[0].metrics], *lines)


def _write(folder: Path, rows: Sequence[StudyRow]) -> None:
    with (folder / "ablations.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["network", "seed", *rows[0].metrics])
        writer.writerows([row.network, row.seed, *(f"{value:.4f}" for value in row.metrics.values())] for row in rows)
    (folder / "ablations.md").write_text(study_table(rows), encoding="utf-8")


def _format_metrics(row: Row) -> str:
    return ", ".join(f"{name} {value:.3f}" for name, value in row.items())
