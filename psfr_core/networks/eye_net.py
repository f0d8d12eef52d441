"""Define a small network that classifies eyes as closed or open."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from .spade import LEAKY_SLOPE

EYE_WINDOW = (32, 48)  # rows and columns of the input, which shows one eye of a face aligned at 256 x 256 pixels
_CONTRAST_FLOOR = 0.02  # added to the standard deviation, so that noise in flat windows is not amplified
_DROPOUT = 0.3


class EyeNet(nn.Module):
    """A network that computes one logit per eye, which is positive if the eye is closed. It has 4,081 parameters."""

    def __init__(self) -> None:
        super().__init__()
        rows, columns = EYE_WINDOW
        self.conv1 = nn.Conv2d(1, 8, 5, stride=2, padding=2)
        self.conv2 = nn.Conv2d(8, 16, 3, stride=2, padding=1)
        self.conv3 = nn.Conv2d(16, 16, 3, stride=2, padding=1)
        self.dropout = nn.Dropout(_DROPOUT)
        self.linear = nn.Linear(16 * (rows // 8) * (columns // 8), 1)

    def forward(self, windows: Tensor) -> Tensor:
        """Return logits (N,) for gray windows (N, 1, 32, 48), in [0, 1], that show left eyes or mirrored right eyes."""
        mean = windows.mean(dim=(1, 2, 3), keepdim=True)
        contrast = windows.std(dim=(1, 2, 3), keepdim=True) + _CONTRAST_FLOOR
        features = (windows - mean) / contrast
        for layer in (self.conv1, self.conv2, self.conv3):
            features = F.leaky_relu(layer(features), LEAKY_SLOPE)
        return self.linear(self.dropout(features.flatten(1)))[:, 0]
