"""One connection, fed byte by byte: nothing is lost at the seams, and nothing odd stops it."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import mqtt5
import pytest
import uvloop
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.errors import NotConnectedError
from ingest.inbox import Inbox, parse_broker_url
from ingest.link import Link, Message, frame_end, odd_publish
from ingest.settings import IngestSettings


class Wire(asyncio.Transport):
    """Keeps what is written, and whether reading is paused."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.reading, self.closed = True, False

    def write(self, data: Any) -> None:
        self.written += data

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    abort = close


def link(**more: Any) -> tuple[Link, Wire]:
    found = IngestSettings(database_url="", broker_url="mqtt://u:p@h", **more)
    opened, wire = Link(found, parse_broker_url(found.broker_url), 3, leaving=False), Wire()
    opened.connection_made(wire)
    return opened, wire


def publish(mid: int, payload: bytes = b"x", topic: str = "greenpark/1/p/a/gw1/data") -> bytes:
    return mqtt5.PublishPacket(topic, payload, qos=mqtt5.QoS.AT_LEAST_ONCE, packet_id=mid).write()


def odd(topic: bytes, properties: bytes = b"", mid: int = 7) -> bytes:
    body = len(topic).to_bytes(2, "big") + topic + mid.to_bytes(2, "big") + bytes([len(properties)]) + properties + b"x"
    return b"\x32" + bytes([len(body)]) + body


@given(st.data())
@settings(max_examples=50, deadline=None)
def test_packets_may_be_cut_anywhere(data: st.DataObject) -> None:
    """However the bytes are cut on their way, the messages are the same."""

    async def check() -> None:
        opened, _ = link()
        payloads = data.draw(st.lists(st.binary(max_size=300), min_size=1, max_size=8))
        stream = b"".join(publish(mid, payload) for mid, payload in enumerate(payloads, 1))
        cuts = sorted(data.draw(st.sets(st.integers(0, len(stream)), max_size=12)))
        for first, after in zip([0, *cuts], [*cuts, len(stream)], strict=True):
            opened.data_received(stream[first:after])
        found = opened.take(100, 10**9)
        assert [(m.mid, m.payload, m.connection) for m in found] == [(k, p, 3) for k, p in enumerate(payloads, 1)]

    asyncio.run(check())


# The library panics over text that is not UTF-8, and Python tells of it once more than can be caught.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(
    "frame",
    [
        odd(b"a/\xff"),  # not UTF-8
        odd(b"a", b"\x03\x00\x01\xff"),  # content type not UTF-8
        odd(b"a", b"\x03\x00\x01a\x03\x00\x01b"),  # a property twice
        odd(b"a", b"\x77\x00"),  # a property that does not exist
        odd(b""),  # an empty topic
    ],
)
async def test_a_malformed_message_is_kept_and_can_be_acknowledged(frame: bytes) -> None:
    """What the broker should not have let pass does not stop its neighbours, and does not come for ever."""
    opened, wire = link()
    opened.data_received(publish(1) + frame + publish(2))
    found = opened.take(100, 10**9)
    assert [message.mid for message in found] == [1, 7, 2]
    assert found[1].topic.startswith("malformed")
    opened.ack(found)
    assert wire.written == b"".join(mqtt5.PubAckPacket(mid).write() for mid in (1, 7, 2))
    assert not opened.lost.done()


@given(st.binary(max_size=60))
@settings(max_examples=300, deadline=None)
def test_any_bytes_end_in_order(data: bytes) -> None:
    """Bytes that are no MQTT end the connection, or wait for more; they raise nothing."""

    async def check() -> None:
        opened, wire = link()
        opened.data_received(data)
        opened.data_received(data)
        assert not opened.lost.done() or wire.closed

    asyncio.run(check())


async def test_what_is_held_is_bounded_by_bytes() -> None:
    """Beyond the limit nothing is taken from the socket nor from what was read; acknowledging goes on with both."""
    opened, wire = link(max_unacked_bytes=250)
    opened.data_received(b"".join(publish(mid, bytes(100)) for mid in range(1, 8)))
    found = opened.take(100, 10**9)
    assert [message.mid for message in found] == [1, 2, 3]
    assert not wire.reading
    opened.ack(found)
    assert wire.reading is False  # the four that waited fill the limit again
    assert [message.mid for message in opened.take(100, 10**9)] == [4, 5, 6]


async def test_a_publish_fails_when_the_connection_ends() -> None:
    """Whoever waits for the broker's word is told that it will not come."""
    opened, _ = link()
    waiting = asyncio.create_task(opened.publish("t", b"", retain=False))
    await asyncio.sleep(0)
    opened.connection_lost(None)
    with pytest.raises(NotConnectedError):
        await waiting
    with pytest.raises(NotConnectedError):
        await opened.publish("t", b"", retain=False)


def test_lengths_are_read_to_their_end() -> None:
    """A packet's end is known as soon as its length is, and a length that never ends is an error."""
    assert frame_end(b"\x32\x05", 0) == 7
    assert frame_end(b"\x32\x80\x01", 0) == 131
    assert frame_end(b"\x32\x80", 0) is None
    with pytest.raises(ValueError, match="length"):
        frame_end(b"\x32\xff\xff\xff\xff\x01", 0)


def test_an_odd_publish_without_a_message_id_cannot_be_taken() -> None:
    """Without the id it cannot be acknowledged; the connection has to end."""
    with pytest.raises(ValueError, match="message id"):
        odd_publish(b"\x32\x03\x00\x09a")


@pytest.mark.stack
def test_it_runs_on_the_servers_event_loop(post) -> None:
    """A worker runs on uvloop, whose transports are not asyncio's."""

    async def check() -> list[Message]:
        inbox = Inbox(post.settings(), random.Random(0))
        running = asyncio.create_task(inbox.run(), name="inbox")
        try:
            async with asyncio.timeout(10):
                while not inbox.connected:  # noqa: ASYNC110 - short
                    await asyncio.sleep(0.01)
                await inbox.publish(post.topic("committed"), b"{}", retain=False)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
        return []

    uvloop.run(check())
