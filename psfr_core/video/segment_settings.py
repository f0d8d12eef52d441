"""Describe the settings of the segments of a video, so that other settings are refused on resume."""

from __future__ import annotations

import json
from dataclasses import fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any, cast

from torch import nn

from .. import __version__
from ..changed_settings import changed_settings
from ..errors import OptionError
from ..files import sha256_of
from ..networks.fingerprint import fingerprint
from ..restoration.restoration_models import RestorationModels
from ..restoration.restore_options import RestoreOptions
from .encoding import Encoding
from .video_options import VideoOptions

# Settings that may change on resume, because they change results by no more than rounding.
_CHANGEABLE_SETTINGS = frozenset({"restore.batch_size", "restore.detection.batch_size"})


def describe_settings(
    source: Path,
    models: RestorationModels,
    options: RestoreOptions,
    video: VideoOptions,
    encoding: Encoding,
    segment_frames: int,
) -> str:
    """Return JSON text with everything that affects the segments of ``source``, including hashes of the file and the models."""
    network = getattr(models.detector, "network", None)
    device = next(models.generator.parameters()).device
    return json.dumps(
        {
            "version": __version__,
            "source": {"size": source.stat().st_size, "sha256": sha256_of(source)},
            "restore": _plain(options),
            "video": _plain(video),
            "encoding": _plain(encoding),
            "segment_frames": segment_frames,
            "device": device.type,
            "models": {
                "generator": fingerprint(models.generator),
                "parser": fingerprint(models.parse_net),
                "detector": fingerprint(network) if isinstance(network, nn.Module) else type(models.detector).__name__,
            },
        }
    )


def check_same(folder: Path, before: str, now: str) -> None:
    """Raise OptionError if ``before`` cannot be read, or differs from ``now`` in a setting that must not change on resume.

    Both are texts of ``describe_settings``. The message names the settings that differ.
    """
    try:
        former: Any = json.loads(before)
    except ValueError:
        former = None
    if not isinstance(former, dict):
        raise OptionError(f"The settings in {folder} cannot be read. Delete the folder to start over.")
    changes = changed_settings(cast("dict[str, Any]", former), json.loads(now), _CHANGEABLE_SETTINGS)
    if changes:
        raise OptionError(
            f"The parts in {folder} began with other settings: {changes}. Restore the former settings, or delete the folder to "
            "start over."
        )


def _plain(value: Any) -> Any:
    """Return ``value`` as numbers, texts, lists and dicts, which JSON can store."""
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, (set, frozenset)):
        return sorted(_plain(part) for part in cast("set[Any]", value))
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in cast("list[Any]", value)]
    return value
