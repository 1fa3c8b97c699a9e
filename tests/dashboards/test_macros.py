"""Grafana's substitutions, against the tables of what Grafana does."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from dashboards.errors import MacroError, VariableError
from dashboards.macros import (
    Variable,
    View,
    expand,
    format_interval,
    panel_interval,
    parse_interval,
    substitute,
)

START = datetime(2018, 4, 12, 18, 0, tzinfo=UTC)
END = START + timedelta(minutes=5)
PLAIN = View(START, END, timedelta(minutes=1), timescaledb=False)
BUCKET = View(START, END, timedelta(minutes=1), timescaledb=True)
VARIABLES = {
    "multi": Variable(("a", "b'c"), many=True),
    "one": Variable(("a",), many=True),
    "single": Variable(("b'c",), many=False),
    "textbox": Variable(("O'Hara",), many=False),
}


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("IN ($multi)", "IN ('a','b''c')"),
        ("IN (${multi})", "IN ('a','b''c')"),
        ("IN (${multi:sqlstring})", "IN ('a','b''c')"),
        ("IN ($one)", "IN ('a')"),
        ("= '$single'", "= 'b''c'"),
        ("= ${single:sqlstring}", "= 'b''c'"),
        ("= '[[single]]'", "= 'b''c'"),
        ("'$textbox'", "'O''Hara'"),
        ("$__interval ${__interval} $__from", "$__interval ${__interval} $__from"),
        ("a$b".replace("$b", ""), "a"),
    ],
)
def test_variables_are_quoted_as_the_browser_does(written: str, sent: str) -> None:
    """Multi values are quoted and joined; a single value has its quotes doubled and gets none around it."""
    assert substitute(written, VARIABLES) == sent


@pytest.mark.parametrize("written", ["${multi:csv}", "${single:raw}", "${multi:singlequote}", "$unknown", "[[nobody]]"])
def test_unquoted_forms_and_unknown_variables_are_refused(written: str) -> None:
    """What Grafana would send unescaped or leave as it is does not pass."""
    with pytest.raises(VariableError):
        substitute(written, VARIABLES)


@pytest.mark.parametrize(
    ("written", "plain", "bucket"),
    [
        ("$__time(c)", 'c AS "time"', None),
        ("$__timeEpoch(c)", 'extract(epoch from c) as "time"', None),
        ("$__timeFilter(c)", "c BETWEEN '2018-04-12T18:00:00Z' AND '2018-04-12T18:05:00Z'", None),
        ("$__timeFilter( x.c )", "x.c BETWEEN '2018-04-12T18:00:00Z' AND '2018-04-12T18:05:00Z'", None),
        ("$__timeFrom()", "'2018-04-12T18:00:00Z'", None),
        ("$__timeTo()::timestamptz", "'2018-04-12T18:05:00Z'::timestamptz", None),
        ("$__timeGroup(c,'5m')", "floor(extract(epoch from c)/300)*300", "time_bucket('300.000s',c)"),
        ("$__timeGroup(c, 5m)", "floor(extract(epoch from c)/300)*300", "time_bucket('300.000s',c)"),
        ("$__timeGroup(c,'12d')", "floor(extract(epoch from c)/1036800)*1036800", "time_bucket('1036800.000s',c)"),
        ("$__timeGroup(c,'20ms')", "floor(extract(epoch from c)/0.02)*0.02", "time_bucket('0.020s',c)"),
        (
            "$__timeGroupAlias(c,'5m')",
            'floor(extract(epoch from c)/300)*300 AS "time"',
            "time_bucket('300.000s',c) AS \"time\"",
        ),
        (
            "$__timeGroup(c,'5m'), x",
            'floor(extract(epoch from c)/300)*300 AS "time", x',
            "time_bucket('300.000s',c) AS \"time\", x",
        ),
        (
            "$__timeGroup(c,$__interval,NULL)",
            "floor(extract(epoch from c)/60)*60",
            "time_bucket('60.000s',c)",
        ),
        ("$__unixEpochFilter(c)", "c >= 1523556000 AND c <= 1523556300", None),
        ("$__unixEpochNanoFilter(c)", "c >= 1523556000000000000 AND c <= 1523556300000000000", None),
        ("$__unixEpochNanoFrom() $__unixEpochNanoTo()", "1523556000000000000 1523556300000000000", None),
        ("$__unixEpochFrom() $__unixEpochTo()", "1523556000 1523556300", None),
        ("$__unixEpochGroup(c,'5m')", "floor((c)/300)*300", None),
        ("$__unixEpochGroupAlias(c,'5m')", 'floor((c)/300)*300 AS "time"', None),
        ("$__interval $__interval_ms", "1m 60000", None),
        ("SELECT 1", "SELECT 1", None),
    ],
)
def test_macros_become_what_grafana_sends(written: str, plain: str, bucket: str | None) -> None:
    """Each macro, without and with TimescaleDB."""
    assert expand(written, PLAIN) == plain
    assert expand(written, BUCKET) == (plain if bucket is None else bucket)


@pytest.mark.parametrize(
    "written",
    [
        "$__nothing(c)",
        "$1(c)",
        "$__timeFilter()",
        "$__timeGroup(c)",
        "$__timeGroup(c,'5x')",
        "$__timeGroup(c,'5m',zero)",
        "$__timeGroup(date_trunc('day',ts),'1d')",
    ],
)
def test_what_grafana_cannot_read_is_refused(written: str) -> None:
    """Unknown macros, wrong arguments, and nested parentheses that Grafana would cut."""
    with pytest.raises(MacroError):
        expand(written, BUCKET)


def test_the_comma_habit_follows_the_first_place_of_the_text() -> None:
    """Two equal groups: both follow what stands behind the first one."""
    assert expand("$__timeGroup(c,'1h'), a GROUP BY $__timeGroup(c,'1h')", BUCKET).count('AS "time"') == 2


def test_fractions_of_seconds_lose_their_zeros() -> None:
    """0.26 s is `.26Z`; a whole second has no fraction."""
    view = View(START + timedelta(milliseconds=260), END, timedelta(minutes=1), timescaledb=False)
    assert expand("$__timeFrom()", view) == "'2018-04-12T18:00:00.26Z'"


@pytest.mark.parametrize(
    ("text", "now", "seconds"),
    [
        ("90s", START, 90),
        ("1h30m", START, 5400),
        ("500ms", START, 0.5),
        ("2w", START, 1_209_600),
        ("1M", datetime(2018, 2, 1, tzinfo=UTC), 28 * 86_400),
        ("1M", datetime(2018, 1, 31, tzinfo=UTC), 31 * 86_400),
        ("1y", datetime(2020, 1, 1, tzinfo=UTC), 366 * 86_400),
    ],
)
def test_intervals(text: str, now: datetime, seconds: float) -> None:
    """Days and weeks are fixed, months and years are those that follow."""
    assert parse_interval(text, now) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("length", "points", "least", "step"),
    [
        (timedelta(hours=6), 238, timedelta(0), "2m"),
        (timedelta(hours=6), 50, timedelta(minutes=15), "15m"),
        (timedelta(days=7), 800, timedelta(minutes=1), "15m"),
        (timedelta(days=365), 800, timedelta(0), "12h"),
        (timedelta(days=36_500), 800, timedelta(0), "1y"),
        (timedelta(seconds=1), 1000, timedelta(0), "1ms"),
    ],
)
def test_steps(length: timedelta, points: int, least: timedelta, step: str) -> None:
    """Range over points, rounded, never below the panel's least."""
    assert format_interval(panel_interval(START, START + length, points, least)) == step


def test_server_steps_are_cut_to_the_largest_unit() -> None:
    """90 s is 1m, 36 h is 1d: the server cuts, it does not round."""
    assert [format_interval(timedelta(seconds=90)), format_interval(timedelta(hours=36))] == ["1m", "1d"]
