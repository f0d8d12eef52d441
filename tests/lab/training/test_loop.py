from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from socket import socket
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
from psfr_core.lab.training.loop import train
from psfr_core.lab.training.loop_config import LoopConfig, MixedPrecision
from psfr_core.lab.training.recipe import GeneratorRecipe, LossNetworkSources
from psfr_core.lab.training.recipe_file import to_yaml
from psfr_core.lab.training.schedule import SPEED_STEPS, Schedule
from psfr_core.networks.discriminator import Discriminator, DiscriminatorConfig
from psfr_core.networks.psfr_generator import GeneratorConfig, PsfrGenerator
from psfr_core.networks.spectral_norm import add_spectral_norm
from psfr_core.progress import Progress

from .recipes import FOLDERS, PIXEL_ONLY, read_rows, samples, small_faces, validation_of

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


def without_seconds(log: list[dict[str, str]]) -> list[dict[str, str]]:
    return [{name: value for name, value in row.items() if name != "seconds"} for row in log]


def difference(one: Path, other: Path, tolerance: float = 0.0) -> dict[str, float]:
    """Return the maximum differences of tensors that differ by more than ``tolerance`` in the checkpoints of two runs, by name.

    With a tolerance, biases before an instance norm are left out. They have no effect, and their gradients are rounding
    errors, which Adam amplifies.
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


def test_training_lowers_the_loss_and_writes_a_log(faces: FaceSet, tmp_path: Path) -> None:
    train(generator_task(faces), loop(30, checkpoint_every=30), tmp_path)
    log = read_rows(tmp_path / "log.csv")
    first, last = ([float(row["pixel"]) for row in part] for part in (log[:5], log[-5:]))
    assert sum(last) < 0.8 * sum(first)
    assert [int(row["step"]) for row in log] == list(range(1, 31))
    assert float(read_rows(tmp_path / "validation.csv")[-1]["psnr_db"]) > 5


def test_the_result_is_the_moving_average_of_the_weights(faces: FaceSet, tmp_path: Path) -> None:
    task = generator_task(faces)
    steps: list[dict[str, Tensor]] = []

    def keep(done: int, total: int) -> None:
        steps.append({name: value.clone() for name, value in task.network.state_dict().items()})

    averaged = train(task, loop(3, ema_decay=0.75), tmp_path, progress=keep)
    first, second, third = steps
    for name, found in averaged.state_dict().items():
        # The average is initialized with the weights of the first step, and each later step keeps 0.75 of it.
        expected = 0.75**2 * first[name] + 0.75 * 0.25 * second[name] + 0.25 * third[name]
        torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)
    assert (third["const_input"] - averaged.const_input).abs().max() > 1e-3
    validated = float(read_rows(tmp_path / "validation.csv")[-1]["psnr_db"])
    assert validated == pytest.approx(task.validate(averaged)["psnr_db"], rel=1e-5)
    assert validated != pytest.approx(task.validate(task.network)["psnr_db"], rel=1e-4)


class Clock:
    seconds = 0.0

    def monotonic(self) -> float:
        return self.seconds


def stop_at(step: int) -> Progress:
    def stop(done: int, total: int) -> None:
        if done == step:
            raise KeyboardInterrupt

    return stop


@pytest.mark.parametrize("weights", [PIXEL_ONLY, GeneratorLossConfig(style=0)], ids=["pixel", "adversarial"])
def test_a_resumed_run_equals_an_uninterrupted_one(
    faces: FaceSet, tmp_path: Path, weights: GeneratorLossConfig, caplog: pytest.LogCaptureFixture
) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    train(generator_task(faces, weights), loop(6), whole)
    with pytest.raises(KeyboardInterrupt):
        train(generator_task(faces, weights), loop(6), parts, progress=stop_at(5))
    assert f"Interrupted. The checkpoint in {parts} was saved at step 4. The same command resumes" in caplog.text
    train(generator_task(faces, weights), loop(6), parts)
    assert difference(whole, parts) == {}
    assert without_seconds(read_rows(parts / "log.csv")) == without_seconds(read_rows(whole / "log.csv"))


def test_a_run_interrupted_before_its_first_checkpoint_starts_again(
    faces: FaceSet, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(generator_task(faces), loop(4), tmp_path, progress=stop_at(1))
    assert "There is no checkpoint yet" in caplog.text
    train(generator_task(faces), loop(4), tmp_path)
    assert [row["step"] for row in read_rows(tmp_path / "log.csv")] == ["1", "2", "3", "4"]


def test_gradient_accumulation_does_not_change_the_result(faces: FaceSet, tmp_path: Path) -> None:
    # the tolerance is small, because Adam changes weights by up to 6e-3 in three steps
    for parts in (1, 2, 4):
        config = loop(3, batch_size=4, accumulation_steps=parts)
        train(generator_task(faces), config, tmp_path / str(parts))
    for parts in ("2", "4"):
        assert difference(tmp_path / "1", tmp_path / parts, tolerance=1e-4) == {}
    one, two = (read_rows(tmp_path / name / "log.csv")[-1] for name in ("1", "2"))
    assert float(one["pixel"]) == pytest.approx(float(two["pixel"]), rel=1e-4)


@pytest.mark.slow
def test_two_processes_train_as_one(tmp_path: Path) -> None:
    settings = LoopConfig(
        steps=3, batch_size=4, warmup_steps=1, learning_rate=2e-3, mixed_precision=MixedPrecision.NONE
    )
    recipe = GeneratorRecipe(
        FOLDERS, settings, network=GeneratorConfig((8, 8), 4), losses=GeneratorLossConfig(style=0),
        loss_networks=LossNetworkSources(discriminator=DiscriminatorConfig((4, 8), 1)),
    )  # fmt: skip
    (tmp_path / "small.yaml").write_text(to_yaml(recipe))
    arguments = ["train", str(tmp_path / "small.yaml"), "--device", "cpu", "--out"]
    # accelerate launch sets the same variables, but only for GPUs
    with socket() as free:
        free.bind(("127.0.0.1", 0))
        shared = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1])}
    processes = [
        subprocess.Popen(  # noqa: S603
            [sys.executable, "-m", "psfr_core", *arguments, str(tmp_path / "two")],
            cwd=ROOT, env={**os.environ, **shared, "RANK": rank, "LOCAL_RANK": rank}, stderr=subprocess.PIPE, text=True,
        )
        for rank in ("0", "1")
    ]  # fmt: skip
    assert main([*arguments, str(tmp_path / "one")]) == 0
    errors = [process.communicate()[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], errors
    one, two = (tmp_path / name / "small" for name in ("one", "two"))
    assert json.loads((two / "runs.json").read_text())["runs"][0]["processes"] == 2
    # the tolerance is small, because Adam changes weights by up to 6e-3 in three steps
    assert difference(one, two, tolerance=1e-4) == {}


def test_indivisible_batch_sizes_are_rejected() -> None:
    with pytest.raises(
        OptionError,
        match=r"batch_size 8 must be divisible by 3, the number of processes \(1\) times the accumulation steps \(3\)",
    ):
        make_accelerator(LoopConfig(steps=1, batch_size=8, accumulation_steps=3), torch.device("cpu"))


def test_a_cpu_does_not_train_in_fp16() -> None:
    with pytest.raises(OptionError, match="Choose bf16 or none"):
        make_accelerator(LoopConfig(steps=1, mixed_precision=MixedPrecision.FP16), torch.device("cpu"))


@pytest.mark.parametrize("is_fast", [False, True])
def test_emulated_bfloat16_is_reported(
    is_fast: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("psfr_core.lab.training.acceleration.cpu_has_fast_bfloat16", lambda: is_fast)
    make_accelerator(LoopConfig(steps=1, mixed_precision=MixedPrecision.BF16), torch.device("cpu"))
    make_accelerator(LoopConfig(steps=1, mixed_precision=MixedPrecision.NONE), torch.device("cpu"))
    assert caplog.text.count("Set loop.mixed_precision to none") == (not is_fast)


def test_a_missing_accelerate_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "accelerate", None)
    with pytest.raises(MissingPackageError, match="Training needs the package accelerate.*pip install accelerate"):
        make_accelerator(LoopConfig(steps=1), torch.device("cpu"))


def test_training_works_without_tensorboard(
    faces: FaceSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with caplog.at_level("INFO"):
        train(generator_task(faces), loop(1), tmp_path)
    assert caplog.text.count("pip install tensorboard") == 1
    assert not (tmp_path / "tensorboard").exists()
    assert len(read_rows(tmp_path / "log.csv")) == 1


def test_tensorboard_shows_curves_and_faces(faces: FaceSet, tmp_path: Path) -> None:
    train(generator_task(faces), loop(2), tmp_path)
    board = EventAccumulator(str(tmp_path / "tensorboard"))
    board.Reload()
    expected = [float(row["pixel"]) for row in read_rows(tmp_path / "log.csv")]
    assert [event.value for event in board.Scalars("training/pixel")] == pytest.approx(expected, rel=1e-4)
    assert [event.value for event in board.Scalars("training/learning_rate")] == pytest.approx([2e-3, 2e-3], rel=1e-4)
    (image,) = board.Images("validation")
    shown = np.array(Image.open(io.BytesIO(image.encoded_image_string)))
    assert image.step == 2
    assert shown.shape == (2 * 32, 3 * 32 + 2, 3)  # two rows with a degraded, restored and clean face, and gaps of 1 px
    sample = validation_of(faces, 2)
    lower = torch.from_numpy(shown[32:]).permute(2, 0, 1) / 255
    for found, expected in ((lower[..., :32], sample.lq[1]), (lower[..., -32:], sample.hq[1])):
        torch.testing.assert_close(found, expected, atol=1 / 255, rtol=0)


def test_a_loss_that_is_not_finite_stops_the_run(faces: FaceSet, tmp_path: Path) -> None:
    task = generator_task(faces)
    weights = task.network.state_dict()
    task.network.load_state_dict({**weights, "img_out.bias": torch.full((3,), torch.inf)})
    with pytest.raises(TrainingError, match="Lower the learning rate"):
        train(task, loop(2), tmp_path)


def test_fewer_steps_than_done_are_rejected(faces: FaceSet, tmp_path: Path) -> None:
    train(generator_task(faces), loop(2), tmp_path)
    with pytest.raises(TrainingError, match="has already done 2 steps, more than the requested 1"):
        train(generator_task(faces), loop(1), tmp_path)


def test_decay_rates_out_of_range_are_rejected() -> None:
    with pytest.raises(OptionError, match=r"must lie in \[0, 1\), got \(0.9, 1.0\)"):
        loop(1, betas=(0.9, 1.0))


def test_learning_rate_warms_up_and_decays() -> None:
    schedule = Schedule(LoopConfig(steps=100, warmup_steps=10))
    assert schedule.learning_rate_factor(1) == pytest.approx(0.1)
    assert schedule.learning_rate_factor(11) == pytest.approx(1.0)
    assert schedule.learning_rate_factor(56) == pytest.approx(0.525)
    assert schedule.learning_rate_factor(101) == pytest.approx(0.05)


def test_minutes_lower_the_number_of_steps_by_the_speed_of_the_first_ones(
    faces: FaceSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr("psfr_core.lab.training.trainer.time", clock)
    totals: list[int] = []

    def second_per_step(done: int, total: int) -> None:
        clock.seconds += 1
        totals.append(total)
        if done == 60 and not stopped:
            stopped.append(done)
            raise KeyboardInterrupt

    stopped: list[int] = []
    config = loop(10_000, checkpoint_every=55, minutes=1.25)
    with pytest.raises(KeyboardInterrupt):
        train(generator_task(faces), config, tmp_path, progress=second_per_step)
    assert totals == [10_000] * (SPEED_STEPS.stop - 1) + [75] * 11
    clock.seconds *= 10  # another speed after the restart does not change the number of steps
    train(generator_task(faces), config, tmp_path, progress=second_per_step)
    assert totals[60:] == [75] * 20
    assert [int(row["step"]) for row in read_rows(tmp_path / "log.csv")] == list(range(1, 76))


def test_minutes_never_raise_the_number_of_steps(faces: FaceSet, tmp_path: Path) -> None:
    train(generator_task(faces), loop(60, checkpoint_every=60, minutes=1e6), tmp_path)
    assert len(read_rows(tmp_path / "log.csv")) == 60


@pytest.mark.parametrize("minutes", [0.0, -1.0])
def test_minutes_must_be_positive(minutes: float) -> None:
    with pytest.raises(OptionError, match="minutes must be positive"):
        loop(1, minutes=minutes)
