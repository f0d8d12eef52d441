"""Compare the restoration of a clip as one video with that of each frame by itself."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor

from ...images.box import Size
from ...images.similarity import invert_affine
from ...images.warp import warp_affine
from ...parsing.parse_map import ParseMap
from ...parsing.parser import parse_faces
from ...restoration.masks import crop_masks
from ...restoration.paste_options import PasteOptions
from ...restoration.restoration_models import RestorationModels
from ...video.encoding import EncodingOptions
from ...video.restore_video import restore_video
from ...video.steady_alignment import Smoothing
from ...video.video_options import VideoOptions
from ..clip_files import read_clip, write_clip
from ..metrics.lpips import Lpips
from .face_clips import FACE_SIDE, FaceClip, degraded, make_clip
from .stage import Row

CLIPS_FOLDER = "clips"
_LOSSLESS = VideoOptions(encoding=EncodingOptions(lossless=True))
METHODS: Mapping[str, VideoOptions] = {
    "frame by frame": replace(_LOSSLESS, smoothing=Smoothing.NONE, steady_frames=0),
    "one video": _LOSSLESS,
}


@contextmanager
def clip_folder(out: Path | None, name: str) -> Generator[Path]:
    """Yield a new folder for the clips of a face, in ``out`` or temporary."""
    if out is None:
        with TemporaryDirectory() as temporary:
            yield Path(temporary)
    else:
        folder = out / CLIPS_FOLDER / name
        folder.mkdir(parents=True, exist_ok=True)
        yield folder


@torch.no_grad()
def video_rows(face: Tensor, seed: int, models: RestorationModels, lpips: Lpips, folder: Path) -> Mapping[str, Row]:
    """Return one row for the degraded clip of the clean aligned ``face`` (3, S, S), S = FACE_SIDE, and for each of METHODS.

    All are measured in the coordinates of the face, where the regions that are pasted are. ``temporal_error`` is the mean
    absolute change from frame to frame beyond that of the truth, in 255ths. ``change_error`` is the mean absolute error, in
    255ths, of blinks and hidden parts at their places; NaN if no eye is open. The files of the clips stay in ``folder``.
    """
    device = next(models.parse_net.parameters()).device
    parse_map = ParseMap(parse_faces(face[None].to(device), models.parse_net).labels.cpu())
    clip = make_clip(face, parse_map.labels[0], seed)
    mask = crop_masks(FACE_SIDE, PasteOptions(), parse_map)[0] > 0.5
    source = folder / "degraded.mp4"
    write_clip(source, degraded(clip.frames, seed))
    write_clip(folder / "truth.mp4", clip.frames, quality=0)
    rows = {"degraded": clip_row(clip, read_clip(source), mask, lpips)}
    for method, options in METHODS.items():
        target = folder / f"{method.replace(' ', '_')}.mkv"
        restore_video(source, target, models, video=options)
        rows[method] = clip_row(clip, read_clip(target), mask, lpips)
    return rows


def clip_row(clip: FaceClip, frames: Sequence[Tensor], mask: Tensor, lpips: Callable[[Tensor, Tensor], Tensor]) -> Row:
    """Measure the ``frames`` of a ``clip`` where ``mask`` (1, S, S) of the face is true; ``video_rows`` explains the columns."""
    faces, truths = (_in_face_coordinates(images, clip.motions) for images in (frames, clip.frames))
    errors = (faces - truths) * mask
    area = 3 * int(mask.sum())
    temporal = torch.stack([(new - old).abs().sum() / area for old, new in pairwise(errors)])
    psnr = -10 * (errors.square().sum((1, 2, 3)) / area).log10()
    changes = [errors[index][:, place[0]].abs().mean() for index, place in clip.changes.items()]
    distances = [lpips(face[None].where(mask, truth), truth[None]) for face, truth in zip(faces, truths, strict=True)]
    return {
        "temporal_error": 255 * float(temporal.mean()),
        "lpips": float(torch.stack(distances).mean()),
        "psnr": float(psnr.mean()),
        "change_error": 255 * float(torch.stack(changes).nanmean()),
    }


def _in_face_coordinates(frames: Sequence[Tensor], motions: Sequence[Tensor]) -> Tensor:
    size = Size(FACE_SIDE, FACE_SIDE)
    pairs = zip(frames, motions, strict=True)
    return torch.stack([warp_affine(frame, invert_affine(motion), size) for frame, motion in pairs])
