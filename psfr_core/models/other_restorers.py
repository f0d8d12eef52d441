"""Face restorers from state dicts: generators of PSFR-GAN, and GFPGAN, RestoreFormer and CodeFormer."""

from __future__ import annotations

import logging
from collections.abc import Mapping

import torch
from torch import nn

from ..errors import CheckpointError
from ..networks.face_restorer import FaceRestorer, OtherRestorer
from ..options import check_value
from .architectures import CODEFORMER, GFPGAN, OTHER_RESTORERS, PSFR_GENERATOR, Architecture
from .build import build_network, match_architecture
from .spandrel_network import name_with_spandrel
from .state_dict import StateDict

logger = logging.getLogger(__name__)
DEFAULT_FIDELITY = 0.5


def build_restorer(state_dict: StateDict, file_name: str, fidelity: float | None = None) -> FaceRestorer:
    """Build the restorer that the keys of ``state_dict`` (folded, float32) belong to, in eval mode; see ``load_face_restorer``."""
    check_value("fidelity", fidelity, float | None, low=0, high=1)
    architecture = _recognized(state_dict, file_name)
    if fidelity is not None and architecture is not CODEFORMER:
        logger.warning(
            "fidelity has no effect on %s, which is %s: only CodeFormer has it.", file_name, architecture.title
        )
    network = build_network(state_dict, architecture, file_name)
    if isinstance(network, FaceRestorer):
        return network
    # CodeFormer as spandrel builds it has intermediate results in float32.
    dtypes = (torch.float32,) if architecture is CODEFORMER else (torch.float32, torch.bfloat16)
    return OtherRestorer(network, _settings(architecture, fidelity), dtypes).eval()


def _recognized(state_dict: StateDict, file_name: str) -> Architecture[nn.Module]:
    try:
        return match_architecture(state_dict, (PSFR_GENERATOR, *OTHER_RESTORERS), file_name)
    except CheckpointError as error:
        name = name_with_spandrel(state_dict)
        if name is None:
            raise
        raise CheckpointError(f"{error} The package spandrel recognizes it as {name}.") from None


def _settings(architecture: Architecture[nn.Module], fidelity: float | None) -> Mapping[str, object]:
    """Return the arguments that the network takes besides the faces."""
    if architecture is CODEFORMER:
        return {"weight": DEFAULT_FIDELITY if fidelity is None else fidelity}
    if architecture is GFPGAN:
        # Take the noise stored in the file: new noise would change the result from call to call, and flicker in videos.
        return {"return_rgb": False, "randomize_noise": False}
    return {}
