"""Check the name of the folder in which this pack is installed."""

from __future__ import annotations

import logging
from pathlib import Path

logger = logging.getLogger(__name__)

_FORBIDDEN = {".": "a dot", "@": "an @", " ": "a space"}


def warn_about_folder_name(folder: Path) -> None:
    """Log a warning if ComfyUI cannot serve help pages and scripts from a folder of this name.

    The frontend cuts the name at a dot or an @ to get the address of the pages, and the server finds no files in a folder with
    a space in its name.
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
