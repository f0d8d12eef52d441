from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch._subclasses.fake_tensor import FakeTensorMode

from psfr_core.errors import InputError, OptionError
from psfr_core.images.box import Size
from psfr_core.images.resize import interpolate, resize


@pytest.mark.parametrize("shape", [(3, 7, 5), (1, 3, 7, 5), (2, 4, 1, 7, 5)])
def test_leading_axes_are_kept(shape: tuple[int, ...]) -> None:
    image = torch.rand(shape, generator=torch.Generator().manual_seed(1))
    resized = resize(image, Size(width=11, height=9))
    assert resized.shape == (*shape[:-2], 9, 11)
    assert torch.allclose(
        resized.flatten(0, -4)[-1] if len(shape) > 3 else resized, resize(image.reshape(-1, *shape[-3:])[-1], (11, 9))
    )


def test_same_size_returns_the_same_tensor() -> None:
    image = torch.rand(3, 6, 8)
    assert resize(image, Size(8, 6)) is image


@pytest.mark.parametrize("width", [16, 30, 96, 128, 200])
def test_outer_pixel_borders_are_aligned(width: int) -> None:
    ramp = (torch.arange(64.0) + 0.5).expand(1, 8, 64) / 64
    resized = resize(ramp, (width, 8))[0, 4]
    expected = (torch.arange(width) + 0.5) / width
    inner = slice(width // 8, -(width // 8))
    assert torch.allclose(resized[inner], expected[inner], atol=5e-4)


def test_shrinking_a_checkerboard_gives_its_mean() -> None:
    checkerboard = (torch.arange(64)[:, None] + torch.arange(64)).remainder(2).float()[None]
    assert torch.allclose(resize(checkerboard, (16, 16)), torch.full((1, 16, 16), 0.5), atol=0.01)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_dtype_and_values_out_of_range_are_kept(dtype: torch.dtype) -> None:
    resized = resize(torch.full((1, 4, 4), 3.5, dtype=dtype), (9, 2))
    assert resized.dtype == dtype
    assert torch.allclose(resized.float(), torch.full((1, 2, 9), 3.5))


def test_a_single_pixel_fills_any_size() -> None:
    assert torch.allclose(resize(torch.tensor([[[0.25]]]), (5, 3)), torch.full((1, 3, 5), 0.25))


def test_invalid_input_raises() -> None:
    with pytest.raises(OptionError, match="got 0 x 4"):
        resize(torch.rand(3, 4, 4), (0, 4))
    with pytest.raises(InputError, match="floating point"):
        resize(torch.zeros(3, 4, 4, dtype=torch.uint8), (2, 2))
    with pytest.raises(InputError, match=r"\(\.\.\., C, H, W\)"):
        resize(torch.rand(4, 4), (2, 2))


@pytest.mark.parametrize(
    "resized", [lambda image: resize(image, (4, 4)), lambda image: interpolate(image, (4, 4), "bilinear")]
)
def test_mps_images_are_resized_on_the_cpu(
    monkeypatch: pytest.MonkeyPatch, resized: Callable[[torch.Tensor], torch.Tensor]
) -> None:
    """Check that no antialiasing runs on MPS, for which PyTorch before 2.8 raises NotImplementedError."""
    devices: list[str] = []
    compute = F.interpolate

    def watched(images: torch.Tensor, *args: Any, **options: Any) -> torch.Tensor:
        devices.append(images.device.type)
        return compute(images, *args, **options)

    monkeypatch.setattr(F, "interpolate", watched)
    with FakeTensorMode():  # creates tensors without data on any device
        assert resized(torch.empty(1, 3, 8, 8, device="mps")).device.type == "mps"
    assert devices == ["cpu"]
