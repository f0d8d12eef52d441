from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from psfr_core.errors import InputError, OptionError
from psfr_core.images.box import Box, Size
from psfr_core.images.similarity import compose_affines, invert_affine, shift_affine, transform_points
from psfr_core.images.warp import output_box, warp_affine

IDENTITY = torch.eye(2, 3, dtype=torch.float64)


def similarity_about(center: tuple[float, float], scale: float, angle: float, to: tuple[float, float]) -> Tensor:
    cosine, sine = scale * math.cos(angle), scale * math.sin(angle)
    rotation = torch.tensor([[cosine, -sine, to[0]], [sine, cosine, to[1]]], dtype=torch.float64)
    return compose_affines(shift_affine(-center[0], -center[1]), rotation)


def pixel_centers(size: Size) -> Tensor:
    y, x = torch.meshgrid(torch.arange(size.height), torch.arange(size.width), indexing="ij")
    return torch.stack([x, y], dim=-1).reshape(-1, 2)


@pytest.mark.parametrize("angle", [0.0, 0.3, math.pi / 2, -2.5])
@pytest.mark.parametrize("scale", [0.3, 0.37, 0.5, 0.66, 0.7, 0.98, 1.0, 1.3, 2.0, 4.0])
def test_ramps_are_accurate_to_a_twentieth_of_a_pixel(scale: float, angle: float) -> None:
    source, size = Size(170, 140), Size(52, 44)
    y, x = torch.meshgrid(torch.arange(140.0), torch.arange(170.0), indexing="ij")
    image = torch.stack([x / 170, y / 140, (x - 2 * y + 300) / 500])
    affine = similarity_about((83.2, 71.9), scale, angle, (25.3, 21.8))
    warped = warp_affine(image, affine, size)

    positions = transform_points(invert_affine(affine), pixel_centers(size))
    x, y = positions.float().T
    expected = torch.stack([x / 170, y / 140, (x - 2 * y + 300) / 500])
    edge = 2 + 3 * max(1, 1 / scale)
    inside = (x > edge) & (x < source.width - 1 - edge) & (y > edge) & (y < source.height - 1 - edge)
    assert inside.sum() > 500
    assert (warped.flatten(1) - expected)[:, inside].abs().max() < 0.05 / 140


def test_whole_pixel_shifts_are_exact_and_half_pixel_shifts_cubic() -> None:
    image = torch.rand(3, 20, 30, generator=torch.Generator().manual_seed(5)) * 3 - 1
    size = Size(30, 20)
    assert torch.allclose(warp_affine(image, IDENTITY, size), image, atol=2e-5)
    assert torch.allclose(warp_affine(image, shift_affine(-4, 3), size)[:, 3:, :26], image[:, :-3, 4:], atol=2e-5)
    rotated = torch.tensor([[0, -1, 19.0], [1, 0, 0]], dtype=torch.float64)
    assert torch.allclose(warp_affine(image, rotated, Size(20, 30)), image.rot90(-1, (1, 2)), atol=2e-5)
    half = warp_affine(image, shift_affine(-0.5, 0), size)
    cubic = (19 * (image[..., 1:-2] + image[..., 2:-1]) - 3 * (image[..., :-3] + image[..., 3:])) / 32
    assert torch.allclose(half[..., 1:-2], cubic, atol=2e-5)


@pytest.mark.parametrize("angle", [0.0, 0.5])
@pytest.mark.parametrize("scale", [0.25, 0.23, 0.4])
def test_a_checkerboard_shrinks_to_gray(scale: float, angle: float) -> None:
    checkerboard = (torch.arange(400)[:, None] + torch.arange(400)).remainder(2).float().expand(1, 400, 400)
    warped = warp_affine(checkerboard, similarity_about((200, 200), scale, angle, (20, 20)), Size(40, 40))
    assert (warped - 0.5).abs().max() < 0.01


def amplitude(cycles_per_pixel: float, scale: float) -> float:
    """Warp a sine wave of amplitude 1 that has ``cycles_per_pixel`` in the output, and return its new amplitude."""
    wave = torch.sin(2 * math.pi * cycles_per_pixel * scale * torch.arange(1000.0)).expand(1, 40, 1000)
    affine = torch.tensor([[scale, 0, 0.21], [0, scale, 0.43]], dtype=torch.float64)
    width = int(1000 * scale)
    return float(warp_affine(wave, affine, Size(width, 4))[..., 8:-8].square().mean().mul(2).sqrt())


@pytest.mark.parametrize("scale", [0.11, 0.29, 0.4, 0.55, 0.62, 0.7])
def test_shrinking_keeps_low_frequencies_and_removes_aliasing(scale: float) -> None:
    assert 0.95 < amplitude(0.1, scale) < 1.02
    assert amplitude(0.25, scale) > 0.75
    assert amplitude(0.7, scale) < 0.14


@pytest.mark.parametrize("scale", [1.0, 1.6, 3.0])
def test_enlarging_keeps_detail(scale: float) -> None:
    assert amplitude(0.25 / scale, scale) > 0.87  # linear interpolation reaches at most 0.82


@pytest.mark.parametrize("scale", [0.4, 1.0, 2.5])
def test_edge_pixels_are_replicated(scale: float) -> None:
    image = torch.zeros(1, 20, 20)
    image[:, :, :6], image[:, :, 14:] = 0.25, 0.75
    warped = warp_affine(image, similarity_about((9.5, 9.5), scale, 0, (100, 50)), Size(200, 100))[0]
    assert torch.allclose(warped[:, :70], torch.full((100, 70), 0.25), atol=0.02)
    assert torch.allclose(warped[:, 130:], torch.full((100, 70), 0.75), atol=0.02)


def test_an_output_far_outside_shows_the_nearest_edge() -> None:
    image = torch.arange(12.0).view(1, 3, 4)
    for x, y, value in [(-1000, -1000, 0.0), (1000, -1000, 3.0), (-1000, 1000, 8.0), (1000, 1000, 11.0)]:
        warped = warp_affine(image, shift_affine(-x, -y), Size(2, 2))
        assert torch.allclose(warped, torch.full((1, 2, 2), value), atol=1e-4)


@pytest.mark.parametrize("scale", [1e-6, 0.1, 1.0, 1e6])
def test_a_single_pixel_fills_the_output(scale: float) -> None:
    warped = warp_affine(torch.full((3, 1, 1), 0.3), similarity_about((0, 0), scale, 0.2, (3, 3)), Size(7, 5))
    assert torch.allclose(warped, torch.full((3, 5, 7), 0.3), atol=1e-6)


@pytest.mark.parametrize("scale", [0.5, 1.0, 2.0])
def test_only_the_visible_part_is_read(scale: float) -> None:
    # This is an expanded view of one pixel. A full copy would need 40 GB.
    huge = torch.full((1, 1, 1), 0.4).expand(4, 50_000, 50_000)
    warped = warp_affine(huge, similarity_about((30_000, 20_000), scale, 0.3, (16, 16)), Size(32, 32))
    assert torch.allclose(warped, torch.full((4, 32, 32), 0.4))


@pytest.mark.parametrize("scale", [0.3, 0.9, 1.5])
def test_cropping_the_source_does_not_change_the_visible_part(scale: float) -> None:
    image = torch.rand(2, 3, 120, 120, generator=torch.Generator().manual_seed(6))
    affine = similarity_about((60, 60), scale, 0.2, (4.5, 4.5))
    radius = math.ceil(7 / scale + 4 / scale + 4)
    part = slice(60 - radius, 60 + radius) if radius < 60 else slice(0, 120)
    moved = compose_affines(shift_affine(part.start, part.start), affine)
    expected = warp_affine(image, affine, Size(10, 10))
    assert torch.allclose(warp_affine(image[..., part, part], moved, Size(10, 10)), expected, atol=1e-4)


def test_batches_dtypes_and_gradients_are_supported() -> None:
    image = torch.rand(2, 4, 9, 9, generator=torch.Generator().manual_seed(7))
    affine = similarity_about((4, 4), 0.8, 1.0, (3, 3))
    batch = warp_affine(image, affine, Size(6, 7))
    assert batch.shape == (2, 4, 7, 6)
    assert torch.allclose(batch[1], warp_affine(image[1], affine, Size(6, 7)))
    half = warp_affine(image.half(), affine, Size(6, 7))
    assert half.dtype == torch.float32
    assert torch.allclose(half, batch, atol=2e-3)
    leaf = image.clone().requires_grad_()
    with_gradient = warp_affine(leaf, affine, Size(6, 7))
    assert torch.equal(with_gradient.detach(), batch)
    with_gradient.sum().backward()
    assert leaf.grad is not None
    assert leaf.grad[..., 4, 4].min() > 0.5


def test_output_box_includes_the_full_border_pixels() -> None:
    assert output_box(IDENTITY, Size(5, 3)) == Box(0, 0, 5, 3)
    rotated = torch.tensor([[0, -2, 0], [2, 0, 0]], dtype=torch.float64)
    assert output_box(rotated, Size(5, 3)) == Box(-4.5, -0.5, 1.5, 9.5)


@pytest.mark.parametrize(
    ("image", "affine", "size", "error", "message"),
    [
        (torch.zeros(3, 4, 4, dtype=torch.uint8), IDENTITY, Size(2, 2), InputError, "floating point"),
        (torch.zeros(4, 4), IDENTITY, Size(2, 2), InputError, r"\(B, C, H, W\) or \(C, H, W\), got \(4, 4\)"),
        (torch.zeros(3, 0, 4), IDENTITY, Size(2, 2), InputError, r"got \(3, 0, 4\)"),
        (torch.zeros(3, 4, 4), IDENTITY * 0, Size(2, 2), InputError, "invertible"),
        (torch.zeros(3, 4, 4), IDENTITY.float(), Size(2, 2), InputError, "float64"),
        (torch.zeros(3, 4, 4), IDENTITY, Size(0, 2), OptionError, "got 0 x 2"),
    ],
)
def test_invalid_input_raises(image: Tensor, affine: Tensor, size: Size, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        warp_affine(image, affine, size)
