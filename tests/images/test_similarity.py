from __future__ import annotations

import math

import pytest
import torch

from psfr_core.errors import InputError
from psfr_core.images.box import Size
from psfr_core.images.similarity import (
    affine_scale,
    compose_affines,
    fit_similarity,
    fit_similarity_robustly,
    invert_affine,
    resize_affine,
    shift_affine,
    transform_points,
)


def similarity(scale: float, angle: float, x: float, y: float) -> torch.Tensor:
    cosine, sine = scale * math.cos(angle), scale * math.sin(angle)
    return torch.tensor([[cosine, -sine, x], [sine, cosine, y]], dtype=torch.float64)


@pytest.mark.parametrize("scale", [0.02, 0.7, 1.0, 30.0])
@pytest.mark.parametrize("angle", [0.0, 0.4, math.pi / 2, -3.0])
def test_fit_recovers_a_known_transform(scale: float, angle: float) -> None:
    known = similarity(scale, angle, 123.4, -56.7)
    points = torch.rand(5, 2, generator=torch.Generator().manual_seed(2)) * 512
    assert torch.allclose(fit_similarity(points, transform_points(known, points)), known, atol=1e-4)


def test_fit_minimizes_the_squared_error() -> None:
    generator = torch.Generator().manual_seed(3)
    source, target = (torch.rand(7, 2, generator=generator, dtype=torch.float64) for _ in range(2))
    fit = fit_similarity(source, target + 3 * source)
    error = (transform_points(fit, source) - target - 3 * source).square().sum()
    for row in range(4):
        change = torch.zeros(2, 3, dtype=torch.float64)
        change[0, 0], change[1, 1] = (1e-3, 1e-3) if row == 0 else (0, 0)
        change[0, 1], change[1, 0] = (-1e-3, 1e-3) if row == 1 else (0, 0)
        change[:, 2] = torch.tensor([row == 2, row == 3]) * 1e-3
        for nudged in (fit + change, fit - change):
            assert (transform_points(nudged, source) - target - 3 * source).square().sum() > error


def test_fit_contains_no_reflection() -> None:
    source = torch.tensor([[0.0, 0.0], [4.0, 0.0], [4.0, 1.0]])
    fit = fit_similarity(source, source * torch.tensor([-1.0, 1.0]))
    assert torch.linalg.det(fit[:, :2]) > 0


@pytest.mark.parametrize(
    ("source", "target", "message"),
    [
        (torch.ones(5, 2), torch.rand(5, 2), "must differ"),
        (torch.full((5, 2), math.nan), torch.rand(5, 2), "NaN or infinite"),
        (torch.rand(5, 2), torch.full((5, 2), math.inf), "NaN or infinite"),
        (torch.rand(5, 2), torch.ones(5, 2) * 3, "No similarity"),
        (torch.rand(5, 2), torch.rand(4, 2), r"target points must have the shape \(5, 2\), got \(4, 2\)"),
        (torch.rand(5, 3), torch.rand(5, 3), r"source points must have the shape \(N, 2\)"),
    ],
)
def test_invalid_points_raise(source: torch.Tensor, target: torch.Tensor, message: str) -> None:
    with pytest.raises(InputError, match=message):
        fit_similarity(source, target)


def test_composition_with_the_inverse_is_the_identity() -> None:
    affine = similarity(0.3, 1.1, 40, -7)
    identity = torch.eye(2, 3, dtype=torch.float64)
    assert torch.allclose(compose_affines(affine, invert_affine(affine)), identity, atol=1e-12)
    assert torch.allclose(compose_affines(invert_affine(affine), affine), identity, atol=1e-12)


def test_composition_applies_the_first_transform_first() -> None:
    moved_then_doubled = compose_affines(shift_affine(1, 2), similarity(2, 0, 0, 0))
    assert transform_points(moved_then_doubled, torch.tensor([[10.0, 20.0]])).tolist() == [[22, 44]]


def test_scale_is_output_pixels_per_input_pixel() -> None:
    assert affine_scale(similarity(0.25, 2.0, 5, 5)) == pytest.approx(0.25)
    assert affine_scale(torch.tensor([[-2.0, 0, 0], [0, 8, 0]])) == pytest.approx(4)


def test_resize_aligns_the_outer_pixel_borders() -> None:
    affine = resize_affine(Size(512, 100), Size(256, 300))
    corners = torch.tensor([[-0.5, -0.5], [511.5, 99.5]])
    assert transform_points(affine, corners).tolist() == [[-0.5, -0.5], [255.5, 299.5]]


@pytest.mark.parametrize(
    ("affine", "message"),
    [
        (torch.zeros(2, 3, dtype=torch.float64), "invertible"),
        (torch.full((2, 3), math.nan, dtype=torch.float64), "finite"),
        (torch.eye(2, 3), "float64"),
        (torch.eye(3, dtype=torch.float64), r"shape \(2, 3\)"),
    ],
)
def test_affines_that_are_not_invertible_raise(affine: torch.Tensor, message: str) -> None:
    with pytest.raises(InputError, match=message):
        invert_affine(affine)


def test_robust_fit_ignores_an_outlier() -> None:
    affine = torch.tensor([[1.2, -0.4, 7.0], [0.4, 1.2, -3.0]], dtype=torch.float64)
    source = torch.tensor([[0, 0], [40, 3], [20, 25], [5, 50], [37, 48]], dtype=torch.float64)
    target = transform_points(affine, source)
    target[2] += torch.tensor([15.0, -9.0])
    torch.testing.assert_close(fit_similarity_robustly(source, target), affine, atol=1e-9, rtol=0)
    assert (fit_similarity(source, target) - affine).abs().max() > 1


def test_robust_fit_of_two_points_equals_the_plain_fit() -> None:
    source, target = torch.tensor([[0.0, 0.0], [2.0, 0.0]]), torch.tensor([[1.0, 1.0], [1.0, 5.0]])
    torch.testing.assert_close(fit_similarity_robustly(source, target), fit_similarity(source, target))
