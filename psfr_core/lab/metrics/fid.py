"""Compute the Inception features for FID."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from ...checks import check_float, check_shape
from ...errors import CheckpointError
from ...models.state_dict import read_tensors
from ...networks.inference.autocast import without_autocast
from ...optional_package import import_optional

_WEIGHTS = "https://github.com/toshas/torch-fidelity/releases (weights-inception-2015-12-05-6726825d.pth)"


class InceptionFeatures:
    """Network that computes the 2,048 pooled Inception features of torch-fidelity, as used by torchmetrics."""

    name = "fid"

    def __init__(self, inception: nn.Module, device: torch.device) -> None:
        self._inception = inception.to(device)

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Tensor:
        """Return the features (B, 2048) of images (B, 3, H, W), RGB in [0, 1]; the network gets 8-bit images.

        Raises InputError for other shapes or dtypes.
        """
        check_shape(images, "B 3 H W", "images")
        check_float(images, "images")
        with without_autocast(images.device):
            features = self._inception((images.clamp(0, 1) * 255).round().byte())
        return features.reshape(len(images), -1)


def load_inception(path: str | Path, device: torch.device) -> InceptionFeatures:
    """Load Inception with the weights in ``path`` onto ``device``. Nothing is downloaded.

    Images are resized as by torch-fidelity and pytorch-fid, without antialiasing. Code in the file is never run. Raises
    CheckpointError if the file is missing or has other contents, and MissingPackageError if torchmetrics or torch-fidelity is not
    installed.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(
            f"FID needs the Inception weights of torch-fidelity, but {path} does not exist. Download them from {_WEIGHTS}, "
            "or omit FID: the Fréchet distance of the LPIPS features needs no Inception weights."
        )
    torchmetrics = import_optional("torchmetrics.image.fid", "FID", "torchmetrics")
    import_optional("torch_fidelity", "FID", "torch-fidelity")
    read_tensors(path)  # torch-fidelity would run code in the file, so files with code are rejected first
    try:
        fid = torchmetrics.FrechetInceptionDistance(feature=2048, feature_extractor_weights_path=str(path))
    except Exception as error:  # damaged files raise errors of many types
        raise CheckpointError(
            f"{path.name} does not contain the Inception weights of torch-fidelity: {error}"
        ) from error
    fid.inception.use_antialias = False
    return InceptionFeatures(fid.inception, device)
