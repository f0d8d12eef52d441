"""facexlib's RetinaFace networks, built without any download."""

from __future__ import annotations

import warnings

import torch
from torch import nn

from ..errors import MissingPackageError


def build_retinaface(network_name: str) -> nn.Module:
    """facexlib's RetinaFace on the CPU with random weights; ``network_name`` is ``resnet50`` or ``mobile0.25``.

    The caller's random numbers are left as they were. Raises MissingPackageError without facexlib.
    """
    try:
        from facexlib.detection.retinaface import RetinaFace
    except ImportError as error:
        raise MissingPackageError(
            "RetinaFace needs the package facexlib, which is not installed: pip install facexlib. "
            "The bundled detector (facenet) works without it."
        ) from error
    cpu = torch.device("cpu")
    with cpu, torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        # facexlib builds its backbone with an argument that torchvision calls outdated
        warnings.filterwarnings("ignore", message="(The parameter 'pretrained'|Arguments other than a weight enum)")
        return RetinaFace(network_name=network_name, device=cpu)
