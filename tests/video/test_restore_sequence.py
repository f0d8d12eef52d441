"""Images that are the frames of one video."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from torch import Tensor

from psfr_core.errors import InputError, NoFaceError
from psfr_core.faces.face import Face
from psfr_core.faces.selection import LeftOut, SelectionOptions
from psfr_core.images.box import Size
from psfr_core.restoration.restoration_models import RestorationModels
from psfr_core.restoration.restore import restore_image
from psfr_core.restoration.restore_options import NoFace, RestoreOptions
from psfr_core.video.restore_sequence import restore_sequence
from psfr_core.video.steady_alignment import Smoothing
from psfr_core.video.video_options import VideoOptions, VideoStep

SINGLE_FRAMES = VideoOptions(smoothing=Smoothing.NONE, steady_frames=0)


@pytest.fixture
def found(models: RestorationModels, two_faces: list[Face]) -> RestorationModels:
    models.detector.faces[:] = two_faces  # type: ignore[attr-defined]
    return models


@pytest.fixture
def frames() -> Tensor:
    generator = torch.Generator().manual_seed(0)
    still = torch.rand(3, 15, 20, generator=generator).repeat_interleave(8, 1).repeat_interleave(8, 2)
    return (still + 0.02 * torch.randn(5, 3, 120, 160, generator=generator)).clamp(0, 1)


def test_without_steadiness_frames_are_restored_like_images(found: RestorationModels, frames: Tensor) -> None:
    result = restore_sequence(frames, found, video=SINGLE_FRAMES)
    for index, frame in enumerate(frames):
        alone = restore_image(frame, found)
        # Probabilities of float16 may choose another region in a few pixels.
        assert float((result.images[index] - alone.image).abs().mean()) < 1e-3
        assert float((result.masks[index] - alone.mask).abs().mean()) < 1e-3
    assert len(result.tracks) == 2


def test_noise_of_still_faces_is_reduced_and_the_rest_stays_bit_identical(
    found: RestorationModels, frames: Tensor
) -> None:
    single, steady = (restore_sequence(frames, found, video=video) for video in (SINGLE_FRAMES, VideoOptions()))
    inside = (single.masks.amin(0) > 0.9) & (steady.masks.amin(0) > 0.9)
    assert int(inside.sum()) > 500
    changes = [result.images.diff(dim=0)[:, :, inside[0]].abs().mean() for result in (single, steady)]
    assert float(changes[1]) < 0.5 * float(changes[0])
    outside = (steady.masks == 0).expand_as(frames)
    assert torch.equal(steady.images[outside], frames[outside])


def test_equal_frames_get_equal_results(found: RestorationModels, frames: Tensor) -> None:
    frames[3] = frames[2]
    result = restore_sequence(frames, found)
    assert torch.equal(result.images[3], result.images[2])
    assert torch.equal(result.masks[3], result.masks[2])
    assert not torch.equal(result.images[1], result.images[2])


def test_alpha_and_gray_are_kept(found: RestorationModels, frames: Tensor) -> None:
    gray_with_alpha = torch.cat([frames[:, :1], torch.full_like(frames[:, :1], 0.7)], dim=1).double()
    result = restore_sequence(gray_with_alpha, found)
    assert result.images.dtype == torch.float64
    assert torch.equal(result.images[:, 1], gray_with_alpha[:, 1])
    assert not torch.equal(result.images[:, 0], gray_with_alpha[:, 0])


def test_a_mask_chooses_faces_for_the_whole_sequence(
    found: RestorationModels, frames: Tensor, two_faces: list[Face]
) -> None:
    masks = [torch.zeros(120, 160) for _ in frames]
    two_faces[0].box.to_pixels(Size(160, 120)).cut(masks[2]).fill_(1)  # in the middle frame
    result = restore_sequence(frames, found, masks=masks)
    assert [tuple(track.face(0).box) for track in result.tracks] == [pytest.approx(tuple(two_faces[0].box))]
    assert +Counter(result.left_out) == {LeftOut.OUTSIDE_MASK: 1}
    with pytest.raises(InputError, match="one entry for each of the 5 images, got 4"):
        restore_sequence(frames, found, masks=masks[:4])


def test_tracks_that_are_left_out_are_counted(found: RestorationModels, frames: Tensor) -> None:
    result = restore_sequence(frames, found, RestoreOptions(selection=SelectionOptions(min_size=1000)))
    assert (result.tracks, +Counter(result.left_out)) == ([], {LeftOut.TOO_SMALL: 2})


def test_progress_names_both_passes_and_may_stop_at_each_frame(found: RestorationModels, frames: Tensor) -> None:
    steps: list[tuple[VideoStep, int]] = []

    def stop(step: VideoStep, done: int, total: int) -> None:
        assert total == 5
        steps.append((step, done))
        if step is VideoStep.RESTORE and done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        restore_sequence(frames, found, progress=stop)
    assert (VideoStep.FIND, 5) in steps
    assert steps[-1] == (VideoStep.RESTORE, 2)


def test_a_sequence_without_a_face_stays_or_is_an_error(models: RestorationModels, frames: Tensor) -> None:
    assert torch.equal(restore_sequence(frames, models).images, frames)
    with pytest.raises(NoFaceError, match="found in the frames"):
        restore_sequence(frames, models, RestoreOptions(no_face=NoFace.ERROR))
    with pytest.raises(InputError, match="images"):
        restore_sequence(frames[0], models)
