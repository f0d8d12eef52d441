"""How close two images are."""

from __future__ import annotations

import math
from pathlib import Path

import torch
from comfy_api.latest import io
from torch import Tensor

from ..psfr_core.errors import InputError, ModelNotFoundError, OptionError
from ..psfr_core.metrics.lpips import Lpips, load_lpips
from ..psfr_core.metrics.psnr import psnr
from ..psfr_core.metrics.ssim import ssim
from ..psfr_core.visualize import difference_picture
from .images import to_image, to_rgb_batch
from .model_folders import OWN_FOLDER, find_weight_file, fingerprint, weight_files
from .previews import preview
from .schema import CATEGORY, extras, shows_preview

NO_FILE = "none"


class PSFR_CompareImages(io.ComfyNode):
    """Metrics and a picture of the difference."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="PSFR_CompareImages",
            display_name="Compare Images (PSFR-GAN)",
            category=CATEGORY,
            description="Measures how close images are to references: PSNR, SSIM and, with its files, LPIPS.",
            inputs=[
                io.Image.Input("image", tooltip="The images to judge."),
                io.Image.Input("reference", tooltip="What they should be, in the same size: one for all, or one each."),
                io.Float.Input(
                    "gain",
                    default=4.0,
                    min=1.0,
                    max=64.0,
                    step=0.5,
                    tooltip="How much the difference picture is brightened.",
                ),
                _weights_input("lpips_features", "AlexNet or VGG-16 features, as torchvision names them"),
                _weights_input("lpips_heads", "LPIPS v0.1 heads for these features"),
            ],
            outputs=[
                io.String.Output(display_name="report", tooltip="The means over all images, as a text."),
                io.Float.Output(display_name="psnr", tooltip="In dB; higher is closer."),
                io.Float.Output(display_name="ssim", tooltip="At most 1; higher is closer."),
                io.Float.Output(display_name="lpips", tooltip="Lower is closer; not a number without its files."),
                io.Image.Output(display_name="difference", tooltip="Where the images differ, brightened."),
            ],
            **shows_preview(),
            **extras(search_aliases=["PSNR", "SSIM", "LPIPS", "image quality"]),
        )

    @classmethod
    def fingerprint_inputs(cls, lpips_features: str = NO_FILE, lpips_heads: str = NO_FILE, **_: object) -> str:
        return fingerprint(*(find_weight_file(name, (OWN_FOLDER,)) for name in (lpips_features, lpips_heads)))

    @classmethod
    def execute(
        cls, image: Tensor, reference: Tensor, gain: float, lpips_features: str, lpips_heads: str
    ) -> io.NodeOutput:
        images, references = to_rgb_batch(image).clamp(0, 1), to_rgb_batch(reference).clamp(0, 1)
        if len(references) not in (1, len(images)):
            raise InputError(f"There are {len(references)} references for {len(images)} images: give one, or one each.")
        references = references.expand(len(images), -1, -1, -1)
        lpips = _lpips(lpips_features, lpips_heads)
        values = {
            "PSNR": float(psnr(images, references).mean()),
            "SSIM": float(ssim(images, references).mean()),
            "LPIPS": float(_distances(lpips, images, references).mean()) if lpips else math.nan,
        }
        difference = to_image(difference_picture(images, references, gain))
        report = _report(values)
        shown = preview(difference).as_dict() | {"text": [report]}
        return io.NodeOutput(report, *values.values(), difference, ui=shown)


def _report(values: dict[str, float]) -> str:
    lpips = "not measured: choose its two files" if math.isnan(values["LPIPS"]) else f"{values['LPIPS']:.4f}"
    return f"PSNR {values['PSNR']:.2f} dB\nSSIM {values['SSIM']:.4f}\nLPIPS {lpips}"


def _distances(lpips: Lpips, images: Tensor, references: Tensor) -> Tensor:
    with torch.no_grad():
        return torch.cat([lpips(one[None], other[None]) for one, other in zip(images, references, strict=True)])


def _lpips(features: str, heads: str) -> Lpips | None:
    chosen = [name for name in (features, heads) if name != NO_FILE]
    if not chosen:
        return None
    if len(chosen) == 1:
        raise OptionError("LPIPS needs two files that belong together: lpips_features and lpips_heads.")
    return load_lpips(_file(features), _file(heads))


def _file(name: str) -> Path:
    path = find_weight_file(name, (OWN_FOLDER,))
    if path is None:
        raise ModelNotFoundError(f"There is no file {name!r} in the model folder {OWN_FOLDER}.")
    return path


def _weights_input(name: str, what: str) -> io.Combo.Input:
    return io.Combo.Input(
        name,
        options=[NO_FILE, *weight_files(OWN_FOLDER)],
        default=NO_FILE,
        tooltip=f"For LPIPS: {what}, from models/{OWN_FOLDER}.",
    )
