"""PSFR-GAN face restoration: detect, align, parse and restore faces, and paste them back.

    models = psfr_core.load_models()
    result = psfr_core.restore_image(image, models)  # image (C, H, W), float, RGB in [0, 1]

Importing the package uses neither the network nor a device. PyTorch is imported on the first use of a public name.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .api import *  # noqa: F403
    from .api import __all__ as __all__

__version__ = "0.4.0"


def __getattr__(name: str) -> object:
    """Import a public name or a subpackage on first use, because importing PyTorch takes about a second."""
    if not name.startswith("_") or name == "__all__":
        api = import_module(".api", __name__)
        if hasattr(api, name):
            return getattr(api, name)
    try:
        return import_module(f".{name}", __name__)
    except ModuleNotFoundError as error:
        if error.name != f"{__name__}.{name}":
            raise
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
