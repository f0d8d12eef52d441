"""The node that loads bundled example videos."""

from __future__ import annotations

from pathlib import Path

from comfy_api.latest import InputImpl, io

from ..psfr_core.errors import VideoFileError
from .schema import CATEGORY

_FOLDER = Path(__file__).parent.parent / "examples" / "videos"
_FALLBACK_NAME = "portrait.mp4"


class PSFR_LoadExampleVideo(io.ComfyNode):
    """Load a bundled example video."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        names = _names() or [_FALLBACK_NAME]  # an error here would prevent the whole pack from loading
        return io.Schema(
            node_id="PSFR_LoadExampleVideo",
            display_name="Load Example Video (PSFR-GAN)",
            category=CATEGORY,
            description="Loads an example video of this pack, so that the example workflows run immediately. "
            "For your own videos, use Load Video.",
            inputs=[io.Combo.Input("clip", options=names, default=names[0], tooltip="Example video (CC0).")],
            outputs=[io.Video.Output(display_name="video", tooltip="The example video.")],
        )

    @classmethod
    def execute(cls, clip: str) -> io.NodeOutput:
        if clip not in _names():
            raise VideoFileError(
                f"There is no example video {clip!r} in {_FOLDER}. Reinstall the pack, or use Load Video."
            )
        return io.NodeOutput(InputImpl.VideoFromFile(str(_FOLDER / clip)))


def _names() -> list[str]:
    return sorted(path.name for path in _FOLDER.glob("*.mp4"))
