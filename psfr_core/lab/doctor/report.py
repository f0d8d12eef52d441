"""Format the report of ``psfr doctor`` as Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from .check import Check, Outcome

_MAX_DETAIL = 300  # characters; compiler errors can be much longer


def heading(device: str) -> str:
    """Return the title of the report and the header of its table."""
    return f"## psfr doctor on {device}\n\n| check | outcome | detail |\n| --- | --- | --- |"


def row(check: Check) -> str:
    """Return the table row of a check. The detail is joined into one line and cut off after 300 characters."""
    outcome = f"**{check.outcome.value}**" if check.outcome is Outcome.FAILED else check.outcome.value
    detail = " ".join(check.detail.split()).replace("|", "\\|")
    return f"| {check.name} | {outcome} | {detail if len(detail) <= _MAX_DETAIL else f'{detail[:_MAX_DETAIL]} ...'} |"


def summary(checks: Sequence[Check]) -> str:
    """Return a line with the numbers of passed and failed checks."""
    counts = {outcome: sum(check.outcome is outcome for check in checks) for outcome in Outcome}
    return f"\n{counts[Outcome.PASSED]} checks passed, {counts[Outcome.FAILED]} failed."
