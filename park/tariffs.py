"""Tariff periods of electricity (尖峰平谷): which class a minute belongs to, and what share of a bucket.

The tables stand in `data/tariffs.toml`, dated and by region, to the minute of the local clock. A day without a table
has the class `none`: what passed then is counted there, so that it is missed by no sum.
"""

from __future__ import annotations

from datetime import date  # noqa: TC003  (msgspec resolves annotations at run time)
from enum import StrEnum
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from park import datafile
from park.calendar import BUCKET_S, from_us
from park.errors import DataFileError

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from numpy.typing import NDArray

FILE = "tariffs.toml"
MINUTES: Final = 24 * 60
_BUCKET_MINUTES: Final = BUCKET_S // 60


class TariffClass(StrEnum):
    """A class of hours."""

    SHARP = "sharp"
    """尖"""
    PEAK = "peak"
    """峰"""
    FLAT = "flat"
    """平"""
    VALLEY = "valley"
    """谷"""
    NONE = "none"
    """No table holds on this day."""


CLASSES: Final = tuple(TariffClass)


class Span(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[from, to)` of every day by the local clock, `HH:MM`; `24:00` ends the day."""

    tariff_class: TariffClass = msgspec.field(name="class")
    start: str = msgspec.field(name="from")
    end: str = msgspec.field(name="to")


class Season(Span, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A span of some months that is taken out of another class."""

    within: TariffClass
    months: tuple[int, ...]


class TariffTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The classes of every minute on local days `[valid_from, valid_to)` in a region (`CN-CQ`).

    Attributes:
        verified: whether the table was compared with the text of its source.
    """

    id: str
    region: str
    valid_from: date
    source: str
    verified: bool
    spans: tuple[Span, ...]
    seasonal: tuple[Season, ...] = ()
    valid_to: date | None = None

    def covers(self, on: date) -> bool:
        """Tell whether the table holds on this local day."""
        return self.valid_from <= on and (self.valid_to is None or on < self.valid_to)


class Tariffs(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All tables, and the version of the file they came from."""

    version: int
    tables: tuple[TariffTable, ...]

    def on(self, region: str, day: date) -> TariffTable | None:
        """Return the table of the narrowest region that holds on a local day, or None."""
        parts = region.split("-")
        for n in range(len(parts), 0, -1):
            place = "-".join(parts[:n])
            for table in self.tables:
                if table.region == place and table.covers(day):
                    return table
        return None


def minute_classes(table: TariffTable | None, month: int) -> NDArray[np.int8]:
    """Return the class of each minute of a day in this month, as an index into `CLASSES`; shape (1440,)."""
    classes = np.full(MINUTES, CLASSES.index(TariffClass.NONE), np.int8)
    if table is not None:
        for span in table.spans:
            classes[_minute(span.start) : _minute(span.end)] = CLASSES.index(span.tariff_class)
        for season in table.seasonal:
            if month in season.months:
                classes[_minute(season.start) : _minute(season.end)] = CLASSES.index(season.tariff_class)
    return classes


def shares(
    tariffs: Tariffs, region: str, bucket_us: NDArray[np.int64], tz: ZoneInfo
) -> tuple[NDArray[np.float64], list[str | None]]:
    """Return what share of each bucket lies in which class, and the table that said so.

    Args:
        tariffs: all tables.
        region: where the meters stand, after ISO 3166-2.
        bucket_us: starts of 15-minute buckets, microseconds since 1970.
        tz: the zone by whose clock the tables are read; no shift of it lies inside a bucket.

    Returns:
        Shares of shape (n, len(CLASSES)), rows adding up to 1, and n ids of tables (of the day a bucket begins on).
    """
    out = np.zeros((len(bucket_us), len(CLASSES)))
    tables: list[str | None] = []
    known: dict[date, tuple[str | None, NDArray[np.float64]]] = {}
    for k, us in enumerate(bucket_us):
        local = from_us(int(us)).astimezone(tz)
        day = local.date()
        if day not in known:
            table = tariffs.on(region, day)
            known[day] = (None if table is None else table.id, _slots(table, day.month))
        table_id, slots = known[day]
        # A zone whose offset is no multiple of 15 minutes does not exist any more; its old days begin a slot late.
        out[k] = slots[(local.hour * 60 + local.minute) // _BUCKET_MINUTES]
        tables.append(table_id)
    return out, tables


@lru_cache(maxsize=256)
def _slots(table: TariffTable | None, month: int) -> NDArray[np.float64]:
    """Return the shares of the 96 quarter hours of a day."""
    classes = minute_classes(table, month).reshape(-1, _BUCKET_MINUTES)
    found = np.stack([(classes == k).mean(axis=1) for k in range(len(CLASSES))], axis=1)
    found.setflags(write=False)
    return found


@cache
def load_tariffs() -> Tariffs:
    """Read the tables that the package carries, or raise `DataFileError`."""
    return parse_tariffs((datafile.folder() / FILE).read_text(encoding="utf-8"), FILE)


def parse_tariffs(text: str, file: str) -> Tariffs:
    """Parse and check tables, or raise `DataFileError` naming the field."""
    tariffs = datafile.parse(text, file, Tariffs)
    for n, table in enumerate(tariffs.tables):
        at = f"tables[{n}]"
        if table.id in {other.id for other in tariffs.tables[:n]}:
            raise DataFileError(file, f"{at}.id", f"{table.id!r} is used twice")
        if table.valid_to is not None and table.valid_to <= table.valid_from:
            raise DataFileError(file, f"{at}.valid_to", f"{table.valid_to} is not after {table.valid_from}")
        for other in tariffs.tables[:n]:
            if table.region == other.region and (table.covers(other.valid_from) or other.covers(table.valid_from)):
                raise DataFileError(file, f"{at}.valid_from", f"{table.id} overlaps {other.id}: end one before")
        _check_day(file, at, table)
    return tariffs


def _check_day(file: str, at: str, table: TariffTable) -> None:
    times = np.zeros(MINUTES, int)
    for s, span in enumerate(table.spans):
        start, end = _checked(file, f"{at}.spans[{s}]", span)
        times[start:end] += 1
    if np.any(times != 1):
        first = int(np.argmax(times != 1))
        what = "in no span" if times[first] == 0 else "in two spans"
        raise DataFileError(file, f"{at}.spans", f"{first // 60:02d}:{first % 60:02d} is {what}: cover the day once")
    plain = minute_classes(table, 0)  # no month: without its seasons
    for s, season in enumerate(table.seasonal):
        place = f"{at}.seasonal[{s}]"
        start, end = _checked(file, place, season)
        if not season.months or not set(season.months) <= set(range(1, 13)):
            raise DataFileError(file, f"{place}.months", f"{list(season.months)}: months are 1 to 12")
        if np.any(plain[start:end] != CLASSES.index(season.within)):
            message = f"{season.start}-{season.end} does not lie inside {season.within}"
            raise DataFileError(file, f"{place}.within", message)
        for other in table.seasonal[:s]:
            overlap = start < _minute(other.end) and _minute(other.start) < end
            if overlap and set(season.months) & set(other.months):
                raise DataFileError(file, place, f"overlaps {other.start}-{other.end} of the same month")


def _checked(file: str, at: str, span: Span) -> tuple[int, int]:
    for field, text in (("from", span.start), ("to", span.end)):
        try:
            _minute(text)
        except ValueError:
            raise DataFileError(file, f"{at}.{field}", f"{text!r}: a time such as 08:00 is expected") from None
    start, end = _minute(span.start), _minute(span.end)
    if start >= end:
        raise DataFileError(file, at, f"{span.start}-{span.end}: ends before it begins; split it at midnight")
    return start, end


def _minute(text: str) -> int:
    hour, colon, minute = text.partition(":")
    if colon != ":" or len(hour) != 2 or len(minute) != 2 or not (hour + minute).isdecimal():
        raise ValueError(text)
    found = int(hour) * 60 + int(minute)
    if int(minute) > 59 or found > MINUTES:
        raise ValueError(text)
    return found
