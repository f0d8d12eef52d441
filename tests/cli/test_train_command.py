from __future__ import annotations

import argparse
import csv
import json
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from psfr_core.cli.main import main
from psfr_core.cli.options import take_options
from psfr_core.cli.train import add_arguments
from psfr_core.metrics.image_features import Backbone, ImageFeatures
from psfr_core.networks.discriminator import DiscriminatorConfig
from psfr_core.networks.parse_net import PUBLISHED_PARSE_NET, ParseNetConfig
from psfr_core.networks.psfr_generator import PUBLISHED_GENERATOR, GeneratorConfig
from psfr_core.training.generator import GeneratorLossConfig
from psfr_core.training.parser import ParserLossConfig
from psfr_core.weights.loader import load_generator, load_parse_net
from psfr_core.weights.manifest import model_file
from psfr_core.weights.metadata import read_metadata

DATA, ROOT = Path(__file__).parents[1] / "data", Path(__file__).parents[2]
MAKE = shutil.which("make")


def arguments(network: str, out: Path) -> list[str]:
    faces, labels = str(DATA / "faces"), str(DATA / "labels")
    folders = ["--faces", faces, "--labels", labels, "--val-faces", faces, "--val-labels", labels, "--val-count", "1"]
    return ["train", network, "--out", str(out), *folders, "--steps", "1", "--batch-size", "1", "--licence", "CC0"]


def test_trains_a_parser_that_loads(tmp_path: Path) -> None:
    network = ["--channels", "4", "4", "--residual-blocks", "1"]
    assert main([*arguments("parser", tmp_path), *network, "--closed-eyes", "0.5"]) == 0
    assert load_parse_net(tmp_path / "parser.safetensors").config.size == 64
    assert json.loads((tmp_path / "config.json").read_text())["settings"]["closed_eyes"] == 0.5
    assert main([*arguments("parser", tmp_path / "beyond"), *network, "--closed-eyes", "1.5"]) == 2


def test_trains_and_grows_a_generator(tmp_path: Path) -> None:
    plain = ["--style", "0", "--adversarial", "0", "--feature-matching", "0", "--modulation-channels", "4"]
    assert main([*arguments("generator", tmp_path / "32"), *plain, "--channels", "4", "4"]) == 0
    start = ["--start-from", str(tmp_path / "32" / "generator.safetensors"), "--channels", "4", "4", "4"]
    assert main([*arguments("generator", tmp_path / "64"), *plain, *start]) == 0
    path = tmp_path / "64" / "generator.safetensors"
    assert load_generator(path).config.channels == (4, 4, 4)
    metadata = read_metadata(path)
    assert metadata is not None
    assert (metadata.architecture, metadata.licence) == ("psfr_generator", "CC0")


def test_trains_against_a_discriminator(tmp_path: Path) -> None:
    options = ["--style", "0", "--modulation-channels", "4", "--channels", "4", "4"]
    options += ["--discriminator-channels", "4", "4", "--discriminator-scales", "1"]
    assert main([*arguments("generator", tmp_path), *options]) == 0


@pytest.mark.parametrize("ema_decay", ["0", "0.9"])
def test_the_generator_is_spectrally_normalised_where_asked(tmp_path: Path, ema_decay: str) -> None:
    options = ["--style", "0", "--adversarial", "0", "--feature-matching", "0", "--modulation-channels", "4"]
    options += ["--channels", "4", "4", "--spectral-norm", "--steps", "12", "--ema-decay", ema_decay]
    assert main([*arguments("generator", tmp_path), *options]) == 0
    generator = load_generator(tmp_path / "generator.safetensors")
    for convolution in (module for module in generator.modules() if isinstance(module, torch.nn.Conv2d)):
        largest = torch.linalg.matrix_norm(convolution.weight.detach().flatten(1), 2)
        assert float(largest) == pytest.approx(1, abs=0.1)  # without, about 0.7 here


@pytest.fixture
def alexnet(tmp_path: Path) -> list[str]:
    """The options that name a feature network, here a random one, and layers of it."""
    torch.manual_seed(0)
    save_file(ImageFeatures(Backbone.ALEXNET, ["relu5"]).state_dict(), tmp_path / "alexnet.safetensors")
    layers = ["--feature-layers", "conv1", "conv2", "conv3"]
    return ["--features", str(tmp_path / "alexnet.safetensors"), *layers, "--modulation-channels", "4"]


def test_trains_against_a_discriminator_on_features(tmp_path: Path, alexnet: list[str]) -> None:
    channels = (64, 192, 384, 256, 256)
    heads = {f"lin{layer}.model.1.weight": torch.rand(1, count, 1, 1) for layer, count in enumerate(channels)}
    save_file(heads, tmp_path / "heads.safetensors")
    options = [*alexnet, "--heads", str(tmp_path / "heads.safetensors"), "--lpips", "1", "--feature-discriminator"]
    run = tmp_path / "run"
    assert main([*arguments("generator", run), *options, "--channels", "4", "4", "--steps", "2"]) == 0
    (row,) = csv.DictReader((run / "log.csv").open())
    assert 0 < float(row["opponent"]) < 3
    assert float(row["lpips"]) > 0
    (row,) = csv.DictReader((run / "validation.csv").open())
    assert float(row["lpips"]) > 0
    trained = torch.load(run / "checkpoint.pt", weights_only=True)["trainee"]
    judged = {key.split(".")[2] for key in trained if key.startswith("discriminator.")}
    assert judged == {"conv1", "conv2", "conv3"}
    assert not any("features" in key for key in trained)  # which are not trained, and large


@pytest.mark.parametrize("option", ["--discriminator-channels", "--discriminator-scales"])
def test_a_discriminator_on_features_has_no_options_of_one_on_pictures(
    tmp_path: Path, alexnet: list[str], option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*arguments("generator", tmp_path), *alexnet, "--feature-discriminator", option, "4"]) == 2
    assert "are of a discriminator on pictures" in capsys.readouterr().err


def test_models_are_known_by_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small = [
        "--channels",
        "4",
        "4",
        "--modulation-channels",
        "4",
        "--style",
        "0",
        "--adversarial",
        "0",
        "--feature-matching",
        "0",
    ]
    assert main([*arguments("generator", tmp_path), *small, "--parser", "parsenet-256"]) == 0
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["settings"]["parser"] == {
        "file": "parsenet_256.safetensors",
        "sha256": model_file("parsenet-256").sha256,
    }
    assert main([*arguments("generator", tmp_path), *small, "--parser", "psfrgan-256"]) == 2
    assert "psfrgan-256 is a generator" in capsys.readouterr().err


@pytest.mark.parametrize("count", ["0", "5"])
def test_validation_samples_are_as_many_as_there_are_faces(
    tmp_path: Path, count: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*arguments("parser", tmp_path), "--channels", "4", "4", "--val-count", count]) == 2
    assert f"--val-count must be from 1 to 4, the faces of --val-faces, got {count}" in capsys.readouterr().err


@pytest.mark.skipif(MAKE is None, reason="the recipe is in the Makefile")
def test_the_papers_recipe_is_that_of_the_published_networks() -> None:
    printed = subprocess.run(  # noqa: S603
        [str(MAKE), "-n", "train-paper"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    commands = [shlex.split(line) for line in printed.replace("\\\n", "").splitlines() if " train " in line]
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    of_parser, of_generator = (parser.parse_args(command[command.index("train") + 1 :]) for command in commands)
    assert ParseNetConfig(tuple(of_parser.channels), of_parser.residual_blocks) == PUBLISHED_PARSE_NET
    channels = tuple(of_generator.channels)
    assert GeneratorConfig(channels, of_generator.modulation_channels, of_generator.residual) == PUBLISHED_GENERATOR
    assert of_generator.spectral_norm
    scales = of_generator.discriminator_scales
    assert DiscriminatorConfig(tuple(of_generator.discriminator_channels), scales) == DiscriminatorConfig()
    # what is as published by default, and the layers, which are VGG-19's
    layers = ("conv1_2", "conv2_2", "conv3_4", "conv4_4", "conv5_4")
    assert take_options(of_generator, GeneratorLossConfig) == GeneratorLossConfig(feature_layers=layers)
    assert take_options(of_parser, ParserLossConfig) == ParserLossConfig(dice=0, reconstruction=1)


def test_the_lpips_term_needs_its_heads(tmp_path: Path, alexnet: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--adversarial", "0", "--feature-matching", "0", "--channels", "4", "4", "--lpips", "1"]
    assert main([*arguments("generator", tmp_path), *alexnet, *options]) == 2
    assert "needs the LPIPS heads" in capsys.readouterr().err


def test_heads_without_the_lpips_term_are_refused(
    tmp_path: Path, alexnet: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*arguments("generator", tmp_path), *alexnet, "--heads", "heads.safetensors"]) == 2
    assert "--heads are for the LPIPS term: give --lpips a weight above 0" in capsys.readouterr().err


def test_missing_networks_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--adversarial", "0", "--feature-matching", "0", "--channels", "4", "4"]
    assert main([*arguments("generator", tmp_path), *options]) == 2
    assert "need a feature network" in capsys.readouterr().err
