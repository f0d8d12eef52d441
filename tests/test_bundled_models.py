"""Test the bundled models and the full pipeline on degraded faces with known ground truth."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw
from torch import Tensor

import psfr_core
from psfr_core.files import sha256_of
from psfr_core.images.box import Size
from psfr_core.images.io import read_image
from psfr_core.images.resize import resize
from psfr_core.lab.degradation.config import DegradationPreset
from psfr_core.lab.degradation.operations import Interpolation
from psfr_core.lab.degradation.pipeline import Blur, BlurKind, Degradation, apply_degradation, degrade
from psfr_core.lab.metrics.parsing_iou import ConfusionMatrix, mean_iou
from psfr_core.lab.metrics.psnr import psnr
from psfr_core.models.library import assets_folder
from psfr_core.models.manifest import MODEL_FILES, ModelKind, model_file
from psfr_core.parsing.parser import region_scores
from psfr_core.restoration.restoration_models import ModelPreset
from psfr_core.restoration.restore_options import Eyes
from psfr_core.restoration.second_opinion import with_second_opinion

DATA = Path(__file__).parent / "data"
EXAMPLES = Path(__file__).parents[1] / "examples" / "images"
NAMES = ("female_11", "female_23", "male_58", "male_59")
DEGRADATION = Degradation(
    gray=False,
    blur=Blur(BlurKind.GAUSSIAN, 2.0),
    reduced_side=0.25,
    interpolation=Interpolation.BILINEAR,
    noise=None,
    jpeg_quality=60,
)


@pytest.fixture(scope="module")
def models() -> psfr_core.RestorationModels:
    return psfr_core.load_models(detector="compact-face", device="cpu")


def photo(name: str) -> tuple[Tensor, Tensor]:
    """Return a photo of a face that is padded and then degraded, and the clean padded photo."""
    clean = read_image(DATA / "faces" / f"{name}.jpg").pixels
    clean = F.pad(clean[None], (60, 40, 30, 50), mode="replicate")[0]
    return apply_degradation(clean, DEGRADATION).lq, clean


def test_bundled_files_match_the_manifest() -> None:
    bundled = [entry for entry in MODEL_FILES if entry.is_bundled]
    assert len(bundled) == 4
    for entry in bundled:
        path = assets_folder() / entry.file_name
        assert entry.sha256 == sha256_of(path)
        assert entry.size_bytes == path.stat().st_size
    assert sum(entry.size_bytes or 0 for entry in bundled) < 20 * 2**20


def face_psnr(result: psfr_core.RestorationResult, image: Tensor, clean: Tensor) -> float:
    """Return the PSNR of ``image`` inside the bounding box of the pixels whose mask in ``result`` exceeds 0.9."""
    inside = (result.mask[0] > 0.9).nonzero()
    (top, left), (bottom, right) = inside.amin(0).tolist(), inside.amax(0).tolist()
    return float(psnr(image[None, :, top:bottom, left:right], clean[None, :, top:bottom, left:right]))


@pytest.mark.slow
def test_restoration_increases_the_psnr_of_faces(models: psfr_core.RestorationModels) -> None:
    gains: list[float] = []
    for name in NAMES:
        degraded, clean = photo(name)
        result = psfr_core.restore_image(degraded, models)
        assert len(result.faces) == 1
        gains.append(face_psnr(result, result.image, clean) - face_psnr(result, degraded, clean))
        outside = (result.mask == 0).expand_as(clean)
        assert torch.equal(result.image[outside], degraded[outside])
    assert min(gains) > 0
    assert sum(gains) / len(gains) > 0.2


@pytest.mark.parametrize("height", [740, 1060])
def test_face_that_fills_the_image_is_detected_at_any_size(models: psfr_core.RestorationModels, height: int) -> None:
    face = read_image(EXAMPLES / "portrait_clean.jpg").pixels[None, :, 147:424, 153:357]
    image = resize(face, Size(round(height * 204 / 277), height)).clamp(0, 1)
    (faces,) = models.detector.detect(image)
    assert len(faces) == 1
    assert faces[0].score > 0.7


@pytest.mark.parametrize(("gain", "offset"), [(0.04, 0.0), (0.08, 0.8)])
def test_face_in_a_dark_or_pale_photo_is_detected(
    models: psfr_core.RestorationModels, gain: float, offset: float
) -> None:
    image = read_image(DATA / "faces" / f"{NAMES[0]}.jpg").pixels[None]
    image = ((gain * image + offset) * 255).round() / 255
    (faces,) = models.detector.detect(image)
    assert len(faces) == 1
    assert faces[0].score > 0.7


@pytest.mark.slow
def test_masked_face_is_detected_by_a_second_opinion(models: psfr_core.RestorationModels) -> None:
    with Image.open(EXAMPLES / "portrait_clean.jpg") as portrait:
        masked = portrait.convert("RGB")
    mask = [(164, 300), (256, 276), (348, 300), (340, 400), (256, 464), (172, 400)]
    ImageDraw.Draw(masked).polygon(mask, (235, 235, 235))
    image = torch.from_numpy(np.array(masked)).permute(2, 0, 1).float() / 255
    (face,) = psfr_core.restore_image(image, models).faces
    assert face.box.center == pytest.approx((255, 285), abs=15)


def test_detection_does_not_depend_on_autocast(models: psfr_core.RestorationModels) -> None:
    image = read_image(DATA / "faces" / f"{NAMES[0]}.jpg").pixels[None]
    ((expected,),) = models.detector.detect(image)
    with torch.autocast("cpu", torch.bfloat16):
        ((face,),) = models.detector.detect(image)
    assert torch.equal(face.landmarks, expected.landmarks)
    assert (face.box, face.score) == (expected.box, expected.score)


@pytest.mark.slow
def test_larger_generator_restores_large_faces_better() -> None:
    clean = read_image(EXAMPLES / "portrait_clean.jpg").pixels  # the face is 270 px wide
    slightly = replace(DEGRADATION, blur=Blur(BlurKind.GAUSSIAN, 0.7), reduced_side=0.7, jpeg_quality=80)
    degraded = apply_degradation(clean, slightly).lq
    found: dict[ModelPreset, float] = {}
    for preset in (ModelPreset.BUNDLED_256, ModelPreset.BUNDLED_512):
        names = [preset.model_of(kind) for kind in (ModelKind.GENERATOR, ModelKind.PARSER, ModelKind.DETECTOR)]
        models = psfr_core.load_models(*names, device="cpu")
        # The guard would keep parts of such a good photo.
        result = psfr_core.restore_image(degraded, models, psfr_core.RestoreOptions(guard=False))
        found[preset] = face_psnr(result, result.image, clean)
    assert found[ModelPreset.BUNDLED_512] > found[ModelPreset.BUNDLED_256] + 0.05


@pytest.mark.slow
def test_restoration_depends_on_the_parse_map(models: psfr_core.RestorationModels) -> None:
    degraded, clean = photo("male_58")
    good = psfr_core.restore_image(degraded, models)
    assert good.parse_maps is not None
    hair = psfr_core.ParseMap(torch.full_like(good.parse_maps.labels, psfr_core.FaceRegion.HAIR))
    wrong = psfr_core.restore_image(degraded, models, faces=good.faces, parse_maps=hair)
    assert face_psnr(good, good.image, clean) > face_psnr(good, wrong.image, clean) + 0.8


def test_parse_maps_match_the_labels(models: psfr_core.RestorationModels) -> None:
    total = ConfusionMatrix.empty()
    for name in NAMES:
        crop = apply_degradation(read_image(DATA / "faces" / f"{name}.jpg").pixels, DEGRADATION).lq
        true = psfr_core.ParseMap.from_png(DATA / "labels" / f"{name}.png")
        total += ConfusionMatrix.of(psfr_core.parse_faces(crop[None], models.parse_net).labels, true.labels)
    face = psfr_core.RegionGroup.FACE.regions - {psfr_core.FaceRegion.GLASSES}
    assert mean_iou(total, face) > 0.65


@pytest.mark.slow
def test_shadows_around_eyes_are_not_parsed_as_glasses(models: psfr_core.RestorationModels) -> None:
    photo = read_image(EXAMPLES / "solvay_conference_1927.jpg").pixels.expand(3, -1, -1)
    faces = models.detector.detect(photo[None])[0]
    crops = torch.stack([face.crop for face in psfr_core.align_faces(photo, faces, models.parse_net.config.size)])
    glasses = psfr_core.parse_faces(crops, models.parse_net).mask(psfr_core.FaceRegion.GLASSES).sum(dim=(1, 2, 3))
    assert len(faces) == 29
    assert int((glasses >= 100).sum()) <= 9  # about five of them wear glasses; the former weights labeled 19


def with_lids(face: Tensor, eyes: Tensor, skin: Tensor) -> Tensor:
    """Draw closed lids with dark lashes on ``face`` (3, S, S); ``eyes`` and ``skin`` are masks (1, S, S)."""

    def grown(rows: int, columns: int) -> Tensor:
        return F.max_pool2d(eyes[None], (2 * rows + 1, 2 * columns + 1), 1, (rows, columns))[0]

    around = (grown(7, 0) - grown(4, 0)) * skin
    color = (face * around).sum(dim=(1, 2), keepdim=True) / around.sum()
    lashes = (eyes - F.pad(eyes, (0, 0, 0, 2))[:, 2:]).clamp(min=0)  # the two bottom rows
    return face.lerp(color.expand_as(face), grown(2, 1)) * (1 - 0.85 * lashes)


def eye_fraction(parse_map: psfr_core.ParseMap, eyes: Tensor) -> float:
    """Return the fraction of the mask ``eyes`` (1, S, S) that the map labels as eyes."""
    return float((parse_map.mask(psfr_core.RegionGroup.EYES)[0] * eyes).sum() / eyes.sum())


def test_closed_eyes_are_parsed_as_skin_and_open_eyes_as_eyes(models: psfr_core.RestorationModels) -> None:
    slightly = replace(DEGRADATION, blur=None, reduced_side=1 / 3, interpolation=Interpolation.BICUBIC, jpeg_quality=70)
    fractions: dict[str, list[float]] = {"open": [], "closed": []}
    for name in NAMES:
        face = read_image(DATA / "faces" / f"{name}.jpg").pixels
        true = psfr_core.ParseMap.from_png(DATA / "labels" / f"{name}.png")
        eyes = true.mask(psfr_core.RegionGroup.EYES)[0]
        lids = with_lids(face, eyes, true.mask(psfr_core.FaceRegion.SKIN)[0])
        for kind, image in (("open", face), ("closed", lids)):
            parsed = psfr_core.parse_faces(apply_degradation(image, slightly).lq[None], models.parse_net)
            fractions[kind].append(eye_fraction(parsed, eyes))
    assert min(fractions["open"]) > 0.7
    assert sum(fractions["closed"]) / len(NAMES) < 0.15  # the parser alone gives 0.25


@pytest.mark.slow
def test_closed_eyes_stay_closed_in_the_restored_face(models: psfr_core.RestorationModels) -> None:
    image = read_image(DATA / "closed_eyes.jpg").pixels
    result = psfr_core.restore_image(image, models)
    assert result.parse_maps is not None
    labels = result.parse_maps.labels
    assert int(((labels == 4) | (labels == 5)).sum()) < 10  # the parser alone labels 150 pixels
    assert int(((labels == 6) | (labels == 7)).sum()) > 300
    closed = psfr_core.RestoreOptions(eyes=Eyes.CLOSED)
    assert torch.equal(result.restored, psfr_core.restore_image(image, models, closed).restored)


@pytest.mark.parametrize("seed", range(3))
def test_degraded_open_eyes_are_not_closed(models: psfr_core.RestorationModels, seed: int) -> None:
    for index, name in enumerate(NAMES):
        face = read_image(DATA / "faces" / f"{name}.jpg").pixels
        generator = torch.Generator().manual_seed(10 * seed + index)
        crop = degrade(face, DegradationPreset.PAPER.config, generator).lq[None]
        with torch.no_grad():
            alone = psfr_core.ParseMap.from_logits(region_scores(crop, models.parse_net))
        assert torch.equal(psfr_core.parse_faces(crop, models.parse_net).labels, alone.labels)


def test_mirrored_faces_have_mirrored_detections(models: psfr_core.RestorationModels) -> None:
    degraded, _ = photo("male_59")
    (face,), (mirrored,) = models.detector.detect(torch.stack([degraded, degraded.flip(-1)]))
    width = degraded.shape[-1]
    flipped = torch.stack([width - 1 - mirrored.landmarks[:, 0], mirrored.landmarks[:, 1]], dim=1)[[1, 0, 2, 4, 3]]
    assert (face.landmarks - flipped).norm(dim=1).max() < 0.25 * face.eye_distance
    assert face.box.center[0] == pytest.approx(width - mirrored.box.center[0], abs=0.1 * face.box.width)


def test_image_without_faces_is_not_changed(models: psfr_core.RestorationModels) -> None:
    image = torch.linspace(0, 1, 200).expand(3, 150, 200).clone()
    result = psfr_core.restore_image(image, models)
    assert result.faces == []
    assert torch.equal(result.image, image)


def test_manifest_lists_the_bundled_models() -> None:
    for name in ("psfrgan-256", "psfrgan-512-small", "parsenet-256", "compact-face"):
        assert model_file(name).is_bundled


def test_backlit_face_passes_the_second_opinion(models: psfr_core.RestorationModels) -> None:
    photo = read_image(EXAMPLES / "portrait_clean.jpg").pixels
    y, x = torch.meshgrid(*(torch.linspace(-1, 1, 512) for _ in range(2)), indexing="ij")
    inside = torch.sigmoid((1 - (x / 0.62) ** 2 - ((y - 0.1) / 0.9) ** 2) * 6)
    image = 0.07 * photo * inside + (0.2 * photo + 0.75) * (1 - inside)
    (faces,) = with_second_opinion(models.detector, models.parse_net).detect(((image * 255).round() / 255)[None])
    assert len(faces) == 1
