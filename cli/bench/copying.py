"""The fastest plain binary COPY of given readings into a twin of their table: what ingest is compared with.

Plain: the rows are encoded beforehand, nothing recognises duplicates, nothing else is written. Tried are orders, rows
to a COPY, and one or two connections.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from cli.bench.processes import CpuMeter
from store import bench
from store.copying import copy_encoded
from store.pool import connected

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from store.pool import Connection
    from store.readings import ReadingColumns

Order = Literal["arrival", "batch", "whole"]

_NAMES: Final = ["point_id", "t", "value", "quality", "batch_id"]
_BATCH_ROWS: Final = (10_000, 50_000, 200_000)
_TRIED_ROWS: Final = 1_500_000
"""Rows of each try; the best is then measured with all."""


@dataclass(frozen=True, slots=True)
class CopyWay:
    """One way to copy.

    Attributes:
        order: `arrival`: as they came; `batch`: each COPY sorted by the index; `whole`: all rows sorted by the index,
            which no stream of arriving readings can be.
        batch_rows: rows to a COPY, each its own transaction.
    """

    order: Order
    batch_rows: int
    connections: int


@dataclass(frozen=True, slots=True)
class CopyRate:
    """What a way gave; `cores` in use meanwhile, by the server, by us, and by others on the machine."""

    way: CopyWay
    rows: int
    readings_per_s: float
    cores: dict[str, float]


@dataclass(frozen=True, slots=True)
class CopyResult:
    """The best ways, measured with all rows, and the tries that led to them.

    Attributes:
        best: of all.
        best_arriving: of those that need no more than a batch at a time.
    """

    best: CopyRate
    best_arriving: CopyRate
    tries: list[CopyRate]


async def fastest_copy(
    url: str,
    pids: Mapping[str, list[int]],
    columns: ReadingColumns,
    *,
    thorough: bool = True,
    told: Callable[[CopyRate], None] = lambda _rate: None,
) -> CopyResult:
    """Search the fastest way to copy these readings, then measure it with all of them.

    `thorough` tries more, and measures the best twice; otherwise it takes a few seconds.
    `pids` are the processes whose cores are told.
    """
    few = columns.take(slice(0, _TRIED_ROWS))
    tries: list[CopyRate] = []
    async with AsyncExitStack() as stack:
        connections = [await stack.enter_async_context(connected(url, application="bench")) for _ in range(2)]
        await bench.make_twin(connections[0])
        try:
            for way in _ways(tries, _BATCH_ROWS if thorough else _BATCH_ROWS[1:2]):
                tries.append(await _measure(connections, pids, few, way))
                told(tries[-1])
            sets = [[rate for rate in tries if (rate.way.order == "whole") is whole] for whole in (False, True)]
            finalists = [max(rates, key=_rate).way for rates in sets]
            finals = [
                await _measure(connections, pids, columns, way)
                for way in finalists
                for _ in range(2 if thorough else 1)
            ]
            for rate in finals:
                told(rate)
        finally:
            await bench.drop_twin(connections[0])
    arriving = [rate for rate in finals if rate.way.order != "whole"]
    return CopyResult(max(finals, key=_rate), max(arriving, key=_rate), tries)


def _rate(rate: CopyRate) -> float:
    return rate.readings_per_s


def _ways(tries: list[CopyRate], sizes: Sequence[int]) -> Iterator[CopyWay]:
    """Sizes and connections first, then the other orders of the best."""
    for connections in (1, 2):
        for batch_rows in sizes:
            yield CopyWay("batch", batch_rows, connections)
    best = max(tries, key=_rate).way
    yield CopyWay("arrival", best.batch_rows, best.connections)
    for batch_rows in sizes:
        yield CopyWay("whole", batch_rows, best.connections)


async def _measure(
    connections: list[Connection], pids: Mapping[str, list[int]], columns: ReadingColumns, way: CopyWay
) -> CopyRate:
    data = _prepare(columns, way)
    await bench.empty_twin(connections[0])
    waiting = iter(data)

    async def copy(connection: Connection) -> None:
        for part in waiting:
            await copy_encoded(connection, bench.TWIN, _NAMES, part)

    meter, began = CpuMeter(pids), time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for number, connection in enumerate(connections[: way.connections]):
            group.create_task(copy(connection), name=f"copy {number}")
    elapsed_s, shares = time.perf_counter() - began, meter.shares()
    return CopyRate(way, len(columns), round(len(columns) / elapsed_s), shares.of | {"others": shares.others})


def _prepare(columns: ReadingColumns, way: CopyWay) -> list[bytes]:
    if way.order == "whole":
        columns = columns.sorted()
    elif way.order == "batch":
        batch = np.arange(len(columns)) // way.batch_rows
        columns = columns.take(np.lexsort((columns.t_us, columns.point_id, batch)))
    return bench.encoded(columns, way.batch_rows)
