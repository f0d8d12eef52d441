from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from psfr_core.errors import OptionError
from psfr_core.parsing.labels import FaceRegion
from psfr_core.parsing.parse_map import ParseMap
from psfr_core.parsing.strokes import Painting, Stroke

# The painter in the browser must paint the same maps. tests/web/strokes.test.mjs reads the same file.
SHARED = json.loads((Path(__file__).parents[1] / "data" / "strokes.json").read_text())


def map_of(rows: list[list[int]]) -> ParseMap:
    return ParseMap(torch.tensor([rows], dtype=torch.uint8))


def skin(faces: int = 1, side: int = 100) -> ParseMap:
    return ParseMap(torch.ones(faces, side, side, dtype=torch.uint8))


@pytest.mark.parametrize("case", SHARED, ids=[case["name"] for case in SHARED])
def test_paints_as_the_browser_does(case: dict[str, Any]) -> None:
    painting = Painting.from_text(case["text"])
    assert painting is not None
    assert painting.paint(map_of(case["parsed"])).labels[0].tolist() == case["painted"]
    assert painting.to_text() == case["text"]


def test_a_dot_is_a_disk_of_its_diameter() -> None:
    painted = Painting(1, (Stroke(0, FaceRegion.HAIR, 400, ((500, 500),)),)).paint(skin())
    rows, columns = (painted.labels[0] == 13).nonzero().unbind(dim=1)
    assert (int(rows.min()), int(rows.max()), int(columns.min()), int(columns.max())) == (30, 69, 30, 69)
    assert len(rows) == pytest.approx(torch.pi * 20**2, rel=0.01)


def test_a_line_has_no_gap_however_far_apart_its_points_are() -> None:
    painted = Painting(1, (Stroke(0, FaceRegion.HAT, 20, ((0, 500), (1000, 500))),)).paint(skin())
    assert (painted.labels[0, 49:51] == 14).all()
    assert (painted.labels[0, :48] == 1).all()
    assert (painted.labels[0, 52:] == 1).all()


def test_the_thinnest_brush_paints_a_pixel_on_the_smallest_map() -> None:
    painted = Painting(1, (Stroke(0, FaceRegion.NOSE, 1, ((500, 500),)),)).paint(skin(side=5))
    assert painted.labels[0, 2, 2] == 2
    assert (painted.labels != 1).sum() == 1


def test_strokes_cover_earlier_ones_and_the_eraser_restores_the_parsed_map() -> None:
    whole = ((0, 500), (1000, 500))
    strokes = (
        Stroke(0, FaceRegion.HAIR, 2000, whole),
        Stroke(0, FaceRegion.NOSE, 200, ((500, 500),)),
        Stroke(0, None, 100, ((500, 500),)),
    )
    labels = Painting(1, strokes).paint(skin()).labels[0]
    assert (labels[50, 50], labels[50, 58], labels[50, 70]) == (1, 2, 13)


def test_strokes_change_only_their_face_and_not_the_given_map() -> None:
    given_map = skin(faces=3)
    painting = Painting.from_text("faces 3; 1 hair 300 500,500; 7 hat 300 500,500")
    assert painting is not None
    painted = painting.paint(given_map)
    assert (painted.labels != 1).flatten(1).any(dim=1).tolist() == [False, True, False]
    assert (given_map.labels == 1).all()


def test_strokes_fit_maps_of_any_size() -> None:
    painting = Painting(1, (Stroke(0, FaceRegion.HAIR, 300, ((200, 300), (700, 600))),))
    small, large = (painting.paint(skin(side=side)).labels == 13 for side in (128, 512))
    assert (large[:, 2::4, 2::4] != small).float().mean() < 0.01


def test_no_text_is_no_painting() -> None:
    assert Painting.from_text("") is None
    assert Painting.from_text("  ") is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("hello", "must start with the number of faces, such as 'faces 1', got 'hello'"),
        ("faces", "must start with the number of faces"),
        ("faces 1; 0 hair 60", "got '0 hair 60'"),
        ("faces 1; 0 hair 60 1", "got '0 hair 60 1'"),
        ("faces 1; 0 hair 60 1,1;", "got ''"),
        ("faces 1; 0 chin 60 1,1", "Unknown region 'chin' in strokes. Known regions: background, skin"),
        ("faces 1; -1 hair 60 1,1", "got '-1 hair 60 1,1'"),
        ("faces 1; 0 hair 99999 1,1", "got '0 hair 99999 1,1'"),
        ("faces 1; " + "x" * 500, "got 'x{60}\\.\\.\\.'"),
        ("f" * 2_000_001, "have 2000001 characters; the maximum is 2000000"),
    ],
)
def test_other_texts_are_refused(text: str, words: str) -> None:
    with pytest.raises(OptionError, match=words):
        Painting.from_text(text)


strokes = st.builds(
    Stroke,
    st.integers(0, 9999),
    st.sampled_from([None, *FaceRegion]),
    st.integers(0, 9999),
    st.lists(st.tuples(st.integers(-9999, 9999), st.integers(-9999, 9999)), min_size=1, max_size=4).map(tuple),
)


@settings(deadline=None, max_examples=60)
@given(st.builds(Painting, st.integers(0, 9999), st.lists(strokes, max_size=4).map(tuple)))
def test_every_painting_is_restored_from_its_text_and_can_be_painted(painting: Painting) -> None:
    assert Painting.from_text(painting.to_text()) == painting
    assert painting.paint(skin(faces=2, side=16)).size == (16, 16)
