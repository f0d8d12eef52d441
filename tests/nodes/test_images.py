from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
import torch


@pytest.fixture
def images(pack: Callable[[str], ModuleType]) -> Any:
    return pack("nodes.images")


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_frames_are_a_view_and_convert_back_unchanged(images: Any, channels: int) -> None:
    image = torch.rand(2, 5, 7, channels)
    frames = images.to_frames(image)
    assert frames.shape == (2, channels, 5, 7)
    assert frames.data_ptr() == image.data_ptr()
    back = images.to_image(frames)
    assert torch.equal(back, image)
    assert back.is_contiguous()


def test_images_of_any_channels_become_rgb(images: Any) -> None:
    gray = torch.rand(1, 4, 4, 1, dtype=torch.float16)
    rgb = images.to_rgb_batch(gray)
    assert rgb.dtype == torch.float32
    assert torch.equal(rgb, gray.float().movedim(-1, 1).expand(1, 3, 4, 4))
    rgba = torch.cat([torch.rand(1, 4, 4, 3), torch.full((1, 4, 4, 1), 0.5)], dim=-1)
    assert torch.equal(images.to_rgb_batch(rgba), rgba[..., :3].movedim(-1, 1))


@pytest.mark.parametrize("shape", [(1, 64, 64), (1, 90, 80), (2, 90, 80), (90, 80)])
def test_an_unpainted_mask_is_ignored_and_reported(
    images: Any, shape: tuple[int, ...], caplog: pytest.LogCaptureFixture
) -> None:
    """Test the masks of Load Image: zeros of 64 x 64 without alpha, and zeros of the image size if nothing is painted."""
    caplog.set_level("INFO")
    assert images.masks_of_frames(torch.zeros(shape), 2) == [None, None]
    assert "The mask is unpainted" in caplog.text
    caplog.clear()
    painted = torch.zeros(shape)
    painted[..., 3, 5] = 0.1
    assert [float(mask[3, 5]) for mask in images.masks_of_frames(painted, 2)] == pytest.approx([0.1, 0.1])
    assert images.masks_of_frames(None, 2) == [None, None]
    assert caplog.text == ""


def test_a_black_mask_among_painted_ones_is_kept(images: Any) -> None:
    each = torch.stack([torch.zeros(9, 8), torch.ones(9, 8)])
    assert torch.equal(torch.stack(images.masks_of_frames(each, 2)), each)


def test_one_mask_or_one_per_frame_is_accepted(images: Any, pack: Any) -> None:
    one = torch.rand(9, 8)
    assert all(torch.equal(mask, one) for mask in images.masks_of_frames(one, 2))
    each = torch.rand(2, 9, 8)
    assert torch.equal(torch.stack(images.masks_of_frames(each, 2)), each)
    assert torch.equal(torch.stack(images.masks_of_frames(each[:, None], 2)), each)  # some packs return (B, 1, H, W)
    with pytest.raises(pack("psfr_core.errors").InputError, match="3 masks where 2 are needed"):
        images.masks_of_frames(torch.rand(3, 9, 8), 2)


def test_an_image_of_another_shape_is_an_error(images: Any, pack: Any) -> None:
    with pytest.raises(pack("psfr_core.errors").InputError, match=r"image must have the shape \(B, H, W, C\)"):
        images.check_image(torch.rand(4, 4, 3), "image")
