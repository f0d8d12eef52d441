"""Test the notes and reports of nodes about their results."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

Run = Callable[..., Any]
TEXTS = Path(__file__).parents[2] / "web" / "js" / "lib" / "note_texts.js"


def test_the_report_counts_faces_and_names_images_without_one(run: Run, portrait: Tensor) -> None:
    batch = torch.cat([portrait, torch.full_like(portrait, 0.5), portrait, torch.full_like(portrait, 0.4)])
    output = run("PSFR_RestoreFacesInImage", image=batch)
    expected = ["Faces restored: 2.", "No face found in images 2, 4 of 4. Try a lower confidence."]
    assert output.args[3].split("\n") == expected
    assert [note["text"] for note in output.ui["psfr_notes"]] == expected
    assert output.ui["psfr_notes"][1]["values"] == {"images": "2, 4", "count": 4}
    assert len(output.ui["images"]) == 4


def test_the_report_explains_why_faces_are_left_out(run: Run, models: dict[str, Any], portrait: Tensor) -> None:
    options = run("PSFR_RestoreOptions", min_size=200.0).args[0]
    report = run("PSFR_RestoreFacesInImage", image=portrait, options=options).args[3]
    assert report == "Faces left out, smaller than 200 px: 1."
    corner = torch.zeros(1, 256, 256)
    corner[:, :9, :9] = 1
    batch = portrait.repeat(2, 1, 1, 1)
    report = run("PSFR_DetectFaces", image=batch, detector=models["detector"], mask=corner).args[4]
    assert report == "Faces left out, outside the mask: 2."
    report = run("PSFR_DetectFaces", image=portrait * 0 + 0.5, detector=models["detector"], mask=corner * 0).args[4]
    assert report.split("\n") == [
        "The mask is unpainted (0 everywhere), so it does not restrict the search for faces.",
        "No face found. Try a lower confidence.",
    ]


def test_each_node_has_only_its_own_notes(run: Run, models: dict[str, Any], portrait: Tensor) -> None:
    faces = run("PSFR_DetectFaces", image=portrait, detector=models["detector"]).args[0]
    selected = run("PSFR_SelectFaces", faces=faces, indices="none")
    assert [note["name"] for note in selected.ui["psfr_notes"]] == ["NOT_SELECTED"]
    assert run("PSFR_PasteOptions").ui is None


@pytest.mark.parametrize("counts", [(17, 1), (1, 17)])
def test_the_notes_of_the_calls_for_a_list_can_be_joined(run: Run, counts: tuple[int, int]) -> None:
    ui = [
        run("PSFR_CompareImages", image=torch.zeros(n, 16, 16, 3), reference=torch.zeros(1, 16, 16, 3)).ui
        for n in counts
    ]
    joined = {key: [item for each in ui for item in each[key]] for key in ui[0]}  # as ComfyUI joins them
    assert [note["name"] for note in joined["psfr_notes"]] == ["PREVIEW_LIMIT"]


@pytest.mark.parametrize(("count", "side", "shown"), [(17, 8, 16), (16, 8, 16), (5, 2000, 4), (2, 5000, 1)])
def test_previews_have_full_size_and_their_limit_is_logged(
    pack: Any, count: int, side: int, shown: int, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO"):
        images = pack("nodes.previews").preview(torch.zeros(1, side, side, 3).expand(count, -1, -1, -1))
    assert [image.pixels.shape for image in images.as_dict()["images"]] == [(side, side, 3)] * shown
    assert (f"The preview shows the first {shown} of {count} images." in caplog.text) == (shown < count)


def test_the_interface_has_the_same_texts(pack: Any) -> None:
    english = TEXTS.read_text(encoding="utf-8").partition("en: {")[2].partition("},\n")[0]
    texts = dict(re.findall(r'(\w+): "(.*)",', english))
    assert texts == {note.name: note.value for note in pack("nodes.notes").Note}
