"""Parse aligned faces: assign a face region to each pixel."""

from __future__ import annotations

import torch
from torch import Tensor

from ..batch_size import check_batch_size, default_batch_size, in_batches
from ..checks import check_evaluating, check_finite, check_float, check_output, check_shape, check_type
from ..images.resize import interpolate
from ..networks.inference.autocast import without_autocast
from ..networks.parse_net import ParseNet
from ..progress import Progress
from .eye_state import with_closed_eyes
from .parse_map import ParseMap


def parse_faces(
    crops: Tensor, parse_net: ParseNet, batch_size: int | None = None, *, progress: Progress | None = None
) -> ParseMap:
    """Parse aligned face crops into the 19 regions of FaceRegion.

    The crops are resized to the network's size, and its scores are resized back, so that the edges of regions stay smooth.
    The network runs in its own precision. If both eyes of a face are closed, their labels become skin (see ``with_closed_eyes``).
    Source: section 3.2 of the paper.

    Args:
        crops: (B, 3, S, S), RGB in [0, 1].
        parse_net: parsing network in evaluation mode.
        batch_size: number of crops per forward pass. None chooses it for the device, and halves it if memory runs out.
        progress: called with the number of parsed faces and the total after each batch. May raise to stop.

    Returns:
        Parse maps of the size and on the device of ``crops``.

    Raises:
        InputError: the crops have another shape or dtype or contain NaN or infinity, or the network is in training mode.
        OptionError: ``batch_size`` is not from 1 to 4096.
        PsfrError: the output of the network is not finite.
    """
    _check_inputs(crops, parse_net, batch_size)
    weight = next(parse_net.parameters())

    def labels(batch: slice) -> Tensor:
        parse_logits = region_scores(crops[batch], parse_net)
        check_output(parse_logits, "parser", weight.dtype)
        return with_closed_eyes(crops[batch], ParseMap.from_logits(parse_logits)).labels

    size = batch_size or default_batch_size(weight.device)
    with torch.no_grad(), without_autocast(weight.device):
        parsed = in_batches(labels, len(crops), size, halve=batch_size is None, progress=progress)
    return ParseMap(parsed.to(crops.device))


@torch.no_grad()
def parse_probabilities(crops: Tensor, parse_net: ParseNet, batch_size: int | None = None) -> Tensor:
    """Return the probabilities (B, 19, P, P) of the regions in ``crops`` (B, 3, S, S), float32 on the network's device.

    P is the size of the network. ``most_probable_regions`` converts the probabilities to parse maps, without ``with_closed_eyes``.
    The parameters and errors are those of ``parse_faces``.
    """
    _check_inputs(crops, parse_net, batch_size)
    weight = next(parse_net.parameters())

    def probabilities(batch: slice) -> Tensor:
        parse_logits = _logits(crops[batch], parse_net)
        check_output(parse_logits, "parser", weight.dtype)
        return parse_logits.softmax(dim=1)

    size = batch_size or default_batch_size(weight.device)
    with without_autocast(weight.device):
        return in_batches(probabilities, len(crops), size, halve=batch_size is None)


def most_probable_regions(probabilities: Tensor, side: int) -> ParseMap:
    """Return parse maps of ``side`` pixels with the most probable region of ``probabilities`` (B, 19, P, P) at each pixel."""
    return ParseMap.from_logits(_resized(probabilities, side))


def _check_inputs(crops: Tensor, parse_net: ParseNet, batch_size: int | None) -> None:
    check_shape(crops, "B 3 S S", "crops")
    check_float(crops, "crops")
    check_finite(crops, "crops")
    check_batch_size(batch_size)
    check_type(parse_net, ParseNet, "parse_net")
    check_evaluating(parse_net, "parser")


def region_scores(crops: Tensor, parse_net: ParseNet) -> Tensor:
    """Return the region scores (B, 19, S, S), float32 on the network's device, of ``crops`` (B, 3, S, S), RGB in [0, 1]."""
    return _resized(_logits(crops, parse_net), crops.shape[-1])


def _logits(crops: Tensor, parse_net: ParseNet) -> Tensor:
    """Return the region scores (B, 19, P, P) in the size of the network."""
    weight = next(parse_net.parameters())
    inputs = _resized(crops.float().clamp(0, 1), parse_net.config.size) * 2 - 1
    return parse_net.parse_logits(inputs.to(weight)).float()


def _resized(images: Tensor, side: int) -> Tensor:
    if images.shape[-1] == side:
        return images
    return interpolate(images, (side, side), "bilinear")
