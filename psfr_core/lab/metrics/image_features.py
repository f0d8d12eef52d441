"""Compute activations of networks trained on ImageNet, for perceptual losses and metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from pathlib import Path

import torch
from torch import Tensor, nn

from ...checks import check_network_input, check_shape
from ...errors import CheckpointError, DownloadError, InputError, OptionError
from ...models.state_dict import read_tensors


class Backbone(str, Enum):
    """Supported network trained on ImageNet."""

    ALEXNET = "alexnet"
    VGG16 = "vgg16"
    VGG19 = "vgg19"


_TORCHVISION_FILES = {  # torch.hub checks the hash in the file name
    Backbone.ALEXNET: "alexnet-owt-7be5be79.pth",
    Backbone.VGG16: "vgg16-397923af.pth",
    Backbone.VGG19: "vgg19-dcbb9e9d.pth",
}
_VGG_CHANNELS = (64, 128, 256, 512, 512)
_VGG_CONVS = {Backbone.VGG16: (2, 2, 3, 3, 3), Backbone.VGG19: (2, 2, 4, 4, 4)}
# Minimum side of an image in pixels: smaller images become empty in the pooling layers.
_MIN_SIDE = {Backbone.ALEXNET: 31, Backbone.VGG16: 16, Backbone.VGG19: 16}
_IMAGENET_MEAN = (0.485, 0.456, 0.406)
_IMAGENET_STD = (0.229, 0.224, 0.225)


class ImageFeatures(nn.Module):
    """Frozen network that returns the activations at the layers ``taps``. Gradients flow to the images.

    VGG layers are named by block and convolution: ``conv3_4`` before and ``relu3_4`` after the activation, then ``pool3``.
    AlexNet layers are named ``conv3``, ``relu3``, ``pool2``. Layers after the last tap are omitted. The state dict has
    torchvision's names, ``features.N``. Raises OptionError if ``taps`` is empty or contains an unknown layer.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, backbone: Backbone, taps: Sequence[str]) -> None:
        super().__init__()
        layers = _alexnet_layers() if backbone is Backbone.ALEXNET else _vgg_layers(_VGG_CONVS[backbone])
        names = list(layers)
        unknown = [tap for tap in taps if tap not in layers]
        if unknown or not taps:
            raise OptionError(
                f"{backbone.value} has no layer {', '.join(unknown) or '(none named)'}; it has {', '.join(names)}."
            )
        last = max(names.index(tap) for tap in taps)
        self.backbone = backbone
        self.taps = tuple(taps)
        self.features = nn.Sequential(*list(layers.values())[: last + 1])
        self._names = names[: last + 1]
        self.register_buffer("mean", torch.tensor(_IMAGENET_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(_IMAGENET_STD).view(1, 3, 1, 1), persistent=False)
        self.requires_grad_(False)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Return the activations (B, C, h, w) by name of the tap, in the order of ``taps``.

        ``images`` (B, 3, H, W) are RGB in [0, 1], with sides of at least 31 px for AlexNet and 16 px for VGG. Raises InputError
        for smaller images, other shapes, and a dtype or device that differs from that of the weights.
        """
        check_shape(images, "B 3 H W", "images")
        check_network_input(images, self, "images")
        smallest = _MIN_SIDE[self.backbone]
        if min(images.shape[-2:]) < smallest:
            found = f"{images.shape[-1]} x {images.shape[-2]}"
            raise InputError(
                f"{self.backbone.value} needs images of at least {smallest} x {smallest} pixels, got {found}."
            )
        features = (images - self.mean) / self.std
        found_at: dict[str, Tensor] = {}
        for name, layer in zip(self._names, self.features, strict=True):
            features = layer(features)
            if name in self.taps:
                found_at[name] = features
        return {tap: found_at[tap] for tap in self.taps}

    @property
    def channels(self) -> dict[str, int]:
        """Number of channels of each tap."""
        found: dict[str, int] = {}
        latest = 3
        for name, layer in zip(self._names, self.features, strict=True):
            latest = layer.out_channels if isinstance(layer, nn.Conv2d) else latest
            found[name] = latest
        return {tap: found[tap] for tap in self.taps}


def load_image_features(path: str | Path, taps: Sequence[str]) -> ImageFeatures:
    """Load the frozen network from a file of torchvision's weights, with taps at the layers ``taps``.

    The file may be .safetensors, .pth or .pt, with or without the classifier. ``path`` may also be the name of a backbone:
    see ``read_backbone``. Raises ModelNotFoundError if there is no such file, CheckpointError for other contents,
    DownloadError if a download fails, and OptionError for unknown taps.
    """
    path = Path(path)
    return build_image_features(path, read_backbone(path), taps)


def build_image_features(path: Path, weights: Mapping[str, Tensor], taps: Sequence[str]) -> ImageFeatures:
    """Build the frozen network with the ``weights`` read from ``path``.

    Raises CheckpointError if the weights do not fit, and OptionError for unknown taps.
    """
    network = ImageFeatures(recognize_backbone(path, weights), taps)
    wanted = network.state_dict()
    missing = [name for name in wanted if name not in weights]
    wrong = [name for name in wanted if name in weights and weights[name].shape != wanted[name].shape]
    if missing or wrong:
        fault = f"lacks {', '.join(missing)}" if missing else f"has wrong shapes for {', '.join(wrong)}"
        raise CheckpointError(f"{path.name} looks like {network.backbone.value}, but {fault}. Give torchvision's file.")
    network.load_state_dict({name: weights[name] for name in wanted})
    return network.eval()


def read_backbone(path: Path) -> dict[str, Tensor]:
    """Read the tensors of a weight file, or torchvision's weights if ``path`` is the name of a backbone.

    Torchvision's weights are downloaded into PyTorch's cache unless they are already there. Raises DownloadError if the
    download fails, and the errors of ``read_tensors``.
    """
    if path.is_file() or str(path) not in [backbone.value for backbone in Backbone]:
        return read_tensors(path)
    address = f"https://download.pytorch.org/models/{_TORCHVISION_FILES[Backbone(str(path))]}"
    try:
        return torch.hub.load_state_dict_from_url(address, map_location="cpu", check_hash=True, weights_only=True)
    except (OSError, RuntimeError) as error:
        raise DownloadError(
            f"The weights of {path} cannot be downloaded from {address}: {error}. Download the file manually and give its path."
        ) from error


def recognize_backbone(path: Path, weights: Mapping[str, Tensor]) -> Backbone:
    """Return the backbone to which the ``weights`` read from ``path`` belong. Raise CheckpointError for other networks."""
    first = weights.get("features.0.weight")
    if first is not None and first.shape == (64, 3, 11, 11):
        return Backbone.ALEXNET
    if first is not None and first.shape == (64, 3, 3, 3):
        # features.16 is the fourth convolution of block 3 in VGG-19, and a pooling layer without weights in VGG-16
        return Backbone.VGG19 if "features.16.weight" in weights else Backbone.VGG16
    keys = ", ".join(list(weights)[:3])
    raise CheckpointError(
        f"{path.name} is not AlexNet, VGG-16 or VGG-19 with torchvision's names (first keys: {keys}). "
        "Give torchvision's file."
    )


def _alexnet_layers() -> dict[str, nn.Module]:
    return {
        "conv1": nn.Conv2d(3, 64, 11, stride=4, padding=2),
        "relu1": nn.ReLU(),
        "pool1": nn.MaxPool2d(3, 2),
        "conv2": nn.Conv2d(64, 192, 5, padding=2),
        "relu2": nn.ReLU(),
        "pool2": nn.MaxPool2d(3, 2),
        "conv3": nn.Conv2d(192, 384, 3, padding=1),
        "relu3": nn.ReLU(),
        "conv4": nn.Conv2d(384, 256, 3, padding=1),
        "relu4": nn.ReLU(),
        "conv5": nn.Conv2d(256, 256, 3, padding=1),
        "relu5": nn.ReLU(),
    }


def _vgg_layers(convs: Sequence[int]) -> dict[str, nn.Module]:
    layers: dict[str, nn.Module] = {}
    in_channels = 3
    for block, (channels, count) in enumerate(zip(_VGG_CHANNELS, convs, strict=True), start=1):
        for number in range(1, count + 1):
            layers[f"conv{block}_{number}"] = nn.Conv2d(in_channels, channels, 3, padding=1)
            layers[f"relu{block}_{number}"] = nn.ReLU()
            in_channels = channels
        layers[f"pool{block}"] = nn.MaxPool2d(2)
    return layers
