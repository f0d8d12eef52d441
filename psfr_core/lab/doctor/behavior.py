"""Check the restoration on the device: paste-back, batches, memory, compilation and speed."""

from __future__ import annotations

import logging
from collections.abc import Generator
from contextlib import contextmanager

import torch
from torch import Tensor

from ...batch_size import in_batches
from ...faces.detector import BUNDLED_DETECTOR
from ...models.loader import load_generator
from ...networks.face_restorer import FaceRestorer
from ...networks.inference import compile as compilation
from ...networks.inference.optimize import fastest_dtype, optimized_on
from ...networks.psfr_generator import PsfrGenerator
from ...parsing.parser import parse_faces
from ...restoration.enhance import enhance_faces
from ...restoration.restoration_models import BUNDLED_GENERATOR, RestorationModels, load_models
from ...restoration.restore import restore_image
from ..benchmark.measure import peak_megabytes, timed
from .check import Finding, Outcome, passed_if
from .equality import drawn_maps, similarity
from .portrait import drawn_crops, drawn_portrait

BATCH = 8  # number of faces in the checks of batches
TOO_MANY_BYTES = 2**60  # more memory than any device has
_REPEATS = 2  # number of timed runs; the fastest run counts


def bundled_models(device: torch.device, dtype: torch.dtype, generator: str = BUNDLED_GENERATOR) -> RestorationModels:
    """Load the bundled ``generator``, detector and parsing network onto ``device``. The detector always computes in float32."""
    return load_models(generator, detector=BUNDLED_DETECTOR, device=device, dtype=dtype)


def paste_back(device: torch.device) -> Finding:
    """Restore the drawn portrait, and check that all pixels outside the mask are unchanged; see ``check_paste``."""
    image = drawn_portrait()
    result = restore_image(image, bundled_models(device, fastest_dtype(device)))
    return check_paste(image, result.image, result.mask, len(result.faces))


def check_paste(image: Tensor, pasted: Tensor, mask: Tensor, faces: int) -> Finding:
    """Check that one face was found, that some values changed where ``mask`` is not 0, and that none changed elsewhere.

    ``image`` and ``pasted`` are (3, H, W), ``mask`` is (1, H, W), and ``faces`` is the number of faces found.
    """
    outside = (mask == 0).expand_as(image)
    changed = int((image != pasted)[outside].sum())
    inside = int((image != pasted)[~outside].sum())
    found = "1 face" if faces == 1 else f"{faces} faces"
    detail = f"{found} found; {changed} values changed outside the face, {inside} inside"
    return passed_if(faces == 1 and changed == 0 and inside > 0, detail)


def batches(device: torch.device) -> Finding:
    """Check that a batch of eight faces gives the same labels and restored faces as eight batches of one face, up to rounding."""
    dtype = fastest_dtype(device)
    models = bundled_models(device, dtype)
    crops = drawn_crops(BATCH, models.crop_size)
    maps = parse_faces(crops, models.parse_net, 1)
    batched_maps = parse_faces(crops, models.parse_net, BATCH)
    equal = float((maps.labels == batched_maps.labels).float().mean())
    single, batched = (enhance_faces(crops, maps, models.generator, batch_size=size) for size in (1, BATCH))
    finding = similarity(batched, single, dtype)
    is_equal = finding.outcome is Outcome.PASSED and equal >= 0.999
    return passed_if(is_equal, f"{finding.detail}; {equal:.3%} of the labels are equal")


class MemoryHungryRestorer(FaceRestorer):
    """Generator that runs out of memory for batches of more than ``limit`` faces; ``batches`` lists the sizes of all batches."""

    uses_parse_map = False

    def __init__(self, limit: int) -> None:
        super().__init__()
        self.limit, self.batches = limit, list[int]()
        self.gain = torch.nn.Parameter(torch.tensor(0.5), requires_grad=False)

    @property
    def size(self) -> int:
        """Side of the faces in pixels."""
        return 64

    def forward(self, lq: Tensor, parse_one_hot: Tensor | None = None) -> Tensor:
        """Return ``lq`` at half contrast; raise the device's out-of-memory error for more than ``limit`` faces."""
        self.batches.append(lq.shape[0])
        if lq.shape[0] > self.limit:
            torch.empty(TOO_MANY_BYTES, dtype=torch.uint8, device=lq.device)
        return lq * self.gain


def out_of_memory(device: torch.device) -> Finding:
    """Check that faces are restored correctly in batches of two after batches of eight and four run out of memory."""
    restorer = MemoryHungryRestorer(limit=2).to(device).eval()
    crops = drawn_crops(BATCH, restorer.size)
    restored = in_batches(
        lambda batch: enhance_faces(crops[batch], None, restorer, batch_size=BATCH), BATCH, BATCH, halve=True
    )
    expected = (crops.clamp(0, 1) * 2 - 1) * 0.25 + 0.5
    difference = float((restored - expected).abs().max())
    return passed_if(
        restorer.batches == [8, 4, 2, 2, 2, 2] and difference < 1e-3,
        f"batches of {', '.join(map(str, restorer.batches))} faces; largest difference {difference:.1e}",
    )


def compiled(device: torch.device) -> Finding:
    """Compare the compiled with the uncompiled generator. Skip the check on CPUs, which do not use compilation."""
    if device.type == "cpu":
        return Finding(Outcome.SKIPPED, "not used on CPUs, where the networks are faster without it")
    return compare_compiled(optimized_on(load_generator(BUNDLED_GENERATOR), device, fastest_dtype(device)))


def compare_compiled(generator: PsfrGenerator) -> Finding:
    """Compare the optimized ``generator`` before and after compilation.

    The check fails if compilation logs a warning, because the network then runs uncompiled.
    """
    dtype = generator.const_input.dtype
    crops, maps = drawn_crops(1, generator.size), drawn_maps(generator.size)
    expected = enhance_faces(crops, maps, generator)
    with _warnings_of(compilation.logger) as warnings:
        network = compilation.compile_for_inference(generator)
        seconds = timed(lambda: enhance_faces(crops, maps, network))
        found = enhance_faces(crops, maps, network)
    if warnings:
        return Finding(Outcome.FAILED, "; ".join(warnings))
    finding = similarity(found, expected, dtype)
    return Finding(finding.outcome, f"{finding.detail}; compiled in {seconds:.0f} s")


def speed(device: torch.device, dtype: torch.dtype, generator: str) -> Finding:
    """Measure the seconds and the peak memory of parsing and restoring one face, without detection and paste-back."""
    models = bundled_models(device, dtype, generator)
    crops = drawn_crops(1, models.crop_size).to(device)

    def work() -> Tensor:
        return enhance_faces(crops, parse_faces(crops, models.parse_net), models.generator)

    megabytes = peak_megabytes(work, [models.generator, models.parse_net], device)  # warms up, unless it returns None
    if megabytes is None:
        work()
    seconds = min(timed(work) for _ in range(_REPEATS))
    peak = "memory unknown" if megabytes is None else f"{megabytes:.0f} MB"
    return Finding(Outcome.NOTED, f"{seconds:.3f} s, {peak} per face of {models.crop_size} px")


@contextmanager
def _warnings_of(logger: logging.Logger) -> Generator[list[str]]:
    """Yield a list that collects the warnings of ``logger`` until the context ends."""
    messages: list[str] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: messages.append(record.getMessage())
    logger.addHandler(handler)
    try:
        yield messages
    finally:
        logger.removeHandler(handler)
