from __future__ import annotations

from types import ModuleType

import pytest
import torch

from psfr_core.networks.discriminator import Discriminator
from psfr_core.networks.spectral_norm import add_spectral_norm


@pytest.mark.slow
@torch.no_grad()
def test_equals_the_published_discriminator(golden: ModuleType) -> None:
    discriminator = add_spectral_norm(Discriminator())
    discriminator.load_state_dict(golden.state_dict("discriminator"))
    image, parse = golden.image("discriminator/img", 1, 256), golden.parse_one_hot("discriminator/parse", 1, 256)
    outputs = discriminator.eval()(image, parse)
    assert len(outputs) == 3
    for scale, output in enumerate(outputs):
        torch.testing.assert_close(output.score, golden.expected(f"discriminator/score{scale}"), atol=1e-6, rtol=1e-5)
        means = [feature.mean() for feature in output.features]
        deviations = [feature.std() for feature in output.features]
        expected = golden.expected(f"discriminator/feat_means{scale}").float()
        torch.testing.assert_close(torch.stack(means + deviations), expected, atol=1e-6, rtol=1e-5)
