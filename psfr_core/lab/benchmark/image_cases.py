"""Measure steps that work on whole images: detection, alignment, paste-back and restoration."""

from __future__ import annotations

import importlib.util
import math
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import torch
from torch import Tensor

from ...errors import OptionError
from ...faces.align import align_faces
from ...faces.detector import BUNDLED_DETECTOR, load_detector
from ...faces.face import Face
from ...faces.nms import iou
from ...faces.retinaface import DEFAULT_MIN_SCORE, RetinaFaceDetector
from ...faces.template import template_for
from ...images.box import Box
from ...images.resize import resize
from ...models.loader import load_detector_network
from ...networks.psfr_generator import PARSE_CLASSES
from ...restoration.masks import crop_masks
from ...restoration.paste import paste_faces
from ...restoration.paste_options import PasteOptions
from ...restoration.restoration_models import load_models
from ...restoration.restore import restore_image
from .context import BenchmarkContext
from .measure import Measurement, Work, compare, one_thread


@torch.no_grad()
def paste(context: BenchmarkContext) -> Iterator[Measurement]:
    """Compare paste-back on the CPU with facexlib and with copying the image, and alignment with copying the image.

    The comparison with facexlib is omitted if facexlib is not installed.
    """
    yield from _paste(_Scene.of(3840, 2160, 1), context)
    yield from _paste(_Scene.of(2048, 2048, 8), context)


def _paste(scene: _Scene, context: BenchmarkContext) -> Iterator[Measurement]:
    image, aligned = scene.image, align_faces(scene.image, scene.faces, 512)
    restored, mask = torch.stack([face.crop for face in aligned]), crop_masks(512, PasteOptions(regions=None), None)
    if importlib.util.find_spec("facexlib") is not None:
        crop_to_image = [face.crop_to_image for face in aligned]
        for masked in (False, True):
            yield compare(
                f"paste into the image, {scene}",
                lambda: paste_faces(image, aligned, restored, mask, out=image),
                "facexlib, face mask" if masked else "facexlib, square mask",
                _facexlib_paste(image, restored, crop_to_image, masked),
                context.repeats,
            )
    yield compare(
        f"paste into a copy, {scene}",
        lambda: paste_faces(image, aligned, restored, mask),
        "copying the image",
        image.clone,
        context.repeats,
    )
    with one_thread():
        align, copying = (lambda: align_faces(image, scene.faces, 512)), image.clone
        yield compare(f"align with 1 thread, {scene}", align, "copying the image", copying, context.repeats)


def _facexlib_paste(image: Tensor, restored: Tensor, crop_to_image: Sequence[Tensor], masked: bool) -> Work:
    """Return facexlib's paste-back of 8-bit BGR images as a function.

    If ``masked`` is true, facexlib pastes by a parse map. The map is given, so that parsing is not measured.
    """
    from facexlib.utils.face_restoration_helper import FaceRestoreHelper

    helper = FaceRestoreHelper.__new__(FaceRestoreHelper)  # without its constructor, which downloads networks
    helper.upscale_factor, helper.face_size, helper.use_parse, helper.device = 1, (512, 512), masked, "cpu"
    helper.input_img, helper.save_ext = _bgr(image), "png"
    helper.restored_faces = [_bgr(face) for face in restored]
    logits = torch.zeros(1, PARSE_CLASSES, 512, 512)
    logits[:, 1, 80:-40, 80:-80] = 1
    setattr(helper, "face_parse", lambda _: [logits])  # noqa: B010 (face_parse is declared as a network)
    affines = [affine.numpy() for affine in crop_to_image]

    def work() -> object:
        helper.inverse_affine_matrices = [affine.copy() for affine in affines]
        return helper.paste_faces_to_input_image()

    return work


@torch.no_grad()
def detection(context: BenchmarkContext) -> Iterator[Measurement]:
    """Compare detection in an image of 3840x2160 pixels with facexlib's detection at full size.

    The image is a collage of the images of ``context``. Raises OptionError if the detector is not a RetinaFace.
    """
    detector = load_detector(context.detector, device=context.device)
    if context.detector is None or not isinstance(detector, RetinaFaceDetector):
        raise OptionError(f"{context.detector} is not a RetinaFace, which the case detection needs.")
    network: Any = load_detector_network(context.detector).to(context.device)
    network.device, mean = context.device, network.mean_tensor  # to() does not move these attributes
    network.mean_tensor = mean.to(context.device)
    canvas = _collage(context.images, 3840, 2160)
    bgr = _bgr(canvas)
    theirs = network.detect_faces(bgr, conf_threshold=DEFAULT_MIN_SCORE)
    boxes = torch.tensor(theirs)[:, :4].float()
    large = boxes[(boxes[:, 2:] - boxes[:, :2]).amin(dim=1) > 40]
    ours = torch.tensor([face.box for face in detector.detect(canvas[None])[0]]).reshape(-1, 4)
    matched = sum(bool((iou(box, ours) > 0.4).any()) for box in large)
    yield compare(
        "RetinaFace in 3840x2160",
        lambda: detector.detect(canvas[None]),
        "facexlib at full size",
        lambda: network.detect_faces(bgr, conf_threshold=DEFAULT_MIN_SCORE),
        context.repeats,
        f"finds {matched} of facexlib's {len(large)} faces over 40 px, {len(ours)} faces in total",
    )


def restoration(context: BenchmarkContext) -> Iterator[Measurement]:
    """Measure a restoration with the bundled models, and the first call in a new process including loading."""
    models = load_models(detector=BUNDLED_DETECTOR, device=context.device)
    portrait = resize(context.images[0][None], (512, 512)) if context.images else torch.rand(1, 3, 512, 512)
    canvas = torch.full((3, 1080, 1920), 0.5)
    canvas[:, 280:792, 700:1212] = portrait[0].clamp(0, 1)
    count = len(restore_image(canvas, models).faces)
    yield compare(
        "restore_image, 1920x1080",
        lambda: restore_image(canvas, models),
        "copying the image",
        canvas.clone,
        context.repeats,
        f"bundled models, {count} face(s)",
    )
    first = (
        "import time, torch, psfr_core; start = time.perf_counter(); image = torch.rand(3, 1080, 1920);"
        f"psfr_core.restore_image(image, psfr_core.load_models(device='{context.device}')); print(time.perf_counter() - start)"
    )
    seconds = median(float(subprocess.check_output([sys.executable, "-c", first])) for _ in range(3))  # noqa: S603
    yield Measurement("first call of a process", seconds, note="with loading the models; no face")


@dataclass(frozen=True, eq=False)
class _Scene:
    """Smooth image with faces whose slightly rotated crops of 512 px do not overlap."""

    image: Tensor
    faces: list[Face]

    @staticmethod
    def of(width: int, height: int, count: int) -> _Scene:
        """Return an image of ``width`` x ``height`` pixels with ``count`` faces in a grid."""
        torch.manual_seed(0)
        image = resize(torch.rand(1, 3, height // 16, width // 16), (width, height))[0].clamp(0, 1)
        turn = torch.tensor([[0.995, 0.0998], [-0.0998, 0.995]], dtype=torch.float64)
        centered, columns = (template_for(512) - 255.5) @ turn, math.ceil(math.sqrt(count))
        faces: list[Face] = []
        for index in range(count):
            x, y = (index % columns + 0.5) * width / columns, (index // columns + 0.5) * height / columns
            faces.append(Face(Box(x - 200, y - 200, x + 200, y + 200), (centered + torch.tensor([x, y])).float(), 0.99))
        return _Scene(image, faces)

    def __str__(self) -> str:
        return f"{len(self.faces)} face(s), {self.image.shape[2]}x{self.image.shape[1]}"


def _collage(images: Sequence[Tensor], width: int, height: int) -> Tensor:
    """Return an image (3, height, width) of the images side by side on gray, each in a column of equal width."""
    canvas = torch.full((3, height, width), 0.5)
    column = width // len(images)
    for index, image in enumerate(images):
        scale = min(column / image.shape[2], height / image.shape[1])
        fitted = resize(image, (int(image.shape[2] * scale), int(image.shape[1] * scale))).clamp(0, 1)
        canvas[:, : fitted.shape[1], index * column : index * column + fitted.shape[2]] = fitted
    return canvas


def _bgr(image: Tensor) -> object:
    """Convert an image (3, H, W), RGB in [0, 1], to an 8-bit BGR array (H, W, 3)."""
    return (image.flip(0) * 255).round().byte().permute(1, 2, 0).contiguous().numpy()
