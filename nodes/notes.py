"""What a node tells the user about its result, other than errors."""

from __future__ import annotations

import logging

logger = logging.getLogger(__name__)


def tell(note: str) -> None:
    """Log a ``note``, a sentence about the result; ComfyUI shows it in its console."""
    logger.warning(note)
