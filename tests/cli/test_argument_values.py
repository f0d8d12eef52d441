"""Test that arbitrary argument texts are accepted or raise OptionError."""

from __future__ import annotations

import argparse
from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from psfr_core.checks import check_seed, seeded_generator
from psfr_core.cli.option_flags import add_options, options_from_args
from psfr_core.cli.plan import check_folder, check_overwrites
from psfr_core.device import resolve_device
from psfr_core.errors import OptionError
from psfr_core.faces.detection_options import DetectionOptions
from psfr_core.faces.selection import SelectionOptions, parse_indices
from psfr_core.files import expand_user
from psfr_core.images.folders import search_images
from psfr_core.lab.degradation.config import DegradationConfig, load_degradation
from psfr_core.lab.training.loop_config import LoopConfig
from psfr_core.lab.training.recipe_file import parse_override
from psfr_core.parsing.labels import parse_regions
from psfr_core.restoration.paste_options import PasteOptions, parse_pasted_regions
from psfr_core.restoration.region_strengths import parse_region_strengths
from psfr_core.restoration.restore_options import RestoreOptions

quickly = settings(
    max_examples=60, deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
NUMBERS = st.one_of(
    st.integers().map(str),
    st.floats().map(str),
    st.integers(1, 5_000).map(lambda count: "9" * count),
    st.sampled_from(
        ["1e20", "-0", "nan", "inf", "1e999", "0x10", "1_0", "١٢", "", " 5 ", str(2**64), str(-(2**63) - 1)]
    ),
)
TEXTS = st.one_of(st.text(max_size=30), NUMBERS)


@quickly
@given(st.one_of(st.text("0123456789,- noneal", max_size=20), NUMBERS, st.text(max_size=20)))
def test_indices_are_parsed_or_raise(text: str) -> None:
    with suppress(OptionError):
        indices = parse_indices(text)
        assert indices is None or all(-9999 <= index <= 9999 for index in indices)


@quickly
@given(TEXTS)
def test_regions_devices_paths_and_overrides_are_parsed_or_raise(text: str) -> None:
    for parse in (
        parse_regions,
        parse_pasted_regions,
        parse_region_strengths,
        resolve_device,
        expand_user,
        parse_override,
        load_degradation,
    ):
        with suppress(OptionError):
            parse(text)
    with suppress(OptionError):
        parse_override(f"loop.steps={text}")


@pytest.mark.parametrize("text", ["a=!!timestamp x", "a=!!bool x", "a=2001-99-99", "a=!!int ''"])
def test_overrides_that_are_not_valid_yaml_raise(text: str) -> None:
    with pytest.raises(OptionError, match="the value cannot be read as YAML"):
        parse_override(text)


@pytest.mark.parametrize(
    ("options", "skip"),
    [
        (DetectionOptions, ()),
        (SelectionOptions, ("indices",)),
        (RestoreOptions, ("selection", "paste")),
        (PasteOptions, ("regions", "strengths")),
        (DegradationConfig, ("old_photo",)),
        (LoopConfig, ()),
    ],
)
@quickly
@given(data=st.data())
def test_option_flags_are_parsed_or_raise(
    capsys: pytest.CaptureFixture[str], options: type, skip: tuple[str, ...], data: st.DataObject
) -> None:
    parser = argparse.ArgumentParser()
    add_options(parser, options, skip=skip, **({"steps": 1} if options is LoopConfig else {}))
    names = [field.name.replace("_", "-") for field in fields(options) if field.name not in skip]
    flag = f"--{data.draw(st.sampled_from(names))}"
    values = data.draw(st.lists(NUMBERS, min_size=1, max_size=2))
    arguments = [f"{flag}={values[0]}"] if len(values) == 1 else [flag, *values]
    with suppress(OptionError, SystemExit):  # argparse exits for syntax errors
        options_from_args(parser.parse_args(arguments), options, skip=skip)
    capsys.readouterr()


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=5,
)


@quickly
@given(st.sampled_from(["noise_std", "passes", "jpeg_probability", "old_photo", "other"]), JSON)
def test_degradation_configurations_are_parsed_or_raise(name: str, value: Any) -> None:
    with suppress(OptionError):
        DegradationConfig.from_dict({name: value})


@quickly
@given(st.integers())
def test_seeds_of_64_bits_are_accepted(seed: int) -> None:
    if -(2**63) <= seed < 2**64:
        check_seed(seed)
    else:
        with pytest.raises(OptionError, match="seed must be from"):
            check_seed(seed)
    seeded_generator(seed)


@quickly
@given(st.text(st.one_of(st.characters(), st.sampled_from("*[]?!.\0")), max_size=15))
def test_paths_are_accepted_or_raise(tmp_path: Path, text: str) -> None:
    path = tmp_path / text.replace("/", "").replace("..", "")
    search_images([path], recursive=True)
    with suppress(OptionError):
        check_overwrites([path], [path / "a.png"])
    with suppress(OptionError):
        check_folder(path)
