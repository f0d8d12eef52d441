from __future__ import annotations

import pytest
import torch
from torch import Tensor

from psfr_core.faces.align import AlignedFace, align_faces
from psfr_core.faces.face import Face
from psfr_core.faces.template import template_for
from psfr_core.images.box import Box
from psfr_core.images.filters import gaussian_blur
from psfr_core.restoration.grain import add_grain
from psfr_core.restoration.paste import PasteResult

SIZE = 256


def face_at(left: float, top: float, side: float) -> Face:
    landmarks = (template_for(512) + 0.5) * side / 512 - 0.5 + torch.tensor([left, top])
    return Face(Box(left, top, left + side, top + side), landmarks.float(), 1.0)


def grainy(std: float, blur: float = 0.0, channels: int = 3) -> Tensor:
    """Return a flat image with grain shared by all channels, plus independent grain, a third as strong, in each channel."""
    white = torch.randn(1, 1, SIZE, SIZE) + torch.randn(1, channels, SIZE, SIZE) / 3
    grain = gaussian_blur(white, blur)
    return 0.5 + std * (grain / grain.std())[0]


def restored(image: Tensor, mask: float = 1.0) -> tuple[PasteResult, list[AlignedFace]]:
    """Return a paste result in which the middle of ``image`` is blended with gray by ``mask``, and a face at this position."""
    smooth, where = image.clone(), torch.zeros(1, SIZE, SIZE)
    where[:, 32:224, 32:224] = mask
    channels = slice(0, 1 if len(image) < 3 else 3)
    smooth[channels] = torch.lerp(image[channels].float(), torch.tensor(0.5), where).to(image.dtype)
    faces = align_faces(torch.rand(3, SIZE, SIZE), [face_at(20, 20, 216)], 64)
    return PasteResult(smooth, where), faces


INSIDE = (slice(None), slice(40, 216), slice(40, 216))


@pytest.mark.parametrize("blur", [0.0, 0.7, 1.0])
def test_grain_has_the_strength_size_and_color_of_the_photos(blur: float) -> None:
    image = grainy(0.05, blur)
    pasted, faces = restored(image)
    result = add_grain(image, pasted, faces, 1.0).image[INSIDE]
    photo = image[INSIDE]
    assert float(result.std()) == pytest.approx(0.05, rel=0.15)
    for lag in (1, 2):
        torch.testing.assert_close(
            correlation(result[..., lag:], result[..., :-lag]),
            correlation(photo[..., lag:], photo[..., :-lag]),
            atol=0.12,
            rtol=0,
        )
    torch.testing.assert_close(correlation(result[0], result[2]), correlation(photo[0], photo[2]), atol=0.05, rtol=0)


def correlation(a: Tensor, b: Tensor) -> Tensor:
    a, b = a - a.mean(), b - b.mean()
    return (a * b).mean() / (a.std() * b.std())


@pytest.mark.parametrize(("amount", "mask"), [(1.0, 0.5), (1.0, 0.2), (0.5, 1.0)])
def test_the_remaining_grain_of_the_photo_is_counted(amount: float, mask: float) -> None:
    image = grainy(0.05)
    pasted, faces = restored(image, mask)
    std = float(add_grain(image, pasted, faces, amount).image[INSIDE].std())
    assert std == pytest.approx(0.05 * amount, rel=0.12)


def test_a_result_with_the_grain_of_the_photo_gets_no_more() -> None:
    image = grainy(0.05)
    pasted, faces = restored(image)
    again = PasteResult(grainy(0.05), pasted.mask)
    torch.testing.assert_close(add_grain(image, again, faces, 1.0).image.std(), again.image.std(), atol=0.003, rtol=0)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_only_replaced_pixels_get_grain(channels: int, dtype: torch.dtype) -> None:
    image = grainy(0.05, channels=channels).to(dtype)
    pasted, faces = restored(image)
    grained = add_grain(image, pasted, faces, 1.0)
    untouched = (pasted.mask == 0).expand_as(image)
    assert grained.image.dtype == dtype
    assert torch.equal(grained.image[untouched], image[untouched])
    if channels in (2, 4):
        assert torch.equal(grained.image[-1], image[-1])
    assert (grained.image - pasted.image)[INSIDE].float().std() > 0.03
    assert torch.equal(add_grain(image, pasted, faces, 1.0).image, grained.image)
    assert add_grain(image, pasted, faces, 0.0) is pasted


def test_gray_grain_stays_gray_and_differs_between_frames() -> None:
    frames = [grainy(0.05)[:1].repeat(3, 1, 1) for _ in range(2)]
    grains: list[Tensor] = []
    for image in frames:
        pasted, faces = restored(image)
        result = add_grain(image, pasted, faces, 1.0).image
        assert torch.equal(result[:1].expand_as(result), result)
        grains.append(result[INSIDE])
    assert correlation(grains[0], grains[1]).abs() < 0.1


def test_small_and_overlapping_faces_are_accepted() -> None:
    image = grainy(0.05)
    pasted, faces = restored(image)
    small = align_faces(torch.rand(3, SIZE, SIZE), [face_at(100, 100, 20), face_at(-15, 240, 30)], 64)
    assert torch.equal(add_grain(image, pasted, small, 1.0).image, pasted.image)
    twice = add_grain(image, pasted, faces * 2, 1.0).image
    assert torch.equal(twice, add_grain(image, pasted, faces, 1.0).image)


def test_a_face_without_measurable_grain_leaves_its_pixels_to_others() -> None:
    image = grainy(0.05)
    pasted, faces = restored(image)
    small = align_faces(torch.rand(3, SIZE, SIZE), [face_at(100, 100, 20)], 64)
    assert torch.equal(add_grain(image, pasted, small + faces, 1.0).image, add_grain(image, pasted, faces, 1.0).image)


def test_hidden_colors_that_are_not_finite_are_not_measured() -> None:
    image = torch.cat([grainy(0.05), torch.ones(1, SIZE, SIZE)])
    image[:3, 60:63], image[3, 60:63] = torch.nan, 0
    pasted, faces = restored(image)
    pasted.mask[:, 60:63] = 0
    result = add_grain(image, pasted, faces, 1.0).image
    assert float(result[:3, 100:200, 40:216].std()) == pytest.approx(0.05, rel=0.15)
