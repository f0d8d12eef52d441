"""Build face restorers from state dicts: PSFR-GAN, GFPGAN, RestoreFormer and CodeFormer."""

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
from .spandrel_network import spandrel_name_of
from .state_dict import StateDict

logger = logging.getLogger(__name__)
DEFAULT_FIDELITY = 0.5


def build_restorer(state_dict: StateDict, file_name: str, fidelity: float | None = None) -> FaceRestorer:
    """Build the restorer with the weights ``state_dict`` (folded, float32), in eval mode, as ``load_face_restorer`` describes."""
    check_value("fidelity", fidelity, float | None, low=0, high=1)
    architecture = _recognized(state_dict, file_name)
    if fidelity is not None and architecture is not CODEFORMER:
        logger.warning(
            "fidelity has no effect on %s, which is %s. Only CodeFormer has this option.", file_name, architecture.title
        )
    network = build_network(state_dict, architecture, file_name)
    if isinstance(network, FaceRestorer):
        return network
    # spandrel's CodeFormer computes some intermediate results in float32.
    dtypes = (torch.float32,) if architecture is CODEFORMER else (torch.float32, torch.bfloat16)
    return OtherRestorer(network, _settings(architecture, fidelity), dtypes).eval()


def _recognized(state_dict: StateDict, file_name: str) -> Architecture[nn.Module]:
    try:
        return match_architecture(state_dict, (PSFR_GENERATOR, *OTHER_RESTORERS), file_name)
    except CheckpointError as error:
        name = spandrel_name_of(state_dict)
        if name is None:
            raise
        raise CheckpointError(f"{error} The package spandrel recognizes it as {name}.") from None


def _settings(architecture: Architecture[nn.Module], fidelity: float | None) -> Mapping[str, object]:
    """Return the further arguments for each call of the network."""
    if architecture is CODEFORMER:
        return {"weight": DEFAULT_FIDELITY if fidelity is None else fidelity}
    if architecture is GFPGAN:
        # Use the noise that is stored in the file. New noise would change the result from call to call, and flicker in videos.
        return {"return_rgb": False, "randomize_noise": False}
    return {}
