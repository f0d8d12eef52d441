"""Test the masks, hands and other objects that are drawn over faces."""

from __future__ import annotations

import numpy as np
from PIL import Image

from psfr_core.faces.template import template_for
from psfr_core.lab.training.occluders import occlude

LANDMARKS = template_for(128).numpy()
TEXTURE = Image.new("RGB", (64, 64), (40, 200, 60))


def occluded(seed: int) -> np.ndarray:
    """Return a gray, partly transparent face with one occluder."""
    image = Image.new("RGBA", (128, 128), (120, 120, 120, 77))
    occlude(image, LANDMARKS, [TEXTURE], np.random.default_rng(seed))
    return np.asarray(image)


def test_occluders_are_reproducible_and_keep_alpha() -> None:
    assert np.array_equal(occluded(3), occluded(3))
    assert not np.array_equal(occluded(3), occluded(4))
    assert all((occluded(seed)[..., 3] == 77).all() for seed in range(30))


def test_eyes_or_mouth_stay_visible_in_most_faces() -> None:
    eyes, mouths = np.zeros(200, bool), np.zeros(200, bool)
    for seed in range(200):
        changed = (occluded(seed)[..., :3] != 120).any(axis=2)
        hidden = [changed[round(y), round(x)] for x, y in LANDMARKS]
        eyes[seed], mouths[seed] = hidden[0] and hidden[1], hidden[3] and hidden[4]
    assert 0.35 < mouths.mean() < 0.75  # most of them are covered by masks
    assert 0.05 < eyes.mean() < 0.25  # most of them are covered by sunglasses
    assert (eyes & mouths).mean() < 0.05
