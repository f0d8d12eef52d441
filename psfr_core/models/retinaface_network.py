"""Build facexlib's RetinaFace networks without downloads."""

from __future__ import annotations

import functools
import logging
import warnings
from collections.abc import Callable

import torch
from torch import nn

from ..errors import MissingPackageError
from ..optional_package import import_optional

logger = logging.getLogger(__name__)


@functools.cache  # called for every detector, but logs only once
def facexlib_works() -> bool:
    """Return whether facexlib can be imported. Log the reason if it cannot be imported."""
    try:
        _retinaface_class()
    except MissingPackageError as error:
        logger.warning("%s", error)
        return False
    return True


def build_retinaface(network_name: str) -> nn.Module:
    """Build facexlib's RetinaFace on the CPU with random weights. ``network_name`` is ``resnet50`` or ``mobile0.25``.

    The state of the random number generator does not change. Raises MissingPackageError if facexlib cannot be imported.
    """
    retinaface_class = _retinaface_class()
    cpu = torch.device("cpu")
    with cpu, torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        # facexlib passes an argument to its backbone that torchvision has deprecated.
        warnings.filterwarnings("ignore", message="(The parameter 'pretrained'|Arguments other than a weight enum)")
        return retinaface_class(network_name=network_name, device=cpu)


def _retinaface_class() -> Callable[..., nn.Module]:
    needed_by = "RetinaFace, unlike the bundled detector,"
    return import_optional("facexlib.detection.retinaface", needed_by, "facexlib").RetinaFace
