"""The way in from the broker: messages out, acknowledgements back, nothing acknowledged before its time.

The one adapter around the MQTT client. It uses paho directly and not aiomqtt, because paho has a public way to
acknowledge by hand (`Client(manual_ack=True)`, `ack(mid, qos)`) while aiomqtt 2.5 acknowledges on receipt unless its
private inner client is reached; because aiomqtt makes a task for each message; and because one reader callback can then
take many packets at once.

What bounds it: the broker sends at most `receive_maximum` messages before the first is acknowledged, and beyond
`max_unacked_bytes` nothing is read from the socket.

A message belongs to the connection it came over. Message ids are used again after a reconnect, so an acknowledgement
for an older connection is dropped; the broker redelivers such a message and the store recognises it.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import unquote, urlsplit

import structlog
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from ingest import metrics
from ingest.errors import BrokerError, NotConnectedError, SettingsError
from park.wire import ROOT, Channel

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

    from ingest.settings import IngestSettings

log = structlog.get_logger()

_QOS: Final = 1
_PACKETS_A_TURN: Final = 200
"""Packets read before other tasks get their turn."""
_FIRST_WAIT_S: Final = 0.2
_LONGEST_WAIT_S: Final = 10.0
_TAKEOVER_FIRST_S: Final = 2.0
_TAKEOVER_LONGEST_S: Final = 60.0
_CONNECT_LIMIT_S: Final = 10.0
_TAKEN_OVER: Final = 0x8E
"""DISCONNECT reason: another client connected under our client id."""
_HOPELESS: Final = frozenset({0x84, 0x85, 0x86, 0x87, 0x8A, 0x8C})
"""CONNACK reasons that trying again does not mend: protocol, client id, password, rights, banned, method."""


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


class Address(NamedTuple):
    """Where the broker is and who we are to it."""

    host: str
    port: int
    tls: bool
    user: str | None
    password: str | None

    def __repr__(self) -> str:
        """Leave the password out."""
        return f"mqtt{'s' if self.tls else ''}://{self.user or ''}@{self.host}:{self.port}"


def parse_broker_url(url: str) -> Address:
    """Parse `mqtt[s]://user:password@host:port`, or raise `SettingsError`."""
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError as error:
        raise SettingsError(f"broker_url: {error}") from None
    if parts.scheme not in {"mqtt", "mqtts"} or not parts.hostname:
        raise SettingsError("broker_url: expected mqtt://user:password@host:port, or mqtts:// for TLS")
    tls = parts.scheme == "mqtts"
    user, password = (None if text is None else unquote(text) for text in (parts.username, parts.password))
    return Address(parts.hostname, port or (8883 if tls else 1883), tls, user, password)


def subscriptions(group: str) -> list[str]:
    """Return the topic filters of an ingest worker."""
    return [f"$share/{group}/{ROOT}/+/+/+/{channel}" for channel in (Channel.DATA, Channel.STATUS, Channel.EVENT)]


class Inbox:
    """The connection to the broker, kept up by `run`.

    Args:
        settings: see `IngestSettings`.
        chance: for the jitter of reconnects.
        leaving: take no new share of the messages, only what the broker already keeps for this worker.
    """

    def __init__(self, settings: IngestSettings, chance: random.Random, *, leaving: bool = False) -> None:
        self._settings = settings
        self._leaving = leaving
        self._address = parse_broker_url(settings.broker_url)
        self._chance = chance
        self._link: _Link | None = None
        self._connections = 0
        self._resumed = False
        self._taken_over = 0
        self._turn = asyncio.Lock()
        self._online = asyncio.Event()

    @property
    def connected(self) -> bool:
        """Whether messages flow at the moment."""
        return self._online.is_set()

    @property
    def resumed(self) -> bool:
        """Whether the broker had kept a session for this worker when we first connected."""
        return self._resumed

    @property
    def unacked(self) -> tuple[int, int]:
        """Messages and payload bytes that are not acknowledged."""
        return (0, 0) if self._link is None else (len(self._link.sizes), self._link.bytes)

    async def run(self) -> None:
        """Keep the connection up until cancelled.

        Raises:
            BrokerError: the broker refused us before it ever took us.
        """
        failures = 0
        while True:
            link = _Link(self._settings, self._address, self._connections + 1, leaving=self._leaving)
            since = asyncio.get_running_loop().time()
            try:
                await link.open()
                self._connections += 1
                if self._connections == 1:
                    self._resumed = link.resumed
                self._link = link
                self._online.set()
                failures = 0
                log.info("broker_connected", broker=repr(self._address), connection=self._connections)
                await link.lost
            except BrokerError as error:
                if not self._connections:
                    raise
                log.error("broker_refuses", broker=repr(self._address), error=str(error))  # noqa: TRY400 - one line
            except NotConnectedError as error:
                log.warning("broker_away", broker=repr(self._address), error=str(error))
            finally:
                self._online.clear()
                link.close()
            if link.taken_over:
                held_s = asyncio.get_running_loop().time() - since
                await asyncio.sleep(self._after_takeover(held_s))
                continue
            failures += 1
            await asyncio.sleep(
                min(_FIRST_WAIT_S * 2 ** min(failures - 1, 10), _LONGEST_WAIT_S) * self._chance.uniform(0.5, 1.0)
            )

    def _after_takeover(self, held_s: float) -> float:
        """Count and tell that another took our session, and return how long to leave it alone.

        Coming back at once would throw the other out, who would throw us out: so each leaves the other ever more time.
        """
        self._taken_over = 1 if held_s > 2 * _TAKEOVER_LONGEST_S else self._taken_over + 1
        metrics.TAKEN_OVER.inc()
        longest_s: float = min(_TAKEOVER_FIRST_S * 2 ** min(self._taken_over - 1, 10), _TAKEOVER_LONGEST_S)
        wait_s = longest_s * self._chance.uniform(0.5, 1.0)
        log.error(
            "worker_name_taken",
            worker=self._settings.worker,
            times=self._taken_over,
            next_try_s=round(wait_s, 1),
            error="another ingest worker connected under this name; give each a name of its own"
            " ([ingest] worker, GREENPARK_INGEST_WORKER), or stop one of them",
        )
        return wait_s

    async def take(self, max_messages: int, max_wait_s: float) -> list[Message]:
        """Wait for a message, then up to `max_wait_s` for more; return them in order, at least one.

        Several tasks may take; each message goes to one of them.
        """
        async with self._turn:
            while True:
                await self._online.wait()
                link = self._link
                if link is None:  # pragma: no cover - online implies a link
                    continue
                await link.has(1)
                await link.has(max_messages, max_wait_s)
                if messages := link.take(max_messages, self._settings.max_bytes):
                    return messages
                # The connection died with what had come over it; the broker sends that again.
                await asyncio.sleep(0)

    def ack(self, messages: Sequence[Message]) -> None:
        """Acknowledge messages; those of an older connection are left to the broker to send again."""
        link = self._link
        if link is not None:
            link.ack([message for message in messages if message.connection == link.number])

    async def publish(self, topic: str, payload: bytes, *, retain: bool) -> None:
        """Publish with QoS 1 and wait until the broker has it.

        Raises:
            NotConnectedError: it may or may not have arrived.
        """
        if self._link is None or not self._online.is_set():
            raise NotConnectedError("not connected to the broker")
        await self._link.publish(topic, payload, retain=retain)

    def end_session(self) -> None:
        """Have the broker forget this worker, with everything it still keeps for it."""
        if self._link is not None:
            self._link.disconnect(session_expiry_s=0)


class _Link:
    """One connection, from CONNECT to its end. All methods run on the event loop."""

    def __init__(self, settings: IngestSettings, address: Address, number: int, *, leaving: bool) -> None:
        self.number = number
        self._leaving = leaving
        self.sizes: dict[int, int] = {}
        self.bytes = 0
        self.resumed = False
        self.taken_over = False
        self._settings = settings
        self._address = address
        self._loop = asyncio.get_running_loop()
        self.lost: asyncio.Future[None] = self._loop.create_future()
        self._welcome: asyncio.Future[None] = self._loop.create_future()
        self._subscribed: asyncio.Future[None] = self._loop.create_future()
        self._queue: deque[Message] = deque()
        self._wanted = 0
        self._enough = asyncio.Event()
        self._publishing: dict[int, asyncio.Future[None]] = {}
        self._fd = -1
        self._reading = False
        self._timer: asyncio.TimerHandle | None = None
        client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=f"greenpark-{settings.share_group}-{settings.worker}",
            protocol=MQTTProtocolVersion.MQTTv5,
            manual_ack=True,
            reconnect_on_failure=False,
        )
        client.connect_timeout = _CONNECT_LIMIT_S
        client.username_pw_set(address.user, address.password)
        if address.tls:
            client.tls_set_context(ssl.create_default_context(cafile=settings.ca_file))
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_subscribe = self._on_subscribe
        client.on_unsubscribe = self._on_unsubscribe
        client.on_message = self._on_message
        client.on_publish = self._on_publish
        client.on_socket_close = self._on_socket_close
        self._client = client

    async def open(self) -> None:
        """Connect and subscribe.

        Raises:
            BrokerError: refused for good.
            NotConnectedError: anything else.
        """
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho has no types here
        properties.SessionExpiryInterval = self._settings.session_expiry_s
        properties.ReceiveMaximum = min(self._settings.receive_maximum, 65_535)
        try:
            # Resolving the name and the TLS handshake block.
            await asyncio.to_thread(
                self._client.connect,
                self._address.host,
                self._address.port,
                self._settings.keepalive_s,
                clean_start=False,
                properties=properties,
            )
        except (OSError, ValueError) as error:
            raise NotConnectedError(f"cannot reach the broker: {error}") from error
        sock = self._client.socket()
        if sock is None:
            raise NotConnectedError("the broker closed the connection at once")
        self._fd = sock.fileno()
        self._client.on_socket_register_write = self._on_want_write
        self._client.on_socket_unregister_write = self._on_written
        self._resume()
        if self._client.want_write():
            self._on_want_write(None, None, None)
        self._tick()
        await self._await(self._welcome, "the broker did not answer")
        filters = subscriptions(self._settings.share_group)
        if self._leaving:
            self._client.unsubscribe(filters)
        else:
            self._client.subscribe([(topic, SubscribeOptions(qos=_QOS)) for topic in filters])
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
        # A peer that reads nothing leaves the DISCONNECT unsent: let go of the socket all the same.
        if (sock := self._client.socket()) is not None:
            self._forget_socket()
            sock.close()

    def disconnect(self, *, session_expiry_s: int | None = None) -> None:
        """Say good-bye; the broker keeps the session, unless it is told to forget it."""
        self._end()
        properties = None
        if session_expiry_s is not None:
            properties = Properties(PacketTypes.DISCONNECT)  # type: ignore[no-untyped-call]
            properties.SessionExpiryInterval = session_expiry_s
        with suppress(OSError, ValueError):
            self._client.disconnect(properties=properties)
            self._client.loop_write()

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
        if self.lost.done():
            return
        for message in messages:
            self.bytes -= self.sizes.pop(message.mid, 0)
            if message.qos:
                self._client.ack(message.mid, message.qos)
        if not self._reading and self._fd >= 0 and self.bytes <= self._settings.max_unacked_bytes:
            self._resume()

    async def publish(self, topic: str, payload: bytes, *, retain: bool) -> None:
        if self.lost.done():
            raise NotConnectedError("not connected to the broker")
        info = self._client.publish(topic, payload, _QOS, retain)
        if info.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            raise NotConnectedError(f"cannot publish: {info.rc.name}")
        confirmed = self._publishing[info.mid] = self._loop.create_future()
        await confirmed

    # Called by the event loop.

    def _readable(self) -> None:
        client, queue = self._client, self._queue
        waiting = -1
        for _ in range(_PACKETS_A_TURN):
            waiting = len(queue)
            if client.loop_read() != MQTTErrorCode.MQTT_ERR_SUCCESS:
                return  # on_disconnect has been called
            if len(queue) == waiting:
                break
        if self.bytes > self._settings.max_unacked_bytes:
            self._loop.remove_reader(self._fd)
            self._reading = False

    def _writable(self) -> None:
        self._client.loop_write()

    def _resume(self) -> None:
        self._loop.add_reader(self._fd, self._readable)
        self._reading = True

    def _tick(self) -> None:
        """Keep-alive, once a second."""
        if self._client.loop_misc() == MQTTErrorCode.MQTT_ERR_SUCCESS:
            self._timer = self._loop.call_later(1.0, self._tick)
        else:
            self._end()

    def _forget_socket(self) -> None:
        if self._fd >= 0:
            self._loop.remove_reader(self._fd)
            self._loop.remove_writer(self._fd)
            self._fd = -1

    # Called by paho, within the calls above.

    def _on_connect(self, _client: Any, _data: Any, flags: Any, reason: Any, _properties: Any) -> None:
        if self._welcome.done():
            return
        if not reason.is_failure:
            self.resumed = bool(flags.session_present)
            self._welcome.set_result(None)
        elif reason.value in _HOPELESS:
            advice = "check user, password and rights of ingest at the broker"
            self._welcome.set_exception(BrokerError(f"the broker {self._address!r} refuses us: {reason}; {advice}"))
        else:
            self._welcome.set_exception(NotConnectedError(f"the broker is not ready for us: {reason}"))

    def _on_subscribe(self, _client: Any, _data: Any, _mid: int, reasons: list[Any], _properties: Any) -> None:
        if self._subscribed.done():
            return
        if refused := [str(reason) for reason in reasons if reason.is_failure]:
            self._subscribed.set_exception(BrokerError(f"the broker refuses the subscriptions: {', '.join(refused)}"))
        else:
            self._subscribed.set_result(None)

    def _on_unsubscribe(self, _client: Any, _data: Any, _mid: int, _reasons: Any, _properties: Any) -> None:
        # A filter that was not subscribed any more is as good.
        if not self._subscribed.done():
            self._subscribed.set_result(None)

    def _on_disconnect(self, _client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if not self.lost.done():
            # 0x8E is no failure of the line; whoever waits for `lost` tells what it means.
            self.taken_over = reason.value == _TAKEN_OVER
            if not self.taken_over:
                log.warning("broker_connection_lost", connection=self.number, reason=str(reason))
            self._end()

    def _on_message(self, _client: Any, _data: Any, message: MQTTMessage) -> None:
        try:
            topic = message.topic
        except UnicodeDecodeError:
            topic = repr(message)  # not a topic of ours; goes to quarantine as it is
        content_type = getattr(message.properties, "ContentType", None)
        payload = bytes(message.payload)
        self._queue.append(Message(topic, payload, content_type, message.mid, message.qos, self.number, time.time()))
        if message.qos:
            self.sizes[message.mid] = len(payload)
            self.bytes += len(payload)
        if len(self._queue) >= self._wanted or self._is_full():
            self._enough.set()

    def _is_full(self) -> bool:
        """Tell whether nothing more will come before something is acknowledged."""
        limits = self._settings
        return len(self.sizes) >= limits.receive_maximum or self.bytes > limits.max_unacked_bytes

    def _on_publish(self, _client: Any, _data: Any, mid: int, reason: Any, _properties: Any) -> None:
        confirmed = self._publishing.pop(mid, None)
        if confirmed is None or confirmed.done():
            return
        if reason.is_failure:
            confirmed.set_exception(NotConnectedError(f"the broker refuses to take a message: {reason}"))
        else:
            confirmed.set_result(None)

    def _on_want_write(self, _client: Any, _data: Any, _sock: Any) -> None:
        if self._fd >= 0:
            self._loop.add_writer(self._fd, self._writable)

    def _on_written(self, _client: Any, _data: Any, _sock: Any) -> None:
        if self._fd >= 0:
            self._loop.remove_writer(self._fd)

    def _on_socket_close(self, _client: Any, _data: Any, _sock: Any) -> None:
        self._forget_socket()
