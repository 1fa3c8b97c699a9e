"""From the store to a frame: a few queries over all firms of a pass, whatever the number of rules and points."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from alerts.frame import (
    HOUR_US,
    NEVER,
    Arrivals,
    Child,
    EdgeWord,
    FirmInfo,
    Frame,
    Ledger,
    Limit,
    ParkInfo,
    Points,
    Window,
    matrix,
)
from park.calendar import BUCKET_US, from_us, to_us, zone
from park.errors import WireError
from park.wire import decode_batch
from store import alert_inputs as stored

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from numpy.typing import NDArray

    from store.pool import Connection

_FUTURE_US: Final = 24 * HOUR_US

_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Reach:
    """What a pass needs to see.

    Attributes:
        since_us: from where on samples are looked at again; until_us: the last one; both ends of quarter hours.
        back_us: how much further back quarter hours are needed; events_back_us: single occurrences.
        hours_back_us: how much further back hours are needed; 0: no rule that needs hours is due.
        arrivals: whether late data or a catch-up may be among it, so that readings themselves must be asked.
        gauges: whether readings of gauges are needed.
        held: whether hours with a held step are.
        needs_hours: tells of which points hours are needed, once the quarter hours are there.
    """

    since_us: int
    until_us: int
    back_us: int
    events_back_us: int
    hours_back_us: int
    arrivals: bool
    gauges: bool
    held: bool
    needs_hours: Callable[[Points, Ledger], NDArray[np.bool_]]


def instant_us(value: Any) -> int:
    """Return a timestamptz as microseconds since 1970; PostgreSQL's infinities come as the ends of time."""
    if value.year in {1, 9999}:
        return NEVER if value.year == 1 else np.iinfo(np.int64).max
    return to_us(value)


async def points_of(connection: Connection, firm_ids: Sequence[int]) -> Points:
    """Return the points of some firms."""
    rows = await stored.rows(connection, "points", list(firm_ids))

    def column(name: str, kind: Any = None) -> NDArray[Any]:
        return np.array([row[name] for row in rows], kind)

    return Points(
        point_id=column("point_id", np.int64),
        firm_id=column("firm_id", np.int64),
        edge_id=column("edge_id", np.int64),
        code=[row["code"] for row in rows],
        name_zh=[row["name_zh"] for row in rows],
        name_en=[row["name_en"] for row in rows],
        kind=column("kind", "U16"),
        carrier=column("carrier", "U48"),
        direction=column("direction", "U16"),
        unit=[row["unit"] for row in rows],
        unit_code=[row["unit_code"] for row in rows],
        product=[row["product"] for row in rows],
        interval_s=column("interval_s", np.int64),
        rate_limit_per_h=column("rate_limit_per_h", np.float64),
        newest_us=np.array([instant_us(row["newest"]) for row in rows], np.int64),
    )


def edge_clocks(points: Points, now_us: int) -> NDArray[np.int64]:
    """Return, per point, how far the newest reading of its edge has come; no further than now."""
    clock = np.full(len(points.point_id), NEVER)
    newest = np.minimum(points.newest_us, now_us)
    for edge_id in np.unique(points.edge_id).tolist():
        mine = points.edge_id == edge_id
        clock[mine] = newest[mine].max()
    # A virtual point is computed as far as its firm has come.
    for row in np.flatnonzero(points.edge_id == 0).tolist():
        clock[row] = newest[points.firm_id == points.firm_id[row]].max()
    return clock


async def firms_of(
    connection: Connection, firm_ids: Sequence[int], now: datetime
) -> tuple[ParkInfo, dict[int, FirmInfo]]:
    """Return firms of one park, and the park."""
    rows = await stored.rows(connection, "firms", list(firm_ids), now)
    first = rows[0]
    park = ParkInfo(first["park_id"], first["park_code"], first["park_zh"], first["park_en"], first["time_zone"])
    names = ("firm_id", "park_id", "firm_code", "firm_zh", "firm_en", "industry", "active")
    return park, {
        row["firm_id"]: FirmInfo(**{name: row[name] for name in names}, zones=tuple(row["zones"])) for row in rows
    }


async def frame_of(
    connection: Connection,
    park: ParkInfo,
    firms: Mapping[int, FirmInfo],
    points: Points,
    reach: Reach,
    now: datetime,
) -> Frame:
    """Load what the rules of a pass look at."""
    ids, firm_ids = points.point_id.tolist(), sorted(firms)
    start_us = (reach.since_us - reach.back_us) // HOUR_US * HOUR_US
    start, until = from_us(start_us), from_us(reach.until_us)
    events_us = min(start_us, reach.since_us - reach.events_back_us)
    events_us -= events_us % BUCKET_US
    events = from_us(events_us)
    edges = {row["edge_id"]: (row["firm_id"], row["code"]) for row in await stored.rows(connection, "edges", firm_ids)}
    ledger = _ledger(points, await stored.ledger(connection, ids, start, until), start_us, reach.until_us)
    frame = Frame(
        park=park,
        firms=firms,
        points=points,
        edges=edges,
        clock_us=edge_clocks(points, to_us(now)),
        tz=zone(park.time_zone),
        since_us=reach.since_us,
        ledger=ledger,
        ticks_us=np.arange(events_us + BUCKET_US, reach.until_us + 1, BUCKET_US, dtype=np.int64),
        before_us=np.full(len(ids), NEVER),
    )
    if reach.arrivals:
        frame.arrivals = _arrivals(points, ledger, await stored.arrivals(connection, ids, start, until))
    unseen = points.point_id[(ledger.measured_s[:, 0] <= 0) & (points.newest_us != NEVER)]
    for point_id, t in (await stored.before(connection, unseen.tolist(), start)).items() if len(unseen) else ():
        frame.before_us[points.row(point_id)] = to_us(t)
    if reach.hours_back_us:
        first_us = (reach.since_us - reach.hours_back_us) // HOUR_US * HOUR_US
        needed = points.point_id[reach.needs_hours(points, ledger)].tolist()
        found = await stored.hours(connection, needed, from_us(first_us), until)
        frame.hours = _hours(points, found, first_us, reach.until_us)
    frame.words = await _words(connection, list(edges), events)
    frame.future = await _future(connection, frame, firm_ids)
    conflicts = await stored.rows(connection, "conflicts", ids, events, until)
    frame.conflicts = [(points.row(r["point_id"]), to_us(r["bucket"]), r["readings"]) for r in conflicts]
    if reach.held:
        found_held = await stored.rows(connection, "held_hours", ids, events, until)
        frame.held_hours = [(points.row(r["point_id"]), to_us(r["period"]), r["flags"]) for r in found_held]
    limits: dict[int, list[Limit]] = {}
    for r in await stored.rows(connection, "limits", ids):
        limit = Limit(
            r["kind"],
            r["value"],
            r["source_zh"],
            r["source_en"],
            instant_us(r["valid_from"]),
            instant_us(r["valid_to"]),
        )
        limits.setdefault(r["point_id"], []).append(limit)
    frame.limits = limits
    if reach.gauges:
        frame.readings = await _gauges(connection, points, events, until)
    frame.children = [
        Child(r["point_id"], r["parent_id"], r["loss_share"], r["role"])
        for r in await stored.rows(connection, "parents", firm_ids, start)
    ]
    frame.losses = {r["point_id"]: r["loss_share"] for r in await stored.rows(connection, "losses", ids)}
    frame.maintenance = [
        Window(r["firm_id"], r["point_id"], r["rule_id"], instant_us(r["t_from"]), instant_us(r["t_to"]))
        for r in await stored.rows(connection, "maintenance", park.park_id, start)
    ]
    return frame


def kept(points: Points, keep: NDArray[np.bool_]) -> Points:
    """Return the points that are chosen."""
    rows = np.flatnonzero(keep).tolist()

    def some(column: Sequence[Any]) -> list[Any]:
        return [column[row] for row in rows]

    return Points(
        points.point_id[keep],
        points.firm_id[keep],
        points.edge_id[keep],
        some(points.code),
        some(points.name_zh),
        some(points.name_en),
        points.kind[keep],
        points.carrier[keep],
        points.direction[keep],
        some(points.unit),
        some(points.unit_code),
        some(points.product),
        points.interval_s[keep],
        points.rate_limit_per_h[keep],
        points.newest_us[keep],
    )


def empty_frame(park: ParkInfo, firms: Mapping[int, FirmInfo], points: Points, since_us: int, now: datetime) -> Frame:
    """Return a frame without a ledger: what the rules of a park itself look at is loaded by them."""
    empty = np.zeros((len(points.point_id), 0))
    ledger = Ledger(since_us // HOUR_US * HOUR_US, BUCKET_US, empty, empty.astype(np.float32), empty.astype(np.float32))
    return Frame(
        park=park,
        firms=firms,
        points=points,
        edges={},
        clock_us=edge_clocks(points, to_us(now)),
        tz=zone(park.time_zone),
        since_us=since_us,
        ledger=ledger,
        ticks_us=ledger.ends_us,
        before_us=np.full(len(points.point_id), NEVER),
    )


def _ledger(points: Points, columns: list[NDArray[Any]], start_us: int, until_us: int) -> Ledger:
    point_id, bucket_us, measured, estimated, measured_s, estimated_s, held, flags = columns
    shape = (len(points.point_id), (until_us - start_us) // BUCKET_US)
    rows, where = points.rows(point_id.astype(np.int64)), (bucket_us - start_us) // BUCKET_US
    unknown = np.isnan(measured) & np.isnan(estimated)
    quantity = np.where(unknown, np.nan, np.nan_to_num(measured) + np.nan_to_num(estimated))
    return Ledger(
        start_us,
        BUCKET_US,
        matrix(rows, where, quantity, shape, np.nan),
        matrix(rows, where, measured_s, shape, 0.0),
        matrix(rows, where, estimated_s, shape, 0.0),
        matrix(rows, where, held, shape, 0.0),
        matrix(rows, where, flags, shape, 0),
    )


def _hours(points: Points, columns: list[NDArray[Any]], start_us: int, until_us: int) -> Ledger:
    point_id, period_us, quantity, measured_s, estimated_s, flags = columns
    shape = (len(points.point_id), max((until_us - start_us) // HOUR_US, 1))
    rows, where = points.rows(point_id.astype(np.int64)), (period_us - start_us) // HOUR_US
    return Ledger(
        start_us,
        HOUR_US,
        matrix(rows, where, quantity, shape, np.nan),
        matrix(rows, where, measured_s, shape, 0.0),
        matrix(rows, where, estimated_s, shape, 0.0),
        flags=matrix(rows, where, flags, shape, 0),
    )


def _arrivals(points: Points, ledger: Ledger, columns: list[NDArray[Any]]) -> Arrivals:
    point_id, bucket_us, newest_us, sent_us, batch_id = columns
    shape = ledger.quantity.shape
    rows, where = points.rows(point_id.astype(np.int64)), (bucket_us - ledger.start_us) // BUCKET_US
    return Arrivals(
        matrix(rows, where, newest_us, shape, NEVER),
        matrix(rows, where, sent_us, shape, NEVER),
        matrix(rows, where, batch_id, shape, 0),
    )


async def _words(connection: Connection, edge_ids: Sequence[int], start: datetime) -> dict[int, list[EdgeWord]]:
    found: dict[int, list[EdgeWord]] = {edge_id: [] for edge_id in edge_ids}
    if not edge_ids:
        return found
    before = await stored.rows(connection, "edge_before", list(edge_ids), start)
    for row in [*before, *await stored.rows(connection, "edge_history", list(edge_ids), start)]:
        found[row["edge_id"]].append(
            EdgeWord(
                to_us(row["at"]),
                row["online"],
                row["boot"],
                row["buffered_batches"],
                clock_offset_ms=row["clock_offset_ms"],
            )
        )
    for row in await stored.rows(connection, "edge_events", list(edge_ids), start):
        word = EdgeWord(to_us(row["at"]), event=row["kind"], point_id=row["point_id"], body=row["body"])
        found[row["edge_id"]].append(word)
    return {edge_id: sorted(words, key=lambda word: word.at_us) for edge_id, words in found.items()}


async def _future(connection: Connection, frame: Frame, firm_ids: Sequence[int]) -> dict[int, list[int]]:
    """Return when readings of each point were turned away as of the future, by their edge's clock."""
    rows = {
        (int(firm), code): k
        for k, (firm, code) in enumerate(zip(frame.points.firm_id.tolist(), frame.points.code, strict=True))
    }
    found: dict[int, set[int]] = {}
    for held in await stored.rows(connection, "future", list(firm_ids)):
        try:
            batch = decode_batch(held["payload"], held["content_type"])
        except WireError:
            continue  # held for more than one reason: it cannot be read at all
        sent_us = to_us(held["received"]) if batch.sent is None else batch.sent * 1000
        for i, t in zip(batch.indices, batch.t, strict=True):
            row = rows.get((held["firm_id"], batch.points[i]))
            if row is not None and t * 1000 > sent_us + _FUTURE_US // 2:
                found.setdefault(row, set()).add(sent_us)
    return {row: sorted(times) for row, times in found.items()}


async def _gauges(
    connection: Connection, points: Points, start: datetime, until: datetime
) -> dict[int, tuple[NDArray[Any], NDArray[Any], NDArray[Any]]]:
    rows = np.flatnonzero(points.kind == "gauge")
    if len(rows) == 0:
        return {}
    ids = points.point_id[rows].tolist()
    point_id, t_us, value, quality = await stored.gauge_readings(connection, ids, start, until)
    found = {}
    for row in rows.tolist():
        a, b = np.searchsorted(point_id, [points.point_id[row], points.point_id[row] + 1])
        if b > a:
            found[row] = (t_us[a:b], value[a:b], quality[a:b])
    return found
