"""Making images bad, as the training does."""

from __future__ import annotations

from dataclasses import Field, fields
from typing import Any

import torch
from comfy_api.latest import io
from torch import Tensor

from ..psfr_core.images.box import Size
from ..psfr_core.images.channels import split_alpha
from ..psfr_core.lab.degradation.config import DegradationConfig, FieldKind, limits_of
from ..psfr_core.lab.degradation.pipeline import apply_degradation, sample_degradation
from ..psfr_core.options import description_of
from .images import blank_image, to_frames
from .previews import preview
from .runtime import Steps
from .schema import CATEGORY, shows_preview, supported_fields
from .types import DegradationSocket

LOW, HIGH = "_low", "_high"
_SEEDS = 2**64  # as many as PyTorch and the samplers of ComfyUI know


class PSFR_DegradeImage(io.ComfyNode):
    """A low-quality version of an image."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="PSFR_DegradeImage",
            display_name="Degrade Image (PSFR-GAN)",
            category=CATEGORY,
            description="Makes an image as bad as those the network is trained on: grey, blur, small size, noise, JPEG. "
            "The same seed gives the same result; each further image of a batch adds 1 to it.",
            inputs=[
                io.Image.Input("image", tooltip="Good images."),
                io.Int.Input(
                    "seed",
                    default=0,
                    min=0,
                    max=_SEEDS - 1,
                    control_after_generate=True,
                    tooltip="What is drawn from the ranges.",
                ),
                DegradationSocket.Input(
                    "options", optional=True, tooltip="From Degradation Options. Without it the ranges are the paper's."
                ),
            ],
            outputs=[
                io.Image.Output(display_name="degraded", tooltip="The bad images, in the size of the good ones."),
                io.Image.Output(
                    display_name="target",
                    tooltip="What restoring should give: the good images, grey where colour was taken.",
                ),
                io.String.Output(display_name="description", tooltip="What was done to each image."),
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
            colours, alpha = split_alpha(frame.cpu().float().clamp(0, 1))
            drawn = sample_degradation(
                config, min(Size.of(colours)), torch.Generator().manual_seed((seed + index) % _SEEDS)
            )
            pair = apply_degradation(colours, drawn)
            lq.copy_(torch.cat([pair.lq, alpha]))
            hq.copy_(torch.cat([pair.hq, alpha]))
            descriptions.append(str(drawn))
            steps(index + 1, steps.total)
        return io.NodeOutput(degraded, target, "\n".join(descriptions), ui=preview(degraded))


class PSFR_DegradationOptions(io.ComfyNode):
    """The ranges that Degrade Image draws from."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="PSFR_DegradationOptions",
            display_name="Degradation Options (PSFR-GAN)",
            category=CATEGORY,
            description="The probabilities and ranges of Degrade Image. Lengths in pixels are for an image of 512 pixels, and grow "
            "and shrink with it.",
            inputs=_config_inputs(),
            outputs=[DegradationSocket.Output(display_name="options", tooltip="For Degrade Image.")],
        )

    @classmethod
    def execute(cls, **values: float) -> io.NodeOutput:
        config: dict[str, Any] = {}
        for option in fields(DegradationConfig):
            if limits_of(option).kind is FieldKind.RANGE:
                config[option.name] = (values[option.name + LOW], values[option.name + HIGH])
            elif option.name in values:
                config[option.name] = values[option.name]
        return io.NodeOutput(DegradationConfig(**config))


def _config_inputs() -> list[io.Float.Input | io.Int.Input]:
    return [config_input for option in fields(DegradationConfig) for config_input in _inputs_of(option)]


def _inputs_of(option: Field[Any]) -> list[io.Float.Input | io.Int.Input]:
    name, limits = option.name, limits_of(option)
    default: Any = option.default
    meaning, low, high = _sentence(description_of(option)), limits.low, limits.high
    match limits.kind:
        case FieldKind.PROBABILITY:
            return [io.Float.Input(name, default=default, min=low, max=high, step=0.01, tooltip=f"{meaning} 0 to 1.")]
        case FieldKind.COUNT:
            # Optional, because workflows from older versions have no such input.
            return [io.Int.Input(name, default=default, min=int(low), max=int(high), tooltip=meaning, optional=True)]
        case FieldKind.RANGE:
            step = 0.0005 if high <= 1 else 0.5
            return [
                io.Float.Input(name + end, default=value, min=low, max=high, step=step, tooltip=f"{meaning} {bound}.")
                for end, value, bound in zip((LOW, HIGH), default, ("Minimum", "Maximum"), strict=True)
            ]


def _sentence(description: str) -> str:
    return f"{description[0].upper()}{description[1:]}."
