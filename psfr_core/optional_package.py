"""Packages that only a part of the library needs."""

from __future__ import annotations

import importlib
from types import ModuleType

from .errors import MissingPackageError


def import_optional(module: str, purpose: str, package: str) -> ModuleType:
    """The imported ``module``; MissingPackageError that names ``purpose`` and the pip ``package`` when that fails."""
    try:
        return importlib.import_module(module)
    except Exception as error:  # a package broken by another one fails in many ways, not only with ImportError
        raise MissingPackageError(
            f"{purpose} needs the package {package}, which cannot be imported ({type(error).__name__}: {error}). "
            f"Install or repair it: pip install {package}"
        ) from error
