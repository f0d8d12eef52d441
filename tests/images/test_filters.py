from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from psfr_core.errors import InputError, OptionError
from psfr_core.images.filters import correlate_by_convolution, gaussian_blur, gaussian_kernel, separable_filter


def impulse(size: int = 65) -> torch.Tensor:
    image = torch.zeros(1, 1, size, size)
    image[0, 0, size // 2, size // 2] = 1
    return image


@pytest.mark.parametrize("sigma_px", [0.7, 1.0, 2.5, 6.0])
def test_gaussian_has_the_given_sigma_along_both_axes(sigma_px: float) -> None:
    blurred = gaussian_blur(impulse(), sigma_px)[0, 0]
    position = torch.arange(65.0) - 32
    for profile in (blurred.sum(0), blurred.sum(1)):
        assert float(profile.sum()) == pytest.approx(1, abs=1e-5)
        assert math.sqrt(float((profile * position**2).sum())) == pytest.approx(sigma_px, rel=0.01)
    assert torch.allclose(blurred, blurred.T, atol=1e-7)


def test_very_narrow_and_very_wide_kernels_sum_to_one() -> None:
    assert gaussian_kernel(1e-200) == [0.0, 1.0, 0.0]
    assert math.fsum(gaussian_kernel(40)) == pytest.approx(1, abs=1e-12)


def test_gaussian_kernel_has_the_given_radius() -> None:
    edge, middle, _ = gaussian_kernel(1.5, radius_px=1)
    assert middle / edge == pytest.approx(math.exp(0.5 / 1.5**2))
    assert len(gaussian_kernel(1.5)) == 13


def test_channels_and_images_are_filtered_independently() -> None:
    image = torch.rand(2, 3, 12, 9, generator=torch.Generator().manual_seed(0))
    blurred = gaussian_blur(image, 1.3)
    assert torch.allclose(blurred[1:, 2:], gaussian_blur(image[1:, 2:], 1.3))


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 7), (5, 2), (3, 40)])
def test_kernels_larger_than_the_image_replicate_its_edge(height: int, width: int) -> None:
    flat = torch.full((1, 2, height, width), 0.7)
    for blurred in (gaussian_blur(flat, 20.0), separable_filter(flat, [0.125] * 8)):
        assert blurred.shape == flat.shape
        assert torch.allclose(blurred, flat, atol=1e-5)


def test_filters_correlate_instead_of_convolving() -> None:
    row = separable_filter(impulse(5), [0.0, 0.0, 1.0])[0, 0]
    assert row[1, 1] == 1
    assert row.sum() == 1


@pytest.mark.parametrize("autocasts", [False, True])
def test_a_single_convolution_equals_the_sum_of_shifted_images(autocasts: bool) -> None:
    image = torch.rand(2, 3, 12, 9, generator=torch.Generator().manual_seed(0))
    weights = torch.tensor([0.1, 0.2, 0.4, 0.2, 0.05, 0.03, 0.02])
    padded = F.pad(image, (3, 3, 3, 3), mode="replicate")
    with torch.autocast("cpu", torch.bfloat16, enabled=autocasts):
        correlated = correlate_by_convolution(padded, torch.outer(weights, weights))
    assert correlated.dtype == torch.float32
    assert torch.allclose(correlated, separable_filter(image, weights.tolist()), atol=1e-6)


def test_sigma_0_returns_the_same_tensor_and_the_input_is_not_modified() -> None:
    image = impulse(5)
    assert gaussian_blur(image, 0) is image
    gaussian_blur(image, 1.0)
    assert torch.equal(image, impulse(5))


@pytest.mark.parametrize("sigma_px", [-1.0, math.nan, math.inf])
def test_invalid_sigma_raises(sigma_px: float) -> None:
    with pytest.raises(OptionError, match="sigma_px must be a finite number"):
        gaussian_blur(impulse(), sigma_px)


def test_invalid_images_raise() -> None:
    with pytest.raises(InputError, match=r"image must have the shape \(B, C, H, W\), got \(3, 4, 4\)"):
        gaussian_blur(torch.rand(3, 4, 4), 1.0)
    with pytest.raises(InputError, match="floating point"):
        gaussian_blur(torch.zeros(1, 1, 4, 4, dtype=torch.uint8), 3.0)
