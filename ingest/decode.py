"""A message from the broker to columns for the store, or the reason why not. Pure.

What is rejected, and how far:

- A message that breaks the contract as a whole (topic, size, JSON, columns that do not fit, an unknown edge) is
  rejected as a whole.
- A reading that is wrong by itself (unknown point, a point of another edge, wrong unit, in the future, not finite) is
  rejected alone: its good neighbours are stored, and the whole message goes to quarantine with the reason, as it came.
  Replaying it later is harmless, because what is stored already changes nothing.

Either way the batch, where its name can be read, counts as done: quarantine keeps the payload, so the edge may forget
it instead of sending it for ever.

That a publisher may only use its own edge's topics is the broker's part (user name and ACL); here an edge is kept from
writing to the points of another edge of its firm.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Final, NamedTuple

import msgspec

from park.errors import PayloadError, TopicError
from park.wire import (
    MAX_PAYLOAD_BYTES,
    MAX_READINGS,
    MSGPACK,
    Batch,
    Boot,
    Channel,
    Event,
    Millisecond,
    Reason,
    Sequence,
    Status,
    decode_batch,
    decode_event,
    decode_status,
    parse_topic,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from store.registry import EdgeRow


@dataclass(frozen=True, slots=True)
class Edge:
    """What is registered for an edge.

    Attributes:
        points: point code to (point id, unit).
        elsewhere: codes of the firm's other points, with the edge that each belongs to.
        seen: point ids by the bytes of a `points` column that was found right; bounded.
    """

    edge_id: int
    park_id: int
    firm_id: int
    points: Mapping[str, tuple[int, str]]
    elsewhere: Mapping[str, str]
    seen: dict[bytes, list[int]] = field(default_factory=dict, compare=False, repr=False)


class Registry:
    """All edges, by the codes in their topics."""

    __slots__ = ("_by_topic", "_edges", "firm_of", "topics")

    def __init__(self, rows: Iterable[EdgeRow] = ()) -> None:
        """Index the edges.

        Attributes:
            firm_of: point id to firm id.
            topics: edge id to (park, firm, edge).
        """
        rows = list(rows)
        by_firm: dict[int, dict[str, str]] = {}
        for row in rows:
            by_firm.setdefault(row.firm_id, {}).update(dict.fromkeys(row.points, row.edge))
        self._edges = {
            (row.park, row.firm, row.edge): Edge(
                row.edge_id, row.park_id, row.firm_id, row.points, by_firm[row.firm_id]
            )
            for row in rows
        }
        self._by_topic: dict[str, tuple[Channel, Edge]] = {}
        self.firm_of = {point_id: row.firm_id for row in rows for point_id, _ in row.points.values()}
        self.topics = {row.edge_id: (row.park, row.firm, row.edge) for row in rows}

    def resolve(self, topic: str) -> tuple[Channel, Edge]:
        """Return a topic's channel and edge.

        Raises:
            TopicError: not a topic of ours, or an unknown edge; `reason` says which.
        """
        found = self._by_topic.get(topic)
        if found is None:
            parsed = parse_topic(topic)
            edge = self._edges.get((parsed.park, parsed.firm, parsed.edge))
            if edge is None:
                raise TopicError(Reason.UNKNOWN_EDGE, f"no edge {parsed.user!r} is registered")
            # Bounded: only registered edges get here, with five channels each.
            found = self._by_topic[topic] = (parsed.channel, edge)
        return found


@dataclass(frozen=True, slots=True)
class Rejected:
    """Why a message, or some of its readings, was not taken.

    Attributes:
        edge: None where it is not known.
        boot, seq: the batch's name, where it could be read.
    """

    reason: Reason
    detail: str
    edge: Edge | None = None
    boot: str | None = None
    seq: int | None = None


class Readings(NamedTuple):
    """Accepted readings of a message, as columns; `rejected` says why some are missing.

    `quality` None means that all are good.
    """

    edge: Edge
    boot: str | None
    seq: int | None
    sent_ms: int | None
    point_ids: list[int]
    t_ms: list[int]
    values: list[float]
    quality: list[int] | None
    rejected: Rejected | None = None


class StatusOf(NamedTuple):
    """An edge's state."""

    edge: Edge
    status: Status


class EventOf(NamedTuple):
    """An edge's event; `point_id` where it names a point of the edge."""

    edge: Edge
    event: Event
    point_id: int | None


Decoded = Readings | StatusOf | EventOf | Rejected


class _Name(msgspec.Struct, frozen=True, gc=False):
    """The name alone, from a message whose columns are wrong."""

    boot: Boot | None = None
    seq: Sequence | None = None


class _Columns(msgspec.Struct, frozen=True, gc=False):
    """`Batch` with the points left as bytes: checking their names costs more than all the rest of a message."""

    points: msgspec.Raw
    t: Annotated[list[Millisecond], msgspec.Meta(min_length=1, max_length=MAX_READINGS)]
    v: Annotated[list[float], msgspec.Meta(min_length=1, max_length=MAX_READINGS)]
    i: msgspec.Raw | None = None
    q: msgspec.Raw | None = None
    boot: Boot | None = None
    seq: Sequence | None = None
    sent: Millisecond | None = None
    units: msgspec.Raw | None = None


_msgpack_columns = msgspec.msgpack.Decoder(_Columns)
_json_columns = msgspec.json.Decoder(_Columns)
_msgpack_batch = msgspec.msgpack.Decoder(Batch)
_msgpack_name = msgspec.msgpack.Decoder(_Name)
_json_name = msgspec.json.Decoder(_Name)

_SEEN_LISTS: Final = 64
_SEEN_BYTES: Final = 65_536
"""What is kept of an edge's `points` columns, at most: so many lists, none longer."""

MENDABLE: Final = frozenset({Reason.UNKNOWN_EDGE, Reason.UNKNOWN_POINT, Reason.WRONG_UNIT, Reason.IDENTITY})
"""Reasons that a newer registry may take away."""


def decode(
    topic: str, payload: bytes, content_type: str | None, registry: Registry, now_ms: int, *, future_limit_ms: int
) -> Decoded:
    """Decode one message.

    `now_ms` is our clock, milliseconds since 1970; a reading may be `future_limit_ms` ahead of it.
    """
    try:
        channel, edge = registry.resolve(topic)
    except TopicError as error:
        return Rejected(Reason(error.reason), str(error))
    try:
        if channel is Channel.DATA:
            return _readings(edge, payload, content_type, now_ms + future_limit_ms)
        if channel is Channel.STATUS:
            return StatusOf(edge, decode_status(payload))
        if channel is Channel.EVENT:
            return _event(edge, decode_event(payload))
    except PayloadError as error:
        boot, seq = _name(payload, content_type) if channel is Channel.DATA else (None, None)
        return Rejected(Reason(error.reason), str(error), edge, boot, seq)
    return Rejected(Reason.TOPIC, f"channel {channel.value!r} goes down to edges, not up from them", edge)


def _name(payload: bytes, content_type: str | None) -> tuple[str | None, int | None]:
    try:
        name = (_msgpack_name if content_type == MSGPACK else _json_name).decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None, None
    return (None, None) if name.boot is None or name.seq is None else (name.boot, name.seq)


def _event(edge: Edge, event: Event) -> EventOf:
    for first, after in event.ranges:
        if after <= first:
            raise PayloadError(Reason.COLUMNS, f"range [{first}, {after}) is empty: the second number is exclusive")
    known = edge.points.get(event.point) if event.point is not None else None
    return EventOf(edge, event, known[0] if known else None)


def _readings(edge: Edge, payload: bytes, content_type: str | None, latest_ms: int) -> Decoded:
    columns = _columns(payload, content_type)
    if columns is not None and (known := edge.seen.get(bytes(columns.points))) is not None:
        times, values = columns.t, columns.v
        if (
            len(times) == len(values) == len(known)
            and (columns.boot is None) == (columns.seq is None)
            and max(times) <= latest_ms
            and math.isfinite(sum(values))
        ):
            return Readings(edge, columns.boot, columns.seq, columns.sent, known, times, values, None)
    decoded = _checked_readings(edge, payload, content_type, latest_ms)
    if columns is not None and isinstance(decoded, Readings) and decoded.rejected is None:
        _remember(edge, bytes(columns.points), decoded.point_ids)
    return decoded


def _columns(payload: bytes, content_type: str | None) -> _Columns | None:
    """Return the columns of a message in the form that nearly all have; None means: take it apart with every check."""
    if len(payload) > MAX_PAYLOAD_BYTES:
        return None
    try:
        columns = (_msgpack_columns if content_type == MSGPACK else _json_columns).decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return columns if columns.i is None and columns.q is None and columns.units is None else None


def _remember(edge: Edge, points: bytes, point_ids: list[int]) -> None:
    if len(points) <= _SEEN_BYTES:
        if len(edge.seen) >= _SEEN_LISTS:
            edge.seen.clear()
        edge.seen[points] = point_ids


def _checked_readings(edge: Edge, payload: bytes, content_type: str | None, latest_ms: int) -> Decoded:
    finite = True
    try:
        batch = decode_batch(payload, content_type)
    except PayloadError as error:
        if error.reason != Reason.NOT_FINITE:
            raise
        # Only MessagePack can carry such values. Everything else about the batch has been found right.
        batch, finite = _msgpack_batch.decode(payload), False
    points, index, times, values = batch.points, batch.i, batch.t, batch.values
    resolved = [edge.points.get(code) for code in points]
    if None in resolved or batch.units is not None or not finite or max(times) > latest_ms:
        return _sift(edge, batch, resolved, latest_ms)
    ids = [known[0] for known in resolved]  # type: ignore[index]  # no None among them, see above
    if index is not None:
        ids = [ids[k] for k in index]
    return Readings(edge, batch.boot, batch.seq, batch.sent, ids, times, values, batch.q)


def _sift(edge: Edge, batch: Batch, resolved: list[tuple[int, str] | None], latest_ms: int) -> Decoded:
    """Take the good readings out of a batch in which some may be wrong."""
    wrong_points = {k: why for k in range(len(resolved)) if (why := _wrong_point(edge, batch, resolved, k)) is not None}
    why_first: tuple[Reason, str] | None = None
    keep: list[int] = []
    rejected = 0
    for n, (k, t_ms, value) in enumerate(zip(batch.indices, batch.t, batch.values, strict=True)):
        why = wrong_points.get(k)
        if why is None and t_ms > latest_ms:
            why = Reason.FUTURE, f"t = {t_ms} is more than the allowed time ahead of the receiver's clock"
        if why is None and not math.isfinite(value):
            why = Reason.NOT_FINITE, f"point {batch.points[k]!r} has a value that is not finite"
        if why is None:
            keep.append(n)
        else:
            rejected += 1
            why_first = why_first or why
    if why_first is None:
        # A point that no reading refers to harms nobody, but it is wrong all the same: say so.
        why_first = next(iter(wrong_points.values()), None)
    complaint = None
    if why_first is not None:
        reason, detail = why_first
        text = f"{detail} ({rejected} of {len(batch.t)} readings rejected)"
        complaint = Rejected(reason, text, edge, batch.boot, batch.seq)
        if not keep:
            return complaint
    indices = batch.indices
    return Readings(
        edge,
        batch.boot,
        batch.seq,
        batch.sent,
        [resolved[indices[n]][0] for n in keep],  # type: ignore[index]  # unresolved points are wrong, so not kept
        [batch.t[n] for n in keep],
        [batch.values[n] for n in keep],
        None if batch.q is None else [batch.q[n] for n in keep],
        complaint,
    )


def _wrong_point(edge: Edge, batch: Batch, resolved: list[tuple[int, str] | None], k: int) -> tuple[Reason, str] | None:
    code, known = batch.points[k], resolved[k]
    if known is None:
        owner = edge.elsewhere.get(code)
        if owner is not None:
            return Reason.IDENTITY, f"point {code!r} belongs to edge {owner!r} of this firm"
        return Reason.UNKNOWN_POINT, f"point {code!r} is not registered at this edge"
    if batch.units is not None and batch.units[k] != known[1]:
        return Reason.WRONG_UNIT, f"point {code!r} is registered in {known[1]!r}, the message says {batch.units[k]!r}"
    return None
