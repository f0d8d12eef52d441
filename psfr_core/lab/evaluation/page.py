"""Format the results of an evaluation as an HTML page with metrics and sample faces."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from html import escape
from urllib.parse import quote

from ..metrics.metric import Metric
from .result import EvaluationResult
from .tables import format_value

_STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 70rem; margin: 2rem auto; padding: 0 1rem; }
.table { overflow-x: auto; margin-top: 1rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { border: 1px solid GrayText; padding: 0.2rem 0.6rem; text-align: right; }
th:first-child { text-align: left; }
section { display: flex; flex-wrap: wrap; gap: 0.75rem; margin: 0 0 2rem; }
h3 { flex-basis: 100%; margin: 0; font-size: 1rem; overflow-wrap: anywhere; }
figure { margin: 0; flex: 1 1 8rem; max-width: 22rem; }
img { width: 100%; display: block; }
figcaption { font-size: 0.85rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 0 0.75rem; margin: 0; }
dd { margin: 0; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
"""


class CaseGroup(str, Enum):
    """Group of faces on the page."""

    WORST = "worst"
    MEDIAN = "median"
    BEST = "best"


@dataclass(frozen=True)
class ShownImage:
    """Image on the page: its title, its path relative to the page, and its metrics by name."""

    title: str
    file: str
    metrics: Mapping[str, float]


@dataclass(frozen=True)
class ShownFace:
    """Images of one face, shown side by side."""

    name: str
    images: Sequence[ShownImage]


def page(
    result: EvaluationResult,
    faces: Mapping[CaseGroup, Sequence[ShownFace]],
    rank_by: Metric,
    settings: Mapping[str, str],
) -> str:
    """Return the HTML page: ``settings``, the summary, and the ``faces`` of each group that is not empty.

    The headings of the groups name the metric ``rank_by``.
    """
    title = f"Evaluation of {len(result.rows)} images"
    notes = "".join(f"<p>{escape(note)}.</p>" for note in result.notes)
    groups = "".join(
        f"<h2>{_words(group.value).capitalize()} by {_words(rank_by.name)}</h2>\n{''.join(map(_face, of_group))}"
        for group, of_group in faces.items()
        if of_group
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title>\n<style>{_STYLE}</style></head>\n<body>\n<h1>{title}</h1>\n"
        f"{_list(settings.items())}\n{_table(result)}\n{notes}\n{groups}</body>\n</html>\n"
    )


def _table(result: EvaluationResult) -> str:
    head, *lines = result.table
    cells = ["".join(f"<th>{_words(cell)}</th>" for cell in head)]
    cells += [f"<th>{_words(stage)}</th>{''.join(f'<td>{cell}</td>' for cell in values)}" for stage, *values in lines]
    return f'<div class="table"><table>{"".join(f"<tr>{row}</tr>" for row in cells)}</table></div>'


def _face(face: ShownFace) -> str:
    return f"<section><h3>{escape(face.name)}</h3>{''.join(map(_figure, face.images))}</section>\n"


def _figure(image: ShownImage) -> str:
    title = _words(image.title)
    metrics = _list((_words(name), format_value(value)) for name, value in image.metrics.items())
    tag = f'<img src="{escape(quote(image.file))}" alt="{title}" loading="lazy">'
    return f"<figure>{tag}<figcaption><strong>{title}</strong>{metrics}</figcaption></figure>"


def _list(entries: Iterable[tuple[str, str]]) -> str:
    return f"<dl>{''.join(f'<dt>{escape(name)}</dt><dd>{escape(value)}</dd>' for name, value in entries)}</dl>"


def _words(name: str) -> str:
    return escape(name.replace("_", " "))
