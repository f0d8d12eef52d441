from __future__ import annotations

import argparse
from dataclasses import dataclass
from enum import Enum
from typing import Any

import pytest

from psfr_core.cli.option_flags import add_options, options_from_args


class Color(str, Enum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True)
class Options:
    """Options of all supported types."""

    steps: int
    name: str = "a"
    fraction: float | None = None
    pair: tuple[float, float] = (1.0, 2.0)
    sizes: tuple[int, ...] = (3,)
    fast: bool = False
    color: Color = Color.RED


def parse(*arguments: str, **defaults: Any) -> Options:
    parser = argparse.ArgumentParser()
    add_options(parser, Options, **defaults)
    return options_from_args(parser.parse_args(arguments), Options)


def test_defaults_are_those_of_the_dataclass() -> None:
    assert parse("--steps", "4") == Options(4)


def test_values_of_all_types_are_parsed() -> None:
    arguments = [
        "--steps",
        "4",
        "--name",
        "b",
        "--fraction",
        "0.5",
        "--pair",
        "3",
        "4",
        "--sizes",
        "1",
        "2",
        "3",
        "--fast",
        "--color",
        "blue",
    ]
    assert parse(*arguments) == Options(4, "b", 0.5, (3.0, 4.0), (1, 2, 3), True, Color.BLUE)


def test_defaults_can_be_overridden() -> None:
    assert parse(steps=9, name="c") == Options(9, "c")


@pytest.mark.parametrize("arguments", [[], ["--steps", "x"], ["--steps", "1", "--color", "green"]])
def test_invalid_arguments_exit_with_code_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        parse(*arguments)
    assert stopped.value.code == 2
