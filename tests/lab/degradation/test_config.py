import json
import re

import pytest

from psfr_core.errors import OptionError
from psfr_core.lab.degradation.config import DegradationConfig
from psfr_core.lab.degradation.old_photo_config import OldPhotoConfig


def test_the_defaults_are_the_published_values():
    config = DegradationConfig()
    assert (config.grey_probability, config.blur_probability) == (0.3, 0.5)
    assert (config.noise_probability, config.noise_per_channel_probability, config.jpeg_probability) == (0.2, 0.5, 0.7)
    assert config.gaussian_sigma_px == config.box_size_px == config.median_size_px == (3, 15)
    assert config.motion_length_px == (5, 25)
    assert config.reduced_side == (32 / 512, 256 / 512)
    assert config.noise_std == (0, 0.1)
    assert config.jpeg_quality == (35, 90)


def test_json_round_trip():
    config = DegradationConfig(blur_probability=1.0, noise_std=(0.02, 0.05), jpeg_quality=(10, 20))
    assert DegradationConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_json_round_trip_of_old_photographs():
    config = DegradationConfig(
        jpeg_probability=0.1, old_photo=OldPhotoConfig(dust_count=(1, 2), toning_probability=1.0)
    )
    values = json.loads(json.dumps(config.to_dict()))
    assert values["old_photo"]["dust_count"] == [1, 2]
    assert DegradationConfig.from_dict(values) == config
    assert DegradationConfig().to_dict()["old_photo"] is None
    assert DegradationConfig.from_dict({"old_photo": {}}).old_photo == OldPhotoConfig()


def test_missing_names_keep_their_defaults():
    assert DegradationConfig.from_dict({"noise_std": [0.0, 0.2]}) == DegradationConfig(noise_std=(0.0, 0.2))
    assert DegradationConfig.from_dict({}) == DegradationConfig()


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"grey_probability": 1.2}, "grey_probability must be a number from 0 to 1, got 1.2"),
        ({"jpeg_probability": "often"}, "jpeg_probability must be a number from 0 to 1, got 'often'"),
        ({"noise_std": [0.2, 0.1]}, "noise_std must be (low, high) with 0 <= low <= high <= 1, got (0.2, 0.1)"),
        ({"jpeg_quality": [0, 90]}, "jpeg_quality must be (low, high) with 1 <= low <= high <= 100, got (0, 90)"),
        ({"reduced_side": [0.5, float("nan")]}, "reduced_side must be (low, high)"),
        ({"box_size_px": 3.0}, "box_size_px must be two numbers (low, high), got 3.0"),
        ({"box_size_px": [3.0]}, "box_size_px must be two numbers (low, high), got (3.0,)"),
        ({"box_size_px": ["a", "b"]}, "box_size_px must be two numbers (low, high), got ('a', 'b')"),
        ({"old_photo": 1}, "old_photo must be an object of ranges by name or null, got 1"),
        ({"old_photo": {"tone_hue": [0, 400]}}, "tone_hue must be (low, high) with 0 <= low <= high <= 360"),
        (
            {"old_photo": {"jpeg_quality": [1, 2]}},
            "Unknown fields of a degradation: jpeg_quality. Known fields: focus_prob",
        ),
        (
            {"sharpness": [0, 1]},
            "Unknown fields of a degradation: sharpness. Known fields: grey_probability, blur_probability,",
        ),
    ],
)
def test_invalid_values_are_rejected(values, words):
    with pytest.raises(OptionError, match=re.escape(words)):
        DegradationConfig.from_dict(values)
