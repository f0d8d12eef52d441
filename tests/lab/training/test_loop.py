from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import Tensor

from psfr_core.cli.main import main
from psfr_core.errors import MissingPackageError, OptionError, TrainingError
from psfr_core.lab.training.acceleration import make_accelerator
from psfr_core.lab.training.face_samples import FaceSet
from psfr_core.lab.training.generator import GeneratorTask
from psfr_core.lab.training.generator_losses import GeneratorLossConfig, LossNetworks
from psfr_core.lab.training.growth import start_from
from psfr_core.lab.training.loop import train
from psfr_core.lab.training.loop_config import LoopConfig, MixedPrecision
from psfr_core.lab.training.parser import ParserLossConfig, ParserTask, dice_loss
from psfr_core.lab.training.recipe import GeneratorRecipe, LossNetworkSources
from psfr_core.lab.training.recipe_file import to_yaml
from psfr_core.lab.training.trainer import learning_rate_factor
from psfr_core.networks.discriminator import Discriminator, DiscriminatorConfig
from psfr_core.networks.parse_net import ParseNet, ParseNetConfig
from psfr_core.networks.psfr_generator import GeneratorConfig, PsfrGenerator
from psfr_core.networks.spectral_norm import add_spectral_norm
from psfr_core.progress import Progress

from .recipes import FOLDERS, PIXEL_ONLY, samples, small_faces, validation_of

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def faces() -> FaceSet:
    return small_faces()


def generator_task(faces: FaceSet, weights: GeneratorLossConfig = PIXEL_ONLY) -> GeneratorTask[PsfrGenerator]:
    torch.manual_seed(5)
    network = PsfrGenerator(GeneratorConfig((8, 8), 8))
    discriminator = add_spectral_norm(Discriminator(DiscriminatorConfig((4, 8), 2)))
    loss_networks = LossNetworks(discriminator=discriminator if weights.needs_discriminator else None)
    return GeneratorTask(network, samples(faces), loss_networks, weights, validation_of(faces, 2))


def loop(steps: int, batch_size: int = 2, checkpoint_every: int = 2, **settings: Any) -> LoopConfig:
    return LoopConfig(
        steps=steps, batch_size=batch_size, learning_rate=2e-3, warmup_steps=1, log_every=1, validate_every=100,
        checkpoint_every=checkpoint_every, mixed_precision=MixedPrecision.NONE, **settings,
    )  # fmt: skip


def rows(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def without_seconds(log: list[dict[str, str]]) -> list[dict[str, str]]:
    return [{name: value for name, value in row.items() if name != "seconds"} for row in log]


def difference(one: Path, other: Path, tolerance: float = 0.0) -> dict[str, float]:
    """Which tensors of two runs' checkpoints differ, and by how much.

    With a tolerance, a bias before an instance norm is left out: it has no effect, and what Adam makes of the rounding
    errors that are its gradients is arbitrary.
    """
    found, expected = (dict(tensors_of(torch.load(folder / "checkpoint.pt"))) for folder in (one, other))
    assert found.keys() == expected.keys()
    differences = {name: float((value - expected[name]).abs().max()) for name, value in found.items()}
    without_effect = "conv_0.bias" if tolerance else "no such name"
    return {name: by for name, by in differences.items() if by > tolerance and without_effect not in name}


def tensors_of(content: Any, name: str = "") -> Iterator[tuple[str, Tensor]]:
    if isinstance(content, dict):
        for key, value in content.items():
            yield from tensors_of(value, f"{name}/{key}")
    elif isinstance(content, Tensor):
        yield name, content.double()


def test_training_lowers_the_loss_and_leaves_a_log(faces: FaceSet, tmp_path: Path) -> None:
    train(generator_task(faces), loop(30, checkpoint_every=30), tmp_path)
    log = rows(tmp_path / "log.csv")
    first, last = ([float(row["pixel"]) for row in part] for part in (log[:5], log[-5:]))
    assert sum(last) < 0.8 * sum(first)
    assert [int(row["step"]) for row in log] == list(range(1, 31))
    assert float(rows(tmp_path / "validation.csv")[-1]["psnr_db"]) > 5


def test_the_trained_network_is_the_average_of_its_steps(faces: FaceSet, tmp_path: Path) -> None:
    task = generator_task(faces)
    steps: list[dict[str, Tensor]] = []

    def keep(done: int, total: int) -> None:
        steps.append({name: value.clone() for name, value in task.network.state_dict().items()})

    averaged = train(task, loop(3, ema_decay=0.75), tmp_path, progress=keep)
    first, second, third = steps
    for name, found in averaged.state_dict().items():
        # the first step is the average's first value; 0.75 of it is left after each further one
        expected = 0.75**2 * first[name] + 0.75 * 0.25 * second[name] + 0.25 * third[name]
        torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)
    assert (third["const_input"] - averaged.const_input).abs().max() > 1e-3
    validated = float(rows(tmp_path / "validation.csv")[-1]["psnr_db"])
    assert validated == pytest.approx(task.validate(averaged)["psnr_db"], rel=1e-5)
    assert validated != pytest.approx(task.validate(task.network)["psnr_db"], rel=1e-4)


def stop_at(step: int) -> Progress:
    def stop(done: int, total: int) -> None:
        if done == step:
            raise KeyboardInterrupt

    return stop


@pytest.mark.parametrize("weights", [PIXEL_ONLY, GeneratorLossConfig(style=0)], ids=["pixel", "adversarial"])
def test_an_interrupted_run_goes_on_with_the_same_numbers(
    faces: FaceSet, tmp_path: Path, weights: GeneratorLossConfig, caplog: pytest.LogCaptureFixture
) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    train(generator_task(faces, weights), loop(6), whole)
    with pytest.raises(KeyboardInterrupt):
        train(generator_task(faces, weights), loop(6), parts, progress=stop_at(5))
    assert f"Interrupted. The checkpoint in {parts} is of step 4: the same command resumes" in caplog.text
    train(generator_task(faces, weights), loop(6), parts)
    assert difference(whole, parts) == {}
    assert without_seconds(rows(parts / "log.csv")) == without_seconds(rows(whole / "log.csv"))


def test_a_run_interrupted_before_its_first_checkpoint_begins_anew(
    faces: FaceSet, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(generator_task(faces), loop(4), tmp_path, progress=stop_at(1))
    assert "There is no checkpoint yet" in caplog.text
    train(generator_task(faces), loop(4), tmp_path)
    assert [row["step"] for row in rows(tmp_path / "log.csv")] == ["1", "2", "3", "4"]


def test_parts_of_a_step_add_up(faces: FaceSet, tmp_path: Path) -> None:
    # in three steps Adam moves weights by up to 6e-3
    for parts in (1, 2, 4):
        config = loop(3, batch_size=4, accumulation_steps=parts)
        train(generator_task(faces), config, tmp_path / str(parts))
    for parts in ("2", "4"):
        assert difference(tmp_path / "1", tmp_path / parts, tolerance=1e-4) == {}
    one, two = (rows(tmp_path / name / "log.csv")[-1] for name in ("1", "2"))
    assert float(one["pixel"]) == pytest.approx(float(two["pixel"]), rel=1e-4)


def test_two_processes_train_as_one(tmp_path: Path) -> None:
    # in three steps Adam moves weights by up to 6e-3
    settings = LoopConfig(
        steps=3, batch_size=4, warmup_steps=1, learning_rate=2e-3, mixed_precision=MixedPrecision.NONE
    )
    recipe = GeneratorRecipe(
        FOLDERS, settings, network=GeneratorConfig((8, 8), 4), losses=GeneratorLossConfig(style=0),
        loss_networks=LossNetworkSources(discriminator=DiscriminatorConfig((4, 8), 1)),
    )  # fmt: skip
    (tmp_path / "small.yaml").write_text(to_yaml(recipe))
    arguments = ["train", str(tmp_path / "small.yaml"), "--device", "cpu", "--out"]
    # accelerate launch starts this very launcher, but for GPUs only
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", "-m", "psfr_core"]
    assert main([*arguments, str(tmp_path / "one")]) == 0
    done = subprocess.run(  # noqa: S603
        [*launch, *arguments, str(tmp_path / "two")], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    one, two = (tmp_path / name / "small" for name in ("one", "two"))
    assert json.loads((two / "runs.json").read_text())["runs"][0]["processes"] == 2
    assert difference(one, two, tolerance=1e-4) == {}


def test_only_whole_shares_of_a_batch_are_taken() -> None:
    with pytest.raises(
        OptionError, match=r"batch_size 8 must be divisible by the 1 processes times 3 accumulation steps, 3"
    ):
        make_accelerator(LoopConfig(steps=1, batch_size=8, accumulation_steps=3), torch.device("cpu"))


def test_a_cpu_does_not_train_in_fp16() -> None:
    with pytest.raises(OptionError, match="Choose bf16 or none"):
        make_accelerator(LoopConfig(steps=1, mixed_precision=MixedPrecision.FP16), torch.device("cpu"))


def test_training_names_the_package_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "accelerate", None)
    with pytest.raises(MissingPackageError, match="Training needs the package accelerate.*pip install accelerate"):
        make_accelerator(LoopConfig(steps=1), torch.device("cpu"))


def test_training_does_without_tensorboard(
    faces: FaceSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with caplog.at_level("INFO"):
        train(generator_task(faces), loop(1), tmp_path)
    assert caplog.text.count("pip install tensorboard") == 1
    assert not (tmp_path / "tensorboard").exists()
    assert len(rows(tmp_path / "log.csv")) == 1


def test_tensorboard_shows_curves_and_faces(faces: FaceSet, tmp_path: Path) -> None:
    train(generator_task(faces), loop(2), tmp_path)
    board = EventAccumulator(str(tmp_path / "tensorboard"))
    board.Reload()
    expected = [float(row["pixel"]) for row in rows(tmp_path / "log.csv")]
    assert [event.value for event in board.Scalars("training/pixel")] == pytest.approx(expected, rel=1e-4)
    assert [event.value for event in board.Scalars("training/learning_rate")] == pytest.approx([2e-3, 2e-3], rel=1e-4)
    (image,) = board.Images("validation")
    shown = np.array(Image.open(io.BytesIO(image.encoded_image_string)))
    assert image.step == 2
    assert shown.shape == (2 * 32, 3 * 32 + 2, 3)  # two faces: degraded, restored and clean, with gaps
    sample = validation_of(faces, 2)
    lower = torch.from_numpy(shown[32:]).permute(2, 0, 1) / 255
    for found, expected in ((lower[..., :32], sample.lq[1]), (lower[..., -32:], sample.hq[1])):
        torch.testing.assert_close(found, expected, atol=1 / 255, rtol=0)


def test_parser_training_runs_in_bf16(faces: FaceSet, tmp_path: Path) -> None:
    network = ParseNet(ParseNetConfig((8,), 1))
    task = ParserTask(network, samples(faces), ParserLossConfig(dice=0), validation_of(faces, 2))
    train(task, LoopConfig(steps=2, batch_size=2, log_every=1), tmp_path)
    last = rows(tmp_path / "log.csv")[-1]
    assert float(last["cross_entropy"]) > 0
    assert float(last["dice"]) == 0
    assert float(last["total"]) == pytest.approx(
        float(last["cross_entropy"]) + float(last["reconstruction_l1"]), rel=1e-3
    )
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
    task = generator_task(faces)
    weights = task.network.state_dict()
    task.network.load_state_dict({**weights, "img_out.bias": torch.full((3,), torch.inf)})
    with pytest.raises(TrainingError, match="lower the learning rate"):
        train(task, loop(2), tmp_path)


def test_fewer_steps_than_were_done_are_refused(faces: FaceSet, tmp_path: Path) -> None:
    train(generator_task(faces), loop(2), tmp_path)
    with pytest.raises(TrainingError, match="has done 2 steps already, more than the 1 asked for"):
        train(generator_task(faces), loop(1), tmp_path)


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
def test_losses_that_cannot_be_are_refused(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(OptionError, match=words):
        GeneratorLossConfig(**settings)


def test_terms_need_their_networks(faces: FaceSet) -> None:
    validation = validation_of(faces, 1)
    for weights in (GeneratorLossConfig(adversarial=0, feature_matching=0), GeneratorLossConfig(style=0)):
        with pytest.raises(OptionError, match="need a"):
            GeneratorTask(PsfrGenerator(GeneratorConfig((4, 4))), samples(faces), LossNetworks(), weights, validation)


def test_averages_of_other_than_past_steps_are_refused() -> None:
    with pytest.raises(OptionError, match=r"must lie in \[0, 1\), got \(0.9, 1.0\)"):
        loop(1, betas=(0.9, 1.0))


@pytest.mark.parametrize("new_stages", [(4,), (5, 3)])
def test_a_new_stage_begins_with_the_picture_doubled(new_stages: tuple[int, ...]) -> None:
    small, large = PsfrGenerator(GeneratorConfig((8, 6), 4)), PsfrGenerator(GeneratorConfig((8, 6, *new_stages), 5))
    edges = torch.ones(3, 3, dtype=torch.bool)
    edges[1, 1] = False
    # These see neighbors that are nearer at the doubled size.
    small.get_parameter("img_out.weight").data[..., edges] = 0
    start_from(large, small)
    lq, parse_map = torch.rand(2, 3, 128, 128), torch.rand(2, 19, 128, 128)
    made = large(lq, parse_map)
    doubled = torch.nn.functional.interpolate(small(lq, parse_map), scale_factor=2 ** len(new_stages), mode="nearest")
    torch.testing.assert_close(made, doubled, atol=1e-5, rtol=0)
    made.square().mean().backward()
    assert all(parameter.grad is not None for parameter in large.parameters())


def test_says_why_a_generator_cannot_grow() -> None:
    large = PsfrGenerator(GeneratorConfig((8, 6, 4), 4))
    for channels, residual in [((8, 8), False), ((8, 6), True), ((8, 6, 4, 4), False)]:
        with pytest.raises(OptionError, match="at least as wide, new stages need at least 3 channels, and it must be"):
            start_from(large, PsfrGenerator(GeneratorConfig(channels, 4, residual)))
    with pytest.raises(OptionError, match="new stages need at least 3 channels"):
        start_from(PsfrGenerator(GeneratorConfig((8, 2), 4)), PsfrGenerator(GeneratorConfig((8,), 4)))


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
