"""One MQTT 5 connection, from CONNECT to its end.

`mqtt5` turns bytes into packets and back; it does nothing by itself, so an acknowledgement is sent when we send it.

What bounds memory: the broker sends at most `receive_maximum` messages before the first is acknowledged, and beyond
`max_unacked_bytes` nothing is taken from the socket.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

import mqtt5
import structlog

from ingest.errors import BrokerError, NotConnectedError
from park.wire import ROOT, Channel

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ingest.inbox import Address
    from ingest.settings import IngestSettings

log = structlog.get_logger()

_PUBLISH: Final = 0x30
_CONNECT_LIMIT_S: Final = 10.0
_MOST_PUBLISHING: Final = 1_000
"""Messages of ours that the broker has not confirmed, at most."""
_HOPELESS: Final = frozenset({0x84, 0x85, 0x86, 0x87, 0x8A, 0x8C})
"""CONNACK reasons that trying again does not mend: protocol, client id, password, rights, banned, method."""
_FAILURE: Final = 0x80


class Message(NamedTuple):
    """A message as it came.

    Attributes:
        mid: message id, meaningful within `connection` only.
        connection: counts the connections of this inbox.
        received: our clock, seconds since 1970.
    """

    topic: str
    payload: bytes
    content_type: str | None
    mid: int
    qos: int
    connection: int
    received: float


def subscriptions(group: str) -> list[str]:
    """Return the topic filters of an ingest worker."""
    return [f"$share/{group}/{ROOT}/+/+/+/{channel}" for channel in (Channel.DATA, Channel.STATUS, Channel.EVENT)]


def frame_end(data: bytes, at: int) -> int | None:
    """Return where the packet that begins at `at` ends; None if its length is not all there.

    Raises:
        ValueError: the length has more than four bytes, so nothing after it can be understood.
    """
    size = shift = 0
    for k in range(at + 1, at + 5):
        if k >= len(data):
            return None
        size |= (data[k] & 0x7F) << shift
        shift += 7
        if not data[k] & 0x80:
            return k + 1 + size
    raise ValueError("a packet length of more than four bytes")


def odd_publish(frame: bytes) -> tuple[str, bytes, int, int]:
    """Take a PUBLISH that the library refuses apart as far as it goes: topic, payload, message id, QoS.

    It must be acknowledged all the same, or it would come for ever. The topic is one that no registry knows, so that
    the message goes to quarantine; the payload is everything behind the message id.

    Raises:
        ValueError: it has no message id, so it cannot be acknowledged.
    """
    start = next(k for k in range(1, len(frame)) if not frame[k] & 0x80) + 1
    qos = frame[0] >> 1 & 3
    after = start + 2 + int.from_bytes(frame[start : start + 2], "big")
    if qos not in {0, 1} or after + 2 * qos > len(frame):
        raise ValueError("a PUBLISH without topic or message id")
    body = after + 2 * qos
    topic = frame[start + 2 : after].decode("utf-8", "backslashreplace")
    return f"malformed {topic!r}", frame[body:], int.from_bytes(frame[after:body], "big"), qos


class Link(asyncio.Protocol):
    """A connection. All methods run on the event loop; `lost` is done when it has ended.

    Attributes:
        number: of this connection, in its messages.
        sizes, bytes: payload bytes of the messages that are not acknowledged, by message id, and their sum.
        resumed: the broker had kept a session for us.
        taken_over: it ended because another client connected under our client id.
    """

    def __init__(self, settings: IngestSettings, address: Address, number: int, *, leaving: bool) -> None:
        self.number = number
        self.resumed = self.taken_over = False
        self.sizes: dict[int, int] = {}
        self.bytes = 0
        self._leaving = leaving
        self._settings = settings
        self._address = address
        self._loop = asyncio.get_running_loop()
        self.lost: asyncio.Future[None] = self._loop.create_future()
        self._welcome: asyncio.Future[None] = self._loop.create_future()
        self._subscribed: asyncio.Future[None] = self._loop.create_future()
        self._transport: asyncio.Transport | None = None
        self._unread = b""
        self._queue: deque[Message] = deque()
        self._wanted = 0
        self._enough = asyncio.Event()
        self._publishing: dict[int, asyncio.Future[None]] = {}
        self._may_publish = asyncio.Semaphore(_MOST_PUBLISHING)
        self._next_mid = 1
        self._paused = False
        self._keepalive_s = settings.keepalive_s
        self._heard = self._spoke = self._loop.time()
        self._timer: asyncio.TimerHandle | None = None
        self._handlers: dict[type[Any], Callable[[Any], None]] = {
            mqtt5.ConnAckPacket: self._on_connack,
            mqtt5.SubAckPacket: self._on_suback,
            mqtt5.UnsubAckPacket: self._on_unsuback,
            mqtt5.PubAckPacket: self._on_puback,
            mqtt5.DisconnectPacket: self._on_disconnect,
            mqtt5.PingRespPacket: lambda _packet: None,
        }

    async def open(self) -> None:
        """Connect and subscribe.

        Raises:
            BrokerError: refused for good.
            NotConnectedError: anything else.
        """
        settings, address = self._settings, self._address
        try:
            context = ssl.create_default_context(cafile=settings.ca_file) if address.tls else None
        except (OSError, ssl.SSLError) as error:
            raise BrokerError(f"ca_file {settings.ca_file} cannot be used: {error}") from error
        try:
            async with asyncio.timeout(_CONNECT_LIMIT_S):
                await self._loop.create_connection(lambda: self, address.host, address.port, ssl=context)
        except ssl.SSLCertVerificationError as error:
            raise BrokerError(
                f"the certificate of {address.host} is not vouched for ({error.verify_message}): name the authority's"
                " file as ca_file, and the host as the certificate does"
            ) from error
        except (OSError, ValueError) as error:  # TimeoutError is an OSError
            raise NotConnectedError(f"cannot reach the broker: {str(error) or type(error).__name__}") from error
        self._write(
            mqtt5.ConnectPacket(
                f"greenpark-{settings.share_group}-{settings.worker}",
                username=address.user,
                password=None if address.password is None else address.password.encode(),
                clean_start=False,
                keep_alive=settings.keepalive_s,
                session_expiry_interval=settings.session_expiry_s,
                receive_max=min(settings.receive_maximum, 65_535),
            ).write()
        )
        await self._await(self._welcome, "the broker did not answer")
        self._tick()
        filters = subscriptions(settings.share_group)
        if self._leaving:
            self._write(mqtt5.UnsubscribePacket(self._mid(), filters).write())
        else:
            wanted = [
                mqtt5.TopicFilter(topic, max_qos=mqtt5.QoS.AT_LEAST_ONCE, retain_as_published=False)
                for topic in filters
            ]
            self._write(mqtt5.SubscribePacket(self._mid(), wanted).write())
        await self._await(self._subscribed, "the broker did not confirm the subscriptions")

    async def _await(self, answer: asyncio.Future[None], complaint: str) -> None:
        await asyncio.wait((answer, self.lost), timeout=_CONNECT_LIMIT_S, return_when=asyncio.FIRST_COMPLETED)
        if answer.done():
            answer.result()
        else:
            raise NotConnectedError(complaint)

    def close(self) -> None:
        """Give the connection up; the broker keeps the session."""
        if self._timer is not None:
            self._timer.cancel()
        self.disconnect()
        if self._transport is not None:
            # Not `abort`: that would drop the DISCONNECT. A peer that reads nothing must not keep us either.
            self._transport.close()
            self._loop.call_later(1.0, self._transport.abort)

    def disconnect(self, *, session_expiry_s: int | None = None) -> None:
        """Say good-bye; the broker keeps the session, unless it is told to forget it."""
        if not self.lost.done():
            self._write(mqtt5.DisconnectPacket(session_expiry_interval=session_expiry_s).write())
        self._end()

    def _end(self) -> None:
        if self.lost.done():
            return
        self.lost.set_result(None)
        for confirmed in self._publishing.values():
            if not confirmed.done():
                confirmed.set_exception(NotConnectedError("the connection ended before the broker confirmed"))
        self._publishing.clear()
        self._queue.clear()
        self.sizes.clear()
        self.bytes = 0
        self._unread = b""
        self._enough.set()

    async def has(self, count: int, limit_s: float | None = None) -> None:
        """Return when `count` messages wait, the window is full, time is up, or the connection has ended."""
        if self.lost.done() or len(self._queue) >= count or (self._queue and self._is_full()):
            return
        self._wanted = count
        self._enough.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                await self._enough.wait()

    def take(self, max_messages: int, max_bytes: int) -> list[Message]:
        """Return what waits, at most so much, but at least one if there is one."""
        if len(self._queue) <= max_messages and self.bytes <= max_bytes:
            messages = list(self._queue)
            self._queue.clear()
            return messages
        messages, size = [], 0
        while self._queue and len(messages) < max_messages and (not messages or size < max_bytes):
            message = self._queue.popleft()
            size += len(message.payload)
            messages.append(message)
        return messages

    def ack(self, messages: Sequence[Message]) -> None:
        """Acknowledge messages of this connection."""
        if self.lost.done():
            return
        sizes, out = self.sizes, []
        for message in messages:
            if message.qos:
                self.bytes -= sizes.pop(message.mid, 0)
                out.append(mqtt5.PubAckPacket(message.mid).write())
        if out:
            self._write(b"".join(out))
        if self._paused and not self._holds_enough():
            self._resume()

    async def publish(self, topic: str, payload: bytes, *, retain: bool) -> None:
        """Publish with QoS 1 and wait until the broker has it.

        Raises:
            NotConnectedError: it may or may not have arrived.
        """
        async with self._may_publish:
            if self.lost.done():
                raise NotConnectedError("not connected to the broker")
            mid = self._mid()
            confirmed = self._publishing[mid] = self._loop.create_future()
            packet = mqtt5.PublishPacket(topic, payload, qos=mqtt5.QoS.AT_LEAST_ONCE, retain=retain, packet_id=mid)
            self._write(packet.write())
            await confirmed

    def _mid(self) -> int:
        """Return a message id that is free; at most `_MOST_PUBLISHING` are not."""
        while self._next_mid in self._publishing:
            self._next_mid = self._next_mid % 65_535 + 1
        mid, self._next_mid = self._next_mid, self._next_mid % 65_535 + 1
        return mid

    def _write(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._spoke = self._loop.time()
            self._transport.write(data)

    # Called by the event loop.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclasses of asyncio's.
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, error: Exception | None) -> None:
        self._complain("the broker closed the connection" if error is None else f"{type(error).__name__}: {error}")
        self._end()

    def data_received(self, data: bytes) -> None:
        self._heard = self._loop.time()
        if not self.lost.done():
            self._read(self._unread + data if self._unread else data)

    def _read(self, data: bytes) -> None:
        """Read packets until the data ends or enough is held; the rest waits."""
        at, view, now = 0, memoryview(data), time.time()
        try:
            while not self.lost.done():
                if self._holds_enough():
                    self._pause()
                    break
                try:
                    packet, size = mqtt5.read(view[at:])
                except IndexError:  # not all there yet
                    break
                except BaseException as error:  # noqa: BLE001 - re-raised unless the library means the packet
                    size = self._on_refused(data, at, error, now)
                else:
                    if type(packet) is mqtt5.PublishPacket:
                        self._on_message(packet.topic, packet.payload, packet.content_type, packet.packet_id or 0, now)
                    elif (handler := self._handlers.get(type(packet))) is not None:
                        handler(packet)
                at += size
        except ValueError as error:
            self._complain(f"the broker sent what is no MQTT 5: {error}")
            self._fail()
        self._unread = b"" if self.lost.done() else data[at:]
        if len(self._queue) >= self._wanted or self._is_full():
            self._enough.set()

    def _on_refused(self, data: bytes, at: int, error: BaseException, now: float) -> int:
        """Keep a PUBLISH that the library refuses as a message that quarantine will hold; return its length.

        The library panics, outside of `Exception`, over text that is not UTF-8; a broker should not let that pass.
        """
        if not isinstance(error, ValueError) and type(error).__name__ != "PanicException":
            raise error
        end = frame_end(data, at)
        if data[at] & 0xF0 != _PUBLISH or end is None:
            raise ValueError(str(error))
        topic, payload, mid, qos = odd_publish(data[at:end])
        log.warning("message_malformed", connection=self.number, topic=topic[:200], error=str(error))
        self._on_message(topic, payload, None, mid if qos else 0, now)
        return end - at

    def _on_message(self, topic: str, payload: bytes, content_type: str | None, mid: int, now: float) -> None:
        self._queue.append(Message(topic, payload, content_type, mid, 1 if mid else 0, self.number, now))
        if mid:
            self.sizes[mid] = len(payload)
            self.bytes += len(payload)

    def _holds_enough(self) -> bool:
        return self.bytes > self._settings.max_unacked_bytes

    def _is_full(self) -> bool:
        """Tell whether nothing more will come before something is acknowledged."""
        return len(self.sizes) >= self._settings.receive_maximum or self._holds_enough()

    def _pause(self) -> None:
        if self._transport is not None and not self._paused:
            self._paused = True
            self._transport.pause_reading()

    def _resume(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._paused = False
            self._heard = self._loop.time()
            self._transport.resume_reading()
            self._read(self._unread)

    def _tick(self) -> None:
        """Keep-alive, once a second: speak before the broker misses us, and notice when it is silent."""
        now, limit_s = self._loop.time(), self._keepalive_s
        if limit_s and not self._paused and now - self._heard > 1.5 * limit_s:
            self._complain("the broker is silent")
            self._fail()
            return
        if limit_s and now - min(self._spoke, self._heard) >= 0.5 * limit_s and now - self._spoke >= 0.1 * limit_s:
            self._write(mqtt5.PingReqPacket().write())
        self._timer = self._loop.call_later(1.0, self._tick)

    def _fail(self) -> None:
        if self._transport is not None:
            self._transport.abort()
        self._end()

    def _complain(self, reason: str) -> None:
        if not self.lost.done() and not self.taken_over:
            log.warning("broker_connection_lost", connection=self.number, reason=reason)

    # Packets of the broker.

    def _on_connack(self, packet: mqtt5.ConnAckPacket) -> None:
        if self._welcome.done():
            return
        reason = packet.reason_code
        if reason.value < _FAILURE:
            self.resumed = packet.session_present
            if packet.server_keep_alive is not None:
                self._keepalive_s = packet.server_keep_alive
            self._may_publish = asyncio.Semaphore(min(packet.receive_max, _MOST_PUBLISHING))
            self._welcome.set_result(None)
        elif reason.value in _HOPELESS:
            advice = "check user, password and rights of ingest at the broker"
            refusal = f"the broker {self._address!r} refuses us: {_words(reason)}; {advice}"
            self._welcome.set_exception(BrokerError(refusal))
        else:
            self._welcome.set_exception(NotConnectedError(f"the broker is not ready for us: {_words(reason)}"))

    def _on_suback(self, packet: mqtt5.SubAckPacket) -> None:
        if self._subscribed.done():
            return
        if refused := [_words(reason) for reason in packet.reason_codes if reason.value >= _FAILURE]:
            self._subscribed.set_exception(BrokerError(f"the broker refuses the subscriptions: {', '.join(refused)}"))
        else:
            self._subscribed.set_result(None)

    def _on_unsuback(self, _packet: mqtt5.UnsubAckPacket) -> None:
        # A filter that was not subscribed any more is as good.
        if not self._subscribed.done():
            self._subscribed.set_result(None)

    def _on_puback(self, packet: mqtt5.PubAckPacket) -> None:
        confirmed = self._publishing.pop(packet.packet_id, None)
        if confirmed is None or confirmed.done():
            return
        if packet.reason_code.value >= _FAILURE:
            confirmed.set_exception(
                NotConnectedError(f"the broker refuses to take a message: {_words(packet.reason_code)}")
            )
        else:
            confirmed.set_result(None)

    def _on_disconnect(self, packet: mqtt5.DisconnectPacket) -> None:
        # Being taken over is no failure of the line; whoever waits for `lost` tells what it means.
        self.taken_over = packet.reason_code == mqtt5.DisconnectReasonCode.SESSION_TAKEN_OVER
        self._complain(_words(packet.reason_code))
        self._fail()


def _words(reason: Any) -> str:
    return f"{reason.name.lower().replace('_', ' ')} ({reason.value:#x})"
