"""Test SEGS against the code of Impact Pack in the folder IMPACT_PACK_PATH. The tests are skipped if it is not set."""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import MagicMock

import pytest
import torch
from torch import Tensor

Run = Callable[..., Any]

FOLDER = os.environ.get("IMPACT_PACK_PATH", "")
pytestmark = pytest.mark.skipif(
    not FOLDER, reason="IMPACT_PACK_PATH is not set; it is the folder of ComfyUI-Impact-Pack"
)


_COMFYUI = {
    *("comfy", "comfy_execution", "comfy_extras", "execution", "folder_paths"),
    *("latent_preview", "node_helpers", "nodes", "server"),
}
# Packages that Impact Pack needs for functions other than SEGS.
_PACKAGES = {"aiohttp", "dill", "matplotlib", "piexif", "sam2", "segment_anything", "skimage", "webcolors", "yaml"}
_MOCKED = _COMFYUI | {name for name in _PACKAGES if importlib.util.find_spec(name) is None}


class _Mocks(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Provide mocks for ComfyUI and for packages that are not installed."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname.split(".")[0] not in _MOCKED:
            return None
        return importlib.machinery.ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> Any:
        return MagicMock(name=spec.name, __spec__=spec, __path__=[], __all__=[])

    def exec_module(self, module: ModuleType) -> None:
        pass


@pytest.fixture
def impact(host: object, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Any]]:
    """Return a function that imports a module of Impact Pack."""
    pytest.importorskip("torchvision")
    before = dict(sys.modules)
    mocks = _Mocks()
    monkeypatch.syspath_prepend(str(Path(FOLDER) / "modules"))
    for name in before:
        if name.split(".")[0] in _MOCKED:
            monkeypatch.delitem(sys.modules, name)  # remove the stand-in for ComfyUI
    sys.meta_path.insert(0, mocks)  # mocks have priority over this repository's folder nodes
    yield lambda name: importlib.import_module(f"impact.{name}")
    sys.meta_path.remove(mocks)
    for name in set(sys.modules) - set(before):
        del sys.modules[name]


@pytest.fixture
def photo() -> Tensor:
    return torch.rand(1, 90, 120, 3, generator=torch.manual_seed(0))


@pytest.fixture
def segs(run: Run, pack: Any, photo: Tensor) -> Any:
    """Return the SEGS of two faces, one of them at the right edge of the image."""
    face, box = pack("psfr_core.faces.face").Face, pack("psfr_core.images.box").Box
    found = [
        face(box(30.0, 20.0, 54.0, 50.0), torch.zeros(5, 2), 0.9),
        face(box(100.5, 60.0, 118.0, 80.0), torch.zeros(5, 2), 0.8),
    ]
    faces = pack("nodes.detected_faces").DetectedFaces.of([found], photo.movedim(-1, 1))
    return run("PSFR_FacesToSEGS", faces=faces, crop_factor=2.0).args[0][0]


def test_their_seg_has_the_same_fields(impact: Callable[[str], Any], segs: Any) -> None:
    theirs = impact("core").SEG
    assert type(segs[1][0])._fields == theirs._fields
    assert theirs(*segs[1][0])._asdict() == segs[1][0]._asdict()


def test_their_mask_of_segs_is_the_mask_of_the_faces(impact: Callable[[str], Any], segs: Any) -> None:
    mask = impact("core").segs_to_combined_mask(segs)
    assert mask.shape == (90, 120)
    assert float(mask[20:50, 30:54].min()) == 1
    assert float(mask[:, :90].sum()) == 24 * 30
    assert float(mask[65, 100]) == pytest.approx(0.5, abs=1 / 255)
    assert len(impact("core").segs_to_masklist(segs)) == 2


def test_their_crop_region_is_ours(impact: Callable[[str], Any], segs: Any) -> None:
    regions = [impact("utils").make_crop_region(120, 90, seg.bbox, 2.0) for seg in segs[1]]
    assert regions == [list(seg.crop_region) for seg in segs[1]]


def test_their_scaled_segs_are_scaled_back(impact: Callable[[str], Any], segs: Any, pack: Any) -> None:
    scaled = impact("core").segs_scale_match(segs, (1, 180, 240, 3))
    boxes = pack("nodes.segs").boxes_of_segs(scaled, pack("psfr_core.images.box").Size(120, 90))
    assert boxes == [tuple(map(float, seg.bbox)) for seg in segs[1]]


def test_their_segs_of_a_mask_give_boxes(impact: Callable[[str], Any], pack: Any) -> None:
    mask = torch.zeros(1, 90, 120)
    mask[0, 20:50, 30:54] = 1
    theirs = impact("core").mask_to_segs(mask, False, 3.0, False)
    boxes = pack("nodes.segs").boxes_of_segs(theirs, pack("psfr_core.images.box").Size(120, 90))
    assert boxes == [(30.0, 20.0, 54.0, 50.0)]


def test_their_paste_changes_only_the_masked_pixels(impact: Callable[[str], Any], segs: Any, photo: Tensor) -> None:
    segments = impact("segs_nodes")
    black = (segs[0], [seg._replace(cropped_image=torch.zeros(1, *seg.cropped_mask.shape, 3)) for seg in segs[1]])
    (pasted,) = segments.SEGSPaste.doit(photo, black, feather=0)
    mask = impact("core").segs_to_combined_mask(segs)
    assert torch.equal(pasted[0][mask == 0], photo[0][mask == 0])
    assert not pasted[0, 20:50, 30:54].any()
