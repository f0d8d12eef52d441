from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

Run = Callable[..., Any]


@pytest.fixture
def parse_map(pack: Any, host: object) -> Any:
    """Return two 4 x 4 maps: skin in the upper half, glasses (3) at the lower left, hair (13) at the lower right."""
    labels = torch.ones(2, 4, 4, dtype=torch.uint8)
    labels[:, 2:, :2] = 3
    labels[:, 2:, 2:] = 13
    return pack("psfr_core.parsing.parse_map").ParseMap(labels)


def test_images_of_a_map_are_read_back(run: Run, models: dict[str, Any], portrait: Tensor) -> None:
    parse_map, colors, labels = run("PSFR_ParseFaces", crops=portrait, parser=models["parser"]).args
    assert colors.shape == labels.shape == (1, 256, 256, 3)
    assert set(parse_map.labels.unique().tolist()) >= {0, 1, 2, 4, 5, 13, 17}
    for picture in (colors, labels):
        saved = (picture * 255).clamp(0, 255).to(torch.uint8) / 255  # the rounding of Save Image and Load Image
        assert torch.equal(run("PSFR_ImageToParseMap", image=saved).args[0].labels, parse_map.labels)


def test_unknown_colors_are_an_error_or_the_nearest(run: Run, parse_map: Any, pack: Any) -> None:
    picture = parse_map.to_color().movedim(1, -1)
    painted = (picture + 0.02).clamp(0, 1)
    with pytest.raises(pack("psfr_core.errors").InputError, match="does not belong to any face region"):
        run("PSFR_ImageToParseMap", image=painted)
    found = run("PSFR_ImageToParseMap", image=painted, unknown="nearest").args[0]
    assert torch.equal(found.labels, parse_map.labels)


def test_mask_of_regions(run: Run, parse_map: Any, pack: Any) -> None:
    mask = run("PSFR_ParseMapToMask", parse_map=parse_map, regions="glasses, hair").args[0]
    assert torch.equal(mask, torch.tensor([0.0, 0.0, 1.0, 1.0])[None, :, None].expand(2, 4, 4))
    with pytest.raises(pack("psfr_core.errors").OptionError, match="Unknown face region 'chin'"):
        run("PSFR_ParseMapToMask", parse_map=parse_map, regions="chin")


def test_one_region_is_replaced_by_another(run: Run, parse_map: Any) -> None:
    edited, colors = run("PSFR_EditParseMap", parse_map=parse_map, region="skin", replaces="glasses").args
    expected = parse_map.labels.clone()
    expected[expected == 3] = 1
    assert torch.equal(edited.labels, expected)
    assert torch.equal(colors.movedim(-1, 1), edited.to_color())


def test_both_eyes_become_skin(run: Run, parse_map: Any) -> None:
    parse_map.labels[:, 0] = torch.tensor([4, 5, 6, 2])
    edited = run("PSFR_EditParseMap", parse_map=parse_map, region="skin", replaces="eyes").args[0]
    expected = parse_map.labels.clone()
    expected[:, 0, :2] = 1
    assert torch.equal(edited.labels, expected)


def test_a_mask_of_any_size_is_painted(run: Run, parse_map: Any) -> None:
    mask = torch.zeros(1, 8, 8)
    mask[:, :, 6:] = 1  # the last of four columns in the parse map
    edited = run("PSFR_EditParseMap", parse_map=parse_map, region="hat", mask=mask).args[0]
    expected = parse_map.labels.clone()
    expected[:, :, 3] = 14
    assert torch.equal(edited.labels, expected)
    both = run("PSFR_EditParseMap", parse_map=parse_map, region="hat", replaces="hair", mask=mask).args[0]
    expected = parse_map.labels.clone()
    expected[:, 2:, 3] = 14
    assert torch.equal(both.labels, expected)


def test_mask_values_above_one_half_count_as_painted(run: Run, parse_map: Any) -> None:
    mask = torch.tensor([0.0, 0.5, 0.51, 1.0]).expand(1, 4, 4)
    edited = run("PSFR_EditParseMap", parse_map=parse_map, region="hat", mask=mask).args[0]
    expected = parse_map.labels.clone()
    expected[:, :, 2:] = 14
    assert torch.equal(edited.labels, expected)


def test_each_face_has_its_own_mask(run: Run, parse_map: Any) -> None:
    mask = torch.stack([torch.zeros(4, 4), torch.ones(4, 4)])
    edited = run("PSFR_EditParseMap", parse_map=parse_map, region="neck", mask=mask).args[0]
    assert torch.equal(edited.labels[0], parse_map.labels[0])
    assert edited.labels[1].unique().tolist() == [17]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "Connect a mask, or choose which region is replaced"),
        ({"region": "chin", "replaces": "hair"}, "Unknown region 'chin'. Choose one of background, skin"),
    ],
)
def test_invalid_edits_are_rejected(run: Run, parse_map: Any, pack: Any, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(pack("psfr_core.errors").OptionError, match=words):
        run("PSFR_EditParseMap", parse_map=parse_map, **changes)


def test_an_edited_map_changes_the_restored_face(run: Run, models: dict[str, Any], portrait: Tensor) -> None:
    parse_map = run("PSFR_ParseFaces", crops=portrait, parser=models["parser"]).args[0]
    edited = run("PSFR_EditParseMap", parse_map=parse_map, region="glasses", replaces="left_eye").args[0]
    given = {"crops": portrait, "generator": models["generator"]}
    before = run("PSFR_RestoreAlignedFaces", parse_map=parse_map, **given).args[0]
    after = run("PSFR_RestoreAlignedFaces", parse_map=edited, **given).args[0]
    changed = (before - after).abs().mean(-1)[0]
    eye = (parse_map.labels[0] == 4) | (edited.labels[0] != parse_map.labels[0])
    assert changed[eye].mean() > 5 * changed[~eye].mean()
    parsed_inside = run("PSFR_RestoreAlignedFaces", parser=models["parser"], **given).args[0]
    assert torch.equal(parsed_inside, before)


def test_strokes_are_painted_and_the_editor_gets_the_parsed_map(run: Run, parse_map: Any) -> None:
    crops = torch.rand(2, 8, 8, 3)
    done = run("PSFR_PaintParseMap", crops=crops, parse_map=parse_map, strokes="faces 2; 1 hat 250 375,375")
    painted, colors = done.args
    expected = parse_map.labels.clone()
    expected[1, 1, 1] = 14
    assert torch.equal(painted.labels, expected)
    assert torch.equal(colors.movedim(-1, 1), painted.to_color())
    (message,) = done.ui["parse_map_painter"]
    assert message["count"] == 2
    assert (message["regions"][14], message["colors"][14]) == ("hat", [0, 170, 170])
    assert [file["type"] for file in message["labels"]] == ["temp", "temp"]
    saved = torch.stack([(file.pixels * 255).to(torch.uint8)[..., 0] for file in message["labels"]])
    assert torch.equal(saved, parse_map.labels)  # labels without strokes, which the eraser restores
    assert torch.equal(torch.stack([file.pixels for file in message["crops"]]), crops)


def test_strokes_for_another_number_of_faces_are_kept_and_reported(
    run: Run, parse_map: Any, caplog: pytest.LogCaptureFixture
) -> None:
    crops = torch.rand(2, 8, 8, 3)
    strokes = "faces 3; 0 hat 250 375,375; 2 hat 250 375,375"
    painted = run("PSFR_PaintParseMap", crops=crops, parse_map=parse_map, strokes=strokes).args[0]
    assert (painted.labels == 14).flatten(1).sum(dim=1).tolist() == [1, 0]
    assert "painted on 3 faces, but now there are 2" in caplog.text


def test_empty_strokes_paint_nothing_and_invalid_strokes_are_named(run: Run, parse_map: Any, pack: Any) -> None:
    crops = torch.rand(2, 8, 8, 3)
    assert run("PSFR_PaintParseMap", crops=crops, parse_map=parse_map).args[0] is parse_map
    with pytest.raises(pack("psfr_core.errors").OptionError, match="must start with the number of faces"):
        run("PSFR_PaintParseMap", crops=crops, parse_map=parse_map, strokes="hat")
    with pytest.raises(pack("psfr_core.errors").InputError, match="There are 1 crops but 2 parse maps"):
        run("PSFR_PaintParseMap", crops=crops[:1], parse_map=parse_map)
