"""What a run folder says of its run: config.json, log.csv and validation.csv."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

from ..errors import TrainingError
from ..files import sha256_of, write_whole

CHECKPOINT, CONFIG, LOG, VALIDATION = "checkpoint.pt", "config.json", "log.csv", "validation.csv"
# What may be another when a run goes on: it changes no sample and no weight that was there.
FREE_SETTINGS = frozenset(
    f"loop.{name}"
    for name in ("steps", "log_every", "checkpoint_every", "validate_every", "workers", "accumulation_steps")
)


def record_run(folder: Path, settings: Mapping[str, Any], circumstances: Mapping[str, Any]) -> None:
    """Writes config.json: ``settings``, and under ``runs`` the circumstances of each time the run was begun or went on.

    Raises TrainingError when there is a checkpoint and it was made with other settings.
    """
    path = folder / CONFIG
    as_read: dict[str, Any] = json.loads(json.dumps(settings))
    runs: list[Any] = []
    if (folder / CHECKPOINT).exists():
        earlier = _read_config(path)
        _check_same(path, earlier["settings"], as_read)
        runs = earlier["runs"]
    content = {"settings": as_read, "runs": [*runs, dict(circumstances)]}
    write_whole(path, (json.dumps(content, indent=2) + "\n").encode())


def identified(setting: Any) -> Any:
    """A setting as config.json keeps it: of a folder its place and number of files, of a file its name and hash.

    Raises TrainingError for a file that cannot be read.
    """
    if isinstance(setting, list):
        return [identified(part) for part in cast("list[Any]", setting)]
    if not isinstance(setting, Path):
        return setting
    if setting.is_dir():
        return {"folder": str(setting.resolve()), "files": sum(1 for path in setting.rglob("*") if path.is_file())}
    if not setting.is_file():
        return str(setting)
    try:
        return {"file": setting.name, "sha256": sha256_of(setting)}
    except OSError as error:
        raise TrainingError(
            f"{setting} is named in the settings and cannot be read ({error.strerror or error}). Check its permissions."
        ) from error


def append_row(path: Path, row: Mapping[str, float]) -> None:
    """Adds a row to a CSV file, with its header when it is new."""
    new = _is_empty(path)
    try:
        with path.open("a", newline="") as file:
            writer = csv.DictWriter(file, list(row))
            if new:
                writer.writeheader()
            writer.writerow(
                {name: f"{value:.6g}" if isinstance(value, float) else value for name, value in row.items()}
            )
    except OSError as error:
        raise TrainingError(
            f"{path} cannot be written ({error.strerror}). Make room, and give the same command again."
        ) from error


def drop_rows_after(path: Path, step: int) -> None:
    """Removes the rows of later steps, which a run that goes on from ``step`` makes again, and a row cut off."""
    if _is_empty(path):
        return
    header, *rows = path.read_bytes().splitlines(keepends=True)
    kept = [row for row in rows if row.endswith(b"\n") and int(row.split(b",")[0]) <= step]
    if kept:
        write_whole(path, header + b"".join(kept))
    else:
        path.unlink()


def _is_empty(path: Path) -> bool:
    """Whether there is no such file, or one that a full disk kept from getting its header."""
    return not path.exists() or path.stat().st_size == 0


def _read_config(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
        return {"settings": dict(content["settings"]), "runs": list(content["runs"])}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TrainingError(
            f"{path} does not say how the checkpoint beside it was made ({type(error).__name__}: {error}), "
            "so the run cannot go on. Choose another run folder."
        ) from error


def _check_same(path: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    old, new = dict(_flat(before)), dict(_flat(now))
    names = [name for name in {**old, **new} if name not in FREE_SETTINGS and old.get(name) != new.get(name)]
    if names:
        changes = "; ".join(f"{name} was {_shown(old.get(name))}, is {_shown(new.get(name))}" for name in names)
        raise TrainingError(
            f"The run in {path.parent} was begun with other settings: {changes}. "
            "Give those it was begun with, or choose another run folder."
        )


def _shown(value: Any) -> str:
    return "not given" if value is None else json.dumps(value)


def _flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Nested settings by dotted names."""
    for name, value in settings.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
