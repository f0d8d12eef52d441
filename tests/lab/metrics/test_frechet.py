import math

import numpy as np
import pytest
import scipy.linalg
import torch
from torchmetrics.image.fid import FrechetInceptionDistance

from psfr_core.errors import InputError
from psfr_core.lab.metrics.frechet import FeatureStatistics, ImageNetFeatures, frechet_distance
from psfr_core.lab.metrics.image_features import Backbone, ImageFeatures


def statistics(features):
    found = FeatureStatistics(features.shape[1])
    found.add(features)
    return found


def samples(count, channels=5, seed=0):
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.randn(channels, channels, generator=generator)
    return torch.randn(count, channels, generator=generator) @ mixing + torch.randn(channels, generator=generator)


def test_mean_and_covariance_are_those_of_all_batches():
    features = samples(50)
    found = FeatureStatistics(5)
    for batch in features.split(7):
        found.add(batch)
    assert found.count == 50
    torch.testing.assert_close(found.mean, features.double().mean(0))
    torch.testing.assert_close(found.covariance, torch.cov(features.double().T))


def test_sets_of_two_points_agree_with_the_closed_form_in_one_dimension():
    # means 1 and 5, standard deviations sqrt(2) and 3 sqrt(2): (1 - 5)^2 + (1 - 3)^2 * 2
    one, other = statistics(torch.tensor([[0.0], [2.0]])), statistics(torch.tensor([[2.0], [8.0]]))
    assert frechet_distance(one, other) == pytest.approx(16 + 8)


@pytest.mark.parametrize("count", [4, 200])  # 4 images with 5 channels have a singular covariance
def test_agrees_with_the_matrix_square_root(count):
    one, other = statistics(samples(count)), statistics(samples(count, seed=1))
    product = (one.covariance @ other.covariance).numpy()
    root = np.asarray(scipy.linalg.sqrtm(product + 1e-12 * np.eye(5)))
    expected = (one.mean - other.mean).square().sum() + one.covariance.trace() + other.covariance.trace()
    assert frechet_distance(one, other) == pytest.approx(float(expected) - 2 * root.trace().real, rel=1e-4)
    assert frechet_distance(one, other) == pytest.approx(frechet_distance(other, one), rel=1e-6)
    assert frechet_distance(one, one) == pytest.approx(0, abs=1e-5)


def test_agrees_with_torchmetrics():
    metric = FrechetInceptionDistance(feature=torch.nn.Flatten(), input_img_size=(5, 1, 1))
    real, fake = samples(100), samples(100, seed=1)
    metric.update(real[:, :, None, None], real=True)
    metric.update(fake[:, :, None, None], real=False)
    assert frechet_distance(statistics(fake), statistics(real)) == pytest.approx(float(metric.compute()), rel=1e-5)


def test_one_image_has_no_distribution():
    with pytest.raises(InputError, match="at least two images on each side, got 1"):
        frechet_distance(statistics(samples(1)), statistics(samples(3)))


def test_features_are_pooled_over_the_image_and_named():
    network = ImageFeatures(Backbone.ALEXNET, ["relu1", "relu5"])
    pooled = ImageNetFeatures(network)
    images = torch.rand(2, 3, 64, 64)
    assert pooled.name == "frechet_alexnet_relu5"
    torch.testing.assert_close(pooled(images), network(images)["relu5"].flatten(2).mean(2))
    assert math.prod(pooled(images).shape) == 2 * 256
