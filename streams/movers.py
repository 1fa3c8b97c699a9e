"""Who moved a park: its firms' sums over four weeks, or a month, against a year before or the time just before."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import TYPE_CHECKING

from park.calendar import period
from park.contribution import Change, Member, change
from park.indicators import Form, Indicator, Scope, load_catalogue
from store import standings as store
from streams.evidence import WINDOW, YEAR_AGO, is_daily

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from store.pool import Connection
    from store.registry import FirmRow
    from streams.evidence import Evidence, Window

Spans = tuple["datetime", "datetime", "datetime", "datetime"]


class Movers:
    """The park's change of each indicator, worked out once a pass."""

    def __init__(self, changes: dict[str, tuple[Change, Spans]]) -> None:
        """Keep them; `movers` makes them."""
        self._changes = changes

    def of(self, indicator_id: str | None) -> tuple[Change, Spans] | None:
        """Return who moved an indicator, and from when to when; None where it cannot be told."""
        return None if indicator_id is None else self._changes.get(indicator_id)


def digest(found: tuple[Change, Spans] | None) -> str | None:
    """Return a name of what was told, so that the same is not written again."""
    return None if found is None else hashlib.sha256(repr(found).encode()).hexdigest()[:16]


async def movers(
    connection: Connection, firms: Sequence[FirmRow], indicators: Iterable[str], evidence: Evidence
) -> Movers:
    """Work out who moved the park for each of some indicators. Only industrial firms are in a park's sums."""
    industrial = [firm for firm in firms if firm.industrial]
    chosen: dict[str, tuple[Indicator, Spans, dict[int, tuple[Window | None, Window | None]]]] = {}
    absent: list[tuple[int, str]] = []
    absent_months: list[tuple[int, str]] = []
    for indicator_id in sorted(set(indicators)):
        indicator = load_catalogue().by_id(indicator_id)
        if indicator.form is not Form.RATIO or not {Scope.FIRM, Scope.PARK} <= set(indicator.scopes):
            continue
        found = (_by_weeks if is_daily(indicator) else _by_months)(indicator_id, industrial, evidence)
        if found is None:
            continue
        chosen[indicator_id] = (indicator, *found)
        missing = [(firm.firm_id, indicator_id) for firm in industrial if found[1][firm.firm_id][0] is None]
        (absent if is_daily(indicator) else absent_months).extend(missing)
    first = await store.first_days(connection, absent, "day") | await store.first_days(
        connection, absent_months, "month"
    )
    changes: dict[str, tuple[Change, Spans]] = {}
    for indicator_id, (indicator, spans, windows) in chosen.items():
        members = []
        for firm in industrial:
            before, after = windows[firm.firm_id]
            since = first.get((firm.firm_id, indicator_id))
            members.append(
                Member(
                    firm.firm_id,
                    None if before is None else before[0],
                    None if after is None else after[0],
                    None if before is None else before[1],
                    None if after is None else after[1],
                    new=before is None and after is not None and since is not None and since >= spans[1],
                    gone=after is None and before is not None and firm.status == "closed",
                )
            )
        told = change(members, scale=indicator.scale, divides=bool(indicator.denominator))
        if told is not None:
            changes[indicator_id] = (told, spans)
    return Movers(changes)


def _by_weeks(
    indicator_id: str, firms: Sequence[FirmRow], evidence: Evidence
) -> tuple[Spans, dict[int, tuple[Window | None, Window | None]]] | None:
    today, week = evidence.today, timedelta(weeks=1)
    for newest in (YEAR_AGO, WINDOW):
        windows = {
            firm.firm_id: (
                evidence.window(("firm", firm.firm_id), indicator_id, newest),
                evidence.window(("firm", firm.firm_id), indicator_id, 0),
            )
            for firm in firms
        }
        if any(before is not None and after is not None for before, after in windows.values()):
            spans = (today - (newest + WINDOW) * week, today - newest * week, today - WINDOW * week, today)
            return spans, windows
    return None


def _by_months(
    indicator_id: str, firms: Sequence[FirmRow], evidence: Evidence
) -> tuple[Spans, dict[int, tuple[Window | None, Window | None]]] | None:
    tz = evidence.tz
    starts = [period("month", evidence.now, tz).start]
    for _ in range(13):
        starts.append(period("month", starts[-1] - timedelta(days=1), tz).start)
    for newest in (1, 2):
        for before in (newest + 12, newest + 1):
            if before >= len(starts):
                continue
            windows = {
                firm.firm_id: (
                    _month(evidence, firm.firm_id, indicator_id, starts[before]),
                    _month(evidence, firm.firm_id, indicator_id, starts[newest]),
                )
                for firm in firms
            }
            if any(old is not None and new is not None for old, new in windows.values()):
                return (starts[before], starts[before - 1], starts[newest], starts[newest - 1]), windows
    return None


def _month(evidence: Evidence, firm_id: int, indicator_id: str, start: datetime) -> Window | None:
    row = evidence.months.get((("firm", firm_id), indicator_id), {}).get(start)
    if row is None or row["reason"] is not None or row["numerator"] is None:
        return None
    return row["numerator"], row["denominator"] or 0.0
