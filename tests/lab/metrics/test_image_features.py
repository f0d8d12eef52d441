import re

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from psfr_core.errors import CheckpointError, DownloadError, InputError, ModelNotFoundError, OptionError
from psfr_core.lab.metrics.image_features import Backbone, ImageFeatures, load_image_features

STYLE_TAPS = ("conv1_2", "conv2_2", "conv3_4", "conv4_4", "conv5_4")
DEEPEST = {Backbone.ALEXNET: "relu5", Backbone.VGG16: "relu5_3", Backbone.VGG19: "relu5_4"}


def random_network(backbone, taps):
    torch.manual_seed(0)
    return ImageFeatures(backbone, taps)


def images(side=64, seed=0):
    return torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    ("backbone", "convolutions"),
    [
        (Backbone.ALEXNET, [0, 3, 6, 8, 10]),
        (Backbone.VGG16, [0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28]),
        (Backbone.VGG19, [0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34]),
    ],
)
def test_layers_have_the_indices_of_torchvision(backbone, convolutions):
    with torch.device("meta"):
        state = ImageFeatures(backbone, [DEEPEST[backbone]]).state_dict()
    assert list(state) == [f"features.{n}.{kind}" for n in convolutions for kind in ("weight", "bias")]


def test_shapes_of_the_style_taps():
    shapes = [tuple(features.shape) for features in random_network(Backbone.VGG19, STYLE_TAPS)(images(32)).values()]
    assert shapes == [(1, 64, 32, 32), (1, 128, 16, 16), (1, 256, 8, 8), (1, 512, 4, 4), (1, 512, 2, 2)]


def test_a_tap_before_the_activation_keeps_its_negative_values():
    network = random_network(Backbone.VGG16, ("relu1_1", "conv1_1"))
    after, before = network(images(16)).values()
    assert before.min() < 0
    assert torch.equal(after, before.relu())


def test_input_is_normalized_with_the_statistics_of_imagenet():
    network = random_network(Backbone.VGG16, ("conv1_1",))
    image = images(16)
    mean = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
    first = network.features[0]
    assert isinstance(first, nn.Conv2d)
    assert torch.allclose(network(image)["conv1_1"], first((image - mean) / std), atol=1e-6)


def test_weights_are_frozen_and_the_image_has_a_gradient():
    network = random_network(Backbone.VGG16, ("conv2_2",))
    image = images(16).requires_grad_()
    network(image)["conv2_2"].square().mean().backward()
    assert image.grad is not None
    assert image.grad.abs().sum() > 0
    assert all(not parameter.requires_grad for parameter in network.parameters())


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
@pytest.mark.parametrize(
    ("backbone", "deep", "shallow"),
    [
        (Backbone.ALEXNET, "relu5", "relu2"),
        (Backbone.VGG16, "conv3_3", "relu2_1"),
        (Backbone.VGG19, "conv3_4", "conv1_2"),
    ],
)
def test_a_file_is_recognized_and_read(tmp_path, backbone, deep, shallow, suffix):
    network = random_network(backbone, (shallow, deep))
    path = tmp_path / f"weights{suffix}"
    content = {**network.state_dict(), "classifier.0.bias": torch.zeros(3)}
    save_file(content, path) if suffix == ".safetensors" else torch.save(content, path)
    loaded = load_image_features(path, [shallow])
    assert loaded.backbone is backbone
    assert not loaded.training
    assert len(loaded.features) < len(network.features)
    assert torch.equal(loaded(images())[shallow], network(images())[shallow])


def test_invalid_files_are_reported(tmp_path):
    network = random_network(Backbone.VGG16, ("relu2_1",)).state_dict()
    incomplete = {name: value for name, value in network.items() if name != "features.5.bias"}
    misshapen = {**network, "features.5.weight": torch.zeros(1, 2, 3, 3)}
    save_file(incomplete, tmp_path / "incomplete.safetensors")
    save_file(misshapen, tmp_path / "misshapen.safetensors")
    save_file({"const_input": torch.zeros(1)}, tmp_path / "other.safetensors")
    torch.save([1, 2], tmp_path / "list.pth")
    (tmp_path / "cut.safetensors").write_bytes(b"abc")
    (tmp_path / "cut.pth").write_bytes(b"abc")
    for name, words in [
        ("incomplete.safetensors", "looks like vgg16, but lacks features.5.bias"),
        ("misshapen.safetensors", "looks like vgg16, but has wrong shapes for features.5.weight"),
        (
            "other.safetensors",
            "is not AlexNet, VGG-16 or VGG-19 with torchvision's names (first keys: const_input). Give torchvision's file",
        ),
        ("list.pth", "list.pth holds no weights but a list"),
        ("cut.safetensors", "cut.safetensors is not a weight file"),
        ("cut.pth", "cut.pth is not a weight file"),
    ]:
        with pytest.raises(CheckpointError, match=re.escape(words)):
            load_image_features(tmp_path / name, ["relu2_1"])
    with pytest.raises(ModelNotFoundError, match=re.escape("none.pth")):
        load_image_features(tmp_path / "none.pth", ["relu2_1"])


def test_the_format_is_recognized_by_content_and_wrappers_are_removed(tmp_path):
    network = random_network(Backbone.VGG16, ("relu1_1",))
    save_file(network.state_dict(), tmp_path / "renamed.pth")
    torch.save({"epoch": 3, "state_dict": network.state_dict()}, tmp_path / "wrapped.pth")
    for name in ("renamed.pth", "wrapped.pth"):
        loaded = load_image_features(tmp_path / name, ["relu1_1"])
        assert torch.equal(loaded(images())["relu1_1"], network(images())["relu1_1"])


def test_program_code_in_a_file_is_not_run(tmp_path):
    torch.save(nn.Linear(2, 2), tmp_path / "module.pth")
    with pytest.raises(CheckpointError, match=r"module\.pth was refused: it contains program code") as error:
        load_image_features(tmp_path / "module.pth", ["relu2_1"])
    assert "weights_only" not in str(error.value)


def test_invalid_taps_and_images_are_reported():
    with pytest.raises(OptionError, match=re.escape("vgg16 has no layer conv3_4; it has conv1_1, relu1_1, conv1_2")):
        ImageFeatures(Backbone.VGG16, ["conv1_1", "conv3_4"])
    with pytest.raises(OptionError, match=re.escape("vgg16 has no layer (none named)")):
        ImageFeatures(Backbone.VGG16, [])
    network = random_network(Backbone.ALEXNET, ["relu5"])
    network(images(31))
    with pytest.raises(InputError, match="alexnet needs images of at least 31 x 31 pixels, got 30 x 30"):
        network(images(30))


def test_torchvisions_weights_are_fetched_by_name(monkeypatch):
    weights = random_network(Backbone.VGG19, STYLE_TAPS).state_dict()
    asked = []

    def fetch(address, **options):
        asked.append((address.rsplit("/", 1)[1], options))
        return weights

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", fetch)
    network = load_image_features("vgg19", STYLE_TAPS)
    assert network.backbone is Backbone.VGG19
    assert torch.equal(network.state_dict()["features.0.weight"], weights["features.0.weight"])
    assert asked == [("vgg19-dcbb9e9d.pth", {"map_location": "cpu", "check_hash": True, "weights_only": True})]


def test_a_failed_download_names_the_file(monkeypatch):
    def fail(*_, **__):
        raise OSError("no route to host")

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", fail)
    with pytest.raises(DownloadError, match=r"models/vgg19-dcbb9e9d\.pth: no route to host.*manually"):
        load_image_features("vgg19", STYLE_TAPS)
    with pytest.raises(ModelNotFoundError, match="There is no file vgg11"):
        load_image_features("vgg11", STYLE_TAPS)
