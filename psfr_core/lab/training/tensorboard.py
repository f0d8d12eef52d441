"""Curves and pictures for TensorBoard; without the package, nothing."""

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
    """What a run shows in TensorBoard."""

    def __init__(self, writer: SummaryWriter | None) -> None:
        self._writer = writer

    def curves(self, group: str, step: int, values: Mapping[str, float]) -> None:
        """One point of each named curve."""
        if self._writer is not None:
            for name, value in values.items():
                self._writer.add_scalar(f"{group}/{name}", value, step)

    def picture(self, step: int, picture: Tensor | None) -> None:
        """A picture (3, H, W), RGB in [0, 1]."""
        if self._writer is not None and picture is not None:
            self._writer.add_image("validation", picture.float().clamp(0, 1).cpu(), step)
            self._writer.flush()


@contextmanager
def open_tensorboard(folder: Path, step: int) -> Generator[TensorBoardWriter]:
    """The board in ``folder`` of a run that has done ``step`` steps; what an interrupted run showed of later ones is dropped."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        logger.info("No curves for TensorBoard (pip install tensorboard); log.csv and validation.csv have the figures.")
        yield TensorBoardWriter(None)
        return
    with SummaryWriter(folder / FOLDER, purge_step=step + 1) as writer:
        yield TensorBoardWriter(writer)
