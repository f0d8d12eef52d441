from __future__ import annotations

import pytest
import torch

from psfr_core.images.channels import clamped, fill_hidden, to_rgb


def half_hidden(hidden: float, channels: int = 4, size: int = 37) -> torch.Tensor:
    """Return a horizontal ramp whose right half has alpha 0 and the value ``hidden``."""
    image = torch.linspace(0.2, 0.6, size).expand(channels, size, size).clone()
    image[-1] = 1
    image[:-1, :, size // 2 :] = hidden
    image[-1, :, size // 2 :] = 0
    return image


@pytest.mark.parametrize("channels", [2, 4])
@pytest.mark.parametrize("hidden", [0.0, 1.0, -5.0, torch.nan])
def test_hidden_colors_have_no_influence(channels: int, hidden: float) -> None:
    assert torch.equal(to_rgb(half_hidden(hidden, channels)), to_rgb(half_hidden(0.5, channels)))


def test_visible_colors_are_kept_and_extended_into_hidden_areas() -> None:
    image = half_hidden(1.0)
    rgb = to_rgb(image)
    assert torch.equal(rgb[:, :, :18], image[:3, :, :18])
    edge = image[0, 0, 17]
    assert (rgb[:, :, 18] - edge).abs().max() < 0.05
    assert rgb.min() >= 0.2
    assert rgb.max() <= edge


def test_a_small_hole_is_filled_with_its_surroundings() -> None:
    image = torch.full((4, 64, 64), 0.3)
    image[3] = 1
    image[:, 20:30, 20:30] = 0
    torch.testing.assert_close(to_rgb(image), torch.full((3, 64, 64), 0.3), atol=1e-6, rtol=0)


def test_images_without_hidden_pixels_stay_bit_identical() -> None:
    for image in (torch.rand(1, 9, 7), torch.rand(3, 9, 7), torch.rand(4, 9, 7).clamp(min=0.05)):
        assert torch.equal(to_rgb(image), image[:3].expand(3, -1, -1))


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (5, 1)])
def test_an_image_without_a_visible_pixel_is_black(size: tuple[int, int]) -> None:
    assert torch.equal(fill_hidden(torch.rand(3, *size), torch.zeros(1, *size)), torch.zeros(3, *size))


def test_clamping_copies_only_images_with_values_out_of_range() -> None:
    inside = torch.rand(3, 4, 5)
    assert clamped(inside) is inside
    assert clamped(inside * 2 - 0.5).aminmax() == (0, 1)
