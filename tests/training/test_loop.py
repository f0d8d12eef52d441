from __future__ import annotations

import csv
from pathlib import Path

import pytest
import torch

from psfr_core.degradation.config import DegradationConfig
from psfr_core.errors import OptionError, TrainingError
from psfr_core.networks.discriminator import Discriminator, DiscriminatorConfig
from psfr_core.networks.parse_net import ParseNet, ParseNetConfig
from psfr_core.networks.psfr_generator import GeneratorConfig, PsfrGenerator
from psfr_core.networks.spectral_norm import add_spectral_norm
from psfr_core.training.config import LoopConfig, MixedPrecision
from psfr_core.training.faces import DegradedFaces, FaceSet, load_face_set
from psfr_core.training.generator import GeneratorLossConfig, GeneratorTrainee, Teachers, start_from
from psfr_core.training.loop import learning_rate_factor, train
from psfr_core.training.parser import ParserTrainee, dice_loss

DATA = Path(__file__).parents[1] / "data"
PIXEL_ONLY = GeneratorLossConfig(style=0, adversarial=0, feature_matching=0)


@pytest.fixture(scope="module")
def faces() -> FaceSet:
    return load_face_set([DATA / "faces"], [DATA / "labels"], 32)


def samples(faces: FaceSet, *, jitter: bool = True) -> DegradedFaces:
    return DegradedFaces(faces, DegradationConfig(), seed=1, jitter=jitter)


def generator_trainee(faces: FaceSet, weights: GeneratorLossConfig = PIXEL_ONLY) -> GeneratorTrainee:
    torch.manual_seed(5)
    network = PsfrGenerator(GeneratorConfig((8, 8), 8))
    discriminator = add_spectral_norm(Discriminator(DiscriminatorConfig((4, 8), 2)))
    teachers = Teachers(discriminator=discriminator if weights.needs_discriminator else None)
    validation = samples(faces, jitter=False).batch(range(2))
    return GeneratorTrainee(network, samples(faces), teachers, weights, validation)


def loop(steps: int, **settings: float) -> LoopConfig:
    return LoopConfig(
        steps=steps, batch_size=2, learning_rate=2e-3, warmup_steps=1, log_every=1, checkpoint_every=2,
        validate_every=100, mixed_precision=MixedPrecision.NONE, **settings,  # type: ignore[arg-type]
    )  # fmt: skip


def rows(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def test_training_lowers_the_loss_and_leaves_a_log(faces: FaceSet, tmp_path: Path) -> None:
    train(generator_trainee(faces), loop(30), tmp_path)
    log = rows(tmp_path / "log.csv")
    first, last = ([float(row["pixel"]) for row in part] for part in (log[:5], log[-5:]))
    assert sum(last) < 0.8 * sum(first)
    assert [int(row["step"]) for row in log] == list(range(1, 31))
    assert float(rows(tmp_path / "validation.csv")[-1]["psnr_db"]) > 5


@pytest.mark.parametrize("weights", [PIXEL_ONLY, GeneratorLossConfig(style=0)], ids=["pixel", "adversarial"])
def test_an_interrupted_run_goes_on_with_the_same_numbers(
    faces: FaceSet, tmp_path: Path, weights: GeneratorLossConfig
) -> None:
    whole = train(generator_trainee(faces, weights), loop(6), tmp_path / "whole")

    def stop(done: int, total: int) -> None:
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(generator_trainee(faces, weights), loop(6), tmp_path / "parts", progress=stop)
    resumed = train(generator_trainee(faces, weights), loop(6), tmp_path / "parts")
    for (name, one), other in zip(whole.state_dict().items(), resumed.state_dict().values(), strict=True):
        assert torch.equal(one, other), name


def test_parser_training_runs_in_bf16(faces: FaceSet, tmp_path: Path) -> None:
    network = ParseNet(ParseNetConfig((8,), 1))
    trainee = ParserTrainee(network, samples(faces), samples(faces, jitter=False), 2)
    train(trainee, LoopConfig(steps=2, batch_size=2, log_every=1), tmp_path)
    assert float(rows(tmp_path / "log.csv")[-1]["cross_entropy"]) > 0
    assert 0 <= float(rows(tmp_path / "validation.csv")[-1]["accuracy"]) <= 1


def test_dice_counts_small_regions_as_much_as_large_ones() -> None:
    labels = torch.zeros(1, 10, 10, dtype=torch.int64)
    labels[0, 0, 0] = 4  # a single pixel
    right = 20.0 * torch.nn.functional.one_hot(labels, 19).movedim(-1, 1)
    missed = right.clone()
    missed[0, :, 0, 0] = 20.0 * torch.nn.functional.one_hot(torch.tensor(0), 19)
    assert float(dice_loss(right, labels)) == pytest.approx(0, abs=1e-4)
    # the background covers 99 of 100 pixels predicted as it, the eye nothing
    assert float(dice_loss(missed, labels)) == pytest.approx(1 - (2 * 99 / 199 + 0) / 2, abs=1e-3)


def test_a_loss_that_is_not_finite_stops_the_run(faces: FaceSet, tmp_path: Path) -> None:
    trainee = generator_trainee(faces)
    weights = trainee.network.state_dict()
    trainee.network.load_state_dict({**weights, "img_out.bias": torch.full((3,), torch.inf)})
    with pytest.raises(TrainingError, match="lower the learning rate"):
        train(trainee, loop(2), tmp_path)


def test_terms_need_their_networks(faces: FaceSet) -> None:
    validation = samples(faces, jitter=False).batch(range(1))
    for weights in (GeneratorLossConfig(adversarial=0, feature_matching=0), GeneratorLossConfig(style=0)):
        with pytest.raises(OptionError, match="need a"):
            GeneratorTrainee(PsfrGenerator(GeneratorConfig((4, 4))), samples(faces), Teachers(), weights, validation)


def test_a_generator_grows_by_a_stage() -> None:
    small, large = PsfrGenerator(GeneratorConfig((8, 6), 4)), PsfrGenerator(GeneratorConfig((8, 6, 4), 4))
    start_from(large, small)
    assert torch.equal(large.body[0][1].weight, small.body[0][1].weight)  # type: ignore[index]
    with pytest.raises(OptionError, match="as wide or wider"):
        start_from(large, PsfrGenerator(GeneratorConfig((8, 8), 4)))


@pytest.mark.parametrize("residual", [False, True])
def test_a_wider_generator_begins_with_what_the_narrow_one_makes(residual: bool) -> None:
    narrow = PsfrGenerator(GeneratorConfig((8, 6), 4, residual))
    wide = PsfrGenerator(GeneratorConfig((10, 9), 7, residual))
    lq, parse_map = torch.rand(2, 3, 32, 32), torch.rand(2, 19, 32, 32)
    start_from(wide, narrow)
    made = wide(lq, parse_map)
    torch.testing.assert_close(made, narrow(lq, parse_map), atol=1e-5, rtol=0)
    made.square().mean().backward()
    assert all(parameter.grad is not None for parameter in wide.parameters())
    new_channels = wide.get_parameter("img_out.weight").grad[:, 6:]  # type: ignore[index]
    assert new_channels.abs().min() > 0  # they are there to be learned from


def test_a_residual_generator_begins_with_the_face_itself() -> None:
    plain, residual = (
        PsfrGenerator(GeneratorConfig((8, 6), 4)),
        PsfrGenerator(GeneratorConfig((8, 6), 4, residual=True)),
    )
    start_from(residual, plain)
    lq = torch.rand(1, 3, 32, 32)
    assert torch.equal(residual(lq, torch.rand(1, 19, 32, 32)), lq)
    assert torch.equal(residual.head[1].conv_0.weight, plain.head[1].conv_0.weight)  # type: ignore[index]


def test_learning_rate_warms_up_and_decays() -> None:
    config = LoopConfig(steps=100, warmup_steps=10)
    assert learning_rate_factor(0, config) == pytest.approx(0.1)
    assert learning_rate_factor(10, config) == pytest.approx(1.0)
    assert learning_rate_factor(55, config) == pytest.approx(0.525)
    assert learning_rate_factor(100, config) == pytest.approx(0.05)
