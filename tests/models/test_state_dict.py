"""Test the unwrapping, casting and folding of state dicts."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from psfr_core.errors import CheckpointError
from psfr_core.models.state_dict import fold_spectral_norm, to_float32, unwrap
from psfr_core.networks.psfr_generator import PsfrGenerator
from psfr_core.networks.spectral_norm import add_spectral_norm

WEIGHTS = {"a.weight": torch.ones(2), "b.bias": torch.zeros(3)}


@pytest.mark.parametrize(
    "checkpoint",
    [
        WEIGHTS,
        {"state_dict": WEIGHTS, "epoch": 3},
        {"params": {"old": torch.zeros(1)}, "params_ema": WEIGHTS},
        {"model": {"state_dict": WEIGHTS}, "optimizer": {"state": {}}},
        {"params": {f"module.{key}": value for key, value in WEIGHTS.items()}},
        {**WEIGHTS, "epoch": 3, 7: torch.zeros(1)},
    ],
    ids=["plain", "state_dict", "ema first", "nested", "module", "other entries"],
)
def test_weights_are_unwrapped_from_checkpoints(checkpoint: object) -> None:
    assert unwrap(checkpoint) == WEIGHTS


@pytest.mark.parametrize("checkpoint", [None, torch.zeros(2), [WEIGHTS], {}, {"epoch": 3}, {"params": {}}])
def test_objects_without_weights_unwrap_to_nothing(checkpoint: object) -> None:
    assert unwrap(checkpoint) == {}


def test_unwrap_ends_when_a_checkpoint_contains_itself() -> None:
    checkpoint: dict[str, object] = {"w": torch.zeros(1)}
    checkpoint["model"] = checkpoint
    assert list(unwrap(checkpoint)) == ["w"]


def test_a_prefix_of_only_some_keys_is_kept() -> None:
    mixed = {"module.a": torch.zeros(1), "b": torch.zeros(1)}
    assert unwrap(mixed).keys() == mixed.keys()


def test_floats_become_float32_and_counters_stay_integers() -> None:
    tensors = {"w": nn.Parameter(torch.ones(2).half()), "d": torch.ones(2).double(), "n": torch.tensor(5)}
    cast = to_float32(tensors)
    assert [tensor.dtype for tensor in cast.values()] == [torch.float32, torch.float32, torch.int64]
    assert not cast["w"].requires_grad
    assert tensors["w"].dtype == torch.float16


def new_style(network: PsfrGenerator) -> PsfrGenerator:
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.utils.parametrizations.spectral_norm(module)
    return network


@pytest.mark.parametrize("normalize", [add_spectral_norm, new_style])
def test_folding_keeps_the_function(
    generator: PsfrGenerator,
    generate: Callable[[nn.Module], Tensor],
    normalize: Callable[[PsfrGenerator], PsfrGenerator],
) -> None:
    plain_keys = generator.state_dict().keys()
    normalized = normalize(generator).train()
    generate(normalized)  # power iterations in training mode change u and v
    expected = generate(normalized.eval())
    stored = {key: tensor.clone() for key, tensor in normalized.state_dict().items()}
    folded = fold_spectral_norm(stored)
    assert folded.keys() == plain_keys
    assert stored.keys() == normalized.state_dict().keys()
    restored = PsfrGenerator(generator.config).eval()
    restored.load_state_dict(folded)
    torch.testing.assert_close(generate(restored), expected, atol=1e-5, rtol=0)


def test_folding_divides_by_the_largest_singular_value() -> None:
    layer = nn.utils.parametrizations.spectral_norm(nn.Conv2d(3, 4, 3), n_power_iterations=200).train()
    layer(torch.zeros(1, 3, 3, 3))
    folded = fold_spectral_norm({f"layer.{key}": tensor for key, tensor in layer.state_dict().items()})
    assert torch.linalg.matrix_norm(folded["layer.weight"].flatten(1), 2).item() == pytest.approx(1, abs=1e-5)


def test_spectral_norm_without_its_vectors_is_refused() -> None:
    with pytest.raises(CheckpointError, match=r"it has a\.weight_orig but lacks a\.weight_v"):
        fold_spectral_norm({"a.weight_orig": torch.ones(2, 3), "a.weight_u": torch.ones(2)})


def test_spectral_norm_of_integers_is_refused() -> None:
    tensors = {"a.weight_orig": torch.ones(2, 3).byte(), "a.weight_u": torch.ones(2), "a.weight_v": torch.ones(3)}
    with pytest.raises(CheckpointError, match=r"a\.weight_orig is torch\.uint8, not floating point"):
        fold_spectral_norm(tensors)


def test_spectral_norm_of_a_scalar_is_refused() -> None:
    tensors = {"a.weight_orig": torch.ones(()), "a.weight_u": torch.ones(2), "a.weight_v": torch.ones(3)}
    with pytest.raises(CheckpointError, match=r"a\.weight_orig does not fit"):
        fold_spectral_norm(tensors)


def test_spectral_norm_with_vectors_of_another_size_is_refused() -> None:
    tensors = {"a.weight_orig": torch.ones(2, 3), "a.weight_u": torch.ones(2), "a.weight_v": torch.ones(4)}
    with pytest.raises(CheckpointError, match=r"a\.weight_orig does not fit a\.weight_u and a\.weight_v"):
        fold_spectral_norm(tensors)
