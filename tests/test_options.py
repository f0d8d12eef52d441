"""Options accept values of the right type and range, and reject all others."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from psfr_core import DetectionOptions, PasteOptions, RestoreOptions, SelectionOptions
from psfr_core.errors import OptionError
from psfr_core.options import check_options, check_value, option


class Shade(Enum):
    LIGHT = 1
    DARK = 2


@dataclass(frozen=True)
class Paint:
    """Options of all supported types."""

    share: float = option(0.5, "amount", low=0, high=1)
    coats: int | None = option(None, "number of coats", low=1)
    shade: Shade = option(Shade.LIGHT, "shade")
    is_dry: bool = option(False, "dryness")
    places: tuple[int, ...] = option((), "positions", low=0, high=9)

    def __post_init__(self) -> None:
        check_options(self)


@pytest.mark.parametrize(
    "values",
    [
        {"share": 1, "coats": 3},
        {"share": np.float32(0.25), "coats": np.int64(2)},
        {"shade": Shade.DARK, "is_dry": True, "places": (0, 9), "coats": None},
    ],
)
def test_valid_values_are_not_changed(values: dict[str, Any]) -> None:
    paint = Paint(**values)
    assert all(getattr(paint, name) is value for name, value in values.items())


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"share": float("nan")}, r"^share must be a number from 0 to 1, got nan\.$"),
        ({"share": np.float32("inf")}, "from 0 to 1"),
        ({"share": True}, r"^share must be a number from 0 to 1, got True\.$"),
        ({"share": "0.5"}, "got '0.5'"),
        ({"share": None}, "got None"),
        ({"coats": 1.5}, r"^coats must be an integer of at least 1 or None, got 1.5\.$"),
        ({"coats": 0}, "got 0"),
        ({"coats": -(10**5000)}, r"got a value of type int\.$"),
        ({"shade": "DARK"}, r"^shade must be a Shade, such as Shade.LIGHT, got 'DARK'\.$"),
        ({"is_dry": 1}, r"^is_dry must be True or False, got 1\.$"),
        (
            {"places": (1, 10)},
            r"^places must be a tuple in which each entry is an integer from 0 to 9, got \(1, 10\)\.$",
        ),
        ({"places": (1, True)}, "places"),
        ({"places": [1]}, r"got \[1\]"),
        ({"places": "a" * 500}, r"got 'aaaa[a]{55}\.\.\.\.$"),
    ],
)
def test_invalid_values_raise_with_the_needed_type_and_range(values: dict[str, Any], words: str) -> None:
    with pytest.raises(OptionError, match=words):
        Paint(**values)


def test_integers_too_large_for_a_float_are_rejected() -> None:
    check_value("size", 10**308, float)
    with pytest.raises(OptionError, match="size must be a number, got 1000"):
        check_value("size", 10**309, float)


anything = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=3),
    st.sampled_from([2**64, -(10**400), 1e308]),
)


@pytest.mark.parametrize("options", [DetectionOptions, PasteOptions, RestoreOptions, SelectionOptions])
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_any_value_is_accepted_or_raises_an_option_error(options: type, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(list(options.__dataclass_fields__)))  # type: ignore[attr-defined]
    value = data.draw(anything)
    try:
        made = options(**{name: value})
    except OptionError:
        return
    assert getattr(made, name) is value
