"""Restore aligned faces with a generator."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from ..batch_size import check_batch_size, default_batch_size, in_batches
from ..checks import check_evaluating, check_finite, check_float, check_output, check_shape, check_type
from ..errors import InputError
from ..images.box import Size
from ..images.resize import resize
from ..networks.face_restorer import FaceRestorer
from ..networks.inference.autocast import without_autocast
from ..parsing.parse_map import ParseMap
from ..progress import Progress, offset_progress


@torch.no_grad()
def enhance_faces(
    crops: Tensor,
    parse_map: ParseMap | None,
    generator: FaceRestorer,
    *,
    sides: Sequence[float] | None = None,
    batch_size: int | None = None,
    progress: Progress | None = None,
) -> Tensor:
    """Restore aligned ``crops`` (B, 3, S, S), RGB in [0, 1], with their parse maps.

    Returns faces (B, 3, S, S), float32 in [0, 1], on the device of ``crops``. Crops and maps are resized to the size of
    the generator, and the result is resized to S. ``parse_map`` (B, any square size) may be None for a generator that does not use
    it, such as GFPGAN. ``sides`` are the sides of the B crops in pixels of their images (see ``crop_side``), by which a
    ``SizedRestorer`` selects the restorer of each face; None stands for S. One forward pass restores up to ``batch_size`` faces.
    With None, the number depends on the device, and is halved if memory runs out. ``progress`` is called with the number of
    restored faces and the total after each batch, and may raise to stop.
    Raises InputError for crops, maps and sides that do not match, for crops with values that are not finite and for a generator in
    training mode, OptionError for a ``batch_size`` out of range, and PsfrError if the output of the generator is not finite.
    Source: section 3.1 of the paper.
    """
    _check_inputs(crops, parse_map, generator)
    check_batch_size(batch_size)
    sides = [crops.shape[-1]] * len(crops) if sides is None else sides
    if len(sides) != len(crops):
        raise InputError(f"sides must have one entry for each of the {len(crops)} crops, got {len(sides)}.")
    size = batch_size or default_batch_size(next(generator.parameters()).device)
    restored = torch.empty_like(crops, dtype=torch.float32)
    done = 0
    for restorer, faces in _by_restorer(generator, sides).items():
        work = partial(_enhance_selected, crops, parse_map, restorer, faces)
        total_progress = offset_progress(progress, done, len(crops))
        restored[faces] = in_batches(work, len(faces), size, halve=batch_size is None, progress=total_progress)
        done += len(faces)
    return restored


def _by_restorer(generator: FaceRestorer, sides: Sequence[float]) -> dict[FaceRestorer, list[int]]:
    """Return the indices of the faces for each restorer that ``generator`` selects by ``sides``."""
    faces: dict[FaceRestorer, list[int]] = {}
    for index, side in enumerate(sides):
        faces.setdefault(generator.for_side(side), []).append(index)
    return faces


def _enhance_selected(
    crops: Tensor, parse_map: ParseMap | None, restorer: FaceRestorer, faces: list[int], batch: slice
) -> Tensor:
    """Restore the crops whose indices are ``faces[batch]``."""
    chosen = faces[batch]
    maps = ParseMap(parse_map.labels[chosen]) if parse_map is not None and restorer.uses_parse_map else None
    return _enhance_batch(crops[chosen], maps, restorer)


def _enhance_batch(crops: Tensor, parse_map: ParseMap | None, generator: FaceRestorer) -> Tensor:
    size, weight = generator.size, next(generator.parameters())
    lq = _resized(crops.float(), size).clamp(0, 1) * 2 - 1
    one_hot = None if parse_map is None else parse_map.resized(Size(size, size)).one_hot.to(weight)
    with without_autocast(weight.device):
        restored = generator(lq.to(weight), one_hot).float()
    check_output(restored, "generator", weight.dtype)
    return _resized((restored.clamp(-1, 1) + 1) / 2, crops.shape[-1]).clamp(0, 1).to(crops.device)


def _resized(images: Tensor, side: int) -> Tensor:
    return resize(images, Size(side, side))


def _check_inputs(crops: Tensor, parse_map: ParseMap | None, generator: FaceRestorer) -> None:
    check_shape(crops, "B 3 S S", "crops")
    check_float(crops, "crops")
    check_finite(crops, "crops")
    check_type(generator, FaceRestorer, "generator")
    check_evaluating(generator, "generator")
    check_type(parse_map, ParseMap if generator.uses_parse_map else ParseMap | None, "parse_map")
    if parse_map is None:
        return
    check_shape(parse_map.labels, "B S S", "parse map labels")
    if len(parse_map) != len(crops):
        raise InputError(
            f"There are {len(crops)} crops but {len(parse_map)} parse maps. Each face needs one parse map."
        )
