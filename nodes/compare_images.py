"""The node that compares images with references."""

from __future__ import annotations

import math
from pathlib import Path

import torch
from comfy_api.latest import io
from torch import Tensor

from ..psfr_core.errors import InputError, ModelNotFoundError, OptionError
from ..psfr_core.images.channels import to_rgb
from ..psfr_core.lab.metrics.lpips import Lpips, load_lpips
from ..psfr_core.lab.metrics.psnr import psnr
from ..psfr_core.lab.metrics.ssim import ssim
from ..psfr_core.visualize import difference_image
from .images import blank_image, to_frames
from .model_folders import OWN_FOLDER, find_weight_file, fingerprint, weight_files
from .previews import preview
from .runtime import Steps
from .schema import TEST_CATEGORY, shows_preview, supported_fields

NO_FILE = "none"


class PSFR_CompareImages(io.ComfyNode):
    """Compute metrics and draw the difference of two images."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="PSFR_CompareImages",
            display_name="Compare Images (PSFR-GAN)",
            category=TEST_CATEGORY,
            description="Compares images with references by PSNR and SSIM, and by LPIPS if its two weight files are selected.",
            inputs=[
                io.Image.Input("image", tooltip="Images to evaluate."),
                io.Image.Input(
                    "reference", tooltip="Reference images of the same size: one for all images, or one per image."
                ),
                io.Float.Input(
                    "gain",
                    default=4.0,
                    min=1.0,
                    max=64.0,
                    step=0.5,
                    tooltip="Brightness factor of the difference image, 1 to 64. Higher values show smaller differences.",
                ),
                _weights_input(
                    "lpips_features", "AlexNet or VGG-16 features with torchvision's tensor names", "features.0.weight"
                ),
                _weights_input("lpips_heads", "LPIPS v0.1 heads for these features", "lin0.model.1.weight"),
            ],
            outputs=[
                io.String.Output(display_name="report", tooltip="Mean values over all images, as text."),
                io.Float.Output(display_name="psnr", tooltip="Peak signal-to-noise ratio, in dB. Higher is better."),
                io.Float.Output(display_name="ssim", tooltip="Structural similarity, at most 1. Higher is better."),
                io.Float.Output(
                    display_name="lpips", tooltip="Perceptual distance. Lower is better. NaN without the LPIPS weights."
                ),
                io.Image.Output(
                    display_name="difference", tooltip="Absolute difference of every pixel, multiplied by gain."
                ),
            ],
            **shows_preview(),
            **supported_fields(search_aliases=["PSNR", "SSIM", "LPIPS", "image quality"]),
        )

    @classmethod
    def fingerprint_inputs(cls, lpips_features: str | None = None, lpips_heads: str | None = None, **_: object) -> str:
        # A name is None if it comes from another node.
        known = [name for name in (lpips_features, lpips_heads) if name is not None]
        return fingerprint(*(find_weight_file(name, (OWN_FOLDER,)) for name in known))

    @classmethod
    def execute(
        cls, image: Tensor, reference: Tensor, gain: float, lpips_features: str, lpips_heads: str
    ) -> io.NodeOutput:
        frames, references = to_frames(image), to_frames(reference).to(image.device)
        if len(references) not in (1, len(frames)):
            raise InputError(
                f"Got {len(references)} references for {len(frames)} images. Give one for all, or one per image."
            )
        lpips = _lpips(lpips_features, lpips_heads, image.device)
        steps = Steps(len(frames))
        difference = blank_image(frames)
        measured: list[Tensor] = []
        pairs = zip(frames, references.expand(len(frames), -1, -1, -1), to_frames(difference), strict=True)
        for done, (frame, other, picture) in enumerate(pairs, start=1):
            pair = (to_rgb(frame).clamp(0, 1)[None], to_rgb(other).clamp(0, 1)[None])
            measured.append(_measure(*pair, lpips))
            picture.copy_(difference_image(*pair, gain)[0])
            steps(done, steps.total)
        means = torch.stack(measured).mean(dim=0).tolist()
        report = _report(*means)
        shown = preview(difference).as_dict() | {"text": [report]}
        return io.NodeOutput(report, *means, difference, ui=shown)


@torch.no_grad()
def _measure(image: Tensor, reference: Tensor, lpips: Lpips | None) -> Tensor:
    """Return PSNR, SSIM and LPIPS (3,) of one image (1, 3, H, W). LPIPS is NaN without its weights."""
    distance = lpips(image, reference) if lpips else image.new_full((1,), math.nan)
    return torch.cat([psnr(image, reference), ssim(image, reference), distance])


def _report(psnr_db: float, similarity: float, distance: float) -> str:
    lpips = "not measured: select both LPIPS files" if math.isnan(distance) else f"{distance:.4f}"
    return f"PSNR {psnr_db:.2f} dB\nSSIM {similarity:.4f}\nLPIPS {lpips}"


def _lpips(features: str, heads: str, device: torch.device) -> Lpips | None:
    chosen = [name for name in (features, heads) if name != NO_FILE]
    if not chosen:
        return None
    if len(chosen) == 1:
        raise OptionError("LPIPS needs two files that belong together: lpips_features and lpips_heads.")
    return load_lpips(_file(features), _file(heads)).to(device)


def _file(name: str) -> Path:
    path = find_weight_file(name, (OWN_FOLDER,))
    if path is None:
        raise ModelNotFoundError(f"File {name!r} was not found in the model folder {OWN_FOLDER}.")
    return path


def _weights_input(name: str, what: str, tensor_name: str) -> io.Combo.Input:
    """Return a combo with "none" and all files of this pack's model folder that contain the tensor ``tensor_name``."""
    return io.Combo.Input(
        name,
        options=[NO_FILE, *weight_files((OWN_FOLDER,), lambda names: tensor_name in names)],
        default=NO_FILE,
        tooltip=f"For LPIPS: {what}, from models/{OWN_FOLDER}. To omit LPIPS, choose '{NO_FILE}' for both files.",
    )
