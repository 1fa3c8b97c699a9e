"""Many messages into the database in one transaction, whatever is among them.

- What is new is stored, what was stored before is recognised: batches by (edge, boot, seq), readings by (point, t).
- New readings are copied straight into the table, in the belief that all are new. If one is not, that copy is taken
  back and they go through a staging table; so do the next few transactions: what collides once collides again.
- If the data of one message makes the transaction fail, the messages are halved until it stands alone; it goes to
  quarantine, the others are stored.
- If the server or the way to it fails, the same messages are tried again, for ever; nothing is acknowledged meanwhile.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

import asyncpg
import numpy as np
import structlog

from ingest.decode import Decoded, EventOf, Readings, Rejected, StatusOf
from park.wire import Reason
from store import edge_states, quarantine, readings
from store.edge_states import Stretch, Watermark
from store.errors import StoreError
from store.pool import connect
from store.readings import BatchColumns, ReadingColumns

if TYPE_CHECKING:
    import random
    from collections.abc import Mapping, Sequence

    from store.pool import Connection

log = structlog.get_logger()

_STAGED_AFTER_COLLISION: Final = 16
"""Transactions that go through staging at once after one that collided."""
_DATA_CLASSES: Final = frozenset({"21", "22", "23", "44", "54"})
"""SQLSTATE classes that the data is to blame for."""
_ODD_CLASSES: Final = frozenset({"XX", "P0"})
"""Classes that may be either: tried again a few times, then held against the data."""
_ODD_ATTEMPTS: Final = 3
_FAILURES: Final = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    StoreError,
    OSError,
    ValueError,
    TypeError,
    ArithmeticError,
)
_FIRST_WAIT_S: Final = 0.1
_LONGEST_WAIT_S: Final = 5.0


class Arrival(NamedTuple):
    """A message and what it was decoded to."""

    topic: str
    payload: bytes
    content_type: str | None
    decoded: Decoded


@dataclass(slots=True)
class Outcome:
    """What a transaction did; outcomes of several add up.

    Attributes:
        batches, readings: newly stored.
        duplicates: messages that had been stored before.
        conflicts: readings kept aside because the stored one differs.
        quarantined: messages held, by reason; a partly good message counts here and in `batches`.
        collisions: copies that were taken back because a reading was there already.
        watermarks: of every (edge, boot) named by the messages, also where nothing was new.
    """

    batches: int = 0
    readings: int = 0
    duplicates: int = 0
    conflicts: int = 0
    collisions: int = 0
    quarantined: dict[Reason, int] = field(default_factory=dict)
    watermarks: list[Watermark] = field(default_factory=list)

    def add(self, other: Outcome) -> None:
        """Add another transaction's figures."""
        self.batches += other.batches
        self.readings += other.readings
        self.duplicates += other.duplicates
        self.conflicts += other.conflicts
        self.collisions += other.collisions
        for reason, count in other.quarantined.items():
            self.quarantined[reason] = self.quarantined.get(reason, 0) + count
        self.watermarks += other.watermarks


async def store(
    connection: Connection,
    arrivals: Sequence[Arrival],
    firm_of: Mapping[int, int],
    *,
    optimistic: bool = True,
    replay: bool = False,
) -> Outcome:
    """Store messages in one transaction; the connection must have its staging table (`open_staging`).

    `firm_of` maps point ids to firm ids. `optimistic` tries the straight copy first. `replay` says that the messages
    come out of quarantine: a batch that is there already may still lack readings.
    """
    outcome = Outcome()
    async with connection.transaction():
        await edge_states.upsert_states(
            connection,
            [
                edge_states.EdgeState(d.edge.park_id, d.edge.firm_id, d.edge.edge_id, d.status)
                for a in arrivals
                if isinstance(d := a.decoded, StatusOf)
            ],
        )
        await edge_states.insert_events(
            connection,
            [
                edge_states.EdgeEvent(d.edge.park_id, d.edge.firm_id, d.edge.edge_id, d.point_id, d.event)
                for a in arrivals
                if isinstance(d := a.decoded, EventOf)
            ],
        )
        columns, unnamed = await _store_batches(connection, arrivals, outcome, replay=replay)
        if len(columns):
            touched = None
            if optimistic and not replay and not columns.has_twins():
                touched = await readings.copy_readings(connection, columns)
                outcome.collisions += touched is None
            if touched is not None:
                outcome.readings = len(columns)
            else:
                staged = await readings.stage_readings(connection, columns)
                touched = staged.touched
                outcome.readings, outcome.conflicts = staged.readings, staged.conflicts
                if empty := [batch_id for batch_id in unnamed if batch_id not in staged.fruitful]:
                    await readings.delete_batches(connection, empty)
                    outcome.batches -= len(empty)
                    outcome.duplicates += len(empty)
            await readings.record_touched(connection, touched, firm_of)
        outcome.watermarks = await edge_states.advance_watermarks(connection, stretches(arrivals))
        held = [_held(a, why) for a in arrivals if (why := _complaint(a.decoded)) is not None]
        await quarantine.hold(connection, held)
    for message in held:
        reason = Reason(message.reason)
        outcome.quarantined[reason] = outcome.quarantined.get(reason, 0) + 1
    return outcome


async def _store_batches(
    connection: Connection, arrivals: Sequence[Arrival], outcome: Outcome, *, replay: bool
) -> tuple[ReadingColumns, list[int]]:
    """Store the batches that are new; return their readings, sorted, and the ids of those without a name."""
    batches = BatchColumns([], [], [], [], [])
    accepted: list[Readings] = []
    for arrival in arrivals:
        if isinstance(d := arrival.decoded, Readings):
            accepted.append(d)
            batches.edge_id.append(d.edge.edge_id)
            batches.boot.append(d.boot)
            batches.seq.append(d.seq)
            batches.sent_ms.append(d.sent_ms)
            batches.readings.append(len(d.point_ids))
    ids = await readings.insert_batches(connection, batches) if accepted else {}
    outcome.batches = len(ids)
    outcome.duplicates = len(accepted) - len(ids)
    if replay:
        for n, d in enumerate(accepted):
            if n not in ids and d.boot is not None and d.seq is not None:
                known = await readings.find_batch(connection, d.edge.edge_id, d.boot, d.seq)
                if known is not None:
                    ids[n] = known
    new = sorted(ids)
    columns = columns_of([accepted[n] for n in new], [ids[n] for n in new])
    return columns, [ids[n] for n in new if accepted[n].boot is None]


def columns_of(accepted: Sequence[Readings], batch_ids: Sequence[int]) -> ReadingColumns:
    """Join the readings of messages into sorted columns."""
    point_ids: list[int] = []
    t_ms: list[int] = []
    values: list[float] = []
    quality: list[int] = []
    for d in accepted:
        point_ids += d.point_ids
        t_ms += d.t_ms
        values += d.values
        quality += d.quality if d.quality is not None else [0] * len(d.t_ms)
    sizes = [len(d.t_ms) for d in accepted]
    return ReadingColumns(
        np.array(point_ids, np.int32),
        np.array(t_ms, np.int64) * 1_000,
        np.array(values, np.float64),
        np.array(quality, np.int16),
        np.repeat(np.array(batch_ids, np.int64), sizes),
    ).sorted()


def stretches(arrivals: Sequence[Arrival]) -> list[Stretch]:
    """Return what of which boot is done with: stored, quarantined or given up; neighbours joined."""
    done: dict[tuple[int, str], list[tuple[int, int]]] = {}
    for arrival in arrivals:
        d = arrival.decoded
        if isinstance(d, EventOf):
            if d.event.kind == "given_up":
                done.setdefault((d.edge.edge_id, d.event.boot), []).extend(d.event.ranges)
        elif not isinstance(d, StatusOf) and d.edge is not None and d.boot is not None and d.seq is not None:
            done.setdefault((d.edge.edge_id, d.boot), []).append((d.seq, d.seq + 1))
    return [
        Stretch(edge_id, boot, first, after)
        for (edge_id, boot), ranges in sorted(done.items())
        for first, after in _joined(ranges)
    ]


def _joined(ranges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    joined: list[tuple[int, int]] = []
    for first, after in sorted(ranges):
        if joined and first <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(joined[-1][1], after)
        else:
            joined.append((first, after))
    return joined


def _complaint(decoded: Decoded) -> Rejected | None:
    if isinstance(decoded, Rejected):
        return decoded
    return decoded.rejected if isinstance(decoded, Readings) else None


def _held(arrival: Arrival, why: Rejected) -> quarantine.Held:
    park_id, firm_id = (why.edge.park_id, why.edge.firm_id) if why.edge is not None else (None, None)
    return quarantine.Held(
        park_id, firm_id, arrival.topic, arrival.content_type, arrival.payload, why.reason.value, why.detail
    )


def is_data_error(error: BaseException, attempt: int) -> bool:
    """Tell whether the data is to blame, so that trying the same again cannot help.

    Some errors are held against the data only after a few attempts; `attempt` counts from 1.
    """
    if isinstance(error, asyncpg.PostgresError):
        kind = (error.sqlstate or "")[:2]
        return kind in _DATA_CLASSES or (kind in _ODD_CLASSES and attempt >= _ODD_ATTEMPTS)
    if isinstance(error, asyncpg.InterfaceError):
        return isinstance(error, ValueError)  # asyncpg.DataError: a value that its type cannot hold
    return isinstance(error, (ValueError, TypeError, ArithmeticError))


class Writer:
    """One connection that stores messages until they are stored.

    Args:
        database_url: where to.
        chance: for the jitter of waits.
        transaction_limit_s: a transaction that takes longer is given up and tried again.
        name: the connection's application name.
    """

    def __init__(self, database_url: str, chance: random.Random, *, transaction_limit_s: float, name: str) -> None:
        self._url = database_url
        self._chance = chance
        self._limit_s = transaction_limit_s
        self._name = name
        self._connection: Connection | None = None
        self._staged_left = 0
        self.transactions_s: list[float] = []
        """Durations of the committed transactions since somebody last emptied this list."""

    async def write(self, arrivals: Sequence[Arrival], firm_of: Mapping[int, int]) -> Outcome:
        """Store the messages; returns when all are stored or quarantined, however long the database is away."""
        attempt = 0
        while True:
            attempt += 1
            try:
                return await self._once(arrivals, firm_of)
            except _FAILURES as error:
                # A cancellation that meets a dying connection comes out as that connection's failure.
                if (task := asyncio.current_task()) is not None and task.cancelling():
                    raise asyncio.CancelledError from error
                if is_data_error(error, attempt) and not _is_last_resort(arrivals):
                    return await self._bisect(arrivals, firm_of, error)
                wait_s = min(_FIRST_WAIT_S * 2 ** min(attempt - 1, 10), _LONGEST_WAIT_S) * self._chance.uniform(0.5, 1)
                log.warning(
                    "commit_failed",
                    messages=len(arrivals),
                    attempt=attempt,
                    error=f"{type(error).__name__}: {error}",
                    next_try_s=round(wait_s, 2),
                )
                if not isinstance(error, (asyncpg.DeadlockDetectedError, asyncpg.SerializationError)):
                    await self._drop()
            await asyncio.sleep(wait_s)

    async def _once(self, arrivals: Sequence[Arrival], firm_of: Mapping[int, int]) -> Outcome:
        connection = await self._connected()
        began = time.perf_counter()
        async with asyncio.timeout(self._limit_s):  # TimeoutError is an OSError
            outcome = await store(connection, arrivals, firm_of, optimistic=self._staged_left == 0)
        self.transactions_s.append(time.perf_counter() - began)
        if outcome.collisions:
            self._staged_left = _STAGED_AFTER_COLLISION
        elif self._staged_left:
            self._staged_left -= 1
        return outcome

    async def _bisect(self, arrivals: Sequence[Arrival], firm_of: Mapping[int, int], error: BaseException) -> Outcome:
        if len(arrivals) > 1:
            middle = len(arrivals) // 2
            outcome = await self.write(arrivals[:middle], firm_of)
            outcome.add(await self.write(arrivals[middle:], firm_of))
            return outcome
        poison = arrivals[0]
        log.warning("message_rejected", topic=poison.topic, error=f"{type(error).__name__}: {error}")
        return await self.write([poison._replace(decoded=rejection(poison.decoded, error))], firm_of)

    async def _connected(self) -> Connection:
        if self._connection is None or self._connection.is_closed():
            connection = await connect(self._url, application=self._name)
            await readings.open_staging(connection)
            self._connection = connection
        return self._connection

    async def _drop(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None

    async def close(self) -> None:
        """Close the connection; what was not committed is rolled back."""
        await self._drop()


def _is_last_resort(arrivals: Sequence[Arrival]) -> bool:
    """Tell whether this is one message that is only to be held, without a name: there is nothing left to take off."""
    last = arrivals[-1].decoded
    return len(arrivals) == 1 and isinstance(last, Rejected) and last.reason is Reason.REJECTED and last.boot is None


def rejection(decoded: Decoded, error: BaseException) -> Rejected:
    """Turn a message that the database refuses into one for quarantine; its name is kept if it can be stored."""
    detail = f"the database refuses it: {type(error).__name__}: {error}"
    edge, boot, seq = decoded.edge, None, None
    if isinstance(decoded, (Readings, Rejected)):
        boot, seq = decoded.boot, decoded.seq
    if isinstance(decoded, Rejected) or (boot is not None and quarantine.storable(boot) != boot):
        # A rejected message that fails again can only be held without its name.
        boot = seq = None
    return Rejected(Reason.REJECTED, detail, edge, boot, seq)
