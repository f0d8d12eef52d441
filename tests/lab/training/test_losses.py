from __future__ import annotations

from types import ModuleType

import pytest
import torch
import torch.nn.functional as F

from psfr_core.lab.training.losses import (
    feature_matching_loss,
    hinge_discriminator_loss,
    hinge_generator_loss,
    perceptual_loss,
    psnr_loss,
    region_grams,
    region_style_loss,
)


def test_losses_equal_the_published_losses(golden: ModuleType) -> None:
    fake, real = golden.features("x"), golden.features("y")
    mask = golden.parse_one_hot("loss/mask", 2, 64)
    no_score = torch.full((1, 1), 1.0)  # a real score of 1 and a fake score of -1 have a loss of 0
    found = {
        "region_style": region_style_loss(fake[2:], real[2:], mask),
        "perceptual": perceptual_loss(fake, real),
        "feature_matching": feature_matching_loss(fake, real),
        "hinge_d_real": hinge_discriminator_loss(fake[4], -no_score),
        "hinge_d_fake": hinge_discriminator_loss(no_score, fake[4]),
        "hinge_g": hinge_generator_loss(fake[4]),
    }
    for name, value in found.items():
        assert float(value) == pytest.approx(golden.expected_loss(name), rel=1e-5), name


def test_style_ignores_positions_within_a_region() -> None:
    one_hot = torch.zeros(1, 19, 8, 8)
    one_hot[:, 1, :, :4] = 1
    one_hot[:, 13, :, 4:] = 1
    features = torch.rand(1, 5, 8, 8)
    within = features.clone()
    within[..., :4] = features[..., :4].flip(-1)
    across = features.flip(-1)
    assert float(region_style_loss([within], [features], one_hot)) < 1e-12
    assert float(region_style_loss([across], [features], one_hot)) > 1e-6


def test_the_psnr_term_weights_all_images_equally() -> None:
    real = torch.zeros(2, 3, 4, 4)
    # errors of a tenth and a hundredth of the range are 20 and 40 dB
    fake = real + torch.tensor([0.2, 0.02])[:, None, None, None]
    assert float(psnr_loss(fake, real)) == pytest.approx(-30, abs=0.01)
    fake = real.requires_grad_() + 0.0
    loss = psnr_loss(fake, real.detach())  # equal images
    assert loss.item() == pytest.approx(-40, abs=1e-4)
    loss.backward()
    assert real.grad is not None
    assert bool(real.grad.isfinite().all())


def test_a_gram_matrix_covers_only_its_region() -> None:
    mask = torch.zeros(1, 1, 16)
    mask[0, 0, 2:6] = 1
    features = torch.rand(1, 3, 16)
    inside = features[0, :, 2:6]
    torch.testing.assert_close(region_grams(features, mask)[0, 0], inside @ inside.T / (3 * 4))
    assert region_grams(features, torch.zeros(1, 1, 16)).abs().max() == 0


def plain_region_grams(features: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """Return the Gram matrices through masked copies of the features, as the paper defines them."""
    inside = features[:, None] * masks[:, :, None]
    areas = features.shape[1] * masks.sum(dim=2) + 1e-8
    return inside @ inside.transpose(2, 3) / areas[..., None, None]


def test_gram_matrices_and_their_gradients_equal_those_of_masked_copies() -> None:
    features = torch.rand(2, 5, 64, dtype=torch.float64, requires_grad=True)
    masks = F.one_hot(torch.randint(0, 4, (2, 64)), 5).transpose(1, 2).double()
    grams, plain = region_grams(features, masks), plain_region_grams(features, masks)
    torch.testing.assert_close(grams, plain)
    weights = torch.rand_like(grams)
    (gradient,) = torch.autograd.grad((grams * weights).sum(), features)
    torch.testing.assert_close(gradient, torch.autograd.grad((plain * weights).sum(), features)[0])


def test_the_gradient_keeps_no_masked_copies() -> None:
    saved: list[int] = []
    features, masks = torch.rand(2, 5, 64, requires_grad=True), torch.rand(2, 19, 64)
    with torch.autograd.graph.saved_tensors_hooks(
        lambda tensor: (saved.append(tensor.numel()), tensor)[1], lambda x: x
    ):
        region_grams(features, masks)
    assert sum(saved) == features.numel() + masks.numel()


def test_autocast_does_not_change_the_gradient() -> None:
    features, masks = torch.rand(1, 4, 64, requires_grad=True), torch.rand(1, 3, 64)
    (expected,) = torch.autograd.grad(region_grams(features, masks).sum(), features)
    with torch.autocast("cpu", torch.bfloat16):
        (found,) = torch.autograd.grad(region_grams(features, masks).sum(), features)
    assert torch.equal(found, expected)


def test_absent_regions_contribute_no_style_loss() -> None:
    fake, real = torch.rand(2, 1, 5, 8, 8).unbind(0)
    whole, half = torch.zeros(1, 19, 8, 8), torch.zeros(1, 2, 8, 8)
    whole[:, 3] = half[:, 0] = 1
    one = float(region_style_loss([fake], [real], whole[:, 3:4]))
    assert float(region_style_loss([fake], [real], half)) == pytest.approx(one / 2)
    assert float(region_style_loss([fake], [real], whole)) == pytest.approx(one / 19)
    assert float(region_style_loss([fake], [real], torch.zeros(1, 19, 8, 8))) == 0


def test_sums_over_an_image_do_not_overflow_in_fp16() -> None:
    one_hot = torch.ones(1, 1, 64, 64)
    fake, real = torch.full((1, 2, 64, 64), 8.0), torch.full((1, 2, 64, 64), 4.0)
    with torch.autocast("cpu", torch.float16):
        loss = region_style_loss([fake.half()], [real.half()], one_hot)
    assert float(loss) == pytest.approx((64 / 2 - 16 / 2) ** 2)  # the Gram matrices have the values 32 and 8
