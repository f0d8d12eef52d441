"""Train the network that distinguishes closed from open eyes, with drawn lids as closed eyes."""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from ...checks import seeded_generator
from ...networks.eye_net import EYE_WINDOW, EyeNet
from ...networks.parse_net import ParseNet
from ...parsing.eye_state import EyeWindows, eye_windows
from ...parsing.labels import FaceRegion
from ...parsing.parse_map import ParseMap
from ...parsing.parser import region_scores
from ..degradation.closed_eyes import close_eyes
from ..degradation.config import DegradationConfig, DegradationPreset
from ..degradation.pipeline import degrade
from .face_samples import Faces, FaceSample, shows_lids

JITTER = 4  # maximum shift of a window, in pixels
NOISE_STD = 0.1  # maximum standard deviation of added noise, as a fraction of the window's contrast
# Loss weight of open eyes. Most eyes in photos are open, and mistaking an open eye for a closed one is the worse error.
OPEN_WEIGHT = 3.0
BATCH_SIZE = 64
LEARNING_RATE = 3e-3
WEIGHT_DECAY = 0.05
_MIN_EYE_AREA = 60 / 256**2  # fraction of the image; smaller eyes are partly hidden
_SLIGHT_DEGRADATION = DegradationConfig(
    grey_probability=0, blur_probability=0, reduced_side=(0.25, 0.5), noise_probability=0, jpeg_quality=(60, 90)
)
_DEGRADATIONS = (None, _SLIGHT_DEGRADATION, DegradationPreset.PAPER.config, DegradationPreset.PAPER.config)


def train_eye_net(faces: Faces, parse_net: ParseNet, *, epochs: int = 30, seed: int = 0) -> EyeNet:
    """Train a network on the open eyes of ``faces`` and on closed eyes that are drawn over them, both sharp and degraded.

    The network is returned in evaluation mode, on the CPU. ``parse_net`` locates the eye windows, as in inference. As many
    windows as ``epochs`` passes would contain are drawn at random, with replacement. ``seed`` determines the lids, the
    degradations, the initial weights, and the choice, shifts and noise of the windows. Training on 1,200
    faces takes 10 to 15 minutes on one CPU core.
    """
    windows, is_closed = _examples(faces, parse_net, seed)
    generator = seeded_generator(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = EyeNet().train()
        optimizer = torch.optim.AdamW(network.parameters(), LEARNING_RATE, weight_decay=WEIGHT_DECAY)
        steps = max(1, epochs * len(windows) // BATCH_SIZE)
        schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 1e-3, steps)
        for _ in range(steps):
            index = torch.randint(len(windows), (BATCH_SIZE,), generator=generator)
            logits = network(_augmented(windows[index], generator))
            weight = torch.where(is_closed[index] > 0, 1.0, OPEN_WEIGHT)
            optimizer.zero_grad()
            F.binary_cross_entropy_with_logits(logits, is_closed[index], weight).backward()
            optimizer.step()
            schedule.step()
    return network.eval()


def _augmented(windows: Tensor, generator: torch.Generator) -> Tensor:
    """Crop all windows (N, 40, 56) at the same random shift, add noise, and return them as (N, 1, 32, 48)."""
    rows, columns = EYE_WINDOW
    y, x = torch.randint(2 * JITTER + 1, (2,), generator=generator).tolist()
    shifted = windows[:, None, y : y + rows, x : x + columns]
    std = NOISE_STD * torch.rand(len(windows), 1, 1, 1, generator=generator)
    return shifted + shifted.std(dim=(2, 3), keepdim=True) * std * torch.randn(shifted.shape, generator=generator)


def _examples(faces: Faces, parse_net: ParseNet, seed: int) -> tuple[Tensor, Tensor]:
    """Return the windows (N, 40, 56) of all fully open or closed eyes, and their states (N,): 1 is closed, 0 is open."""
    windows: list[Tensor] = []
    is_closed: list[Tensor] = []
    for index in range(len(faces)):
        pixels, labels = faces.face(index)
        generator = seeded_generator(seed * 1_000_003 + index)
        for sample, before in _samples(pixels.float() / 255, labels, generator):
            state = _eye_state(sample.labels, before)
            found = _windows(sample.lq, parse_net)
            is_used = found.is_labeled[0] & (state >= 0)
            windows.append(found.windows[0, is_used])
            is_closed.append(state[is_used].float())
    return torch.cat(windows), torch.cat(is_closed)


def _windows(crop: Tensor, parse_net: ParseNet) -> EyeWindows:
    with torch.no_grad():
        return eye_windows(crop[None], ParseMap.from_logits(region_scores(crop[None], parse_net)), JITTER)


def _samples(image: Tensor, labels: Tensor, generator: torch.Generator) -> Iterator[tuple[FaceSample, Tensor]]:
    """Yield the face with open eyes and the face with drawn lids at each degradation.

    Both come with the labels before the lids were drawn. Faces with drawn lids are omitted if the degradation hides the lids.
    """
    drawn, closed_labels = close_eyes(image, labels, generator)
    for config in _DEGRADATIONS:
        state = generator.get_state()
        opened = FaceSample(_degraded(image, config, generator), image, labels)
        closed = FaceSample(_degraded(drawn, config, generator.set_state(state)), drawn, closed_labels)
        yield opened, labels
        if shows_lids(closed, opened):
            yield closed, labels


def _degraded(image: Tensor, config: DegradationConfig | None, generator: torch.Generator) -> Tensor:
    return image if config is None else degrade(image, config, generator).lq


def _eye_state(labels: Tensor, before: Tensor) -> Tensor:
    """Return the state (2,) of the left and right eye in ``labels``: 1 is closed, 0 is open, -1 is unclear.

    An eye is unclear if it is narrowed, not labeled, or too small to count as closed. ``before`` are the labels before lids were
    drawn.
    """
    eyes = torch.tensor([FaceRegion.LEFT_EYE, FaceRegion.RIGHT_EYE])[:, None, None]
    area, area_before = ((part == eyes).float().mean(dim=(1, 2)) for part in (labels, before))
    is_closed = (area == 0) & (area_before >= _MIN_EYE_AREA)
    is_open = (area == area_before) & (area > 0)
    return torch.where(is_closed, 1, torch.where(is_open, 0, -1))
