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
    """Writer of the curves and images of a run; it does nothing without a ``SummaryWriter``."""

    def __init__(self, writer: SummaryWriter | None) -> None:
        self._writer = writer

    def add_scalars(self, group: str, step: int, values: Mapping[str, float]) -> None:
        """Add one point to the curve of each named value."""
        if self._writer is not None:
            for name, value in values.items():
                self._writer.add_scalar(f"{group}/{name}", value, step)

    def add_image(self, step: int, image: Tensor | None) -> None:
        """Add a validation image (3, H, W), RGB in [0, 1]; do nothing for None."""
        if self._writer is not None and image is not None:
            self._writer.add_image("validation", image.float().clamp(0, 1).cpu(), step)
            self._writer.flush()


@contextmanager
def open_tensorboard(folder: Path, step: int) -> Generator[TensorBoardWriter]:
    """Open the TensorBoard log in ``folder`` of a run after ``step`` steps, and drop the entries of later steps."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        logger.info("TensorBoard is not installed (pip install tensorboard); see log.csv and validation.csv instead.")
        yield TensorBoardWriter(None)
        return
    with SummaryWriter(folder / FOLDER, purge_step=step + 1) as writer:
        yield TensorBoardWriter(writer)
