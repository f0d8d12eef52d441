"""What is measured. Networks have random weights in the published shapes, unless files are named."""

from __future__ import annotations

import copy
import importlib.util
import math
import subprocess
import sys
import tempfile
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from ..alignment.align import align_faces
from ..alignment.template import template_for
from ..degradation.config import DegradationPreset
from ..degradation.pipeline import degrade
from ..detection.face import Face
from ..detection.load import BUNDLED_DETECTOR, load_detector
from ..detection.retinaface import RetinaFaceDetector
from ..detection.suppression import overlaps
from ..errors import NoFaceError, OptionError
from ..geometry.box import Box
from ..imaging.resize import resize
from ..metrics.psnr import psnr
from ..networks.inference.optimize import fastest_dtype, optimize_for_inference, optimized_on
from ..networks.parse_net import PUBLISHED_PARSE_NET, ParseNet
from ..networks.psfr_generator import PARSE_CLASSES, PUBLISHED_GENERATOR, PsfrGenerator
from ..parsing.parse_map import ParseMap
from ..parsing.parser import parse_faces
from ..paste_back.masks import crop_masks
from ..paste_back.paste import PasteOptions, paste_faces
from ..restoration.enhance import enhance_faces
from ..restoration.models import BUNDLED_GENERATOR, BUNDLED_PARSE_NET, load_models
from ..restoration.restore import restore_image
from ..weights.loader import load_detector_network, load_generator, load_parse_net
from .measure import Measurement, Work, compare, peak_megabytes, timed
from .published import PublishedGenerator
from .training_step import training_steps

Case = Callable[["Setting"], Iterator[Measurement]]

_PLAIN = "published formulation"


@dataclass(frozen=True)
class Setting:
    """What all cases share."""

    device: torch.device
    repeats: int
    generator: str | None = None
    parser: str | None = None
    detector: str | None = None
    images: tuple[Tensor, ...] = ()

    def plain_generator(self) -> PsfrGenerator:
        """The generator as it is loaded."""
        return PsfrGenerator(PUBLISHED_GENERATOR).eval() if self.generator is None else load_generator(self.generator)

    def plain_parse_net(self) -> ParseNet:
        """The parsing network as it is loaded."""
        return ParseNet(PUBLISHED_PARSE_NET).eval() if self.parser is None else load_parse_net(self.parser)

    @property
    def dtypes(self) -> list[torch.dtype]:
        """float32, and what is faster here."""
        fast = torch.float16 if self.device.type == "cuda" else fastest_dtype(self.device)
        return [torch.float32] if fast == torch.float32 else [torch.float32, fast]


@torch.no_grad()
def networks(setting: Setting) -> Iterator[Measurement]:
    """Generator, parsing network and both, for one face and for a batch of eight."""
    device = setting.device
    generator, parse_net = setting.plain_generator(), setting.plain_parse_net()
    published = PublishedGenerator(generator).to(device)
    plain_parse_net = copy.deepcopy(parse_net).to(device)
    lq, one_hot = (tensor.to(device) for tensor in _face(generator.config.size))
    parse_lq = resize(lq, (parse_net.config.size, parse_net.config.size))
    baselines = _works(published, lambda parse_lq: plain_parse_net(parse_lq)[0], lq, parse_lq, one_hot)
    baseline_networks = _used(published, plain_parse_net)
    peaks = {name: peak_megabytes(work, baseline_networks[name], device) for name, work in baselines.items()}
    for dtype in setting.dtypes:
        fast_generator = optimized_on(copy.deepcopy(generator), device, dtype)
        fast_parse_net = optimized_on(copy.deepcopy(parse_net), device, dtype)
        inputs = lq.to(dtype), parse_lq.to(dtype), one_hot.to(dtype)
        works = _works(fast_generator, fast_parse_net.parse_logits, *inputs)
        used = _used(fast_generator, fast_parse_net)
        notes = {
            "generator": _difference(works["generator"](), baselines["generator"]()),
            "parser": _agreement(works["parser"](), baselines["parser"]()),
        }
        for name, work in works.items():
            measured = compare(
                f"{name}, {_named(dtype)}", work, _PLAIN, baselines[name], setting.repeats, notes.get(name, "")
            )
            yield replace(measured, megabytes=peak_megabytes(work, used[name], device), baseline_megabytes=peaks[name])
        yield from _batch(setting, fast_generator, inputs, dtype)


def _works(
    generator: Callable[[Tensor, Tensor], Tensor],
    parser: Callable[[Tensor], Tensor],
    lq: Tensor,
    parse_lq: Tensor,
    one_hot: Tensor,
) -> dict[str, Callable[[], Tensor]]:
    return {
        "generator": lambda: generator(lq, one_hot),
        "parser": lambda: parser(parse_lq),
        "parser and generator": lambda: (parser(parse_lq), generator(lq, one_hot))[1],
    }


def _used(generator: nn.Module, parser: nn.Module) -> dict[str, list[nn.Module]]:
    """The networks behind each of ``_works``."""
    return {"generator": [generator], "parser": [parser], "parser and generator": [generator, parser]}


def _batch(
    setting: Setting, generator: PsfrGenerator, inputs: tuple[Tensor, Tensor, Tensor], dtype: torch.dtype
) -> Iterator[Measurement]:
    """Eight faces by the batches that suit the device, against eight times one face."""
    crops, labels = (inputs[0].float() + 1) / 2, inputs[2].argmax(dim=1).to(torch.uint8)
    one, eight = (
        (lambda: enhance_faces(crops, ParseMap(labels), generator)),
        (lambda: enhance_faces(crops.expand(8, -1, -1, -1), ParseMap(labels.expand(8, -1, -1)), generator)),
    )
    yield replace(
        compare(f"8 faces, {_named(dtype)}", eight, "8 times one face", lambda: [one() for _ in range(8)], setting.repeats),
        megabytes=peak_megabytes(eight, [generator], setting.device),
        baseline_megabytes=peak_megabytes(one, [generator], setting.device),
    )  # fmt: skip


@torch.no_grad()
def quality(setting: Setting) -> Iterator[Measurement]:
    """The bundled networks in what is fastest here against float32, on the faces of the images."""
    fast = setting.dtypes[-1]
    generator, parser = setting.generator or BUNDLED_GENERATOR, setting.parser or BUNDLED_PARSE_NET
    exact, rough = (
        load_models(generator, parser, setting.detector, device=setting.device, dtype=dtype)
        for dtype in (torch.float32, fast)
    )
    found = [align_faces(image, exact.detector.detect(image[None])[0], exact.crop_size) for image in setting.images]
    if not any(found):
        raise NoFaceError("No face was found in any of the --images: name photos with faces.")
    crops = torch.stack([face.crop for faces in found for face in faces]).to(setting.device)
    maps, rough_maps = parse_faces(crops, exact.parse_net), parse_faces(crops, rough.parse_net)
    agreeing = (maps.labels == rough_maps.labels).float().mean()
    restored, rough_restored = enhance_faces(crops, maps, exact.generator), enhance_faces(crops, maps, rough.generator)
    decibels = [float(psnr(one[None], other[None])) for one, other in zip(restored, rough_restored, strict=True)]
    yield replace(
        compare(
            f"bundled networks, {_named(fast)}",
            lambda: enhance_faces(crops, parse_faces(crops, rough.parse_net), rough.generator),
            "the same in float32",
            lambda: enhance_faces(crops, parse_faces(crops, exact.parse_net), exact.generator),
            setting.repeats,
        ),
        note=f"{len(crops)} real faces: labels agree {100 * agreeing:.2f} %, PSNR at least {min(decibels):.1f} dB",
    )


@torch.no_grad()
def paste(setting: Setting) -> Iterator[Measurement]:
    """Paste-back against facexlib's, and alignment, on the CPU."""
    yield from _paste(_Scene.of(3840, 2160, 1), setting)
    yield from _paste(_Scene.of(2048, 2048, 8), setting)


def _paste(scene: _Scene, setting: Setting) -> Iterator[Measurement]:
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
                setting.repeats,
            )
    yield compare(
        f"paste into a copy, {scene}",
        lambda: paste_faces(image, aligned, restored, mask),
        "copying it",
        image.clone,
        setting.repeats,
    )
    with _one_thread():
        align, copying = (lambda: align_faces(image, scene.faces, 512)), image.clone
        yield compare(f"align with 1 thread, {scene}", align, "copying the image", copying, setting.repeats)


def _facexlib_paste(image: Tensor, restored: Tensor, crop_to_image: Sequence[Tensor], masked: bool) -> Work:
    """facexlib's paste of 8-bit BGR pictures; ``masked`` cuts the face out along a parse map, whose making is not counted."""
    from facexlib.utils.face_restoration_helper import FaceRestoreHelper

    helper = FaceRestoreHelper.__new__(FaceRestoreHelper)  # its own constructor downloads networks
    helper.upscale_factor, helper.face_size, helper.use_parse, helper.device = 1, (512, 512), masked, "cpu"
    helper.input_img, helper.save_ext = _bgr(image), "png"
    helper.restored_faces = [_bgr(face) for face in restored]
    logits = torch.zeros(1, PARSE_CLASSES, 512, 512)
    logits[:, 1, 80:-40, 80:-80] = 1
    setattr(helper, "face_parse", lambda _: [logits])  # noqa: B010 (its type is that of a network)
    affines = [affine.numpy() for affine in crop_to_image]

    def work() -> object:
        helper.inverse_affine_matrices = [affine.copy() for affine in affines]
        return helper.paste_faces_to_input_image()

    return work


@torch.no_grad()
def detection(setting: Setting) -> Iterator[Measurement]:
    """Detection in an image of 3840x2160 against facexlib's at full size."""
    detector = load_detector(setting.detector, device=setting.device)
    if setting.detector is None or not isinstance(detector, RetinaFaceDetector):
        raise OptionError(f"{setting.detector} is no RetinaFace, which the case detection compares with facexlib's.")
    network: Any = load_detector_network(setting.detector).to(setting.device)
    canvas = _collage(setting.images, 3840, 2160)
    picture = _bgr(canvas)
    theirs = network.detect_faces(picture, conf_threshold=detector.min_score)
    boxes = torch.tensor(theirs)[:, :4].float()
    large = boxes[(boxes[:, 2:] - boxes[:, :2]).amin(dim=1) > 40]
    ours = torch.tensor([face.box for face in detector.detect(canvas[None])[0]]).reshape(-1, 4)
    again = sum(bool((overlaps(box, ours) > 0.4).any()) for box in large)
    yield compare(
        "RetinaFace in 3840x2160",
        lambda: detector.detect(canvas[None]),
        "facexlib at full size",
        lambda: network.detect_faces(picture, conf_threshold=detector.min_score),
        setting.repeats,
        f"{again} of its {len(large)} faces over 40 px found, {len(ours)} in all",
    )


def restoration(setting: Setting) -> Iterator[Measurement]:
    """A whole restoration with the bundled models, and a new process's first one."""
    models = load_models(detector=BUNDLED_DETECTOR, device=setting.device)
    portrait = resize(setting.images[0][None], (512, 512)) if setting.images else torch.rand(1, 3, 512, 512)
    canvas = torch.full((3, 1080, 1920), 0.5)
    canvas[:, 280:792, 700:1212] = portrait[0].clamp(0, 1)
    count = len(restore_image(canvas, models).faces)
    yield compare(
        "restore_image, 1920x1080",
        lambda: restore_image(canvas, models),
        "copying the image",
        canvas.clone,
        setting.repeats,
        f"bundled models, {count} face(s)",
    )
    first = (
        "import time, torch, psfr_core; start = time.perf_counter(); image = torch.rand(3, 1080, 1920);"
        f"psfr_core.restore_image(image, psfr_core.load_models(device='{setting.device}')); print(time.perf_counter() - start)"
    )
    seconds = median(float(subprocess.check_output([sys.executable, "-c", first])) for _ in range(3))  # noqa: S603
    yield Measurement("first call of a process", seconds, note="models loaded, no face")


def loading(setting: Setting) -> Iterator[Measurement]:
    """Reading the published generator, against reading the bytes of its file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "generator.safetensors"
        save_file({name: value.contiguous() for name, value in setting.plain_generator().state_dict().items()}, path)
        size = path.stat().st_size / 1e6
        loaded: list[nn.Module] = []
        measured = compare(
            "load a generator file", lambda: load_generator(path), "reading its bytes", path.read_bytes, setting.repeats
        )
        peak = peak_megabytes(lambda: loaded.append(load_generator(path)), [], torch.device("cpu"))
        yield replace(measured, megabytes=peak, note=f"a file of {size:.0f} MB")
        optimised = median(
            timed(lambda: optimize_for_inference(load_generator(path), setting.device, setting.dtypes[-1]))
            for _ in range(setting.repeats)
        )
        yield Measurement("load and optimise it", optimised, note=_named(setting.dtypes[-1]))


def training(setting: Setting) -> Iterator[Measurement]:
    """A training step of the bundled generator in four forms, and how fast a worker makes samples."""
    config = load_generator(setting.generator or BUNDLED_GENERATOR).config
    lq, one_hot = (tensor.to(setting.device) for tensor in _face(config.size))
    yield from training_steps(config, lq, one_hot, setting.repeats)
    with _one_thread():  # as workers have
        for preset in DegradationPreset:
            for side in (256, 512):
                yield _degrading(preset, resize((lq[0].cpu() + 1) / 2, (side, side)), setting.repeats)


def _degrading(preset: DegradationPreset, face: Tensor, repeats: int) -> Measurement:
    """Samples differ much in what is done to them, so a run makes 64."""

    def work() -> None:
        for seed in range(64):
            degrade(face, preset.config, torch.Generator().manual_seed(seed))

    seconds = median(timed(work) for _ in range(repeats)) / 64
    name = f"degrade a face of {face.shape[-1]} px, {preset.value}"
    return Measurement(name, seconds, note=f"{1 / seconds:.0f} samples a second and worker")


def why_not(name: str, setting: Setting) -> str | None:
    """What keeps a case from being measured in this setting; None when nothing does."""
    if name in ("quality", "detection") and not setting.images:
        return "it needs --images"
    if name == "detection" and setting.detector is None:
        return "it needs --detector, a RetinaFace"
    if name == "quality" and setting.dtypes[-1] == torch.float32:
        return "nothing is faster than float32 on this device"
    return None


CASES: dict[str, Case] = {
    "networks": networks,
    "quality": quality,
    "paste": paste,
    "detection": detection,
    "restoration": restoration,
    "loading": loading,
    "training": training,
}


@contextmanager
def _one_thread() -> Generator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _face(side: int) -> tuple[Tensor, Tensor]:
    """A smooth picture in [-1, 1] and a map of patches, which cost what a face does."""
    torch.manual_seed(0)
    lq = resize(torch.rand(1, 3, side // 16, side // 16), (side, side)).clamp(0, 1) * 2 - 1
    labels = (
        torch.randint(0, PARSE_CLASSES, (1, side // 32, side // 32)).repeat_interleave(32, 1).repeat_interleave(32, 2)
    )
    return lq, nn.functional.one_hot(labels, PARSE_CLASSES).permute(0, 3, 1, 2).float()


@dataclass(frozen=True, eq=False)
class _Scene:
    """A smooth picture, and faces whose crops of 512 px, slightly turned, do not overlap."""

    image: Tensor
    faces: list[Face]

    @staticmethod
    def of(width: int, height: int, count: int) -> _Scene:
        torch.manual_seed(0)
        image = resize(torch.rand(1, 3, height // 16, width // 16), (width, height))[0].clamp(0, 1)
        turn = torch.tensor([[0.995, 0.0998], [-0.0998, 0.995]], dtype=torch.float64)
        centred, columns = (template_for(512) - 255.5) @ turn, math.ceil(math.sqrt(count))
        faces: list[Face] = []
        for index in range(count):
            x, y = (index % columns + 0.5) * width / columns, (index // columns + 0.5) * height / columns
            faces.append(Face(Box(x - 200, y - 200, x + 200, y + 200), (centred + torch.tensor([x, y])).float(), 0.99))
        return _Scene(image, faces)

    def __str__(self) -> str:
        return f"{len(self.faces)} face(s), {self.image.shape[2]}x{self.image.shape[1]}"


def _collage(images: Sequence[Tensor], width: int, height: int) -> Tensor:
    """The images side by side, each as large as fits, on grey."""
    canvas = torch.full((3, height, width), 0.5)
    column = width // len(images)
    for index, image in enumerate(images):
        scale = min(column / image.shape[2], height / image.shape[1])
        fitted = resize(image, (int(image.shape[2] * scale), int(image.shape[1] * scale))).clamp(0, 1)
        canvas[:, : fitted.shape[1], index * column : index * column + fitted.shape[2]] = fitted
    return canvas


def _difference(found: Tensor, expected: Tensor) -> str:
    error = (found.float() - expected).abs().max()
    decibels = float(psnr((found.float() + 1) / 2, (expected + 1) / 2))
    return f"largest difference {error:.1e}, PSNR {decibels:.0f} dB"


def _agreement(found: Tensor, expected: Tensor) -> str:
    agreeing = (found.argmax(dim=1) == expected.argmax(dim=1)).float().mean()
    return f"labels agree {100 * agreeing:.2f} %"


def _named(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _bgr(image: Tensor) -> object:
    return (image.flip(0) * 255).round().byte().permute(1, 2, 0).contiguous().numpy()
