"""The folder that this pack is installed in."""

from __future__ import annotations

import logging
from pathlib import Path

logger = logging.getLogger(__name__)

_FORBIDDEN = {".": "a dot", "@": "an @", " ": "a space"}


def warn_about_folder_name(folder: Path) -> None:
    """Log a warning if ComfyUI cannot serve the help pages and scripts of a pack in a folder of this name.

    The frontend takes the name up to a dot or an @ for the address of the pages, and the server finds no files below a name
    with a space.
    """
    found = [words for character, words in _FORBIDDEN.items() if character in folder.name]
    if found:
        logger.warning(
            "The folder name %r contains %s. ComfyUI does not show the help pages of nodes in such a folder. "
            "Rename the folder, for example to %r, and restart ComfyUI.",
            folder.name,
            " and ".join(found),
            "psfrgan",
        )
