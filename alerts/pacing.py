"""When a message may go: quiet hours and the limit per hour. Pure.

What is held back is not lost and not late for ever: it comes as one summary, at the end of the quiet hours or some
minutes after the limit was reached; a single held message comes as itself. A critical one is never held by the limit,
and by quiet hours only where the recipient chose so.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from alerts.rules import Severity
from park.calendar import zone

if TYPE_CHECKING:
    from datetime import time

    from store.outbox import Message

_PACED: Final = frozenset({"episode", "escalation", "channel"})
"""Kinds that can be held; a summary, a digest and a test are sent when they are due."""
_COUNTED: Final = frozenset({"episode", "escalation"})


@dataclass(frozen=True, slots=True)
class Hold:
    """Not now. `severities`: what else is due to the recipient and of these is held with it."""

    until: datetime
    reason: str
    severities: tuple[str, ...]


def quiet_until(starts: time | None, ends: time | None, now: datetime, time_zone: str) -> datetime | None:
    """Return when the quiet hours end that `now` is in, None if it is in none."""
    if starts is None or ends is None:
        return None
    tz = zone(time_zone)
    local = now.astimezone(tz)
    at = local.time()
    inside = starts <= at < ends if starts < ends else at >= starts or at < ends
    if not inside:
        return None
    day = local.date() if at < ends else local.date() + timedelta(days=1)
    return datetime.combine(day, ends, tz).astimezone(UTC)


def verdict(message: Message, now: datetime, *, summary_every_s: float) -> Hold | None:
    """Tell whether a message that is due is held back, and until when."""
    if message.kind not in _PACED:
        return None
    severity, loud = Severity(message.severity), Severity(message.quiet_min_severity)
    if severity.rank < loud.rank:
        ends = quiet_until(message.quiet_from, message.quiet_to, now, message.time_zone)
        if ends is not None:
            return Hold(ends, "quiet", tuple(s.value for s in Severity if s.rank < loud.rank))
    if message.follows_held and message.summary_due is not None:
        # What it continues is told by the summary, so this is too.
        return Hold(message.summary_due, message.held_reason or "limit", ())
    if (
        message.kind in _COUNTED
        and severity is not Severity.CRITICAL
        and message.held_reason is None
        and message.sent_last_hour >= message.hourly_limit
    ):
        until = message.summary_due or now + timedelta(seconds=summary_every_s)
        return Hold(until, "limit", tuple(s.value for s in Severity if s is not Severity.CRITICAL))
    return None
