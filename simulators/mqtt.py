"""A publisher for load: MQTT 5 with QoS 1 in a hundred lines, because general clients saturate before a broker does.

It connects, publishes, counts acknowledgements, and receives the watermarks it subscribed to. For everything else use
a real client.
"""

from __future__ import annotations

import asyncio
import struct
from collections import deque
from typing import TYPE_CHECKING, Final

from simulators.errors import LoadError

if TYPE_CHECKING:
    from collections.abc import Callable

_CONNECT_S: Final = 10.0
_KEEPALIVE_S: Final = 60
# Lengths of MQTT 5 properties by identifier; those not listed are strings or pairs of strings, handled apart.
_FIXED: Final = {0x01: 1, 0x17: 1, 0x19: 1, 0x24: 1, 0x25: 1, 0x28: 1, 0x29: 1, 0x2A: 1}
_FIXED_TWO: Final = {0x13: 2, 0x21: 2, 0x22: 2, 0x23: 2}
_FIXED_FOUR: Final = {0x02: 4, 0x11: 4, 0x18: 4, 0x27: 4}
_LENGTHS: Final = _FIXED | _FIXED_TWO | _FIXED_FOUR
_RECEIVE_MAXIMUM: Final = 0x21
_MAX_IN_FLIGHT: Final = 20_000


def text(value: str | bytes) -> bytes:
    """Encode a string with its length."""
    raw = value.encode() if isinstance(value, str) else value
    return struct.pack(">H", len(raw)) + raw


def length(value: int) -> bytes:
    """Encode a remaining length."""
    out = bytearray()
    while True:
        value, digit = divmod(value, 128)
        out.append(digit | (0x80 if value else 0))
        if not value:
            return bytes(out)


def packet(kind: int, body: bytes) -> bytes:
    """Encode a control packet."""
    return bytes([kind]) + length(len(body)) + body


def receive_maximum(properties: bytes) -> int:
    """Return how many unacknowledged messages the broker takes."""
    at = 0
    while at < len(properties):
        kind = properties[at]
        size = _LENGTHS.get(kind)
        if kind == _RECEIVE_MAXIMUM:
            return int(struct.unpack_from(">H", properties, at + 1)[0])
        if size is None:
            size = 0
            for _ in range(2 if kind == 0x26 else 1):
                size += 2 + int(struct.unpack_from(">H", properties, at + 1 + size)[0])
        at += 1 + size
    return 65_535


class Publisher(asyncio.Protocol):
    """One connection. Messages beyond the broker's window wait here, so that nothing is ever dropped silently.

    Args:
        client_id: name at the broker.
        username, password: the load user's.
        acknowledged: called with the tag of each message that the broker has taken.
        received: called with topic and payload of each message that was subscribed to.
    """

    def __init__(
        self,
        client_id: str,
        username: str | None,
        password: str | None,
        acknowledged: Callable[[int], None],
        received: Callable[[str, bytes], None],
    ) -> None:
        self._client_id, self._username, self._password = client_id, username, password
        self._acknowledged, self._received = acknowledged, received
        self._buffer = bytearray()
        self._transport: asyncio.WriteTransport | None = None
        self._connected: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._window = 0
        self._free: deque[int] = deque()
        self._in_flight: dict[int, int] = {}
        self._waiting: deque[tuple[bytes, bytes, int]] = deque()
        self._out = bytearray()
        self.failure: str | None = None
        self.refused = 0

    @property
    def unacknowledged(self) -> int:
        """Return how many messages are in flight or wait."""
        return len(self._in_flight) + len(self._waiting)

    async def connected(self) -> None:
        """Wait until the broker has accepted the connection, or raise `LoadError`."""
        try:
            await asyncio.wait_for(asyncio.shield(self._connected), _CONNECT_S)
        except TimeoutError:
            msg = f"the broker did not answer within {_CONNECT_S:g} s; is this an MQTT 5 port?"
            raise LoadError(msg) from None

    def subscribe(self, topic_filter: str) -> None:
        """Subscribe with QoS 0."""
        self._write(packet(0x82, struct.pack(">H", 65_535) + b"\0" + text(topic_filter) + b"\0"))

    def publish(self, head: bytes, tail: bytes, tag: int) -> None:
        """Publish with QoS 1.

        Args:
            head: the encoded topic.
            tail: what follows the packet's identifier: properties and payload.
            tag: given back when the broker has acknowledged.
        """
        self._waiting.append((head, tail, tag))

    def flush(self) -> None:
        """Write what the window allows, as one piece."""
        out = self._out
        while self._waiting and self._free:
            head, tail, tag = self._waiting.popleft()
            number = self._free.popleft()
            self._in_flight[number] = tag
            out += b"\x32" + length(len(head) + 2 + len(tail)) + head + number.to_bytes(2, "big") + tail
        if out:
            self._write(bytes(out))
            out.clear()

    def ping(self) -> None:
        """Tell the broker that this connection lives."""
        self._write(b"\xc0\0")

    def close(self) -> None:
        """Say goodbye and close."""
        if self._transport is not None:
            self._write(b"\xe0\0")
            self._transport.close()
            self._transport = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send CONNECT."""
        if not isinstance(transport, asyncio.WriteTransport):  # pragma: no cover - asyncio gives us one
            return
        self._transport = transport
        flags = 0x02 | (0x80 if self._username is not None else 0) | (0x40 if self._password is not None else 0)
        body = text("MQTT") + bytes([5, flags]) + struct.pack(">H", _KEEPALIVE_S) + b"\0" + text(self._client_id)
        body += text(self._username) if self._username is not None else b""
        body += text(self._password) if self._password is not None else b""
        self._write(packet(0x10, body))

    def connection_lost(self, exc: Exception | None) -> None:
        """Remember that the broker went away."""
        lost = self._transport is not None
        self._transport = None
        if lost:
            self._fail(f"the connection to the broker was lost: {exc or 'closed by the broker'}")

    def data_received(self, data: bytes) -> None:
        """Take packets apart."""
        buffer = self._buffer
        buffer += data
        at = 0
        while (parsed := self._next(buffer, at)) is not None:
            kind, start, after = parsed
            self._packet(kind, bytes(buffer[start:after]))
            at = after
        del buffer[:at]
        self.flush()

    @staticmethod
    def _next(buffer: bytearray, at: int) -> tuple[int, int, int] | None:
        size, shift, k = 0, 0, at + 1
        while k < len(buffer):
            digit = buffer[k]
            size |= (digit & 0x7F) << shift
            shift, k = shift + 7, k + 1
            if not digit & 0x80:
                return (buffer[at], k, k + size) if k + size <= len(buffer) else None
        return None

    def _packet(self, kind: int, body: bytes) -> None:
        if kind == 0x40:
            number = int.from_bytes(body[:2], "big")
            tag = self._in_flight.pop(number, None)
            if tag is None:
                return
            self._free.append(number)
            if len(body) > 2 and body[2] >= 0x80:
                self.refused += 1
                self.failure = f"the broker refuses messages with reason {body[2]:#x}; may the load user publish here?"
            else:
                self._acknowledged(tag)
        elif kind & 0xF0 == 0x30:
            end = 2 + int.from_bytes(body[:2], "big")
            size, skip = body[end], 1
            if size & 0x80:  # longer than 127 bytes
                size, skip = (size & 0x7F) | body[end + 1] << 7, 2
            self._received(body[2:end].decode(), body[end + skip + size :])
        elif kind == 0x20:
            if body[1] >= 0x80:
                self._fail(f"the broker refused the connection with reason {body[1]:#x}; check user and password")
                return
            self._window = min(receive_maximum(body[3:]), _MAX_IN_FLIGHT)
            self._free.extend(range(1, self._window + 1))
            if not self._connected.done():
                self._connected.set_result(None)
        elif kind == 0xE0:
            reason = f"{body[0]:#x}" if body else "0x0"
            self._fail(f"the broker closed the connection with reason {reason}")

    def _fail(self, why: str) -> None:
        self.failure = self.failure or why
        if not self._connected.done():
            self._connected.set_exception(LoadError(why))

    def _write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)
