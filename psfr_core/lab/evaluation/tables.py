"""Write tables of metrics as CSV, JSON and Markdown."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Mapping, Sequence
from io import StringIO
from pathlib import Path

import torch

from ...files import write_text
from .stage import Row


def means_of(rows: Mapping[str, Row]) -> Row:
    """Return the mean of the finite values of each column, or of all values except NaN if none is finite.

    A column of NaN values has the mean NaN. The PSNR of equal images is infinite.
    """
    columns = list(next(iter(rows.values())))
    values = torch.tensor([[row[column] for column in columns] for row in rows.values()], dtype=torch.float64)
    finite_means = values.where(values.isfinite(), torch.nan).nanmean(0)
    means = finite_means.where(finite_means.isfinite(), values.nanmean(0))
    return dict(zip(columns, means.tolist(), strict=True))


def missing_of(rows: Mapping[str, Row]) -> dict[str, int]:
    """Return the number of NaN values in each column that contains NaN."""
    return _counts(rows, math.isnan)


def infinite_of(rows: Mapping[str, Row]) -> dict[str, int]:
    """Return the number of infinite values in each column that contains infinity."""
    return _counts(rows, math.isinf)


def _counts(rows: Mapping[str, Row], test: Callable[[float], bool]) -> dict[str, int]:
    counts = {column: sum(test(row[column]) for row in rows.values()) for column in next(iter(rows.values()))}
    return {column: count for column, count in counts.items() if count}


def write_tables(folder: Path, rows: Mapping[str, Row], summary: Mapping[str, object], markdown: str) -> None:
    """Write ``images.csv``, ``summary.json`` and ``summary.md`` into ``folder``, which is created if necessary.

    The CSV has one line per row, with blanks for NaN. The JSON has the number of rows, the means, the numbers of missing and
    infinite values, and the entries of ``summary``. Means that are not finite are null. ``markdown`` is the text of
    ``summary.md``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    counts = {"missing": missing_of(rows), "infinite": infinite_of(rows)}
    content = {"count": len(rows), "mean": finite(means_of(rows)), **counts, **summary}
    summary_json, summary_md, images_csv = table_files(folder)
    write_text(summary_json, json.dumps(content, indent=2) + "\n")
    write_text(summary_md, markdown)
    table = StringIO(newline="")
    writer = csv.writer(table)
    writer.writerow(["name", *next(iter(rows.values()))])
    for name, row in rows.items():
        writer.writerow([name, *("" if math.isnan(value) else value for value in row.values())])
    write_text(images_csv, table.getvalue())


def table_files(folder: Path) -> list[Path]:
    """Return the files that ``write_tables`` writes into ``folder``."""
    return [folder / name for name in ("summary.json", "summary.md", "images.csv")]


def finite(row: Mapping[str, float]) -> dict[str, float | None]:
    """Return a copy of ``row`` with None in place of values that are not finite."""
    return {column: value if math.isfinite(value) else None for column, value in row.items()}


def markdown_table(head: Sequence[str], *rows: Sequence[str]) -> str:
    """Return a Markdown table with the header ``head`` and one line per row."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def format_value(value: float) -> str:
    """Format a value with four decimals, and NaN as "missing"."""
    return "missing" if math.isnan(value) else f"{value:.4f}"


def variant_table(rows: Mapping[str, Mapping[str, Row]]) -> str:
    """Average ``rows`` over the faces, and return a Markdown table with one line per variant.

    The keys of ``rows`` are the faces and, for each face, the variants.
    """
    variants = list(next(iter(rows.values())))
    means = {variant: means_of({name: of_face[variant] for name, of_face in rows.items()}) for variant in variants}
    columns = list(next(iter(means.values())))
    return markdown_table(
        [f"mean of {len(rows)}", *columns],
        *([variant, *(format_value(mean[column]) for column in columns)] for variant, mean in means.items()),
    )
