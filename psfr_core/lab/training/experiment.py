"""Run recipes: load the data and networks, train, and write the result into a run folder."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import nn

from ...device import resolve_device
from ...errors import OptionError
from ...faces.detector import load_detector
from ...models.architectures import COMPACT_FACE_NET, PARSE_NET, PSFR_GENERATOR, Architecture
from ...models.blend import blend_weights
from ...models.convert import to_half
from ...models.growth import grow_generator, grow_parse_net
from ...models.loader import load_detector_network, load_generator, load_parse_net
from ...models.metadata import WeightMetadata, write_weights
from ...models.state_dict import fold_spectral_norm
from ...networks.compact_face_net import CompactFaceNet
from ...networks.discriminator import Discriminator
from ...networks.feature_discriminator import FeatureDiscriminator
from ...networks.inference.optimize import optimized_on
from ...networks.parse_net import ParseNet
from ...networks.psfr_generator import PsfrGenerator
from ...networks.spectral_norm import add_spectral_norm
from ...progress import Progress
from ..degradation.config import load_degradations
from ..metrics.identity import load_cosine_identity
from ..metrics.image_features import ImageFeatures, load_image_features
from ..metrics.lpips import load_lpips
from .acceleration import make_accelerator
from .detector import DetectorTask
from .face_samples import FaceSample, FaceSamples, FaceSet, degraded_once, load_face_set, open_face_set
from .generator import GeneratorTask
from .generator_losses import LossNetworks
from .loop import train
from .loop_config import LoopConfig, MixedPrecision
from .parser import ParserTask
from .recipe import (
    BlendRecipe,
    DetectorRecipe,
    DiscriminatorInput,
    GeneratorRecipe,
    ParserRecipe,
    Recipe,
    TrainedRecipe,
)
from .run_folder import is_finished, record_end, record_run
from .run_lock import recorded_run
from .scenes import CutOut, Scenes, load_backgrounds, make_cut_outs, make_distractors
from .task import TrainingTask

logger = logging.getLogger(__name__)
N = TypeVar("N", bound=nn.Module)
VALIDATION_SEED = 1_000
_ARCHITECTURES: dict[str, Architecture[Any]] = {
    ParserRecipe.kind: PARSE_NET,
    DetectorRecipe.kind: COMPACT_FACE_NET,
    GeneratorRecipe.kind: PSFR_GENERATOR,
}


def run(recipe: Recipe, out: Path, device: torch.device | str | None = None, progress: Progress | None = None) -> Path:
    """Run ``recipe`` in the run folder ``out``, and return the path of the resulting weight file.

    An interrupted run resumes from its last checkpoint, and a finished run is not repeated. If ``device`` is None, the best
    device is used. ``progress`` is called with the number of finished steps and the number of all steps, and may raise an
    error to stop the run.
    Raises TrainingError if ``out`` contains a run of another recipe or if the data are invalid, OptionError for inconsistent
    values, and ModelNotFoundError or CheckpointError for models that cannot be loaded.
    """
    result = result_file(recipe, out)
    if result.exists() and is_finished(out, recipe):
        logger.info("%s already exists. Delete the run folder to repeat the run.", result)
        return result
    if isinstance(recipe, BlendRecipe):
        blend_weights(recipe.first, recipe.second, result, amount=recipe.amount, half=True, overwrite=True)
        record_run(out, recipe, {})
        record_end(out)
        return result
    accelerator = make_accelerator(recipe.loop, resolve_device(device))
    torch.manual_seed(recipe.loop.seed)  # makes the initial weights reproducible
    task = make_task(recipe, accelerator.device)
    with recorded_run(out, recipe, accelerator):
        network = train(task, recipe.loop, out, accelerator=accelerator, progress=progress)
        if accelerator.is_main_process:
            _write_result(network, recipe, result)
            record_end(out)
    accelerator.wait_for_everyone()  # exiting early would abort the other ranks
    accelerator.end_training()
    return result


def result_file(recipe: Recipe, out: Path) -> Path:
    """Return the path of the weight file that a run of ``recipe`` writes into ``out``."""
    return out / f"{recipe.kind}.safetensors"


def make_task(recipe: TrainedRecipe, device: torch.device) -> TrainingTask[Any]:
    """Return the training task of ``recipe``, with its network on ``device``, its data and its losses."""
    match recipe:
        case ParserRecipe():
            return _parser_task(recipe, device)
        case DetectorRecipe():
            return _detector_task(recipe, device)
        case GeneratorRecipe():
            return _generator_task(recipe, device)


def _parser_task(recipe: ParserRecipe, device: torch.device) -> ParserTask:
    network = ParseNet(recipe.network)
    if recipe.start_from:
        grow_parse_net(network, load_parse_net(recipe.start_from))
    samples, validation = _samples(recipe, recipe.closed_eyes)
    return ParserTask(network.to(device), samples, recipe.losses, validation)


def _generator_task(recipe: GeneratorRecipe, device: torch.device) -> GeneratorTask[PsfrGenerator]:
    network = PsfrGenerator(recipe.network)
    if recipe.start_from:
        grow_generator(network, load_generator(recipe.start_from))
    if recipe.spectral_norm:
        add_spectral_norm(network)
    samples, validation = _samples(recipe)
    return GeneratorTask(network.to(device), samples, load_loss_networks(recipe, device), recipe.losses, validation)


def _detector_task(recipe: DetectorRecipe, device: torch.device) -> DetectorTask:
    network = CompactFaceNet(recipe.network)
    if recipe.start_from:
        _copy_weights(load_detector_network(recipe.start_from), network)
    data, size = recipe.data, recipe.face_size
    faces = load_face_set(data.faces, data.labels, size, skip_small=data.skip_small)
    validation = load_face_set(data.val_faces, data.val_labels, size, skip_small=data.skip_small)
    backgrounds = load_backgrounds(recipe.backgrounds)

    def scenes(face_set: FaceSet, seed: int) -> Scenes:
        cut_outs = _labeled_cut_outs(face_set, recipe.teacher, device)
        return Scenes(cut_outs, make_distractors(face_set), backgrounds, side=recipe.scene_side, seed=seed)

    return DetectorTask(
        network.to(device),
        scenes(faces, recipe.loop.seed),
        scenes(validation, VALIDATION_SEED),
        data.validation_samples(),
    )


def _labeled_cut_outs(faces: FaceSet, teacher: str, device: torch.device) -> list[CutOut]:
    detector = load_detector(teacher, device=device)
    logger.info("%s labels %d faces", teacher, len(faces))
    found = [detector.detect(image[None].float() / 255)[0] for image in faces.images]
    return make_cut_outs(faces, found)


def _samples(recipe: ParserRecipe | GeneratorRecipe, closed_eyes: float = 0.0) -> tuple[FaceSamples, FaceSample]:
    """Return the training samples and the batch of validation samples."""
    data, degradations = recipe.data, load_degradations(recipe.degradation)
    faces = open_face_set(data.faces, data.labels, recipe.face_size, skip_small=data.skip_small)
    validation = open_face_set(data.val_faces, data.val_labels, recipe.face_size, skip_small=data.skip_small)
    count = data.validation_samples(len(validation))
    return (
        FaceSamples(faces, degradations, seed=recipe.loop.seed, closed_eyes=closed_eyes),
        degraded_once(validation, degradations, seed=VALIDATION_SEED, count=count),
    )


def load_loss_networks(recipe: GeneratorRecipe, device: torch.device) -> LossNetworks:
    """Load the loss networks of ``recipe`` and the parser that computes the generator's input onto ``device``."""
    sources, layers = recipe.loss_networks, recipe.losses.feature_layers
    features = lpips = parser = None
    if sources.features and sources.heads:
        lpips = load_lpips(sources.features, sources.heads, layers).to(device)
        features = lpips.features
    elif sources.features:
        features = load_image_features(sources.features, layers).to(device)
    if sources.parser:
        parser = optimized_on(load_parse_net(sources.parser), device, _frozen_dtype(recipe.loop))
    identity = load_cosine_identity(sources.identity, device) if sources.identity else None
    discriminator = _discriminator(recipe, features).to(device) if recipe.losses.needs_discriminator else None
    return LossNetworks(parser=parser, features=features, lpips=lpips, identity=identity, discriminator=discriminator)


def _discriminator(recipe: GeneratorRecipe, features: ImageFeatures | None) -> Discriminator | FeatureDiscriminator:
    sources = recipe.loss_networks
    if sources.discriminator_input is DiscriminatorInput.FEATURES and features is not None:
        return FeatureDiscriminator({layer: features.channels[layer] for layer in recipe.losses.feature_layers})
    return add_spectral_norm(Discriminator(sources.discriminator))


def _frozen_dtype(loop: LoopConfig) -> torch.dtype:
    """Return the dtype of the frozen parser, which is the dtype of mixed precision, or float32 without it."""
    reduced = {MixedPrecision.BF16: torch.bfloat16, MixedPrecision.FP16: torch.float16}
    return reduced.get(loop.mixed_precision, torch.float32)


def _copy_weights(source: nn.Module, target: nn.Module) -> None:
    try:
        target.load_state_dict(source.state_dict())
    except RuntimeError as error:
        raise OptionError(
            f"The network of start_from ({getattr(source, 'config', type(source).__name__)}) differs from the network to train "
            f"({target.config}). Set network to the sizes of the network of start_from."
        ) from error


def _write_result(network: nn.Module, recipe: TrainedRecipe, path: Path) -> None:
    weights = fold_spectral_norm({name: tensor.cpu() for name, tensor in network.state_dict().items()})
    architecture = _ARCHITECTURES[recipe.kind]
    limit = f"{recipe.loop.steps} steps" if recipe.loop.minutes is None else f"about {recipe.loop.minutes:g} minutes"
    source = f"training with psfr_core ({recipe.kind}, {limit})"
    metadata = WeightMetadata(architecture.name, architecture.config(weights), recipe.license, source)
    try:
        weights = to_half(weights)
    except OptionError as error:
        logger.warning("%s is written in float32: %s", path, error)
    write_weights(path, weights, metadata)
