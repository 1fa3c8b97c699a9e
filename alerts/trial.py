"""What a rule would have made of the past: the same fold, nothing written and nobody told."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from alerts import loading, message
from alerts.fold import fold
from alerts.frame import BUCKET_US
from alerts.history import reach_of
from alerts.kinds import is_live
from alerts.masks import masked
from alerts.rules import ActiveRule
from alerts.severity import severity_of
from alerts.subjects import subject_of
from alerts.values import make, make_park, of_park
from park.calendar import from_us, to_us
from park.errors import DataFileError
from store import alert_inputs as stored

if TYPE_CHECKING:
    from alerts.fold import Values
    from alerts.frame import Frame
    from alerts.kinds import Rule
    from store.pool import Connection


@dataclass(frozen=True, slots=True)
class Tried:
    """An episode that a rule would have made."""

    cause: str
    severity: str
    began: datetime
    opened: datetime
    ended: datetime | None
    title_zh: str
    title_en: str
    worst: float


async def trial(
    connection: Connection, rule: Rule, since: datetime, until: datetime, park: str | None = None
) -> list[Tried]:
    """Return the episodes that a rule would have made in `(since, until]`, by time.

    Raises:
        DataFileError: the rule is read as time passes and has no history.
    """
    if is_live(rule):
        raise DataFileError("rule", rule.id, "is read as time passes and cannot be replayed")
    found: list[Tried] = []
    for row in await stored.rows(connection, "parks_by_code", park):
        firm_ids = [one["firm_id"] for one in await stored.rows(connection, "park_firms", row["park_id"])]
        if not firm_ids:
            continue
        now = datetime.now(UTC)
        info, firms = await loading.firms_of(connection, firm_ids, now)
        points = await loading.points_of(connection, firm_ids)
        if of_park(rule):
            frame = loading.empty_frame(info, firms, points, to_us(since), now)
            made = await make_park(connection, rule, frame)
        else:
            first, last = (to_us(at) // BUCKET_US * BUCKET_US for at in (since, until))
            reach = reach_of([rule], first, last, arrivals=True)
            frame = await loading.frame_of(connection, info, firms, points, reach, now)
            made = await make(connection, rule, frame)
        for part, values in made:
            seen = masked(ActiveRule(rule, 0), frame, values)
            found += _tried(rule, frame, part, seen, to_us(since), to_us(until))
    return sorted(found, key=lambda one: (one.began, one.cause))


def _tried(rule: Rule, frame: Frame, part: str, values: Values, since_us: int, until_us: int) -> list[Tried]:
    found = []
    for one in fold(rule, values):
        if one.opened is None or not since_us < int(values.t_us[one.opened]) <= until_us:
            continue
        subject = subject_of(frame, rule.subject, int(values.scope_ids[one.row]), part)
        worst = float(values.value[one.row, one.worst])
        zh, en = message.titles(rule, subject)
        found.append(
            Tried(
                cause=message.cause_key(rule, subject),
                severity=severity_of(rule, {"worst": {"value": worst}}),
                began=from_us(int(values.t_us[one.first])),
                opened=from_us(int(values.t_us[one.opened])),
                ended=None if one.ended is None else from_us(int(values.t_us[one.ended])),
                title_zh=zh,
                title_en=en,
                worst=worst,
            )
        )
    return found
