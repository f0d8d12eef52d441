from __future__ import annotations

from pathlib import Path

import pytest

from psfr_core.errors import OptionError
from psfr_core.lab.evaluation.protocol import PAPER, EvaluationProtocol

FILES = [Path(f"{number:05}.jpg") for number in range(30_000)]


def test_the_paper_measures_2800_faces_at_512_pixels() -> None:
    assert (PAPER.count, PAPER.size) == (2_800, 512)
    drawn = PAPER.draw(FILES)
    assert len(set(drawn)) == 2_800
    assert drawn == sorted(drawn)
    assert drawn == PAPER.draw(FILES)
    # published results depend on this sample
    assert drawn[:3] == [Path("00007.jpg"), Path("00008.jpg"), Path("00011.jpg")]


def test_another_seed_draws_other_faces() -> None:
    draws = [EvaluationProtocol(10, 64, seed).draw(FILES[:100]) for seed in (0, 1)]
    assert draws[0] != draws[1]


def test_too_few_faces_are_an_error() -> None:
    with pytest.raises(OptionError, match="measures 2,800 faces, but only 2,799 were found"):
        PAPER.draw(FILES[:2_799])
