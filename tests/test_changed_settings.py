"""Names of changed settings."""

from __future__ import annotations

from psfr_core.changed_settings import changed_settings


def test_changes_are_named_with_both_values() -> None:
    before = {"loop": {"steps": 10, "rate": 0.1}, "name": "a", "gone": [1]}
    now = {"loop": {"steps": 20, "rate": 0.2}, "name": "a", "new": True}
    expected = "loop.rate was 0.1, is 0.2; gone was [1], is not set; new was not set, is true"
    assert changed_settings(before, now, {"loop.steps"}) == expected
    assert changed_settings(before, before) == ""
