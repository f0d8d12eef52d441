from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from psfr_core.errors import TrainingError
from psfr_core.lab.degradation.config import DegradationConfig, DegradationPreset
from psfr_core.lab.degradation.operations import quantized
from psfr_core.lab.training import face_samples as faces_module
from psfr_core.lab.training.face_files import FaceFile, find_face_files
from psfr_core.lab.training.face_samples import (
    FaceSamples,
    FaceSet,
    FacesOnDisk,
    degraded_once,
    load_face_set,
    open_face_set,
)
from psfr_core.parsing.labels import FaceRegion

DATA = Path(__file__).parents[2] / "data"


def test_faces_and_labels_are_paired_by_name() -> None:
    faces = load_face_set([DATA / "faces"], [DATA / "labels"], 64)
    assert faces.images.shape == (4, 3, 64, 64)
    assert faces.labels.shape == (4, 64, 64)
    for index, name in enumerate(("female_11", "female_23", "male_58", "male_59")):
        image, labels = FaceFile(DATA / "faces" / f"{name}.jpg", DATA / "labels" / f"{name}.png").read(64)
        assert torch.equal(faces.images[index], image)
        assert torch.equal(faces.labels[index], labels)
    # the center of an aligned face is skin or nose
    assert set(faces.labels[:, 32, 32].tolist()) <= {1, 2}


def test_samples_are_reproducible_and_different() -> None:
    faces = load_face_set([DATA / "faces"], [DATA / "labels"], 32)
    first, again = (FaceSamples(faces, [DegradationConfig()], seed=3) for _ in range(2))
    for index in (0, 7):
        for one, other in zip(first[index], again[index], strict=True):
            assert torch.equal(one, other)
    assert not torch.equal(first[0].lq, first[1].lq)
    assert not torch.equal(first[0].lq, FaceSamples(faces, [DegradationConfig()], seed=4)[0].lq)
    with torch.autocast("cpu", torch.bfloat16):  # as in a training step
        for one, other in zip(first[0], again[0], strict=True):
            assert torch.equal(one, other)
            assert one.dtype == other.dtype
    assert first[0].labels.dtype == torch.int64


def test_each_face_is_degraded_once_in_order() -> None:
    faces = load_face_set([DATA / "faces"], [DATA / "labels"], 32)
    batch = degraded_once(faces, [DegradationConfig()], seed=1_000, count=3)
    assert torch.equal(batch.hq, faces.images[:3].float() / 255)
    assert torch.equal(batch.labels, faces.labels[:3].long())
    # these values must not change, because metrics of earlier runs depend on the samples
    assert batch.lq.mean(dim=(1, 2, 3)).tolist() == pytest.approx([0.462174, 0.415616, 0.405591], abs=2e-6)
    fewer = degraded_once(faces, [DegradationConfig()], seed=1_000, count=2)
    assert torch.equal(fewer.lq, batch.lq[:2])


def test_each_sample_has_one_of_the_degradations() -> None:
    faces = load_face_set([DATA / "faces"], [DATA / "labels"], 32)
    none, gray = DegradationPreset.NONE.config, DegradationConfig(grey_probability=1.0)
    samples = FaceSamples(faces, [none, none, none, gray], seed=5)
    unchanged = [torch.equal(sample.lq, quantized(sample.hq)) for sample in map(samples.__getitem__, range(200))]
    assert sum(unchanged) / 200 == pytest.approx(0.75, abs=0.07)
    batch = degraded_once(FaceSet(faces.images[:1].expand(40, -1, -1, -1), faces.labels), [none, gray], seed=2, count=4)
    assert 0 < sum(torch.equal(lq, hq) for lq, hq in zip(batch.lq, batch.hq, strict=True)) < 4


def test_a_folder_may_be_named_several_times(tmp_path: Path) -> None:
    make_pair(tmp_path)
    shutil.copytree(tmp_path, tmp_path / "other")
    folders = [tmp_path / "faces", *[tmp_path / "other" / "faces"] * 3]
    labels = [tmp_path / "labels", *[tmp_path / "other" / "labels"] * 3]
    assert [file.image.parent for file in find_face_files(folders, labels)] == folders


def test_mirrored_faces_swap_left_and_right() -> None:
    labels = torch.zeros(1, 32, 32, dtype=torch.uint8)
    labels[:, 12:16, 20:24] = FaceRegion.LEFT_EYE  # the person's left eye is on the right of the image
    faces = FaceSet(torch.zeros(1, 3, 32, 32, dtype=torch.uint8), labels)
    samples = FaceSamples(faces, [DegradationConfig()], seed=0)
    seen = {FaceRegion.LEFT_EYE: 0, FaceRegion.RIGHT_EYE: 0}
    for index in range(16):
        found = samples[index].labels
        (region,) = (region for region in seen if bool((found == region).any()))
        seen[region] += 1
        column = float((found == region).nonzero()[:, 1].float().mean())
        assert (column > 16) == (region is FaceRegion.LEFT_EYE)
    assert min(seen.values()) > 2


def test_labels_move_with_the_image() -> None:
    """Test that labels and colors agree after augmentation, in a face with red hair and green skin."""
    is_hair = torch.zeros(48, 48, dtype=torch.bool)
    is_hair[6:20, 10:40] = True
    labels = torch.where(is_hair, FaceRegion.HAIR, FaceRegion.SKIN).to(torch.uint8)
    image = 255 * torch.stack([is_hair, ~is_hair, torch.zeros_like(is_hair)]).to(torch.uint8)
    faces = FaceSet(image[None], labels[None])
    samples = FaceSamples(faces, [DegradationConfig(grey_probability=0)], seed=0)
    for index in range(12):
        _, (red, green, _), found = samples[index]
        # pixels at edges have mixed colors and are excluded
        pure_hair, pure_skin = (green == 0) & (red > 0), (red == 0) & (green > 0)
        assert (pure_hair | pure_skin).float().mean() > 0.9
        assert bool((found[pure_hair] == FaceRegion.HAIR).all())
        assert bool((found[pure_skin] == FaceRegion.SKIN).all())


def make_pair(folder: Path, label: int = 1) -> None:
    for name in ("faces", "labels"):
        (folder / name).mkdir()
    Image.new("RGB", (16, 16)).save(folder / "faces" / "a.png")
    Image.fromarray(np.full((16, 16), label, np.uint8)).save(folder / "labels" / "a.png")


def load(folder: Path) -> None:
    load_face_set([folder / "faces"], [folder / "labels"], 16)


def test_an_empty_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="no image"):
        load_face_set([tmp_path], [tmp_path], 16)


def test_missing_labels_are_an_error(tmp_path: Path) -> None:
    make_pair(tmp_path)
    (tmp_path / "labels" / "a.png").unlink()
    with pytest.raises(TrainingError, match=r"a\.png has no labels"):
        load(tmp_path)


def test_an_unreadable_face_is_an_error(tmp_path: Path) -> None:
    make_pair(tmp_path)
    (tmp_path / "faces" / "a.png").write_bytes(b"not an image")
    with pytest.raises(TrainingError, match="cannot be read"):
        load(tmp_path)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no FIFOs")
@pytest.mark.parametrize("folder", ["faces", "labels"])
def test_a_pipe_is_an_error_and_does_not_block(tmp_path: Path, folder: str) -> None:
    for name in ("faces", "labels"):
        shutil.copytree(DATA / name, tmp_path / name)
    pipe = next((tmp_path / folder).iterdir())
    pipe.unlink()
    os.mkfifo(pipe)
    with pytest.raises(TrainingError, match=rf"{pipe.name} is needed for training .* is not a regular file"):
        open_face_set([tmp_path / "faces"], [tmp_path / "labels"], 64)


def test_images_of_unreadable_formats_are_left_out_and_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    shutil.copytree(DATA / "faces", tmp_path / "faces")
    (tmp_path / "faces" / "x.heic").touch()
    assert len(load_face_set([tmp_path / "faces"], [DATA / "labels"], 64)) == 4
    assert "left out: 1, such as .heic files need" in caplog.text


def test_labels_out_of_range_are_an_error(tmp_path: Path) -> None:
    make_pair(tmp_path, label=19)
    with pytest.raises(TrainingError, match="labels must be from 0 to 18, found 19"):
        load(tmp_path)


def test_faces_smaller_than_the_network_are_left_out_on_request(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.copytree(DATA / "faces", tmp_path / "faces")
    Image.new("RGB", (63, 63)).save(tmp_path / "faces" / "male_58.jpg")
    for read in (load_face_set, open_face_set):
        with pytest.raises(TrainingError, match=r"male_58\.jpg is 63 pixels wide"):
            read([tmp_path / "faces"], [DATA / "labels"], 64)
        assert len(read([tmp_path / "faces"], [DATA / "labels"], 64, skip_small=True)) == 3
        assert len(read([tmp_path / "faces"], [DATA / "labels"], 63, skip_small=True)) == 4
    assert "faces smaller than 64 px are left out: 1 of 4" in caplog.text
    with pytest.raises(TrainingError, match=r"All faces in .* are smaller than 2048 pixels"):
        load_face_set([tmp_path / "faces"], [DATA / "labels"], 2048, skip_small=True)


def test_each_face_folder_needs_a_label_folder() -> None:
    with pytest.raises(TrainingError, match="got 2 face and 1 label folders"):
        load_face_set([DATA / "faces"] * 2, [DATA / "labels"], 16)


def test_the_layout_of_ffhq_is_read(tmp_path: Path) -> None:
    for name in ("00000", "01001"):
        folder = tmp_path / "images1024x1024" / f"{name[:2]}000"
        folder.mkdir(parents=True)
        Image.new("RGB", (16, 16)).save(folder / f"{name}.png")
    # psfr parse writes all labels into one folder, with color files beside them
    labels = tmp_path / "labels"
    labels.mkdir()
    for value, name in enumerate(("00000", "01001"), start=1):
        Image.fromarray(np.full((16, 16), value, np.uint8)).save(labels / f"{name}.png")
        Image.new("RGB", (16, 16), (200, 0, 0)).save(labels / f"{name}_color.png")
    faces = load_face_set([tmp_path / "images1024x1024"], [labels], 16)
    assert faces.labels.flatten(1).float().mean(1).tolist() == [1, 2]


def celebamask(tmp_path: Path, **masks: np.ndarray[Any, Any]) -> tuple[Path, Path]:
    images, labels = tmp_path / "CelebA-HQ-img", tmp_path / "CelebAMask-HQ-mask-anno"
    images.mkdir()
    (labels / "1").mkdir(parents=True)
    Image.new("RGB", (16, 16)).save(images / "2345.jpg")
    for part, mask in masks.items():
        Image.fromarray(mask.astype(np.uint8) * 255).convert("RGB").save(labels / "1" / f"02345_{part}.png")
    return images, labels


def test_masks_of_celebamask_hq_are_merged_in_order(tmp_path: Path) -> None:
    skin, hair, nose = (np.zeros((16, 16), bool) for _ in range(3))
    skin[4:12], nose[6:8], hair[:6] = True, True, True
    images, labels = celebamask(tmp_path, hair=hair, nose=nose, skin=skin)
    merged = load_face_set([images], [labels], 16).labels[0]
    assert merged[:, 0].tolist() == [13] * 6 + [2] * 2 + [1] * 4 + [0] * 4


@pytest.mark.parametrize(
    ("shape", "message"),
    [((8, 8), "have different sizes: .8, 16. pixels"), ((16, 8), "8 x 16 pixels, but aligned faces")],
)
def test_masks_of_another_size_are_an_error(tmp_path: Path, shape: tuple[int, int], message: str) -> None:
    images, labels = celebamask(tmp_path, skin=np.ones((16, 16), bool), hair=np.ones(shape, bool))
    with pytest.raises(TrainingError, match=message):
        load_face_set([images], [labels], 16)


@pytest.mark.parametrize(("chunk", "reason"), [(b"IHDR", "Truncated IHDR chunk"), (b"IDAT", "broken PNG file")])
def test_a_damaged_mask_is_an_error(tmp_path: Path, chunk: bytes, reason: str) -> None:
    images, labels = celebamask(tmp_path, skin=np.ones((16, 16), bool))
    mask = labels / "1" / "02345_skin.png"
    content = bytearray(mask.read_bytes())
    content[content.index(chunk) - 1] = 0  # a wrong length of the chunk makes Pillow raise ValueError or SyntaxError
    mask.write_bytes(content)
    with pytest.raises(TrainingError, match=rf"02345_skin\.png is needed for training and cannot be read: .*{reason}"):
        load_face_set([images], [labels], 16)


def test_sets_on_disk_give_the_same_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    folders = [DATA / "faces"], [DATA / "labels"]
    in_memory = open_face_set(*folders, 32)
    monkeypatch.setattr(faces_module, "MAX_BYTES_IN_MEMORY", 4 * 4 * 32 * 32 - 1)
    on_disk = open_face_set(*folders, 32)
    assert isinstance(on_disk, FacesOnDisk)
    assert not isinstance(in_memory, FacesOnDisk)
    assert len(on_disk) == len(in_memory) == 4
    one, other = (FaceSamples(faces, [DegradationConfig()], seed=3)[5] for faces in (in_memory, on_disk))
    assert torch.equal(one.lq, other.lq)
    assert torch.equal(one.labels, other.labels)


def test_a_face_that_is_not_square_is_an_error(tmp_path: Path) -> None:
    make_pair(tmp_path)
    Image.new("RGB", (16, 17)).save(tmp_path / "faces" / "a.png")
    with pytest.raises(TrainingError, match="16 x 17 pixels, but aligned faces and their labels are square"):
        load(tmp_path)


def test_a_face_smaller_than_the_network_is_an_error(tmp_path: Path) -> None:
    make_pair(tmp_path)
    with pytest.raises(TrainingError, match=r"a\.png is 16 pixels wide, but the network is trained at 32"):
        load_face_set([tmp_path / "faces"], [tmp_path / "labels"], 32)


def test_rotated_images_several_formats_and_16_bits_are_read(tmp_path: Path) -> None:
    make_pair(tmp_path)
    upright = Image.fromarray(np.arange(256, dtype=np.uint8).reshape(16, 16)).convert("RGB")
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    upright.rotate(180).save(tmp_path / "faces" / "a.png", exif=exif)
    upright.save(tmp_path / "faces" / "b.bmp")
    Image.fromarray(np.asarray(upright.convert("L")).astype(np.uint16) * 257).save(tmp_path / "faces" / "c.png")
    for name in "bc":
        shutil.copy(tmp_path / "labels" / "a.png", tmp_path / "labels" / f"{name}.png")
    faces = load_face_set([tmp_path / "faces"], [tmp_path / "labels"], 16)
    assert len(faces) == 3
    for image in faces.images:
        assert image[0].flatten().tolist() == list(range(256))


def test_labels_of_one_name_in_two_folders_are_an_error(tmp_path: Path) -> None:
    make_pair(tmp_path)
    for folder in ("one", "two"):
        (tmp_path / "labels" / folder).mkdir()
        shutil.copy(tmp_path / "labels" / "a.png", tmp_path / "labels" / folder)
    load(tmp_path)  # labels at the same relative path have priority
    (tmp_path / "labels" / "a.png").unlink()
    with pytest.raises(TrainingError, match=r"labels of .*a\.png may be .*one.a\.png or .*two.a\.png"):
        load(tmp_path)


def test_two_faces_of_one_name_cannot_share_labels(tmp_path: Path) -> None:
    make_pair(tmp_path)
    (tmp_path / "faces" / "more").mkdir()
    shutil.copy(tmp_path / "faces" / "a.png", tmp_path / "faces" / "more")
    with pytest.raises(TrainingError, match=r"a\.png would be the labels of both .*faces.a\.png and .*more.a\.png"):
        load(tmp_path)


def test_labels_inside_the_face_folder_are_not_faces(tmp_path: Path) -> None:
    make_pair(tmp_path)
    (tmp_path / "labels").rename(tmp_path / "faces" / "labels")
    faces = load_face_set([tmp_path / "faces"], [tmp_path / "faces" / "labels"], 16)
    assert len(faces) == 1
    with pytest.raises(TrainingError, match="Use separate folders for faces and labels"):
        load_face_set([tmp_path / "faces"], [tmp_path / "faces"], 16)


def test_sets_on_disk_are_checked_in_advance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_pair(tmp_path)
    monkeypatch.setattr(faces_module, "MAX_BYTES_IN_MEMORY", 0)
    (tmp_path / "labels" / "a.png").write_bytes(b"not an image")
    with pytest.raises(TrainingError, match=r"a\.png is needed for training and cannot be read"):
        open_face_set([tmp_path / "faces"], [tmp_path / "labels"], 16)
