"""Write and check the files of a run folder: recipe.yaml, runs.json, log.csv and validation.csv."""

from __future__ import annotations

import csv
import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import yaml

from ...changed_settings import changed_settings, flat_settings
from ...errors import TrainingError
from ...files import atomic_write, read_json, read_regular_file, sha256_of, visible_files
from ...models.library import ModelLibrary
from ...models.manifest import is_model_name, model_file
from .recipe_file import HasKind, to_yaml

CHECKPOINT, RECIPE, RUNS = "checkpoint.pt", "recipe.yaml", "runs.json"
LOG, VALIDATION = "log.csv", "validation.csv"
# Settings that may change on resume. None of them affects the samples. Only two affect the weights: ``steps`` through the
# learning rate of the following steps, and ``accumulation_steps`` through the statistics of batch normalization.
CHANGEABLE_SETTINGS = frozenset(
    {"license"}
    | {
        f"loop.{name}"
        for name in ("steps", "log_every", "checkpoint_every", "validate_every", "workers", "accumulation_steps")
    }
)

# Fields of recipes that name models, files or folders, whose content affects the result.
SOURCES = frozenset(
    {"faces", "labels", "val_faces", "val_labels", "backgrounds", "degradation"}
    | {"start_from", "parser", "features", "heads", "identity", "teacher", "first", "second"}
)


_MAX_STEP_DIGITS = 18  # a number with this many digits or more is not a step but damage


def record_run(folder: Path, recipe: HasKind, environment: Mapping[str, Any]) -> None:
    """Write recipe.yaml, and append the environment of a started or resumed run to runs.json.

    If the folder has no checkpoint, earlier entries of runs.json are removed. Raises TrainingError if the folder contains a
    checkpoint of another recipe, of other data or of unknown origin, or if a file that the recipe names cannot be read.
    """
    folder.mkdir(parents=True, exist_ok=True)
    text = to_yaml(recipe)
    inputs = fingerprints(yaml.safe_load(text))
    runs: list[Any] = []
    if (folder / CHECKPOINT).exists():
        earlier = _read_runs(folder / RUNS)
        _check_same(folder, _read_recipe(folder / RECIPE), yaml.safe_load(text))
        _check_same(folder, earlier["inputs"], _in_form_of(earlier["inputs"], inputs))
        runs = earlier["runs"]
    atomic_write(folder / RECIPE, text.encode())
    content = {"inputs": inputs, "runs": [*runs, dict(environment)]}
    atomic_write(folder / RUNS, (json.dumps(content, indent=2) + "\n").encode())


def record_end(folder: Path) -> None:
    """Record in runs.json that the last run is finished. Raise TrainingError if the file is damaged."""
    content = _read_runs(folder / RUNS)
    content["runs"][-1]["finished"] = True
    atomic_write(folder / RUNS, (json.dumps(content, indent=2) + "\n").encode())


def _in_form_of(earlier: Mapping[str, str], inputs: Mapping[str, str]) -> dict[str, str]:
    """Return ``inputs`` without the hashes of folders where ``earlier``, recorded by version 0.4 or earlier, has none."""
    counts = {name: re.sub(r", sha256 \w+ of their names and sizes", "", text) for name, text in inputs.items()}
    return {name: counts[name] if counts[name] == earlier.get(name) else text for name, text in inputs.items()}


def is_finished(folder: Path, recipe: HasKind) -> bool:
    """Return whether the last run in ``folder`` is finished and had the same recipe and the same inputs.

    Raises TrainingError if recipe.yaml or runs.json is damaged, or if a file that the recipe names cannot be read.
    """
    if not ((folder / RECIPE).exists() and (folder / RUNS).exists()):
        return False
    settings, recorded = yaml.safe_load(to_yaml(recipe)), _read_runs(folder / RUNS)
    is_same = not changed_settings(_read_recipe(folder / RECIPE), settings)
    return is_same and recorded["runs"][-1].get("finished", False) and recorded["inputs"] == fingerprints(settings)


def fingerprints(settings: Mapping[str, Any]) -> dict[str, str]:
    """Return the fingerprints of all existing models, files and folders in ``settings``, by dotted name of the setting.

    The fingerprint of a file is the hash of its content. That of a folder is the number of its files and a hash of their paths
    and sizes; hidden files are ignored. Raises TrainingError if a file cannot be read.
    """
    named = ((name, value) for name, value in flat_settings(settings) if name.rpartition(".")[2] in SOURCES)
    return {name: found for name, value in named if (found := _fingerprint(value))}


def _fingerprint(value: Any) -> str | None:
    if isinstance(value, list):
        found = [_fingerprint(part) for part in cast("list[Any]", value)]
        return ", ".join(part for part in found if part) or None
    if not isinstance(value, str):
        return None
    path = ModelLibrary().find(model_file(value)) if is_model_name(value) else Path(value)
    if path is None or not path.exists():
        return None
    try:
        if path.is_dir():
            return _fingerprint_of_folder(path)
        return f"sha256 {sha256_of(path)}"
    except OSError as error:
        raise TrainingError(
            f"{path} is named in the recipe and cannot be read ({error.strerror or error}). Check its permissions."
        ) from error


def _fingerprint_of_folder(folder: Path) -> str:
    files = visible_files(folder)
    digest = hashlib.sha256()
    for path in files:
        digest.update(f"{path.relative_to(folder).as_posix()} {path.stat().st_size}\n".encode(errors="surrogateescape"))
    return f"{len(files)} files, sha256 {digest.hexdigest()[:16]} of their names and sizes"


def append_row(path: Path, row: Mapping[str, float]) -> None:
    """Append a row to a CSV file, which gets a header if it is new. Raise TrainingError if the file cannot be written."""
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
            f"{path} cannot be written ({error.strerror}). Free disk space and repeat the command."
        ) from error


def drop_rows_after(path: Path, step: int) -> None:
    """Remove an incomplete last row and all rows after ``step``, which a resumed run writes again.

    If no row remains, the file is removed. Raises TrainingError if a row does not begin with the number of a step.
    """
    if _is_empty(path):
        return
    header, *rows = path.read_bytes().splitlines(keepends=True)
    whole = [(number, row) for number, row in enumerate(rows, start=2) if row.endswith(b"\n")]
    kept = [row for number, row in whole if _step_of(path, number, row) <= step]
    if kept:
        atomic_write(path, header + b"".join(kept))
    else:
        path.unlink()


def _step_of(path: Path, number: int, row: bytes) -> int:
    first = row.partition(b",")[0]
    if not (first.isdigit() and len(first) < _MAX_STEP_DIGITS):
        text = row[:40].decode(errors="backslashreplace").strip()
        raise TrainingError(
            f"Line {number} of {path} does not begin with the number of a step: {text!r}. Remove it to resume the run."
        )
    return int(first)


def _is_empty(path: Path) -> bool:
    """Return whether the file is missing, or empty because a full disk prevented its header."""
    return not path.exists() or path.stat().st_size == 0


def _read_runs(path: Path) -> dict[str, Any]:
    try:
        content = read_json(path)
        runs = [dict(run) for run in content["runs"]]
        if not runs:
            raise ValueError("the list of runs is empty")
        return {"inputs": dict(content["inputs"]), "runs": runs}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _unknown_origin(path, error) from error


def _read_recipe(path: Path) -> dict[str, Any]:
    try:
        return dict(yaml.safe_load(read_regular_file(path)))
    except (OSError, ValueError, TypeError, RecursionError, yaml.YAMLError) as error:
        raise _unknown_origin(path, error) from error


def _unknown_origin(path: Path, error: Exception) -> TrainingError:
    reason = str(error).split("\n")[0]
    return TrainingError(
        f"{path} does not describe the run of the checkpoint beside it ({type(error).__name__}: {reason}), so the run cannot "
        "resume. Run folders of version 0.3 lack this file: finish them with that version, or choose another run folder."
    )


def _check_same(folder: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    changes = changed_settings(before, now, CHANGEABLE_SETTINGS)
    if changes:
        raise TrainingError(
            f"The run in {folder} began with another recipe or other data: {changes}. "
            "Restore the former values, or choose another run folder."
        )
