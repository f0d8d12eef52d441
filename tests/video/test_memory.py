"""Memory does not grow with the length of a video."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
MEASURE = """
import resource, sys
import torch
from psfr_core.networks.parse_net import ParseNet, ParseNetConfig
from psfr_core.networks.psfr_generator import GeneratorConfig, PsfrGenerator
from psfr_core.faces.face import Face
from psfr_core.faces.template import template_for
from psfr_core.images.box import Box
from psfr_core.restoration.restoration_models import RestorationModels
from psfr_core.video.restore_video import restore_video

class Planted:
    def detect(self, images, options=None, *, progress=None):
        return [[Face(Box(40, 30, 90, 90), template_for(64).float() + 30, 0.9)] for _ in images]

generator = PsfrGenerator(GeneratorConfig((8, 8, 6), 6)).eval()
models = RestorationModels(generator, ParseNet(ParseNetConfig((4, 6), 1)).eval(), Planted())
torch.set_num_threads(1)
print(restore_video(sys.argv[1], sys.argv[2], models).frame_count)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def peak_memory(source: Path, target: Path, count: int) -> int:
    """Return the peak of the resident memory of a process that restores ``source``, in KiB."""
    pytest.importorskip("resource")
    command = [sys.executable, "-c", MEASURE, str(source), str(target)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S603
    frames, peak = map(int, done.stdout.split())
    assert frames == count
    return peak


@pytest.mark.long
def test_2000_frames_need_as_much_memory_as_200(clips: ModuleType, tmp_path: Path) -> None:
    frames = [clips.random_frame("yuv420p", seed, (320, 240)) for seed in range(20)]
    peaks = []
    for count in (200, 2000):
        source = clips.write_clip(tmp_path / f"{count}.mp4", frames * (count // 20), codec="libx264", sound="aac")
        peaks.append(peak_memory(source, tmp_path / f"{count}_restored.mp4", count))
    assert peaks[1] < 1.1 * peaks[0]
