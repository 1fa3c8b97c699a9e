"""Buckets, and the periods that people report in: hours, days, months and years of a park's own zone.

Instants are UTC throughout: `datetime` with a zone for single values, int64 microseconds since 1970 in arrays.
A period is named by the instant at which it starts.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Final, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from park.errors import CalendarError

Grain = Literal["hour", "day", "month", "year"]
GRAINS: Final[tuple[Grain, ...]] = ("hour", "day", "month", "year")

BUCKET_S: Final = 900
BUCKET_US: Final = BUCKET_S * 1_000_000
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Period:
    """One period `[start, end)` of a grain, both UTC."""

    grain: Grain
    start: datetime
    end: datetime

    @property
    def seconds(self) -> float:
        """Return the true length: a day may have 23, 23.5, 24, 24.5 or 25 hours."""
        return (self.end - self.start).total_seconds()


def zone(name: str) -> ZoneInfo:
    """Return the IANA zone, or raise `CalendarError`."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        msg = f"unknown time zone {name!r}; use an IANA name such as Asia/Shanghai"
        raise CalendarError(msg) from None


def to_us(instant: datetime) -> int:
    """Return exact microseconds since 1970; a naive datetime is an error."""
    if instant.tzinfo is None:
        msg = f"{instant.isoformat()} has no time zone; pass an aware datetime"
        raise CalendarError(msg)
    return (instant - EPOCH) // timedelta(microseconds=1)


def from_us(instant_us: int) -> datetime:
    """Return the UTC datetime of microseconds since 1970."""
    return EPOCH + timedelta(microseconds=int(instant_us))


def bucket_start(instant: datetime) -> datetime:
    """Return the start of the 15-minute bucket that holds this instant."""
    return from_us(to_us(instant) // BUCKET_US * BUCKET_US)


def period(grain: Grain, instant: datetime, tz: ZoneInfo) -> Period:
    """Return the period of this grain that holds `instant`, cut in `tz`.

    Hours are clock hours; where clocks shift by part of an hour (Lord Howe) the hour before the shift is
    shorter, the one after it starts at the shift, and no instant belongs to two. Raises `CalendarError` for an
    unknown grain or a naive datetime.
    """
    if grain not in GRAINS:
        msg = f"unknown grain {grain!r}; known are {', '.join(GRAINS)}"
        raise CalendarError(msg)
    return _period(grain, to_us(instant), tz)


@lru_cache(maxsize=65_536)
def _period(grain: Grain, instant_us: int, tz: ZoneInfo) -> Period:
    instant = from_us(instant_us)
    if grain == "hour":
        return _hour(instant, tz)
    local = instant.astimezone(tz).date()
    found = _of_date(grain, local, tz)
    if instant >= found.end:
        # The clock went back over midnight (St. John's until 2011): what comes after the first midnight is the new day.
        found = _of_date(grain, local + timedelta(days=1), tz)
    return found


def _of_date(grain: Grain, local: date, tz: ZoneInfo) -> Period:
    if grain == "day":
        first, after = local, local + timedelta(days=1)
    elif grain == "month":
        first = local.replace(day=1)
        after = (first + timedelta(days=32)).replace(day=1)
    else:
        first, after = date(local.year, 1, 1), date(local.year + 1, 1, 1)
    return Period(grain, _midnight(first, tz), _midnight(after, tz))


def _midnight(day: date, tz: ZoneInfo) -> datetime:
    # Where midnight does not exist (some zones shift at 00:00) `fold=0` gives the instant of the shift.
    return datetime(day.year, day.month, day.day, tzinfo=tz).astimezone(UTC)


def _hour(instant: datetime, tz: ZoneInfo) -> Period:
    local = instant.astimezone(tz)
    start = instant - timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)
    end = start + timedelta(hours=1)
    return Period("hour", _shift(start, instant, tz) or start, _shift(instant, end, tz) or end)


def _shift(a: datetime, b: datetime, tz: ZoneInfo) -> datetime | None:
    """Return the instant in `(a, b]` at which the zone's offset changes, or None; there is at most one in an hour."""
    before = a.astimezone(tz).utcoffset()
    if b.astimezone(tz).utcoffset() == before:
        return None
    low, high = to_us(a), to_us(b)
    while high - low > 1:
        middle = (low + high) // 2
        if from_us(middle).astimezone(tz).utcoffset() == before:
            low = middle
        else:
            high = middle
    return from_us(high)


def periods(grain: Grain, start: datetime, end: datetime, tz: ZoneInfo) -> list[Period]:
    """Return the periods of this grain that overlap `[start, end)`, in order."""
    found: list[Period] = []
    at = start
    while at < end:
        found.append(period(grain, at, tz))
        at = found[-1].end
    return found
