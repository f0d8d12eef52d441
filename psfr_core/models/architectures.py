"""Recognize the architecture of a state dict."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass
from typing import Generic, TypeVar

from torch import Tensor, nn

from ..networks.compact_face_net import CompactFaceNet, CompactFaceNetConfig
from ..networks.parse_net import ParseNet, ParseNetConfig
from ..networks.psfr_generator import GeneratorConfig, PsfrGenerator
from .manifest import ModelKind
from .retinaface_network import build_retinaface
from .spandrel_network import build_with_spandrel

N_co = TypeVar("N_co", bound=nn.Module, covariant=True)
Tensors = Mapping[str, Tensor]


@dataclass(frozen=True)
class Architecture(Generic[N_co]):
    """Rules that recognize the weights of a network by their names, and build the network from their shapes."""

    name: str  # written into converted files
    kind: ModelKind
    title: str  # with an article, for messages
    required_keys: frozenset[str]
    config: Callable[[Tensors], Mapping[str, object]]  # written into converted files
    build: Callable[[Tensors], N_co]

    def matches(self, keys: Collection[str]) -> bool:
        """Return whether the ``keys`` of a folded state dict include all keys that identify this network."""
        return self.required_keys.issubset(keys)


PSFR_GENERATOR = Architecture(
    name="psfr_generator",
    kind=ModelKind.GENERATOR,
    title="a PSFR-GAN generator",
    required_keys=frozenset({"const_input", "head.1.norm_0.conv1.0.weight"}),
    config=lambda tensors: asdict(GeneratorConfig.from_state_dict(tensors)),
    build=lambda tensors: PsfrGenerator(GeneratorConfig.from_state_dict(tensors)),
)
PARSE_NET = Architecture(
    name="parse_net",
    kind=ModelKind.PARSER,
    title="a face parsing network (ParseNet)",
    required_keys=frozenset({"encoder.0.conv2d.weight", "out_mask_conv.conv2d.weight"}),
    config=lambda tensors: asdict(ParseNetConfig.from_state_dict(tensors)),
    build=lambda tensors: ParseNet(ParseNetConfig.from_state_dict(tensors)),
)
COMPACT_FACE_NET = Architecture(
    name="compact_face_net",
    kind=ModelKind.DETECTOR,
    title="a face detector of this project (CompactFaceNet)",
    required_keys=frozenset({"stem.0.weight", "stages.0.0.0.weight", "laterals.0.weight"}),
    config=lambda tensors: asdict(CompactFaceNetConfig.from_state_dict(tensors)),
    build=lambda tensors: CompactFaceNet(CompactFaceNetConfig.from_state_dict(tensors)),
)
RETINAFACE_RESNET50 = Architecture(
    name="retinaface_resnet50",
    kind=ModelKind.DETECTOR,
    title="a RetinaFace detector with ResNet-50",
    required_keys=frozenset({"BboxHead.0.conv1x1.weight", "body.layer2.0.conv1.weight"}),
    config=lambda _: {"network_name": "resnet50"},
    build=lambda _: build_retinaface("resnet50"),
)
RETINAFACE_MOBILE = Architecture(
    name="retinaface_mobile0.25",
    kind=ModelKind.DETECTOR,
    title="a RetinaFace detector with MobileNet 0.25",
    required_keys=frozenset({"BboxHead.0.conv1x1.weight", "body.stage1.0.0.weight"}),
    config=lambda _: {"network_name": "mobile0.25"},
    build=lambda _: build_retinaface("mobile0.25"),
)
DETECTORS: tuple[Architecture[nn.Module], ...] = (COMPACT_FACE_NET, RETINAFACE_RESNET50, RETINAFACE_MOBILE)
ARCHITECTURES: tuple[Architecture[nn.Module], ...] = (PSFR_GENERATOR, PARSE_NET, *DETECTORS)


# Face restorers of other authors are loaded, but not converted, blended or published.
def _restorer_architecture(name: str, *required_keys: str) -> Architecture[nn.Module]:
    """Return the architecture that spandrel calls ``name``."""
    return Architecture(
        name=name.lower(),
        kind=ModelKind.GENERATOR,
        title=f"a {name} restorer",
        required_keys=frozenset(required_keys),
        config=lambda _: {},
        build=lambda tensors: build_with_spandrel(name, tensors),
    )


GFPGAN = _restorer_architecture("GFPGAN", "toRGB.0.weight", "stylegan_decoder.style_mlp.1.weight")
RESTOREFORMER = _restorer_architecture(
    "RestoreFormer", "quantize.embedding.weight", "encoder.conv_in.weight", "decoder.conv_out.weight"
)
CODEFORMER = _restorer_architecture(
    "CodeFormer", "position_emb", "quantize.embedding.weight", "ft_layers.0.self_attn.in_proj_weight"
)
OTHER_RESTORERS: tuple[Architecture[nn.Module], ...] = (GFPGAN, RESTOREFORMER, CODEFORMER)

# Descriptions of weights that users may select by mistake. Each key is the prefix of a tensor name in these weights.
FOREIGN_PREFIXES = {
    "D_pool.": "a PSFR-GAN discriminator, which is only for training",
    "stylegan_decoder": "a GFPGAN restorer of a version before 1.3",
    "ft_layers.": "a CodeFormer restorer",
    "vqvae.": "a training checkpoint of RestoreFormer",
    "cp.resnet.": "a BiSeNet face parsing network",
    "body.0.rdb1.": "an ESRGAN upscaler",
    "model.1.sub.0.": "an ESRGAN upscaler",
    "model.diffusion_model.": "a Stable Diffusion checkpoint",
    "features.0.": "an image classifier (VGG or AlexNet)",
}


def recognize(keys: Collection[str]) -> Architecture[nn.Module] | None:
    """Return the architecture of a folded state dict with these ``keys``, or None if it is unknown."""
    return next((architecture for architecture in ARCHITECTURES if architecture.matches(keys)), None)


def is_other_restorer(keys: Collection[str]) -> bool:
    """Return whether a folded state dict with these ``keys`` is a GFPGAN, RestoreFormer or CodeFormer restorer."""
    return any(architecture.matches(keys) for architecture in OTHER_RESTORERS)


def describe(keys: Collection[str]) -> str:
    """Return a description, for use in messages, of a folded state dict with these ``keys``."""
    for architecture in (*ARCHITECTURES, *OTHER_RESTORERS):
        if architecture.matches(keys):
            return architecture.title
    for prefix, title in FOREIGN_PREFIXES.items():
        if any(key.startswith(prefix) for key in keys):
            return title
    return f"an unknown network (first keys: {', '.join(list(keys)[:3])})"
