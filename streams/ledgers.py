"""The ledgers of some firms, brought up to date in one transaction; what follows from them is written down as waiting.

Live firms are taken many at a time: each statement then serves all of them. What a firm's rows say never depends on
who else is in the transaction.
"""

from __future__ import annotations

from datetime import timedelta
from importlib.metadata import version
from typing import TYPE_CHECKING, Final

from park.calendar import GRAINS, zone
from park.points import Kind
from store import graph
from store import indicators as values
from store import ledger as store
from store.registry import metered_points_of
from streams import compliance, metrics
from streams.derived import balanced, derive
from streams.indicators import spans_of
from streams.ledger import Advance, advance, rebuild, told_of
from streams.rows import Runs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from zoneinfo import ZoneInfo

    from store.ledger import Mark, WaitingFirm
    from store.pool import Connection
    from store.registry import MeteredPoint

CODE_VERSION: Final = version("greenpark")
LIVE: Final = timedelta(seconds=60)
"""A reading stored within so long after its own time is live, and its way to the indicator is measured."""
NOTHING: Final = Advance(0, 0, {grain: [] for grain in GRAINS}, [])


async def pass_ledgers(
    connection: Connection, waiting: Sequence[WaitingFirm], *, now: datetime, fine_hours: int
) -> dict[int, Advance]:
    """Bring the ledgers of firms of one time zone up to date in one transaction.

    Returns what was written for each firm that had something waiting, by firm; another worker's firms are not among
    them. What their indicators need computed is written down in the same transaction.
    """
    tz = zone(waiting[0].time_zone)
    by_id = {firm.firm_id: firm for firm in waiting}
    async with connection.transaction():
        marks: dict[int, list[Mark]] = {}
        locked = await store.lock_firms(connection, sorted(by_id))
        for firm_id, mark in await store.take_dirty(connection, locked) if locked else ():
            marks.setdefault(firm_id, []).append(mark)
        if not marks:
            return {}
        firms = {firm_id: by_id[firm_id] for firm_id in sorted(marks)}
        points: dict[int, list[MeteredPoint]] = {firm_id: [] for firm_id in firms}
        for metered in await metered_points_of(connection, list(firms)):
            points[metered.point.firm_id].append(metered)
        causes = {firm_id: ", ".join(sorted({mark.cause for mark in found})) for firm_id, found in marks.items()}
        opened = [(firm.park_id, firm_id, causes[firm_id]) for firm_id, firm in firms.items()]
        runs = dict(zip(firms, await store.new_runs(connection, opened, CODE_VERSION, now), strict=True))
        done = await _ledgers(connection, points, marks, tz, now=now, runs=runs)
        with metrics.stage("derived"):
            inputs = await graph.virtual_inputs(connection, list(firms))
            for firm_id in firms:
                own = [m.point.point_id for m in points[firm_id]]
                mine = {point_id: inputs[point_id] for point_id in own if point_id in inputs}
                done[firm_id] = await derive(
                    connection, mine, points[firm_id], marks[firm_id], done[firm_id], tz, now=now, run_id=runs[firm_id]
                )
        since = {firm_id: oldest_live(found) for firm_id, found in marks.items()}
        await _mark(connection, firms, points, done, causes, since, now=now, fine_hours=fine_hours)
        held = await compliance.touched(connection, marks, tz)
        await store.mark_results(
            connection,
            [(firm_id, *key, causes[firm_id], since[firm_id]) for firm_id, keys in held.items() for key in keys],
        )
        await store.finish_runs(connection, [(runs[firm_id], since[firm_id]) for firm_id in firms])
    return done


async def _ledgers(
    connection: Connection,
    points: Mapping[int, Sequence[MeteredPoint]],
    marks: Mapping[int, Sequence[Mark]],
    tz: ZoneInfo,
    *,
    now: datetime,
    runs: Mapping[int, int],
) -> dict[int, Advance]:
    """Advance the ledgers of all firms together, and lay down the first history of those that have none."""
    done = dict.fromkeys(points, NOTHING)
    measured = {m.point.point_id: m for found in points.values() for m in found if m.point.kind is not Kind.VIRTUAL}
    real = {firm_id: [mark for mark in found if mark.point_id in measured] for firm_id, found in marks.items()}
    begun = await store.begun(connection, sorted({mark.point_id for found in real.values() for mark in found}))
    together: list[Mark] = []
    for firm_id, found in real.items():
        if firm_id in begun:
            together += found
        elif found:
            ids = {mark.point_id for mark in found}
            mine = [measured[point_id] for point_id in sorted(ids)]
            rows = await rebuild(connection, mine, tz, now=now, runs=Runs.one(runs[firm_id]))
            done[firm_id] = told_of(rows, tz)
    if together:
        ids = {mark.point_id for mark in together}
        mine = [measured[point_id] for point_id in sorted(ids)]
        run_of = Runs.by_point({m.point.point_id: runs[m.point.firm_id] for m in mine})
        rows = await advance(connection, mine, together, tz, now=now, runs=run_of)
        for firm_id in begun:
            own = {m.point.point_id for m in points[firm_id]}
            done[firm_id] = told_of(rows, tz, own if len(begun) > 1 else None)
    return done


async def _mark(
    connection: Connection,
    firms: Mapping[int, WaitingFirm],
    points: Mapping[int, Sequence[MeteredPoint]],
    done: Mapping[int, Advance],
    causes: Mapping[int, str],
    since: Mapping[int, datetime | None],
    *,
    now: datetime,
    fine_hours: int,
) -> None:
    """Write down which indicators and balances the new rows may change."""
    givers: dict[int, list[int]] = {}
    for taker, giver in await graph.givers_of(connection, list(firms)):
        givers.setdefault(taker, []).append(giver)
    wanted = []
    for firm_id, found in done.items():
        spans = spans_of(found.touched, found.touched_buckets, now=now, fine_hours=fine_hours)
        for whose in (firm_id, *givers.get(firm_id, ())):
            wanted += [(whose, span.grain, span.start, causes[firm_id], since[firm_id]) for span in spans]
    await store.mark_results(connection, wanted)
    every = [m.point.point_id for found in points.values() for m in found]
    linked = await graph.in_graph(connection, every)
    parks: dict[tuple[int, str, datetime], datetime | None] = {}
    for firm_id, firm in firms.items():
        if linked.isdisjoint(m.point.point_id for m in points[firm_id]):
            continue
        for grain, start in balanced(done[firm_id].touched):
            known = [at for at in (parks.get((firm.park_id, grain, start)), since[firm_id]) if at is not None]
            parks[firm.park_id, grain, start] = min(known, default=None)
    await values.mark_parks(connection, [(*key, at) for key, at in parks.items()])


def oldest_live(marks: Sequence[Mark]) -> datetime | None:
    """Return the time of the oldest reading among the marks that was stored as it was taken."""
    live = [mark.t_from for mark in marks if mark.cause == "reading" and mark.marked - mark.t_from < LIVE]
    return min(live, default=None)
