"""Search images for faces with any network, in batches, at several scales and rotations, and in tiles."""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite

import torch
from torch import Tensor, nn

from ..checks import check_evaluating, check_float, check_shape
from ..errors import InputError
from ..images.box import Size
from ..networks.inference.autocast import without_autocast
from ..progress import Progress
from .detection_options import DetectionOptions
from .exposure import find_low_contrast, stretch_contrast
from .face import Face
from .nms import non_maximum_suppression, plausible
from .proposals import Candidates
from .pyramid import PyramidLevel, ScaleRange, image_pyramid, level_images

Propose = Callable[[Tensor], list[Candidates]]
"""A function that returns the candidates in each image of a batch (B, 3, H, W), whose sides are multiples of 32 pixels."""


@torch.no_grad()
def search_faces(
    images: Tensor,
    network: nn.Module,
    propose: Propose,
    options: DetectionOptions,
    scale_range: ScaleRange,
    *,
    progress: Progress | None = None,
) -> list[list[Face]]:
    """Return one list of faces per image of a batch (B, 3, H, W), RGB in [0, 1], with the highest score first.

    ``propose`` gets the images on the device and in the precision of ``network``, with values clamped to [0, 1]. Dark and pale
    images are searched twice, unchanged and with increased contrast. After each call of ``propose``, ``progress`` is called with
    the finished and total numbers of calls. Raises InputError for other shapes, integers, values that are not finite, or a network
    in training mode.
    """
    check_evaluating(network, "detector")
    check_shape(images, "B 3 H W", "images")
    check_float(images, "images")
    is_in_range = _is_in_range(images)
    low_contrast = find_low_contrast(images)
    copies = stretch_contrast(images[low_contrast]).split(options.batch_size) if low_contrast else ()
    batches = [*images.split(options.batch_size), *copies]
    levels = image_pyramid(Size.of(images), options, scale_range)
    done, total = 0, len(batches) * len(_quarter_turns(options)) * len(levels)

    def propose_and_report(inputs: Tensor) -> list[Candidates]:
        nonlocal done
        candidates = propose(inputs)
        done += 1
        if progress is not None:
            progress(done, total)
        return candidates

    like = next(network.parameters(), torch.empty(0, device=images.device))
    found: list[list[Candidates]] = []
    with without_autocast(like.device):
        for batch in batches:
            found += _search_batch(_prepared(batch, like, is_in_range), propose_and_report, options, scale_range)
    for index, in_copy in zip(low_contrast, found[len(images) :], strict=True):
        found[index] += in_copy
    return [
        non_maximum_suppression(Candidates.join(parts), options.max_overlap).to_faces()
        for parts in found[: len(images)]
    ]


def _is_in_range(images: Tensor) -> bool:
    """Return whether all values are in [0, 1]. Raise InputError if any value is not finite."""
    if not images.numel():
        return True
    low, high = (float(extreme) for extreme in images.aminmax())  # NaN if any value is NaN
    if not (isfinite(low) and isfinite(high)):
        raise InputError("images must be finite numbers, got NaN or infinity. The previous step has failed.")
    return low >= 0 and high <= 1


def _prepared(images: Tensor, like: Tensor, is_in_range: bool) -> Tensor:
    exact = images.to(like.device, torch.float32)
    return (exact if is_in_range else exact.clamp(0, 1)).to(like.dtype)


def _quarter_turns(options: DetectionOptions) -> range:
    """Return the clockwise rotations to search, in quarter turns."""
    return range(4 if options.turned else 1)


def _search_batch(
    images: Tensor, propose: Propose, options: DetectionOptions, scale_range: ScaleRange
) -> list[list[Candidates]]:
    """Return the candidates of all levels and rotations for each image, in pixels of the unrotated image."""
    found: list[list[Candidates]] = [[] for _ in images]
    for quarters in _quarter_turns(options):
        turned = images.rot90(-quarters, (-2, -1)) if quarters else images  # clockwise
        size = Size.of(turned)
        levels = image_pyramid(size, options, scale_range)
        for level, level_image in zip(levels, level_images(turned, levels), strict=True):
            for of_image, candidates in zip(found, propose(level_image), strict=True):
                of_image.append(_rotated(_plausible_in_image(candidates, level, size, options), size, -quarters % 4))
    return found


def _plausible_in_image(
    candidates: Candidates, level: PyramidLevel, size: Size, options: DetectionOptions
) -> Candidates:
    """Drop unreliable and implausible ``candidates`` of ``level``, and convert the others to pixels of an image of ``size``."""
    here = candidates.on_cpu()
    return plausible(level.to_image(here.select(level.is_reliable(here, size))), size, options.min_eye_distance)


def _rotated(candidates: Candidates, size: Size, quarters: int) -> Candidates:
    """Rotate the candidates of an image of ``size`` clockwise by ``quarters`` quarter turns."""
    for _ in range(quarters):
        candidates, size = candidates.quarter_turned(size.height), Size(size.height, size.width)
    return candidates
