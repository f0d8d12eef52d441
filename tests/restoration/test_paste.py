from __future__ import annotations

import math
from itertools import permutations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from psfr_core.errors import InputError, OptionError
from psfr_core.faces.align import AlignedFace, align_faces
from psfr_core.faces.face import Face
from psfr_core.faces.template import template_for
from psfr_core.images.box import Box, Size
from psfr_core.images.similarity import affine_scale, compose_affines, invert_affine, shift_affine, transform_points
from psfr_core.parsing.labels import FaceRegion
from psfr_core.restoration.masks import crop_masks
from psfr_core.restoration.paste import paste_faces
from psfr_core.restoration.paste_options import PasteOptions, parse_pasted_regions

WHOLE_CROP = PasteOptions(regions=None)


def crop_placed(center: tuple[float, float], scale: float, angle: float, crop_size: int) -> AlignedFace:
    """Return a face whose crop has this center in the image, ``scale`` image pixels per crop pixel, and this ``angle``."""
    cosine, sine, middle = scale * math.cos(angle), scale * math.sin(angle), (crop_size - 1) / 2
    turn = torch.tensor([[cosine, -sine, center[0]], [sine, cosine, center[1]]], dtype=torch.float64)
    crop_to_image = compose_affines(shift_affine(-middle, -middle), turn)
    face = Face(Box(0, 0, 1, 1), transform_points(crop_to_image, template_for(crop_size)).float(), 1.0)
    return AlignedFace(face, torch.zeros(3, crop_size, crop_size), invert_affine(crop_to_image))


def smooth_noise(channels: int, size: Size, generator: torch.Generator, cell: int = 12) -> Tensor:
    """Return a random image in [0, 1] without detail finer than ``cell`` pixels."""
    height, width = size.height // cell + 4, size.width // cell + 4
    coarse = torch.rand(1, channels, height, width, generator=generator)
    fine = F.interpolate(coarse, scale_factor=cell, mode="bicubic")[0]
    return fine[:, cell : cell + size.height, cell : cell + size.width].clamp(0, 1)


def uniform(generator: torch.Generator, low: float, high: float) -> float:
    return low + (high - low) * float(torch.rand((), generator=generator))


def bits(image: Tensor) -> Tensor:
    return image.view(torch.int32 if image.element_size() == 4 else torch.int16)


@pytest.mark.parametrize("seed", range(40))
def test_the_image_is_bit_identical_where_the_mask_is_zero(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    size = Size(*torch.randint(1, 90, (2,), generator=generator).tolist())
    channels, crop_size = seed % 4 + 1, (16, 33)[seed % 2]
    dtype = (torch.float32, torch.float16, torch.float32, torch.bfloat16)[seed // 4 % 4]
    image = ((torch.rand(channels, size.height, size.width, generator=generator) - 0.3) * 50).to(dtype)
    wild = torch.rand(image.shape, generator=generator)
    image[wild < 0.01], image[wild > 0.99] = math.nan, math.inf
    before = image.clone()
    aligned = [
        crop_placed(
            (uniform(generator, -20, size.width + 20), uniform(generator, -20, size.height + 20)),
            math.exp(uniform(generator, -1.5, 1.5)),
            uniform(generator, -3, 3),
            crop_size,
        )
        for _ in range(seed % 3 + 1)
    ]
    restored = torch.rand(len(aligned), 3, crop_size, crop_size, generator=generator)
    result = paste_faces(image, aligned, restored, crop_masks(crop_size, WHOLE_CROP, None))

    assert torch.equal(bits(image), bits(before))
    assert result.image.dtype == dtype
    assert result.image.shape == image.shape
    assert result.mask.shape == (1, size.height, size.width)
    assert result.mask.dtype == torch.float32
    assert result.mask.min() >= 0
    assert result.mask.max() <= 1
    untouched = (result.mask == 0).expand_as(image)
    assert torch.equal(bits(result.image)[untouched], bits(image)[untouched])
    if channels % 2 == 0:
        assert torch.equal(bits(result.image)[-1], bits(image)[-1])
    colors = result.image[: channels - 1 if channels % 2 == 0 else channels].float()
    full = (result.mask == 1).expand_as(colors) & before[: len(colors)].isfinite()
    assert ((colors[full] > -1e-2) & (colors[full] < 1.01)).all()


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_without_faces_the_result_is_a_copy_and_an_empty_mask(channels: int) -> None:
    image = torch.rand(channels, 5, 7) * 3
    result = paste_faces(image, [], torch.zeros(0, 3, 16, 16), torch.zeros(0, 1, 16, 16))
    assert torch.equal(result.image, image)
    assert result.image.data_ptr() != image.data_ptr()
    assert torch.equal(result.mask, torch.zeros(1, 5, 7))


def test_a_face_outside_the_image_changes_nothing() -> None:
    image = torch.rand(3, 20, 20)
    for center in [(-60.0, 10.0), (200.0, 200.0), (10.0, -1e6)]:
        result = paste_faces(
            image, [crop_placed(center, 1, 0.4, 32)], torch.ones(1, 3, 32, 32), torch.ones(1, 1, 32, 32)
        )
        assert torch.equal(result.image, image)
        assert not result.mask.any()


@pytest.mark.parametrize(("scale", "angle"), [(1.0, 0.0), (0.5, 0.35), (0.8, -0.7), (1.0, 2.0), (0.24, 0.1)])
def test_aligning_and_pasting_an_unchanged_crop_reproduces_the_image(scale: float, angle: float) -> None:
    image = smooth_noise(3, Size(180, 150), torch.Generator().manual_seed(11))
    face = crop_placed((100, 70), scale, angle, 128).face
    aligned = align_faces(image, [face], 128)
    result = paste_faces(image, aligned, aligned[0].crop[None], crop_masks(128, WHOLE_CROP, None))
    touched = result.mask[0] > 0
    error = (result.image - image).abs()[:, touched]
    assert touched.sum() > 300
    assert error.mean() < 0.25 / 255
    assert error.max() < 4 / 255


@pytest.mark.parametrize(("crop_size", "restored_size"), [(64, 64), (64, 128), (64, 32), (128, 50)])
@pytest.mark.parametrize(("scale", "angle"), [(0.3, 0.0), (1.0, 0.6), (2.0, -0.3)])
def test_faces_are_pasted_at_the_positions_of_their_crops(
    crop_size: int, restored_size: int, scale: float, angle: float
) -> None:
    """Paste a crop whose values are image coordinates, and compare them with the positions of the pixels."""
    scale *= 64 / crop_size
    placed = crop_placed((81.3, 66.8), scale, angle, crop_size)
    y, x = torch.meshgrid(torch.arange(restored_size), torch.arange(restored_size), indexing="ij")
    in_crop = (torch.stack([x, y], dim=-1).reshape(-1, 2) + 0.5) * crop_size / restored_size - 0.5
    in_image = transform_points(placed.crop_to_image, in_crop).float()
    ramp = torch.cat([in_image / 200, torch.zeros(len(in_image), 1)], dim=1)
    restored = ramp.T.reshape(1, 3, restored_size, restored_size)
    result = paste_faces(torch.zeros(3, 150, 160), [placed], restored, torch.ones(1, 1, restored_size, restored_size))

    rows, columns = torch.nonzero(result.mask[0] == 1, as_tuple=True)
    here = transform_points(placed.image_to_crop, torch.stack([columns, rows], dim=1))
    margin = 4 * max(1, 1 / scale, crop_size / restored_size)
    inside = ((here > margin) & (here < crop_size - 1 - margin)).all(dim=1)
    assert inside.sum() > 60 * scale
    found = result.image[:2, rows[inside], columns[inside]] * 200
    restored_pixel = crop_size / restored_size / affine_scale(placed.image_to_crop)
    tolerance = 0.07 * max(restored_pixel, 0.3)  # one twentieth of a pixel along each axis
    assert torch.allclose(found, torch.stack([columns, rows])[:, inside].float(), atol=tolerance)


def test_a_mask_of_ones_stops_at_the_crops_border() -> None:
    placed = crop_placed((50, 50), 1.0, math.pi / 4, 40)
    result = paste_faces(torch.zeros(1, 100, 100), [placed], torch.ones(1, 3, 40, 40), torch.ones(1, 1, 40, 40))
    assert float(result.mask.sum()) == pytest.approx(40 * 40, rel=0.02)
    assert float(result.mask[0, 50, 50 + 30]) == 0
    assert float(result.mask[0, 50, 50 + 27]) == 1


def test_a_big_crop_in_a_small_face_is_antialiased() -> None:
    checkerboard = (torch.arange(256)[:, None] + torch.arange(256)).remainder(2).float().expand(1, 3, 256, 256)
    placed = crop_placed((40, 40), 30 / 256, 0.2, 256)
    result = paste_faces(torch.zeros(3, 80, 80), [placed], checkerboard, crop_masks(256, WHOLE_CROP, None))
    inside = result.mask == 1
    assert inside.sum() > 300
    assert (result.image[inside.expand(3, -1, -1)] - 0.5).abs().max() < 0.01


def test_sharp_edges_do_not_overshoot_the_restored_values() -> None:
    restored = (torch.arange(64) < 32).float().expand(1, 3, 64, 64)
    image = torch.full((3, 90, 90), 0.5)
    result = paste_faces(image, [crop_placed((45, 45), 1.2, 0.3, 64)], restored, crop_masks(64, WHOLE_CROP, None))
    assert result.image.min() >= 0
    assert result.image.max() <= 1


def test_the_blend_follows_the_mask() -> None:
    image, placed = torch.full((3, 64, 64), 8.0), crop_placed((31.5, 31.5), 1.0, 0.0, 32)
    restored = torch.tensor([0.2, 0.4, 0.6]).view(1, 3, 1, 1).expand(1, 3, 32, 32)
    result = paste_faces(image, [placed], restored, torch.full((1, 1, 32, 32), 0.25))
    assert result.image[:, 31, 31].tolist() == pytest.approx([6.05, 6.1, 6.15])
    whole = paste_faces(image * 1e4, [placed], restored, torch.ones(1, 1, 32, 32))
    assert torch.allclose(whole.image[:, 31, 31], restored[0, :, 0, 0], atol=1e-6)


@pytest.mark.parametrize("channels", [1, 2])
def test_gray_images_take_the_luma(channels: int) -> None:
    restored = torch.tensor([1.0, 0.5, 0.0]).view(1, 3, 1, 1).expand(1, 3, 16, 16)
    image = torch.full((channels, 20, 20), 0.9)
    result = paste_faces(image, [crop_placed((9.5, 9.5), 1.0, 0.0, 16)], restored, torch.ones(1, 1, 16, 16))
    assert float(result.image[0, 10, 10]) == pytest.approx(0.299 + 0.587 / 2)
    assert torch.equal(result.image[1:], image[1:])


def overlapping_faces() -> tuple[list[AlignedFace], Tensor, Tensor]:
    generator = torch.Generator().manual_seed(4)
    aligned = [
        crop_placed((30, 30), 1.0, 0.2, 32),
        crop_placed((45, 36), 0.8, -0.3, 32),
        crop_placed((38, 50), 1.3, 0, 32),
    ]
    restored = torch.rand(3, 3, 32, 32, generator=generator)
    return aligned, restored, torch.rand(3, 1, 32, 32, generator=generator)


def test_the_order_of_overlapping_faces_does_not_matter() -> None:
    aligned, restored, masks = overlapping_faces()
    image = torch.rand(3, 80, 80, generator=torch.Generator().manual_seed(5))
    first = paste_faces(image, aligned, restored, masks)
    for order in permutations(range(3)):
        picked = list(order)
        other = paste_faces(image, [aligned[index] for index in picked], restored[picked], masks[picked])
        assert torch.equal(other.image, first.image)
        assert torch.equal(other.mask, first.mask)


def test_the_result_can_be_written_to_another_tensor_or_the_image() -> None:
    aligned, restored, masks = overlapping_faces()
    image = torch.rand(3, 90, 100)
    expected = paste_faces(image, aligned, restored, masks)
    elsewhere, itself = torch.empty(3, 90, 100), image.clone()
    assert paste_faces(image, aligned, restored, masks, out=elsewhere).image is elsewhere
    found = paste_faces(itself, aligned, restored, masks, out=itself)
    assert found.image is itself
    for result in (elsewhere, itself):
        assert torch.equal(result, expected.image)
    assert torch.equal(found.mask, expected.mask)


@pytest.mark.parametrize("out", [torch.zeros(3, 90, 99), torch.zeros(3, 90, 100, dtype=torch.float64)])
def test_the_tensor_for_the_result_must_be_like_the_image(out: Tensor) -> None:
    with pytest.raises(InputError, match=r"out must be like the image, \(3, 90, 100\) torch.float32"):
        paste_faces(torch.rand(3, 90, 100), *overlapping_faces(), out=out)


def test_the_mask_of_overlapping_faces_is_the_largest() -> None:
    aligned, restored, masks = overlapping_faces()
    image = torch.zeros(3, 80, 80)
    together = paste_faces(image, aligned, restored, masks).mask
    alone = [paste_faces(image, aligned[i : i + 1], restored[i : i + 1], masks[i : i + 1]).mask for i in range(3)]
    assert torch.equal(together, torch.stack(alone).amax(0))


def test_overlapping_faces_are_weighted_by_the_distance_to_their_centers() -> None:
    aligned = [crop_placed((20, 30), 1.0, 0, 32), crop_placed((40, 30), 1.0, 0, 32)]
    colors = torch.tensor([0.0, 1.0]).view(2, 1, 1, 1).expand(2, 3, 32, 32)
    for masks, mask_ratio in [(torch.ones(1, 1, 32, 32), 1.0), (torch.tensor([1.0, 0.5]).view(2, 1, 1, 1), 0.5)]:
        result = paste_faces(torch.zeros(3, 60, 60), aligned, colors, masks.expand(-1, 1, 32, 32))
        for x in range(27, 34):
            near, far = (x - 20) ** 4, (40 - x) ** 4
            weight = mask_ratio / far / (1 / near + mask_ratio / far)
            assert float(result.image[0, 30, x]) == pytest.approx(weight, abs=0.01)
        assert float(result.image[0, 30, 20]) < 1e-3


def test_separate_faces_are_pasted_independently() -> None:
    aligned = [crop_placed((20, 20), 0.8, 0.3, 32), crop_placed((70, 70), 1.0, 0.9, 32)]
    restored = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(6))
    masks, image = crop_masks(32, WHOLE_CROP, None), torch.rand(3, 100, 100)
    step = paste_faces(image, aligned[:1], restored[:1], masks).image
    both = paste_faces(step, aligned[1:], restored[1:], masks).image
    assert torch.equal(paste_faces(image, aligned, restored, masks).image, both)


def test_a_face_cut_off_by_the_image_edge_is_pasted_up_to_it() -> None:
    image = smooth_noise(3, Size(60, 60), torch.Generator().manual_seed(8))
    face = crop_placed((2, 57), 0.5, 0.2, 64).face
    aligned = align_faces(image, [face], 64)
    result = paste_faces(image, aligned, torch.zeros(1, 3, 64, 64), crop_masks(64, WHOLE_CROP, None))
    assert torch.equal(result.image[:, 57:, :6], torch.zeros(3, 3, 6))
    assert torch.equal(result.image[:, :, 40:], image[:, :, 40:])


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_an_image_of_one_pixel_is_pasted_into(channels: int) -> None:
    image = torch.full((channels, 1, 1), 0.25)
    placed = crop_placed((0, 0), 0.5, 0.1, 32)
    result = paste_faces(image, [placed], torch.full((1, 3, 32, 32), 0.75), crop_masks(32, WHOLE_CROP, None))
    alpha = [0.25] * (channels % 2 == 0)
    assert result.image.flatten().tolist() == pytest.approx([0.75] * (channels - len(alpha)) + alpha)


def test_only_the_rectangle_around_a_face_is_warped(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[Size] = []

    def recording(image: Tensor, affine: Tensor, size: Size) -> Tensor:
        sizes.append(size)
        return torch.zeros(len(image), size.height, size.width)

    monkeypatch.setattr("psfr_core.restoration.paste.warp_affine", recording)
    placed = crop_placed((500, 300), 0.5, 0.0, 64)
    paste_faces(torch.zeros(3, 600, 1000), [placed], torch.zeros(1, 3, 64, 64), torch.ones(1, 1, 64, 64))
    assert len(sizes) == 1
    assert max(sizes[0]) <= 34


@pytest.mark.parametrize(
    ("image", "restored", "masks", "message"),
    [
        ((5, 9, 9), (1, 3, 16, 16), (1, 1, 16, 16), "1 to 4 channels .* got 5"),
        ((9, 9), (1, 3, 16, 16), (1, 1, 16, 16), r"image must have the shape \(C, H, W\)"),
        ((3, 9, 9), (2, 3, 16, 16), (2, 1, 16, 16), "restored has the shape .2, 3, 16, 16., but there are 1 aligned"),
        ((3, 9, 9), (1, 3, 16, 8), (1, 1, 16, 8), r"restored must have the shape"),
        ((3, 9, 9), (1, 1, 16, 16), (1, 1, 16, 16), r"restored must have the shape"),
        ((3, 9, 9), (1, 3, 16, 16), (1, 1, 8, 8), r"masks must have the shape \(N, 1, 16, 16\)"),
        ((3, 9, 9), (1, 3, 16, 16), (3, 1, 16, 16), "There are 3 masks for 1 faces"),
    ],
)
def test_mismatched_shapes_are_named(
    image: tuple[int, ...], restored: tuple[int, ...], masks: tuple[int, ...], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        paste_faces(torch.zeros(image), [crop_placed((4, 4), 1, 0, 16)], torch.zeros(restored), torch.zeros(masks))
    with pytest.raises(InputError, match="floating point"):
        paste_faces(torch.zeros(3, 4, 4, dtype=torch.uint8), [], torch.zeros(0, 3, 4, 4), torch.zeros(0, 1, 4, 4))


def test_pasted_regions_from_a_text() -> None:
    assert parse_pasted_regions(" All ") is None
    assert parse_pasted_regions("nose") == {FaceRegion.NOSE}
    with pytest.raises(OptionError, match="Unknown face region 'all'.* To paste the whole crop, write only 'all'"):
        parse_pasted_regions("all,hair")
