"""Messages reach a real receiver once, or are reported as expired."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.channels import open_channels
from alerts.delivery import Delivery, pause_s, rung_within
from store.pool import open_pool

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from .conftest import Receiver, World

stack = pytest.mark.stack

QUICK = {
    "deliver_every_s": 0.05,
    "send_timeout_s": 1.0,
    "lease_margin_s": 0.5,
    "backoff_s": 0.05,
    "backoff_max_s": 0.2,
}
WORKER = """
import asyncio, os
from pathlib import Path
from alerts.process import run
from alerts.settings import AlertsSettings
settings = AlertsSettings(os.environ["URL"], rules_file=Path(os.environ["RULES"]), deliver_every_s=0.05,
    send_timeout_s=1.0, lease_margin_s=0.5, backoff_s=0.05, backoff_max_s=0.2)
asyncio.run(run(settings, stop=asyncio.Event()))
"""


@asynccontextmanager
async def delivering(world: World, **more: Any) -> AsyncIterator[asyncio.Event]:
    """Deliver in the background for the length of a block."""
    settings = replace(world.settings, **QUICK | more)
    channels = open_channels(settings)
    rung = asyncio.Event()
    async with open_pool(world.url, application="test", max_size=4) as pool:
        delivery = Delivery(pool, channels, settings, lambda: datetime.now(UTC), lambda: 0.5)
        task = asyncio.create_task(delivery.run(rung))
        try:
            yield rung
        finally:
            task.cancel()
            (result,) = await asyncio.gather(task, return_exceptions=True)
            for channel in channels.values():
                await channel.close()
        assert isinstance(result, asyncio.CancelledError), result


async def settled(world: World, *states: str, timeout_s: float = 15) -> list[Any]:
    """Wait until the messages are in these states, and return them."""
    async with asyncio.timeout(timeout_s):
        while True:
            rows = await world.outbox()
            if [row["state"] for row in rows] == list(states):
                return rows
            await asyncio.sleep(0.02)


@given(st.integers(1, 10_000), st.floats(0, 1))
def test_pauses_grow_and_are_bounded(attempts: int, chance: float) -> None:
    """A pause is never zero, never longer than the longest, and never shorter than half the one before."""
    pause = pause_s(attempts, chance, first_s=5, longest_s=900)
    assert 2.5 <= pause <= 900
    assert pause_s(attempts + 1, chance, first_s=5, longest_s=900) >= pause


@pytest.mark.parametrize("turns", range(6))
async def test_a_cancellation_that_comes_with_the_bell_is_not_lost(turns: int) -> None:
    """Told to stop in any turn of the loop after the bell rang, it stops; `asyncio.wait_for` would go on for ever."""
    bell = asyncio.Event()

    async def work() -> None:
        while True:
            bell.clear()
            await rung_within(bell, 60)

    task = asyncio.create_task(work())
    for _ in range(3):
        await asyncio.sleep(0)
    bell.set()
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    done, _ = await asyncio.wait({task}, timeout=5)
    assert done


@stack
async def test_each_message_arrives_once_through_errors_and_a_killed_worker(
    world: World, receiver: Receiver, tmp_path: Any
) -> None:
    """The receiver answers 500 twice, and the worker is killed between send and commit: one message by its key."""
    workers: list[asyncio.subprocess.Process] = []
    tries: dict[str, int] = {}

    def answer(path: str, key: str) -> tuple[int, dict[str, str]]:
        tries[key] = tries.get(key, 0) + 1
        if tries[key] <= 2:
            return 500, {}
        if len(workers) == 1:
            os.kill(workers[0].pid, signal.SIGKILL)
        return 200, {}

    receiver.answer = answer
    (tmp_path / "rules.toml").write_text("")
    keys = []
    for k, firm in enumerate((None, "a", "b")):
        recipient = await world.recipient(f"{receiver.url}/{firm}", firm)
        for n in range(3):
            episode = await world.episode(firm or "a")
            keys.append(f"{k}-{n}")
            await world.send(recipient, keys[-1], episode=episode)

    async def start() -> None:
        environment = {**os.environ, "URL": world.url, "RULES": str(tmp_path / "rules.toml")}
        workers.append(await asyncio.create_subprocess_exec(sys.executable, "-c", WORKER, env=environment))

    await start()
    try:
        assert await asyncio.wait_for(workers[0].wait(), 30) == -signal.SIGKILL
        states = {row["state"] for row in await world.outbox()}
        assert "waiting" in states
        await start()
        rows = await settled(world, *["delivered"] * 9, timeout_s=30)
    finally:
        for worker in workers:
            if worker.returncode is None:
                worker.kill()
                await worker.wait()
    assert set(receiver.accepted) == set(keys)
    assert len(receiver.accepted) > len(keys), "the killed worker's message was not sent again: nothing was proved"
    for key in keys:
        assert len({str(body) for _, k, body in receiver.requests if k == key}) == 1
    assert {row["last_error"] for row in rows} == {None}


@stack
async def test_two_workers_send_a_message_once(world: World, receiver: Receiver) -> None:
    """Workers side by side claim different messages: without a crash no key is sent twice."""
    people = [await world.recipient(f"{receiver.url}/{k}") for k in range(8)]
    for n in range(5):
        for person in people:
            await world.send(person, f"{n}-{person}")
    async with delivering(world), delivering(world):
        await settled(world, *["delivered"] * 40)
    assert len(receiver.accepted) == len(set(receiver.accepted)) == 40


@stack
async def test_a_slow_receiver_delays_nobody_else(world: World, receiver: Receiver) -> None:
    """While one receiver lets every message run into the time-out, the others get theirs at once."""

    async def answer(path: str, key: str) -> tuple[int, dict[str, str]]:
        if path == "/slow":
            await asyncio.sleep(30)
        return 200, {}

    receiver.answer = answer
    slow = await world.recipient(f"{receiver.url}/slow")
    quick = await world.recipient(f"{receiver.url}/quick")
    for n in range(10):
        await world.send(slow, f"slow-{n}")
    for n in range(10):
        await world.send(quick, f"quick-{n}")
    started = time.monotonic()
    async with delivering(world, send_timeout_s=20.0, in_flight=2):
        await receiver.until(lambda: len(receiver.accepted) == 10)
        assert time.monotonic() - started < 5
        assert [path for path, *_ in receiver.requests].count("/slow") == 1


@stack
async def test_the_end_is_not_told_before_the_beginning(world: World, receiver: Receiver) -> None:
    """A later message of an episode waits until the earlier one has arrived; other episodes do not wait."""
    tries: list[str] = []

    def answer(path: str, key: str) -> tuple[int, dict[str, str]]:
        tries.append(key)
        return (500 if key == "open" and tries.count("open") < 3 else 200), {}

    receiver.answer = answer
    person = await world.recipient(receiver.url)
    episode = await world.episode()
    await world.send(person, "open", episode=episode)
    await world.send(person, "resolved", episode=episode)
    await world.send(person, "other")
    async with delivering(world):
        await settled(world, "delivered", "delivered", "delivered")
    assert receiver.accepted == ["other", "open", "resolved"]


@stack
async def test_what_cannot_be_delivered_expires_and_says_why(world: World, receiver: Receiver) -> None:
    """A message whose time has passed is given up with its last error; the next one still arrives."""
    receiver.answer = lambda _path, _key: (503, {})
    person = await world.recipient(receiver.url)
    await world.send(person, "lost", ttl_s=0.5)
    async with delivering(world):
        (row,) = await settled(world, "expired")
        assert row["last_error"] == "HTTP 503"
        assert row["attempts"] >= 2
        receiver.answer = lambda _path, _key: (204, {})
        await world.send(person, "found")
        await settled(world, "expired", "delivered")
    assert receiver.accepted == ["found"]


@stack
async def test_errors_name_the_cause_and_never_the_address(world: World, receiver: Receiver) -> None:
    """Refusals end a message, all else is tried again; what is noted holds no secret of the address."""
    answers = {"/redirect": (302, {"Location": f"{receiver.url}/elsewhere"}), "/refuse": (422, {}), "/cut": (0, {})}

    async def answer(path: str, key: str) -> tuple[int, dict[str, str]]:
        if path.startswith("/slow"):
            await asyncio.sleep(5)
        return answers[path.partition("?")[0]]

    receiver.answer = answer
    addresses = [
        f"{receiver.url}/redirect?key=SECRET",
        f"{receiver.url}/refuse?key=SECRET",
        f"{receiver.url}/cut?key=SECRET",
        f"{receiver.url}/slow?key=SECRET",
        "http://127.0.0.1:1/?key=SECRET",
        "SECRET",
        "ftp://SECRET/",
    ]
    for k, address in enumerate(addresses):
        await world.send(await world.recipient(address), f"m{k}")
    await world.send(await world.recipient("SECRET", channel="pigeon"), "m7")
    async with delivering(world, send_timeout_s=0.5, backoff_s=60.0, backoff_max_s=60.0):
        async with asyncio.timeout(10):
            while any(row["last_error"] is None for row in await world.outbox()):  # noqa: ASYNC110  (in the database)
                await asyncio.sleep(0.02)
    rows = await world.outbox()
    assert [row["state"] for row in rows] == ["waiting", "failed", *["waiting"] * 6]
    errors = [row["last_error"] for row in rows]
    assert "SECRET" not in str(errors)
    lost, wrong = "no connection", "no http or https URL"
    expected = ["redirects are not", "HTTP 422", lost, "no answer", lost, wrong, wrong, "pigeon"]
    assert [part in error for part, error in zip(expected, errors, strict=True)] == [True] * 8, errors
    assert "/elsewhere" not in [path for path, *_ in receiver.requests]


@stack
async def test_a_receiver_may_ask_for_patience(world: World, receiver: Receiver) -> None:
    """Retry-After puts the next attempt off."""
    receiver.answer = lambda _path, _key: (429, {"Retry-After": "120"})
    await world.send(await world.recipient(receiver.url), "m")
    async with delivering(world):
        await receiver.until(lambda: bool(receiver.requests))
        async with asyncio.timeout(5):
            while (await world.outbox())[0]["last_error"] is None:  # noqa: ASYNC110  (in the database)
                await asyncio.sleep(0.02)
    (row,) = await world.outbox()
    assert 100 < (row["next_attempt"] - datetime.now(UTC)).total_seconds() <= 120
