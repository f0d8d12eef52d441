from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from psfr_core.errors import OptionError, TrainingError
from psfr_core.lab.metrics.image_features import Backbone, ImageFeatures, load_image_features
from psfr_core.lab.training.face_samples import load_face_set
from psfr_core.lab.training.generator_losses import GeneratorLossConfig
from psfr_core.lab.training.recipe import BlendRecipe, DetectorRecipe, FaceFolders, GeneratorRecipe, LossNetworkSources
from psfr_core.lab.training.small_data import write_small_data
from psfr_core.networks.psfr_generator import GeneratorConfig

from .recipes import DATA, LOOP, small_generator, small_parser


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Copy the test faces as training data, and the first two as validation data."""
    data = tmp_path / "data"
    for kind in ("faces", "labels"):
        shutil.copytree(DATA / kind, data / kind / "train")
        (data / kind / "val").mkdir()
        for path in sorted((DATA / kind).iterdir())[:2]:
            shutil.copy(path, data / kind / "val")
    return data


def folders(data: Path) -> FaceFolders:
    train, validation = ((data / "faces" / name, data / "labels" / name) for name in ("train", "val"))
    return FaceFolders((train[0],), (train[1],), (validation[0],), (validation[1],), val_count=1)


def generator(data: Path, sizes: int = 2) -> GeneratorRecipe:
    return small_generator(data=folders(data), network=GeneratorConfig((4,) * sizes, 4))


def test_the_copy_has_the_same_faces_at_the_size_of_the_largest_network(data: Path, tmp_path: Path) -> None:
    small, large = generator(data), generator(data, sizes=4)
    calls: list[tuple[int, int]] = []
    write_small_data([large, small], data, tmp_path / "copy", progress=lambda done, total: calls.append((done, total)))
    assert calls == [(done, 6) for done in range(1, 7)]
    copied = sorted(path.relative_to(tmp_path / "copy") for path in (tmp_path / "copy" / "faces").rglob("*.*"))
    assert [str(path) for path in copied] == [
        *(f"faces/train/{name}.webp" for name in ("female_11", "female_23", "male_58", "male_59")),
        "faces/val/female_11.webp",
        "faces/val/female_23.webp",
    ]
    assert all(Image.open(tmp_path / "copy" / path).size == (128, 128) for path in copied)
    before, after = (
        load_face_set([base / "faces" / "train"], [base / "labels" / "train"], 128)
        for base in (data, tmp_path / "copy")
    )
    assert torch.equal(before.labels, after.labels)
    error = (before.images.float() - after.images.float()).abs().mean()
    assert 0.5 < error < 5
    assert _size(tmp_path / "copy") < 0.4 * _size(data)


def test_a_higher_quality_gives_smaller_errors(data: Path, tmp_path: Path) -> None:
    errors: list[float] = []
    for quality in (20, 95):
        write_small_data([generator(data)], data, tmp_path / str(quality), quality=quality)
        before, after = (
            load_face_set([base / "faces" / "train"], [base / "labels" / "train"], 32)
            for base in (data, tmp_path / str(quality))
        )
        errors.append(float((before.images.float() - after.images.float()).square().mean()))
    assert errors[1] < errors[0] / 4


def test_feature_networks_become_float16_and_other_weights_are_copied(data: Path, tmp_path: Path) -> None:
    weights = ImageFeatures(Backbone.ALEXNET, ["relu5"]).state_dict()
    save_file({**weights, "classifier.1.weight": torch.zeros(9)}, data / "alexnet.safetensors")
    for name in ("faceres.json", "faceres.bin"):
        (data / name).write_text(name)
    for name in ("heads", "start"):
        save_file({"x": torch.ones(3)}, data / f"{name}.safetensors")
    networks = LossNetworkSources(
        "parsenet-256", str(data / "alexnet.safetensors"), data / "heads.safetensors", data / "faceres.json"
    )
    recipe = replace(
        generator(data),
        losses=GeneratorLossConfig(lpips=1, identity=1, adversarial=0, feature_matching=0),
        loss_networks=networks,
        start_from=str(data / "start.safetensors"),
    )
    copy = tmp_path / "copy"
    write_small_data([recipe, small_parser(data=folders(data))], data, copy)
    assert sorted(path.name for path in copy.glob("*.*")) == [
        "alexnet.safetensors",
        "faceres.bin",
        "faceres.json",
        "heads.safetensors",
        "start.safetensors",
    ]
    assert {tensor.dtype for tensor in load_file(copy / "alexnet.safetensors").values()} == {torch.float16}
    loaded = load_image_features(copy / "alexnet.safetensors", ["relu5"]).state_dict()
    for name, tensor in weights.items():
        torch.testing.assert_close(loaded[name], tensor, atol=1e-4, rtol=1e-3)
    assert (copy / "heads.safetensors").read_bytes() == (data / "heads.safetensors").read_bytes()


def test_backgrounds_of_detectors_are_reduced(data: Path, tmp_path: Path) -> None:
    (data / "backgrounds").mkdir()
    Image.new("RGB", (2048, 512), "red").save(data / "backgrounds" / "wall.jpg")
    recipe = DetectorRecipe(folders(data), LOOP, backgrounds=(data / "backgrounds",))
    write_small_data([recipe], data, tmp_path / "copy")
    assert Image.open(tmp_path / "copy" / "backgrounds" / "wall.jpg.webp").size == (1024, 256)


def test_small_faces_are_not_copied_if_the_recipe_leaves_them_out(data: Path, tmp_path: Path) -> None:
    Image.open(data / "faces" / "train" / "male_58.jpg").resize((64, 64)).save(data / "faces" / "train" / "male_58.jpg")
    recipe = generator(data, sizes=4)
    with pytest.raises(TrainingError, match=r"male_58\.jpg is 64 pixels wide, .* Set data\.skip_small"):
        write_small_data([recipe], data, tmp_path / "copy")
    write_small_data([replace(recipe, data=replace(recipe.data, skip_small=True))], data, tmp_path / "copy")
    sizes = {path.stem: Image.open(path).size for path in (tmp_path / "copy" / "faces" / "train").iterdir()}
    assert sizes == dict.fromkeys(["female_11", "female_23", "male_59"], (128, 128))


def test_faces_outside_of_the_data_folder_are_an_error(data: Path, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"female_11\.jpg is not in the folder .*other\. Move it there"):
        write_small_data([generator(data)], tmp_path / "other", tmp_path / "copy")
    linked = tmp_path / "linked"
    linked.symlink_to(data)
    write_small_data([generator(linked)], linked, tmp_path / "copy")
    assert (tmp_path / "copy" / "faces" / "train" / "male_58.webp").exists()


def test_the_copy_must_be_a_new_folder_outside_of_the_data(data: Path, tmp_path: Path) -> None:
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "old.webp").touch()
    for out in (data, data / "faces" / "copy", data / ".." / "data", tmp_path / "used"):
        with pytest.raises(OptionError, match="must be a new or empty folder outside of"):
            write_small_data([generator(data)], data, out)
    outside = replace(folders(data), faces=(data / ".." / "used",))
    with pytest.raises((OptionError, TrainingError)):
        write_small_data([generator(data), small_parser(data=outside)], data, tmp_path / "copy")


def test_degradation_files_are_copied(data: Path, tmp_path: Path) -> None:
    (data / "blur.json").write_text("{}")
    recipe = replace(generator(data), degradation=("paper", str(data / "blur.json")))
    write_small_data([recipe, BlendRecipe("psfrgan-256", str(data / "none"))], data, tmp_path / "copy")
    assert (tmp_path / "copy" / "blur.json").read_text() == "{}"


@pytest.mark.parametrize("quality", [-1, 101])
def test_quality_out_of_range_is_an_error(data: Path, tmp_path: Path, quality: int) -> None:
    with pytest.raises(OptionError, match=f"quality must be from 0 to 100, got {quality}"):
        write_small_data([generator(data)], data, tmp_path / "copy", quality=quality)


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*.*"))
