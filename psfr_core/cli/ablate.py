"""``psfr ablate``: trains generators that lack one idea of the paper each, and compares them."""

from __future__ import annotations

import argparse
import csv
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn

from ..degradation.config import DegradationConfig
from ..evaluation.metric import Row, Stage
from ..evaluation.tables import markdown_table, means_of
from ..networks.inference.optimize import fastest_dtype, optimized_on
from ..networks.psfr_generator import GeneratorConfig
from ..restoration.models import BUNDLED_PARSE_NET
from ..weights.loader import load_parse_net
from ..weights.locate import locate_model
from ..weights.manifest import ModelKind
from .model_options import take_device
from .options import add_options, take_options
from .progress import progress_bar

if TYPE_CHECKING:
    from ..evaluation.scorer import MetricModels
    from ..networks.parse_net import ParseNet
    from ..training.ablations import Ablation
    from ..training.faces import FaceSample
    from ..training.generator import GeneratorLossConfig, GeneratorTrainee, Teachers

# What no network here is trained by: a discriminator, and LPIPS, by which they are compared.
_SKIPPED = ("adversarial", "feature_matching", "lpips", "discriminator_learning_rate")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options of ``psfr ablate``."""
    from ..training.config import LoopConfig
    from ..training.generator import GeneratorLossConfig

    parser.add_argument("--out", type=Path, required=True, help="a run folder for each network, and the tables")
    parser.add_argument("--faces", type=Path, nargs="+", required=True, help="folders of aligned faces to train on")
    parser.add_argument("--labels", type=Path, nargs="+", required=True, help="label folder of each face folder")
    parser.add_argument("--test-faces", type=Path, required=True, help="faces that the table is measured on")
    parser.add_argument("--test-labels", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1], help="a run of each network for each seed")
    parser.add_argument("--channels", type=int, nargs="+", default=[96, 64, 48])
    parser.add_argument("--modulation-channels", type=int, default=32)
    parser.add_argument(
        "--parser", default=BUNDLED_PARSE_NET, help=f"makes the parse maps; default: {BUNDLED_PARSE_NET}"
    )
    parser.add_argument("--features", type=Path, required=True, help="ImageNet features for the style term")
    parser.add_argument("--lpips-features", type=Path, required=True, help="AlexNet or VGG-16 weights, for LPIPS")
    parser.add_argument("--heads", type=Path, required=True, help="LPIPS v0.1 heads that belong to them")
    parser.add_argument("--device", default="cpu")
    add_options(parser, LoopConfig, skip=("seed",), learning_rate=1e-3, steps=400, validate_every=400)
    add_options(parser, GeneratorLossConfig, skip=_SKIPPED, style=1.0)


def run(args: argparse.Namespace) -> int:
    """Trains what is not trained yet, measures all and writes ablations.csv and ablations.md."""
    from ..evaluation.scorer import MetricModels
    from ..metrics.lpips import load_lpips
    from ..training.ablations import Ablation
    from ..training.faces import FaceSamples, degraded_once, load_face_set
    from ..training.generator import GeneratorTrainee

    args.device = take_device(args)
    losses, config = _losses(args), GeneratorConfig(tuple(args.channels), args.modulation_channels)
    models = MetricModels(args.device, lpips=load_lpips(args.lpips_features, args.heads).to(args.device))
    test_faces = load_face_set([args.test_faces], [args.test_labels], config.size)
    test = degraded_once(test_faces, DegradationConfig(), seed=0, count=len(test_faces))
    rows: list[tuple[str, int, Row]] = [("degraded", 0, _measure(test.lq, test.hq, models))]
    faces, teachers = load_face_set(args.faces, args.labels, config.size), _teachers(args)
    for seed in args.seeds:
        samples = FaceSamples(faces, DegradationConfig(), seed=seed)
        for ablation in Ablation:
            torch.manual_seed(seed)
            network, weights = ablation.network(config).to(args.device), ablation.losses(losses)
            trainee = GeneratorTrainee(network, samples, teachers, weights, test)
            network = _train(args, trainee, ablation, seed, weights)
            rows.append((ablation.value, seed, _measure(_restored(network, test, teachers), test.hq, models)))
            print(f"{ablation.value}, seed {seed}: {_shown(rows[-1][2])}")
    _write(args.out, rows)
    return 0


def _losses(args: argparse.Namespace) -> GeneratorLossConfig:
    """Those of the full network, which like all others has no discriminator."""
    from ..training.generator import GeneratorLossConfig

    losses = take_options(args, GeneratorLossConfig, skip=_SKIPPED)
    return replace(losses, adversarial=0.0, feature_matching=0.0, lpips=0.0)


def _train(
    args: argparse.Namespace,
    trainee: GeneratorTrainee[nn.Module],
    ablation: Ablation,
    seed: int,
    weights: GeneratorLossConfig,
) -> nn.Module:
    from ..training.config import LoopConfig
    from ..training.loop import train

    loop = replace(take_options(args, LoopConfig, skip=("seed",)), seed=seed)
    with progress_bar(f"{ablation.value}, seed {seed}") as show:
        folder = args.out / f"{ablation.value.replace(' ', '_')}_{seed}"
        return train(trainee, loop, folder, settings=_settings(args, ablation, weights), progress=show)


def _settings(args: argparse.Namespace, ablation: Ablation, losses: GeneratorLossConfig) -> dict[str, Any]:
    """What a run depends on beside the loop's settings."""
    from ..training.run_folder import identified

    flags = ("faces", "labels", "features", "channels", "modulation_channels")
    return {
        "network": ablation.value,
        "losses": asdict(losses),
        "parser": identified(locate_model(args.parser, ModelKind.PARSER)),
        **{name: identified(getattr(args, name)) for name in flags},
    }


def _teachers(args: argparse.Namespace) -> Teachers:
    from ..metrics.image_features import load_image_features
    from ..training.generator import Teachers

    parse_net = optimized_on(load_parse_net(args.parser), args.device, fastest_dtype(args.device))
    features = load_image_features(args.features, args.feature_layers)
    return Teachers(parse_net, features.to(args.device))


@torch.no_grad()
def _restored(network: nn.Module, faces: FaceSample, teachers: Teachers) -> Tensor:
    from ..parsing.parser import parse_faces

    lq = faces.lq.to(next(network.parameters()).device)
    parse_maps = parse_faces(lq, cast("ParseNet", teachers.parser)).one_hot
    made = [network(face[None] * 2 - 1, parse_map[None]) for face, parse_map in zip(lq, parse_maps, strict=True)]
    return ((torch.cat(made) + 1) / 2).clamp(0, 1).cpu()


def _measure(images: Tensor, references: Tensor, models: MetricModels) -> Row:
    from ..evaluation.scorer import Scorer
    from ..evaluation.sources import Sample

    scorer = Scorer(models, (Stage.RESULT,))
    for number, (image, reference) in enumerate(zip(images, references, strict=True)):
        scorer.add(str(number), Sample(reference[None], {Stage.RESULT: image[None]}))
    return means_of(scorer.result().rows)


def _write(folder: Path, rows: Sequence[tuple[str, int, Row]]) -> None:
    with (folder / "ablations.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["network", "seed", *rows[0][2]])
        writer.writerows([name, seed, *(f"{value:.4f}" for value in row.values())] for name, seed, row in rows)
    lines: list[list[str]] = []
    for name in dict.fromkeys(name for name, _, _ in rows):
        values = torch.tensor([list(row.values()) for other, _, row in rows if other == name])
        spread = (values.amax(0) - values.amin(0)) / 2
        means = zip(values.mean(0).tolist(), spread.tolist(), strict=True)
        lines.append([name, *(f"{mean:.3f} ± {half:.3f}" for mean, half in means)])
    table = markdown_table(["network", *rows[0][2]], *lines)
    (folder / "ablations.md").write_text(table, encoding="utf-8")
    print(table, end="")


def _shown(row: Row) -> str:
    return ", ".join(f"{name} {value:.3f}" for name, value in row.items())
