"""Who is on duty, when a message may go, and which digest is due: pure, by the park's clock."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.digest import LATE, due_period
from alerts.oncall import all_on_duty, on_duty, turn_at
from alerts.pacing import quiet_until, verdict
from alerts.rules import Severity
from store.duty import RotationRow, StandInRow
from store.outbox import Message

SHANGHAI = ZoneInfo("Asia/Shanghai")
BERLIN = ZoneInfo("Europe/Berlin")
LORD_HOWE = ZoneInfo("Australia/Lord_Howe")
FIRST = date(2025, 3, 24)
"""A Monday; Berlin changes its clocks on the Sunday after."""


def rotation(members: tuple[int, ...] = (1, 2, 3), **more: Any) -> RotationRow:
    given = {"valid_from": FIRST, "handover": time(8), "turn_days": 7} | more
    return RotationRow(1, "c", given["valid_from"], given["handover"], given["turn_days"], members)


def at(zone: ZoneInfo, *when: int) -> datetime:
    return datetime(*when, tzinfo=zone).astimezone(UTC)  # type: ignore[arg-type]


# Turns --------------------------------------------------------------------------------------------------------------


def test_turns_change_at_the_handover_of_the_parks_clock() -> None:
    """A minute before the handover it is still the one before; before the first day it is nobody."""
    rows = [rotation()]
    assert turn_at(rows, at(SHANGHAI, 2025, 3, 24, 7, 59), SHANGHAI) is None
    for day, who in ((24, 1), (30, 1), (31, 2)):
        turn = turn_at(rows, at(SHANGHAI, 2025, 3, day, 8, 0), SHANGHAI)
        assert turn is not None
        assert turn.recipient_id == who
    before = turn_at(rows, at(SHANGHAI, 2025, 3, 31, 7, 59), SHANGHAI)
    assert before is not None
    assert (before.recipient_id, before.ends) == (1, at(SHANGHAI, 2025, 3, 31, 8))


@pytest.mark.parametrize("tz", [BERLIN, LORD_HOWE, SHANGHAI, ZoneInfo("Asia/Kolkata")])
@given(hours=st.integers(0, 24 * 400), turn_days=st.integers(1, 10), handover=st.times())
def test_somebody_is_always_on_duty_and_turns_meet(tz: ZoneInfo, hours: int, turn_days: int, handover: time) -> None:
    """Over changes of clocks too: an instant lies in its turn, and the next turn begins where this one ends."""
    rows = [rotation(turn_days=turn_days, handover=handover.replace(microsecond=0))]
    instant = datetime.combine(FIRST + timedelta(days=1), handover, tz).astimezone(UTC) + timedelta(hours=hours)
    turn = turn_at(rows, instant, tz)
    assert turn is not None
    assert turn.starts <= instant < turn.ends + timedelta(hours=1)
    following = turn_at(rows, turn.ends + timedelta(hours=1), tz)
    assert following is not None
    assert following.starts == turn.ends
    assert following.recipient_id == turn.recipient_id % 3 + 1


def test_a_new_rotation_takes_over_on_its_day_and_an_empty_one_ends_the_calendar() -> None:
    """The newest rotation that has begun holds, and cuts the turn before it short."""
    rows = [rotation(), rotation((9,), valid_from=date(2025, 4, 2)), rotation((), valid_from=date(2025, 5, 1))]
    cut = turn_at(rows, at(SHANGHAI, 2025, 4, 1, 12), SHANGHAI)
    assert cut is not None
    assert (cut.recipient_id, cut.ends) == (2, at(SHANGHAI, 2025, 4, 2, 8))
    later = turn_at(rows, at(SHANGHAI, 2025, 4, 2, 8), SHANGHAI)
    assert later is not None
    assert later.recipient_id == 9
    assert turn_at(rows, at(SHANGHAI, 2025, 5, 1, 8), SHANGHAI) is None
    assert all_on_duty(rows, [], at(SHANGHAI, 2025, 5, 1, 8), SHANGHAI) == {}


def test_who_stands_in_goes_first_and_the_newest_entry_holds() -> None:
    """In the stand-in's hours it is them, also where nobody's turn it would be; afterwards it is the turn again."""
    starts, ends = at(SHANGHAI, 2025, 3, 25, 0), at(SHANGHAI, 2025, 3, 26, 0)
    entries = [StandInRow(1, starts, ends, 7), StandInRow(1, starts, ends, 8)]
    for instant, who in ((starts, 8), (ends, 1), (at(SHANGHAI, 2025, 3, 24, 12), 1)):
        found = on_duty([rotation()], entries, instant, SHANGHAI)
        assert found is not None
        assert found.recipient_id == who


# Quiet hours and limits ---------------------------------------------------------------------------------------------


def message(**more: Any) -> Message:
    given: dict[str, Any] = {
        "outbox_id": 1,
        "recipient_id": 1,
        "episode_id": 1,
        "kind": "episode",
        "severity": "warning",
        "dedupe_key": "k",
        "body": {},
        "attempts": 1,
        "created": datetime(2025, 11, 20, tzinfo=UTC),
        "held_reason": None,
        "channel": "webhook",
        "address": "SECRET",
        "locale": "en",
        "quiet_from": None,
        "quiet_to": None,
        "quiet_min_severity": "critical",
        "hourly_limit": 3,
        "time_zone": "Asia/Shanghai",
        "sent_last_hour": 0,
        "summary_due": None,
        "follows_held": False,
    }
    return Message(**given | more)


@given(st.times(), st.times(), st.datetimes(datetime(2025, 1, 1), datetime(2026, 1, 1)))  # noqa: DTZ001
def test_quiet_hours_end_at_their_local_time_within_a_day(starts: time, ends: time, naive: datetime) -> None:
    """Whoever is in them is let out at `quiet_to`, at most 25 hours later; over midnight as well."""
    now = naive.replace(tzinfo=UTC)
    for zone in ("Asia/Shanghai", "Europe/Berlin"):
        until = quiet_until(starts, ends, now, zone)
        local = now.astimezone(ZoneInfo(zone)).time()
        inside = starts <= local < ends if starts < ends else (local >= starts or local < ends)
        assert (until is not None) == inside
        if until is not None:
            assert now - timedelta(hours=1) < until <= now + timedelta(hours=25)


def test_quiet_hours_hold_all_that_is_not_loud_enough() -> None:
    """At 23:00 in the park a warning waits for 07:00, a critical one goes; what is loud is the recipient's choice."""
    night = at(SHANGHAI, 2025, 11, 20, 23)
    quiet = {"quiet_from": time(22), "quiet_to": time(7)}
    held = verdict(message(**quiet), night, summary_every_s=900)
    assert held is not None
    assert (held.until, held.reason) == (at(SHANGHAI, 2025, 11, 21, 7), "quiet")
    assert verdict(message(**quiet, severity="critical"), night, summary_every_s=900) is None
    assert verdict(message(**quiet, severity="major", quiet_min_severity="major"), night, summary_every_s=900) is None
    assert verdict(message(**quiet, kind="test"), night, summary_every_s=900) is None
    assert verdict(message(**quiet), at(SHANGHAI, 2025, 11, 20, 12), summary_every_s=900) is None


def test_the_limit_holds_what_is_more_but_never_a_critical_one_and_nothing_twice() -> None:
    """From the limit on messages wait for the summary, whose time the first of them sets."""
    now = at(SHANGHAI, 2025, 11, 20, 12)
    assert verdict(message(sent_last_hour=2), now, summary_every_s=900) is None
    held = verdict(message(sent_last_hour=3), now, summary_every_s=900)
    assert held is not None
    assert (held.until, held.reason) == (now + timedelta(seconds=900), "limit")
    assert Severity.CRITICAL.value not in held.severities
    due = now + timedelta(seconds=100)
    again = verdict(message(sent_last_hour=3, summary_due=due), now, summary_every_s=900)
    assert again is not None
    assert again.until == due
    assert verdict(message(sent_last_hour=9, severity="critical"), now, summary_every_s=900) is None
    assert verdict(message(sent_last_hour=9, held_reason="limit"), now, summary_every_s=900) is None
    assert verdict(message(sent_last_hour=9, kind="digest"), now, summary_every_s=900) is None
    follower = verdict(message(follows_held=True, summary_due=due), now, summary_every_s=900)
    assert follower is not None
    assert follower.until == due


def test_a_message_does_not_show_its_address() -> None:
    """What is logged of a message holds no address."""
    assert "SECRET" not in repr(message())


# Digests ------------------------------------------------------------------------------------------------------------

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


def test_a_digest_is_due_from_its_hour_on_and_tells_of_the_days_before() -> None:
    """A minute before it is not; a day later it is the next day's; the weekly one tells of seven days."""
    due = due_period("daily", time(8), 1, LONG_AGO, at(SHANGHAI, 2025, 11, 20, 8, 0), SHANGHAI)
    assert due == (at(SHANGHAI, 2025, 11, 19), at(SHANGHAI, 2025, 11, 20))
    assert due_period("daily", time(8), 1, LONG_AGO, at(SHANGHAI, 2025, 11, 20, 7, 59), SHANGHAI) is None
    weekly = due_period("weekly", time(8), 4, LONG_AGO, at(SHANGHAI, 2025, 11, 20, 9), SHANGHAI)
    assert weekly == (at(SHANGHAI, 2025, 11, 13), at(SHANGHAI, 2025, 11, 20))
    assert due_period("weekly", time(8), 3, LONG_AGO, at(SHANGHAI, 2025, 11, 20, 9), SHANGHAI) is None


def test_a_digest_is_not_sent_for_the_time_before_it_was_ordered() -> None:
    """Who orders one at ten does not get this morning's."""
    ten = at(SHANGHAI, 2025, 11, 20, 10)
    assert due_period("daily", time(8), 1, ten, ten, SHANGHAI) is None
    assert due_period("daily", time(8), 1, ten, ten + timedelta(days=1), SHANGHAI) is not None


@given(st.integers(0, 24 * 30), st.times(), st.integers(1, 7), st.sampled_from(["daily", "weekly"]))
def test_a_digest_tells_of_whole_days_and_is_never_late_for_long(
    hours: int, hour: time, weekday: int, kind: str
) -> None:
    """Over a change of clocks: the period is of whole local days and has ended, at most so long ago."""
    now = at(BERLIN, 2025, 3, 20) + timedelta(hours=hours)
    due = due_period(kind, hour, weekday, LONG_AGO, now, BERLIN)
    if due is None:
        return
    start, end = (instant.astimezone(BERLIN) for instant in due)
    assert (start.time(), end.time()) == (time(0), time(0))
    assert (end.date() - start.date()).days == (1 if kind == "daily" else 7)
    assert end <= now
    assert now - end <= LATE + timedelta(days=1, hours=1)
    if kind == "weekly":
        assert end.isoweekday() == weekday
