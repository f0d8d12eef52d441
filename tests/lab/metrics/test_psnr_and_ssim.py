import re

import pytest
import torch
from torchmetrics.functional.image import peak_signal_noise_ratio, structural_similarity_index_measure

from psfr_core.errors import InputError
from psfr_core.lab.metrics.psnr import psnr
from psfr_core.lab.metrics.ssim import ssim


def random_images(batch=2, side=24, seed=0):
    return torch.rand(batch, 3, side, side, generator=torch.Generator().manual_seed(seed))


def test_psnr_of_each_image():
    reference = torch.full((3, 3, 8, 8), 0.5)
    images = reference.clone()
    images[0] += 0.1  # mean squared error 0.01
    images[1, 0] += 0.1  # changes one of three channels
    assert psnr(images, reference)[:2].tolist() == pytest.approx([20.0, 24.7712], abs=1e-3)
    assert psnr(images, reference)[2] == torch.inf


def test_ssim_of_equal_flat_and_inverted_images():
    images = random_images()
    assert ssim(images, images).tolist() == pytest.approx([1, 1], abs=1e-5)
    flat = torch.full((1, 3, 16, 16), 0.4)
    # without structure, SSIM depends only on the means: (2 a b + c) / (a^2 + b^2 + c) with c = 0.01^2
    expected = (2 * 0.4 * 0.6 + 1e-4) / (0.4**2 + 0.6**2 + 1e-4)
    assert ssim(flat, flat + 0.2).tolist() == pytest.approx([expected], abs=1e-3)
    assert ssim(images, 1 - images).max() < 0


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("metric", [psnr, ssim])
def test_each_image_is_measured_independently(metric, batch):
    images, reference = random_images(batch), random_images(batch, seed=1)
    together = metric(images, reference)
    assert together.shape == (batch,)
    one_by_one = [metric(images[n : n + 1], reference[n : n + 1]).item() for n in range(batch)]
    assert together.tolist() == pytest.approx(one_by_one, abs=1e-5)


@pytest.mark.parametrize("metric", [psnr, ssim])
@pytest.mark.parametrize(
    ("images", "references", "words"),
    [
        (torch.zeros(3, 16, 16), torch.zeros(3, 16, 16), "images must have the shape (B, 3, H, W), got (3, 16, 16)"),
        (torch.zeros(1, 3, 16, 16), torch.zeros(1, 3, 16, 17), "must have the same shape, got (1, 3, 16, 16) and"),
        (torch.zeros(1, 3, 16, 16), torch.zeros(1, 3, 16, 16).byte(), "references must have a floating point dtype"),
    ],
)
def test_invalid_images_are_reported(metric, images, references, words):
    with pytest.raises(InputError, match=re.escape(words)):
        metric(images, references)


def test_ssim_needs_images_as_large_as_its_window():
    with pytest.raises(InputError, match="at least 11 x 11 pixels, got 10 x 10"):
        ssim(random_images(1, 10), random_images(1, 10))
    assert ssim(random_images(1, 11), random_images(1, 11)).tolist() == pytest.approx([1.0], abs=1e-5)


@pytest.mark.parametrize("side", [11, 24, 65])
def test_agree_with_torchmetrics(side):
    images = random_images(side=side)
    reference = (images + 0.3 * random_images(side=side, seed=1)).clamp(0, 1)
    expected_psnr = peak_signal_noise_ratio(images, reference, data_range=1.0, reduction="none", dim=(1, 2, 3))
    expected_ssim = structural_similarity_index_measure(images, reference, data_range=1.0, reduction="none")
    torch.testing.assert_close(psnr(images, reference), expected_psnr, atol=1e-4, rtol=0)
    torch.testing.assert_close(ssim(images, reference), expected_ssim, atol=1e-5, rtol=0)
