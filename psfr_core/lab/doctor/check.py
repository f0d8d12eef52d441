"""The results of checks."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from ...errors import describe

logger = logging.getLogger(__name__)


class Outcome(str, Enum):
    """Result of a check; a note is a fact or a measurement that can be neither right nor wrong."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"
    NOTED = "noted"


class Finding(NamedTuple):
    """The outcome of a check, and the values that led to it or the reason."""

    outcome: Outcome
    detail: str


@dataclass(frozen=True)
class Check:
    """A finding under the name of its check."""

    name: str
    outcome: Outcome
    detail: str


def passed_if(condition: bool, detail: str) -> Finding:
    """Return a finding that passed if ``condition`` is true."""
    return Finding(Outcome.PASSED if condition else Outcome.FAILED, detail)


def run_check(name: str, examine: Callable[[], Finding]) -> Check:
    """Return the finding of ``examine``; an error that it raises is a failed check."""
    try:
        finding = examine()
    except Exception as error:
        logger.debug("The check %s raised an error.", name, exc_info=error)
        finding = Finding(Outcome.FAILED, describe(error))
    return Check(name, *finding)
