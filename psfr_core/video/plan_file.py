"""Save and load plans of videos."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from ..errors import VideoFileError
from ..files import atomic_write
from .clip_plan import ClipPlan
from .face_plan import CropTransforms, FacePlan
from .tracks import Track

# Names of the tensors (N, ...) per track, which are stored as one tensor for all tracks.
_OF_TRACKS = ("landmarks", "boxes", "scores", "transforms", "strengths", "crop_transforms")


def save_plan(path: Path, plan: ClipPlan, notes: str = "") -> None:
    """Write ``plan`` and ``notes``, a text such as its settings, atomically to a .safetensors file.

    Raises OSError if the file cannot be written.
    """
    faces = plan.faces
    registered = faces.registered or CropTransforms(0, [])
    lists = (
        [track.landmarks for track in faces.tracks],
        [track.boxes for track in faces.tracks],
        [track.scores for track in faces.tracks],
        faces.transforms,
        faces.strengths,
        registered.of_tracks,
    )
    tensors = {name: torch.cat(list(parts)) for name, parts in zip(_OF_TRACKS, lists, strict=True) if len(parts)}
    tensors["track_starts"] = torch.tensor([track.start for track in faces.tracks], dtype=torch.int64)
    tensors["track_lengths"] = torch.tensor([len(track) for track in faces.tracks], dtype=torch.int64)
    tensors["sides"] = torch.tensor(faces.sides, dtype=torch.float64)
    tensors["repeats"] = torch.tensor(sorted(faces.repeats), dtype=torch.int64)
    tensors["timestamps"] = torch.tensor(plan.timestamps, dtype=torch.int64)
    tensors["checksums"] = torch.tensor(plan.checksums, dtype=torch.int64)
    numbers = {"crop_size": registered.size, "shot_count": plan.shot_count, "damage": plan.damage}
    atomic_write(path, save(tensors, {"plan": json.dumps(numbers), "notes": notes}))


def read_notes(path: Path) -> str:
    """Return the text that was stored with the plan in ``path``. Raise VideoFileError if the file is not a plan."""
    return _read(path)[1]["notes"]


def load_plan(path: Path) -> ClipPlan:
    """Return the plan in ``path``. Raise VideoFileError if the file is not a plan."""
    tensors, texts = _read(path)
    try:
        return _plan(tensors, json.loads(texts["plan"]))
    except (LookupError, TypeError, ValueError, RuntimeError) as error:
        raise _not_a_plan(path, error) from error


def _plan(tensors: dict[str, Tensor], numbers: dict[str, Any]) -> ClipPlan:
    borders = [0, *accumulate(tensors["track_lengths"].tolist())]
    parts: dict[str, list[Tensor]] = {
        name: [tensors[name][start:stop] for start, stop in pairwise(borders)] for name in _OF_TRACKS if name in tensors
    }
    timestamps: Sequence[int] = tensors["timestamps"].tolist()
    checksums: Sequence[int] = tensors["checksums"].tolist()
    if not 0 < len(timestamps) == len(checksums):
        raise ValueError(f"it has {len(timestamps)} timestamps and {len(checksums)} checksums")
    if any(len(tensors[name]) != borders[-1] for name in _OF_TRACKS if name in tensors):
        raise ValueError(f"the tracks do not have {borders[-1]} faces")
    starts = tensors["track_starts"].tolist()
    described = zip(*(parts.get(name, []) for name in ("landmarks", "boxes", "scores")), strict=True)
    tracks = [Track(start, *of_track) for start, of_track in zip(starts, described, strict=True)]
    faces = FacePlan(
        tracks,
        parts.get("transforms", []),
        parts.get("strengths", []),
        tensors["sides"].tolist(),
        frozenset(tensors["repeats"].tolist()),
        len(timestamps),
        CropTransforms(numbers["crop_size"], parts.get("crop_transforms", [])),
    )
    return ClipPlan(faces, timestamps, checksums, numbers["shot_count"], numbers["damage"])


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    try:
        with safe_open(str(path), "pt") as file:
            texts = dict(file.metadata() or {})
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise _not_a_plan(path, error) from error
    if not {"plan", "notes"} <= set(texts):
        raise _not_a_plan(path, KeyError("plan"))
    return tensors, texts


def _not_a_plan(path: Path, error: Exception) -> VideoFileError:
    return VideoFileError(
        f"{path} cannot be read as the plan of a video ({type(error).__name__}: {error}). Remove it and its segments to plan the "
        "video again."
    )
