"""What edges say of themselves (status, events), and the watermark: what of theirs is stored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from store.queries import queries

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from park.wire import Event, Status
    from store.pool import Connection


class Stretch(NamedTuple):
    """Batches `[first, after)` of one boot of an edge that are stored or given up."""

    edge_id: int
    boot: str
    first: int
    after: int


@dataclass(frozen=True, slots=True)
class Watermark:
    """All that is stored or given up of one boot.

    Attributes:
        floor: the smallest seq, from 0, that is not.
        ranges: the stretches `[first, after)` above the floor.
        newest: whether the edge is in this boot now.
    """

    edge_id: int
    boot: str
    floor: int
    ranges: tuple[tuple[int, int], ...]
    newest: bool


@dataclass(frozen=True, slots=True)
class EdgeEvent:
    """An event with the ids of where it happened."""

    park_id: int
    firm_id: int
    edge_id: int
    point_id: int | None
    event: Event


@dataclass(frozen=True, slots=True)
class EdgeState:
    """An edge's state with the ids of where it stands."""

    park_id: int
    firm_id: int
    edge_id: int
    status: Status


async def advance_watermarks(connection: Connection, stretches: Sequence[Stretch]) -> list[Watermark]:
    """Add stretches to the watermarks and return those touched, whole."""
    if not stretches:
        return []
    columns = [list(column) for column in zip(*stretches, strict=True)]
    rows = await connection.fetch(queries("edge_states")["advance_watermarks"], *columns)
    return [watermark_of(row["edge_id"], row["boot"], row["committed"], newest=row["newest"]) for row in rows]


async def watermarks(connection: Connection) -> list[Watermark]:
    """Return every boot's watermark, by edge, oldest boot first; `newest` is the last of each edge."""
    rows = await connection.fetch(queries("edge_states")["watermarks"])
    following = [*(row["edge_id"] for row in rows[1:]), None][: len(rows)]
    return [
        watermark_of(row["edge_id"], row["boot"], row["committed"], newest=row["edge_id"] != next_edge)
        for row, next_edge in zip(rows, following, strict=True)
    ]


def watermark_of(edge_id: int, boot: str, committed: Sequence[Any], *, newest: bool) -> Watermark:
    """Turn an int8multirange (ordered, disjoint, half-open ranges) into floor and ranges."""
    stretches = [(int(r.lower), int(r.upper)) for r in committed]
    if stretches and stretches[0][0] <= 0:
        return Watermark(edge_id, boot, stretches[0][1], tuple(stretches[1:]), newest)
    return Watermark(edge_id, boot, 0, tuple(stretches), newest)


async def upsert_states(connection: Connection, states: Sequence[EdgeState]) -> None:
    """Store states in the order of arrival."""
    # By edge, so that two transactions wait for each other instead of for both; the sort keeps the order of arrival.
    rows = [
        (
            s.edge_id,
            s.park_id,
            s.firm_id,
            s.status.online,
            s.status.boot,
            s.status.at,
            s.status.version,
            s.status.buffered_batches,
            s.status.buffered_bytes,
            s.status.clock_offset_ms,
        )
        for s in sorted(states, key=lambda state: state.edge_id)
    ]
    await connection.executemany(queries("edge_states")["upsert_status"], rows)


async def insert_events(connection: Connection, events: Sequence[EdgeEvent]) -> None:
    """Store events; one that is there already is nothing."""
    rows = [
        (
            e.park_id,
            e.firm_id,
            e.edge_id,
            e.event.boot,
            e.event.at,
            e.event.kind,
            e.point_id,
            {
                **e.event.body,
                **({"point": e.event.point} if e.event.point is not None else {}),
                **({"ranges": e.event.ranges} if e.event.ranges else {}),
            },
        )
        for e in sorted(events, key=lambda event: (event.edge_id, event.event.boot, event.event.at))
    ]
    await connection.executemany(queries("edge_states")["insert_event"], rows)
