"""Build the networks of other face restorers with the package spandrel."""

from __future__ import annotations

import textwrap
import warnings
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from ..errors import MissingPackageError
from ..optional_package import import_optional

_MAX_MESSAGE = 200  # maximum number of characters of spandrel's errors, which list hundreds of keys


def build_with_spandrel(architecture: str, state_dict: Mapping[str, Tensor]) -> nn.Module:
    """Build the network that spandrel calls ``architecture``, with sizes from ``state_dict``, on the current device.

    Raises MissingPackageError without the package, and RuntimeError if the tensors do not fit the network.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="`torch.jit.script` is deprecated")  # spandrel_extra_arches calls it
        # On the meta device, spandrel cannot load weights. The caller assigns them later.
        warnings.filterwarnings("ignore", message=".*meta parameter")
        found = _registry(architecture)[architecture].architecture
        try:
            return found.load(dict(state_dict)).model
        except Exception as error:  # invalid shapes can make spandrel raise errors of any type
            raise RuntimeError(textwrap.shorten(str(error), _MAX_MESSAGE, placeholder=" ...")) from error


def spandrel_name_of(state_dict: Mapping[str, Tensor]) -> str | None:
    """Return spandrel's name for the architecture of ``state_dict``, or None if spandrel does not recognize it or is missing."""
    try:
        registry = _registry()
    except MissingPackageError:
        return None
    known = (entry.architecture for entry in registry.architectures("detection"))
    return next((architecture.name for architecture in known if architecture.detect(dict(state_dict))), None)


def _registry(architecture: str = "") -> Any:
    if architecture == "CodeFormer":  # CodeFormer is in a separate package, because its license restricts the use
        return import_optional("spandrel_extra_arches", "CodeFormer", "spandrel_extra_arches").EXTRA_REGISTRY
    return import_optional("spandrel", architecture or "Another network", "spandrel").MAIN_REGISTRY
