"""The calendar: every instant in exactly one period, whatever the zone does with its clocks."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from park.calendar import (
    BUCKET_S,
    GRAINS,
    Grain,
    Period,
    bucket_start,
    from_us,
    period,
    periods,
    to_us,
    zone,
)
from park.errors import CalendarError

SHANGHAI, KOLKATA = ZoneInfo("Asia/Shanghai"), ZoneInfo("Asia/Kolkata")
AMSTERDAM, LORD_HOWE = ZoneInfo("Europe/Amsterdam"), ZoneInfo("Australia/Lord_Howe")
ODD_ZONES = [
    *("Asia/Shanghai", "Asia/Kolkata", "Asia/Kathmandu", "Europe/Amsterdam", "Australia/Lord_Howe", "America/St_Johns"),
    *("America/Havana", "America/Sao_Paulo", "Pacific/Apia", "Africa/Casablanca", "Asia/Tehran", "UTC"),
]
TICK = timedelta(microseconds=1)


def at(text: str, tz: ZoneInfo | None = None) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if tz is None else moment.replace(tzinfo=tz).astimezone(UTC)


def hours(found: Period) -> float:
    return found.seconds / 3600


def test_a_day_in_shanghai_begins_at_16_utc() -> None:
    """The park's day is cut at its own midnight, and each midnight belongs to the day that it begins."""
    midnight = at("2025-03-01T00:00", SHANGHAI)
    assert midnight == at("2025-02-28T16:00+00:00")
    assert period("day", midnight, SHANGHAI) == Period("day", midnight, midnight + timedelta(days=1))
    assert period("day", midnight - TICK, SHANGHAI).end == midnight


def test_a_half_hour_zone_cuts_hours_and_days_at_its_own_clock() -> None:
    """In Kolkata an hour begins at half past of UTC."""
    assert period("hour", at("2025-06-01T00:10+00:00"), KOLKATA).start == at("2025-05-31T23:30+00:00")
    assert period("day", at("2025-06-01T00:10+00:00"), KOLKATA).start == at("2025-05-31T18:30+00:00")


@pytest.mark.parametrize(("day", "length"), [("2025-03-30", 23), ("2025-10-26", 25), ("2025-06-01", 24)])
def test_a_day_in_amsterdam_has_23_24_or_25_hours(day: str, length: int) -> None:
    """The days of the shifts are as long as they are, and cut into as many hours of 3600 s."""
    found = period("day", at(f"{day}T12:00", AMSTERDAM), AMSTERDAM)
    assert hours(found) == length
    inside = periods("hour", found.start, found.end, AMSTERDAM)
    assert len(inside) == length
    assert {hour.seconds for hour in inside} == {3600.0}


@pytest.mark.parametrize(("day", "length"), [("2025-10-05", 23.5), ("2025-04-06", 24.5)])
def test_lord_howe_shifts_by_half_an_hour_both_ways(day: str, length: float) -> None:
    """One hour of the day is a half, and hours and day have the same two ends."""
    found = period("day", at(f"{day}T12:00", LORD_HOWE), LORD_HOWE)
    assert hours(found) == length
    inside = periods("hour", found.start, found.end, LORD_HOWE)
    assert sorted({hours(hour) for hour in inside}) == [0.5, 1.0]
    assert sum(hours(hour) == 0.5 for hour in inside) == 1
    assert (inside[0].start, inside[-1].end) == (found.start, found.end)
    for hour in inside:
        quarters = [hour.start + k * timedelta(minutes=15) for k in range(int(hour.seconds // BUCKET_S))]
        assert {period("hour", quarter, LORD_HOWE) for quarter in quarters} == {hour}


def test_the_leap_day_is_a_day_of_february() -> None:
    """29 February exists in 2024 and not in 2025, and month and year are as long."""
    leap = period("day", at("2024-02-29T08:00", SHANGHAI), SHANGHAI)
    assert leap.end == at("2024-03-01T00:00", SHANGHAI)
    assert hours(period("month", leap.start, SHANGHAI)) == 29 * 24
    assert hours(period("month", at("2025-02-01T00:00", SHANGHAI), SHANGHAI)) == 28 * 24
    assert hours(period("year", leap.start, SHANGHAI)) == 366 * 24
    assert hours(period("year", at("2025-01-01T00:00", SHANGHAI), SHANGHAI)) == 365 * 24


def test_a_day_that_a_zone_left_out_has_no_period() -> None:
    """Samoa had no 30 December 2011: the day before ends where the day after begins."""
    apia = ZoneInfo("Pacific/Apia")
    before = period("day", at("2011-12-29T12:00", apia), apia)
    assert before.seconds == 86_400
    assert before.end.astimezone(apia).date().isoformat() == "2011-12-31"
    assert period("day", before.end, apia).start == before.end


instants = st.integers(min_value=to_us(at("1990-01-01T00:00+00:00")), max_value=to_us(at("2037-12-31T00:00+00:00")))


@given(st.sampled_from(GRAINS), st.sampled_from(ODD_ZONES), instants)
@example("day", "America/St_Johns", to_us(at("2006-10-29T02:45+00:00")))
@example("hour", "America/St_Johns", to_us(at("2006-10-29T02:30:30+00:00")))
@example("month", "America/St_Johns", to_us(at("1998-11-01T02:40+00:00")))
@example("hour", "Australia/Lord_Howe", to_us(at("2025-04-05T15:10+00:00")))
@example("day", "America/Sao_Paulo", to_us(at("2018-11-04T03:00+00:00")))
@example("day", "America/Havana", to_us(at("2024-11-03T05:30+00:00")))
def test_every_instant_is_in_exactly_one_period(grain: Grain, name: str, instant_us: int) -> None:
    """A period holds the instant it was asked for, is found from both of its ends, and touches its neighbours."""
    tz, instant = ZoneInfo(name), from_us(instant_us)
    found = period(grain, instant, tz)
    assert found.start <= instant < found.end
    assert period(grain, found.start, tz) == found
    assert period(grain, found.end - TICK, tz) == found
    assert period(grain, found.end, tz).start == found.end
    assert period(grain, found.start - TICK, tz).end == found.start


@given(st.sampled_from(ODD_ZONES), instants)
def test_periods_nest(name: str, instant_us: int) -> None:
    """An hour lies within its day, a day within its month, a month within its year, whole."""
    tz, instant = ZoneInfo(name), from_us(instant_us)
    chain = [period(grain, instant, tz) for grain in GRAINS]
    # A clock that goes back over the end of a day joins what it repeats to the new day (St. John's until 2011).
    for inner, outer in itertools.pairwise(chain):
        assert outer.start <= inner.start
        assert inner.end <= outer.end
    if name != "America/St_Johns":
        assert chain[1].start <= chain[0].start
        assert chain[0].end <= chain[1].end


def test_periods_cover_a_stretch_without_gap_or_overlap() -> None:
    """The days of a year with both shifts follow each other from end to end."""
    found = periods("day", at("2025-01-01T00:00", AMSTERDAM), at("2026-01-01T00:00", AMSTERDAM), AMSTERDAM)
    assert len(found) == 365
    assert all(a.end == b.start for a, b in itertools.pairwise(found))
    assert sum(hours(day) for day in found) == 8760


@given(instants)
def test_a_bucket_holds_its_instant_and_time_is_exact(instant_us: int) -> None:
    """Buckets start every 900 s of UTC, and microseconds survive the way there and back."""
    instant = from_us(instant_us)
    assert to_us(instant) == instant_us
    start = bucket_start(instant)
    assert start <= instant < start + timedelta(seconds=BUCKET_S)
    assert to_us(start) % (BUCKET_S * 1_000_000) == 0


def test_a_time_without_a_zone_is_an_error() -> None:
    """No naive datetime passes, in any function."""
    naive = datetime(2025, 1, 1)  # noqa: DTZ001  (the promise is that this is refused)
    for call in (to_us, bucket_start, lambda t: period("day", t, SHANGHAI)):
        with pytest.raises(CalendarError, match="no time zone"):
            call(naive)


def test_unknown_zones_and_grains_are_answered() -> None:
    """A wrong zone or grain raises the room's own error and says what to use."""
    assert zone("Asia/Shanghai") == SHANGHAI
    for wrong in ("Asia/Chongqing2", "", "../etc/passwd"):
        with pytest.raises(CalendarError, match="IANA"):
            zone(wrong)
    with pytest.raises(CalendarError, match="hour, day, month, year"):
        period("week", at("2025-01-01T00:00+00:00"), SHANGHAI)  # type: ignore[arg-type]
