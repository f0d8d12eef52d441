"""Test that any value from a link or the API gives a clear error or a valid result in [0, 1]."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

Run = Callable[..., Any]

IMAGE, MASK = torch.rand(1, 16, 16, 3), torch.ones(1, 16, 16)
BAD_NUMBERS = [math.nan, math.inf, -math.inf, -1e30, 1e308, 10**400, -(10**5000), None, "1", True]
BAD: dict[str, list[Any]] = {
    "FLOAT": BAD_NUMBERS,
    "INT": [*BAD_NUMBERS, 2**64, 2**65 + 1, -1, 1.5],
    "BOOLEAN": [None, 1, "yes"],
    "STRING": [None, 3, math.nan],
    "COMBO": [None, 3, []],
    "IMAGE": [
        None,
        "image",
        IMAGE.numpy(),
        IMAGE[0],
        IMAGE[:0],
        IMAGE[:, :0],
        IMAGE.repeat(1, 1, 1, 2),
        (IMAGE * 255).byte(),
        IMAGE > 0.5,
        IMAGE.to(torch.complex64),
        IMAGE.to(torch.float8_e4m3fn),
        IMAGE.to_sparse(),
        torch.full_like(IMAGE, math.nan),
        torch.cat([IMAGE, torch.full_like(IMAGE, math.inf)]),
    ],
    "MASK": [
        "mask",
        MASK.numpy(),
        MASK[0, 0],
        MASK[:0],
        MASK.to(torch.complex64),
        MASK.to(torch.float8_e5m2),
        MASK.to_sparse(),
        torch.full_like(MASK, math.nan),
    ],
}


def test_every_input_of_every_node_is_checked(nodes: dict[str, Any], run: Run, pack: Any) -> None:
    """Test all inputs without models and faces, because inputs are checked before the node uses them."""
    error = pack("psfr_core.errors").PsfrError
    valid = {"IMAGE": IMAGE, "MASK": MASK}
    tried = 0
    for node_id, node in nodes.items():
        sockets = node.define_schema().inputs
        given = {socket.id: valid.get(socket.io_type) for socket in sockets if not hasattr(socket, "default")}
        given |= {socket.id: valid[socket.io_type] for socket in sockets if socket.io_type in valid}
        for socket in sockets:
            for value in BAD.get(socket.io_type, []):
                if value is None and socket.optional:
                    continue
                with pytest.raises(error):
                    run(node_id, **(given | {socket.id: value}))
                tried += 1
    assert tried > 500


@pytest.mark.parametrize(
    ("node_id", "changes", "words"),
    [
        ("PSFR_CompareImages", {"gain": math.nan}, "gain must be a number from 1 to 64, got nan"),
        ("PSFR_AlignFaces", {"crop_size": 2**31}, "crop_size must be an integer from 64 to 2048, got 2147483648"),
        ("PSFR_DegradeImage", {"seed": 2**64}, "seed must be an integer from 0 to 18446744073709551615, got"),
        ("PSFR_RestoreAlignedFaces", {"strength": -1e30}, r"strength must be a number from 0 to 1, got -1e\+30"),
        ("PSFR_ParseFaces", {"crops": IMAGE[:0]}, r"crops must have the shape \(B, H, W, C\), got \(0, 16, 16, 3\)"),
        ("PSFR_ImageToParseMap", {"image": IMAGE * 1e38, "unknown": "error"}, "does not belong to any face region"),
        ("PSFR_SelectFaces", {"indices": "9" * 5000}, "is above the highest index 9999"),
    ],
)
def test_messages_say_what_is_needed(run: Run, pack: Any, node_id: str, changes: Any, words: str) -> None:
    given = {
        "PSFR_CompareImages": {"image": IMAGE, "reference": IMAGE},
        "PSFR_AlignFaces": {"image": IMAGE, "faces": None},
        "PSFR_DegradeImage": {"image": IMAGE},
        "PSFR_RestoreAlignedFaces": {"crops": IMAGE, "generator": None},
        "PSFR_ParseFaces": {"parser": None},
        "PSFR_ImageToParseMap": {},
        "PSFR_SelectFaces": {"faces": None},
    }[node_id]
    with pytest.raises(pack("psfr_core.errors").PsfrError, match=words):
        run(node_id, **(given | changes))


def in_range(image: Tensor) -> bool:
    return float(image.min()) >= 0 and float(image.max()) <= 1


def test_crops_stay_in_range_at_sharp_edges(run: Run, models: dict[str, Any], portrait: Tensor) -> None:
    """Test that values stay in [0, 1], because other packs convert them to bytes, where 1.017 becomes nearly black."""
    faces = run("PSFR_DetectFaces", image=portrait, detector=models["detector"]).args[0]
    stripes = (torch.arange(256) % 16 < 8).float()[:, None].expand(1, 256, 256, 3)
    crops = run("PSFR_AlignFaces", image=stripes, faces=faces, crop_size=512).args[0]
    assert in_range(crops)
    assert (crops.min(), crops.max()) == (0, 1)
    wild = crops * 3 - 1
    given = {"generator": models["generator"], "parser": models["parser"], "strength": 0.5}
    assert in_range(run("PSFR_RestoreAlignedFaces", crops=wild, **given).args[0])
    pasted, mask = run("PSFR_PasteFacesBack", image=portrait * 0.5, faces=faces, crops=wild).args
    assert in_range(pasted)
    assert torch.equal(pasted[mask == 0], portrait[mask == 0] * 0.5)


def test_the_seed_after_the_largest_is_0(run: Run) -> None:
    batch = IMAGE.repeat(2, 1, 1, 1)
    last = run("PSFR_DegradeImage", image=batch, seed=2**64 - 1).args[0]
    assert torch.equal(last[1:], run("PSFR_DegradeImage", image=IMAGE, seed=0).args[0])
    for image in run("PSFR_DegradeImage", image=torch.rand(1, 24, 24, 4) * 3 - 1, seed=1).args[:2]:
        assert in_range(image)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("shape", [(1, 1, 1, 3), (2, 9, 5, 1), (1, 40, 30, 2), (1, 30, 40, 4)])
def test_images_of_any_float_type_and_size_pass(
    run: Run, models: dict[str, Any], shape: tuple[int, ...], dtype: torch.dtype
) -> None:
    image = torch.rand(shape).to(dtype)
    faces, _, count, overlay, _ = run("PSFR_DetectFaces", image=image, detector=models["detector"]).args
    assert (count, in_range(overlay)) == (0, True)
    assert in_range(run("PSFR_AlignFaces", image=image, faces=faces, crop_size=64).args[0])
    restored, mask, count, _ = run("PSFR_RestoreFacesInImage", image=image, **models).args
    assert torch.equal(restored, image)
    assert (mask.shape, count) == (shape[:3], 0)
    degraded, target, _ = run("PSFR_DegradeImage", image=image).args
    assert in_range(degraded)
    assert in_range(target)
