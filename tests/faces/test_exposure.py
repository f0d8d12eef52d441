"""Test the copies of dark and pale images whose contrast is increased for the search."""

from __future__ import annotations

import pytest
import torch

from psfr_core.faces.exposure import find_low_contrast, stretch_contrast

RAMP = torch.linspace(0, 1, 200 * 300).view(1, 1, 200, 300).expand(1, 3, -1, -1)


@pytest.mark.parametrize(("gain", "offset"), [(0.05, 0.0), (0.2, 0.7), (0.49, 0.3)])
def test_dark_and_pale_images_get_the_full_range(gain: float, offset: float) -> None:
    expected = ((RAMP - 0.01) / 0.98).clamp(0, 1)
    torch.testing.assert_close(stretch_contrast(gain * RAMP + offset), expected, atol=0.01, rtol=0)


def test_images_with_low_contrast_are_found() -> None:
    assert find_low_contrast(torch.cat([RAMP, 0.1 * RAMP, 0.6 * RAMP, 0.7 + 0.2 * RAMP, 0 * RAMP])) == [1, 3]


def test_noise_of_a_black_image_stays_dark() -> None:
    noise = torch.randint(0, 2, (1, 3, 64, 64), generator=torch.Generator().manual_seed(0)) / 255
    assert float(stretch_contrast(noise).max()) < 0.13
    assert torch.equal(stretch_contrast(torch.zeros(1, 3, 5, 7)), torch.zeros(1, 3, 5, 7))
