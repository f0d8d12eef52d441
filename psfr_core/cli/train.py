"""``psfr train``: trains the face detector, the parsing network or the generator from folders of faces."""

from __future__ import annotations

import argparse
import logging
import signal
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import nn

from ..degradation.config import load_degradation
from ..device import usable_device
from ..errors import OptionError
from ..networks.inference.optimize import optimized_on
from ..weights.architectures import COMPACT_FACE_NET, PARSE_NET, PSFR_GENERATOR, Architecture
from ..weights.locate import locate_model
from ..weights.manifest import ModelKind
from .degrade import DEGRADATION_HELP
from .options import add_options, take_options
from .progress import progress_bar

if TYPE_CHECKING:
    from ..metrics.image_features import ImageFeatures
    from ..networks.discriminator import Discriminator
    from ..networks.feature_discriminator import FeatureDiscriminator
    from ..training.faces import FaceSample, FaceSamples, FaceSet
    from ..training.generator import GeneratorLossConfig, Teachers
    from ..training.scenes import CutOut
    from ..training.trainee import Trainee

logger = logging.getLogger(__name__)
N = TypeVar("N", bound=nn.Module)
VALIDATION_SEED, VALIDATION_COUNT = 1_000, 32


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options of ``psfr train``."""
    from ..training.config import LoopConfig
    from ..training.generator import GeneratorLossConfig
    from ..training.parser import ParserLossConfig

    networks = parser.add_subparsers(dest="network", required=True)
    settings: dict[str, tuple[str, Callable[[argparse.Namespace], int], Mapping[str, Any]]] = {
        "detector": ("the bundled face detector", _train_detector, {"batch_size": 16, "learning_rate": 1e-3}),
        "parser": ("the face parsing network", _train_parser, {"learning_rate": 5e-4}),
        "generator": ("the PSFR-GAN generator", _train_generator, {}),
    }
    for name, (what, train, defaults) in settings.items():
        command = networks.add_parser(name, help=what, description=f"Trains {what}.", allow_abbrev=False)
        command.set_defaults(train=train)
        command.add_argument("--out", type=Path, required=True, help="run folder; an interrupted run in it goes on")
        command.add_argument("--faces", type=Path, nargs="+", required=True, help="folders of aligned faces")
        command.add_argument("--labels", type=Path, nargs="+", required=True, help="label folder of each face folder")
        command.add_argument("--val-faces", type=Path, required=True, help="faces not trained on")
        command.add_argument("--val-labels", type=Path, required=True)
        command.add_argument(
            "--val-count", type=int, help=f"validation samples; default: {VALIDATION_COUNT} or all there are"
        )
        command.add_argument("--device", help="cpu, cuda, cuda:1, mps; default: the best there is")
        command.add_argument("--start-from", metavar="MODEL", help="weight file or model to begin with")
        command.add_argument("--licence", default="unknown", help="licence of the result, kept in its metadata")
        add_options(command, LoopConfig, **defaults)
    detector, parser_, generator = (networks.choices[name] for name in settings)
    detector.add_argument(
        "--backgrounds", type=Path, nargs="+", required=True, help="folders of pictures without faces"
    )
    detector.add_argument("--teacher", metavar="MODEL", required=True, help="RetinaFace that labels the faces")
    detector.add_argument("--side", type=int, default=320, help="side of the training scenes; default: 320")
    detector.add_argument("--channels", type=int, nargs=5, default=[16, 24, 48, 64, 96])
    for command in (parser_, generator):
        command.add_argument("--degradation", default="paper", metavar="NAME", help=DEGRADATION_HELP)
    parser_.add_argument("--channels", type=int, nargs="+", default=[16, 32, 64, 128])
    parser_.add_argument("--residual-blocks", type=int, default=6)
    parser_.add_argument(
        "--closed-eyes",
        type=float,
        default=0.25,
        help="share of samples whose eyes are drawn closed or narrow, 0 to 1, so that lids become skin; default: 0.25",
    )
    add_options(parser_, ParserLossConfig)
    generator.add_argument("--channels", type=int, nargs="+", default=[192, 128, 96, 64, 32])
    generator.add_argument("--modulation-channels", type=int, default=32)
    generator.add_argument("--residual", action="store_true", help="learn what is to be added to the low-quality face")
    generator.add_argument(
        "--parser", metavar="MODEL", help="parsing network for the input maps, as in use; true maps without"
    )
    generator.add_argument(
        "--features",
        type=Path,
        help="ImageNet network for the terms that look at its layers: a file, or vgg19 (fetched)",
    )
    generator.add_argument("--heads", type=Path, help="LPIPS v0.1 heads that belong to --features, for the LPIPS term")
    generator.add_argument(
        "--spectral-norm",
        action="store_true",
        help="normalise the generator's convolutions too, as published; from the start",
    )
    generator.add_argument(
        "--feature-discriminator",
        action="store_true",
        help="judge activations at --feature-layers instead of pictures: learns much faster",
    )
    generator.add_argument(
        "--discriminator-channels", type=int, nargs="+", help="of the discriminator on pictures; default: as published"
    )
    generator.add_argument(
        "--discriminator-scales", type=int, help="that it judges pictures at; default: 3, as published"
    )
    add_options(generator, GeneratorLossConfig)


def run(args: argparse.Namespace) -> int:
    """Trains, or goes on with an interrupted run, and writes NETWORK.safetensors into the run folder."""
    from ..training.acceleration import make_accelerator
    from ..training.config import LoopConfig

    kinds = {"parser": ModelKind.PARSER, "teacher": ModelKind.DETECTOR, "start_from": ModelKind(args.network)}
    for name, kind in kinds.items():
        if getattr(args, name, None):
            setattr(args, name, locate_model(getattr(args, name), kind))
    args.accelerator = make_accelerator(take_options(args, LoopConfig), usable_device(args.device))
    args.device = args.accelerator.device
    torch.manual_seed(args.seed)  # for the weights that a network begins with
    on_stop = signal.signal(signal.SIGTERM, signal.default_int_handler)  # a batch system's stop is a Ctrl-C
    try:
        status = args.train(args)
    finally:
        signal.signal(signal.SIGTERM, on_stop)
    args.accelerator.wait_for_everyone()  # one that leaves while others need it brings them down
    args.accelerator.end_training()
    return status


def _train_parser(args: argparse.Namespace) -> int:
    from ..networks.parse_net import ParseNet, ParseNetConfig
    from ..training.parser import ParserLossConfig, ParserTrainee
    from ..weights.loader import load_parse_net

    config = ParseNetConfig(tuple(args.channels), args.residual_blocks)
    network = ParseNet(config)
    if args.start_from:
        _copy_weights(load_parse_net(args.start_from), network)
    samples, validation = _samples(args, network.config.size)
    weights = take_options(args, ParserLossConfig)
    trainee = ParserTrainee(network.to(args.device), samples, weights, validation)
    return _finish(trainee, args, PARSE_NET)


def _train_generator(args: argparse.Namespace) -> int:
    from ..networks.psfr_generator import GeneratorConfig, PsfrGenerator
    from ..networks.spectral_norm import add_spectral_norm
    from ..training.generator import GeneratorLossConfig, GeneratorTrainee, start_from
    from ..weights.loader import load_generator

    weights = take_options(args, GeneratorLossConfig)
    if args.heads and not weights.lpips:
        raise OptionError("--heads are for the LPIPS term: give --lpips a weight above 0, or leave them out.")
    network = PsfrGenerator(GeneratorConfig(tuple(args.channels), args.modulation_channels, args.residual))
    if args.start_from:
        start_from(network, load_generator(args.start_from))
    if args.spectral_norm:
        add_spectral_norm(network)
    samples, validation = _samples(args, network.config.size)
    trainee = GeneratorTrainee(network.to(args.device), samples, _teachers(args, weights), weights, validation)
    return _finish(trainee, args, PSFR_GENERATOR)


def _train_detector(args: argparse.Namespace) -> int:
    from ..networks.compact_face_net import CompactFaceNet, CompactFaceNetConfig
    from ..training.detector import DetectorTrainee
    from ..training.scenes import Scenes, load_backgrounds, make_distractors
    from ..weights.loader import load_detector_network

    network = CompactFaceNet(CompactFaceNetConfig(tuple(args.channels)))
    if args.start_from:
        _copy_weights(load_detector_network(args.start_from), network)
    faces, validation = _face_sets(args, 256)
    backgrounds = load_backgrounds(args.backgrounds)

    def scenes(of: FaceSet, seed: int) -> Scenes:
        cut_outs = _labelled(of, args.teacher, args.device)
        return Scenes(cut_outs, make_distractors(of), backgrounds, side=args.side, seed=seed)

    trainee = DetectorTrainee(
        network.to(args.device), scenes(faces, args.seed), scenes(validation, VALIDATION_SEED), _validation_count(args)
    )
    return _finish(trainee, args, COMPACT_FACE_NET)


def _validation_count(args: argparse.Namespace, most: int | None = None) -> int:
    """How many validation samples there are to be, of at most so many."""
    if args.val_count is None:
        return VALIDATION_COUNT if most is None else min(VALIDATION_COUNT, most)
    if args.val_count < 1 or (most is not None and args.val_count > most):
        limit = "at least 1" if most is None else f"from 1 to {most}, the faces of --val-faces"
        raise OptionError(f"--val-count must be {limit}, got {args.val_count}.")
    return args.val_count


def _labelled(faces: FaceSet, teacher: Path, device: torch.device) -> list[CutOut]:
    from ..detection.load import load_detector
    from ..training.scenes import make_cut_outs

    detector = load_detector(teacher, device=device)
    with progress_bar("labelling faces") as show:
        found = []
        for index, image in enumerate(faces.images):
            found += detector.detect(image[None].float() / 255)
            show(index + 1, len(faces))
    return make_cut_outs(faces, found)


def _face_sets(args: argparse.Namespace, size: int) -> tuple[FaceSet, FaceSet]:
    from ..training.faces import load_face_set

    return (
        load_face_set(args.faces, args.labels, size),
        load_face_set([args.val_faces], [args.val_labels], size),
    )


def _samples(args: argparse.Namespace, size: int) -> tuple[FaceSamples, FaceSample]:
    """What is trained on, and what is validated on."""
    from ..training.faces import FaceSamples, degraded_once, open_face_set

    degradation = load_degradation(args.degradation)
    faces = open_face_set(args.faces, args.labels, size)
    validation = open_face_set([args.val_faces], [args.val_labels], size)
    count = _validation_count(args, len(validation))
    return (
        FaceSamples(faces, degradation, seed=args.seed, closed_eyes=getattr(args, "closed_eyes", 0.0)),
        degraded_once(validation, degradation, seed=VALIDATION_SEED, count=count),
    )


def _teachers(args: argparse.Namespace, weights: GeneratorLossConfig) -> Teachers:
    from ..metrics.image_features import load_image_features
    from ..metrics.lpips import load_lpips
    from ..training.generator import Teachers
    from ..weights.loader import load_parse_net

    features = lpips = None
    if args.features and args.heads:
        lpips = load_lpips(args.features, args.heads, weights.feature_layers).to(args.device)
        features = lpips.features
    elif args.features:
        features = load_image_features(args.features, weights.feature_layers).to(args.device)
    return Teachers(
        parser=_frozen(load_parse_net(args.parser), args) if args.parser else None,
        features=features,
        lpips=lpips,
        discriminator=_discriminator(args, weights, features) if weights.needs_discriminator else None,
    )


def _discriminator(
    args: argparse.Namespace, weights: GeneratorLossConfig, features: ImageFeatures | None
) -> Discriminator | FeatureDiscriminator:
    from ..networks.discriminator import Discriminator, DiscriminatorConfig
    from ..networks.feature_discriminator import FeatureDiscriminator
    from ..networks.spectral_norm import add_spectral_norm

    channels = args.discriminator_channels
    on_pictures: dict[str, Any] = {"channels": channels and tuple(channels), "scales": args.discriminator_scales}
    if not args.feature_discriminator:
        config = DiscriminatorConfig(**{name: value for name, value in on_pictures.items() if value is not None})
        return add_spectral_norm(Discriminator(config)).to(args.device)
    if any(value is not None for value in on_pictures.values()):
        raise OptionError(
            "--discriminator-channels and --discriminator-scales are of a discriminator on pictures: leave them out, or "
            "--feature-discriminator."
        )
    if features is None:
        raise OptionError("--feature-discriminator judges what a feature network sees: give --features.")
    layers = {layer: features.channels[layer] for layer in weights.feature_layers}
    return FeatureDiscriminator(layers).to(args.device)


def _copy_weights(source: nn.Module, target: nn.Module) -> None:
    try:
        target.load_state_dict(source.state_dict())
    except RuntimeError as error:
        raise OptionError(
            f"The network of --start-from ({getattr(source, 'config', type(source).__name__)}) is not the one to be trained "
            f"({target.config}). Give its channels."
        ) from error


def _frozen(network: N, args: argparse.Namespace) -> N:
    """A network that is not trained, as fast as it goes."""
    dtype = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(args.mixed_precision, torch.float32)
    return optimized_on(network, args.device, dtype)


def _finish(trainee: Trainee[N], args: argparse.Namespace, architecture: Architecture[N]) -> int:
    from ..training.config import LoopConfig
    from ..training.loop import train
    from ..weights.convert import to_half
    from ..weights.metadata import WeightMetadata, write_weights
    from ..weights.state_dict import fold_spectral_norm

    config, accelerator = take_options(args, LoopConfig), args.accelerator
    with progress_bar(f"training the {args.network}") if accelerator.is_main_process else nullcontext() as show:
        network = train(
            trainee,
            config,
            args.out,
            accelerator=accelerator,
            settings=_settings(trainee.network, args),
            progress=show,
        )
    if not accelerator.is_main_process:
        return 0
    weights = fold_spectral_norm({name: tensor.cpu() for name, tensor in network.state_dict().items()})
    path = args.out / f"{args.network}.safetensors"
    source = f"psfr train {args.network}, {args.steps} steps"
    metadata = WeightMetadata(architecture.name, architecture.config(weights), args.licence, source)
    try:
        weights = to_half(weights)
    except OptionError as error:
        logger.warning("%s is written in float32: %s", path, error)
    write_weights(path, weights, metadata)
    print(path)
    return 0


def _settings(network: nn.Module, args: argparse.Namespace) -> dict[str, Any]:
    """What a run depends on beside the loop's settings: all flags, with what is in the files and folders they name."""
    from ..training.config import LoopConfig
    from ..training.run_folder import identified

    elsewhere = {"out", "device", "accelerator", "licence", "command", "run", "train", "network"}
    elsewhere |= {field.name for field in fields(LoopConfig)}
    flags = {name: identified(value) for name, value in vars(args).items() if name not in elsewhere}
    return {
        "network": {"name": args.network, **asdict(network.config)},  # type: ignore[arg-type]
        **flags,
        "degradation": load_degradation(getattr(args, "degradation", "paper")).to_dict(),
    }
