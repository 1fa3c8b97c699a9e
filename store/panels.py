"""A park's year for the dashboards' benchmark, made by the database itself; for throwaway databases."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from park.indicators import load_catalogue
from park.targets import load_pack, pack_ids
from store.queries import queries
from store.tenants import add_tenant

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from store.pool import Connection

PARK: Final = "bench"
_STEP: Final = timedelta(days=30)
_OF_TIME: Final = (
    "latest", "edge_status", "edge_events", "conflicts", "quarantined", "revisions", "baselines", "residuals",
)  # fmt: skip


class ParkYear(NamedTuple):
    """How much is made: firms, points of each (at most 20), days up to `end`, alerts, days of messages."""

    firms: int
    points: int
    days: int
    end: datetime
    episodes: int
    message_days: int


class Size(NamedTuple):
    """What the database holds; rows as it estimates them."""

    database_bytes: int
    buckets: int
    periods: int


async def lay_registry(connection: Connection, plan: ParkYear) -> str:
    """Make the park, its firms and points, and the park's tenant; return its role."""
    sql = queries("bench_panels")
    await connection.execute(sql["park"])
    await connection.execute(sql["firms"], plan.firms)
    await connection.execute(sql["edges"])
    await connection.execute(sql["points"], plan.points)
    await connection.execute("SET synchronous_commit = off")
    await connection.execute(sql["unindexed"])
    return await add_tenant(connection, PARK, None)


def stretches(plan: ParkYear) -> Iterator[tuple[datetime, datetime]]:
    """Yield the parts of the time in which buckets and hours are made, oldest first."""
    start = plan.end - timedelta(days=plan.days)
    while start < plan.end:
        stop = min(start + _STEP, plan.end)
        yield start, stop
        start = stop


async def lay_ledger(connection: Connection, start: datetime, stop: datetime) -> None:
    """Make the buckets and hours of one stretch."""
    sql = queries("bench_panels")
    await connection.execute(sql["buckets"], start, stop)
    await connection.execute(sql["hours"], start, stop)


async def lay_rest(connection: Connection, plan: ParkYear) -> None:
    """Make longer periods, indexes, and everything that stands on the ledger."""
    sql = queries("bench_panels")
    start = plan.end - timedelta(days=plan.days)
    await connection.execute(sql["periods"], start, plan.end)
    await connection.execute(sql["indexed"])
    await connection.execute(sql["tariff"])
    await connection.execute(sql["balance"])
    for grain in ("hour", "day", "month", "year"):
        found = [(one.id, one.unit) for one in load_catalogue().indicators if grain in one.grains]
        await connection.execute(
            sql["indicators"], [one for one, _ in found], [unit for _, unit in found], grain, start, plan.end
        )
    names, versions = [], []
    for pack in map(load_pack, pack_ids()):
        await connection.execute(sql["pack"], pack.id, pack.version, msgspec.to_builtins(pack))
        names += [f"{pack.id}/{target.id}" for target in pack.targets[:3]]
        versions += [pack.version] * len(pack.targets[:3])
    await connection.execute(sql["park_packs"])
    await connection.execute(sql["standings"], names, versions, start, plan.end)
    await connection.execute(sql["episodes"], plan.end, plan.episodes)
    await connection.execute(sql["transitions"])
    await connection.execute(sql["batches"], plan.end, plan.message_days)
    await connection.execute(sql["runs"], plan.end, plan.message_days)
    for name in _OF_TIME:
        await connection.execute(sql[name], *([plan.end] if "$1" in sql[name] else []))
    await connection.execute(sql["statistics"])


async def size_of(connection: Connection) -> Size:
    """Return what the database holds."""
    return Size(*await connection.fetchrow(queries("bench_panels")["size"]))
