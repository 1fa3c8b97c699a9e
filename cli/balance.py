"""`greenpark balance`: what went into each node of the meter graph and what came out of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.errors import MissingError
from cli.options import Json, SettingsFile, ask, emit, table

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from park.graph import Balance, Suspicion
    from store.graph import Graph


class By(StrEnum):
    """Periods that a balance is shown for."""

    MONTH = "month"
    DAY = "day"
    HOUR = "hour"
    BUCKET = "bucket"


@dataclass(frozen=True, slots=True)
class Shown:
    """One node over one period, in the unit of its point."""

    start: str
    unit: str
    balance: Balance


def balance(
    firm: Annotated[str, typer.Argument(metavar="PARK/FIRM", help="Codes, as `park show` lists them.")],
    day: Annotated[str | None, typer.Option(help="A day of the park, such as 2026-03-01; without it today.")] = None,
    by: Annotated[By, typer.Option(help="Cut the day into these, or show its whole month.")] = By.DAY,
    settings: SettingsFile = None,
    json_output: Json = False,
) -> None:
    """Hold each meter against those under it: supply, load, declared loss, and what is unaccounted.

    A point that is silent leaves its node unknown and is named. Where the day's buckets point at one wrong multiplier,
    it is suggested; `meter correct-multiplier` mends it.
    """
    park_code, slash, firm_code = firm.partition("/")
    if not slash or not firm_code:
        msg = f"{firm!r}: expected PARK/FIRM"
        raise MissingError(msg)

    async def question(connection: Any) -> tuple[list[Shown], list[Suspicion]]:
        return await balance_of(connection, park_code, firm_code, day, by, datetime.now(UTC))

    found, suspicions = ask(settings, question)
    lines = [table(_rows(found), f"no point of {firm} has others under it: name `parents` in the park document")]
    lines += [
        f"{s.key}: its multiplier looks wrong; times {s.factor:g} the balance closes "
        f"(open by {s.rest_before:.1%} now, {s.rest_after:.1%} then)"
        for s in suspicions
    ]
    document = {
        "balances": [{"start": row.start, "unit": row.unit, **asdict(row.balance)} for row in found],
        "suspicions": [asdict(s) for s in suspicions],
    }
    emit(document, "\n".join(lines), as_json=json_output)


async def balance_of(
    connection: Any, park_code: str, firm_code: str, day: str | None, by: By, now: datetime
) -> tuple[list[Shown], list[Suspicion]]:
    """Return the balances of a firm's nodes, and the multipliers that seem wrong by the buckets of the day."""
    from park.calendar import BUCKET_S, period, zone  # noqa: PLC0415
    from park.graph import suspect_node  # noqa: PLC0415
    from store.errors import UnknownNameError  # noqa: PLC0415
    from store.graph import bucket_amounts, graph  # noqa: PLC0415
    from store.registry import firms, park_named  # noqa: PLC0415

    park = await park_named(connection, park_code)
    if firm_code not in {each.code for each in await firms(connection, park.park_id)}:
        raise UnknownNameError("firm", f"{park_code}/{firm_code}")
    tz = zone(park.time_zone)
    whole = period("day", _noon(day, tz, now), tz)
    found = await graph(connection, park.park_id)
    mine = {edge.parent for edge in found.edges if edge.parent.partition("/")[0] == firm_code}
    if not mine:
        return [], []
    buckets = await bucket_amounts(connection, found, whole.start, whole.end)
    shown = [
        Shown(start.astimezone(tz).isoformat(timespec="minutes"), found.nodes[row.key].unit, row)
        for start, row in await _balances(connection, found, whole.start, whole.end, by, tz, now)
        if row.key in mine
    ]
    suspicions = [suspect_node(found.nodes, found.edges, key, buckets, BUCKET_S) for key in sorted(mine)]
    return shown, [each for each in suspicions if each is not None]


async def _balances(
    connection: Any, found: Graph, start: datetime, end: datetime, by: By, tz: ZoneInfo, now: datetime
) -> list[tuple[datetime, Balance]]:
    from park.calendar import BUCKET_S, period, periods  # noqa: PLC0415
    from park.graph import balances  # noqa: PLC0415
    from store.graph import bucket_amounts, period_amounts  # noqa: PLC0415

    if by is By.BUCKET:
        moved = await bucket_amounts(connection, found, start, end)
        width = timedelta(seconds=BUCKET_S)
        spans = [(at, at + width) for at in sorted(moved)]
    else:
        cut = (
            [period("month", start, tz)]
            if by is By.MONTH
            else periods("hour" if by is By.HOUR else "day", start, end, tz)
        )
        spans = [(each.start, each.end) for each in cut if each.start < now]
        moved = await period_amounts(connection, found, by.value, [at for at, _ in spans])
    return [
        (at, row)
        for at, stop in spans
        for row in balances(found.nodes, found.edges, moved.get(at, {}), at, stop, now=now)
    ]


def _noon(day: str | None, tz: ZoneInfo, now: datetime) -> datetime:
    if day is None:
        return now
    try:
        return datetime.combine(date.fromisoformat(day), time(12), tz)
    except ValueError:
        msg = f"{day!r} is no day: write it as 2026-03-01"
        raise MissingError(msg) from None


def _rows(found: list[Shown]) -> list[tuple[str, ...]]:
    if not found:
        return []
    head = ("point", "from", "supply", "load", "loss", "unaccounted", "share", "unit", "coverage", "unknown")
    return [head] + [
        (
            row.balance.key,
            row.start,
            *(_number(n) for n in (row.balance.supply, row.balance.load, row.balance.loss, row.balance.unaccounted)),
            "-" if row.balance.share is None else f"{row.balance.share:.1%}",
            row.unit,
            f"{row.balance.coverage:.0%}",
            ", ".join(row.balance.unknown),
        )
        for row in found
    ]


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:,.2f}"
