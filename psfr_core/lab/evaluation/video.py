"""Compare the restoration of a clip as one video with the restoration of each frame by itself."""

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
    """Yield the folder for the clips of the face ``name``: a folder in ``out``, or a temporary one if ``out`` is None."""
    if out is None:
        with TemporaryDirectory() as temporary:
            yield Path(temporary)
    else:
        folder = out / CLIPS_FOLDER / name
        folder.mkdir(parents=True, exist_ok=True)
        yield folder


@torch.no_grad()
def video_rows(face: Tensor, seed: int, models: RestorationModels, lpips: Lpips, folder: Path) -> Mapping[str, Row]:
    """Return one row for the degraded clip of the clean aligned ``face`` (3, S, S), S = FACE_SIDE, and one for each of METHODS.

    The frames are aligned with the face and compared with those of the clean clip in the face regions that are pasted. ``lpips``
    and ``psnr``, in dB, are means over the frames. ``temporal_error`` is the mean absolute change of the error from one frame to
    the next. ``change_error`` is the mean absolute error at the pixels that a blink or an occlusion changes, or NaN if there are
    no such pixels. Both errors are in 255ths of the value range. The files of the clips are written into ``folder``.
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
    """Compare ``frames``, a degraded or restored version of ``clip``, with its clean frames; see ``video_rows``.

    Only the pixels of the face where ``mask`` (1, S, S) is true are compared.
    """
    faces, truths = (_in_face_coordinates(images, clip.motions) for images in (frames, clip.frames))
    errors = (faces - truths) * mask
    area = 3 * int(mask.sum())
    temporal = torch.stack([(new - old).abs().sum() / area for old, new in pairwise(errors)])
    psnr = -10 * (errors.square().sum((1, 2, 3)) / area).log10()
    changes = [errors[index][:, (place & mask)[0]].abs().mean() for index, place in clip.changes.items()]
    distances = [lpips(face[None].where(mask, truth), truth[None]) for face, truth in zip(faces, truths, strict=True)]
    return {
        "temporal_error": 255 * float(temporal.mean()),
        "lpips": float(torch.stack(distances).mean()),
        "psnr": float(psnr.mean()),
        "change_error": 255 * float(torch.stack(changes).nanmean()),
    }


def _in_face_coordinates(frames: Sequence[Tensor], motions: Sequence[Tensor]) -> Tensor:
    """Align the frames (3, H, W) with the face by the inverse ``motions``, and return the faces (N, 3, S, S)."""
    size = Size(FACE_SIDE, FACE_SIDE)
    pairs = zip(frames, motions, strict=True)
    return torch.stack([warp_affine(frame, invert_affine(motion), size) for frame, motion in pairs])
