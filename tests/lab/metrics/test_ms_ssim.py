import pytest
import torch

from psfr_core.errors import InputError
from psfr_core.lab.metrics.ms_ssim import MIN_SIDE, ms_ssim


def random_images(batch=1, side=MIN_SIDE, seed=0):
    return torch.rand(batch, 3, side, side, generator=torch.Generator().manual_seed(seed))


def test_flat_images_differ_in_the_mean_at_the_coarsest_scale_only():
    flat = torch.full((1, 3, MIN_SIDE, MIN_SIDE), 0.4)
    # For means a and b, MS-SSIM is (2 a b + c) / (a^2 + b^2 + c) to the power of the last scale's published weight.
    # The result is 0.9894; the weights of the other scales would give 0.9964 or less than 0.982.
    expected = ((2 * 0.4 * 0.6 + 1e-4) / (0.4**2 + 0.6**2 + 1e-4)) ** 0.1333
    assert ms_ssim(flat, flat + 0.2).tolist() == pytest.approx([expected], abs=5e-4)


def test_each_image_is_measured_independently():
    images = random_images(2)
    references = torch.cat([images[:1], random_images(1, seed=1)])
    same, different = ms_ssim(images, references).tolist()
    assert same == pytest.approx(1, abs=1e-5)
    assert different < 0.2


def test_fine_noise_reduces_ms_ssim_less_than_ssim():
    from psfr_core.lab.metrics.ssim import ssim

    smooth = torch.nn.functional.interpolate(random_images(1, 11), (MIN_SIDE, MIN_SIDE), mode="bicubic").clamp(0, 1)
    noisy = (smooth + 0.1 * (random_images(1, seed=2) - 0.5)).clamp(0, 1)
    assert ssim(noisy, smooth) < ms_ssim(noisy, smooth) < 0.999


def test_images_that_are_too_small_are_reported():
    with pytest.raises(InputError, match="at least 176 x 176 pixels, got 175 x 175"):
        ms_ssim(random_images(side=175), random_images(side=175))
