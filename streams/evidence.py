"""What a park's targets are judged from, read at once: years, months and weeks of its indicators."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from park.calendar import Period, period
from park.indicators import Indicator, Scope, load_catalogue
from park.projection import Weeks
from park.targets import Population
from store import standings as store
from streams.indicators import stored_ratio

if TYPE_CHECKING:
    from collections.abc import Iterable
    from zoneinfo import ZoneInfo

    from park.ratios import Ratio
    from store.pool import Connection

Subject = tuple[str, int]
"""Scope and id."""
Window = tuple[float, float]
"""Numerator and denominator of a span of time."""
PARK_WEEKS: Final = 108
FIRM_WEEKS: Final = 12
WINDOW: Final = 4
"""So many weeks are compared when the park's movers are told."""
YEAR_AGO: Final = 52
_PANELS: Final = {
    Population.ABOVE_SCALE_INDUSTRY: "above_scale",
    Population.KEY_ENERGY_USERS: "key_energy_user",
}


@dataclass(slots=True)
class Evidence:
    """Values of a park, its panels and its firms, by `(scope, id)` and indicator.

    Attributes:
        years: by year in the park's zone.
        months: by start.
        finished: a year that has ended and is judged instead of the running one.
        blocks: seven-day blocks before today, newest 0: days known, numerator, denominator.
    """

    tz: ZoneInfo
    now: datetime
    years: dict[tuple[Subject, str], dict[int, dict[str, Any]]] = field(default_factory=dict)
    months: dict[tuple[Subject, str], dict[datetime, dict[str, Any]]] = field(default_factory=dict)
    blocks: dict[tuple[Subject, str], dict[int, tuple[int, float, float]]] = field(default_factory=dict)
    panels: dict[str, int] = field(default_factory=dict)
    finished: int | None = None

    @property
    def period(self) -> Period:
        """Return the year that is judged."""
        return year_of(self.year, self.tz)

    @property
    def rest_days(self) -> float:
        """Return how many days of the judged year are left."""
        return 0.0 if self.finished is not None else (self.period.end - self.now).total_seconds() / 86_400

    @property
    def today(self) -> datetime:
        """Return the start of today."""
        return period("day", self.now, self.tz).start

    @property
    def year(self) -> int:
        """Return the judged year in the park's zone."""
        return self.finished or self.now.astimezone(self.tz).year

    def subject_of(self, population: Population, subject: Subject, indicator_id: str) -> Subject:
        """Return whose values speak for a population: its panel's, where it has any, else the park's own."""
        panel = self.panels.get(_PANELS.get(population, ""))
        if subject[0] == Scope.PARK and panel is not None and (("panel", panel), indicator_id) in self.years:
            return ("panel", panel)
        return subject

    def ratio(self, subject: Subject, row: dict[str, Any]) -> Ratio:
        """Return a stored value as the ratio it was written from."""
        return stored_ratio(row | {"firm_id": subject[1]})

    def weeks(self, subject: Subject, indicator_id: str) -> Weeks:
        """Return the whole weeks of a subject, oldest first."""
        blocks = self.blocks.get((subject, indicator_id), {})
        most = FIRM_WEEKS if subject[0] == Scope.FIRM else PARK_WEEKS
        count = min(max(blocks, default=-1) + 1, most)
        numerator, denominator = np.full(count, np.nan), np.full(count, np.nan)
        for block, (days, n, d) in blocks.items():
            if block < count and days == 7:
                numerator[count - 1 - block], denominator[count - 1 - block] = n, d
        return Weeks(numerator, denominator)

    def window(self, subject: Subject, indicator_id: str, newest: int) -> Window | None:
        """Return the sums of the `WINDOW` blocks from `newest` on; None where a day of them is not known."""
        blocks = self.blocks.get((subject, indicator_id), {})
        found = [blocks.get(block) for block in range(newest, newest + WINDOW)]
        known = [one for one in found if one is not None and one[0] == 7]
        if len(known) < WINDOW:
            return None
        return sum(one[1] for one in known), sum(one[2] for one in known)

    def recent_days(self, subject: Subject, indicator_id: str) -> tuple[int, float, float]:
        """Return how many of the last 28 days are known, and their sums."""
        blocks = self.blocks.get((subject, indicator_id), {})
        found = [blocks[block] for block in range(WINDOW) if block in blocks]
        return sum(one[0] for one in found), sum(one[1] for one in found), sum(one[2] for one in found)


async def gather(
    connection: Connection, park_id: int, indicators: Iterable[str], tz: ZoneInfo, *, now: datetime
) -> Evidence:
    """Read what the targets of a park that name these indicators are judged from."""
    found = Evidence(tz, now)
    wanted = sorted(set(indicators))
    if not wanted:
        return found
    found.panels = await store.panels(connection, park_id)
    year = period("year", now, tz).start
    month = period("month", now, tz).start
    months_from = min(year, period("month", month - timedelta(days=392), tz).start)
    for row in await store.periods(connection, park_id, wanted, months_from):
        key = ((row["scope"], row["scope_id"]), row["indicator_id"])
        start = row["period"].astimezone(tz)
        if row["grain"] == "year":
            found.years.setdefault(key, {})[start.year] = row
        else:
            found.months.setdefault(key, {})[start] = row
    daily = [indicator_id for indicator_id in wanted if is_daily(load_catalogue().by_id(indicator_id))]
    if daily:
        today = found.today
        week = timedelta(weeks=1)
        year_ago = (today - (YEAR_AGO + WINDOW) * week, today - YEAR_AGO * week)
        rows = await store.weeks(
            connection, park_id, daily, today, today - PARK_WEEKS * week, today - FIRM_WEEKS * week, year_ago
        )
        for scope, scope_id, indicator_id, block, days, numerator, denominator in rows:
            found.blocks.setdefault(((scope, scope_id), indicator_id), {})[block] = (days, numerator, denominator)
    return found


def year_of(year: int, tz: ZoneInfo) -> Period:
    """Return a calendar year in a zone."""
    return period("year", datetime(year, 6, 1, tzinfo=tz), tz)


def is_daily(indicator: Indicator) -> bool:
    """Tell whether an indicator has values of days; what firms report has months."""
    return "day" in indicator.grains
