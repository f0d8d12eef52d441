"""Test chains of nodes with the bundled models on a real portrait."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from psfr_core.images.io import read_image

Run = Callable[..., Any]
FACE = Path(__file__).parents[1] / "data" / "faces" / "male_58.jpg"


@pytest.fixture
def detected(run: Run, models: dict[str, Any], portrait: Tensor) -> Any:
    return run("PSFR_DetectFaces", image=portrait, detector=models["detector"]).args


def steps(run: Run, models: dict[str, Any], image: Tensor, faces: Any) -> tuple[Tensor, Tensor]:
    crops, faces, _ = run("PSFR_AlignFaces", image=image, faces=faces, crop_size=256).args
    parse_map = run("PSFR_ParseFaces", crops=crops, parser=models["parser"]).args[0]
    restored = run("PSFR_RestoreAlignedFaces", crops=crops, generator=models["generator"], parse_map=parse_map).args[0]
    return run("PSFR_PasteFacesBack", image=image, faces=faces, crops=restored, parse_map=parse_map).args


@pytest.mark.slow
def test_one_node_equals_the_steps_and_the_library(
    run: Run, models: dict[str, Any], portrait: Tensor, detected: Any, pack: Any
) -> None:
    # the guard is off, because the separate steps apply it to the crops instead of the mask
    options = run("PSFR_RestoreOptions", guard=False).args[0]
    whole, mask, count, _ = run("PSFR_RestoreFacesInImage", image=portrait, options=options, **models).args
    assert count == 1
    assert torch.equal(whole, steps(run, models, portrait, detected[0])[0])
    restoration = pack("psfr_core.restoration.restoration_models")
    core = pack("psfr_core")
    library = core.restore_image(
        portrait[0].movedim(-1, 0),
        restoration.load_models("psfrgan-256", detector="compact-face"),
        core.RestoreOptions(guard=False),
    )
    assert torch.equal(whole[0].movedim(-1, 0), library.image)
    assert torch.equal(mask, library.mask)
    assert (whole - portrait).abs().max() > 0.1


@pytest.mark.slow
def test_one_node_needs_no_loader(run: Run, portrait: Tensor, pack: Any) -> None:
    """Test that the bundled models are used if no models are connected, and that they are loaded once."""
    names = ("generator", "parser", "detector")
    models = dict(zip(names, run("PSFR_LoadModels").args, strict=True))
    expected = run("PSFR_RestoreFacesInImage", image=portrait, **models).args[0]
    assert torch.equal(run("PSFR_RestoreFacesInImage", image=portrait).args[0], expected)
    assert torch.equal(run("PSFR_RestoreFacesInImage", image=portrait, parser=models["parser"]).args[0], expected)
    hosted = pack("nodes.hosted_models")
    assert hosted.bundled_generators() is hosted.bundled_generators()


@pytest.mark.slow
def test_the_generator_is_selected_by_the_size_of_the_face(run: Run, portrait: Tensor, pack: Any) -> None:
    by_preset = {
        preset: dict(zip(("generator", "parser", "detector"), run("PSFR_LoadModels", preset=preset).args, strict=True))
        for preset in ("bundled", "bundled 256", "bundled 512")
    }

    def restored(preset: str, image: Tensor) -> Tensor:
        return run("PSFR_RestoreFacesInImage", image=image, **by_preset[preset]).args[0]

    small = portrait[:, ::2, ::2]  # the crop of the face has half the side
    assert torch.equal(restored("bundled", small), restored("bundled 256", small))
    large = portrait.repeat_interleave(2, 1).repeat_interleave(2, 2)
    assert torch.equal(restored("bundled", large), restored("bundled 512", large))
    crops = torch.rand(1, 256, 256, 3)
    given = {
        "crops": crops,
        "parse_map": run("PSFR_ParseFaces", crops=crops, parser=by_preset["bundled"]["parser"]).args[0],
    }
    by_crop = {
        preset: run("PSFR_RestoreAlignedFaces", generator=models["generator"], **given).args[0]
        for preset, models in by_preset.items()
    }
    assert torch.equal(by_crop["bundled"], by_crop["bundled 256"])


@pytest.mark.slow
def test_faces_are_pasted_into_their_own_frames(
    run: Run, models: dict[str, Any], portrait: Tensor, detected: Any
) -> None:
    small = torch.full_like(portrait, 0.2)
    small[:, 64:192, 64:192] = portrait[:, ::2, ::2]
    batch = torch.cat([portrait, torch.full_like(portrait, 0.5), small, portrait.flip(2)])
    faces = run("PSFR_DetectFaces", image=batch, detector=models["detector"]).args[0]
    assert [len(found) for found in faces.frames] == [1, 0, 1, 1]
    pasted, _ = steps(run, models, batch, faces)
    # results differ by rounding, because several crops are resized and blurred in another order of additions
    options = run("PSFR_RestoreOptions", guard=False).args[0]
    whole = run("PSFR_RestoreFacesInImage", image=batch, options=options, **models).args[0]
    torch.testing.assert_close(pasted, whole, atol=1e-5, rtol=0)
    torch.testing.assert_close(pasted[0], steps(run, models, portrait, detected[0])[0][0], atol=1e-5, rtol=0)
    assert torch.equal(pasted[1], batch[1])


@pytest.mark.slow
def test_crops_and_maps_of_earlier_frames_are_freed(
    run: Run, models: dict[str, Any], portrait: Tensor, pack: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Test that memory is freed, because the crops of a long video would fill the memory of a GPU."""
    node = pack("nodes.restore_batch")
    restore_prepared = node.restore_prepared
    results: list[Any] = []
    alive: list[int] = []

    def watched(*args: Any, **options: Any) -> Any:
        (result,) = restore_prepared(*args, **options)
        results.append(weakref.ref(result))
        alive.append(sum(found() is not None for found in results))
        return [result]

    monkeypatch.setattr(node, "restore_prepared", watched)
    monkeypatch.setattr(node, "batch_limit", lambda: 1)  # batches of one image
    run("PSFR_RestoreFacesInImage", image=portrait.repeat(4, 1, 1, 1), **models)
    assert len(alive) == 4
    assert max(alive) <= 2  # each result is freed when the next result is returned


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_batch_of_any_image_keeps_all_but_the_faces(
    run: Run, models: dict[str, Any], portrait: Tensor, channels: int, dtype: torch.dtype
) -> None:
    image = portrait.mean(-1, keepdim=True) if channels == 1 else portrait
    if channels == 4:
        image = torch.cat([portrait, torch.rand(1, 256, 256, 1)], dim=-1)
    image = (image * 1.3 - 0.1).to(dtype)  # beyond [0, 1]
    faceless = torch.full_like(image, 0.5)
    batch = torch.cat([faceless, image, faceless])
    before = batch.clone()
    restored, mask, count, _ = run("PSFR_RestoreFacesInImage", image=batch, **models).args
    assert torch.equal(batch, before)
    assert (restored.shape, restored.dtype, mask.shape, count) == (batch.shape, dtype, (3, 256, 256), 1)
    assert torch.equal(restored[::2], batch[::2])
    assert torch.equal(restored[mask == 0], batch[mask == 0])
    assert torch.equal(restored[..., 3:], batch[..., 3:])
    assert mask[1].max() == 1
    assert mask[::2].max() == 0


@pytest.mark.slow
def test_strength_0_changes_nothing(run: Run, models: dict[str, Any], portrait: Tensor, detected: Any) -> None:
    assert torch.equal(run("PSFR_RestoreFacesInImage", image=portrait, strength=0.0, **models).args[0], portrait)
    crops = run("PSFR_AlignFaces", image=portrait, faces=detected[0]).args[0]
    kept = run(
        "PSFR_RestoreAlignedFaces", crops=crops, strength=0.0, generator=models["generator"], parser=models["parser"]
    )
    assert torch.equal(kept.args[0], crops)
    pasted = run("PSFR_PasteFacesBack", image=portrait, faces=detected[0], crops=crops, strength=0.0)
    assert torch.equal(pasted.args[0], portrait)


def test_crops_are_pasted_into_an_upscaled_image(run: Run, portrait: Tensor, detected: Any) -> None:
    """Test that crops pasted into an image of twice the size land at the matching pixels."""
    crops = run("PSFR_AlignFaces", image=portrait, faces=detected[0], crop_size=512).args[0]
    large = portrait.repeat_interleave(2, 1).repeat_interleave(2, 2)
    pasted, mask = run("PSFR_PasteFacesBack", image=large, faces=detected[0], crops=crops).args
    assert pasted.shape == (1, 512, 512, 3)
    assert torch.equal(pasted[mask == 0], large[mask == 0])
    assert mask.mean() > 0.2
    assert (pasted - large).abs().mean() < 0.02
    shifted = (pasted[:, 4:] - large[:, :-4]).abs().mean()
    assert shifted > 2 * (pasted - large).abs().mean()


def test_no_face_passes_through_every_node(run: Run, models: dict[str, Any]) -> None:
    image = torch.full((2, 128, 96, 3), 0.4)
    faces, boxes, count, overlay, _ = run("PSFR_DetectFaces", image=image, detector=models["detector"]).args
    assert (boxes, count) == ([[], []], 0)
    assert torch.equal(overlay, image)
    crops, _, count = run("PSFR_AlignFaces", image=image, faces=faces, crop_size=64).args
    assert (crops.shape, float(crops.max()), count) == ((1, 64, 64, 3), 0.0, 0)
    pasted, mask = steps(run, models, image, faces)
    assert torch.equal(pasted, image)
    assert mask.shape == (2, 128, 96)
    assert float(mask.max()) == 0
    others = {"crops": torch.rand(3, 50, 64, 3), "parse_map": run("PSFR_ImageToParseMap", image=crops).args[0]}
    pasted, mask = run("PSFR_PasteFacesBack", image=image.half(), faces=faces, strength=1.0, **others).args
    assert torch.equal(pasted, image.half())
    assert (mask.shape, mask.dtype, float(mask.max())) == ((2, 128, 96), torch.float32, 0)


@pytest.mark.slow
def test_a_parser_confirms_faces_that_the_detector_is_unsure_of(
    run: Run, models: dict[str, Any], portrait: Tensor
) -> None:
    masked = portrait.clone()
    masked[:, 138:220, 50:210] = 0.92
    unconfirmed, confirmed, restored = (
        run(node, image=masked, **given).args[2]
        for node, given in [
            ("PSFR_DetectFaces", {"detector": models["detector"]}),
            ("PSFR_DetectFaces", {"detector": models["detector"], "parser": models["parser"]}),
            ("PSFR_RestoreFacesInImage", models),
        ]
    )
    assert (unconfirmed, confirmed, restored) == (0, 1, 1)


@pytest.mark.slow
def test_no_face_in_a_batch_can_be_an_error(run: Run, models: dict[str, Any], portrait: Tensor, pack: Any) -> None:
    image = torch.full((1, 64, 64, 3), 0.4)
    no_face = pack("psfr_core.errors").NoFaceError
    with pytest.raises(no_face, match="set no_face to keep"):
        run("PSFR_DetectFaces", image=image, detector=models["detector"], no_face="error")
    options = run("PSFR_RestoreOptions", no_face="error").args[0]
    with pytest.raises(no_face, match="set no_face to keep"):
        run("PSFR_RestoreFacesInImage", image=image, options=options, **models)
    batch = torch.cat([torch.full_like(portrait, 0.4), portrait])
    assert run("PSFR_RestoreFacesInImage", image=batch, options=options, **models).args[2] == 1


@pytest.mark.slow
def test_options_reach_the_library(run: Run, models: dict[str, Any], portrait: Tensor) -> None:
    none = run("PSFR_RestoreOptions", indices="none").args[0]
    assert run("PSFR_RestoreFacesInImage", image=portrait, options=none, **models).args[2] == 0
    sure = run("PSFR_RestoreOptions", confidence=1.0).args[0]
    assert run("PSFR_RestoreFacesInImage", image=portrait, options=sure, **models).args[2] == 0
    eyes = run("PSFR_PasteOptions", regions="eyes", feather=0.02).args[0]
    only_eyes = run("PSFR_RestoreOptions", paste=eyes).args[0]
    small = run("PSFR_RestoreFacesInImage", image=portrait, options=only_eyes, **models).args[1]
    large = run("PSFR_RestoreFacesInImage", image=portrait, **models).args[1]
    assert 0 < small.sum() < 0.1 * large.sum()
    whole = run("PSFR_PasteOptions", regions="all").args[0]
    assert whole.regions is None
    no_hair = run("PSFR_RestoreOptions", paste=run("PSFR_PasteOptions", hair_strength=0.0).args[0]).args[0]
    face = run("PSFR_RestoreFacesInImage", image=portrait, options=no_hair, **models).args[1]
    assert 0.2 * large.sum() < face.sum() < 0.9 * large.sum()


def test_toggles_add_regions(run: Run, pack: Any) -> None:
    region = pack("psfr_core.parsing.labels").FaceRegion
    usual = run("PSFR_PasteOptions").args[0].regions
    more = run("PSFR_PasteOptions", hat=True, neck=True).args[0].regions
    assert more - usual == {region.HAT, region.NECK, region.NECKLACE}
    assert run("PSFR_PasteOptions", regions="skin", cloth=True).args[0].regions == {region.SKIN, region.CLOTH}
    assert run("PSFR_PasteOptions", regions="all", hat=True).args[0].regions is None


def test_the_default_options_equal_those_of_the_library(run: Run, pack: Any) -> None:
    assert run("PSFR_PasteOptions").args[0] == pack("psfr_core.restoration.paste_options").PasteOptions()
    options = run("PSFR_RestoreOptions").args[0]
    detection = pack("psfr_core.faces.detection_options").DetectionOptions()
    assert options == pack("nodes.batch_options").BatchOptions(detection=detection)


@pytest.mark.slow
def test_a_mask_chooses_faces(run: Run, models: dict[str, Any], portrait: Tensor) -> None:
    corner = torch.zeros(1, 128, 128)
    corner[:, :9, :9] = 1
    assert run("PSFR_DetectFaces", image=portrait, mask=corner, detector=models["detector"]).args[2] == 0
    assert run("PSFR_RestoreFacesInImage", image=portrait, mask=corner, **models).args[2] == 0
    for everywhere in (torch.ones(1, 256, 256), torch.zeros(1, 256, 256), torch.zeros(1, 64, 64)):
        assert run("PSFR_DetectFaces", image=portrait, mask=everywhere, detector=models["detector"]).args[2] == 1
    assert run("PSFR_RestoreFacesInImage", image=portrait, mask=torch.ones(1, 64, 64), **models).args[2] == 1


def test_bounding_boxes_have_the_format_of_comfyui(detected: Any) -> None:
    faces, boxes, _, overlay, _ = detected
    face = faces.frames[0][0]
    assert boxes == [
        [
            {
                "x": face.box.left,
                "y": face.box.top,
                "width": face.box.width,
                "height": face.box.height,
                "label": "face",
                "score": face.score,
            }
        ]
    ]
    assert overlay.shape == (1, 256, 256, 3)


@pytest.mark.parametrize(
    ("node_id", "changes", "words"),
    [
        ("PSFR_PasteFacesBack", {"crops": torch.rand(2, 64, 64, 3)}, "There are 1 faces but 2 crops"),
        (
            "PSFR_PasteFacesBack",
            {"crops": torch.rand(1, 64, 65, 3)},
            "must be square, got 65 x 64: connect the crops of Align",
        ),
        ("PSFR_ParseFaces", {"crops": torch.rand(1, 64, 65, 3)}, "must be square, got 65 x 64"),
        ("PSFR_RestoreAlignedFaces", {"crops": torch.rand(1, 65, 64, 3)}, "must be square, got 64 x 65"),
        ("PSFR_AlignFaces", {"image": torch.rand(1, 256, 256, 16)}, "1 to 4 channels, got 16"),
        ("PSFR_PasteFacesBack", {"image": torch.rand(2, 256, 256, 3)}, "belong to 1 images, but got 2 images"),
        ("PSFR_PasteFacesBack", {"image": torch.rand(1, 256, 300, 3)}, "but this one has 300 x 256"),
        ("PSFR_AlignFaces", {"image": torch.rand(1, 200, 256, 3)}, "same image, which may be resized but not cropped"),
        ("PSFR_RestoreAlignedFaces", {}, "needs a parse map. Connect a parse map, or a parser"),
    ],
)
def test_inputs_that_do_not_match_are_reported(
    run: Run, models: dict[str, Any], portrait: Tensor, detected: Any, pack: Any, node_id: str, changes: Any, words: str
) -> None:
    given = {
        "PSFR_PasteFacesBack": {"image": portrait, "faces": detected[0], "crops": torch.rand(1, 64, 64, 3)},
        "PSFR_AlignFaces": {"image": portrait, "faces": detected[0]},
        "PSFR_ParseFaces": {"parser": models["parser"]},
        "PSFR_RestoreAlignedFaces": {"crops": torch.rand(1, 64, 64, 3), "generator": models["generator"]},
    }[node_id]
    with pytest.raises(pack("psfr_core.errors").InputError, match=words):
        run(node_id, **(given | changes))


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_an_image_with_invalid_values_is_an_error(run: Run, models: dict[str, Any], pack: Any, value: float) -> None:
    image = torch.rand(1, 64, 64, 3)
    image[0, 3, 3, 1] = value
    error = pack("psfr_core.errors").InputError
    with pytest.raises(error, match="must be finite"):
        run("PSFR_RestoreFacesInImage", image=image, **models)
    with pytest.raises(error, match="must be finite"):
        run("PSFR_DetectFaces", image=image, detector=models["detector"])


@pytest.mark.slow
def test_grain_comes_from_the_photo_in_both_ways(
    run: Run, models: dict[str, Any], portrait: Tensor, detected: Any
) -> None:
    noisy = (portrait + 0.06 * torch.randn_like(portrait)).clamp(0, 1)
    paste = run("PSFR_PasteOptions", grain=1.0).args[0]
    options = run("PSFR_RestoreOptions", paste=paste).args[0]
    plain = run("PSFR_RestoreFacesInImage", image=noisy, **models).args[0]
    whole, mask, *_ = run("PSFR_RestoreFacesInImage", image=noisy, options=options, **models).args
    added = (whole - plain).std(-1)[mask > 0.99]
    assert added.mean() > 0.02
    crops, faces, _ = run("PSFR_AlignFaces", image=noisy, faces=detected[0], crop_size=256).args
    flat = torch.full_like(crops, 0.5)
    smooth, _ = run("PSFR_PasteFacesBack", image=noisy, faces=faces, crops=flat).args
    grainy, mask = run("PSFR_PasteFacesBack", image=noisy, faces=faces, crops=flat, options=paste).args
    assert (grainy - smooth)[mask > 0.99].std() > 0.02
    assert torch.equal(grainy[mask == 0], noisy[mask == 0])


@pytest.mark.slow
def test_the_guard_keeps_lettering_over_a_face_in_both_ways(run: Run, models: dict[str, Any]) -> None:
    clean = run("PSFR_LoadExampleImage", picture="portrait_clean.jpg").args[0][:, ::2, ::2]
    is_letter = torch.zeros(1, 256, 256, dtype=torch.bool)
    for left in range(80, 180, 12):  # letters over the eyes, where a generator would draw eyes over them
        is_letter[:, 108:128, left : left + 3] = True
        is_letter[:, 116:119, left : left + 8] = True
    lettered = torch.where(is_letter[..., None], torch.tensor([1.0, 1.0, 0.2]), clean)
    bare_options = run("PSFR_RestoreOptions", guard=False).args[0]
    bare = run("PSFR_RestoreFacesInImage", image=lettered, options=bare_options, **models).args[0]
    whole, mask, *_ = run("PSFR_RestoreFacesInImage", image=lettered, **models).args
    assert (bare - lettered)[is_letter].abs().mean() > 0.1
    assert (whole - lettered)[is_letter].abs().mean() < 0.02
    assert mask[is_letter].mean() < 0.1
    assert mask.mean() > 0.1
    found = run("PSFR_DetectFaces", image=lettered, detector=models["detector"]).args[0]
    crops = run("PSFR_AlignFaces", image=lettered, faces=found, crop_size=256).args[0]
    given = {"crops": crops, "generator": models["generator"], "parser": models["parser"]}
    plain, guarded = (run("PSFR_RestoreAlignedFaces", **given, guard=guard).args[0] for guard in (False, True))
    kept = (guarded == crops).all(-1) & ~(plain == crops).all(-1)
    assert 0.01 < kept.float().mean() < 0.2


@pytest.mark.slow
def test_automatic_strength_returns_sharp_crops_of_any_size_unchanged(run: Run, models: dict[str, Any]) -> None:
    sharp = read_image(FACE).pixels.movedim(0, -1)[None]
    # larger than the generator's input of 256 px
    large = F.interpolate(sharp.movedim(-1, 1), scale_factor=2, mode="nearest").movedim(1, -1)
    soft = F.interpolate(sharp[:, ::4, ::4].movedim(-1, 1), size=(256, 256), mode="bicubic").movedim(1, -1).clamp(0, 1)

    def restored(crops: Tensor, automatic: bool) -> Tensor:
        given = {"generator": models["generator"], "parser": models["parser"], "automatic_strength": automatic}
        return run("PSFR_RestoreAlignedFaces", crops=crops, **given).args[0]

    assert torch.equal(restored(sharp, True), sharp)
    assert torch.equal(restored(large, True), large)
    assert torch.equal(restored(soft, True), restored(soft, False))
