"""Which days a firm works, and how much: weekdays, seasons, holidays and the Spring Festival, planned stops."""

from __future__ import annotations

from datetime import date, timedelta
from functools import cache
from typing import TYPE_CHECKING

from simulators.datafiles import data, parse
from simulators.errors import DataError
from simulators.firms import Section

if TYPE_CHECKING:
    from simulators.firms import Work


class Holidays(Section, frozen=True, kw_only=True):
    """The lunar holidays of one year."""

    spring_festival: date
    qingming: date
    dragon_boat: date
    mid_autumn: date


@cache
def holidays() -> dict[int, Holidays]:
    """Return the lunar holidays by year."""
    return parse((data() / "holidays.yaml").read_text("utf-8"), "holidays.yaml", dict[int, Holidays])


@cache
def _days_off(year: int) -> frozenset[date]:
    lunar = _lunar(year)
    fixed = [date(year, 1, 1), *(date(year, 5, d) for d in range(1, 6)), *(date(year, 10, d) for d in range(1, 8))]
    return frozenset([*fixed, lunar.qingming, lunar.dragon_boat, lunar.mid_autumn])


def _lunar(year: int) -> Holidays:
    try:
        return holidays()[year]
    except KeyError:
        known = sorted(holidays())
        raise DataError(
            "holidays.yaml", str(year), f"no holidays of this year; known are {known[0]} to {known[-1]}"
        ) from None


def day_level(work: Work, day: date) -> float:
    """Return the factor on the shifts' levels that this day has: weekday, season, holiday, festival, stop."""
    level = work.months[day.month - 1]
    if day.weekday() == 5:
        level *= work.saturday
    elif day.weekday() == 6:
        level *= work.sunday
    if day in _days_off(day.year):
        level = min(level, level * work.holiday)
    festival = _lunar(day.year).spring_festival
    pause = work.spring_festival
    if -timedelta(days=pause.days_before) <= day - festival <= timedelta(days=pause.days_after):
        level = min(level, pause.level)
    for stop in work.stops:
        today = f"{day.month:02d}-{day.day:02d}"
        within = stop.start <= today <= stop.end if stop.start <= stop.end else not stop.end < today < stop.start
        if within:
            level = min(level, stop.level)
    return level
