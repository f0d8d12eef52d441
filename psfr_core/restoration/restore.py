"""Restore the faces of an image: detect, select, align, parse, restore, and paste back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ..checks import check_finite, check_type
from ..errors import InputError, NoFaceError
from ..faces.align import AlignedFace, align_faces, crop_side
from ..faces.face import Face, check_faces
from ..faces.selection import LeftOut, Selection, explain_selection
from ..images.box import Size
from ..images.channels import clamped, to_rgb
from ..parsing.parse_map import ParseMap
from ..parsing.parser import parse_faces
from ..progress import Progress, hold_progress, offset_progress
from .automatic_strength import automatic_strength
from .color_match import match_colors
from .consistency import contradictions
from .enhance import enhance_faces
from .grain import add_grain
from .masks import crop_masks
from .paste import paste_faces
from .restoration_models import RestorationModels
from .restore_options import NoFace, RestoreOptions
from .second_opinion import with_second_opinion


@dataclass(frozen=True, eq=False)  # comparing tensors does not yield a single bool
class RestorationResult:
    """The restored image and its intermediate results; faces, maps and restored crops are in the same order."""

    image: Tensor  # with the shape and dtype of the input image
    mask: Tensor  # (1, H, W) float32: blend weight of each pixel, 0 to 1
    aligned: list[AlignedFace]
    parse_maps: ParseMap | None  # (N, S, S), as parsed or given, before the option eyes; None without faces
    restored: Tensor  # (N, 3, S, S) in [0, 1], after the color match
    left_out: Mapping[LeftOut, int] = field(default_factory=dict)  # number of omitted faces by reason

    @property
    def faces(self) -> list[Face]:
        """Restored faces."""
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
    """Restore the faces in ``image`` (C, H, W), RGB in [0, 1], of any float dtype with C from 1 to 4; the dtype is kept.

    With ``mask`` (H, W), only the faces in it are restored. ``faces`` replaces detection and selection, and ``parse_maps``, one
    for each face, replaces parsing. To edit a result, pass its faces and its edited maps; the option ``guard`` then has no
    effect. Pixels where the result's mask is 0 stay bit-identical. An image without faces is returned unchanged, unless the
    options request a NoFaceError. ``progress`` is called with 0 during detection, and then counts each face twice, after
    parsing and after restoration; it may raise to stop.
    Raises InputError for an invalid image, including colors that are not finite.
    """
    options = RestoreOptions() if options is None else options
    check_type(models, RestorationModels, "models")
    check_type(options, RestoreOptions, "options")
    _check_given(mask, faces, parse_maps)
    colors = _finite_colors(image)
    selection = _selected(colors, models, options, mask, progress) if faces is None else Selection([*faces], {})
    if not selection.faces:
        return _unchanged(image, models, options, selection.left_out)
    sides = [crop_side(face) for face in selection.faces]
    aligned = align_faces(colors, selection.faces, models.crop_size_for(sides))
    crops = torch.stack([face.crop for face in aligned]).to(next(models.generator.parameters()).device)
    steps = 2 * len(crops)
    is_guarded = options.guard and parse_maps is None  # edited maps request a face that differs from the photo
    if parse_maps is None:
        parse_maps = parse_faces(
            crops, models.parse_net, options.batch_size, progress=offset_progress(progress, 0, steps)
        )
    restored = enhance_faces(
        crops,
        options.eyes.applied_to(parse_maps),
        models.generator,
        sides=sides,
        batch_size=options.batch_size,
        progress=offset_progress(progress, len(crops), steps),
    )
    restored = match_colors(restored, crops, options.color_match)
    sizes = [models.generator.for_side(side).size for side in sides]
    masks = blend_masks(restored, crops, parse_maps, options, guard=is_guarded, sizes=sizes)
    pasted = add_grain(image, paste_faces(image, aligned, restored, masks), aligned, options.paste.grain)
    return RestorationResult(pasted.image, pasted.mask, aligned, parse_maps, restored, selection.left_out)


def blend_masks(
    restored: Tensor,
    crops: Tensor,
    parse_maps: ParseMap,
    options: RestoreOptions,
    *,
    guard: bool,
    sizes: Sequence[int] | None = None,
) -> Tensor:
    """Return the masks (N, 1, S, S) in [0, 1] that paste ``restored`` (N, 3, S, S), made from ``crops`` (N, 3, S, S).

    They combine the soft regions of the parse maps, the strength, the automatic strength of each face if the options ask for it,
    and with ``guard`` the places where the photo should stay. ``sizes`` are the sides at which the faces were restored; None is S.
    """
    masks = options.strength * crop_masks(crops.shape[-1], options.paste, parse_maps)
    if options.automatic_strength:
        masks = masks * automatic_strength(restored, crops, sizes)[:, None, None, None]
    return masks * (1 - contradictions(restored, crops)) if guard else masks


def _finite_colors(image: Tensor) -> Tensor:
    colors = to_rgb(image)
    check_finite(colors, "image")
    return clamped(colors)


def _check_given(mask: Tensor | None, faces: Sequence[Face] | None, parse_maps: ParseMap | None) -> None:
    check_type(parse_maps, ParseMap | None, "parse_maps")
    if faces is not None:
        check_faces(faces)
    if faces is None and parse_maps is not None:
        raise InputError("parse_maps belong to faces: give the faces that they were made for as well.")
    if faces is not None and mask is not None:
        raise InputError("mask chooses among detected faces: leave it out when faces are given.")


def _unchanged(
    image: Tensor, models: RestorationModels, options: RestoreOptions, left_out: Mapping[LeftOut, int]
) -> RestorationResult:
    """Return the result for an image without faces; raise NoFaceError if the options request it."""
    if options.no_face is NoFace.ERROR:
        raise NoFaceError(_no_face(image))
    mask = torch.zeros_like(image[:1], dtype=torch.float32)
    no_crops = mask.new_zeros(0, 3, models.crop_size, models.crop_size)
    return RestorationResult(image.clone(), mask, [], None, no_crops, left_out)


def _selected(
    colors: Tensor,
    models: RestorationModels,
    options: RestoreOptions,
    mask: Tensor | None,
    progress: Progress | None,
) -> Selection:
    """Detect faces in ``colors`` (3, H, W), and select those that the options and the mask (H, W) choose."""
    detector = with_second_opinion(models.detector, models.parse_net)
    given = [] if options.detection is None else [options.detection]  # custom detectors may not accept options
    found = detector.detect(colors[None], *given, progress=hold_progress(progress))
    if len(found) != 1:
        raise InputError(
            f"The detector must return one list of faces per image, an empty one where there is none: it returned "
            f"{len(found)} for 1 image."
        )
    selection = explain_selection(found[0], Size.of(colors), options.selection, mask)
    check_faces(selection.faces)
    return selection


def _no_face(image: Tensor) -> str:
    size = Size.of(image)
    return (
        f"No face that fits the options was found in the image of {size.width} x {size.height} pixels. Lower the minimum score "
        "or size, select other faces, or let images without a face pass."
    )
