"""Restore portrait.mp4, and show frames and their flicker: the picture of the example and that of the README.

python make_pictures.py
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from make_clip import FRAMES, clean_photo, similarity
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from psfr_core import VideoOptions, load_models, restore_video
from psfr_core.images.box import Size
from psfr_core.images.similarity import invert_affine
from psfr_core.images.warp import warp_affine
from psfr_core.lab.clip_files import read_clip
from psfr_core.video.encoding import EncodingOptions
from psfr_core.video.steady_alignment import Smoothing

HERE = Path(__file__).parent
SHOWN = (4, 12, 20, 28, 36)
FACE = (slice(None), slice(130, 420), slice(110, 400))  # of the photo
METHODS = {
    "frame by frame": VideoOptions(Smoothing.NONE, 0, encoding=EncodingOptions(lossless=True)),
    "one video": VideoOptions(encoding=EncodingOptions(lossless=True)),
}
COLORS = {"before": "gray", "frame by frame": "firebrick", "one video": "seagreen"}


def flicker(frames: list[Tensor], photo: Tensor) -> list[float]:
    """Return the mean change of the face from frame to frame without its motion, in 255ths."""
    size = Size.of(photo)
    still = [
        warp_affine(frame, invert_affine(similarity(photo, index / FRAMES)), size)[FACE]
        for index, frame in enumerate(frames)
    ]
    return [255 * float((new - old).abs().mean()) for old, new in pairwise(still)]


def strip(rows: dict[str, list[Tensor]]) -> Image.Image:
    """Show some frames of each row."""
    pixels = torch.cat([torch.cat([frames[index] for index in SHOWN], dim=2) for frames in rows.values()], dim=1)
    picture = Image.fromarray((pixels.permute(1, 2, 0) * 255).round().byte().numpy())
    draw = ImageDraw.Draw(picture)
    for index, name in enumerate(rows):
        draw.text((8, 320 * index + 6), name, "white", ImageFont.load_default(22), stroke_width=2, stroke_fill="black")
    return picture


def plot(curves: dict[str, list[float]], width: int, height: int) -> Image.Image:
    """Draw the flicker of each row over time."""
    picture = Image.new("RGB", (width, height), "white")
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(22)
    left, top, bottom = 60, 60, height - 20
    scale = (bottom - top) / max(max(curve) for curve in curves.values())
    for level in range(int((bottom - top) / scale) + 1):
        draw.line((left, bottom - level * scale, width - 20, bottom - level * scale), "lightgray")
        draw.text((20, bottom - level * scale - 12), str(level), "black", font)
    draw.text((left, 4), "change of the face from frame to frame, in 255ths", "black", font)
    for index, (name, curve) in enumerate(curves.items()):
        step = (width - 20 - left) / (len(curve) - 1)
        draw.line([(left + step * n, bottom - scale * value) for n, value in enumerate(curve)], COLORS[name], 3)
        draw.text((left + 560 + 260 * index, 4), f"{name}: {sum(curve) / len(curve):.1f}", COLORS[name], font)
    return picture


photo = clean_photo()
rows = {"before": read_clip(HERE / "portrait.mp4")}
with TemporaryDirectory() as folder:
    for name, options in METHODS.items():
        restore_video(HERE / "portrait.mp4", Path(folder) / "out.mkv", load_models(), video=options)
        rows[name] = read_clip(Path(folder) / "out.mkv")
frames = strip(rows)
curves = plot({name: flicker(of_row, photo) for name, of_row in rows.items()}, frames.width, 320)
whole = Image.new("RGB", (frames.width, frames.height + curves.height), "white")
whole.paste(frames)
whole.paste(curves, (0, frames.height))
whole.resize((whole.width * 3 // 4, whole.height * 3 // 4)).save(HERE.parent / "steady_faces.jpg", quality=85)
before, after = (frames.crop((0, top, frames.width, top + 320)) for top in (0, 640))
pair = Image.new("RGB", (frames.width, 640))
pair.paste(before)
pair.paste(after, (0, 320))
pair.resize((pair.width * 2 // 3, pair.height * 2 // 3)).save(HERE.parent / "15_a_video.jpg", quality=85)
