import pytest
import torch

from psfr_core.batch_size import default_batch_size


@pytest.mark.parametrize(
    ("free_gib", "reserved_gib", "allocated_gib", "faces"),
    [(0.3, 0, 0, 1), (1.5, 0, 0, 1), (3.2, 0, 0, 3), (70, 0, 0, 8), (0.3, 6.0, 1.2, 5), (3.2, 4.0, 4.0, 3)],
)
def test_default_on_gpus_depends_on_free_memory(
    monkeypatch: pytest.MonkeyPatch, free_gib: float, reserved_gib: float, allocated_gib: float, faces: int
) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (int(free_gib * 2**30), 80 * 2**30))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda _: int(reserved_gib * 2**30))
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda _: int(allocated_gib * 2**30))
    assert default_batch_size(torch.device("cuda", 0)) == faces


def test_other_devices_have_fixed_defaults() -> None:
    assert default_batch_size(torch.device("cpu")) == 1
    assert default_batch_size(torch.device("mps")) == 4
