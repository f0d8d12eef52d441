"""The nodes that degrade images the way training does."""

from __future__ import annotations

from dataclasses import Field
from typing import Any

import torch
from comfy_api.latest import io
from torch import Tensor

from ..psfr_core.checks import seeded_generator
from ..psfr_core.images.box import Size
from ..psfr_core.images.channels import split_alpha
from ..psfr_core.lab.degradation.config import REFERENCE_SIDE, DegradationConfig
from ..psfr_core.lab.degradation.pipeline import apply_degradation, sample_degradation
from ..psfr_core.lab.degradation.ranges import FieldKind, limits_of, ranged_fields
from ..psfr_core.options import description_of
from .images import blank_image, to_frames
from .previews import preview
from .runtime import Steps
from .schema import TEST_CATEGORY, shows_preview, supported_fields
from .types import DegradationSocket

LOW, HIGH = "_low", "_high"
_SEEDS = 2**64  # number of seeds that PyTorch and ComfyUI's samplers accept


class PSFR_DegradeImage(io.ComfyNode):
    """Degrade an image with random parameters."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="PSFR_DegradeImage",
            display_name="Degrade Image (PSFR-GAN)",
            category=TEST_CATEGORY,
            description="Degrades an image the way training does: grayscale, blur, downscaling, noise and JPEG. "
            "The same seed gives the same result. The images of a batch use successive seeds.",
            inputs=[
                io.Image.Input("image", tooltip="High-quality images."),
                io.Int.Input(
                    "seed",
                    default=0,
                    min=0,
                    max=_SEEDS - 1,
                    control_after_generate=True,
                    tooltip="Seed of the random degradation. The same seed gives the same result.",
                ),
                DegradationSocket.Input(
                    "options",
                    optional=True,
                    tooltip="Ranges from Degradation Options. Default: the ranges of the PSFR-GAN paper.",
                ),
            ],
            outputs=[
                io.Image.Output(display_name="degraded", tooltip="Degraded images, at the size of the input."),
                io.Image.Output(
                    display_name="target",
                    tooltip="Ground truth: each input image, in grayscale if its color was removed.",
                ),
                io.String.Output(display_name="description", tooltip="Degradations applied to each image."),
            ],
            **shows_preview(),
            **supported_fields(search_aliases=["blur", "JPEG artifacts", "low quality"]),
        )

    @classmethod
    def execute(cls, image: Tensor, seed: int, options: DegradationConfig | None = None) -> io.NodeOutput:
        config = options or DegradationConfig()
        frames = to_frames(image)
        steps = Steps(len(frames))
        channels = 3 + len(split_alpha(frames[0])[1])
        degraded, target = blank_image(frames, channels), blank_image(frames, channels)
        descriptions: list[str] = []
        for index, (frame, lq, hq) in enumerate(zip(frames, to_frames(degraded), to_frames(target), strict=True)):
            colors, alpha = split_alpha(frame.cpu().float().clamp(0, 1))
            drawn = sample_degradation(config, min(Size.of(colors)), seeded_generator(seed + index))
            pair = apply_degradation(colors, drawn)
            lq.copy_(torch.cat([pair.lq, alpha]))
            hq.copy_(torch.cat([pair.hq, alpha]))
            descriptions.append(str(drawn))
            steps(index + 1, steps.total)
        return io.NodeOutput(degraded, target, "\n".join(descriptions), ui=preview(degraded))


class PSFR_DegradationOptions(io.ComfyNode):
    """Set the ranges that Degrade Image samples from."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="PSFR_DegradationOptions",
            display_name="Degradation Options (PSFR-GAN)",
            category=TEST_CATEGORY,
            description="Probabilities and ranges for Degrade Image. Lengths in pixels refer to an image whose shorter side is 512 "
            "pixels, and scale with the image size.",
            inputs=_config_inputs(),
            outputs=[DegradationSocket.Output(display_name="options", tooltip="Options for Degrade Image.")],
        )

    @classmethod
    def execute(cls, **values: float) -> io.NodeOutput:
        config: dict[str, Any] = {}
        for option in ranged_fields(DegradationConfig):
            if limits_of(option).kind is FieldKind.RANGE:
                config[option.name] = (values[option.name + LOW], values[option.name + HIGH])
            elif option.name in values:
                config[option.name] = values[option.name]
        return io.NodeOutput(DegradationConfig(**config))


def _config_inputs() -> list[io.Float.Input | io.Int.Input]:
    return [config_input for option in ranged_fields(DegradationConfig) for config_input in _inputs_of(option)]


def _inputs_of(option: Field[Any]) -> list[io.Float.Input | io.Int.Input]:
    name, limits = option.name, limits_of(option)
    default: Any = option.default
    meaning, low, high = _sentence(description_of(option)), limits.low, limits.high
    match limits.kind:
        case FieldKind.PROBABILITY:
            tooltip = f"{meaning} 0 means never, 1 means always."
            return [io.Float.Input(name, default=default, min=low, max=high, step=0.01, tooltip=tooltip)]
        case FieldKind.COUNT:
            # Optional, because workflows from older versions have no such input.
            return [io.Int.Input(name, default=default, min=int(low), max=int(high), tooltip=meaning, optional=True)]
        case FieldKind.RANGE:
            step = 0.0005 if high <= 1 else 0.5
            where = f", for an image whose shorter side is {REFERENCE_SIDE} pixels" if name.endswith("_px") else ""
            return [
                io.Float.Input(
                    name + end, default=value, min=low, max=high, step=step, tooltip=f"{meaning} {bound}{where}."
                )
                for end, value, bound in zip(
                    (LOW, HIGH), default, ("Lower end of the range", "Upper end of the range"), strict=True
                )
            ]


def _sentence(description: str) -> str:
    return f"{description[0].upper()}{description[1:]}."
