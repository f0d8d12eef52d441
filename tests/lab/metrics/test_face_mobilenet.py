"""Test the reading and the layers of HSE-FaceRes."""

import json
from itertools import pairwise

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from psfr_core.errors import CheckpointError, ModelNotFoundError
from psfr_core.lab.metrics.face_mobilenet import load_face_mobilenet
from psfr_core.lab.metrics.identity import load_identity

CHANNELS = (32, 64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024)
STRIDED_BLOCKS = (2, 4, 6, 12)


@pytest.fixture(scope="module")
def tensors():
    """Return random tensors in the layout of TensorFlow by name, whose activations neither vanish nor saturate."""
    random = np.random.default_rng(0)

    def kernel(*shape, inputs):
        return random.normal(0, (2 / inputs) ** 0.5, shape)

    found = {"conv1/convolution/merged_input": kernel(3, 3, 3, 32, inputs=27) / 60}
    found["conv1_bn/batchnorm_1/sub"] = random.normal(0, 0.2, 32)
    for block, (narrow, wide) in enumerate(pairwise(CHANNELS), 1):
        found[f"conv_dw_{block}/depthwise_kernel"] = kernel(3, 3, narrow, 1, inputs=9)
        found[f"conv_dw_{block}_bn/batchnorm_1/mul"] = random.uniform(0.8, 1.2, narrow)
        found[f"conv_dw_{block}_bn/batchnorm_1/sub"] = random.normal(0, 0.2, narrow)
        found[f"conv_pw_{block}/convolution/merged_input"] = kernel(1, 1, narrow, wide, inputs=narrow)
        found[f"conv_pw_{block}_bn/batchnorm_1/sub"] = random.normal(0, 0.2, wide)
    return {name: values.astype(np.float16) for name, values in found.items()}


@pytest.fixture
def faceres(tensors, tmp_path):
    """Write the tensors as a TensorFlow.js model in two parts, and return the path of its .json file."""
    data = b"".join(values.tobytes() for values in tensors.values())
    (tmp_path / "one.bin").write_bytes(data[:1000])
    (tmp_path / "two.bin").write_bytes(data[1000:])
    weights = [
        {"name": name, "shape": values.shape, "dtype": "float32", "quantization": {"dtype": "float16"}}
        for name, values in tensors.items()
    ]
    path = tmp_path / "faceres.json"
    path.write_text(json.dumps({"weightsManifest": [{"paths": ["one.bin", "two.bin"], "weights": weights}]}))
    return path


def reference(tensors, faces):
    """Compute the embedding with the unfolded layers of TensorFlow, whose padding depends on the side of the image."""

    def conv(features, kernel, stride, groups=1):
        side, size = features.shape[-1], kernel.shape[-1]
        total = max((-(-side // stride) - 1) * stride + size - side, 0)
        before, after = total // 2, total - total // 2
        return F.conv2d(F.pad(features, (before, after, before, after)), kernel, stride=stride, groups=groups)

    def named(name):
        return torch.from_numpy(tensors[name].astype(np.float32))

    def activated(features, name):
        return (features + named(f"{name}_bn/batchnorm_1/sub")[:, None, None]).clamp(0, 6)

    bgr = (faces.flip(1) + 1) * 127.5 - torch.tensor([103.939, 116.779, 123.68])[:, None, None]
    features = activated(conv(bgr, named("conv1/convolution/merged_input").permute(3, 2, 0, 1), 2), "conv1")
    for block in range(1, 14):
        kernel = named(f"conv_dw_{block}/depthwise_kernel").permute(2, 3, 0, 1)
        features = conv(features, kernel, 2 if block in STRIDED_BLOCKS else 1, len(kernel))
        features = features * named(f"conv_dw_{block}_bn/batchnorm_1/mul")[:, None, None]
        kernel = named(f"conv_pw_{block}/convolution/merged_input").permute(3, 2, 0, 1)
        features = activated(conv(activated(features, f"conv_dw_{block}"), kernel, 1), f"conv_pw_{block}")
    return features.mean(dim=(2, 3))


def test_the_folded_network_equals_tensorflows_layers(tensors, faceres):
    faces = torch.rand(1, 3, 224, 224, generator=torch.Generator().manual_seed(1)) * 2 - 1
    expected = reference(tensors, faces)
    assert expected.shape == (1, 1024)
    assert expected.std() > 0.1
    torch.testing.assert_close(load_face_mobilenet(faceres)(faces), expected, rtol=1e-4, atol=1e-4)


def test_the_identity_distance_has_gradients_for_the_face(faceres):
    identity = load_identity(str(faceres), torch.device("cpu"))
    person, other = torch.rand(2, 1, 3, 64, 64, generator=torch.Generator().manual_seed(2))
    other.requires_grad_()
    distance = identity.distance(identity.embed(other), identity.embed(person))
    distance.sum().backward()
    assert distance.item() > 1e-4
    assert other.grad is not None
    assert other.grad.abs().sum() > 0
    assert identity.distance(identity.embed(person), identity.embed(person)).item() == pytest.approx(0, abs=1e-6)


def test_names_a_missing_part(faceres):
    (faceres.parent / "two.bin").unlink()
    with pytest.raises(ModelNotFoundError, match=r"two\.bin cannot be read \(No such file or directory\)"):
        load_face_mobilenet(faceres)


@pytest.mark.parametrize("content", ["{}", "[]", "no JSON", '{"weightsManifest": [{"paths": [], "weights": []}]}'])
def test_another_file_is_not_faceres(tmp_path, content):
    path = tmp_path / "other.json"
    path.write_text(content)
    with pytest.raises(CheckpointError, match=r"other\.json is not"):
        load_face_mobilenet(path)
