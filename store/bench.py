"""For benchmarks, on a database of their own: what was committed, a fresh start, and a twin of the readings' table."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from store.copying import encode_rows, fetch_columns
from store.queries import queries
from store.readings import ReadingColumns, typed

if TYPE_CHECKING:
    from store.pool import Connection

TWIN = "reading_twin"


class Committed(NamedTuple):
    """What the database has accepted so far."""

    readings: int
    batches: int


class Stored(NamedTuple):
    """Rows of the tables that messages end in; `points` is how many have a newest value."""

    readings: int
    points: int
    conflicts: int
    quarantined: int


async def committed(connection: Connection) -> Committed:
    """Return readings and batches by the record of batches."""
    return Committed(*await connection.fetchrow(queries("bench")["committed"]))


async def stored(connection: Connection) -> Stored:
    """Count the rows themselves."""
    return Stored(*await connection.fetchrow(queries("bench")["stored"]))


async def edge_ids(connection: Connection, park: str) -> list[int]:
    """Return the ids of a park's edges, by the codes of firm and edge."""
    return [row["edge_id"] for row in await connection.fetch(queries("bench")["edge_ids"], park)]


async def forget(connection: Connection) -> None:
    """Take away every reading and what goes with it; the registry stays."""
    await connection.execute(queries("bench")["forget"])


async def rows(connection: Connection, limit: int) -> ReadingColumns:
    """Return the first readings, in the order of their arrival."""
    types = ("int4", "timestamptz", "float8", "int2", "int8")
    return ReadingColumns(*await fetch_columns(connection, queries("bench")["rows"], types, limit))


async def firm_values(connection: Connection, firm_id: int, park_id: int) -> tuple[int, int, int]:
    """Count a firm's indicator values, its points' included, those that are numbers, and its park's standings."""
    row = await connection.fetchrow(queries("bench")["firm_values"], firm_id, park_id)
    return row["firm"], row["defined"], row["standings"]


async def forget_marks(connection: Connection) -> None:
    """Take away every mark that something waits to be computed."""
    await connection.execute(queries("bench")["forget_marks"])


async def forget_values(connection: Connection) -> None:
    """Take away every indicator value and standing; the ledger stays."""
    await connection.execute(queries("bench")["forget_values"])


async def settle(connection: Connection) -> None:
    """Let the server write out what was laid down, and learn how much it is."""
    for name in ("analyze_buckets", "vacuum_periods", "checkpoint"):
        await connection.execute(queries("bench")[name])


async def backend(connection: Connection) -> int:
    """Return the process id of the server's process that works for this connection."""
    return int(await connection.fetchval(queries("bench")["backend"]))


async def make_twin(connection: Connection) -> None:
    """Make an empty table with the columns, chunks and index of `reading`."""
    await drop_twin(connection)
    await connection.execute(queries("bench")["twin"])


async def empty_twin(connection: Connection) -> None:
    """Empty the twin."""
    await connection.execute(queries("bench")["empty_twin"])


async def drop_twin(connection: Connection) -> None:
    """Take the twin away."""
    await connection.execute(queries("bench")["drop_twin"])


def encoded(columns: ReadingColumns, batch_rows: int) -> list[bytes]:
    """Encode readings as binary COPY streams of so many rows each."""
    starts = np.arange(0, len(columns), batch_rows)
    parts = (columns.take(slice(int(start), int(start) + batch_rows)) for start in starts)
    return [encode_rows([(kind, values) for _, kind, values in typed(part)]) for part in parts]
