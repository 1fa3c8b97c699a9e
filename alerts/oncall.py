"""Who is on duty. Pure.

Members of a calendar take turns of whole days, which begin at the handover by the park's clock: a turn over a change of
clocks is an hour longer or shorter, and still ends at the handover. Who stands in goes before whoever's turn it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from zoneinfo import ZoneInfo

    from store.duty import RotationRow, StandInRow


@dataclass(frozen=True, slots=True)
class Turn:
    """Somebody's duty in [starts, ends). `stands_in`: instead of whoever's turn it is."""

    recipient_id: int
    starts: datetime
    ends: datetime
    stands_in: bool = False


def turn_at(rotations: Sequence[RotationRow], instant: datetime, tz: ZoneInfo) -> Turn | None:
    """Return whose turn it is in one calendar, None before its first day and in a rotation without members."""
    local = instant.astimezone(tz)
    for n, rotation in enumerate(newest_first := sorted(rotations, key=lambda row: row.valid_from, reverse=True)):
        day = local.date() if local.time() >= rotation.handover else local.date() - timedelta(days=1)
        if day < rotation.valid_from:
            continue
        if not rotation.members:
            return None
        number = (day - rotation.valid_from).days // rotation.turn_days
        first = rotation.valid_from + timedelta(days=number * rotation.turn_days)
        last = first + timedelta(days=rotation.turn_days)
        starts = datetime.combine(first, rotation.handover, tz).astimezone(UTC)
        ends = datetime.combine(last, rotation.handover, tz).astimezone(UTC)
        if n:  # the next rotation may cut the turn short
            following = newest_first[n - 1]
            ends = min(ends, datetime.combine(following.valid_from, following.handover, tz).astimezone(UTC))
        return Turn(rotation.members[number % len(rotation.members)], starts, ends)
    return None


def on_duty(
    rotations: Sequence[RotationRow], stand_ins: Iterable[StandInRow], instant: datetime, tz: ZoneInfo
) -> Turn | None:
    """Return who is on duty in one calendar at an instant, None if nobody is; the newest stand-in goes first."""
    found = turn_at(rotations, instant, tz)
    for row in stand_ins:
        if row.starts <= instant < row.ends:
            found = Turn(row.recipient_id, row.starts, row.ends, stands_in=True)
    return found


def all_on_duty(
    rotations: Iterable[RotationRow], stand_ins: Sequence[StandInRow], instant: datetime, tz: ZoneInfo
) -> dict[int, Turn]:
    """Return who is on duty in each calendar, by the calendar's id; calendars without anybody are left out."""
    found = {}
    ordered = sorted(rotations, key=lambda row: row.oncall_id)
    for oncall_id, group in groupby(ordered, key=lambda row: row.oncall_id):
        mine = [row for row in stand_ins if row.oncall_id == oncall_id]
        if (turn := on_duty(list(group), mine, instant, tz)) is not None:
            found[oncall_id] = turn
    return found
