"""Define the weights of the generator's loss terms, and the networks that compute the terms."""

from __future__ import annotations

from dataclasses import dataclass

from ...errors import OptionError
from ...networks.discriminator import Discriminator
from ...networks.feature_discriminator import FeatureDiscriminator
from ...networks.parse_net import ParseNet
from ...options import option
from ..metrics.identity import CosineIdentity
from ..metrics.image_features import ImageFeatures
from ..metrics.lpips import Lpips
from .losses import PERCEPTUAL_WEIGHTS

UNSTYLED_LAYERS = 2  # number of finest layers that the published style loss omits


@dataclass(frozen=True)
class GeneratorLossConfig:
    """Weights and settings of the generator's loss, and the learning rate of the discriminator.

    A weight of 0 omits a term. ``style_per_region`` makes the style loss semantic-aware. The terms ``psnr``, ``lpips`` and
    ``identity`` are not in the paper. Raises OptionError for values out of range, and for too few or too many ``feature_layers``.
    """

    pixel: float = option(10.0, "weight of the L1 pixel loss")
    psnr: float = option(
        0.0, "weight of the negative PSNR in dB, which weights lightly and heavily degraded faces equally"
    )
    perceptual: float = option(0.0, "weight of the perceptual loss on VGG features")
    lpips: float = option(0.0, "weight of LPIPS; needs loss_networks.heads")
    identity: float = option(0.0, "weight of the identity distance; needs loss_networks.identity")
    style: float = option(1000.0, "weight of the style loss on Gram matrices")
    feature_matching: float = option(10.0, "weight of the feature matching loss over all layers of the discriminator")
    adversarial: float = option(1.0, "weight of the adversarial hinge loss")
    discriminator_learning_rate: float = option(4e-4, "learning rate of the discriminator")
    feature_layers: tuple[str, ...] = option(
        ("conv1_2", "conv2_2", "conv3_3", "conv4_3"),
        "layers of the feature network, finest first, for the perceptual and style losses and a feature discriminator",
    )
    feature_window: int | None = option(
        None, "side of the random window that the feature network gets, in pixels; null: the whole face"
    )
    style_per_region: bool = option(
        True, "whether the style loss has one Gram matrix per face region instead of one per face"
    )

    def __post_init__(self) -> None:
        weights = (
            self.pixel,
            self.psnr,
            self.perceptual,
            self.lpips,
            self.identity,
            self.style,
            self.feature_matching,
            self.adversarial,
        )
        if min(weights) < 0:
            raise OptionError(f"Loss weights must not be negative, got {self}.")
        if not self.discriminator_learning_rate > 0:
            raise OptionError(f"discriminator_learning_rate must be positive, got {self.discriminator_learning_rate}.")
        if self.feature_window is not None and self.feature_window < 1:
            raise OptionError(f"feature_window must be at least 1 pixel, got {self.feature_window}.")
        layers = len(self.feature_layers)
        if (self.style and layers <= UNSTYLED_LAYERS) or (self.perceptual and layers > len(PERCEPTUAL_WEIGHTS)):
            raise OptionError(
                f"feature_layers needs more than {UNSTYLED_LAYERS} layers for the style term, which omits the finest "
                f"{UNSTYLED_LAYERS}, and at most {len(PERCEPTUAL_WEIGHTS)} for the perceptual term; "
                f"got {layers}: {', '.join(self.feature_layers)}."
            )

    @property
    def needs_features(self) -> bool:
        return self.perceptual > 0 or self.style > 0 or self.lpips > 0

    @property
    def needs_discriminator(self) -> bool:
        return self.feature_matching > 0 or self.adversarial > 0


@dataclass(frozen=True, eq=False)
class LossNetworks:
    """Networks that compute the losses or the generator's input. Any of them may be None.

    ``parser`` computes the input parse map from the degraded face, as in inference; if it is None, the input is the true map.
    ``parser`` must be in evaluation mode. ``features`` is an ImageNet network with taps at ``feature_layers``, and ``lpips``
    is LPIPS on the same network. ``identity`` recognizes persons. ``discriminator`` is trained with the generator, and the
    other networks are frozen.
    """

    parser: ParseNet | None = None
    features: ImageFeatures | None = None
    lpips: Lpips | None = None
    identity: CosineIdentity | None = None
    discriminator: Discriminator | FeatureDiscriminator | None = None
