"""`greenpark ledger rebuild`: has everything computed again from raw readings, and shows how far it is."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from rich.console import Console

from cli.errors import MissingError
from cli.progress import Steps
from park.calendar import zone
from store.ledger import commit_in_passing, mark_stretch, waiting_of
from store.pool import connected
from store.registry import firms, metered_points, parks
from streams.process import pass_firm, pass_park

if TYPE_CHECKING:
    from store.ledger import WaitingFirm
    from store.pool import Connection
    from store.registry import FirmRow, ParkRow
    from streams.settings import StreamsSettings


@dataclass(frozen=True, slots=True)
class Rebuild:
    """What is computed again; None: all of them. Days are of the park's zone, the last one included."""

    park: str | None = None
    firm: str | None = None
    point: str | None = None
    first: date | None = None
    last: date | None = None


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What a rebuild did: `buckets` said something else than before, `revisions` of them after they were closed."""

    firms: int
    points: int
    buckets: int
    revisions: int
    seconds: float


async def run_rebuild(settings: StreamsSettings, wanted: Rebuild) -> Rebuilt:
    """Mark what is wanted and compute it, firm by firm, by the code that live readings take.

    Each firm is one transaction. Stopped in between, the rest waits for the processes of streams. Where one of them
    has a firm already, it is left to it.

    Raises:
        MissingError: no such park, firm or point, or no reading in the time.
    """
    began = time.monotonic()
    buckets = revisions = 0
    async with connected(settings.database_url, application="greenpark rebuild") as connection:
        await commit_in_passing(connection)
        chosen = await _chosen(connection, wanted)
        marked: dict[int, int] = {}
        for park, firm, point_ids in chosen:
            since, until = _bounds(park, wanted)
            count = await mark_stretch(connection, firm.firm_id, point_ids, since, until, "rebuild")
            if count:
                marked[firm.firm_id] = count
        if not marked:
            raise MissingError("nothing was read there: look at `greenpark park show`, and at --from and --to")
        with Steps(Console(stderr=True)) as steps:
            steps.begin("computing", total=sum(marked.values()))
            waiting = {firm.firm_id: firm for firm in await waiting_of(connection, list(marked))}
            for firm_id, points in marked.items():
                done = await _firm(settings, connection, waiting.get(firm_id))
                buckets, revisions = buckets + done[0], revisions + done[1]
                steps.advance(points)
            for park in {park.park_id: park for park, _, _ in chosen}.values():
                await pass_park(connection, park.park_id, park.time_zone, now=datetime.now(UTC))
            steps.done(f"{sum(marked.values()):,} points of {len(marked):,} firms")
    return Rebuilt(len(marked), sum(marked.values()), buckets, revisions, round(time.monotonic() - began, 1))


async def _firm(settings: StreamsSettings, connection: Connection, firm: WaitingFirm | None) -> tuple[int, int]:
    """Compute a firm, or wait until the process of streams that has it is done."""
    while firm is not None:
        done = await pass_firm(settings, connection, firm, now=datetime.now(UTC))
        if done is not None:
            return done.buckets, done.revisions
        if not await waiting_of(connection, [firm.firm_id]):
            break
        await asyncio.sleep(0.2)
    return 0, 0


async def _chosen(connection: Connection, wanted: Rebuild) -> list[tuple[ParkRow, FirmRow, list[int]]]:
    found = []
    for park in await parks(connection):
        if wanted.park not in {None, park.code}:
            continue
        for firm in await firms(connection, park.park_id):
            if wanted.firm not in {None, firm.code}:
                continue
            points = [metered.point for metered in await metered_points(connection, firm.firm_id)]
            ids = [point.point_id for point in points if wanted.point in {None, point.code}]
            if ids:
                found.append((park, firm, ids))
    if not found:
        asked = " ".join(f"--{name} {given}" for name in ("park", "firm", "point") if (given := getattr(wanted, name)))
        raise MissingError(f"no point fits {asked or 'here'}: `greenpark park show` lists what there is")
    return found


def _bounds(park: ParkRow, wanted: Rebuild) -> tuple[datetime, datetime]:
    """Return the days as instants; a side that was not given lies beyond every reading."""
    tz = zone(park.time_zone)
    first, last = wanted.first or date(1971, 1, 1), wanted.last or date(9990, 1, 1)
    start = datetime(first.year, first.month, first.day, tzinfo=tz)
    after = last + timedelta(days=1)
    return start.astimezone(UTC), datetime(after.year, after.month, after.day, tzinfo=tz).astimezone(UTC)
