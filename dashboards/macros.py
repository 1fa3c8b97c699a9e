"""Grafana's substitutions in a PostgreSQL query, as pure functions: what the browser does, then what the server does.

1. `substitute` puts template variables in, as the browser does.
2. `expand` replaces the interval globals as text, then the macros, as the server does.

The rules are those of Grafana 10.2 to 12.2; forms that Grafana leaves unquoted are refused here, not imitated.
"""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from dashboards.errors import MacroError, VariableError

if TYPE_CHECKING:
    from collections.abc import Mapping

_VARIABLE: Final = re.compile(r"\$(\w+)|\$\{(\w+)(?:\.[^:^}]+)?(?::([^}]+))?\}|\[\[(\w+)(?::(\w+))?\]\]")
_MACRO: Final = re.compile(r"\$([_a-zA-Z0-9]+)\(([^)]*)\)")
_INTERVAL: Final = re.compile(r"(\d+)([dwMy])")
_DURATION: Final = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|us|µs|ns|h|m|s))+")
_DURATION_PART: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|us|µs|ns|h|m|s)")
_UNIT_S: Final = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
_SAFE_FORMATS: Final = frozenset({"sqlstring"})


@dataclass(frozen=True, slots=True)
class Variable:
    """The chosen value or values of a template variable.

    Attributes:
        values: what is chosen; several only if `many`.
        many: multi-select or with All: values are quoted and joined by commas. Otherwise quotes in the value are
            doubled, and none are put around it.
    """

    values: tuple[str, ...]
    many: bool


@dataclass(frozen=True, slots=True)
class View:
    """What a query is expanded for: range, step and kind of data source."""

    start: datetime
    end: datetime
    interval: timedelta
    timescaledb: bool


# Upper edge of each step (exclusive) and what the step rounds to, both in ms.
_H, _D = 3_600_000, 86_400_000
_ROUNDED_MS: Final = (
    (10, 1), (15, 10), (35, 20), (75, 50), (150, 100), (350, 200), (750, 500), (1_500, 1_000), (3_500, 2_000),
    (7_500, 5_000), (12_500, 10_000), (17_500, 15_000), (25_000, 20_000), (45_000, 30_000), (90_000, 60_000),
    (210_000, 120_000), (450_000, 300_000), (750_000, 600_000), (1_050_000, 900_000), (1_500_000, 1_200_000),
    (2_700_000, 1_800_000), (5_400_000, _H), (9_000_000, 2 * _H), (16_200_000, 3 * _H), (32_400_000, 6 * _H),
    (_D, 12 * _H), (7 * _D, _D), (21 * _D, 7 * _D), (42 * _D, 30 * _D),
)  # fmt: skip


def panel_interval(start: datetime, end: datetime, max_data_points: int, least: timedelta) -> timedelta:
    """Return the step that Grafana chooses for a panel: range over points, rounded, not below `least`."""
    raw_ms = (end - start) / timedelta(milliseconds=1) / max_data_points
    rounded = next((value for edge, value in _ROUNDED_MS if raw_ms < edge), 365 * _D)
    return max(timedelta(milliseconds=rounded), least)


def format_interval(interval: timedelta) -> str:
    """Return a step as Grafana writes it on the server: whole numbers of the largest unit that fits."""
    ms = interval // timedelta(milliseconds=1)
    for unit, length in (("y", 365 * _D), ("d", _D), ("h", _H), ("m", 60_000), ("s", 1_000)):
        if ms >= length:
            return f"{ms // length}{unit}"
    return f"{max(ms, 1)}ms"


def substitute(sql: str, variables: Mapping[str, Variable]) -> str:
    """Put template variables in as the browser does; `$__…` that is not a variable stays for the server.

    Raises:
        VariableError: not defined, or in a form that does not quote (`:raw`, `:csv`, …).
    """

    def one(match: re.Match[str]) -> str:
        name = match[1] or match[2] or match[4]
        form = match[3] or match[5]
        if name.startswith("__"):
            return match[0]
        if name not in variables:
            raise VariableError(f"${name} is not defined in this dashboard")
        if form is not None and form not in _SAFE_FORMATS:
            raise VariableError(f"${{{name}:{form}}} does not quote its value; use ${name} or ${{{name}:sqlstring}}")
        return _written(variables[name], form)

    return _VARIABLE.sub(one, sql)


def _written(variable: Variable, form: str | None) -> str:
    doubled = [value.replace("'", "''") for value in variable.values]
    if variable.many or form == "sqlstring":
        return ",".join(f"'{value}'" for value in doubled)
    return doubled[0]


def expand(sql: str, view: View) -> str:
    """Replace the server's globals and macros.

    Raises:
        MacroError: an unknown macro, a wrong number of arguments, or parentheses inside the arguments.
    """
    interval_ms = view.interval // timedelta(milliseconds=1)
    for name, value in (
        ("$__interval_ms", str(interval_ms)),
        ("$__interval", format_interval(view.interval)),
        ("$__unixEpochFrom()", str(_epoch_s(view.start))),
        ("$__unixEpochTo()", str(_epoch_s(view.end))),
    ):
        sql = sql.replace(name, value)

    def one(match: re.Match[str]) -> str:
        arguments = [part.strip() for part in match[2].split(",")]
        if "(" in match[2]:
            raise MacroError(f"{match[0]}: Grafana ends the arguments at the first ')'; move the call out of the macro")
        name = match[1]
        # An old habit of Grafana: a group that is directly followed by a comma gets the alias too. It looks at the
        # first place where the same text stands.
        if name in {"__timeGroup", "__unixEpochGroup"}:
            after = sql.find(match[0]) + len(match[0])
            if sql[after : after + 1] == ",":
                name += "Alias"
        return _macro(name, arguments, view)

    return _MACRO.sub(one, sql)


def _macro(name: str, arguments: list[str], view: View) -> str:
    column = arguments[0]
    start_ns, end_ns = (_epoch_s(t) * 10**9 + t.microsecond * 1000 for t in (view.start, view.end))
    bare = {
        "__timeFrom": f"'{_rfc3339(view.start)}'",
        "__timeTo": f"'{_rfc3339(view.end)}'",
        "__unixEpochNanoFrom": str(start_ns),
        "__unixEpochNanoTo": str(end_ns),
    }
    if name in bare:
        return bare[name]
    of_column = {
        "__time": f'{column} AS "time"',
        "__timeEpoch": f'extract(epoch from {column}) as "time"',
        "__timeFilter": f"{column} BETWEEN '{_rfc3339(view.start)}' AND '{_rfc3339(view.end)}'",
        "__unixEpochFilter": f"{column} >= {_epoch_s(view.start)} AND {column} <= {_epoch_s(view.end)}",
        "__unixEpochNanoFilter": f"{column} >= {start_ns} AND {column} <= {end_ns}",
    }
    if name in of_column:
        if not column:
            raise MacroError(f"${name} needs a column")
        return of_column[name]
    if name.removesuffix("Alias") in {"__timeGroup", "__unixEpochGroup"}:
        grouped = _group(name.removesuffix("Alias"), arguments, view)
        return grouped + ' AS "time"' if name.endswith("Alias") else grouped
    raise MacroError(f"${name}(…) is no macro of Grafana: the whole query would fail")


def _group(name: str, arguments: list[str], view: View) -> str:
    if len(arguments) not in {2, 3}:
        raise MacroError(f"${name} needs a column and an interval")
    if len(arguments) == 3 and not re.fullmatch(r"NULL|previous|-?\d+(\.\d+)?", arguments[2]):
        raise MacroError(f"${name}: fill with NULL, previous or a number, not {arguments[2]!r}")
    seconds = parse_interval(arguments[1].strip("'\""), view.end)
    if name == "__timeGroup" and view.timescaledb:
        return f"time_bucket('{seconds:.3f}s',{arguments[0]})"
    inner = f"extract(epoch from {arguments[0]})" if name == "__timeGroup" else f"({arguments[0]})"
    step = f"{seconds:.9f}".rstrip("0").rstrip(".")
    return f"floor({inner}/{step})*{step}"


def parse_interval(text: str, now: datetime) -> float:
    """Return seconds of `5m`, `1h30m`, `500ms`, `12d`, `2w`, `1M` or `1y`; months and years as of `now`.

    Raises:
        MacroError: not an interval that Grafana reads.
    """
    if match := _INTERVAL.fullmatch(text):
        count, unit = int(match[1]), match[2]
        if unit in "dw":
            return count * (86_400.0 if unit == "d" else 604_800.0)
        return (_later(now, count if unit == "M" else 12 * count) - now).total_seconds()
    if not _DURATION.fullmatch(text):
        raise MacroError(f"{text!r} is no interval; write 5m, 1h30m, 12d")
    return sum(float(number) * _UNIT_S[unit] for number, unit in _DURATION_PART.findall(text))


def _later(instant: datetime, months: int) -> datetime:
    # As Go does: a day that the month lacks runs over into the next.
    index = instant.year * 12 + instant.month - 1 + months
    year, month = divmod(index, 12)
    last = calendar.monthrange(year, month + 1)[1]
    over = max(instant.day - last, 0)
    return instant.replace(year=year, month=month + 1, day=min(instant.day, last)) + timedelta(days=over)


def _epoch_s(instant: datetime) -> int:
    return (instant - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(seconds=1)


def _rfc3339(instant: datetime) -> str:
    utc = instant.astimezone(UTC)
    fraction = f".{utc.microsecond:06d}".rstrip("0").rstrip(".") if utc.microsecond else ""
    return f"{utc:%Y-%m-%dT%H:%M:%S}{fraction}Z"
