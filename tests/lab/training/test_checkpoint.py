from __future__ import annotations

import random
import struct
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from torch import nn

from psfr_core.errors import TrainingError
from psfr_core.lab.training.checkpoint import load_checkpoint, save_checkpoint


def parts(value: float, width: int = 400) -> dict[str, nn.Module]:
    network = nn.Linear(width, width)
    nn.init.constant_(network.weight, value)
    return {"task": network}


def value_in(path: Path) -> float:
    found = parts(0.0)
    load_checkpoint(path, found)
    return float(found["task"].get_parameter("weight").detach()[0, 0])


@contextmanager
def largest_file(size: int) -> Generator[None]:
    """Let writes fail as on a full disk if a file becomes larger than ``size`` bytes."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_run_without_a_checkpoint_starts_at_step_0(tmp_path: Path) -> None:
    assert load_checkpoint(tmp_path / "checkpoint.pt", parts(1.0)) == 0


def test_a_full_disk_keeps_the_earlier_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    save_checkpoint(path, 5, parts(1.0))
    needed = r"step 6 cannot be written to .*checkpoint.pt .*\. It needs about 0\.6 MB, and \d+\.\d MB are free\. The earlier"
    with largest_file(100_000), pytest.raises(TrainingError, match=needed):
        save_checkpoint(path, 6, parts(2.0))
    assert [file.name for file in tmp_path.iterdir()] == ["checkpoint.pt"]
    assert value_in(path) == 1.0
    save_checkpoint(path, 6, parts(2.0))
    assert value_in(path) == 2.0


def test_an_interrupted_write_keeps_the_earlier_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "checkpoint.pt"
    save_checkpoint(path, 5, parts(1.0))

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("os.fsync", stop)
    with pytest.raises(KeyboardInterrupt):
        save_checkpoint(path, 6, parts(2.0))
    assert [file.name for file in tmp_path.iterdir()] == ["checkpoint.pt"]
    assert value_in(path) == 1.0


@pytest.mark.parametrize("kept", [0, 1_000, 0.5, 0.999])
def test_a_damaged_checkpoint_is_an_error(tmp_path: Path, kept: float) -> None:
    path = tmp_path / "checkpoint.pt"
    save_checkpoint(path, 5, parts(1.0))
    content = path.read_bytes()
    path.write_bytes(content[: int(kept if kept > 1 else kept * len(content))])
    with pytest.raises(TrainingError, match=r"checkpoint\.pt is damaged .* or delete it to start the run again"):
        load_checkpoint(path, parts(0.0))


def test_every_flipped_bit_is_detected_or_harmless(tmp_path: Path) -> None:
    path, saved = tmp_path / "checkpoint.pt", parts(1.0, width=20)
    save_checkpoint(path, 5, saved)
    content, found = path.read_bytes(), 0
    for bit in random.Random(0).sample(range(8 * len(content)), 200):
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        read = parts(0.0, width=20)
        try:
            assert load_checkpoint(path, read) == 5
        except TrainingError:
            found += 1
        else:
            torch.testing.assert_close(read["task"].state_dict(), saved["task"].state_dict(), rtol=0, atol=0)
    assert found > 60


def test_a_changed_value_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    save_checkpoint(path, 5, parts(1.0))
    content = path.read_bytes()
    path.write_bytes(content.replace(struct.pack("<4f", 1, 1, 1, 1), struct.pack("<4f", 1, 1, 2, 1), 1))
    with pytest.raises(TrainingError, match=r"damaged .*the checksum of its record 'archive/data/0' is wrong"):
        load_checkpoint(path, parts(0.0))


def test_a_checkpoint_of_other_networks_is_rejected(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    save_checkpoint(path, 5, parts(1.0))
    with pytest.raises(TrainingError, match="belongs to a run of other networks"):
        load_checkpoint(path, parts(0.0, width=8))
    with pytest.raises(TrainingError, match="it contains task; task, scaler are needed"):
        load_checkpoint(path, {**parts(0.0), "scaler": nn.Identity()})
