from __future__ import annotations

import torch

from psfr_core.lab.metrics.image_features import Backbone, ImageFeatures
from psfr_core.lab.training.losses import hinge_discriminator_loss
from psfr_core.networks.feature_discriminator import FeatureDiscriminator


def test_each_layer_is_judged_at_its_own_size() -> None:
    torch.manual_seed(0)
    discriminator = FeatureDiscriminator({"fine": 4, "coarse": 6}, hidden_channels=5)
    features = {"coarse": torch.randn(2, 6, 8, 8), "other": torch.randn(2, 3, 4, 4), "fine": torch.randn(2, 4, 16, 16)}
    parse_map = torch.zeros(2, 19, 32, 32)
    parse_map[:, 1] = 1
    fine, coarse = discriminator(features, parse_map)
    assert (fine.score.shape, coarse.score.shape) == ((2, 1, 16, 16), (2, 1, 8, 8))
    assert [tuple(found.shape) for found in coarse.features] == [(2, 5, 8, 8)] * 2
    # The result does not depend on the scale of activations, which reflects the contrast of the image.
    scaled = discriminator({name: 3 * found for name, found in features.items()}, parse_map)
    torch.testing.assert_close(scaled[0].score, fine.score, atol=1e-4, rtol=0)
    # A changed region affects its pixels and one pixel around it.
    parse_map[:, :, :16] = parse_map[:, :, :16].roll(1, dims=1)
    changed = (discriminator(features, parse_map)[1].score != coarse.score)[:, 0]
    assert bool(changed[:, :5].all())
    assert not bool(changed[:, 5:].any())


def test_noise_and_smooth_images_are_distinguished_after_a_few_steps() -> None:
    torch.manual_seed(0)
    features = ImageFeatures(Backbone.VGG16, ["conv1_2"])
    discriminator = FeatureDiscriminator(features.channels, hidden_channels=8)
    assert features.channels == {"conv1_2": 64}
    optimizer = torch.optim.Adam(discriminator.parameters(), lr=1e-2)
    parse_map = torch.zeros(4, 19, 16, 16)
    losses = []
    for _ in range(20):
        noise = torch.rand(4, 3, 18, 18)
        grain, smooth = noise[..., 1:17, 1:17], torch.nn.functional.avg_pool2d(noise, 3, stride=1)
        (real,), (fake,) = (discriminator(features(images), parse_map) for images in (grain, smooth))
        loss = hinge_discriminator_loss(real.score, fake.score)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[0] > 1.8
    assert losses[-1] < 0.5
