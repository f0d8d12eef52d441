"""Prepare an image for restoration: detect, select and align its faces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from ..checks import check_finite, check_type
from ..errors import InputError, NoFaceError
from ..faces.align import AlignedFace, align_faces, crop_side
from ..faces.face import Face, check_faces
from ..faces.selection import LeftOut, Selection, explain_selection
from ..images.box import Size
from ..images.channels import clamped, to_rgb
from ..progress import Progress, hold_progress
from .restoration_models import RestorationModels
from .restore_options import NoFace, RestoreOptions
from .second_opinion import with_second_opinion


@dataclass(frozen=True, eq=False)  # comparing tensors does not yield a single bool
class PreparedImage:
    """An image with the aligned faces that will be restored."""

    image: Tensor  # (C, H, W), the unchanged input
    aligned: list[AlignedFace]
    sides: list[float]  # side of each crop in pixels of the image
    left_out: Mapping[LeftOut, int]  # number of omitted faces by reason; empty if faces were given


def prepare_image(
    image: Tensor,
    models: RestorationModels,
    options: RestoreOptions,
    *,
    mask: Tensor | None = None,
    faces: Sequence[Face] | None = None,
    progress: Progress | None = None,
) -> PreparedImage:
    """Detect, select and align the faces in ``image``. The arguments are those of ``restore_image``.

    The crops have the size of the largest generator that any of the faces needs. ``progress`` is called only with 0. Raises
    InputError for an invalid image, for a mask that does not fit, for faces that cannot be aligned, and for ``mask`` with
    ``faces``. Raises NoFaceError for an image without faces if the options request it.
    """
    check_type(models, RestorationModels, "models")
    check_type(options, RestoreOptions, "options")
    if faces is not None:
        check_faces(faces)
        if mask is not None:
            raise InputError("mask selects among detected faces. Omit it if faces are given.")
    colors = to_rgb(image)
    check_finite(colors, "image")
    colors = clamped(colors)
    selection = _selected(colors, models, options, mask, progress) if faces is None else Selection([*faces], {})
    if not selection.faces and options.no_face is NoFace.ERROR:
        raise NoFaceError(_no_face(Size.of(image)))
    sides = [crop_side(face) for face in selection.faces]
    aligned = align_faces(colors, selection.faces, models.crop_size_for(sides))
    return PreparedImage(image, aligned, sides, selection.left_out)


def _selected(
    colors: Tensor,
    models: RestorationModels,
    options: RestoreOptions,
    mask: Tensor | None,
    progress: Progress | None,
) -> Selection:
    """Detect faces in ``colors`` (3, H, W), and select among them by the options and the mask (H, W)."""
    detector = with_second_opinion(models.detector, models.parse_net)
    given = [] if options.detection is None else [options.detection]  # custom detectors may not accept options
    found = detector.detect(colors[None], *given, progress=hold_progress(progress))
    if len(found) != 1:
        raise InputError(
            f"The detector must return one list of faces per image, which may be empty, but it returned {len(found)} "
            "for 1 image."
        )
    selection = explain_selection(found[0], Size.of(colors), options.selection, mask)
    check_faces(selection.faces)
    return selection


def _no_face(size: Size) -> str:
    return (
        f"No face that fits the options was found in the image of {size.width} x {size.height} pixels. Lower the minimum score "
        "or size, select other faces, or keep images without a face unchanged."
    )
