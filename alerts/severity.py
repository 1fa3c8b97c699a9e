"""How severe an episode is: its rule's severity, or a rung of the ladder that its worst value has reached. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from alerts.kinds import Rule


def severity_of(rule: Rule, evidence: Mapping[str, Any]) -> str:
    """Return the severity that an episode's worst value gives it."""
    worst = evidence.get("worst", {}).get("value")
    found = rule.severity
    for rung in rule.ladder:
        if worst is not None and rung.met(worst) and rung.severity.rank > found.rank:
            found = rung.severity
    return found.value
