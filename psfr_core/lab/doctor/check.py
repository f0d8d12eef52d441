"""Run checks and describe their results."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from ...errors import describe

logger = logging.getLogger(__name__)


class Outcome(str, Enum):
    """Outcome of a check. NOTED marks information that can neither pass nor fail, such as a measurement."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"
    NOTED = "noted"


class Finding(NamedTuple):
    """Outcome of a check, with the measured values or the reason as its detail."""

    outcome: Outcome
    detail: str


@dataclass(frozen=True)
class Check:
    """Name, outcome and detail of a check."""

    name: str
    outcome: Outcome
    detail: str


def passed_if(condition: bool, detail: str) -> Finding:
    """Return a finding that is passed if ``condition`` is true, and failed otherwise."""
    return Finding(Outcome.PASSED if condition else Outcome.FAILED, detail)


def run_check(name: str, examine: Callable[[], Finding]) -> Check:
    """Call ``examine`` and return its finding as a check. An error that ``examine`` raises becomes a failed check."""
    try:
        finding = examine()
    except Exception as error:
        logger.debug("The check %s raised an error.", name, exc_info=error)
        finding = Finding(Outcome.FAILED, describe(error))
    return Check(name, *finding)
