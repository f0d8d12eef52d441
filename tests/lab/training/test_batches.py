from __future__ import annotations

import os
from itertools import chain
from pathlib import Path

import pytest
import torch

from psfr_core.lab.degradation.config import DegradationConfig
from psfr_core.lab.training.batches import ShardedBatchSampler, default_workers, load_batches
from psfr_core.lab.training.face_samples import FaceSample, FaceSamples, load_face_set

DATA = Path(__file__).parents[2] / "data"


@pytest.mark.parametrize(("processes", "parts"), [(1, 1), (2, 1), (1, 4), (2, 2), (4, 1)])
def test_sharding_does_not_change_the_samples_of_a_step(processes: int, parts: int) -> None:
    shards = [list(ShardedBatchSampler(range(3, 5), 8, parts, processes, process)) for process in range(processes)]
    for number, first in enumerate((24, 32)):
        of_step = [batch for shard in shards for batch in shard[number * parts : (number + 1) * parts]]
        assert sorted(chain(*of_step)) == list(range(first, first + 8))
        assert {len(batch) for batch in of_step} == {8 // processes // parts}


def test_workers_do_not_change_the_batches() -> None:
    faces = load_face_set([DATA / "faces"], [DATA / "labels"], 32)
    samples = FaceSamples(faces, [DegradationConfig()], seed=2)
    drawn = torch.random.get_rng_state()
    in_process, in_workers = (
        list(load_batches(samples, ShardedBatchSampler(range(4), 2), workers, torch.device("cpu")))
        for workers in (0, 2)
    )
    assert len(in_process) == len(in_workers) == 4
    for one, other in zip(in_process, in_workers, strict=True):
        assert isinstance(other, FaceSample)
        assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
    assert torch.equal(in_process[1].hq, torch.stack([samples[2].hq, samples[3].hq]))
    assert torch.equal(torch.random.get_rng_state(), drawn)


@pytest.mark.parametrize(
    ("device", "cores", "processes", "expected"),
    [("cpu", 64, 1, 0), ("cuda", 64, 1, 8), ("cuda", 16, 4, 4), ("cuda", 2, 4, 1), ("mps", None, 1, 1)],
)
def test_default_number_of_workers(
    device: str, cores: int | None, processes: int, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    assert default_workers(torch.device(device), processes) == expected
