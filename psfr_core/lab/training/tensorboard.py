"""Write curves and images for TensorBoard if it is installed."""

from __future__ import annotations

import logging
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

logger = logging.getLogger(__name__)
FOLDER = "tensorboard"


class TensorBoardWriter:
    """Writer for the curves and images of a run. It does nothing without a ``SummaryWriter``."""

    def __init__(self, writer: SummaryWriter | None) -> None:
        self._writer = writer

    def add_scalars(self, group: str, step: int, values: Mapping[str, float]) -> None:
        """Add the value at ``step`` to each curve in ``values``."""
        if self._writer is not None:
            for name, value in values.items():
                self._writer.add_scalar(f"{group}/{name}", value, step)

    def add_image(self, step: int, image: Tensor | None) -> None:
        """Add a validation image (3, H, W), RGB in [0, 1]. Do nothing if ``image`` is None."""
        if self._writer is not None and image is not None:
            self._writer.add_image("validation", image.float().clamp(0, 1).cpu(), step)
            self._writer.flush()


@contextmanager
def open_tensorboard(folder: Path, step: int) -> Generator[TensorBoardWriter]:
    """Open the TensorBoard log in ``folder``, and remove entries of steps after ``step``.

    If TensorBoard is not installed, yield a writer that does nothing.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        logger.info("TensorBoard is not installed (pip install tensorboard); see log.csv and validation.csv instead.")
        yield TensorBoardWriter(None)
        return
    with SummaryWriter(folder / FOLDER, purge_step=step + 1) as writer:
        yield TensorBoardWriter(writer)
