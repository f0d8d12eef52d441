"""Import optional packages."""

from __future__ import annotations

import importlib
from types import ModuleType

from .errors import MissingPackageError


def import_optional(module: str, purpose: str, package: str) -> ModuleType:
    """Import and return ``module``. If this fails, raise a MissingPackageError that names ``purpose`` and the pip ``package``."""
    try:
        return importlib.import_module(module)
    except Exception as error:  # a broken package can raise any error, not only ImportError
        raise MissingPackageError(
            f"{purpose} needs the package {package}, which cannot be imported ({type(error).__name__}: {error}). "
            f"Install or repair it: pip install {package}"
        ) from error
