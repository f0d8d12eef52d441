"""Test reading, overriding, writing and comparing recipes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from psfr_core.errors import OptionError
from psfr_core.lab.training.ablation_study import AblationStudy, read_study
from psfr_core.lab.training.ablations import Ablation
from psfr_core.lab.training.generator_losses import GeneratorLossConfig
from psfr_core.lab.training.parser import ParserLossConfig
from psfr_core.lab.training.recipe import (
    BlendRecipe,
    DiscriminatorInput,
    GeneratorRecipe,
    LossNetworkSources,
    ParserRecipe,
)
from psfr_core.lab.training.recipe_file import read_recipes, recipe_names, to_yaml
from psfr_core.networks.discriminator import DiscriminatorConfig
from psfr_core.networks.parse_net import PUBLISHED_PARSE_NET
from psfr_core.networks.psfr_generator import PUBLISHED_GENERATOR, GeneratorConfig

from .recipes import small_generator, small_parser

ROOT, OUT = Path("root"), Path("out")


@pytest.mark.parametrize(
    "recipe", [small_parser(), small_generator(degradation=("paper", "paper", "old")), BlendRecipe("a", "b", 0.25)]
)
def test_recipe_round_trip(tmp_path: Path, recipe: ParserRecipe) -> None:
    (tmp_path / "mine.yaml").write_text(to_yaml(recipe))
    assert read_recipes(tmp_path / "mine.yaml") == {"mine": recipe}


@pytest.mark.parametrize("name", recipe_names())
def test_packaged_recipes_are_valid(name: str) -> None:
    assert read_recipes(name, data=ROOT, out=OUT)


def test_stages_inherit_unset_values() -> None:
    stages = read_recipes("psfrgan_256", data=ROOT, out=OUT)
    assert list(stages)[:2] == ["generator_64", "generator_128"]
    last = stages["generator_256_j"]
    assert isinstance(last, GeneratorRecipe)
    assert last.network == GeneratorConfig((192, 128, 96, 64, 48), 64, residual=True)
    assert last.losses == GeneratorLossConfig(
        pixel=2, psnr=0.1, lpips=3, style=10, feature_matching=0, adversarial=0.3, discriminator_learning_rate=2e-3,
        feature_window=128,
    )  # fmt: skip
    assert last.loss_networks == LossNetworkSources(
        parser="parsenet-256", features="root/weights/vgg16_features_imagenet.safetensors",
        heads=Path("root/weights/lpips_v0.1_vgg_heads.safetensors"), discriminator_input=DiscriminatorInput.FEATURES,
    )  # fmt: skip
    assert (last.loop.steps, last.loop.batch_size, last.loop.seed, last.loop.betas) == (1850, 4, 71, (0.5, 0.99))
    assert last.start_from == "out/generator_256_i/generator.safetensors"
    assert last.data.faces == (Path("root/faces/omi"), Path("root/faces/faker"))
    pixel_only = stages["generator_256_d"]
    assert isinstance(pixel_only, GeneratorRecipe)
    assert not pixel_only.losses.needs_features
    assert pixel_only.loss_networks == LossNetworkSources(parser="parsenet-256")
    assert stages["psfrgan_256"] == BlendRecipe(
        "out/generator_256_gjklm/blend.safetensors", "out/generator_256_o/generator.safetensors", 0.6
    )
    of_o = stages["generator_256_o"]
    assert isinstance(of_o, GeneratorRecipe)
    assert of_o.network == GeneratorConfig((192, 128, 96, 80, 64), 64, residual=True)
    assert of_o.losses == replace(last.losses, lpips=5, identity=8)
    assert [path.name for path in of_o.data.faces].count("bearded") == 3
    of_m = stages["generator_256_m"]
    assert isinstance(of_m, GeneratorRecipe)
    assert of_m.network == GeneratorConfig((192, 128, 96, 80, 64), 64, residual=True)
    assert of_m.losses == replace(last.losses, identity=6)
    of_l = stages["generator_256_l"]
    assert isinstance(of_l, GeneratorRecipe)
    assert of_l.losses == replace(last.losses, identity=4)
    assert of_l.loss_networks.identity == Path("root/weights/faceres.json")
    of_k = stages["generator_256_k"]
    assert isinstance(of_k, GeneratorRecipe)
    assert of_k.losses == last.losses
    assert of_k.start_from == "out/generator_256_gj/blend.safetensors"
    assert of_k.degradation == ("paper",) * 8 + ("old", "none")


def test_recipes_of_the_paper_equal_the_published_settings() -> None:
    parser = read_recipes("paper_parser", data=ROOT)["paper_parser"]
    generator = read_recipes("paper_generator", data=ROOT, out=OUT)["paper_generator"]
    assert isinstance(parser, ParserRecipe)
    assert isinstance(generator, GeneratorRecipe)
    assert parser.network == PUBLISHED_PARSE_NET
    assert parser.losses == ParserLossConfig(dice=0, reconstruction=1)
    assert (generator.network, generator.spectral_norm) == (PUBLISHED_GENERATOR, True)
    assert generator.loss_networks.discriminator == DiscriminatorConfig()
    # the default weights are the published weights, and the layers are those of VGG-19
    layers = ("conv1_2", "conv2_2", "conv3_4", "conv4_4", "conv5_4")
    assert generator.losses == GeneratorLossConfig(feature_layers=layers)


def test_overrides_change_the_stages_that_have_the_field(tmp_path: Path) -> None:
    overrides = ["loop.steps=2", "losses.feature_layers=[conv1_2, conv2_2, conv3_3]", "license=CC0"]
    stages = read_recipes("psfrgan_256", data=ROOT, out=OUT, overrides=overrides)
    for name, recipe in stages.items():
        if isinstance(recipe, GeneratorRecipe):
            assert recipe.loop.steps == 2, name
            assert recipe.losses.feature_layers == ("conv1_2", "conv2_2", "conv3_3")
    assert isinstance(stages["psfrgan_256"], BlendRecipe)


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("losses.stile=2", r"stage generator_64: there is no field losses\.stile\."),
        ("stile=2", r"psfrgan_256\.yaml has no field for stile=2\."),
        ("loop.steps=2.5", r"loop\.steps: Input should be a valid integer"),
        ("loop.steps=0", r"loop: steps must be an integer of at least 1, got 0"),
        ("losses.style", "'losses.style' is not an override. Write NAME=VALUE"),
        ("losses.=1", "is not an override"),
        ("loop.betas=[1", "cannot be read as YAML"),
        ("loop=3", r"loop: Input should be a dictionary or an instance of LoopConfig"),
        ("license=$home", r"neither \$data nor \$out"),
        ("license=5$", r"has a \$ that is neither \$data nor \$out"),
    ],
)
def test_invalid_overrides_are_rejected(override: str, words: str) -> None:
    with pytest.raises(OptionError, match=words):
        read_recipes("psfrgan_256", data=ROOT, out=OUT, overrides=[override])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("kind: painter", "kind must be one of parser, detector, generator, blend, got 'painter'"),
        ("[1, 2]", "must contain fields with values"),
        ("stages: 3", "must contain fields with values"),
        ("a: [", r"not valid YAML \(while parsing"),
        ("[" * 5000, "not valid YAML"),
        ("stages: {a: {like: b}, b: {like: a}}", "'like' must name another stage of this file, without a cycle"),
        ("stages: {a: {like: none}}", "'like' must name another stage of this file"),
        ("{kind: blend, first: a}", "second: Field required"),
    ],
)
def test_invalid_files_are_rejected(tmp_path: Path, content: str, words: str) -> None:
    (tmp_path / "bad.yaml").write_text(content)
    with pytest.raises(OptionError, match=words) as error:
        read_recipes(tmp_path / "bad.yaml")
    assert str(tmp_path / "bad.yaml") in str(error.value)


def test_the_error_of_an_unknown_recipe_lists_the_known_ones() -> None:
    with pytest.raises(
        OptionError, match=r"There is no recipe mine\. Give the path of a file, or one of ablations, bundled_gpu, comp"
    ):
        read_recipes("mine")


def test_a_missing_data_folder_is_an_error() -> None:
    with pytest.raises(OptionError, match=r"'\$data/faces/omi' needs the folder \$data"):
        read_recipes("parsenet_256")


def test_a_study_has_each_network_with_each_seed() -> None:
    study = read_study("ablations", data=ROOT, overrides=["seeds=[3, 5]"])
    recipes = study.recipes()
    assert [(recipe.loop.seed, recipe.variant) for recipe in recipes] == [
        (seed, variant) for seed in (3, 5) for variant in Ablation
    ]
    by_variant = {recipe.variant: recipe for recipe in recipes}
    assert by_variant[Ablation.NO_STYLE_LOSS].losses == replace(study.full.losses, style=0.0)
    assert by_variant[Ablation.FULL].losses == study.full.losses
    assert by_variant[Ablation.ENCODER_DECODER].network == study.full.network


@pytest.mark.parametrize(
    "changes",
    [
        ["full.losses.adversarial=1", "full.loss_networks.discriminator_input=features"],
        ["full.losses.lpips=1"],
        ["full.loss_networks.parser=null"],
    ],
)
def test_unsuitable_studies_are_rejected(changes: list[str]) -> None:
    with pytest.raises(OptionError, match="needs a parser, no discriminator, and no LPIPS term"):
        read_study("ablations", data=ROOT, overrides=changes)


def test_a_recipe_is_not_a_study() -> None:
    with pytest.raises(OptionError, match="kind must be one of ablation study, got 'parser'"):
        read_study("parsenet_256", data=ROOT)
    assert AblationStudy.kind == "ablation study"


def test_inconsistent_loss_networks_are_rejected() -> None:
    with pytest.raises(OptionError, match=r"set loss_networks\.features"):
        LossNetworkSources(discriminator_input=DiscriminatorInput.FEATURES)
    with pytest.raises(OptionError, match="gives the sizes of a discriminator on images"):
        LossNetworkSources(
            features="vgg19", discriminator_input=DiscriminatorInput.FEATURES, discriminator=DiscriminatorConfig()
        )
    with pytest.raises(OptionError, match=r"set losses\.lpips above 0"):
        small_generator(loss_networks=LossNetworkSources(heads=Path("heads.safetensors")))
    with pytest.raises(OptionError, match=r"set losses\.identity above 0"):
        small_generator(loss_networks=LossNetworkSources(identity=Path("faceres.json")))


def test_a_generator_that_is_too_small_for_its_discriminator_is_refused() -> None:
    losses = GeneratorLossConfig(perceptual=0, style=0)

    def with_discriminator(channels: tuple[int, ...]) -> GeneratorRecipe:
        networks = LossNetworkSources(discriminator=DiscriminatorConfig(channels, 2))
        return small_generator(losses=losses, loss_networks=networks)

    assert with_discriminator((4, 4, 4)).network.size == 32
    with pytest.raises(OptionError, match=r"2 scales and 4 layers needs faces of at least 48 px, .* of 32 px"):
        with_discriminator((4, 4, 4, 4))
    with pytest.raises(OptionError, match="3 scales and 5 layers needs faces of at least 192 px"):
        small_generator(losses=losses)
