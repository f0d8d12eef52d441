import math
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from psfr_core.errors import ImageFileError, InputError, OptionError
from psfr_core.images.box import Size
from psfr_core.parsing.labels import REGION_COLORS, FaceRegion, RegionGroup
from psfr_core.parsing.parse_map import ParseMap, UnknownColor


def random_map(batch=2, height=9, width=7, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return ParseMap(torch.randint(19, (batch, height, width), generator=generator, dtype=torch.uint8))


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (torch.zeros(4, 4, dtype=torch.uint8), "labels must have the shape (B, H, W), got (4, 4)"),
        (torch.zeros(1, 0, 4, dtype=torch.uint8), "labels must have the shape (B, H, W), got (1, 0, 4)"),
        (torch.zeros(1, 4, 4), "labels must be of dtype torch.uint8, got torch.float32"),
        (torch.tensor([[[3, 19]]], dtype=torch.uint8), "labels must be from 0 to 18, found 3 to 19"),
    ],
)
def test_invalid_labels_raise(labels, words):
    with pytest.raises(InputError, match=re.escape(words)):
        ParseMap(labels)


def test_from_logits_inverts_one_hot():
    parse_map = random_map()
    one_hot = parse_map.one_hot
    assert one_hot.shape == (2, 19, 9, 7)
    assert one_hot.dtype == torch.float32
    assert torch.equal(one_hot.sum(dim=1), torch.ones(2, 9, 7))
    assert torch.equal(ParseMap.from_logits(one_hot * 5 - 2).labels, parse_map.labels)


def test_logits_need_19_classes():
    with pytest.raises(
        InputError, match=re.escape("parse_logits must have the shape (B, 19, H, W), got (1, 18, 4, 4)")
    ):
        ParseMap.from_logits(torch.zeros(1, 18, 4, 4))


@pytest.mark.parametrize(
    ("regions", "numbers"),
    [
        (FaceRegion.HAIR, [13]),
        (FaceRegion.BACKGROUND, [0]),
        (RegionGroup.EYES, [4, 5]),
        ([FaceRegion.NOSE, RegionGroup.LIPS], [2, 11, 12]),
        ([], []),
    ],
)
def test_mask_covers_the_regions_only(regions, numbers):
    parse_map = random_map(3, 20, 20)
    mask = parse_map.mask(regions)
    assert mask.shape == (3, 1, 20, 20)
    assert mask.dtype == torch.float32
    assert np.array_equal(mask[:, 0].numpy(), np.isin(parse_map.labels.numpy(), numbers).astype(np.float32))


def test_from_color_inverts_to_color():
    parse_map = ParseMap(torch.arange(19, dtype=torch.uint8).view(1, 1, 19))
    image = parse_map.to_color()
    assert image.shape == (1, 3, 1, 19)
    for region in FaceRegion:
        assert image[0, :, 0, region].mul(255).round().int().tolist() == list(REGION_COLORS[region])
    assert torch.equal(ParseMap.from_color(image).labels, parse_map.labels)
    again = random_map(seed=3)
    assert torch.equal(ParseMap.from_color(again.to_color()).labels, again.labels)


@pytest.mark.parametrize("wrong", [(1, 2, 3), (300, 0, 0), (-1, 0, 0), (255, 255, 254), (0, 256, 0)])
def test_unknown_color_raises_with_its_position(wrong):
    image = random_map().to_color()
    image[1, :, 4, 2] = torch.tensor(wrong) / 255
    with pytest.raises(
        InputError, match=re.escape(f"Color {wrong} at x 2, y 4 of image 1 does not belong to any face region")
    ):
        ParseMap.from_color(image)


def test_resized_takes_the_nearest_label():
    parse_map = random_map(2, 6, 4)
    doubled = parse_map.resized(Size(width=8, height=12))
    assert torch.equal(doubled.labels, parse_map.labels.repeat_interleave(2, dim=1).repeat_interleave(2, dim=2))
    assert torch.equal(doubled.resized(Size(4, 6)).labels, parse_map.labels)
    thirds = ParseMap(torch.arange(9, dtype=torch.uint8).view(1, 1, 9)).resized(Size(3, 1))
    assert thirds.labels.tolist() == [[[1, 4, 7]]]  # the middle of every three pixels
    assert parse_map.resized(Size(13, 5)).size == Size(13, 5)
    with pytest.raises(OptionError, match="width must be an integer from 1 to 32767, got 0"):
        parse_map.resized(Size(0, 5))


def test_mirrored_exchanges_sides_and_regions():
    parse_map = ParseMap(torch.tensor([[[4, 1, 0, 9, 13]]], dtype=torch.uint8))
    assert parse_map.mirrored().labels.tolist() == [[[13, 8, 0, 1, 5]]]
    other = random_map()
    assert torch.equal(other.mirrored().mirrored().labels, other.labels)


def test_maps_are_a_sequence():
    parse_map = random_map(4)
    assert len(parse_map) == 4
    assert torch.equal(parse_map[2].labels, parse_map.labels[2:3])
    assert torch.equal(parse_map[-1].labels, parse_map.labels[3:4])
    assert torch.equal(parse_map[1:3].labels, parse_map.labels[1:3])
    with pytest.raises(IndexError):
        parse_map[4]


def test_replaced_sets_a_region_in_a_new_map():
    parse_map = random_map()
    before = parse_map.labels.clone()
    mask = torch.zeros(1, 1, 9, 7)
    mask[..., 2:4, 1:3] = 0.6
    mask[..., 5, 5] = 0.5
    painted = parse_map.replaced(mask, FaceRegion.HAT)
    assert (painted.labels[:, 2:4, 1:3] == FaceRegion.HAT).all()
    assert torch.equal(painted.labels[:, 4:], before[:, 4:])
    assert torch.equal(parse_map.labels, before)
    one_each = torch.stack((mask[0], torch.zeros(1, 9, 7)))
    assert torch.equal(parse_map.replaced(one_each, FaceRegion.HAT).labels[1], before[1])


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ((1, 1, 9, 8), "mask must have the shape (B, 1, 9, 7), got (1, 1, 9, 8)"),
        ((3, 1, 9, 7), "mask has a batch of 3 for 2 parse maps"),
    ],
)
def test_invalid_mask_raises(shape, words):
    with pytest.raises(InputError, match=re.escape(words)):
        random_map().replaced(torch.zeros(shape), FaceRegion.HAT)


def test_png_contains_the_labels(tmp_path):
    parse_map = random_map(1)
    parse_map.to_png(tmp_path / "face.png")
    with Image.open(tmp_path / "face.png") as image:
        assert image.mode == "L"
        assert np.array_equal(np.asarray(image), parse_map.labels[0].numpy())
    assert torch.equal(ParseMap.from_png(tmp_path / "face.png").labels, parse_map.labels)


def test_failed_write_keeps_the_old_labels(tmp_path, monkeypatch):
    old = random_map(1)
    old.to_png(tmp_path / "face.png")

    def full_disk(source, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full_disk)
    with pytest.raises(ImageFileError, match="face.png cannot be written.*No space left"):
        random_map(1, seed=1).to_png(tmp_path / "face.png")
    assert [path.name for path in tmp_path.iterdir()] == ["face.png"]
    assert torch.equal(ParseMap.from_png(tmp_path / "face.png").labels, old.labels)


def test_palette_indices_are_read_as_labels(tmp_path):
    labels = random_map(1, 30, 30).labels
    image = Image.fromarray(labels[0].numpy(), "P")
    image.putpalette([value for region in FaceRegion for value in REGION_COLORS[region]])
    image.save(tmp_path / "palette.png")
    assert torch.equal(ParseMap.from_png(tmp_path / "palette.png").labels, labels)


def test_invalid_files_raise(tmp_path):
    parse_map = random_map(1)
    Image.new("RGB", (4, 4)).save(tmp_path / "color.png")
    Image.new("L", (4, 4), 200).save(tmp_path / "photo.png")
    Image.new("L", (4, 4)).save(tmp_path / "face.jpg")
    (tmp_path / "cut.png").write_bytes((tmp_path / "color.png").read_bytes()[:40])
    for name, error, words in [
        ("none.png", ImageFileError, "none.png does not exist"),
        ("color.png", ImageFileError, "color.png has RGB pixels, but labels need 8-bit gray values"),
        ("photo.png", ImageFileError, "labels must be from 0 to 18, found 200 to 200"),
        ("face.jpg", ImageFileError, "face.jpg is not a PNG file"),
        ("cut.png", ImageFileError, "cut.png"),
    ]:
        with pytest.raises(error, match=words):
            ParseMap.from_png(tmp_path / name)
    with pytest.raises(ImageFileError, match="only PNG files store labels exactly"):
        parse_map.to_png(tmp_path / "face.jpg")
    with pytest.raises(ImageFileError, match="cannot be written"):
        parse_map.to_png(tmp_path / "missing" / "face.png")
    with pytest.raises(InputError, match="stores one parse map, got 2"):
        random_map(2).to_png(tmp_path / "two.png")


def test_from_picture_reads_gray_and_color_images():
    parse_map = random_map()
    for image in (parse_map.to_grey(), parse_map.to_color()):
        assert image.shape == (2, 3, 9, 7)
        assert torch.equal(ParseMap.from_picture(image).labels, parse_map.labels)
        stored = (image * 255).clamp(0, 255).to(torch.uint8)  # levels are truncated, as some programs write them
        assert torch.equal(ParseMap.from_picture(stored / 255).labels, parse_map.labels)


def test_white_is_the_color_of_glasses_and_level_19_is_not_a_label():
    white = torch.ones(1, 3, 4, 4)
    assert ParseMap.from_picture(white).labels.unique().tolist() == [FaceRegion.GLASSES]
    assert ParseMap.from_picture(white * 18 / 255).labels.unique().tolist() == [FaceRegion.CLOTH]
    with pytest.raises(
        InputError, match=re.escape("Color (19, 19, 19) at x 0, y 0 of image 0 does not belong to any face")
    ):
        ParseMap.from_picture(white * 19 / 255)


def test_unknown_colors_can_be_replaced_by_the_nearest():
    parse_map = random_map()
    noisy = parse_map.to_color() + 0.04 * (torch.rand(2, 3, 9, 7) - 0.5)
    with pytest.raises(InputError, match="does not belong to any face region"):
        ParseMap.from_picture(noisy)
    assert torch.equal(ParseMap.from_picture(noisy, UnknownColor.NEAREST).labels, parse_map.labels)


@pytest.mark.parametrize("unknown", UnknownColor)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_images_that_are_not_finite_raise(value, unknown):
    image = random_map().to_grey()
    image[1, :, 2, 3] = value
    with pytest.raises(InputError, match="picture must be finite"):
        ParseMap.from_picture(image, unknown)
