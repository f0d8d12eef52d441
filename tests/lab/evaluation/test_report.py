from __future__ import annotations

import csv
import json
from html.parser import HTMLParser
from pathlib import Path

import pytest
import torch

from psfr_core.images.io import read_image
from psfr_core.lab.evaluation.page import CaseGroup
from psfr_core.lab.evaluation.report import chosen_cases, write_report
from psfr_core.lab.evaluation.result import EvaluationResult
from psfr_core.lab.evaluation.sources import Sample
from psfr_core.lab.evaluation.stage import Stage
from psfr_core.lab.metrics.psnr import PSNR

UNSAFE_NAME = '<b>&"|.png'


class Page(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.images: list[str] = []
        self.tags: list[str] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.images += [value or "" for name, value in attrs if name == "src"]

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize(
    ("count", "sizes"),
    [(1, (1, 0, 0)), (2, (1, 0, 1)), (3, (1, 1, 1)), (7, (2, 2, 2)), (24, (8, 8, 8)), (99, (8, 8, 8))],
)
def test_no_face_is_shown_twice(count: int, sizes: tuple[int, int, int]) -> None:
    names = [f"{number:02}" for number in range(count)]
    cases = chosen_cases(names)
    assert tuple(map(len, cases.values())) == sizes
    shown = [name for group in cases.values() for name in group]
    assert len(set(shown)) == len(shown)
    assert shown == sorted(shown)


def test_the_median_is_in_the_middle() -> None:
    cases = chosen_cases([f"{number:02}" for number in range(99)])
    assert cases[CaseGroup.WORST] == [f"{number:02}" for number in range(8)]
    assert cases[CaseGroup.MEDIAN] == [f"{number:02}" for number in range(45, 53)]
    assert cases[CaseGroup.BEST][-1] == "98"


def test_a_report_has_tables_and_a_page_with_its_images(tmp_path: Path) -> None:
    rows = {
        name: {"psnr_before": 10.0, "psnr": value} for name, value in (("a.png", 30.0), (UNSAFE_NAME, float("nan")))
    }
    distances = {"frechet_x_before": 2.0, "frechet_x": 1.0}
    result = EvaluationResult(rows, (Stage.BEFORE, Stage.RESULT), [PSNR], ["frechet_x"], distances)
    images = {Stage.BEFORE: torch.full((1, 3, 1024, 600), 0.2), Stage.RESULT: torch.full((1, 3, 1024, 600), 0.4)}
    sample = Sample(torch.full((1, 3, 1024, 600), 0.6), images)
    write_report(tmp_path / "out", result, lambda _: sample, rank_by=PSNR, settings={"seed": "<0>"})

    summary = json.loads((tmp_path / "out/summary.json").read_text())
    assert summary["mean"] == {"psnr_before": 10.0, "psnr": 30.0}
    assert summary["missing"] == {"psnr": 1}
    assert summary["infinite"] == {}
    assert summary["distances"] == distances
    assert (summary["rank_by"], summary["settings"], summary["count"]) == ("psnr", {"seed": "<0>"}, 2)
    with (tmp_path / "out/images.csv").open(newline="") as file:
        assert list(csv.reader(file)) == [
            ["name", "psnr_before", "psnr"],
            ["a.png", "10.0", "30.0"],
            [UNSAFE_NAME, "10.0", ""],
        ]
    assert "| result | 30.0000 | 1.0000 |" in (tmp_path / "out/summary.md").read_text()

    page = Page((tmp_path / "out/report.html").read_text())
    assert "b" not in page.tags
    assert UNSAFE_NAME in page.text
    assert page.text.index(UNSAFE_NAME) < page.text.index("a.png")  # missing values count as worst
    assert len(page.images) == 6
    values = [read_image(tmp_path / "out" / path).pixels for path in page.images[:3]]
    assert [tuple(value.shape) for value in values] == [(3, 512, 300)] * 3
    assert [value.mean().item() for value in values] == pytest.approx([0.2, 0.4, 0.6], abs=0.01)
    assert all(word in page.text for word in ("<0>", "Worst by psnr", "Best by psnr", "missing", "1 of 2"))
