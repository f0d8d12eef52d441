import io
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional as F

from psfr_core.errors import MissingPackageError
from psfr_core.images.box import Size
from psfr_core.lab.degradation import operations
from psfr_core.lab.degradation.operations import Interpolation


def random_image(height, width, seed=0):
    return torch.rand(3, height, width, generator=torch.Generator().manual_seed(seed))


def impulse(side=15):
    image = torch.zeros(3, side, side)
    image[:, side // 2, side // 2] = 1
    return image


def test_gray_is_the_luma_of_pillow_on_three_channels():
    image = operations.quantized(random_image(20, 30))
    pil_image = Image.fromarray((image.permute(1, 2, 0).numpy() * 255).round().astype(np.uint8))
    gray = operations.gray(image)
    assert torch.equal(gray[0], gray[1])
    assert torch.equal(gray[0], gray[2])
    assert np.abs(gray[0].numpy() * 255 - np.asarray(pil_image.convert("L"))).max() <= 0.51


@pytest.mark.parametrize(
    ("size_px", "row"),
    [
        (1, [0, 0, 1, 0, 0]),
        (2, [0, 0.25, 0.5, 0.25, 0]),
        (3, [0, 1 / 3, 1 / 3, 1 / 3, 0]),
        (4, [0.125, 0.25, 0.25, 0.25, 0.125]),
    ],
)
def test_box_blur_of_any_size(size_px, row):
    blurred = operations.box_blur(impulse(), size_px)
    assert torch.allclose(blurred[1].sum(dim=0)[5:10], torch.tensor(row, dtype=torch.float32), atol=1e-6)
    assert torch.allclose(blurred, blurred.transpose(1, 2))


def test_gaussian_blur_has_the_requested_sigma():
    blurred = operations.gaussian_blur(impulse(41), 3.0)
    offsets = torch.arange(41) - 20
    assert (blurred[0].sum(dim=0) * offsets**2).sum().sqrt().item() == pytest.approx(3.0, rel=0.02)


@pytest.mark.parametrize(("size_px", "side"), [(1.5, 3), (3.0, 3), (3.9, 3), (4.1, 5), (7.4, 7), (17.0, 17)])
def test_median_blur_is_the_median_of_the_window(size_px, side):
    image = operations.quantized(random_image(23, 19))
    margin = side // 2
    padded = np.pad(image.numpy(), ((0, 0), (margin, margin), (margin, margin)), mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (side, side), axis=(1, 2))
    assert np.allclose(operations.median_blur(image, size_px).numpy(), np.median(windows, axis=(3, 4)), atol=1e-6)


def test_a_median_without_opencv_names_the_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(MissingPackageError, match=r"A median blur needs .* pip install opencv-python-headless"):
        operations.median_blur(random_image(8, 8), 3.0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64])
def test_a_median_keeps_the_dtype(dtype):
    assert operations.median_blur(random_image(8, 8).to(dtype), 3.0).dtype == dtype


def test_uniform_horizontal_motion_blurs_along_a_row_only():
    blurred = operations.motion_blur(impulse(), 5.0, angle_degrees=0.0, balance=0.5)[0]
    assert blurred[7].sum().item() == pytest.approx(1.0, abs=1e-5)
    assert (blurred[7] > 1e-3).nonzero().flatten().tolist() == [5, 6, 7, 8, 9]
    assert blurred[7, 6:9].std() < 0.02


def test_motion_follows_angle_and_balance():
    row = operations.motion_blur(impulse(), 9.0, angle_degrees=0.0, balance=1.0)[0]
    column = operations.motion_blur(impulse(), 9.0, angle_degrees=90.0, balance=1.0)[0]
    diagonal = operations.motion_blur(impulse(), 9.0, angle_degrees=45.0, balance=0.5)[0]
    assert torch.allclose(row.T, column, atol=1e-6)
    # the end of the line at +x has the largest weight, so a bright pixel spreads to the left
    assert row[7, 3] > 4 * row[7, 10]
    assert diagonal[9, 9] > 0.05
    assert diagonal[5, 9] < 1e-4


def test_wide_medians_are_computed_on_a_smaller_image():
    step = torch.zeros(3, 300, 400)
    step[:, :, 150:] = 1
    step[:, 140:160, 60:70] = 1  # a small spot that a median removes
    blurred = operations.median_blur(step, 201)
    assert blurred.shape == step.shape
    assert blurred[:, 100:200, :130].max() < 0.02
    assert blurred[:, 100:200, 170:].min() > 0.98


@pytest.mark.parametrize("size_px", [1.0, 2.4, 8.0])
@pytest.mark.parametrize("blur", ["box", "gaussian", "median", "motion"])
def test_blurs_keep_flat_images_and_their_size(blur, size_px):
    image = torch.full((3, 6, 11), 0.6)
    blurred = {
        "box": lambda: operations.box_blur(image, size_px),
        "gaussian": lambda: operations.gaussian_blur(image, size_px),
        "median": lambda: operations.median_blur(image, size_px),
        "motion": lambda: operations.motion_blur(image, size_px, 30.0, 0.2),
    }[blur]()
    assert torch.allclose(blurred, image, atol=1e-5)


@pytest.mark.parametrize("interpolation", list(Interpolation))
def test_resize_changes_the_size_and_stays_in_range(interpolation):
    image = (random_image(40, 60) > 0.5).float()
    small = operations.resize(image, Size(width=17, height=9), interpolation)
    assert small.shape == (3, 9, 17)
    assert 0 <= small.min() <= small.max() <= 1


def test_area_averages_but_bilinear_samples():
    image = torch.zeros(3, 8, 8)
    image[:, ::4, ::4] = 1
    assert torch.allclose(operations.resize(image, Size(2, 2), Interpolation.AREA), torch.tensor(1 / 16))
    assert operations.resize(image, Size(2, 2), Interpolation.BILINEAR).max() == 0


def test_noise_has_its_std_and_repeats_with_its_seed():
    image = torch.full((3, 100, 100), 0.5)
    noise = operations.add_noise(image, 0.1, per_channel=True, seed=5) - image
    assert noise.std().item() == pytest.approx(0.1, rel=0.02)
    assert torch.equal(noise, operations.add_noise(image, 0.1, per_channel=True, seed=5) - image)
    assert abs(torch.corrcoef(noise.flatten(1))[0, 1]) < 0.05
    same = operations.add_noise(image, 0.1, per_channel=False, seed=5)
    assert torch.equal(same[0], same[1])
    assert torch.equal(same[0], same[2])


@pytest.mark.parametrize("quality", [35, 90])
def test_jpeg_equals_a_saved_file(quality):
    image = F.interpolate(random_image(5, 7)[None], size=(37, 50), mode="bicubic")[0].clamp(0, 1)
    file = io.BytesIO()
    pixels = (image.permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)
    Image.fromarray(pixels).save(file, "JPEG", quality=quality)
    expected = np.asarray(Image.open(file)).astype(np.float32) / 255
    assert np.array_equal(operations.jpeg(image, quality).permute(1, 2, 0).numpy(), expected)
