"""Select and order detected faces."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from torch import Tensor

from ..checks import check_real, check_shape, check_type
from ..errors import InputError, OptionError
from ..images.box import PixelBox, Size
from ..images.resize import interpolate
from ..options import check_options, option
from .face import Face, check_faces

HIGHEST_INDEX = 9999
ALL_INDICES = "all"
NO_INDEX = "none"

_INDEX_RANGE = re.compile(r"(-?[0-9]+)(?:\s*(-)\s*([0-9]+)?)?")  # 1, 1-3, or 1- for 1 and all later indices


class FaceOrder(str, Enum):
    """Order of faces. Left, right, top and bottom refer to the centers of the boxes."""

    AREA = "area"  # largest box first
    SMALL_FIRST = "small-first"
    LEFT_RIGHT = "left-right"
    RIGHT_LEFT = "right-left"
    TOP_BOTTOM = "top-bottom"
    BOTTOM_TOP = "bottom-top"
    SCORE = "score"  # highest score first


class FaceSelection(str, Enum):
    """Selection of all faces, the largest face, or the face closest to the image center."""

    ALL = "all"
    LARGEST = "largest"
    CENTER = "center"


@dataclass(frozen=True)
class SelectionOptions:
    """Criteria for the selection of faces.

    The minimum and maximum size are applied first. Then, ``order``, ``indices``, ``selection`` and ``max_faces`` are applied one
    after the other to the remaining faces.
    """

    min_size: float = option(0.0, "minimum shorter side of the box in pixels", low=0)
    order: FaceOrder = option(FaceOrder.AREA, "order in which faces are numbered; area: largest first")
    indices: tuple[int, ...] | None = option(
        None,
        "indices in the chosen order, from 0; -1 is the last face; indices beyond the last face select none",
        low=-HIGHEST_INDEX,
        high=HIGHEST_INDEX,
    )
    selection: FaceSelection = option(FaceSelection.ALL, "all faces, the largest, or the one closest to the center")
    max_faces: int | None = option(None, "maximum number of faces, in the chosen order", low=1, high=HIGHEST_INDEX)
    max_size: float | None = option(
        None, "maximum shorter side of the box in pixels; larger faces are left out; none: no limit", low=1
    )

    def __post_init__(self) -> None:
        check_options(self)
        if self.max_size is not None and self.max_size < self.min_size:
            raise OptionError(
                f"max_size {self.max_size:g} is below min_size {self.min_size:g}, so no face would be selected. "
                "Raise max_size or lower min_size."
            )


class LeftOut(str, Enum):
    """Reasons why a face is not selected."""

    TOO_SMALL = "too small"
    TOO_LARGE = "too large"
    OUTSIDE_MASK = "outside the mask"
    NOT_CHOSEN = "not chosen"  # excluded by indices, selection or max_faces


@dataclass(frozen=True)
class Selection:
    """Selected faces of one image in the chosen order, and the number of excluded faces for each reason that occurs."""

    faces: list[Face]
    left_out: Mapping[LeftOut, int]


def select_faces(
    faces: Sequence[Face], image_size: Size, options: SelectionOptions, mask: Tensor | None = None
) -> list[Face]:
    """Return the faces that ``explain_selection`` selects, in the chosen order."""
    return explain_selection(faces, image_size, options, mask).faces


def explain_selection(
    faces: Sequence[Face], image_size: Size, options: SelectionOptions, mask: Tensor | None = None
) -> Selection:
    """Select faces of one image, and count the faces that are left out. The order of ``faces`` has no effect.

    With ``mask`` (H, W), only the part of a face's box inside the image counts: the face is kept if the mask exceeds 0.5 at the
    center or in at least half of this part. A mask of another size and the same aspect ratio is resized. Faces that are equal in
    the chosen order are sorted by descending score, then by top and left. The result may be empty. Raises InputError for faces
    that ``check_faces`` rejects, and for masks of another shape, dtype or aspect ratio.
    """
    check_faces(faces)
    check_type(image_size, Size, "image_size")
    check_type(options, SelectionOptions, "options")
    large_enough = [face for face in faces if face.box.shorter_side >= options.min_size]
    fitting = [face for face in large_enough if options.max_size is None or face.box.shorter_side <= options.max_size]
    inside = fitting if mask is None else _painted(fitting, mask, image_size)
    chosen = _chosen(inside, image_size, options)
    left_out = {
        LeftOut.TOO_SMALL: len(faces) - len(large_enough),
        LeftOut.TOO_LARGE: len(large_enough) - len(fitting),
        LeftOut.OUTSIDE_MASK: len(fitting) - len(inside),
        LeftOut.NOT_CHOSEN: len(inside) - len(chosen),
    }
    return Selection(chosen, {reason: count for reason, count in left_out.items() if count})


def _chosen(faces: Sequence[Face], image_size: Size, options: SelectionOptions) -> list[Face]:
    kept = sorted(faces, key=lambda face: (_sort_key(face, options.order), *_canonical(face)))
    if options.indices is not None:
        wanted = positions(options.indices, len(kept))
        kept = [face for position, face in enumerate(kept) if position in wanted]
    if options.selection == FaceSelection.LARGEST:
        kept = sorted(kept, key=lambda face: -face.box.area)[:1]
    elif options.selection == FaceSelection.CENTER:
        kept = sorted(kept, key=lambda face: _distance_to_center(face, image_size))[:1]
    return kept[: options.max_faces]


def positions(indices: Iterable[int], count: int) -> set[int]:
    """Return ``indices`` as positions in ``count`` items, where negative indices count from the end.

    The result may contain positions outside the items.
    """
    return {index if index >= 0 else count + index for index in indices}


def parse_indices(text: str) -> tuple[int, ...] | None:
    """Return the sorted indices in a text such as ``0, 2, 4-6``, which stands for 0, 2, 4, 5 and 6.

    ``1-`` stands for 1 and all later indices, ``-1`` for the last face, and ``-2-`` for the last two. An empty text and ``all``
    return None, which selects all faces, and ``none`` returns an empty tuple. Raises OptionError for any other text.
    """
    if text.strip().lower() in ("", ALL_INDICES):
        return None
    if text.strip().lower() == NO_INDEX:
        return ()
    return tuple(sorted({index for part in text.split(",") for index in _parse_part(part, text)}))


def _parse_part(part: str, text: str) -> range:
    match = _INDEX_RANGE.fullmatch(part.strip())
    if match is None:
        raise OptionError(
            f"'{_shortened(text)}' does not name faces: '{_shortened(part)}' is not a number or range. Write '0,2,4-6', "
            f"'1-' for 1 and all later faces, '-1' for the last face, '{ALL_INDICES}' or '{NO_INDEX}'."
        )
    first, dash, last = match.groups()
    low = high = _index(first)
    if dash:
        high = _index(last) if last else (HIGHEST_INDEX if low >= 0 else -1)
    for index, word in ((low, first), (high, last)):
        if abs(index) > HIGHEST_INDEX:
            raise OptionError(
                f"'{_shortened(text)}' does not name faces: {_shortened(word)} is above the highest index {HIGHEST_INDEX}."
            )
    if low < 0 <= high:
        raise OptionError(
            f"'{_shortened(text)}' does not name faces: '{_shortened(part)}' counts from the end and from the start. Write "
            f"'{low}-' for the last {-low}."
        )
    if low > high:
        raise OptionError(f"'{_shortened(text)}' does not name faces: the range '{_shortened(part)}' runs backwards.")
    return range(low, high + 1)


def _index(word: str) -> int:
    """Return the number in ``word``. Only the first five digits are parsed, because Python rejects more than 4,300 digits."""
    digits = int(word.lstrip("-0")[: len(str(HIGHEST_INDEX)) + 1] or 0)
    return -digits if word.startswith("-") else digits


def _shortened(text: str) -> str:
    return text.strip() if len(text) <= 60 else f"{text.strip()[:60]}..."


def _sort_key(face: Face, order: FaceOrder) -> float:
    x, y = face.box.center
    return {
        FaceOrder.AREA: -face.box.area,
        FaceOrder.SMALL_FIRST: face.box.area,
        FaceOrder.LEFT_RIGHT: x,
        FaceOrder.RIGHT_LEFT: -x,
        FaceOrder.TOP_BOTTOM: y,
        FaceOrder.BOTTOM_TOP: -y,
        FaceOrder.SCORE: -face.score,
    }[order]


def _canonical(face: Face) -> tuple[float, float, float]:
    return -face.score, face.box.top, face.box.left


def _painted(faces: Sequence[Face], mask: Tensor, image_size: Size) -> list[Face]:
    is_painted = _at_size(mask, image_size) > 0.5
    visible = [(face, face.box.to_pixels(image_size)) for face in faces]
    return [face for face, box in visible if not box.is_empty and _is_mostly_painted(box, is_painted)]


def _is_mostly_painted(box: PixelBox, is_painted: Tensor) -> bool:
    x, y = (box.left + box.right) // 2, (box.top + box.bottom) // 2
    return bool(is_painted[y, x]) or float(box.cut(is_painted).float().mean()) >= 0.5


def _at_size(mask: Tensor, image_size: Size) -> Tensor:
    check_shape(mask, "H W", "mask")
    check_real(mask, "mask")
    size = Size.of(mask)
    if size == image_size:
        return mask
    if not size.has_aspect_of(image_size):
        raise InputError(
            f"The mask must show the whole image of {image_size.width} x {image_size.height} pixels, but its proportions "
            f"are {size.width} x {size.height}. Give a mask with the size or the aspect ratio of the image."
        )
    return interpolate(mask[None, None].float(), image_size, "bilinear")[0, 0]


def _distance_to_center(face: Face, image_size: Size) -> float:
    x, y = face.box.center
    return math.hypot(x - image_size.width / 2, y - image_size.height / 2)
