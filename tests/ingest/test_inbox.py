"""The way in from the real broker: nothing is acknowledged before its time."""

from __future__ import annotations

import asyncio
import random
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from ingest.errors import BrokerError, NotConnectedError, SettingsError
from ingest.inbox import Inbox, parse_broker_url
from ingest.settings import IngestSettings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

stack = pytest.mark.stack


@asynccontextmanager
async def running(settings) -> AsyncIterator[Inbox]:
    inbox = Inbox(settings, random.Random(0))
    task = asyncio.create_task(inbox.run(), name="inbox")
    try:
        async with asyncio.timeout(10):
            while not inbox.connected:
                if task.done():
                    await task
                await asyncio.sleep(0.01)
        yield inbox
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def take(inbox: Inbox, count: int, park: str) -> list:
    """Take until `count` messages of the park are there; others' are acknowledged and left out."""
    taken = []
    async with asyncio.timeout(15):
        while len(taken) < count:
            messages = await inbox.take(1_000, 0.05)
            mine = [message for message in messages if park in message.topic]
            inbox.ack([message for message in messages if message not in mine])
            taken += mine
    return taken


async def publish(post, numbers: range) -> None:
    async with post.publisher() as client:
        for number in numbers:
            await client.publish(post.topic(), str(number), qos=1)


@stack
async def test_what_was_not_acknowledged_comes_again(post) -> None:
    """Of 100 messages, 40 are acknowledged; the next connection gets the other 60, the one after that none."""
    async with running(post.settings()) as inbox:
        await publish(post, range(100))
        messages = await take(inbox, 100, post.park)
        assert [int(message.payload) for message in messages] == list(range(100))
        inbox.ack(messages[:40])
        # The acknowledgements are on the wire when a later publish has been confirmed.
        await inbox.publish(post.topic("committed"), b"{}", retain=False)
    async with running(post.settings()) as inbox:
        again = await take(inbox, 60, post.park)
        assert sorted(int(message.payload) for message in again) == list(range(40, 100))
        inbox.ack(again)
        await inbox.publish(post.topic("committed"), b"{}", retain=False)
    async with running(post.settings()) as inbox:
        await publish(post, range(1000, 1001))
        assert [int(message.payload) for message in await take(inbox, 1, post.park)] == [1000]


@stack
async def test_messages_wait_for_an_absent_worker(post) -> None:
    """What is published while nobody listens is there afterwards: the session is the worker's, not the connection's."""
    async with running(post.settings()):
        pass
    await publish(post, range(2_500))
    async with running(post.settings()) as inbox:
        numbers = []
        while len(numbers) < 2_500:
            messages = await take(inbox, 1, post.park)
            inbox.ack(messages)
            numbers += [int(message.payload) for message in messages]
        assert sorted(numbers) == list(range(2_500))


@stack
async def test_an_old_acknowledgement_acknowledges_nothing_new(post) -> None:
    """Message ids are used again: an acknowledgement from an older connection must not hit a newer message."""
    async with running(post.settings()) as inbox:
        await publish(post, range(3))
        messages = await take(inbox, 3, post.park)
        inbox.ack([message._replace(connection=message.connection - 1) for message in messages])
        await inbox.publish(post.topic("committed"), b"{}", retain=False)
        assert inbox.unacked[0] == 3
    async with running(post.settings()) as inbox:
        messages = await take(inbox, 3, post.park)
        assert sorted(int(message.payload) for message in messages) == [0, 1, 2]


@stack
async def test_a_taken_over_session_is_taken_back(post) -> None:
    """A connection that the broker ends is opened again, and what was not acknowledged over it comes again."""
    async with running(post.settings()) as inbox:
        await publish(post, range(3))
        old = await take(inbox, 3, post.park)
        # The broker lets one connection live for each client id: a newcomer throws this one out.
        async with running(post.settings()):
            pass
        again = await take(inbox, 3, post.park)
        assert {message.connection for message in again} != {message.connection for message in old}
        assert sorted(int(message.payload) for message in again) == [0, 1, 2]
        inbox.ack(again)


@stack
async def test_the_window_bounds_what_is_in_memory(post) -> None:
    """Without acknowledgements no more than the receive maximum arrives; with them, all."""
    async with running(post.settings(receive_maximum=50)) as inbox:
        await publish(post, range(300))
        await asyncio.sleep(0.3)
        assert inbox.unacked[0] <= 50
        numbers: list[int] = []
        async with asyncio.timeout(15):
            while len(numbers) < 300:
                messages = await inbox.take(1_000, 5.0)
                assert len(messages) <= 50
                numbers += [int(message.payload) for message in messages if post.park in message.topic]
                inbox.ack(messages)
        assert sorted(numbers) == list(range(300))


@stack
async def test_bytes_are_bounded_too(post) -> None:
    """Large messages stop the reading of the socket, not the program; acknowledgements start it again."""
    size, count = 100_000, 60
    async with running(post.settings(max_unacked_bytes=10 * size, max_bytes=5 * size)) as inbox:
        async with post.publisher() as client:
            for _ in range(count):
                await client.publish(post.topic(), bytes(size), qos=1)
        await asyncio.sleep(0.3)
        assert inbox.unacked[1] <= 12 * size
        got = 0
        async with asyncio.timeout(20):
            while got < count:
                messages = await inbox.take(1_000, 0.01)
                assert sum(len(message.payload) for message in messages) <= 6 * size
                got += sum(post.park in message.topic for message in messages)
                inbox.ack(messages)


@stack
async def test_the_content_type_comes_through(post) -> None:
    """MQTT 5's content type tells MessagePack from JSON."""
    properties = Properties(PacketTypes.PUBLISH)
    properties.ContentType = "application/msgpack"
    async with running(post.settings()) as inbox, post.publisher() as client:
        await client.publish(post.topic(), b"x", qos=1, properties=properties)
        await client.publish(post.topic(), b"y", qos=0)
        messages = await take(inbox, 2, post.park)
        assert [message.content_type for message in messages] == ["application/msgpack", None]
        inbox.ack(messages)


@stack
async def test_two_workers_share(post) -> None:
    """Each message goes to one worker of the group."""
    async with running(post.settings(worker="1")) as one, running(post.settings(worker="2")) as two:
        await publish(post, range(200))
        numbers: list[list[int]] = [[], []]

        async def collect(inbox: Inbox, mine: list[int]) -> None:
            while True:
                messages = await inbox.take(100, 0.01)
                mine += [int(message.payload) for message in messages if post.park in message.topic]
                inbox.ack(messages)

        tasks = [asyncio.create_task(collect(i, n), name="c") for i, n in zip((one, two), numbers, strict=True)]
        async with asyncio.timeout(10):
            while len(numbers[0]) + len(numbers[1]) < 200:  # noqa: ASYNC110 - two tasks add to them
                await asyncio.sleep(0.01)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert min(len(n) for n in numbers) > 50
        assert sorted(numbers[0] + numbers[1]) == list(range(200))


@stack
async def test_a_wrong_password_is_said_so(post) -> None:
    """A broker that refuses us at the start is an error with advice, and the password is not in it."""
    settings = post.settings(broker_url=f"mqtt://ingest:wrong-secret@127.0.0.1:{post.broker.port}")
    with pytest.raises(BrokerError, match="check user, password") as caught:
        async with running(settings):
            pass
    assert "wrong-secret" not in str(caught.value)


async def test_a_broker_that_is_away_is_waited_for() -> None:
    """Without a broker the inbox keeps trying, and publishing says that there is no connection."""
    inbox = Inbox(IngestSettings(database_url="", broker_url="mqtt://127.0.0.1:1"), random.Random(0))
    task = asyncio.create_task(inbox.run(), name="inbox")
    await asyncio.sleep(0.5)
    assert not task.done()
    assert not inbox.connected
    with pytest.raises(NotConnectedError):
        await inbox.publish("x", b"", retain=False)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("url", ["127.0.0.1:1883", "http://x", "mqtt://", "mqtt://x:99999"])
def test_a_wrong_address_is_said_so(url: str) -> None:
    """An address without scheme, host or a possible port is refused."""
    with pytest.raises(SettingsError, match="broker_url"):
        parse_broker_url(url)


def test_an_address_is_taken_apart() -> None:
    """User and password may hold anything, percent-encoded; the text form leaves the password out."""
    address = parse_broker_url("mqtts://a%2Fb:p%40ss@example.org")
    assert (address.user, address.password, address.port, address.tls) == ("a/b", "p@ss", 8883, True)
    assert "p@ss" not in repr(address)
