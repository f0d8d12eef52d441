"""Test that the memory does not grow with the number of files."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from psfr_core.images.io import ImageFile, write_image

ROOT = Path(__file__).parents[2]
COUNT = 10_000  # takes two minutes on an idle core
MEASURE = """
import resource, sys
from pathlib import Path
import torch
from psfr_core.bulk.restore_files import FileJob, restore_files
from psfr_core.networks.parse_net import ParseNet, ParseNetConfig
from psfr_core.networks.psfr_generator import GeneratorConfig, PsfrGenerator
from psfr_core.faces.face import Face
from psfr_core.faces.template import template_for
from psfr_core.images.box import Box
from psfr_core.restoration.restoration_models import RestorationModels

class Planted:
    def detect(self, images, options=None, *, progress=None):
        return [[Face(Box(10, 5, 50, 45), template_for(40).float() + 10, 0.9)] for _ in images]

generator = PsfrGenerator(GeneratorConfig((8, 8, 6), 6)).eval()
models = RestorationModels(generator, ParseNet(ParseNetConfig((4, 6), 1)).eval(), Planted())
torch.set_num_threads(1)
source, folder, count = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
jobs = [FileJob(source, folder / f"{number}.png") for number in range(count)]
for done, result in enumerate(restore_files(jobs, models), start=1):
    assert result.faces == 1
    if done in (100, count):
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.long
def test_ten_thousand_files_need_as_much_memory_as_a_hundred(tmp_path: Path) -> None:
    pytest.importorskip("resource")
    write_image(tmp_path / "a.png", ImageFile(torch.rand(3, 48, 64)))
    command = [sys.executable, "-c", MEASURE, str(tmp_path / "a.png"), str(tmp_path / "out"), str(COUNT)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S603
    early, late = map(int, done.stdout.split())
    assert late < 1.05 * early
    assert len(list((tmp_path / "out").iterdir())) == COUNT
