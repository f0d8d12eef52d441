"""The numbers that users of steady crops rely on: little jitter, no lag, nothing smeared."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from psfr_core.errors import InputError
from psfr_core.faces.align import fit_template
from psfr_core.faces.template import template_for
from psfr_core.images.similarity import invert_affine, transform_points
from psfr_core.video.one_euro import OneEuroFilter, smooth_causally
from psfr_core.video.steady_alignment import Smoothing, align_track, crop_transform
from psfr_core.video.steady_landmarks import landmark_noise, smooth_landmarks
from psfr_core.video.tracks import Track

FRAMES = torch.arange(100, dtype=torch.float64)
CORNERS = torch.tensor([[0.0, 0.0], [511.0, 0.0], [0.0, 511.0], [511.0, 511.0]], dtype=torch.float64)


def moving(x: Tensor) -> Tensor:
    """Landmarks (N, 5, 2) of a face of 200 px that moves to the right by ``x`` (N,)."""
    return template_for(200) + torch.stack([x, torch.zeros_like(x)], dim=1)[:, None]


def noisy(landmarks: Tensor, noise: float = 2.0, seed: int = 0) -> Tensor:
    return landmarks + noise * torch.randn(landmarks.shape, generator=torch.Generator().manual_seed(seed)).double()


def track_of(landmarks: Tensor, scores: Tensor | None = None) -> Track:
    boxes = torch.cat([landmarks.amin(1), landmarks.amax(1)], dim=1)
    return Track(0, landmarks, boxes, torch.ones(len(landmarks)).double() if scores is None else scores)


def crop_corners(transforms: Tensor) -> Tensor:
    """Return the positions (N, 4, 2) in the image of the corners of a 512 px crop."""
    return torch.stack([transform_points(invert_affine(crop_transform(one, 512)), CORNERS) for one in transforms])


def jitter(transforms: Tensor, truth: Tensor) -> float:
    """RMS change of the corners' errors from frame to frame."""
    return float((crop_corners(transforms) - crop_corners(truth)).diff(dim=0).square().mean().sqrt())


STILL = moving(torch.zeros(100))
PAN = moving(20 * FRAMES)
STEP = moving(torch.where(FRAMES < 50, 0.0, 40.0).double())


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("truth", [STILL, PAN], ids=["still", "pan"])
def test_jitter_falls_by_more_than_70_percent(truth: Tensor, seed: int) -> None:
    found = noisy(truth, seed=seed)
    exact, before, after = (
        align_track(track_of(truth), Smoothing.NONE),
        align_track(track_of(found), Smoothing.NONE),
        align_track(track_of(found)),
    )
    assert jitter(after, exact) < 0.2 * jitter(before, exact)
    deviation = (crop_corners(after) - crop_corners(exact)).square().mean()
    assert deviation < 0.3**2 * (crop_corners(before) - crop_corners(exact)).square().mean()


@pytest.mark.parametrize("seed", range(3))
def test_a_pan_is_followed_without_lag(seed: int) -> None:
    lag = (smooth_landmarks(noisy(PAN, seed=seed)) - PAN)[..., 0].mean(1)
    assert abs(float(lag.mean())) < 0.25
    assert lag[5:-5].abs().max() < 0.8  # the noise that remains
    assert smooth_landmarks(PAN) == pytest.approx(PAN, abs=1e-9)


def test_a_sudden_movement_is_not_smeared() -> None:
    error = (smooth_landmarks(noisy(STEP)) - STEP)[..., 0].mean(1).abs()
    assert error[45:55].max() < 2.5  # a Gaussian of the same strength has errors up to 20 px
    assert error[:45].max() < 1.5


def test_fast_shaking_stays_as_found() -> None:
    shaking = moving(30 * torch.sin(FRAMES * (2 * math.pi / 12)))
    found = noisy(shaking, 0.5)
    assert (smooth_landmarks(found) - found).abs().max() < 2


def test_a_single_false_detection_is_ignored() -> None:
    found = noisy(STILL)
    found[40] += 30
    assert (smooth_landmarks(found)[40] - STILL[40]).abs().max() < 2


def test_identical_frames_give_identical_results() -> None:
    assert torch.equal(smooth_landmarks(STILL), STILL)
    transforms = align_track(track_of(STILL))
    assert torch.equal(transforms, transforms[:1].expand_as(transforms))
    assert crop_transform(transforms[0], 64) == pytest.approx(fit_template(STILL[0], 64), abs=1e-9)


@pytest.mark.parametrize("truth", [STILL, PAN], ids=["still", "pan"])
def test_frames_without_the_face_do_not_count(truth: Tensor) -> None:
    found, scores = noisy(truth), torch.ones(100).double()
    found[31:36], scores[31:36] = 1e3, 0  # a gap
    found[41:99:2], scores[41:99:2] = 1e3, 0  # skipped frames
    exact = align_track(track_of(truth), Smoothing.NONE)
    error = (crop_corners(align_track(track_of(found, scores))) - crop_corners(exact)).square().mean()
    before = (crop_corners(align_track(track_of(noisy(truth)), Smoothing.NONE)) - crop_corners(exact)).square().mean()
    assert error < 0.4**2 * before


def test_a_false_detection_between_skipped_frames_is_ignored() -> None:
    frames = torch.cat([torch.arange(0, 40, 2), torch.arange(40, 50), torch.arange(50, 100, 3)])
    truth = moving(2 * FRAMES)[frames]
    for index in (8, 25, 40):
        found = noisy(truth)
        found[index] += 30
        assert (smooth_landmarks(found, frames)[index] - truth[index]).abs().max() < 2.5


def test_noise_is_measured_without_the_motion() -> None:
    assert landmark_noise(noisy(moving(40 * torch.sin(FRAMES / 3)))) == pytest.approx(2, rel=0.15)
    assert landmark_noise(noisy(STILL, 0.3)) == pytest.approx(0.3, rel=0.15)


@pytest.mark.parametrize("count", range(1, 9))
def test_short_tracks_stay_near_what_was_found(count: int) -> None:
    found = noisy(moving(5 * FRAMES[:count]))
    smooth = smooth_landmarks(found)
    assert smooth.shape == found.shape
    assert (smooth - found).abs().max() < 5
    assert align_track(track_of(found)).isfinite().all()


def test_the_crop_does_not_jump_when_a_landmark_stops_to_agree() -> None:
    turning = STILL + torch.tensor([[3, 1], [-2, 4], [1, -3], [-4, 2], [2, -4]]).double()  # unlike the template
    turning[:, 2, 0] += 0.8 * FRAMES  # the nose of a head that turns
    steps = crop_corners(align_track(track_of(turning))).diff(dim=0).norm(dim=-1).amax(1)
    alone = crop_corners(align_track(track_of(turning), Smoothing.NONE)).diff(dim=0).norm(dim=-1).amax(1)
    assert alone.max() > 3
    assert steps.max() < 0.35 * alone.max()


def test_the_past_alone_halves_jitter_and_lags_less_than_half_a_pixel() -> None:
    smooth = smooth_causally(noisy(STILL))
    assert smooth[20:].diff(dim=0).std() < 0.4 * noisy(STILL)[20:].diff(dim=0).std()
    assert (smooth_causally(PAN) - PAN)[30:].abs().max() < 0.5
    assert torch.equal(smooth_causally(STILL), STILL)
    one_euro = OneEuroFilter()
    assert torch.equal(
        torch.stack([one_euro.add(points) for points in noisy(PAN)[:50]]), smooth_causally(noisy(PAN))[:50]
    )


def test_landmarks_must_be_finite_points_of_faces() -> None:
    with pytest.raises(InputError, match="must have the shape"):
        smooth_landmarks(torch.rand(10, 4, 2))
    with pytest.raises(InputError, match="finite"):
        smooth_landmarks(torch.full((10, 5, 2), torch.nan))
