from __future__ import annotations

import pytest
import torch
from torch import Tensor

from psfr_core.errors import OptionError
from psfr_core.lab.degradation.closed_eyes import BOTH_EYES_PROBABILITY, NARROWED_PROBABILITY, close_eyes
from psfr_core.lab.degradation.config import DegradationConfig
from psfr_core.lab.training.face_samples import FaceSamples, FaceSet
from psfr_core.parsing.labels import FaceRegion

SKIN_COLOR = torch.tensor([0.8, 0.6, 0.5])[:, None, None]
EYES = {FaceRegion.RIGHT_EYE: 36, FaceRegion.LEFT_EYE: 92}  # column of each eye's center; the row is 60


def open_eyed_face() -> tuple[Tensor, Tensor]:
    """Return an image and labels of a face with skin and hair in one color, and blue ellipses as eyes."""
    rows, columns = torch.meshgrid(torch.arange(128), torch.arange(128), indexing="ij")
    labels = torch.where(rows < 16, FaceRegion.HAIR, FaceRegion.SKIN).to(torch.uint8)
    for region, center in EYES.items():
        labels[((columns - center) / 16) ** 2 + ((rows - 60) / 8) ** 2 <= 1] = region
    blue = torch.tensor([0.0, 0.0, 1.0])[:, None, None]
    return torch.where(is_eye(labels), blue, SKIN_COLOR), labels


def is_eye(labels: Tensor) -> Tensor:
    return (labels == FaceRegion.LEFT_EYE) | (labels == FaceRegion.RIGHT_EYE)


def closed(seed: int) -> tuple[Tensor, Tensor]:
    return close_eyes(*open_eyed_face(), torch.Generator().manual_seed(seed))


def is_blue(image: Tensor) -> Tensor:
    return image[2] > image[0] + 0.15


def test_lids_become_skin_in_the_labels_and_in_the_image() -> None:
    before, labels = open_eyed_face()
    kinds = {"closed": 0, "wink": 0, "narrow": 0}
    for seed in range(60):
        image, found = closed(seed)
        others = ~is_eye(labels)
        assert torch.equal(found[others], labels[others])
        areas = {eye: float((found == eye).sum() / (labels == eye).sum()) for eye in EYES}
        kinds["closed" if max(areas.values()) == 0 else "wink" if 1.0 in areas.values() else "narrow"] += 1
        for eye, area in areas.items():
            lids = (labels == eye) & (found != eye)
            assert set(found[lids].tolist()) <= {int(FaceRegion.SKIN)}
            if area < 1:  # a little blue remains, because the edge of the opening is stretched as well
                assert is_blue(image)[lids].float().mean() < (0.3 if area else 0.15)
                assert area == 0 or 0.3 < area < 0.75
            else:
                assert torch.equal(image[:, labels == eye], before[:, labels == eye])
        far = torch.ones(128, 128, dtype=torch.bool)
        far[30:95, 15:113] = False
        assert torch.equal(image[:, far], before[:, far])
        assert 0 <= image.min() <= image.max() <= 1
    # winks include both closed and narrowed eyes
    assert kinds["wink"] / 60 == pytest.approx(1 - BOTH_EYES_PROBABILITY, abs=0.12)
    assert kinds["narrow"] / 60 == pytest.approx(NARROWED_PROBABILITY * BOTH_EYES_PROBABILITY, abs=0.12)


def test_drawings_differ_and_are_reproducible() -> None:
    assert torch.equal(closed(3)[0], closed(3)[0])
    lids = torch.stack([image[:, 50:74, 22:50].mean(dim=(1, 2)) for image, _ in map(closed, range(20))])
    assert lids.std(dim=0).min() > 0.02


def test_faces_without_eyes_do_not_change() -> None:
    image, labels = open_eyed_face()
    labels[is_eye(labels)] = FaceRegion.GLASSES
    labels[60, 36:39] = FaceRegion.RIGHT_EYE  # a small part of an eye, as behind hair
    after, found = close_eyes(image, labels, torch.Generator().manual_seed(0))
    assert torch.equal(after, image)
    assert torch.equal(found, labels)


GENTLE = DegradationConfig(blur_probability=0, reduced_side=(0.9, 1.0), noise_probability=0, jpeg_probability=0)
HEAVY = DegradationConfig(blur_probability=1, gaussian_sigma_px=(30, 30), reduced_side=(1 / 16, 1 / 16))


def mean_eye_area(degradation: DegradationConfig, closed_eyes: float) -> float:
    """Return the mean area of the eyes in the labels of 30 samples, as a fraction of their area in the open face."""
    image, labels = open_eyed_face()
    faces = FaceSet((image * 255).to(torch.uint8)[None], labels[None])
    samples = FaceSamples(faces, [degradation], seed=0, closed_eyes=closed_eyes)
    return float(
        torch.stack([is_eye(samples[index].labels).sum() for index in range(30)]).float().mean() / is_eye(labels).sum()
    )


# About a fifth of the eye area of drawn faces stays open: one eye of a wink, and half of narrowed eyes.
@pytest.mark.parametrize(("fraction", "area"), [(0.0, 1.0), (0.5, 0.6), (1.0, 0.2)])
def test_a_fraction_of_the_samples_has_closed_eyes(fraction: float, area: float) -> None:
    assert mean_eye_area(GENTLE, fraction) == pytest.approx(area, abs=0.15)


def test_eyes_that_are_too_blurred_stay_open() -> None:
    assert mean_eye_area(HEAVY, 1.0) > 0.8


def test_fractions_out_of_range_are_rejected() -> None:
    faces = FaceSet(torch.zeros(1, 3, 8, 8, dtype=torch.uint8), torch.zeros(1, 8, 8, dtype=torch.uint8))
    with pytest.raises(OptionError, match=r"closed_eyes must be between 0 and 1, got 1\.5"):
        FaceSamples(faces, [GENTLE], seed=0, closed_eyes=1.5)
