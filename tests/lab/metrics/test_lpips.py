import re

import pytest
import torch
import torchvision
from safetensors.torch import save_file
from torchmetrics.functional.image import lpips as torchmetrics_lpips

from psfr_core.errors import CheckpointError, InputError
from psfr_core.lab.metrics.image_features import Backbone, ImageFeatures
from psfr_core.lab.metrics.lpips import load_lpips


def random_features(name, pretrained):
    """Return torchvision's convolutions of this network without initializing the large classifier."""
    with torch.device("meta"):
        features = getattr(torchvision.models, name)().features
    features.to_empty(device="cpu")
    generator = torch.Generator().manual_seed(0)
    for parameter in features.parameters():
        fan_in = parameter[0].numel()
        torch.nn.init.normal_(parameter, std=(2 / fan_in) ** 0.5 if parameter.ndim == 4 else 0.02, generator=generator)
    return features


@pytest.fixture
def reference(monkeypatch):
    """Return a function that makes torchmetrics' LPIPS with the published heads and a random backbone."""
    monkeypatch.setattr(torchmetrics_lpips, "_get_tv_model_features", random_features)
    return lambda net: torchmetrics_lpips._LPIPS(pretrained=True, net=net, pnet_rand=True).eval()


def write_files(folder, network):
    slices = [getattr(network.net, f"slice{number}").state_dict() for number in range(1, 6)]
    save_file(
        {f"features.{name}": value for part in slices for name, value in part.items()}, folder / "features.safetensors"
    )
    heads = {f"lin{layer}.model.1.weight": getattr(network, f"lin{layer}").model[1].weight for layer in range(5)}
    save_file(heads, folder / "heads.safetensors")
    return folder / "features.safetensors", folder / "heads.safetensors"


@pytest.mark.parametrize(("net", "side"), [("alex", 64), ("vgg", 32)])
def test_agrees_with_torchmetrics(tmp_path, reference, net, side):
    expected = reference(net)
    ours = load_lpips(*write_files(tmp_path, expected))
    generator = torch.Generator().manual_seed(0)
    a, b = torch.rand(2, 2, 3, side, side + 8, generator=generator)
    b[1] = (a[1] + 0.05 * b[1]).clamp(0, 1)
    distances = ours(a, b)
    assert distances.shape == (2,)
    assert torch.allclose(distances, expected(a * 2 - 1, b * 2 - 1).flatten(), rtol=1e-4, atol=1e-6)
    assert distances[0] > 2 * distances[1] > 0
    assert torch.equal(ours(a, a), torch.zeros(2))


def test_has_a_finite_gradient_even_for_flat_images(tmp_path, reference):
    ours = load_lpips(*write_files(tmp_path, reference("alex")))
    images = torch.zeros(1, 3, 32, 32, requires_grad=True)
    ours(images, torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))).sum().backward()
    assert images.grad is not None
    assert images.grad.isfinite().all()
    assert images.grad.abs().sum() > 0


def test_invalid_files_are_reported(tmp_path, reference):
    features, heads = write_files(tmp_path, reference("alex"))
    other = tmp_path / "vgg.safetensors"
    save_file(ImageFeatures(Backbone.VGG16, ["relu5_3"]).state_dict(), other)
    narrow = tmp_path / "narrow.safetensors"
    save_file({f"lin{layer}.model.1.weight": torch.zeros(1, 8, 1, 1) for layer in range(5)}, narrow)
    for arguments, words in [
        ((other, heads), "heads.safetensors belongs to alexnet, but vgg.safetensors is vgg16"),
        ((features, narrow), "narrow.safetensors has LPIPS heads of (8, 8, 8, 8, 8) channels"),
        ((features, features), "features.safetensors does not contain LPIPS heads: it lacks lin0.model.1.weight"),
    ]:
        with pytest.raises(CheckpointError, match=re.escape(words)):
            load_lpips(*arguments)


def test_images_must_have_one_shape(tmp_path, reference):
    ours = load_lpips(*write_files(tmp_path, reference("alex")))
    with pytest.raises(InputError, match="images and references must have the same shape"):
        ours(torch.zeros(1, 3, 32, 32), torch.zeros(2, 3, 32, 32))
