"""A minute has one tariff class, and a bucket is divided by the minutes in it."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from park.calendar import BUCKET_US, period, to_us, zone
from park.errors import DataFileError
from park.tariffs import CLASSES, TariffClass, load_tariffs, minute_classes, parse_tariffs, shares

CHONGQING = zone("Asia/Shanghai")
DAY = """version = 1
[[tables]]
id = "old"
region = "CN-CQ"
valid_from = 2020-01-01
valid_to = 2025-03-15
source = "a test"
verified = true
spans = [{ class = "valley", from = "00:00", to = "08:00" }, { class = "peak", from = "08:00", to = "24:00" }]
[[tables]]
id = "new"
region = "CN-CQ"
valid_from = 2025-03-15
source = "a test"
verified = true
spans = [{ class = "valley", from = "00:00", to = "07:10" }, { class = "peak", from = "07:10", to = "24:00" }]
"""


def class_at(text: str) -> TariffClass:
    """The class of the bucket that begins at a Chongqing time; it must have only one."""
    start = datetime.fromisoformat(text).replace(tzinfo=CHONGQING)
    found, _ = shares(load_tariffs(), "CN-CQ", np.array([to_us(start)]), CHONGQING)
    assert found.max() == 1.0
    return CLASSES[int(found[0].argmax())]


def hours(found: np.ndarray) -> dict[str, float]:
    return {c.value: float(h) for c, h in zip(CLASSES, found.sum(axis=0) / 4, strict=True) if h}


def of_day(tariffs: object, day: datetime, tz: object = CHONGQING) -> np.ndarray:
    found = period("day", day, tz)  # type: ignore[arg-type]
    buckets = np.arange(to_us(found.start), to_us(found.end), BUCKET_US)
    return shares(tariffs, "CN-CQ", buckets, tz)[0]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ("2025-04-01T00:00", "valley"),
        ("2025-04-01T07:45", "valley"),
        ("2025-04-01T08:00", "flat"),
        ("2025-04-01T11:00", "peak"),
        ("2025-04-01T16:45", "peak"),
        ("2025-04-01T17:00", "flat"),
        ("2025-04-01T20:00", "peak"),
        ("2025-04-01T22:00", "flat"),
        ("2025-04-01T23:45", "flat"),
        ("2025-07-31T12:00", "sharp"),
        ("2025-07-31T13:45", "sharp"),
        ("2025-07-31T14:00", "peak"),
        ("2025-07-31T11:45", "peak"),
        ("2021-06-01T12:00", "none"),
    ],
)
def test_chongqing_by_its_own_clock(at: str, expected: str) -> None:
    """The classes of Chongqing hold by local time, to the quarter hour at each edge."""
    assert class_at(at) == expected


def test_sharp_is_four_months_only_and_taken_out_of_the_peak() -> None:
    """Sharp hours exist in January, July, August and December, and make the peak shorter, not the day longer."""
    for month in range(1, 13):
        found = hours(of_day(load_tariffs(), datetime(2025, month, 15, tzinfo=UTC)))
        if month in {1, 7, 8, 12}:
            assert found == {"sharp": 2, "peak": 6, "flat": 8, "valley": 8}
        else:
            assert found == {"peak": 8, "flat": 8, "valley": 8}


def test_a_table_may_change_in_the_middle_of_a_month() -> None:
    """The local day decides, not the month and not the UTC day."""
    tariffs = parse_tariffs(DAY, "t.toml")
    last_old, first_new = datetime(2025, 3, 14, 23, 45, tzinfo=CHONGQING), datetime(2025, 3, 15, tzinfo=CHONGQING)
    _, ids = shares(tariffs, "CN-CQ", np.array([to_us(last_old), to_us(first_new)]), CHONGQING)
    assert ids == ["old", "new"]
    assert hours(of_day(tariffs, last_old))["valley"] == 8
    assert hours(of_day(tariffs, first_new))["valley"] == pytest.approx(7 + 10 / 60)


def test_an_edge_inside_a_bucket_divides_it_by_time() -> None:
    """07:10 lies in the bucket of 07:00: ten minutes of it are valley, five are peak."""
    at = to_us(datetime(2025, 4, 1, 7, 0, tzinfo=CHONGQING))
    found, _ = shares(parse_tariffs(DAY, "t.toml"), "CN-CQ", np.array([at]), CHONGQING)
    assert dict(zip(CLASSES, found[0], strict=True))["valley"] == pytest.approx(2 / 3)
    assert dict(zip(CLASSES, found[0], strict=True))["peak"] == pytest.approx(1 / 3)


@pytest.mark.parametrize(("day", "length"), [("2025-03-30", 23), ("2025-10-26", 25), ("2024-02-29", 24)])
def test_a_day_of_a_changing_clock_is_covered_once(day: str, length: int) -> None:
    """The hour that is left out or comes twice makes its class shorter or longer; nothing is lost."""
    tz = zone("Europe/Amsterdam")
    found = of_day(load_tariffs(), datetime.fromisoformat(day).replace(hour=12, tzinfo=tz), tz)
    assert hours(found)["valley"] == 8 + length - 24
    assert found.sum() == pytest.approx(length * 4)


@given(
    st.integers(to_us(datetime(2015, 1, 1, tzinfo=UTC)), to_us(datetime(2035, 1, 1, tzinfo=UTC))),
    st.sampled_from(["Asia/Kolkata", "Australia/Lord_Howe"]),
)
def test_every_bucket_is_wholly_divided(at_us: int, name: str) -> None:
    """Whenever and wherever: the shares are not negative and add up to one."""
    start = at_us // BUCKET_US * BUCKET_US
    found, _ = shares(load_tariffs(), "CN-CQ", np.array([start]), zone(name))
    assert found.min() >= 0
    assert found.sum() == pytest.approx(1.0)


def test_a_place_without_a_table_has_no_class() -> None:
    """What passes where no table holds is counted as `none`, not left out."""
    assert load_tariffs().on("CN-SC", date(2025, 1, 1)) is None
    assert set(minute_classes(None, 1)) == {CLASSES.index(TariffClass.NONE)}


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        ('to = "08:00" }', 'to = "07:59" }', "tables[0].spans"),
        ('to = "08:00" }', 'to = "08:01" }', "tables[0].spans"),
        ('to = "08:00" }', 'to = "8:00" }', "tables[0].spans[0].to"),
        ('to = "24:00" }]', 'to = "24:01" }]', "tables[0].spans[1].to"),
        ("valid_to = 2025-03-15", "valid_to = 2025-03-16", "tables[1].valid_from"),
        ('id = "new"', 'id = "old"', "tables[1].id"),
        ("verified = true\n", "verified = 3\n", "tables[0].verified"),
    ],
)
def test_a_wrong_table_is_refused_by_name(old: str, new: str, field: str) -> None:
    """A minute in no class or in two, an overlap, a time that is none: file and field are named."""
    with pytest.raises(DataFileError) as caught:
        parse_tariffs(DAY.replace(old, new, 1), "t.toml")
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("season", "field"),
    [
        ('{ class = "sharp", from = "07:00", to = "09:00", within = "peak", months = [1] }', "within"),
        ('{ class = "sharp", from = "09:00", to = "10:00", within = "peak", months = [13] }', "months"),
    ],
)
def test_a_season_lies_inside_its_class(season: str, field: str) -> None:
    """Sharp hours outside the peak are a mistake of the table."""
    with pytest.raises(DataFileError) as caught:
        parse_tariffs(DAY.replace("verified = true\n", f"verified = true\nseasonal = [{season}]\n", 1), "t.toml")
    assert caught.value.field == f"tables[0].seasonal[0].{field}"


def test_buckets_are_divided_without_regard_to_order() -> None:
    """The same buckets in any order have the same shares."""
    start = datetime(2025, 12, 31, 12, tzinfo=UTC)
    at = np.array([to_us(start + timedelta(minutes=15 * k)) for k in range(40)])
    found, _ = shares(load_tariffs(), "CN-CQ", at, CHONGQING)
    again, _ = shares(load_tariffs(), "CN-CQ", at[::-1], CHONGQING)
    assert np.array_equal(found, again[::-1])
