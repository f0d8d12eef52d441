"""Measure the networks: speed, memory, precision, loading and training."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from statistics import median

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from ...errors import NoFaceError
from ...faces.align import align_faces
from ...images.resize import resize
from ...models.loader import load_generator
from ...networks.inference.optimize import optimize_for_inference, optimized_on
from ...networks.psfr_generator import PARSE_CLASSES, PsfrGenerator
from ...parsing.parse_map import ParseMap
from ...parsing.parser import parse_faces
from ...restoration.enhance import enhance_faces
from ...restoration.restoration_models import BUNDLED_GENERATOR, BUNDLED_PARSE_NET, load_models
from ..degradation.config import DegradationPreset
from ..degradation.pipeline import degrade
from ..metrics.psnr import psnr
from .context import BenchmarkContext
from .measure import Measurement, compare, one_thread, peak_megabytes, timed
from .published import PublishedGenerator
from .training_step import training_steps

_PLAIN = "published formulation"


@torch.no_grad()
def networks(context: BenchmarkContext) -> Iterator[Measurement]:
    """Compare the optimized generator, the parsing network and both together with their published formulation.

    These measurements are for one face. Another measurement compares the generator on eight faces in a batch and one by one.
    """
    device = context.device
    generator, parse_net = context.plain_generator(), context.plain_parse_net()
    published = PublishedGenerator(generator).to(device)
    plain_parse_net = copy.deepcopy(parse_net).to(device)
    lq, one_hot = (tensor.to(device) for tensor in _face(generator.config.size))
    parse_lq = resize(lq, (parse_net.config.size, parse_net.config.size))
    baselines = _workloads(published, lambda parse_lq: plain_parse_net(parse_lq)[0], lq, parse_lq, one_hot)
    baseline_networks = _networks_of(published, plain_parse_net)
    peaks = {name: peak_megabytes(work, baseline_networks[name], device) for name, work in baselines.items()}
    for dtype in context.dtypes:
        fast_generator = optimized_on(copy.deepcopy(generator), device, dtype)
        fast_parse_net = optimized_on(copy.deepcopy(parse_net), device, dtype)
        inputs = lq.to(dtype), parse_lq.to(dtype), one_hot.to(dtype)
        workloads = _workloads(fast_generator, fast_parse_net.parse_logits, *inputs)
        used = _networks_of(fast_generator, fast_parse_net)
        notes = {
            "generator": _difference(workloads["generator"](), baselines["generator"]()),
            "parser": _agreement(workloads["parser"](), baselines["parser"]()),
        }
        for name, work in workloads.items():
            measured = compare(
                f"{name}, {_dtype_name(dtype)}", work, _PLAIN, baselines[name], context.repeats, notes.get(name, "")
            )
            yield replace(measured, megabytes=peak_megabytes(work, used[name], device), baseline_megabytes=peaks[name])
        yield from _batch(context, fast_generator, inputs, dtype)


def _workloads(
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


def _networks_of(generator: nn.Module, parser: nn.Module) -> dict[str, list[nn.Module]]:
    """Return the networks that each entry of ``_workloads`` uses."""
    return {"generator": [generator], "parser": [parser], "parser and generator": [generator, parser]}


def _batch(
    context: BenchmarkContext, generator: PsfrGenerator, inputs: tuple[Tensor, Tensor, Tensor], dtype: torch.dtype
) -> Iterator[Measurement]:
    """Compare the restoration of eight faces in batches of the default size with eight single faces."""
    crops, labels = (inputs[0].float() + 1) / 2, inputs[2].argmax(dim=1).to(torch.uint8)
    one, eight = (
        (lambda: enhance_faces(crops, ParseMap(labels), generator)),
        (lambda: enhance_faces(crops.expand(8, -1, -1, -1), ParseMap(labels.expand(8, -1, -1)), generator)),
    )
    yield replace(
        compare(f"8 faces, {_dtype_name(dtype)}", eight, "8 times one face", lambda: [one() for _ in range(8)], context.repeats),
        megabytes=peak_megabytes(eight, [generator], context.device),
        baseline_megabytes=peak_megabytes(one, [generator], context.device),
    )  # fmt: skip


@torch.no_grad()
def quality(context: BenchmarkContext) -> Iterator[Measurement]:
    """Compare the networks in the fastest dtype with float32, on the faces in the images.

    Raises NoFaceError if the images show no face.
    """
    fast = context.dtypes[-1]
    generator, parser = context.generator or BUNDLED_GENERATOR, context.parser or BUNDLED_PARSE_NET
    exact, faster = (
        load_models(generator, parser, context.detector, device=context.device, dtype=dtype)
        for dtype in (torch.float32, fast)
    )
    found = [align_faces(image, exact.detector.detect(image[None])[0], exact.crop_size) for image in context.images]
    if not any(found):
        raise NoFaceError("No face was found in any of the images. Choose photos with faces.")
    crops = torch.stack([face.crop for faces in found for face in faces]).to(context.device)
    maps, faster_maps = parse_faces(crops, exact.parse_net), parse_faces(crops, faster.parse_net)
    agreeing = (maps.labels == faster_maps.labels).float().mean()
    restored, faster_restored = (
        enhance_faces(crops, maps, exact.generator),
        enhance_faces(crops, maps, faster.generator),
    )
    decibels = [float(psnr(one[None], other[None])) for one, other in zip(restored, faster_restored, strict=True)]
    yield replace(
        compare(
            f"parser and generator, {_dtype_name(fast)}",
            lambda: enhance_faces(crops, parse_faces(crops, faster.parse_net), faster.generator),
            "the same in float32",
            lambda: enhance_faces(crops, parse_faces(crops, exact.parse_net), exact.generator),
            context.repeats,
        ),
        note=f"{len(crops)} real faces: labels agree {100 * agreeing:.2f} %, PSNR at least {min(decibels):.1f} dB",
    )


def loading(context: BenchmarkContext) -> Iterator[Measurement]:
    """Compare loading the generator with reading the bytes of its file, and measure loading with optimization."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "generator.safetensors"
        save_file({name: value.contiguous() for name, value in context.plain_generator().state_dict().items()}, path)
        size = path.stat().st_size / 1e6
        loaded: list[nn.Module] = []
        measured = compare(
            "load a generator file", lambda: load_generator(path), "reading its bytes", path.read_bytes, context.repeats
        )
        peak = peak_megabytes(lambda: loaded.append(load_generator(path)), [], torch.device("cpu"))
        yield replace(measured, megabytes=peak, note=f"file of {size:.0f} MB")
        optimized = median(
            timed(lambda: optimize_for_inference(load_generator(path), context.device, context.dtypes[-1]))
            for _ in range(context.repeats)
        )
        yield Measurement("load and optimize a generator", optimized, note=_dtype_name(context.dtypes[-1]))


def training(context: BenchmarkContext) -> Iterator[Measurement]:
    """Compare variants of a training step of the generator, and measure the time to degrade a sample."""
    config = load_generator(context.generator or BUNDLED_GENERATOR).config
    lq, one_hot = (tensor.to(context.device) for tensor in _face(config.size))
    yield from training_steps(config, lq, one_hot, context.repeats)
    with one_thread():  # as in a data loader worker
        for preset in DegradationPreset:
            for side in (256, 512):
                yield _measure_degradation(preset, resize((lq[0].cpu() + 1) / 2, (side, side)), context.repeats)


def _measure_degradation(preset: DegradationPreset, face: Tensor, repeats: int) -> Measurement:
    """Measure the mean time to degrade a face with 64 seeds, because single degradations differ greatly."""

    def work() -> None:
        for seed in range(64):
            degrade(face, preset.config, torch.Generator().manual_seed(seed))

    seconds = median(timed(work) for _ in range(repeats)) / 64
    name = f"degrade a face of {face.shape[-1]} px, {preset.value}"
    return Measurement(name, seconds, note=f"{1 / seconds:.0f} samples per second and worker")


def _face(side: int) -> tuple[Tensor, Tensor]:
    """Return a smooth image (1, 3, side, side) in [-1, 1] and a one-hot parse map of random patches.

    The networks need as much time for them as for a real face.
    """
    torch.manual_seed(0)
    lq = resize(torch.rand(1, 3, side // 16, side // 16), (side, side)).clamp(0, 1) * 2 - 1
    labels = (
        torch.randint(0, PARSE_CLASSES, (1, side // 32, side // 32)).repeat_interleave(32, 1).repeat_interleave(32, 2)
    )
    return lq, nn.functional.one_hot(labels, PARSE_CLASSES).permute(0, 3, 1, 2).float()


def _difference(found: Tensor, expected: Tensor) -> str:
    error = (found.float() - expected).abs().max()
    decibels = float(psnr((found.float() + 1) / 2, (expected + 1) / 2))
    return f"largest difference {error:.1e}, PSNR {decibels:.0f} dB"


def _agreement(found: Tensor, expected: Tensor) -> str:
    agreeing = (found.argmax(dim=1) == expected.argmax(dim=1)).float().mean()
    return f"equal labels: {100 * agreeing:.2f} %"


def _dtype_name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
