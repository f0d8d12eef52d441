"""Networks keep their own precision inside a caller's autocast, on any device."""

import pytest
import torch

from psfr_core.networks.inference.autocast import without_autocast


@pytest.mark.parametrize("device", ["cpu", "cuda", "mps"])
def test_it_is_off_inside_and_as_before_afterwards(device: str) -> None:
    torch.set_autocast_enabled(device, True)  # torch.autocast would refuse a device that is not there
    try:
        with without_autocast(torch.device(device)):
            assert not torch.is_autocast_enabled(device)
        assert torch.is_autocast_enabled(device)
    finally:
        torch.set_autocast_enabled(device, False)


def test_devices_that_know_no_autocast_are_left_alone() -> None:
    with without_autocast(torch.device("meta")):
        assert torch.zeros(1, device="meta").device.type == "meta"
