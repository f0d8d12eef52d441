"""Test the terms of the generator's loss and their gradients."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot
from torch.utils.data import default_collate

from psfr_core.errors import OptionError
from psfr_core.lab.metrics.identity import CosineIdentity, FaceChip
from psfr_core.lab.metrics.image_features import Backbone, ImageFeatures
from psfr_core.lab.training.face_samples import FaceSample, FaceSet
from psfr_core.lab.training.generator import GeneratorTask
from psfr_core.lab.training.generator_losses import GeneratorLossConfig, LossNetworks
from psfr_core.lab.training.loop import train
from psfr_core.lab.training.loop_config import LoopConfig, MixedPrecision
from psfr_core.lab.training.losses import region_style_loss
from psfr_core.networks.discriminator import Discriminator, DiscriminatorConfig
from psfr_core.networks.feature_discriminator import FeatureDiscriminator
from psfr_core.networks.parse_net import ParseNet, ParseNetConfig
from psfr_core.networks.psfr_generator import GeneratorConfig, PsfrGenerator
from psfr_core.parsing.labels import FaceRegion

from .recipes import PIXEL_ONLY, samples, small_faces, validation_of

LAYERS = ("conv1_1", "conv1_2", "conv2_1")
ADVERSARIAL = GeneratorLossConfig(style=0, discriminator_learning_rate=3e-3, feature_layers=LAYERS)
ON_IMAGES, ON_FEATURES = "on images", "on features"


@pytest.fixture(scope="module")
def faces() -> FaceSet:
    return small_faces()


def batch_of(faces: FaceSet) -> FaceSample:
    return default_collate([samples(faces)[index] for index in range(2)])


def task_of(
    faces: FaceSet, loss_networks: LossNetworks, weights: GeneratorLossConfig = PIXEL_ONLY
) -> GeneratorTask[PsfrGenerator]:
    network = PsfrGenerator(GeneratorConfig((8, 8), 4))
    return GeneratorTask(network, samples(faces), loss_networks, weights, validation_of(faces, 1))


def adversarial_task(
    faces: FaceSet, by: str
) -> tuple[GeneratorTask[PsfrGenerator], Discriminator | FeatureDiscriminator]:
    """Return the task of a generator with a discriminator ``by`` images or features, and this discriminator."""
    if by == ON_IMAGES:
        discriminator, features = Discriminator(DiscriminatorConfig((4, 8), 2)), None
    else:
        discriminator = FeatureDiscriminator({"conv1_1": 64, "conv2_1": 128}, 4)
        features = ImageFeatures(Backbone.VGG16, LAYERS)
    loss_networks = LossNetworks(features=features, discriminator=discriminator)
    return task_of(faces, loss_networks, ADVERSARIAL), discriminator


def test_the_identity_term_is_the_weighted_distance_of_the_embeddings(faces: FaceSet) -> None:
    identity = CosineIdentity(
        nn.Sequential(nn.Flatten(), nn.Linear(3 * 8**2, 4)), FaceChip(0.1, 0.1, 0.8, 8), "a layer"
    )
    task = task_of(faces, LossNetworks(identity=identity), replace(PIXEL_ONLY, pixel=0, identity=3))
    batch = batch_of(faces)
    losses = task(batch, 0)
    restored = (task.network(batch.lq * 2 - 1, one_hot(batch.labels, 19).movedim(-1, 1).float()) + 1) / 2
    expected = identity.distance(identity.embed(restored), identity.embed(batch.hq)).mean()
    assert losses["identity"].item() == pytest.approx(3 * expected.item(), rel=1e-4)
    assert losses["total"].item() == pytest.approx(losses["identity"].item(), rel=1e-4)
    losses["total"].backward()
    assert max(float(gradient.abs().max()) for gradient in gradients(task.network)) > 0
    with pytest.raises(OptionError, match=r"set loss_networks\.identity, or set losses\.identity to 0"):
        task_of(faces, LossNetworks(), replace(PIXEL_ONLY, identity=1))


def gradients(network: nn.Module) -> list[Tensor]:
    return [parameter.grad for parameter in network.parameters() if parameter.grad is not None]


@pytest.mark.parametrize("by", [ON_IMAGES, ON_FEATURES])
def test_the_discriminator_loss_has_gradients_only_for_the_discriminator(faces: FaceSet, by: str) -> None:
    task, discriminator = adversarial_task(faces, by)
    task(batch_of(faces), 0)["discriminator"].backward()
    assert gradients(task.network) == []
    assert len(gradients(discriminator)) == len(list(discriminator.parameters()))


@pytest.mark.parametrize("by", [ON_IMAGES, ON_FEATURES])
def test_the_generator_loss_has_gradients_only_for_the_generator(faces: FaceSet, by: str) -> None:
    task, discriminator = adversarial_task(faces, by)
    losses: Mapping[str, Tensor] = task(batch_of(faces), 0)
    (losses["adversarial"] + losses["feature_matching"]).backward(retain_graph=True)
    assert len(gradients(task.network)) == len(list(task.network.parameters()))
    losses["total"].backward()
    assert gradients(discriminator) == []
    assert all(parameter.requires_grad for parameter in discriminator.parameters())


def test_the_discriminator_has_its_own_learning_rate(faces: FaceSet, tmp_path: Path) -> None:
    task, discriminator = adversarial_task(faces, ON_IMAGES)
    (group,) = task.discriminator_parameters()
    assert (group["lr"], group["betas"]) == (3e-3, (0.5, 0.999))
    # Biases are excluded: the last bias shifts real and fake scores equally, so its gradients cancel inside the hinge.
    weights = [parameter.detach() for parameter in discriminator.parameters() if parameter.dim() > 1]
    before = [weight.clone() for weight in weights]
    train(task, LoopConfig(steps=1, batch_size=2, mixed_precision=MixedPrecision.NONE), tmp_path)
    for old, new in zip(before, weights, strict=True):
        # the first step of Adam equals the learning rate for any gradient
        assert float((new - old).abs().max()) == pytest.approx(3e-3, rel=1e-3)


class BrightIsHair(ParseNet):
    """Parser that labels bright pixels as hair and all others as skin."""

    def parse_logits(self, lq: Tensor) -> Tensor:
        return bright_is_hair((lq + 1) / 2)


def bright_is_hair(images: Tensor) -> Tensor:
    """Return the one-hot parse map (B, 19, H, W) of ``images`` in [0, 1], with bright pixels as hair."""
    labels = torch.where(images[:, 0] > 0.5, FaceRegion.HAIR, FaceRegion.SKIN)
    return one_hot(labels, 19).movedim(-1, 1).float()


def collect_parse_maps(task: GeneratorTask[PsfrGenerator]) -> list[Tensor]:
    """Return a list that collects all parse maps that the network gets."""
    seen: list[Tensor] = []

    def record(_: nn.Module, inputs: tuple[Tensor, Tensor]) -> None:
        seen.append(inputs[1])

    task.network.register_forward_pre_hook(record)
    return seen


def test_the_generator_gets_the_map_of_the_parser(faces: FaceSet) -> None:
    batch, validation = batch_of(faces), validation_of(faces, 1)
    task = task_of(faces, LossNetworks(parser=BrightIsHair(ParseNetConfig((4,), 0)).eval()))
    seen = collect_parse_maps(task)
    task(batch, 0)
    task.validate(task.network)
    for found, lq in zip(seen, (batch.lq, validation.lq), strict=True):
        assert torch.equal(found, bright_is_hair(lq))


def test_the_generator_gets_the_true_map_without_a_parser(faces: FaceSet) -> None:
    batch, task = batch_of(faces), task_of(faces, LossNetworks())
    seen = collect_parse_maps(task)
    task(batch, 0)
    assert torch.equal(seen[0].argmax(dim=1), batch.labels)


@pytest.mark.parametrize("per_region", [True, False])
def test_style_is_per_region_or_global(faces: FaceSet, per_region: bool) -> None:
    weights = GeneratorLossConfig(
        style=7.0, adversarial=0, feature_matching=0, feature_layers=LAYERS, style_per_region=per_region
    )
    features = ImageFeatures(Backbone.VGG16, LAYERS)
    batch, task = batch_of(faces), task_of(faces, LossNetworks(features=features), weights)
    made: list[Tensor] = []

    def keep(_: nn.Module, __: object, fake: Tensor) -> None:
        made.append(fake.detach())

    task.network.register_forward_hook(keep)
    found = task(batch, 0)["style"]
    true_map = one_hot(batch.labels, 19).movedim(-1, 1).float()
    regions = true_map if per_region else torch.ones(2, 1, 32, 32)
    # the style term omits the two finest layers
    coarse = [features(images)["conv2_1"] for images in ((made[0] + 1) / 2, batch.hq)]
    expected = 7 * region_style_loss(coarse[:1], coarse[1:], regions)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=0)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"style": -1}, "must not be negative"),
        ({"discriminator_learning_rate": 0.0}, "discriminator_learning_rate must be positive, got 0.0"),
        ({"feature_window": 0}, "at least 1 pixel, got 0"),
        (
            {"feature_layers": ("conv1_2", "conv2_2")},
            "more than 2 layers for the style term.*; got 2: conv1_2, conv2_2",
        ),
        ({"perceptual": 1.0, "feature_layers": ("a",) * 6}, "at most 5 for the perceptual term; got 6"),
    ],
)
def test_invalid_loss_weights_are_rejected(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(OptionError, match=words):
        GeneratorLossConfig(**settings)


def test_terms_without_their_networks_are_rejected(faces: FaceSet) -> None:
    validation = validation_of(faces, 1)
    for weights in (GeneratorLossConfig(adversarial=0, feature_matching=0), GeneratorLossConfig(style=0)):
        with pytest.raises(OptionError, match="need a"):
            GeneratorTask(PsfrGenerator(GeneratorConfig((4, 4))), samples(faces), LossNetworks(), weights, validation)
