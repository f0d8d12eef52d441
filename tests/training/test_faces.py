from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from psfr_core.degradation.config import DegradationConfig
from psfr_core.errors import TrainingError
from psfr_core.training.faces import DegradedFaces, load_face_set, mirror_labels

DATA = Path(__file__).parents[1] / "data"


def test_faces_and_labels_are_paired_by_name() -> None:
    faces = load_face_set([DATA / "faces"], [DATA / "labels"], 64)
    assert faces.images.shape == (4, 3, 64, 64)
    assert faces.labels.shape == (4, 64, 64)
    assert faces.names == ("female_11", "female_23", "male_58", "male_59")
    # the middle of an aligned face is nose or skin
    assert set(faces.labels[:, 32, 32].tolist()) <= {1, 2}


def test_samples_are_repeatable_and_different() -> None:
    faces = load_face_set([DATA / "faces"], [DATA / "labels"], 32)
    first, again = (DegradedFaces(faces, DegradationConfig(), seed=3) for _ in range(2))
    for index in (0, 7):
        for one, other in zip(first[index], again[index], strict=True):
            assert torch.equal(one, other)
    assert not torch.equal(first[0].lq, first[1].lq)
    assert not torch.equal(first[0].lq, DegradedFaces(faces, DegradationConfig(), seed=4)[0].lq)
    with torch.autocast("cpu", torch.bfloat16):  # as in a training step
        for one, other in zip(first[0], again[0], strict=True):
            assert torch.equal(one, other)
            assert one.dtype == other.dtype
    batch = first.batch([0, 7])
    assert torch.equal(batch.hq[1], first[7].hq)
    assert batch.labels.dtype == torch.int64


def test_mirrored_labels_exchange_left_and_right() -> None:
    labels = torch.tensor([[4, 5, 6, 7, 8, 9, 1]], dtype=torch.uint8)
    assert mirror_labels(labels).tolist() == [[1, 8, 9, 6, 7, 4, 5]]


def make_pair(folder: Path, label: int = 1) -> None:
    for name in ("faces", "labels"):
        (folder / name).mkdir()
    Image.new("RGB", (8, 8)).save(folder / "faces" / "a.png")
    Image.fromarray(np.full((8, 8), label, np.uint8)).save(folder / "labels" / "a.png")


def load(folder: Path) -> None:
    load_face_set([folder / "faces"], [folder / "labels"], 16)


def test_an_empty_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="no image"):
        load_face_set([tmp_path], [tmp_path], 16)


def test_missing_labels_are_an_error(tmp_path: Path) -> None:
    make_pair(tmp_path)
    (tmp_path / "labels" / "a.png").unlink()
    with pytest.raises(TrainingError, match=r"a\.png is needed for training and cannot be read"):
        load(tmp_path)


def test_an_unreadable_face_is_an_error(tmp_path: Path) -> None:
    make_pair(tmp_path)
    (tmp_path / "faces" / "a.png").write_bytes(b"no picture")
    with pytest.raises(TrainingError, match="cannot be read"):
        load(tmp_path)


def test_labels_out_of_range_are_an_error(tmp_path: Path) -> None:
    make_pair(tmp_path, label=19)
    with pytest.raises(TrainingError, match="labels must lie from 0 to 18, found 19"):
        load(tmp_path)


def test_each_face_folder_needs_a_label_folder() -> None:
    with pytest.raises(TrainingError, match="got 2 face and 1 label folders"):
        load_face_set([DATA / "faces"] * 2, [DATA / "labels"], 16)
