"""The networks of other face restorers, built by the package spandrel."""

from __future__ import annotations

import textwrap
import warnings
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from ..errors import MissingPackageError
from ..optional_package import import_optional

_MAX_MESSAGE = 200  # characters of an error of spandrel, which lists hundreds of keys


def build_with_spandrel(architecture: str, state_dict: Mapping[str, Tensor]) -> nn.Module:
    """Build the network that spandrel calls ``architecture``, sized by the shapes in ``state_dict``, on the current device.

    Raises MissingPackageError without the package, and RuntimeError if the tensors are not those of the network.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="`torch.jit.script` is deprecated")  # used by spandrel_extra_arches
        # On the device meta, the caller assigns the weights.
        warnings.filterwarnings("ignore", message=".*meta parameter")
        found = _registry(architecture)[architecture].architecture
        try:
            return found.load(dict(state_dict)).model
        except Exception as error:  # spandrel computes with the shapes, which can be anything
            raise RuntimeError(textwrap.shorten(str(error), _MAX_MESSAGE, placeholder=" ...")) from error


def name_with_spandrel(state_dict: Mapping[str, Tensor]) -> str | None:
    """Return spandrel's name of the architecture of ``state_dict``; None if it has none or is not installed."""
    try:
        registry = _registry()
    except MissingPackageError:
        return None
    known = (entry.architecture for entry in registry.architectures("detection"))
    return next((architecture.name for architecture in known if architecture.detect(dict(state_dict))), None)


def _registry(architecture: str = "") -> Any:
    if architecture == "CodeFormer":  # its license restricts the use, so it is in a package of its own
        return import_optional("spandrel_extra_arches", "CodeFormer", "spandrel_extra_arches").EXTRA_REGISTRY
    return import_optional("spandrel", architecture or "Another network", "spandrel").MAIN_REGISTRY
