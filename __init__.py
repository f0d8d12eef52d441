"""PSFR-GAN for ComfyUI. The library is ``psfr_core``; this file makes the folder a ComfyUI node pack."""

from importlib.util import find_spec

WEB_DIRECTORY = "./web"

if find_spec("comfy_api"):  # pytest imports this file too, where there is no ComfyUI
    from .nodes import comfy_entrypoint

    __all__ = ["WEB_DIRECTORY", "comfy_entrypoint"]
