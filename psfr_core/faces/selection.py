"""Selection and order of detected faces."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from torch import Tensor

from ..checks import check_real, check_shape, check_type
from ..errors import InputError, OptionError
from ..images.box import Size
from ..options import check_options, option
from .face import Face, check_faces

HIGHEST_INDEX = 9999
NO_INDEX = "none"


class FaceOrder(str, Enum):
    """Order of faces; left, right, top and bottom refer to the centers of the boxes."""

    AREA = "area"  # largest box first
    SMALL_FIRST = "small-first"
    LEFT_RIGHT = "left-right"
    RIGHT_LEFT = "right-left"
    TOP_BOTTOM = "top-bottom"
    BOTTOM_TOP = "bottom-top"
    SCORE = "score"  # highest score first


class FaceSelection(str, Enum):
    """Number of selected faces: all, the largest, or the one closest to the image center."""

    ALL = "all"
    LARGEST = "largest"
    CENTER = "center"


@dataclass(frozen=True)
class SelectionOptions:
    """Selection of faces: by size, and then by the other fields in order, each applied to the faces that the previous one kept."""

    min_size: float = option(0.0, "minimum shorter side of the box in pixels", low=0)
    order: FaceOrder = option(FaceOrder.AREA, "order of faces; area: largest first")
    indices: tuple[int, ...] | None = option(
        None, "indices in that order, from 0; indices beyond the last face select none", low=0, high=HIGHEST_INDEX
    )
    selection: FaceSelection = option(FaceSelection.ALL, "all faces, the largest, or the one closest to the center")
    max_faces: int | None = option(None, "maximum number of faces, in that order", low=1, high=HIGHEST_INDEX)
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


def select_faces(
    faces: Sequence[Face], image_size: Size, options: SelectionOptions, mask: Tensor | None = None
) -> list[Face]:
    """Return the selected faces of one image in the chosen order; the order of ``faces`` does not matter.

    With ``mask`` (H, W) a face is kept if the mask is above 0.5 in at least half of its box, as far as that lies in the
    image.
    Equal faces in the chosen order follow each other from the highest score, then from the top, then from the left.
    No face left is a normal result: an empty list. Raises InputError for faces whose numbers are not finite.
    """
    check_faces(faces)
    check_type(image_size, Size, "image_size")
    check_type(options, SelectionOptions, "options")
    largest = math.inf if options.max_size is None else options.max_size
    kept = [face for face in faces if options.min_size <= face.box.shorter_side <= largest]
    if mask is not None:
        kept = _inside(kept, mask, image_size)
    kept = sorted(kept, key=lambda face: (_sort_key(face, options.order), *_canonical(face)))
    if options.indices is not None:
        kept = [face for position, face in enumerate(kept) if position in options.indices]
    if options.selection == FaceSelection.LARGEST:
        kept = sorted(kept, key=lambda face: -face.box.area)[:1]
    elif options.selection == FaceSelection.CENTER:
        kept = sorted(kept, key=lambda face: _distance_to_center(face, image_size))[:1]
    return kept[: options.max_faces]


def parse_indices(text: str) -> tuple[int, ...] | None:
    """Return the indices in a text like ``0, 2, 4-6`` (0, 2, 4, 5, 6), sorted, without duplicates.

    An empty text gives None, for all faces, and ``none`` gives no index. Raises OptionError for anything else.
    """
    if not text.strip():
        return None
    if text.strip().lower() == NO_INDEX:
        return ()
    return tuple(sorted({index for part in text.split(",") for index in _parse_part(part, text)}))


def _parse_part(part: str, text: str) -> range:
    first, dash, last = (word.strip() for word in part.partition("-"))
    last = last if dash else first
    if not (_is_number(first) and _is_number(last)):
        raise OptionError(
            f"'{_shortened(text)}' does not name faces: '{_shortened(part)}' is not a number or range. Write '0,2,4-6'."
        )
    low, high = _index(first), _index(last)
    if low > high:
        raise OptionError(f"'{_shortened(text)}' does not name faces: the range '{_shortened(part)}' runs backwards.")
    if high > HIGHEST_INDEX:
        raise OptionError(
            f"'{_shortened(text)}' does not name faces: {_shortened(last)} is above the highest index {HIGHEST_INDEX}."
        )
    return range(low, high + 1)


def _is_number(word: str) -> bool:
    return word.isascii() and word.isdigit()


def _index(word: str) -> int:
    """Return the number in ``word``; a number that is too large is cut to its first digits, as Python reads at most 4,300."""
    return int(word.lstrip("0")[: len(str(HIGHEST_INDEX)) + 1] or 0)


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


def _inside(faces: Sequence[Face], mask: Tensor, image_size: Size) -> list[Face]:
    check_shape(mask, "H W", "mask")
    check_real(mask, "mask")
    if Size.of(mask) != image_size:
        raise InputError(
            f"The mask must have the size of the image, {image_size.width} x {image_size.height} pixels, "
            f"got {mask.shape[1]} x {mask.shape[0]}. Resize it first."
        )
    pixels = [(face, face.box.to_pixels(image_size)) for face in faces]
    is_wanted = mask > 0.5
    return [face for face, box in pixels if not box.is_empty and float(box.cut(is_wanted).float().mean()) >= 0.5]


def _distance_to_center(face: Face, image_size: Size) -> float:
    x, y = face.box.center
    return math.hypot(x - image_size.width / 2, y - image_size.height / 2)
