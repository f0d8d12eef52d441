"""Test which faces are selected, and in which order."""

from __future__ import annotations

import random

import pytest
import torch

from psfr_core.errors import InputError, OptionError
from psfr_core.faces.face import Face
from psfr_core.faces.selection import FaceOrder, FaceSelection, SelectionOptions, parse_indices, select_faces
from psfr_core.images.box import Box, Size

SIZE = Size(400, 300)


def face(name: str, left: float, top: float, width: float, height: float, score: float) -> tuple[str, Face]:
    return name, Face(Box(left, top, left + width, top + height), torch.zeros(5, 2), score)


FACES = dict(
    [
        face("small", 10, 200, 20, 30, 0.99),
        face("LARGE", 250, 60, 100, 120, 0.7),
        face("medium", 150, 110, 50, 60, 0.8),
        face("flat", 60, 20, 90, 10, 0.6),
    ]
)


def names(options: SelectionOptions, mask: torch.Tensor | None = None, size: Size = SIZE) -> list[str]:
    selected = select_faces(list(FACES.values()), size, options, mask)
    return [next(name for name, known in FACES.items() if known is one) for one in selected]


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ("area", ["LARGE", "medium", "flat", "small"]),
        ("small-first", ["small", "flat", "medium", "LARGE"]),
        ("left-right", ["small", "flat", "medium", "LARGE"]),
        ("right-left", ["LARGE", "medium", "flat", "small"]),
        ("top-bottom", ["flat", "LARGE", "medium", "small"]),
        ("bottom-top", ["small", "medium", "LARGE", "flat"]),
        ("score", ["small", "medium", "LARGE", "flat"]),
    ],
)
def test_faces_are_ordered(order: str, expected: list[str]) -> None:
    assert names(SelectionOptions(order=FaceOrder(order))) == expected


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (SelectionOptions(), ["LARGE", "medium", "flat", "small"]),
        (SelectionOptions(selection=FaceSelection.LARGEST, order=FaceOrder.SCORE), ["LARGE"]),
        (SelectionOptions(selection=FaceSelection.CENTER), ["medium"]),
        (SelectionOptions(min_size=20), ["LARGE", "medium", "small"]),
        (SelectionOptions(min_size=20.1), ["LARGE", "medium"]),
        (SelectionOptions(max_size=50), ["medium", "flat", "small"]),
        (SelectionOptions(max_size=49.9, max_faces=1), ["flat"]),
        (SelectionOptions(min_size=20, max_size=20), ["small"]),
        (SelectionOptions(max_faces=2), ["LARGE", "medium"]),
        (SelectionOptions(max_faces=9), ["LARGE", "medium", "flat", "small"]),
        (SelectionOptions(indices=(0, 2)), ["LARGE", "flat"]),
        (SelectionOptions(indices=(2, 0, 0), order=FaceOrder.LEFT_RIGHT), ["small", "medium"]),
        (SelectionOptions(indices=(2,), min_size=20), ["small"]),
        (SelectionOptions(indices=(1, 2, 3), max_faces=1), ["medium"]),
        (SelectionOptions(indices=(1, 3), selection=FaceSelection.LARGEST), ["medium"]),
        (SelectionOptions(indices=(7,)), []),
        (SelectionOptions(indices=()), []),
        (SelectionOptions(indices=(-1,)), ["small"]),
        (SelectionOptions(indices=(-2, -1, 0)), ["LARGE", "flat", "small"]),
        (SelectionOptions(indices=(-4,)), ["LARGE"]),
        (SelectionOptions(indices=(-5,)), []),
        (SelectionOptions(indices=(-1,), min_size=20.1), ["medium"]),
        (SelectionOptions(min_size=1000, selection=FaceSelection.CENTER, max_faces=1), []),
    ],
)
def test_the_options_choose_the_kept_faces(options: SelectionOptions, expected: list[str]) -> None:
    assert names(options) == expected


@pytest.mark.parametrize(
    ("size", "expected"), [((200, 100), "in the middle"), ((100, 200), "low"), ((100, 100), "left")]
)
def test_the_center_is_half_of_the_width_and_half_of_the_height(size: tuple[int, int], expected: str) -> None:
    known = [
        face("in the middle", 90, 35, 20, 20, 0.7),
        face("left", 45, 35, 20, 20, 0.9),
        face("low", 50, 85, 20, 20, 0.8),
    ]
    (found,) = select_faces([one for _, one in known], Size(*size), SelectionOptions(selection=FaceSelection.CENTER))
    assert [name for name, one in known if one is found] == [expected]


@pytest.mark.parametrize("order", list(FaceOrder))
def test_the_order_of_equal_faces_does_not_depend_on_the_input_order(order: FaceOrder) -> None:
    equal_faces = [face(str(n), 10 * (n % 2), 20 * (n // 2), 30, 40, 0.5)[1] for n in range(4)]
    shuffled = [*equal_faces, *FACES.values()]
    expected = select_faces(shuffled, SIZE, SelectionOptions(order=order))
    for seed in range(10):
        random.Random(seed).shuffle(shuffled)
        assert select_faces(shuffled, SIZE, SelectionOptions(order=order)) == expected
    by_score = select_faces(equal_faces[::-1], SIZE, SelectionOptions(order=FaceOrder.SCORE))
    assert by_score == equal_faces


def test_no_faces_select_no_faces() -> None:
    assert select_faces([], SIZE, SelectionOptions(selection=FaceSelection.LARGEST)) == []


def test_a_mask_keeps_faces_that_are_half_painted() -> None:
    mask = torch.zeros(300, 400)
    mask[:, 300:] = 1  # exactly half of LARGE
    assert names(SelectionOptions(), mask) == ["LARGE"]
    mask[:, 300] = 0.5  # less than half, and not the center
    assert names(SelectionOptions(), mask) == []
    mask[200:230, 10:31] = 0.6
    assert names(SelectionOptions(), mask) == ["small"]


@pytest.mark.parametrize("part", [0.01, 0.25, 0.45])
def test_painting_the_center_of_a_face_selects_it(part: float) -> None:
    """Paint around (300, 120), the center of ``LARGE``, which is 100 pixels wide."""
    mask = torch.zeros(300, 400)
    radius = max(round(50 * part), 1)
    mask[120 - radius : 120 + radius, 300 - radius : 300 + radius] = 1
    assert names(SelectionOptions(), mask) == ["LARGE"]
    assert names(SelectionOptions(), mask.roll(radius + 1, 1)) == []


def test_mask_counts_only_the_part_of_a_box_inside_the_image() -> None:
    _, cut = face("cut", 380, 100, 100, 100, 0.9)
    _, outside = face("outside", 500, 100, 100, 100, 0.9)
    mask = torch.zeros(300, 400)
    mask[:, 380:] = 1
    assert select_faces([cut, outside], SIZE, SelectionOptions(), mask) == [cut]


@pytest.mark.parametrize("size", [(75, 100), (150, 200), (601, 800), (3000, 4000)])
def test_masks_of_the_same_proportions_are_resized(size: tuple[int, int]) -> None:
    height, width = size
    mask = torch.zeros(size)
    mask[height // 3 : height // 2, width * 5 // 8 : width * 7 // 8] = 1  # 50 of the 120 rows of LARGE, from 100 to 150
    assert names(SelectionOptions(), mask) == ["LARGE"]
    assert names(SelectionOptions(), mask.flip(1)) == []


@pytest.mark.parametrize(
    ("mask", "words"),
    [
        (torch.zeros(400, 300), "whole image of 400 x 300 pixels, but its proportions are 300 x 400"),
        (torch.zeros(300, 406), "its proportions are 406 x 300"),
        (torch.zeros(1, 300, 400), r"mask must have the shape \(H, W\)"),
    ],
)
def test_masks_of_other_shapes_are_refused(mask: torch.Tensor, words: str) -> None:
    with pytest.raises(InputError, match=words):
        names(SelectionOptions(), mask)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"min_size": -1.0}, "min_size"),
        ({"min_size": float("nan")}, "min_size"),
        ({"indices": (0, -10000)}, "each entry is an integer from -9999 to 9999 or None, got \\(0, -10000\\)"),
        ({"max_faces": 0}, "max_faces must be an integer from 1 to 9999 or None, got 0"),
    ],
)
def test_options_are_checked(options: dict[str, float], words: str) -> None:
    with pytest.raises(OptionError, match=words):
        SelectionOptions(**options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", None),
        ("  ", None),
        ("0", (0,)),
        ("0,2,4-6", (0, 2, 4, 5, 6)),
        (" 3 - 3 , 1,1 ", (1, 3)),
        ("none", ()),
        (" None ", ()),
        (" All ", None),
        ("-1", (-1,)),
        ("0, -1", (-1, 0)),
        ("-3 -", (-3, -2, -1)),
        ("9997-", (9997, 9998, 9999)),
        ("-0", (0,)),
        ("-9999", (-9999,)),
    ],
)
def test_index_texts_are_parsed(text: str, expected: tuple[int, ...] | None) -> None:
    assert parse_indices(text) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a", "'a' is not a number or range. Write '0,2,4-6'"),
        ("1,,2", "'' is not a number"),
        ("- 1", "'- 1' is not a number or range"),
        ("-", "'-' is not a number or range"),
        ("all,1", "'all' is not a number or range"),
        ("--1", "not a number or range"),
        ("-3-5", "'-3-5' counts from the end and from the start. Write '-3-' for the last 3"),
        ("-10000", "-10000 is above the highest index 9999"),
        ("99999-", "99999 is above the highest index 9999"),
        ("1.5", "not a number"),
        ("1-2-3", "'1-2-3' is not a number or range"),
        ("²", "not a number"),
        ("6-4", "'6-4' runs backwards"),
        ("0-99999999999", "above the highest index 9999"),
    ],
)
def test_invalid_index_texts_are_refused(text: str, words: str) -> None:
    with pytest.raises(OptionError, match=words):
        parse_indices(text)


def test_no_index_selects_no_face() -> None:
    assert names(SelectionOptions(indices=parse_indices("none"))) == []


def test_an_empty_range_of_sizes_is_refused() -> None:
    with pytest.raises(OptionError, match="max_size 40 is below min_size 50"):
        SelectionOptions(min_size=50, max_size=40)
