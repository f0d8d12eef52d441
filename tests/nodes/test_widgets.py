"""Test that widget values reach the library.

The outputs of nodes must equal those of the library with the same options, and differ from those with default options.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

Run = Callable[..., Any]
Pack = Callable[[str], Any]


@pytest.fixture
def small_models(models: dict[str, Any], pack: Pack) -> dict[str, Any]:
    """Return the bundled detector and random networks of 64 px."""
    psfr, parse, runtime = (
        pack(name) for name in ("psfr_core.networks.psfr_generator", "psfr_core.networks.parse_net", "nodes.runtime")
    )
    networks = {
        "generator": psfr.PsfrGenerator(psfr.GeneratorConfig((8, 8, 6), 6)),
        "parser": parse.ParseNet(parse.ParseNetConfig((4, 6), 1)),
    }
    hosted = {
        name: runtime.HostedNetwork.of(network.eval(), 64, runtime.Precision.FLOAT32)
        for name, network in networks.items()
    }
    return models | hosted


@pytest.fixture
def crowd(portrait: Tensor) -> Tensor:
    """Return an IMAGE with a large face on the left, an upside-down face, a face in the middle, and tiny faces on the right."""
    image = torch.full((1, 160, 3840, 3), 0.5)
    for left, side in ((100, 160), (1400, 112), (1872, 96), (2200, 32), (2400, 40), (2600, 48), (2800, 56)):
        face = F.interpolate(portrait.movedim(-1, 1), size=(side, side), mode="area").movedim(1, -1)
        image[:, -side:, left : left + side] = face.flip(1) if side == 112 else face
    return image


@pytest.fixture
def aligned(run: Run, models: dict[str, Any], portrait: Tensor) -> tuple[Any, Tensor]:
    """Return the face of ``portrait`` and its crop."""
    faces = run("PSFR_DetectFaces", image=portrait, detector=models["detector"]).args[0]
    return faces, run("PSFR_AlignFaces", image=portrait, faces=faces, crop_size=64).args[0]


def options(kind: Any, **values: Any) -> Any:
    """Return library options of the class ``kind`` with these values. Enum members are given by their text."""
    defaults = kind()
    return replace(
        defaults, **{name: type(getattr(defaults, name))(v) if isinstance(v, str) else v for name, v in values.items()}
    )


@pytest.mark.parametrize(
    ("widgets", "detection", "selection"),
    [
        ({"confidence": 1.0}, {"min_score": 1.0}, {}),
        ({"tiles": True}, {"tiles": True}, {}),
        ({"turned": True}, {"turned": True}, {}),
        ({"min_size": 60.0}, {}, {"min_size": 60.0}),
    ],
)
def test_detected_faces_equal_those_of_the_library(
    run: Run, models: dict[str, Any], crowd: Tensor, pack: Pack, widgets: Any, detection: Any, selection: Any
) -> None:
    load, select = pack("psfr_core.faces.detector"), pack("psfr_core.faces.selection")
    detector = load.make_detector(
        models["detector"].network, options(pack("psfr_core.faces.detection_options").DetectionOptions, **detection)
    )
    size = pack("psfr_core.images.box").Size(3840, 160)
    faces = detector.detect(crowd.movedim(-1, 1).contiguous())[0]
    expected = [face.box for face in select.select_faces(faces, size, options(select.SelectionOptions, **selection))]
    by_default, found = (
        [
            face.box
            for face in run("PSFR_DetectFaces", image=crowd, detector=models["detector"], **given).args[0].frames[0]
        ]
        for given in ({}, widgets)
    )
    assert found == expected
    assert found != by_default


@pytest.mark.parametrize(
    ("widgets", "more", "restoration", "selection"),
    [
        ({"strength": 0.5}, {}, {"strength": 0.5}, {}),
        ({"faces": "largest"}, {}, {}, {"selection": "largest"}),
        ({"faces": "center"}, {}, {}, {"selection": "center"}),
        ({}, {"color_match": "none"}, {"color_match": "none"}, {}),
        ({}, {"order": "small-first", "max_faces": 2}, {}, {"order": "small-first", "max_faces": 2}),
        ({}, {"max_size": 60.0}, {}, {"max_size": 60.0}),
    ],
)
def test_a_restored_image_equals_that_of_the_library(
    run: Run,
    small_models: dict[str, Any],
    crowd: Tensor,
    pack: Pack,
    widgets: Any,
    more: Any,
    restoration: Any,
    selection: Any,
) -> None:
    networks = [small_models[name].network for name in ("generator", "parser", "detector")]
    detector = pack("psfr_core.faces.detector").make_detector(networks[2])
    wanted = options(
        pack("psfr_core.restoration.restore_options").RestoreOptions,
        selection=options(pack("psfr_core.faces.selection").SelectionOptions, **selection),
        **restoration,
    )
    expected = pack("psfr_core").restore_image(
        crowd[0].movedim(-1, 0),
        pack("psfr_core.restoration.restoration_models").RestorationModels(*networks[:2], detector),
        wanted,
    )
    settings = run("PSFR_RestoreOptions", **more).args[0]
    image, mask, count, _ = run(
        "PSFR_RestoreFacesInImage", image=crowd, options=settings, **small_models, **widgets
    ).args
    assert torch.equal(image[0].movedim(-1, 0), expected.image)
    assert torch.equal(mask, expected.mask)
    assert count == len(expected.faces)
    assert not torch.equal(image, run("PSFR_RestoreFacesInImage", image=crowd, **small_models).args[0])


def test_restore_options_equal_those_of_the_library(run: Run, pack: Pack) -> None:
    settings = run(
        "PSFR_RestoreOptions",
        confidence=0.3,
        min_size=20.0,
        order="left-right",
        indices="0,2",
        max_faces=3,
        color_match="none",
        no_face="error",
        paste=run("PSFR_PasteOptions", feather=0.2, regions="eyes").args[0],
        tiles=True,
        turned=True,
        eyes="closed",
        max_size=200.0,
        automatic_strength=True,
    ).args[0]
    selection = {"min_size": 20.0, "max_size": 200.0, "order": "left-right", "indices": (0, 2), "max_faces": 3}
    regions = pack("psfr_core.parsing.labels").parse_regions("eyes")
    restoration = options(
        pack("nodes.batch_options").BatchOptions,
        color_match="none",
        no_face="error",
        eyes="closed",
        automatic_strength=True,
        detection=pack("psfr_core.faces.detection_options").DetectionOptions(min_score=0.3, tiles=True, turned=True),
        selection=options(pack("psfr_core.faces.selection").SelectionOptions, **selection),
        paste=pack("psfr_core.restoration.paste_options").PasteOptions(feather=0.2, regions=regions),
    )
    assert settings == restoration


@pytest.mark.parametrize("widgets", [{"strength": 0.5}, {"color_match": "none"}])
def test_restored_crops_equal_those_of_the_library(
    run: Run, small_models: dict[str, Any], aligned: tuple[Any, Tensor], pack: Pack, widgets: Any
) -> None:
    given: dict[str, Any] = {
        "crops": aligned[1],
        "generator": small_models["generator"],
        "parser": small_models["parser"],
    }
    crops = aligned[1].movedim(-1, 1)
    parse_map = pack("psfr_core.parsing.parser").parse_faces(crops, given["parser"].network)
    restored = pack("psfr_core.restoration.enhance").enhance_faces(crops, parse_map, given["generator"].network)
    colors = pack("psfr_core.restoration.color_match")
    if "color_match" not in widgets:
        restored = colors.match_colors(restored, crops, colors.ColorMatch.LOW_FREQUENCY)
    expected = crops.lerp(restored, widgets.get("strength", 1.0)).movedim(1, -1)
    assert torch.equal(run("PSFR_RestoreAlignedFaces", **given, **widgets).args[0], expected)
    assert not torch.equal(run("PSFR_RestoreAlignedFaces", **given).args[0], expected)


@pytest.mark.parametrize("widgets", [{"strength": 0.5}, {"feather": 0.3}])
def test_pasted_faces_equal_those_of_the_library(
    run: Run, portrait: Tensor, aligned: tuple[Any, Tensor], pack: Pack, widgets: Any
) -> None:
    given: dict[str, Any] = {"image": portrait, "faces": aligned[0], "crops": 1 - aligned[1]}
    strength, feather = widgets.get("strength", 1.0), widgets.get("feather", 0.06)
    crops, paste = given["crops"].movedim(-1, 1), pack("psfr_core.restoration.paste")
    options = pack("psfr_core.restoration.paste_options").PasteOptions(feather=feather)
    masks = pack("psfr_core.restoration.masks").crop_masks(64, options, None)
    placed = pack("psfr_core.faces.align").place_crops(aligned[0].frames[0], crops)
    expected = paste.paste_faces(portrait[0].movedim(-1, 0), placed, crops, strength * masks)
    more = run("PSFR_PasteOptions", feather=feather).args[0]
    image, mask = run("PSFR_PasteFacesBack", strength=strength, options=more, **given).args
    assert torch.equal(image[0].movedim(-1, 0), expected.image)
    assert torch.equal(mask, expected.mask)
    assert not torch.equal(image, run("PSFR_PasteFacesBack", **given).args[0])


def test_crops_have_no_colors_beyond_0_and_1(run: Run, portrait: Tensor, aligned: tuple[Any, Tensor]) -> None:
    image = portrait * 1.6 - 0.3
    crops, clamped = (
        run("PSFR_AlignFaces", image=given, faces=aligned[0], crop_size=64).args[0]
        for given in (image, image.clamp(0, 1))
    )
    assert torch.equal(crops, clamped)


def test_the_first_frame_with_a_face_is_shown(run: Run, models: dict[str, Any], portrait: Tensor) -> None:
    nothing = torch.full_like(portrait, 0.5)
    batch = torch.cat([nothing, portrait, portrait.flip(2), nothing])
    output = run("PSFR_DetectFaces", image=batch, detector=models["detector"])
    (shown,) = output.ui["images"]
    assert torch.equal(shown.pixels, output.args[3][1])
