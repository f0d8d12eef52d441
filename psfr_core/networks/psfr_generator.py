"""Define the PSFR-GAN generator (Chen et al., CVPR 2021, section 3.1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..checks import check_network_input, check_shape
from ..errors import InputError, OptionError
from ..options import option
from .face_restorer import FaceRestorer
from .spade import ReferenceLayer, SpadeResBlock

BASE_SIZE = 16  # side of the constant input in pixels
MAX_STAGES = 10  # for a side of 8192 px
PARSE_CLASSES = 19
REFERENCE_CHANNELS = 3 + PARSE_CLASSES  # RGB image and one-hot parse map


@dataclass(frozen=True)
class GeneratorConfig:
    """Channels of a generator: ``channels[0]`` is for 16 px, and each further entry doubles the size.

    A ``residual`` generator, which is not part of the paper, predicts only the difference from the low-quality face. This helps
    small networks to preserve the content of the face.
    """

    channels: tuple[int, ...] = field(metadata={"description": "channels of each stage, from 16 px to the output size"})
    modulation_channels: int = option(64, "hidden channels of the spatially adaptive normalization")
    residual: bool = option(False, "whether the network predicts the difference from the low-quality face")

    def __post_init__(self) -> None:
        if not 1 <= len(self.channels) <= MAX_STAGES or min(*self.channels, self.modulation_channels) < 1:
            raise OptionError(f"A generator needs 1 to {MAX_STAGES} stages and positive channel counts, got {self}.")

    @property
    def size(self) -> int:
        """Side of the output in pixels."""
        return BASE_SIZE * 2 ** (len(self.channels) - 1)

    @staticmethod
    def from_state_dict(state_dict: Mapping[str, Tensor]) -> GeneratorConfig:
        """Infer the configuration from the shapes in ``state_dict``, whose spectral norm must be folded."""
        stages = sum(key.startswith("body.") and key.endswith(".1.weight") for key in state_dict)
        channels = (state_dict["const_input"].shape[1],)
        channels += tuple(state_dict[f"body.{stage}.1.weight"].shape[0] for stage in range(stages))
        modulation_channels = state_dict["head.1.norm_0.conv1.0.weight"].shape[0]
        return GeneratorConfig(channels, modulation_channels, residual="lq_out.weight" in state_dict)


PUBLISHED_GENERATOR = GeneratorConfig((1024, 512, 256, 128, 64, 32), 64)


class PsfrGenerator(FaceRestorer):
    """A generator that upsamples a learned constant to a face, modulated at every scale by the low-quality face and its parse map.

    Attribute names match the published state dict.
    """

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        self.config = config
        first, *_, last = channels = (*config.channels, config.channels[-1])
        self.const_input = nn.Parameter(torch.empty(1, first, BASE_SIZE, BASE_SIZE))
        if not self.const_input.is_meta:  # on the meta device, this would import sympy, which takes a second
            nn.init.normal_(self.const_input)
        self.head = nn.Sequential(nn.Conv2d(first, first, 3, padding=1), self._block(first))
        self.body = nn.ModuleList(
            nn.Sequential(
                nn.Upsample(scale_factor=2, mode="nearest"),
                nn.Conv2d(coarse, fine, 3, padding=1),
                self._block(fine),
            )
            for coarse, fine in pairwise(channels[:-1])
        )
        self.img_out: nn.Module = nn.Conv2d(last, 3, 3, padding=1)
        self.lq_out = nn.Conv2d(3, 3, 1, bias=False) if config.residual else None
        if self.lq_out is not None:
            nn.init.dirac_(self.lq_out.weight)

    @property
    def size(self) -> int:
        """Side of the faces in pixels."""
        return self.config.size

    def _block(self, channels: int) -> SpadeResBlock:
        return SpadeResBlock(channels, REFERENCE_CHANNELS, self.config.modulation_channels)

    def forward(self, lq: Tensor, parse_one_hot: Tensor) -> Tensor:
        """Restore the faces ``lq`` (B, 3, S, S), RGB in [-1, 1], with one-hot parse maps (B, 19, S, S).

        Returns RGB faces with a side of ``config.size`` in about [-1, 1]. S is normally ``config.size`` as well. Other sizes
        16 * 2^k are supported, because the inputs are resized to each scale. Raises InputError for other shapes, and if ``lq`` has
        another dtype or device than the weights.
        """
        _check_inputs(lq, parse_one_hot)
        check_network_input(lq, self, "lq")
        reference = _in_layout_of(self.const_input, torch.cat([lq, parse_one_hot.to(lq.dtype)], dim=1))
        features = self.const_input.expand(lq.shape[0], -1, -1, -1)
        for stage in (self.head, *self.body):
            for layer in stage.children():
                if isinstance(layer, ReferenceLayer):
                    features = layer(features, _resize_reference(reference, features.shape[-1]))
                else:
                    features = layer(features)
        if self.lq_out is None:
            return self.img_out(features)
        return self.img_out(features) + self.lq_out(_resize_reference(reference[:, :3], features.shape[-1]))


def _in_layout_of(other: Tensor, images: Tensor) -> Tensor:
    is_channels_last = other.is_contiguous(memory_format=torch.channels_last)
    return images.contiguous(memory_format=torch.channels_last) if is_channels_last else images


def _resize_reference(reference: Tensor, side: int) -> Tensor:
    if reference.shape[-1] == side:
        return reference
    try:
        return F.interpolate(reference, (side, side), mode="bicubic", align_corners=False)
    except NotImplementedError:  # on MPS before PyTorch 2.6
        return _resize_reference(reference.float().cpu(), side).to(reference)


def _check_inputs(lq: Tensor, parse_one_hot: Tensor) -> None:
    check_shape(lq, "B 3 S S", "lq")
    check_shape(parse_one_hot, f"B {PARSE_CLASSES} S S", "parse_one_hot")
    if lq.shape[0] != parse_one_hot.shape[0] or lq.shape[2:] != parse_one_hot.shape[2:]:
        raise InputError(
            f"lq and parse_one_hot must have the same batch size and side, got {tuple(lq.shape)} and {tuple(parse_one_hot.shape)}."
        )
    side = lq.shape[-1]
    factor = side // BASE_SIZE
    if side != factor * BASE_SIZE or factor & (factor - 1) or factor == 0:
        raise InputError(
            f"Faces for the generator must be squares with a side of 16 * 2^k pixels, got {side} x {side}."
        )
