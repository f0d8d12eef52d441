"""The node that loads bundled example images."""

from __future__ import annotations

from pathlib import Path

from comfy_api.latest import io

from ..psfr_core.errors import ImageFileError
from ..psfr_core.images.channels import to_rgb
from ..psfr_core.images.io import read_image
from .images import to_image
from .previews import preview
from .schema import CATEGORY, shows_preview

_FOLDER = Path(__file__).parent.parent / "examples" / "images"
_FALLBACK_NAME = "portrait.jpg"


class PSFR_LoadExampleImage(io.ComfyNode):
    """Load a bundled example image."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        names = _names() or [_FALLBACK_NAME]  # an error here would prevent the whole pack from loading
        return io.Schema(
            node_id="PSFR_LoadExampleImage",
            display_name="Load Example Image (PSFR-GAN)",
            category=CATEGORY,
            description="Loads an example image of this pack, so that the example workflows run immediately. "
            "For your own images, use Load Image.",
            inputs=[
                io.Combo.Input(
                    "picture", options=names, default=names[0], tooltip="Example image (CC0 or public domain)."
                )
            ],
            outputs=[io.Image.Output(display_name="image", tooltip="The example image.")],
            **shows_preview(),
        )

    @classmethod
    def execute(cls, picture: str) -> io.NodeOutput:
        names = _names()
        if not names:
            raise ImageFileError(
                f"The example images are missing from {_FOLDER}. Reinstall the pack, or use Load Image."
            )
        if picture not in names:
            raise ImageFileError(f"Unknown example image {picture!r}. Choose one of {', '.join(names)}.")
        image = to_image(to_rgb(read_image(_FOLDER / picture).pixels)[None])
        return io.NodeOutput(image, ui=preview(image))


def _names() -> list[str]:
    return sorted(path.name for path in _FOLDER.glob("*.jpg"))
