"""Collect notes on the results of nodes. web/js/notes.js shows the notes on the node, in the user's language."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from enum import Enum
from typing import Any

from ..psfr_core.faces.selection import LeftOut, Selection, SelectionOptions

logger = logging.getLogger(__name__)

OUTPUT = "psfr_notes"  # key of the notes in a node's UI output
_LISTED = 10  # maximum number of images that a note lists
_collected: ContextVar[list[dict[str, Any]] | None] = ContextVar("_collected", default=None)


class Note(Enum):
    """Texts of the notes in English. web/js/lib/note_texts.js contains their translations under the same names."""

    FOUND = "Faces found: {count}."
    RESTORED = "Faces restored: {count}."
    SELECTED = "Faces selected: {count}."
    NO_FACE = "No face found. Try a lower confidence."
    NO_FACE_IN = "No face found in images {images} of {count}. Try a lower confidence."
    TOO_SMALL = "Faces left out, smaller than {size} px: {count}."
    TOO_LARGE = "Faces left out, larger than {size} px: {count}."
    OUTSIDE_MASK = "Faces left out, outside the mask: {count}."
    NOT_SELECTED = "Faces left out by the selection: {count}."
    UNPAINTED_MASK = "The mask is unpainted (0 everywhere), so it does not restrict the search for faces."
    NOTHING_PAINTED = "No part of the mask exceeds 0.5, so no faces are searched for."
    EMPTY_BOXES = "Boxes without a face: {count}. Places (image: x, y, size): {places}. Try a lower confidence."
    EMPTY_AREAS = "Painted areas without a face: {count}. Places (image: x, y, size): {places}. Try a lower confidence."
    FOLLOWED = "Faces followed and restored: {count}, in {frames} frames."
    TRACKED = "Faces followed: {count}, in {frames} frames."
    DAMAGED = "The video has {damage}; the rest was restored."
    PREVIEW_LIMIT = "The preview shows the first {shown} of {count} images."


@dataclass(frozen=True)
class ImageFaces:
    """The number of used faces of one image, and the numbers of faces left out, by reason."""

    used: int
    left_out: Mapping[LeftOut, int]


_LEFT_OUT = {
    LeftOut.TOO_SMALL: Note.TOO_SMALL,
    LeftOut.TOO_LARGE: Note.TOO_LARGE,
    LeftOut.OUTSIDE_MASK: Note.OUTSIDE_MASK,
    LeftOut.NOT_CHOSEN: Note.NOT_SELECTED,
}


def add_note(note: Note, **values: int | str) -> None:
    """Log ``note`` with ``values`` for its placeholders, and add it to the notes of the running node, if there is one."""
    text = note.value.format(**values)
    logger.info(text)
    collected = _collected.get()
    if collected is not None:
        collected.append({"name": note.name, "values": values, "text": text})


def notes_text() -> str:
    """Return the English text of the notes that the running node has added so far, one per line."""
    return "\n".join(note["text"] for note in _collected.get() or [])


def add_selection_notes(note: Note, selections: Sequence[Selection], options: SelectionOptions) -> None:
    """Add ``note`` with the number of selected faces, and the other notes that ``add_face_notes`` adds."""
    add_face_notes(note, [ImageFaces(len(selection.faces), selection.left_out) for selection in selections], options)


def add_face_notes(note: Note, images: Sequence[ImageFaces], options: SelectionOptions) -> None:
    """Add ``note`` with the number of used faces unless it is 0, and notes on images without a face and on omitted faces.

    ``options`` contains the minimum and maximum size, which the notes on omitted faces name.
    """
    if used := sum(image.used for image in images):
        add_note(note, count=used)
    without = [number for number, image in enumerate(images, start=1) if not image.used and not image.left_out]
    if len(without) == len(images):
        add_note(Note.NO_FACE)
    elif without:
        numbers = ", ".join(map(str, without[:_LISTED])) + (" ..." if len(without) > _LISTED else "")
        add_note(Note.NO_FACE_IN, images=numbers, count=len(images))
    add_left_out_notes(sum((Counter(image.left_out) for image in images), Counter[LeftOut]()), options)


def add_left_out_notes(left_out: Mapping[LeftOut, int], options: SelectionOptions) -> None:
    """Add a note for each reason why faces were left out. ``options`` contains the sizes that the notes name."""
    sizes = {LeftOut.TOO_SMALL: options.min_size, LeftOut.TOO_LARGE: options.max_size}
    for reason, count in left_out.items():
        add_note(_LEFT_OUT[reason], count=count, **({"size": f"{sizes[reason]:g}"} if reason in sizes else {}))


@contextmanager
def collected_notes() -> Generator[list[dict[str, Any]]]:
    """Yield a list that collects the notes added inside the block."""
    notes: list[dict[str, Any]] = []
    token = _collected.set(notes)
    try:
        yield notes
    finally:
        _collected.reset(token)
