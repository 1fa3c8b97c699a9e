"""Receivers that are down, err or hang: each message arrives once by its key, or is reported as expired."""

from __future__ import annotations

import asyncio
import email
import email.policy
import socket
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from aiosmtpd.controller import Controller

from alerts import metrics
from alerts.channels import open_channels
from alerts.delivery import Delivery
from store import recipients
from store.pool import open_pool

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from .conftest import World

pytestmark = pytest.mark.stack

START = datetime(2025, 11, 20, 2, 0, tzinfo=UTC)


@dataclass(slots=True)
class Clock:
    """A clock that is put forward by the test."""

    now: datetime = START

    def __call__(self) -> datetime:
        return self.now


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class Post:
    """A receiver that can be taken down; `mood` is `well`, `errors` or `hangs`."""

    port: int = field(default_factory=free_port)
    mood: str = "well"
    attempts: int = 0
    taken: list[str] = field(default_factory=list)
    """Keys that were taken, also where the answer came too late."""
    address: str = ""
    channel: str = ""
    settings: dict[str, Any] = field(default_factory=dict)

    async def up(self) -> None:
        raise NotImplementedError

    async def down(self) -> None:
        raise NotImplementedError

    async def take(self, key: str) -> bool:
        self.attempts += 1
        if self.mood == "errors":
            return False
        if key not in self.taken:
            self.taken.append(key)  # it keeps keys, as the contract asks
        if self.mood == "hangs":
            await asyncio.sleep(1.0)
        return True


class HttpPost(Post):
    """An HTTP receiver."""

    server: asyncio.Server | None = None

    async def up(self) -> None:
        self.channel, self.address = "webhook", f"http://127.0.0.1:{self.port}/"
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)

    async def down(self) -> None:
        if self.server is not None:
            self.server.close()
            self.server = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            fields = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in head.splitlines()[1:])}
            await reader.readexactly(int(fields["content-length"]))
            status = 200 if await self.take(fields["idempotency-key"]) else 500
            writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


class MailPost(Post):
    """An SMTP server."""

    controller: Controller | None = None

    async def up(self) -> None:
        self.channel, self.address = "email", "manager@park.example"
        self.controller = Controller(self, hostname="127.0.0.1", port=self.port)
        await asyncio.to_thread(self.controller.start)

    async def down(self) -> None:
        if self.controller is not None:
            await asyncio.to_thread(self.controller.stop)
            self.controller = None

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        letter = email.message_from_bytes(envelope.content, policy=email.policy.default)
        return "250 OK" if await self.take(letter["Idempotency-Key"]) else "451 4.3.0 try later"


@pytest.fixture(params=[HttpPost, MailPost], ids=["webhook", "email"])
async def post(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Post]:
    """A receiver of each kind that takes faults, up at first."""
    found: Post = request.param()
    await found.up()
    if isinstance(found, MailPost):
        file = tmp_path / "mail.url"
        file.write_text(f"mailto://127.0.0.1:{found.port}?from=alerts@park.example")
        found.settings["email_url_file"] = file
    yield found
    await found.down()


@asynccontextmanager
async def delivering(world: World, post: Post, clock: Clock) -> AsyncIterator[asyncio.Event]:
    """Deliver in the background by the test's clock."""
    settings = replace(
        world.settings, deliver_every_s=0.02, send_timeout_s=0.4, lease_margin_s=0.4, backoff_s=10.0, **post.settings
    )
    channels, rung = open_channels(settings), asyncio.Event()
    async with open_pool(world.url, application="test", max_size=4) as pool:
        task = asyncio.create_task(Delivery(pool, channels, settings, clock, lambda: 0.5).run(rung))
        try:
            yield rung
        finally:
            task.cancel()
            (result,) = await asyncio.gather(task, return_exceptions=True)
            for channel in channels.values():
                await channel.close()
        assert isinstance(result, asyncio.CancelledError), result


async def idle(world: World, clock: Clock) -> None:
    """Wait until nothing is due by the clock: all is sent, put off or given up, and noted."""
    async with asyncio.timeout(20):
        while await world.connection.fetchval(  # noqa: ASYNC110  (in the database)
            "SELECT count(*) FROM outbox WHERE state = 'waiting'"
            " AND (next_attempt <= $1 OR expires <= $1 OR (attempts > 0 AND last_error IS NULL))",
            clock(),
        ):
            await asyncio.sleep(0.01)


async def enqueue(world: World, post: Post, clock: Clock, count: int, *, ttl: timedelta, of: str = "") -> list[str]:
    recipient = await world.recipient(post.address, channel=post.channel)
    keys = [f"cause/{n}/open/{recipient}{of}" for n in range(count)]
    for key in keys:
        await world.send(recipient, key, at=clock(), ttl_s=ttl.total_seconds())
    return keys


async def test_after_an_hour_without_the_receiver_each_message_arrives_once(world: World, post: Post) -> None:
    """Down for an hour of the clock: what may still wait arrives once when it is back, what may not is reported."""
    clock = Clock()
    await post.down()
    lasting = await enqueue(world, post, clock, 6, ttl=timedelta(hours=24))
    brief = await enqueue(world, post, clock, 2, ttl=timedelta(minutes=30), of="-brief")
    expired_before = metrics.EXPIRED._value.get()
    async with delivering(world, post, clock):
        while clock() < START + timedelta(hours=1):
            await idle(world, clock)
            clock.now += timedelta(minutes=5)
        await idle(world, clock)
        assert post.taken == []
        [failing] = await recipients.failing(world.connection)
        assert failing.attempts >= 6
        await post.up()
        clock.now += timedelta(minutes=20)
        await idle(world, clock)
        async with asyncio.timeout(20):
            while any(row["state"] == "waiting" for row in await world.outbox()):
                clock.now += timedelta(minutes=1)
                await asyncio.sleep(0.02)
    rows = {row["dedupe_key"]: row for row in await world.outbox()}
    assert sorted(post.taken) == sorted(lasting)
    assert {rows[key]["state"] for key in lasting} == {"delivered"}
    assert {rows[key]["state"] for key in brief} == {"expired"}
    assert all(rows[key]["last_error"] for key in brief)
    assert metrics.EXPIRED._value.get() == expired_before + 2
    assert post.attempts == len(lasting), "a message that had arrived was sent again"
    assert await recipients.failing(world.connection) == []


async def test_errors_and_answers_that_come_too_late_repeat_only_the_key(world: World, post: Post) -> None:
    """First errors, then a receiver that takes messages and answers after our patience: each key is taken once."""
    clock = Clock()
    post.mood = "errors"
    keys = await enqueue(world, post, clock, 3, ttl=timedelta(hours=24))
    async with delivering(world, post, clock):
        await idle(world, clock)
        assert post.attempts >= 3
        assert post.taken == []
        post.mood = "hangs"
        for _ in range(3):
            clock.now += timedelta(minutes=15)
            await idle(world, clock)
            await asyncio.sleep(0.2)
        assert post.taken != []
        states = {row["state"] for row in await world.outbox()}
        assert states == {"waiting"}, "an answer that never came was taken for a yes"
        post.mood = "well"
        await asyncio.sleep(1.0)
        clock.now += timedelta(minutes=20)
        await idle(world, clock)
        async with asyncio.timeout(20):
            while {row["state"] for row in await world.outbox()} != {"delivered"}:
                clock.now += timedelta(minutes=1)
                await asyncio.sleep(0.02)
    assert sorted(post.taken) == sorted(keys)
    assert post.attempts > 2 * len(keys)
