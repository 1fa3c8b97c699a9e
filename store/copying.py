"""numpy arrays to PostgreSQL's binary COPY format, without a Python object per row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from store.pool import Connection

_HEADER: Final = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
_TRAILER: Final = b"\xff\xff"
# PostgreSQL counts microseconds from 2000-01-01.
_PG_EPOCH_US: Final = 946_684_800_000_000
_WIDTH: Final = {"int2": 2, "int4": 4, "int8": 8, "float4": 4, "float8": 8, "timestamptz": 8, "bool": 1}
_DTYPE: Final = {
    "int2": ">i2",
    "int4": ">i4",
    "int8": ">i8",
    "float4": ">f4",
    "float8": ">f8",
    "timestamptz": ">i8",
    "bool": "?",
}

# What fits into a core's cache is written several times faster than the whole at once.
_ROWS_AT_A_TIME: Final = 4_096


def encode_rows(columns: Sequence[tuple[str, NDArray[np.generic]]]) -> bytes:
    """Encode columns of equal length as one binary COPY stream.

    Args:
        columns: PostgreSQL type name and array each. `timestamptz` takes int64 microseconds since 1970.
            NaN in a `float8?` column becomes NULL.

    A nullable column makes rows of unequal width; they are cut out of the fixed-width picture by a byte mask.
    """
    fields: list[tuple[str, str]] = [("fields", ">i2")]
    for k, (kind, _) in enumerate(columns):
        fields += [(f"l{k}", ">i4"), (f"v{k}", _DTYPE[kind.rstrip("?")])]
    template = np.zeros((), dtype=np.dtype(fields))
    template["fields"] = len(columns)
    for k, (kind, _) in enumerate(columns):
        template[f"l{k}"] = _WIDTH[kind.rstrip("?")]
    block = template.tobytes() * _ROWS_AT_A_TIME
    parts: list[bytes | bytearray] = [_HEADER]
    for start in range(0, len(columns[0][1]), _ROWS_AT_A_TIME):
        some = [(kind, values[start : start + _ROWS_AT_A_TIME]) for kind, values in columns]
        parts.append(_encode_some(some, block, template.dtype))
    parts.append(_TRAILER)
    return b"".join(parts)


def _encode_some(
    columns: Sequence[tuple[str, NDArray[np.generic]]], block: bytes, layout: np.dtype[np.void]
) -> bytes | bytearray:
    """Fill in a block of rows in which all but the values stands already."""
    n = len(columns[0][1])
    body = bytearray(block[: n * layout.itemsize])
    rows = np.frombuffer(body, layout)
    keep: NDArray[np.bool_] | None = None
    at = 2
    for k, (kind, values) in enumerate(columns):
        name = kind.rstrip("?")
        rows[f"v{k}"] = values - _PG_EPOCH_US if name == "timestamptz" else values
        if kind.endswith("?"):
            null = np.isnan(values)
            if null.any():
                rows[f"l{k}"][null] = -1
                keep = np.ones((n, layout.itemsize), bool) if keep is None else keep
                keep[null, at + 4 : at + 4 + _WIDTH[name]] = False
        at += 4 + _WIDTH[name]
    return body if keep is None else np.frombuffer(body, np.uint8)[keep.reshape(-1)].tobytes()


async def copy_rows(
    connection: Connection,
    table: str,
    columns: Sequence[tuple[str, str, NDArray[np.generic]]],
    *,
    schema: str | None = "greenpark",
) -> None:
    """COPY columns `(name, type, array)` into a table. One duplicate key aborts the whole call."""
    if len(columns[0][2]) == 0:
        return
    data = encode_rows([(kind, values) for _, kind, values in columns])
    await copy_encoded(connection, table, [name for name, _, _ in columns], data, schema=schema)


async def copy_encoded(
    connection: Connection,
    table: str,
    names: Sequence[str],
    data: bytes,
    *,
    schema: str | None = "greenpark",
    form: str = "binary",
) -> None:
    """COPY what `encode_rows` returned, or lines of the text format, into the named columns of a table."""
    # asyncpg sends what an async iterator yields; one large chunk is the fastest.
    await connection.copy_to_table(table, source=_once(data), columns=names, schema_name=schema, format=form)


class _once:  # noqa: N801  (an async generator would need closing)
    """An async iterator over slices of the data."""

    def __init__(self, data: bytes, size: int = 4_194_304) -> None:
        self._data = memoryview(data)
        self._size = size

    def __aiter__(self) -> _once:
        return self

    async def __anext__(self) -> memoryview:
        if not self._data:
            raise StopAsyncIteration
        chunk, self._data = self._data[: self._size], self._data[self._size :]
        return chunk


async def fetch_columns(connection: Connection, query: str, types: Sequence[str], *args: object) -> list[NDArray[Any]]:
    """Run a query and return its columns as arrays, by binary COPY: no Python object per row.

    Every column must be NOT NULL and of a fixed width, in the order of `types`. `timestamptz` comes as int64
    microseconds since 1970.
    """
    chunks: list[bytes] = []

    async def keep(data: bytes) -> None:
        chunks.append(bytes(data))

    await connection.copy_from_query(query, *args, output=keep, format="binary")
    return decode_rows(b"".join(chunks), types)


def decode_rows(data: bytes, types: Sequence[str]) -> list[NDArray[Any]]:
    """Decode a binary COPY stream of fixed-width, not-null columns; the inverse of `encode_rows`."""
    fields: list[tuple[str, str]] = [("fields", ">i2")]
    for k, kind in enumerate(types):
        fields += [(f"l{k}", ">i4"), (f"v{k}", _DTYPE[kind])]
    layout = np.dtype(fields)
    rows, left = divmod(len(data) - len(_HEADER) - len(_TRAILER), layout.itemsize)
    if left:
        msg = "a column is null or not of fixed width: use coalesce in the query"
        raise ValueError(msg)
    table = np.frombuffer(data, layout, count=rows, offset=len(_HEADER))
    out: list[NDArray[Any]] = []
    for k, kind in enumerate(types):
        column = table[f"v{k}"].astype(_DTYPE[kind].replace(">", "="))
        out.append(column + _PG_EPOCH_US if kind == "timestamptz" else column)
    return out
