"""The judge of the crash test finds what it must find; its logs, proxies and plans do what they say."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import numpy as np
import pytest

from cli.bench.crash import plan
from cli.bench.numbered import HALTED, START, NumberedDriver, Poll, line_of, polls, value_of
from cli.bench.proxy import Proxy
from cli.bench.verdict import Held, Verdict, judge
from edge.config import DeviceConfig, PointConfig

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

POINTS = 3
KEPT = [Poll(n, 1000 * n + 7, kept=True) for n in range(5)]


def held(numbers: dict[int, range] | None = None, *more: tuple[int, int, float]) -> list[Held]:
    """Rows of the polls `numbers` (by default all of KEPT) at these points, and more as (point, t_ms, value)."""
    numbers = {poll.number: range(POINTS) for poll in KEPT} if numbers is None else numbers
    rows = [(k, 1000 * n + 7, value_of(n, k)) for n, points in numbers.items() for k in points] + list(more)
    return [
        Held(
            np.array([t for point, t, _ in rows if point == k], np.int64),
            np.array([v for point, _, v in rows if point == k], np.float64),
        )
        for k in range(POINTS)
    ]


def test_exactly_what_was_read_passes() -> None:
    """Every row of every poll once: nothing to complain about."""
    verdict = judge(KEPT, 5, held())
    assert verdict == Verdict(generated=15, stored=15)
    assert verdict.exact


@pytest.mark.parametrize(
    ("polls_", "appended", "rows", "wanted"),
    [
        (KEPT, 5, held({0: range(3), 1: range(3), 2: range(2), 3: range(3), 4: range(3)}), {"lost": 1}),
        (KEPT, 5, held({0: range(3), 1: range(3), 3: range(3), 4: range(3)}), {"lost": 3}),
        (KEPT, 5, held(None, (1, 99_999, value_of(2, 1))), {"altered": 1}),
        (KEPT, 5, held(None, (1, 2007, value_of(2, 1))), {"doubled": 1}),
        (KEPT, 5, held(None, (1, 2007, value_of(2, 1) + 0.5)), {"altered": 1}),
        (KEPT, 5, held(None, (1, 2007, value_of(2, 2))), {"altered": 1}),
        (KEPT, 5, held(None, (1, 9007, value_of(9, 1))), {"altered": 1}),
        ([*KEPT, Poll(5, 5007, kept=False)], 6, held(), {"lost": 3, "in_doubt": 1}),
        ([*KEPT, Poll(5, 5007, kept=False)], 6, held({n: range(3 - n // 5) for n in range(6)}), {"lost": 1}),
    ],
    ids=[
        "one row is missing",
        "a poll is missing",
        "a reading stands at a second time",
        "a reading stands twice",
        "a value nobody read",
        "another point's value",
        "a poll nobody made",
        "the buffer took a poll in doubt and it is missing",
        "a poll in doubt is there in part",
    ],
)
def test_what_is_wrong_is_found(polls_: list[Poll], appended: int, rows: list[Held], wanted: dict[str, int]) -> None:
    """Each planted fault is counted as what it is."""
    verdict = judge(polls_, appended, rows)
    assert not verdict.exact
    assert {name: getattr(verdict, name) for name in wanted} == wanted


@pytest.mark.parametrize("taken", [True, False])
def test_a_poll_in_doubt_may_be_there_or_not(taken: bool) -> None:
    """The buffer's own count says which; both pass."""
    logged = [*KEPT, Poll(5, 5007, kept=False)]
    numbers = {n: range(POINTS) for n in range(6 if taken else 5)}
    assert judge(logged, 6 if taken else 5, held(numbers)).exact


def test_a_log_tells_what_was_kept_and_what_is_in_doubt() -> None:
    """What another poll or a halt follows was kept; the last before a start is in doubt; a torn line never was."""
    text = START + line_of(0, 10) + line_of(1, 20) + "2 3" + "\n" + START + line_of(2, 30) + HALTED + line_of(3, 40)
    found = list(polls(text.splitlines()))
    assert found == [Poll(0, 10, True), Poll(1, 20, False), Poll(2, 30, True), Poll(3, 40, False)]


async def test_a_meter_counts_on_after_a_kill(tmp_path: Path) -> None:
    """A second process goes on above the number and the time that the first has logged, even behind a torn line."""
    log, halt = tmp_path / "log", tmp_path / "halt"
    device = DeviceConfig(
        name="m",
        points=[PointConfig(code="A"), PointConfig(code="B")],
        options={"log": str(log), "halt": str(halt)},
    )
    first = NumberedDriver(device)
    await first.read()
    await first.read()
    await first.close()
    future_ms = 9_999_999_999_999
    log.write_text(log.read_text() + line_of(2, future_ms) + "3 17")
    second = NumberedDriver(device)
    samples = await second.read()
    assert [sample.value for sample in samples] == [value_of(3, 0), value_of(3, 1)]
    assert samples[0].at_ms == future_ms + 1
    halt.touch()
    assert {sample.value for sample in await second.read()} == {None}
    await second.close()
    assert [poll.kept for poll in polls(log.read_text().splitlines())] == [True, True, False, True]


def test_a_plan_is_named_by_its_seed_and_spread_evenly() -> None:
    """The same seed gives the same blows; every kind of process gets its share."""
    assert plan(100, 30, 2.0, 1) == plan(100, 30, 2.0, 1) != plan(100, 30, 2.0, 2)
    kinds = Counter(blow.kind for blow in plan(100, 30, 2.0, 1))
    assert [kinds[kind] for kind in ("edge", "broker", "ingest", "database")] == [25] * 4
    assert sum(kinds.values()) == 130


@asynccontextmanager
async def echo() -> AsyncIterator[Proxy]:
    """A proxy before a server that says everything back."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(1000):
                writer.write(data)
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    proxy = Proxy(server.sockets[0].getsockname()[1])
    await proxy.start()
    try:
        yield proxy
    finally:
        await proxy.stop()
        server.close()
        await server.wait_closed()


async def test_a_cut_resets_what_is_open_and_no_more() -> None:
    """Bytes pass both ways; a cut ends the connection; the next one passes again."""
    async with echo() as proxy:
        for _ in range(2):
            reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
            writer.write(b"hello")
            assert await reader.readexactly(5) == b"hello"
            assert proxy.cut() == 1
            with pytest.raises(ConnectionResetError):
                await reader.readexactly(1)
            writer.close()


async def test_a_held_link_is_silent_and_then_cut() -> None:
    """What is sent while the link is held never arrives."""
    async with echo() as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(b"a")
        await reader.readexactly(1)
        holding = asyncio.create_task(proxy.hold(0.3))
        await asyncio.sleep(0.05)
        writer.write(b"b")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await reader.readexactly(1)
        assert await holding == 1
        with pytest.raises(ConnectionResetError):
            await reader.readexactly(1)
        writer.close()


async def test_an_absent_server_is_absent_behind_the_proxy() -> None:
    """Where nobody listens, a connection ends at once."""
    proxy = Proxy(1)
    await proxy.start()
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    assert await reader.read(1) == b""
    writer.close()
    await proxy.stop()
