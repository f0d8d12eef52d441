"""Test that recipes can be run from Python."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from psfr_core.errors import OptionError, TrainingError
from psfr_core.lab.metrics.image_features import Backbone, ImageFeatures
from psfr_core.lab.training.experiment import run
from psfr_core.lab.training.generator_losses import GeneratorLossConfig
from psfr_core.lab.training.recipe import BlendRecipe, DetectorRecipe, DiscriminatorInput, LossNetworkSources
from psfr_core.lab.training.recipe_file import read_recipes
from psfr_core.models.loader import load_generator, load_parse_net
from psfr_core.models.manifest import model_file
from psfr_core.models.metadata import read_metadata
from psfr_core.networks.compact_face_net import CompactFaceNetConfig
from psfr_core.networks.discriminator import DiscriminatorConfig
from psfr_core.networks.parse_net import ParseNetConfig
from psfr_core.networks.psfr_generator import GeneratorConfig

from .recipes import FOLDERS, LOOP, PIXEL_ONLY, small_generator, small_parser

CPU = "cpu"


def test_trains_a_parser_that_loads(tmp_path: Path) -> None:
    path = run(small_parser(closed_eyes=0.5), tmp_path / "new" / "run", CPU)
    assert path == tmp_path / "new" / "run" / "parser.safetensors"
    assert load_parse_net(path).config == ParseNetConfig((4, 4), 1)
    with pytest.raises(OptionError, match=r"closed_eyes must be between 0 and 1, got 1\.5"):
        run(small_parser(closed_eyes=1.5), tmp_path / "beyond", CPU)


def test_the_run_folder_contains_the_recipe(tmp_path: Path) -> None:
    recipe = small_parser()
    run(recipe, tmp_path, CPU)
    assert read_recipes(tmp_path / "recipe.yaml") == {"recipe": recipe}
    (environment,) = json.loads((tmp_path / "runs.json").read_text())["runs"]
    assert environment["device"] == CPU


def test_trains_and_grows_a_generator(tmp_path: Path) -> None:
    small = run(small_generator(), tmp_path / "32", CPU)
    path = run(small_generator(start_from=str(small), network=GeneratorConfig((4, 4, 4), 4)), tmp_path / "64", CPU)
    assert load_generator(path).config.channels == (4, 4, 4)
    metadata = read_metadata(path)
    assert metadata is not None
    assert (metadata.architecture, metadata.licence) == ("psfr_generator", "CC0")


def test_blends_two_networks(tmp_path: Path) -> None:
    one = run(small_generator(), tmp_path / "a", CPU)
    other = run(small_generator(loop=replace(LOOP, seed=9)), tmp_path / "b", CPU)
    path = run(BlendRecipe(str(one), str(other), 0.25), tmp_path / "blend")
    first, second, blended = (load_generator(file).const_input for file in (one, other, path))
    torch.testing.assert_close(blended, 0.75 * first + 0.25 * second, atol=1e-3, rtol=1e-3)
    assert path.name == "blend.safetensors"


def test_trains_against_a_discriminator(tmp_path: Path) -> None:
    recipe = small_generator(
        losses=GeneratorLossConfig(style=0),
        loss_networks=LossNetworkSources(discriminator=DiscriminatorConfig((4, 4), 1)),
    )
    run(recipe, tmp_path, CPU)
    (row,) = csv.DictReader((tmp_path / "log.csv").open())
    assert 0 < float(row["discriminator"]) < 3


@pytest.mark.parametrize("ema_decay", [0.0, 0.9])
def test_the_generator_has_spectral_norm_if_requested(tmp_path: Path, ema_decay: float) -> None:
    loop = replace(LOOP, steps=12, ema_decay=ema_decay)
    generator = load_generator(run(small_generator(spectral_norm=True, loop=loop), tmp_path, CPU))
    for convolution in (module for module in generator.modules() if isinstance(module, torch.nn.Conv2d)):
        largest = torch.linalg.matrix_norm(convolution.weight.detach().flatten(1), 2)
        assert float(largest) == pytest.approx(1, abs=0.1)  # about 0.7 without spectral norm


@pytest.fixture
def alexnet(tmp_path: Path) -> str:
    """Save a random feature network and return its path."""
    torch.manual_seed(0)
    path = tmp_path / "alexnet.safetensors"
    save_file(ImageFeatures(Backbone.ALEXNET, ["relu5"]).state_dict(), path)
    return str(path)


def test_trains_against_a_discriminator_on_features(tmp_path: Path, alexnet: str) -> None:
    channels = (64, 192, 384, 256, 256)
    heads = {f"lin{layer}.model.1.weight": torch.rand(1, count, 1, 1) for layer, count in enumerate(channels)}
    save_file(heads, tmp_path / "heads.safetensors")
    folder = tmp_path / "run"
    recipe = small_generator(
        losses=GeneratorLossConfig(lpips=1, feature_layers=("conv1", "conv2", "conv3")),
        loss_networks=LossNetworkSources(
            features=alexnet, heads=tmp_path / "heads.safetensors", discriminator_input=DiscriminatorInput.FEATURES
        ),
        loop=replace(LOOP, steps=2, log_every=2),
    )
    run(recipe, folder, CPU)
    (row,) = csv.DictReader((folder / "log.csv").open())
    assert 0 < float(row["discriminator"]) < 3
    assert float(row["lpips"]) > 0
    (row,) = csv.DictReader((folder / "validation.csv").open())
    assert float(row["lpips"]) > 0
    trained = torch.load(folder / "checkpoint.pt", weights_only=True)["task"]
    layers = {key.split(".")[2] for key in trained if key.startswith("discriminator.")}
    assert layers == {"conv1", "conv2", "conv3"}
    assert not any("features" in key for key in trained)  # frozen networks are not saved


def test_models_are_found_by_name_and_recorded_by_hash(tmp_path: Path) -> None:
    run(small_generator(loss_networks=LossNetworkSources(parser="parsenet-256")), tmp_path, CPU)
    inputs = json.loads((tmp_path / "runs.json").read_text())["inputs"]
    assert inputs["loss_networks.parser"] == f"sha256 {model_file('parsenet-256').sha256}"
    assert inputs["data.faces"].startswith("4 files, sha256 ")
    with pytest.raises(OptionError, match="psfrgan-256 is a generator"):
        run(small_generator(loss_networks=LossNetworkSources(parser="psfrgan-256")), tmp_path / "other", CPU)


@pytest.mark.parametrize("count", [0, 5])
def test_validation_counts_out_of_range_are_rejected(tmp_path: Path, count: int) -> None:
    with pytest.raises(OptionError, match=f"from 1 to 4, the number of validation faces, got {count}"):
        run(small_parser(data=replace(FOLDERS, val_count=count)), tmp_path, CPU)
    assert not tmp_path.joinpath("recipe.yaml").exists()


def test_a_finished_run_is_not_repeated(tmp_path: Path) -> None:
    path = run(small_parser(), tmp_path, CPU)
    before = path.stat().st_mtime_ns
    assert run(small_parser(data=replace(FOLDERS)), tmp_path, CPU) == path
    assert path.stat().st_mtime_ns == before
    run(small_parser(loop=replace(LOOP, steps=2)), tmp_path, CPU)
    assert path.stat().st_mtime_ns != before


def test_the_weights_of_a_former_run_are_not_taken_for_those_of_an_interrupted_one(tmp_path: Path) -> None:
    path = run(small_parser(), tmp_path, CPU)
    before = path.read_bytes()
    longer = small_parser(loop=replace(LOOP, steps=3))

    def stop(done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(longer, tmp_path, CPU, progress=stop)
    assert path.read_bytes() == before
    run(longer, tmp_path, CPU)
    assert path.read_bytes() != before
    assert [row["step"] for row in csv.DictReader((tmp_path / "log.csv").open())][-1] == "3"


def test_degradations_are_compared_by_value(tmp_path: Path) -> None:
    file = tmp_path / "ranges.json"
    file.write_text('{"blur_probability": 0}')
    recipe = small_generator(degradation=("paper", "none", str(file)))
    run(recipe, tmp_path / "run", CPU)
    assert "degradation" in (tmp_path / "run" / "runs.json").read_text()
    longer = replace(recipe, loop=replace(LOOP, steps=2))
    with pytest.raises(TrainingError, match=r'degradation was \["paper", "none", .*\], is "paper"'):
        run(replace(longer, degradation="paper"), tmp_path / "run", CPU)
    run(longer, tmp_path / "run", CPU)
    file.write_text("{}")
    with pytest.raises(TrainingError, match='degradation was "sha256'):
        run(replace(recipe, loop=replace(LOOP, steps=3)), tmp_path / "run", CPU)


def test_a_run_resumes_only_with_its_recipe(tmp_path: Path) -> None:
    run(small_generator(), tmp_path, CPU)
    other = small_generator(loop=replace(LOOP, steps=3, seed=4), losses=replace(PIXEL_ONLY, pixel=5))
    with pytest.raises(
        TrainingError, match=r"another recipe or other data: loop\.seed was 0, is 4; losses\.pixel was 10\.0, is 5"
    ):
        run(other, tmp_path, CPU)
    run(small_generator(loop=replace(LOOP, steps=3, log_every=2), license="MIT"), tmp_path, CPU)
    assert [row["step"] for row in csv.DictReader((tmp_path / "log.csv").open())] == ["1", "2", "3"]
    assert len(json.loads((tmp_path / "runs.json").read_text())["runs"]) == 2


def test_missing_networks_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="need a feature network"):
        run(small_generator(losses=GeneratorLossConfig(adversarial=0, feature_matching=0)), tmp_path, CPU)


def test_starting_from_another_size_is_an_error(tmp_path: Path) -> None:
    start = run(small_parser(), tmp_path / "a", CPU)
    with pytest.raises(OptionError, match="must have as many stages and residual blocks"):
        run(small_parser(network=ParseNetConfig((4, 6), 2), start_from=str(start)), tmp_path / "b", CPU)


def test_a_detector_cannot_start_from_another_size(tmp_path: Path) -> None:
    recipe = DetectorRecipe(FOLDERS, LOOP, network=CompactFaceNetConfig(merged_channels=4), start_from="compact-face")
    with pytest.raises(
        OptionError, match=r"start_from .* differs from the network to train .*Set network to the sizes"
    ):
        run(recipe, tmp_path, CPU)
