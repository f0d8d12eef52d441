"""For any arguments, public functions return finite results or raise errors of the library."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import psfr_core
from psfr_core import (
    ColorMatch,
    FaceRegion,
    ParseMap,
    PasteOptions,
    PsfrError,
    RegionGroup,
    RestorationModels,
    RestoreOptions,
    SelectionOptions,
    Size,
    match_colors,
)
from psfr_core.errors import InputError, OptionError, PositionError
from psfr_core.faces.detection_options import DetectionOptions
from psfr_core.faces.face import Face
from psfr_core.faces.template import template_for
from psfr_core.images.box import Box
from psfr_core.networks.parse_net import ParseNet, ParseNetConfig
from psfr_core.networks.psfr_generator import GeneratorConfig, PsfrGenerator
from psfr_core.progress import Progress

TYPES = [
    *(torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.float8_e4m3fn),
    *(torch.uint8, torch.uint16, torch.int64, torch.bool, torch.complex64),
]
CROPS, MAP = torch.rand(2, 3, 64, 64), ParseMap(torch.randint(0, 19, (2, 64, 64), dtype=torch.uint8))


@st.composite
def tensors(draw: st.DrawFn) -> Tensor:
    """Draw small tensors of any dtype, often with almost valid shapes."""
    sizes = st.sampled_from([0, 1, 2, 3, 4, 16, 64])
    shape = draw(st.one_of(st.lists(sizes, max_size=5), st.sampled_from([[3, 64, 64], [2, 3, 64, 64], [2, 1, 64, 64]])))
    values = torch.full(shape, draw(st.sampled_from([0.0, 0.5, 1.0, 7.0, -1.0, float("nan"), float("inf")])))
    return (
        values.nan_to_num(0, 0, 0).to(kind)
        if not (kind := draw(st.sampled_from(TYPES))).is_floating_point
        else values.to(kind)
    )


anything = st.one_of(
    tensors(),
    st.sampled_from(
        [None, True, 1.5, -1, 10**400, float("nan"), "all", "none", [], {}, b"", np.zeros((3, 64, 64), np.float32)]
    ),
    st.sampled_from([Size(8, 8), RestoreOptions(), SelectionOptions(), PasteOptions(), ColorMatch.NONE, MAP]),
)


def arguments(models: RestorationModels, faces: list[Face]) -> dict[Callable[..., Any], dict[str, Any]]:
    """Return valid arguments for each public function."""
    image = torch.rand(3, 120, 160)
    aligned = psfr_core.align_faces(image, faces, 64)
    return {
        psfr_core.align_faces: {"image": image, "faces": faces, "crop_size": 64},
        psfr_core.crop_masks: {"crop_size": 64, "options": PasteOptions(), "parse_map": MAP},
        psfr_core.enhance_faces: {"crops": CROPS, "parse_map": MAP, "generator": models.generator, "batch_size": 2},
        psfr_core.match_colors: {"restored": CROPS, "crops": CROPS.flip(0), "method": ColorMatch.LOW_FREQUENCY},
        psfr_core.parse_faces: {"crops": CROPS, "parse_net": models.parse_net, "batch_size": None},
        psfr_core.paste_faces: {
            "image": image,
            "aligned": aligned,
            "restored": CROPS,
            "masks": torch.rand(2, 1, 64, 64),
            "out": None,
        },
        psfr_core.restore_image: {
            "image": image,
            "models": models,
            "options": None,
            "mask": None,
            "faces": faces,
            "parse_maps": MAP,
        },
        psfr_core.select_faces: {
            "faces": faces,
            "image_size": Size(160, 120),
            "options": SelectionOptions(),
            "mask": torch.ones(120, 160),
        },
        MAP.resized: {"size": Size(8, 8)},
        MAP.replaced: {"mask": torch.ones(1, 1, 64, 64), "region": FaceRegion.SKIN},
        MAP.mask: {"regions": RegionGroup.EYES},
        MAP.__getitem__: {"index": 0},
        ParseMap: {"labels": MAP.labels},
        ParseMap.from_logits: {"parse_logits": torch.rand(1, 19, 8, 8)},
        ParseMap.from_picture: {"picture": MAP.to_color()},
        ParseMap.from_color: {"picture": MAP.to_color()},
    }


def tensors_in(result: Any) -> list[Tensor]:
    if isinstance(result, Tensor):
        return [result]
    if isinstance(result, (list, tuple)):
        return [tensor for part in result for tensor in tensors_in(part)]
    return (
        [value for value in vars(result).values() if isinstance(value, Tensor)] if hasattr(result, "__dict__") else []
    )


class NoDetector:
    """A detector that finds no faces."""

    def detect(
        self, images: Tensor, options: DetectionOptions | None = None, *, progress: Progress | None = None
    ) -> list[list[Face]]:
        return [[] for _ in images]


@pytest.fixture(scope="module")
def functions() -> dict[Callable[..., Any], dict[str, Any]]:
    models = RestorationModels(
        PsfrGenerator(GeneratorConfig((4, 4, 4), 4)).eval(), ParseNet(ParseNetConfig((4, 4), 0)).eval(), NoDetector()
    )
    landmarks = (template_for(64) + torch.tensor([[20.0, 10.0]])).float()
    return arguments(models, [Face(Box(20, 20, 70, 70), landmarks + shift, 0.9) for shift in (0, 50)])


@pytest.mark.slow
@given(index=st.integers(0, 999), value=anything)
@settings(max_examples=200, deadline=None)
def test_any_argument_gives_a_finite_result_or_a_library_error(
    functions: dict[Callable[..., Any], dict[str, Any]], index: int, value: object
) -> None:
    inputs = [(function, name) for function, good in functions.items() for name in good]
    function, name = inputs[index % len(inputs)]
    try:
        result = function(**(functions[function] | {name: value}))
    except PsfrError:
        return
    if (function, name) != (psfr_core.paste_faces, "image"):  # this function keeps invalid pixels outside the faces
        assert all(bool(tensor.isfinite().all()) for tensor in tensors_in(result))


MISUSE: list[tuple[Callable[[], object], type[Exception], str]] = [
    (lambda: MAP[3], PositionError, "out of range for 2 parse maps"),
    (lambda: MAP[3], IndexError, "out of range for 2 parse maps"),
    (lambda: MAP[1.5], InputError, "integers or slices"),  # type: ignore[index]
    (lambda: MAP[2:], InputError, r"labels must have the shape \(B, H, W\), got \(0, 64, 64\)"),
    (lambda: MAP.mask("eyes"), OptionError, "got str. Use parse_regions for names"),  # type: ignore[arg-type]
    (lambda: MAP.replaced(torch.ones(1, 1, 64, 64), 300), InputError, "region must be of type FaceRegion"),  # type: ignore[arg-type]
    (lambda: ParseMap(np.zeros((1, 2, 2), np.uint8)), InputError, "labels must be a torch.Tensor, got a ndarray"),  # type: ignore[arg-type]
    (lambda: match_colors(CROPS, CROPS * torch.nan, ColorMatch.NONE), InputError, "crops must be finite"),
    (lambda: match_colors(CROPS, CROPS, "none"), InputError, "method must be of type ColorMatch, got a str"),  # type: ignore[arg-type]
    (lambda: match_colors(CROPS.to(torch.float8_e5m2), CROPS, ColorMatch.NONE), InputError, "at least 16 bits"),
    (
        lambda: psfr_core.load_generator(cast(Any, None)),
        InputError,
        "source must be of type str or Path or ModelFile, got a NoneType",
    ),
    (lambda: psfr_core.load_models(folders="models"), InputError, "folders must be of type list or tuple"),
    (lambda: psfr_core.load_models(dtype="float32"), OptionError, "dtype must be one of torch.float16"),  # type: ignore[arg-type]
    (
        lambda: psfr_core.load_detector("compact-face", options=cast(Any, 3)),
        InputError,
        "DetectionOptions or NoneType, got an int",
    ),  # type: ignore[arg-type]
    (lambda: psfr_core.crop_masks(2**31, PasteOptions(), None), OptionError, "from 1 to 8192, got 2147483648"),
]


@pytest.mark.parametrize(("misuse", "error", "words"), MISUSE)
def test_misuse_raises(misuse: Callable[[], object], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        misuse()


def test_parse_maps_are_iterated_and_sliced_like_sequences() -> None:
    assert [torch.equal(single.labels[0], labels) for single, labels in zip(MAP, MAP.labels, strict=True)] == [
        True,
        True,
    ]
    assert torch.equal(MAP[-1].labels, MAP.labels[1:])
    assert torch.equal(MAP[::-1].labels, MAP.labels.flip(0))
    assert torch.equal(MAP[np.int64(1) :].labels, MAP.labels[1:])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_colors_match_in_any_float_dtype(dtype: torch.dtype) -> None:
    expected = match_colors(CROPS, CROPS.flip(0), ColorMatch.LOW_FREQUENCY)
    found = match_colors(CROPS.to(dtype), CROPS.flip(0), ColorMatch.LOW_FREQUENCY)
    assert found.dtype == dtype
    torch.testing.assert_close(found.float(), expected, atol=0.02, rtol=0)


def test_restoration_does_not_depend_on_autocast(functions: dict[Callable[..., Any], dict[str, Any]]) -> None:
    given: dict[str, Any] = functions[psfr_core.restore_image] | {
        "image": torch.rand(3, 120, 160) * 0.2 + 0.4,
        "options": RestoreOptions(paste=PasteOptions(grain=1.0)),
        "parse_maps": None,
    }
    plain = psfr_core.restore_image(**given)
    with torch.autocast("cpu", torch.bfloat16):
        inside = psfr_core.restore_image(**given)
    assert torch.equal(inside.image, plain.image)
    assert torch.equal(inside.restored, plain.restored)
