from __future__ import annotations

import random
from dataclasses import replace
from functools import partial

import pytest
import torch

from psfr_core.errors import InputError, NoFaceError, OptionError
from psfr_core.faces.compact import CompactDetector
from psfr_core.faces.detection_options import DetectionOptions
from psfr_core.faces.detector import load_detector
from psfr_core.faces.face import Face
from psfr_core.faces.selection import FaceSelection, SelectionOptions
from psfr_core.faces.template import template_for
from psfr_core.images.box import Box
from psfr_core.networks.compact_face_net import CompactFaceNet, CompactFaceNetConfig
from psfr_core.parsing.labels import FaceRegion, RegionGroup
from psfr_core.parsing.parse_map import ParseMap
from psfr_core.restoration.color_match import ColorMatch, match_colors
from psfr_core.restoration.consistency import contradictions
from psfr_core.restoration.enhance import enhance_faces
from psfr_core.restoration.masks import crop_masks
from psfr_core.restoration.paste import paste_faces
from psfr_core.restoration.paste_options import PasteOptions
from psfr_core.restoration.prepare import prepare_image
from psfr_core.restoration.restoration_models import RestorationModels
from psfr_core.restoration.restore import restore_image, restore_prepared
from psfr_core.restoration.restore_options import Eyes, NoFace, RestoreOptions


def face_at(left: float, top: float, side: float) -> Face:
    """Return a face whose aligned crop is the square with this top left corner and side."""
    landmarks = (template_for(512) + 0.5) * side / 512 - 0.5 + torch.tensor([left, top])
    return Face(Box(left, top, left + side, top + side), landmarks.float(), 1.0)


WHOLE_CROP = RestoreOptions(guard=False, paste=PasteOptions(regions=None))


def with_faces(models: RestorationModels, faces: list[Face]) -> RestorationModels:
    models.detector.faces[:] = faces  # type: ignore[attr-defined]
    return models


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.float64])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_only_the_faces_change(
    models: RestorationModels, two_faces: list[Face], channels: int, dtype: torch.dtype
) -> None:
    image = (torch.rand(channels, 120, 160) * 1.4 - 0.2).to(dtype)  # includes values beyond [0, 1]
    result = restore_image(image, with_faces(models, two_faces), WHOLE_CROP)
    assert (result.image.shape, result.image.dtype) == (image.shape, dtype)
    assert result.mask.shape == (1, 120, 160)
    untouched = (result.mask == 0).expand_as(image)
    assert torch.equal(result.image[untouched], image[untouched])
    colors = slice(0, 1 if channels < 3 else 3)
    assert (result.image[colors] - image[colors])[:, 30:50, 30:50].abs().max() > 0.05
    if channels in (2, 4):
        assert torch.equal(result.image[-1], image[-1])


def test_the_result_contains_faces_maps_and_crops(models: RestorationModels, two_faces: list[Face]) -> None:
    result = restore_image(torch.rand(3, 120, 160), with_faces(models, two_faces))
    # The selection puts the larger face first.
    assert [face.score for face in result.faces] == [0.9, 0.8]
    assert result.parse_maps is not None
    assert result.parse_maps.labels.shape == (2, 64, 64)
    assert result.restored.shape == (2, 3, 64, 64)
    assert len(result.aligned) == 2


def any_image(seed: int) -> torch.Tensor:
    """Return an image of 1 to 4 channels, any size from one pixel, any float type, and values beyond [0, 1]."""
    draw = random.Random(seed)
    dtype = draw.choice([torch.float32, torch.float16, torch.bfloat16, torch.float64])
    shape = (draw.randint(1, 4), draw.choice([1, 2, draw.randint(3, 130)]), draw.choice([1, 2, draw.randint(3, 170)]))
    return (torch.rand(shape, generator=torch.Generator().manual_seed(seed)) * 3 - 1).to(dtype)


@pytest.mark.parametrize("seed", range(12))
def test_nothing_changes_without_faces_or_strength(models: RestorationModels, seed: int) -> None:
    image = any_image(seed)
    result = restore_image(image, models)
    assert torch.equal(result.image, image)
    assert (result.faces, result.parse_maps, len(result.restored)) == ([], None, 0)
    assert result.mask.shape == (1, *image.shape[1:])
    assert result.mask.max() == 0
    faces = [face_at(-10, -20, 60)]
    weak = restore_image(image, with_faces(models, faces), replace(WHOLE_CROP, strength=0.0))
    assert torch.equal(weak.image, image)


@pytest.mark.parametrize("seed", range(12))
def test_faces_at_any_position_change_only_their_pixels(models: RestorationModels, seed: int) -> None:
    """Place faces that are cut off, larger than the image, or overlapping. Like ComfyUI, use inference mode and views."""
    image, draw = any_image(seed), random.Random(100 + seed)
    height, width = image.shape[1:]
    sides = [draw.uniform(20, 300) for _ in range(2)]
    faces = [face_at(draw.uniform(0, width) - s / 2, draw.uniform(0, height) - s / 2, s) for s in sides]
    with torch.inference_mode():
        result = restore_image(image.mT.contiguous().mT, with_faces(models, faces), WHOLE_CROP)
    assert len(result.faces) == 2
    assert (result.image.shape, result.image.dtype) == (image.shape, image.dtype)
    assert result.image.isfinite().all()
    untouched = (result.mask == 0).expand_as(image)
    assert torch.equal(result.image[untouched], image[untouched])
    if len(image) in (2, 4):
        assert torch.equal(result.image[-1], image[-1])


@pytest.mark.parametrize("channels", [2, 4])
def test_hidden_colors_stay_and_do_not_affect_visible_pixels(
    models: RestorationModels, two_faces: list[Face], channels: int
) -> None:
    image = torch.rand(channels, 120, 160)
    image[-1] = 1
    image[-1, :, :40] = 0  # the edge of this area runs through the middle of the larger face
    other = image.clone()
    other[:-1, :, :40] = 1 - image[:-1, :, :40]
    results = [restore_image(photo, with_faces(models, two_faces), WHOLE_CROP).image for photo in (image, other)]
    assert torch.equal(results[0][..., 40:], results[1][..., 40:])
    assert torch.equal(results[1][..., :40], other[..., :40])
    assert (results[0] - image)[..., 40:60].abs().max() > 0.05


def test_strength_blends_at_the_resolution_of_the_image(models: RestorationModels, two_faces: list[Face]) -> None:
    image = torch.rand(3, 120, 160)
    models = with_faces(models, two_faces[:1])
    full = restore_image(image, models, WHOLE_CROP)
    half = restore_image(image, models, replace(WHOLE_CROP, strength=0.5))
    solid = full.mask == 1
    expected = (0.5 * image + 0.5 * full.image)[solid.expand_as(image)]
    torch.testing.assert_close(half.image[solid.expand_as(image)], expected, atol=1e-5, rtol=0)


def test_an_edited_parse_map_is_used(models: RestorationModels, two_faces: list[Face]) -> None:
    image = torch.rand(3, 120, 160)
    first = restore_image(image, with_faces(models, two_faces), WHOLE_CROP)
    assert first.parse_maps is not None
    again = restore_image(image, models, WHOLE_CROP, faces=first.faces, parse_maps=first.parse_maps)
    assert torch.equal(again.image, first.image)
    hair = ParseMap(torch.full_like(first.parse_maps.labels, 13))
    edited = restore_image(image, models, WHOLE_CROP, faces=first.faces, parse_maps=hair)
    assert (edited.image - first.image).abs().max() > 1e-3


def test_the_color_match_option_is_applied(models: RestorationModels, two_faces: list[Face]) -> None:
    image = torch.rand(3, 120, 160)
    models = with_faces(models, two_faces)
    plain, matched = (
        restore_image(image, models, replace(WHOLE_CROP, color_match=method))
        for method in (ColorMatch.NONE, ColorMatch.LOW_FREQUENCY)
    )
    assert plain.parse_maps is not None
    crops = torch.stack([face.crop for face in plain.aligned])
    assert torch.equal(plain.restored, enhance_faces(crops, plain.parse_maps, models.generator))
    assert torch.equal(matched.restored, match_colors(plain.restored, crops, ColorMatch.LOW_FREQUENCY))
    # The restored crops in the result are the pasted crops.
    for result in (plain, matched):
        masks = crop_masks(models.crop_size, WHOLE_CROP.paste, result.parse_maps)
        assert torch.equal(result.image, paste_faces(image, result.aligned, result.restored, masks).image)
    assert (matched.image - plain.image).abs().max() > 0.05


@pytest.mark.parametrize("eyes", Eyes)
def test_closed_eyes_are_restored_as_skin(models: RestorationModels, two_faces: list[Face], eyes: Eyes) -> None:
    image, labels = torch.rand(3, 120, 160), torch.full((2, 64, 64), int(FaceRegion.SKIN), dtype=torch.uint8)
    labels[:, 20:28, 12:26], labels[:, 20:28, 38:52] = FaceRegion.RIGHT_EYE, FaceRegion.LEFT_EYE
    parsed, closed = ParseMap(labels), ParseMap(torch.ones_like(labels))
    restore = partial(restore_image, image, models, faces=two_faces, parse_maps=parsed)
    result = restore(replace(WHOLE_CROP, eyes=eyes, color_match=ColorMatch.NONE))
    crops = torch.stack([face.crop for face in result.aligned])
    guide = closed if eyes is Eyes.CLOSED else parsed
    assert torch.equal(result.restored, enhance_faces(crops, guide, models.generator))
    assert result.parse_maps is not None
    assert torch.equal(result.parse_maps.labels, labels)  # users can edit the maps and restore again
    # The pasted regions are those of the original map, so closed eyes are pasted as well.
    only_eyes = RestoreOptions(eyes=eyes, paste=PasteOptions(regions=RegionGroup.EYES.regions))
    assert restore(only_eyes).mask.amax() > 0.5


def test_the_guard_lowers_the_mask_unless_the_map_is_given(models: RestorationModels, two_faces: list[Face]) -> None:
    image = 0.5 + 0.02 * torch.rand(3, 120, 160)
    image[:, 40:44, 20:60] = 1  # a strap, which the tiny networks do not draw
    models = with_faces(models, two_faces)
    bare, guarded = (restore_image(image, models, replace(WHOLE_CROP, guard=guard)) for guard in (False, True))
    assert torch.equal(bare.restored, guarded.restored)
    assert (guarded.mask <= bare.mask + 1e-6).all()
    assert (bare.mask - guarded.mask).max() > 0.5
    crops = torch.stack([face.crop for face in bare.aligned])
    masks = crop_masks(models.crop_size, WHOLE_CROP.paste, bare.parse_maps) * (1 - contradictions(bare.restored, crops))
    assert torch.equal(guarded.image, paste_faces(image, bare.aligned, bare.restored, masks).image)
    options = replace(WHOLE_CROP, guard=True)
    edited = restore_image(image, models, options, faces=bare.faces, parse_maps=bare.parse_maps)
    assert torch.equal(edited.image, bare.image)


def test_mask_and_selection_choose_faces(models: RestorationModels, two_faces: list[Face]) -> None:
    image, right_half = torch.rand(3, 120, 160), torch.zeros(120, 160)
    right_half[:, 80:] = 1
    models = with_faces(models, two_faces)
    assert [face.score for face in restore_image(image, models, mask=right_half).faces] == [0.8]
    largest = RestoreOptions(selection=SelectionOptions(selection=FaceSelection.LARGEST))
    assert [face.score for face in restore_image(image, models, largest).faces] == [0.9]


def test_the_input_is_unchanged(models: RestorationModels, two_faces: list[Face]) -> None:
    image = torch.rand(3, 120, 160)
    before = image.clone()
    restore_image(image, with_faces(models, two_faces), WHOLE_CROP)
    assert torch.equal(image, before)


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (torch.rand(120, 160), r"must have the shape \(C, H, W\)"),
        (torch.rand(120, 160, 3), "1 to 4 channels .* got 120. The channels come first"),
        (torch.zeros(3, 8, 8, dtype=torch.uint8), "Divide 8-bit values by 255"),
        (torch.full((3, 64, 64), torch.nan), "finite"),
    ],
    ids=["2-d", "channels last", "uint8", "nan"],
)
def test_bad_images_are_named(models: RestorationModels, image: torch.Tensor, words: str) -> None:
    detector = CompactDetector(CompactFaceNet(CompactFaceNetConfig((4, 4, 4, 4, 4), 4)).eval())
    with pytest.raises(InputError, match=words):
        restore_image(image, replace(models, detector=detector))


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("given", [False, True], ids=["found", "given"])
def test_nan_in_the_image_is_an_error_with_found_and_given_faces(
    models: RestorationModels, two_faces: list[Face], given: bool, value: float
) -> None:
    image = torch.rand(4, 120, 160)
    image[1, 40, 40] = value
    with pytest.raises(InputError, match="image must be finite"):
        restore_image(image, with_faces(models, two_faces), WHOLE_CROP, faces=two_faces if given else None)


@pytest.mark.parametrize("count", [0, 2])
def test_a_detector_must_answer_for_each_image(models: RestorationModels, count: int) -> None:
    class Detector:
        def detect(self, images: torch.Tensor, *, progress: object = None) -> list[list[Face]]:
            return [[] for _ in range(count)]

    with pytest.raises(InputError, match=f"one list of faces per image, .* it returned {count} for 1 image"):
        restore_image(torch.rand(3, 64, 64), replace(models, detector=Detector()))  # type: ignore[arg-type]


def test_invalid_faces_of_a_detector_are_named(models: RestorationModels) -> None:
    lost = Face(Box(float("nan"), 0, 8, 8), torch.rand(5, 2), 0.9)
    with pytest.raises(InputError, match="Face 0 must have a finite box"):
        restore_image(torch.rand(3, 64, 64), with_faces(models, [lost]))


def test_a_mask_does_not_choose_among_given_faces(models: RestorationModels, two_faces: list[Face]) -> None:
    with pytest.raises(InputError, match="Omit it if faces are given"):
        restore_image(torch.rand(3, 64, 64), models, faces=two_faces, mask=torch.zeros(64, 64))


def test_maps_without_faces_are_refused(models: RestorationModels) -> None:
    parse_maps = ParseMap(torch.zeros(1, 64, 64, dtype=torch.uint8))
    with pytest.raises(InputError, match="Give these faces"):
        restore_image(torch.rand(3, 64, 64), models, parse_maps=parse_maps)


def test_options_are_checked() -> None:
    with pytest.raises(OptionError, match="strength must be a number from 0 to 1, got -0.1"):
        RestoreOptions(strength=-0.1)


def test_progress_counts_parsing_and_restoring(models: RestorationModels, two_faces: list[Face]) -> None:
    seen: list[tuple[int, int]] = []
    options = replace(WHOLE_CROP, batch_size=1)
    restore_image(
        torch.rand(3, 120, 160),
        with_faces(models, two_faces),
        options,
        progress=lambda done, of: seen.append((done, of)),
    )
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_progress_may_stop_during_parsing(models: RestorationModels, two_faces: list[Face]) -> None:
    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt(done)

    with pytest.raises(KeyboardInterrupt, match="1"):
        restore_image(
            torch.rand(3, 120, 160), with_faces(models, two_faces), replace(WHOLE_CROP, batch_size=1), progress=stop
        )


def test_progress_may_stop_the_search(models: RestorationModels) -> None:
    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt(f"{done} of {total}")

    models = replace(models, detector=load_detector("compact-face"))
    with pytest.raises(KeyboardInterrupt, match="0 of 4"):  # levels with widths of 683, 341, 171 and 85 px
        restore_image(torch.rand(3, 120, 160), models, progress=stop)


def test_missing_faces_can_raise_an_error(models: RestorationModels) -> None:
    image = torch.rand(3, 120, 160)
    assert torch.equal(restore_image(image, models, RestoreOptions(no_face=NoFace.KEEP)).image, image)
    with pytest.raises(NoFaceError, match="No face .* in the image of 160 x 120 pixels"):
        restore_image(image, models, RestoreOptions(no_face=NoFace.ERROR))


def test_detection_options_reach_the_detector(models: RestorationModels) -> None:
    asked: list[DetectionOptions | None] = []

    class Detector:
        def detect(
            self, images: torch.Tensor, options: DetectionOptions | None = None, *, progress: object = None
        ) -> list[list[Face]]:
            asked.append(options)
            return [[]]

    detection = DetectionOptions(min_score=0.3)
    for options in (RestoreOptions(detection=detection), RestoreOptions()):
        restore_image(torch.rand(3, 64, 64), replace(models, detector=Detector()), options)
    assert asked == [detection, None]


def test_the_automatic_strength_of_each_face_multiplies_its_mask(
    models: RestorationModels, two_faces: list[Face], monkeypatch: pytest.MonkeyPatch
) -> None:
    image, models = torch.rand(3, 120, 160), with_faces(models, two_faces)
    full = restore_image(image, models, WHOLE_CROP)
    monkeypatch.setattr("psfr_core.restoration.restore.automatic_strength", lambda *_: torch.tensor([0.0, 0.5]))
    half = restore_image(image, models, replace(WHOLE_CROP, automatic_strength=True))
    first, second = half.faces
    assert first.score > second.score
    assert torch.equal(half.image[:, :72, :72], image[:, :72, :72])  # the first face is unchanged
    torch.testing.assert_close(half.mask[:, 35:75, 105:140], 0.5 * full.mask[:, 35:75, 105:140], atol=1e-3, rtol=0)


def test_faces_of_several_images_in_one_batch_give_the_results_of_single_images(
    models: RestorationModels, two_faces: list[Face]
) -> None:
    images = [torch.rand(3, 120, 160), torch.rand(4, 120, 160), torch.rand(1, 130, 170)]
    given = [two_faces, [], two_faces[:1]]
    options = RestoreOptions(batch_size=1)
    prepared = [prepare_image(image, models, options, faces=faces) for image, faces in zip(images, given, strict=True)]
    for result, image, faces in zip(restore_prepared(prepared, models, options), images, given, strict=True):
        alone = restore_image(image, models, options, faces=faces)
        assert torch.equal(result.image, alone.image)
        assert torch.equal(result.mask, alone.mask)
        assert torch.equal(result.restored, alone.restored)
        assert len(result.faces) == len(faces)
        assert (result.parse_maps is None) == (not faces)
    batched = restore_prepared(prepared, models, RestoreOptions(batch_size=3))
    for result, image, faces in zip(batched, images, given, strict=True):
        torch.testing.assert_close(result.image, restore_image(image, models, options, faces=faces).image)
