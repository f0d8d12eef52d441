"""Restore the faces of an image: detect, select, align, parse, restore, and paste back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ..batch_size import in_small_batches
from ..checks import check_type
from ..errors import InputError
from ..faces.align import AlignedFace
from ..faces.face import Face
from ..faces.selection import LeftOut
from ..parsing.parse_map import ParseMap
from ..parsing.parser import parse_faces
from ..progress import Progress, offset_progress
from .automatic_strength import automatic_strength
from .color_match import match_colors
from .consistency import contradictions
from .enhance import enhance_faces
from .grain import add_grain
from .masks import crop_masks
from .paste import paste_faces
from .prepare import PreparedImage, prepare_image
from .restoration_models import RestorationModels
from .restore_options import RestoreOptions


@dataclass(frozen=True, eq=False)  # comparing tensors does not yield a single bool
class RestorationResult:
    """The restored image and its intermediate results. Faces, maps and restored crops are in the same order."""

    image: Tensor  # with the shape and dtype of the input image
    mask: Tensor  # (1, H, W) float32: blend weight of each pixel, 0 to 1
    aligned: list[AlignedFace]
    parse_maps: ParseMap | None  # (N, S, S), as parsed or given, before ``options.eyes`` is applied; None without faces
    restored: Tensor  # (N, 3, S, S) float32 in [0, 1], after the color match
    left_out: Mapping[LeftOut, int] = field(default_factory=dict)  # number of omitted faces by reason

    @property
    def faces(self) -> list[Face]:
        """The restored faces, with boxes and landmarks in pixels of the image."""
        return [aligned.face for aligned in self.aligned]


@torch.no_grad()
def restore_image(
    image: Tensor,
    models: RestorationModels,
    options: RestoreOptions | None = None,
    *,
    mask: Tensor | None = None,
    faces: Sequence[Face] | None = None,
    parse_maps: ParseMap | None = None,
    progress: Progress | None = None,
) -> RestorationResult:
    """Restore the faces in ``image`` (C, H, W), of any float dtype with values in [0, 1], and keep the dtype.

    ``image`` is gray, gray with alpha, RGB, or RGB with alpha. With ``mask`` (H, W), a face is restored only if the mask exceeds
    0.5 at the center of its box or in at least half of the box. ``faces`` replaces detection and selection, and ``parse_maps``,
    one for each face, replaces parsing and disables the option ``guard``. To edit a result, pass its faces and its edited maps.
    Pixels where the result's mask is 0 stay bit-identical. An image without faces is returned unchanged, unless the options
    request a NoFaceError. ``progress`` is called with 0 during detection, and then counts each face twice, after parsing and after
    restoration. It may raise to stop. Given ``parse_maps`` count as parsed.
    Raises InputError for an invalid image, including colors that are not finite, for faces that cannot be aligned, for a mask or
    maps that do not fit, for ``parse_maps`` without ``faces``, and for ``mask`` with ``faces``. Raises PsfrError if the output of a
    network is not finite.
    """
    options = RestoreOptions() if options is None else options
    check_type(parse_maps, ParseMap | None, "parse_maps")
    if faces is None and parse_maps is not None:
        raise InputError("parse_maps need the faces that they were made for. Give these faces as well.")
    prepared = prepare_image(image, models, options, mask=mask, faces=faces, progress=progress)
    return restore_prepared([prepared], models, options, parse_maps=parse_maps, progress=progress)[0]


@torch.no_grad()
def restore_prepared(
    prepared: Sequence[PreparedImage],
    models: RestorationModels,
    options: RestoreOptions,
    *,
    parse_maps: ParseMap | None = None,
    progress: Progress | None = None,
) -> list[RestorationResult]:
    """Restore the faces of ``prepared`` images, whose crops must have the same size, and return one result per image.

    Faces of several images are restored in common batches. ``parse_maps``, one for each face of all images in order, replaces
    parsing and disables the option ``guard``. ``progress`` counts as in ``restore_image``. Raises InputError if the number of
    parse maps differs from the number of faces, and PsfrError if the output of a network is not finite.
    """
    faces = [face for image in prepared for face in image.aligned]
    if not faces:
        return [_unchanged(image, models) for image in prepared]
    crops = torch.stack([face.crop for face in faces]).to(next(models.generator.parameters()).device)
    steps = 2 * len(crops)
    is_guarded = options.guard and parse_maps is None  # edited maps request a face that differs from the photo
    if parse_maps is None:
        parse_maps = parse_faces(
            crops, models.parse_net, options.batch_size, progress=offset_progress(progress, 0, steps)
        )
    else:
        parse_maps = ParseMap(parse_maps.labels.to(crops.device))
    restored = enhance_faces(
        crops,
        options.eyes.applied_to(parse_maps),
        models.generator,
        sides=[side for image in prepared for side in image.sides],
        batch_size=options.batch_size,
        progress=offset_progress(progress, len(crops), steps),
    )
    results: list[RestorationResult] = []
    start = 0
    for image in prepared:
        own = slice(start, start + len(image.aligned))
        start = own.stop
        results.append(
            _pasted(image, crops[own], parse_maps[own], restored[own], models, options, guard=is_guarded)
            if image.aligned
            else _unchanged(image, models)
        )
    return results


def _pasted(
    prepared: PreparedImage,
    crops: Tensor,
    parse_maps: ParseMap,
    restored: Tensor,
    models: RestorationModels,
    options: RestoreOptions,
    *,
    guard: bool,
) -> RestorationResult:
    """Match the colors of the ``restored`` faces (N, 3, S, S) of one image, paste the faces into this image, and add grain."""
    restored = match_colors(restored, crops, options.color_match)
    sizes = [models.generator.for_side(side).size for side in prepared.sides]
    masks = blend_masks(restored, crops, parse_maps, options, guard=guard, sizes=sizes)
    pasted = paste_faces(prepared.image, prepared.aligned, restored, masks)
    pasted = add_grain(prepared.image, pasted, prepared.aligned, options.paste.grain)
    return RestorationResult(pasted.image, pasted.mask, prepared.aligned, parse_maps, restored, prepared.left_out)


def _unchanged(prepared: PreparedImage, models: RestorationModels) -> RestorationResult:
    """Return the result for an image without faces."""
    mask = torch.zeros_like(prepared.image[:1], dtype=torch.float32)
    no_crops = mask.new_zeros(0, 3, models.crop_size, models.crop_size)
    return RestorationResult(prepared.image.clone(), mask, [], None, no_crops, prepared.left_out)


def blend_masks(
    restored: Tensor,
    crops: Tensor,
    parse_maps: ParseMap,
    options: RestoreOptions,
    *,
    guard: bool,
    sizes: Sequence[int] | None = None,
) -> Tensor:
    """Return the masks (N, 1, S, S) in [0, 1] for pasting ``restored`` (N, 3, S, S), the result for ``crops`` (N, 3, S, S).

    A mask is the product of the soft regions of the parse map, the strength, and the automatic strength if it is enabled. With
    ``guard``, the mask is reduced where ``restored``, with the colors already matched, contradicts the photo. ``sizes`` are the
    sides in pixels at which the faces were restored; None stands for S.
    """

    def masks(batch: slice) -> Tensor:
        own = restored[batch], crops[batch], None if sizes is None else sizes[batch]
        blended = options.strength * crop_masks(crops.shape[-1], options.paste, parse_maps[batch])
        if options.automatic_strength:
            blended = blended * automatic_strength(*own)[:, None, None, None]
        return blended * (1 - contradictions(*own)) if guard else blended

    return in_small_batches(masks, len(crops))
