"""The way to the broker: batches up, the watermark down, status and events.

The buffer is the truth, so the MQTT session holds nothing: each connection starts clean, and a batch counts as safe
only when the watermark covers it, whatever the broker has acknowledged.
"""

from __future__ import annotations

import asyncio
import random
import socket
import ssl
from contextlib import asynccontextmanager, suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

import aiomqtt
import structlog
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from edge import metrics
from edge.backoff import Backoff
from edge.clock import Clock
from edge.config import password_of
from edge.errors import BufferFullError, ConfigError
from edge.waiting import happens
from edge.window import Window
from park.errors import PayloadError
from park.wire import Channel, Event, Status, decode_committed, encode

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from edge.buffer import GivenUp, Stored
    from edge.config import BrokerConfig, EdgeConfig
    from edge.disk import Disk

_ANSWER_S = 10.0
_FAREWELL_S = 2.0
# Publishes without PUBACK. paho does not heed the broker's receive maximum; the smallest default in use is EMQX's 32.
_UNANSWERED = 20
_GIVEN_UP_EVERY_S = 5.0


@cache
def program_version() -> str:
    """Return the installed version of greenpark; empty when it runs from a bare checkout."""
    try:
        return version("greenpark")
    except PackageNotFoundError:
        return ""


class Uplink:
    """One edge's connection to its broker, made anew as often as needed."""

    def __init__(
        self,
        config: EdgeConfig,
        disk: Disk,
        *,
        clock: Clock | None = None,
        uniform: Callable[[float, float], float] = random.uniform,
        on_config: Callable[[bytes], Awaitable[None]] | None = None,
    ) -> None:
        """Read the password and the certificates; raises `ConfigError` if they are not there.

        `on_config` takes what the park pushes; without it nothing of that sort is asked for.
        """
        self._on_config = on_config
        self._config = config
        self._topic = config.topic
        self._disk = disk
        self._buffer = disk.buffer
        self._clock = clock or Clock()
        self._password = password_of(config.broker)
        self._tls = _tls_context(config.broker)
        link = config.uplink
        self._window = Window(link.window, link.backlog_per_s, link.settle_s, link.resend_after_s)
        self._backoff = Backoff(link.backoff_s, link.backoff_max_s, uniform)
        self._send_wake = asyncio.Event()
        self._event_wake = asyncio.Event()
        self._label = self._topic.user
        self._log = structlog.get_logger().bind(edge=self._label)

    def wake(self) -> None:
        """Note that the buffer has something new."""
        self._window.appended(self._buffer.next_seq)
        self._send_wake.set()

    async def report(self, event: Event) -> None:
        """Keep an event on disk and send it when the broker is there. With a full disk it is only logged."""
        self._log.info("event", kind=event.kind, point=event.point, **event.body)
        try:
            await self._disk.call(self._buffer.add_event, encode(event))
        except BufferFullError as error:
            self._log.warning("event_not_kept", kind=event.kind, reason=str(error))
        self._event_wake.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Stay connected until `stop`; then say goodbye."""
        while not stop.is_set():
            try:
                await self._connection(stop)
            except* (aiomqtt.MqttError, OSError) as group:
                self._log.warning("uplink_down", reason=_reason(group), waiting_batches=self._buffer.depth.batches)
            finally:
                metrics.CONNECTED.labels(self._label).set(0)
            if not stop.is_set():
                await happens(stop, self._backoff.next())

    async def _connection(self, stop: asyncio.Event) -> None:
        broker = self._config.broker
        client = aiomqtt.Client(
            broker.host,
            broker.port,
            username=broker.username or self._topic.user,
            password=self._password,
            identifier=self._topic.user,
            protocol=aiomqtt.ProtocolVersion.V5,
            clean_start=True,
            will=aiomqtt.Will(str(self._topic.to(Channel.STATUS)), encode(self._status(online=False)), 1, retain=True),
            keepalive=broker.keepalive_s,
            timeout=_ANSWER_S,
            max_inflight_messages=min(self._config.uplink.window, _UNANSWERED),
            tls_context=self._tls,
            # Or an acknowledgement holds the next batch back for the 40 ms of a delayed TCP ACK.
            socket_options=((socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),),
        )
        client.pending_calls_threshold = 2 * self._config.uplink.window
        async with _opened(client):
            metrics.CONNECTED.labels(self._label).set(1)
            metrics.CONNECTIONS.labels(self._label).inc()
            self._log.info("uplink_up", broker=f"{broker.host}:{broker.port}")
            answers = await client.subscribe(str(self._topic.to(Channel.COMMITTED)), qos=1)
            if self._on_config is not None:
                await client.subscribe(str(self._topic.to(Channel.CONFIG)), qos=1)
            if any(getattr(answer, "value", answer) >= 128 for answer in answers):
                self._log.error("watermark_not_granted", reason=f"let {self._label} read its own /committed topic")
            oldest = await self._disk.call(self._buffer.oldest_seq)
            self._window.connect(oldest, self._buffer.next_seq, self._clock.monotonic_s())
            async with asyncio.TaskGroup() as group:
                tasks = {
                    group.create_task(self._receive(client), name=f"{self._label}: receive"),
                    group.create_task(self._heartbeat(client), name=f"{self._label}: heartbeat"),
                    group.create_task(self._events(client), name=f"{self._label}: events"),
                    group.create_task(self._send(client), name=f"{self._label}: send"),
                }
                await stop.wait()
                await _cancel(tasks)
            await self._farewell(client)

    async def _receive(self, client: aiomqtt.Client) -> None:
        pushed = str(self._topic.to(Channel.CONFIG))
        async for message in client.messages:
            if str(message.topic) == pushed:
                if self._on_config is not None and message.payload:  # an empty one only takes the retained one away
                    await self._on_config(_bytes(message.payload))
                continue
            try:
                committed = decode_committed(_bytes(message.payload))
            except PayloadError as error:
                self._log.warning("watermark_refused", reason=str(error))
                continue
            if committed.boot != self._buffer.boot:
                self._log.info("watermark_of_another_boot", boot=committed.boot)
                continue
            try:
                released = await self._disk.call(self._buffer.release, committed)
            except BufferFullError as error:  # SQLite needs a little room to delete: the next watermark tries again
                self._log.warning("release_put_off", reason=str(error))
                continue
            now_s = self._clock.monotonic_s()
            if released.jumped_over:
                self._window.forget()
                self._window.connect(await self._disk.call(self._buffer.oldest_seq), self._buffer.next_seq, now_s)
                body: dict[str, str | float | int | bool | None] = {
                    "cause": "the disk had lost what it had confirmed",
                    "batches": released.jumped_over,
                }
                await self.report(Event("state_lost", self._buffer.boot, self._clock.now_ms(), body=body))
            self._window.cover(committed, now_s)
            self._backoff.reset()
            metrics.COMMITTED_BATCHES.labels(self._label).inc(released.depth.batches)
            metrics.COMMITTED_READINGS.labels(self._label).inc(released.depth.readings)
            metrics.WATERMARK_SECONDS.labels(self._label).set(self._clock.wall_s())
            self._measure()
            self._send_wake.set()

    async def _send(self, client: aiomqtt.Client) -> None:
        async with asyncio.TaskGroup() as group:
            while True:
                self._send_wake.clear()
                while (choice := self._window.choose(self._clock.monotonic_s())) is not None:
                    stored = await self._disk.call(self._buffer.first, choice.start, choice.stop)
                    if stored is None:
                        self._window.missing(choice)
                        continue
                    self._window.sent(choice, stored.seq, self._clock.monotonic_s())
                    metrics.SENT.labels(self._label, choice.kind.value).inc()
                    group.create_task(self._publish(client, stored), name=f"{self._label}: batch {stored.seq}")
                self._measure()
                await happens(self._send_wake, self._window.wait_s(self._clock.monotonic_s()))

    async def _publish(self, client: aiomqtt.Client, stored: Stored) -> None:
        properties = _content_type(stored.content_type)
        await client.publish(str(self._topic), stored.payload, qos=1, properties=properties)
        self._window.taken(stored.seq)
        self._log.debug("batch_sent", seq=stored.seq, bytes=len(stored.payload))

    async def _heartbeat(self, client: aiomqtt.Client) -> None:
        while True:
            await self._say(client, online=True)
            await asyncio.sleep(self._config.uplink.heartbeat_s)
            # Connected for a whole heartbeat: the next outage starts with short waits again.
            self._backoff.reset()

    async def _events(self, client: aiomqtt.Client) -> None:
        said: list[GivenUp] = []
        said_s = 0.0
        every_s = self._config.uplink.resend_after_s
        while True:
            self._event_wake.clear()
            await self._send_events(client)
            # Ranges stay until the watermark covers them: a broker that loses the event must not stall the floor.
            ranges = await self._disk.call(self._buffer.given_up)
            since_s = self._clock.monotonic_s() - said_s
            if ranges and (not said or since_s >= (every_s if ranges == said else _GIVEN_UP_EVERY_S)):
                await self._publish_event(client, encode(self._given_up(ranges)))
                said_s = self._clock.monotonic_s()
            said = ranges
            await happens(self._event_wake, min(every_s, _GIVEN_UP_EVERY_S))

    async def _send_events(self, client: aiomqtt.Client) -> None:
        while events := await self._disk.call(self._buffer.events):
            for event_id, payload in events:
                await self._publish_event(client, payload)
                try:
                    await self._disk.call(self._buffer.drop_event, event_id)
                except BufferFullError:
                    return  # it will be sent once more

    async def _publish_event(self, client: aiomqtt.Client, payload: bytes) -> None:
        await client.publish(str(self._topic.to(Channel.EVENT)), payload, qos=1)

    def _given_up(self, ranges: list[GivenUp]) -> Event:
        return Event(
            "given_up",
            self._buffer.boot,
            self._clock.now_ms(),
            ranges=[(gone.first, gone.after) for gone in ranges],
            body={"batches": sum(gone.batches for gone in ranges), "readings": sum(gone.readings for gone in ranges)},
        )

    async def _farewell(self, client: aiomqtt.Client) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(_FAREWELL_S):
                await self._send_events(client)
                await self._say(client, online=False)

    async def _say(self, client: aiomqtt.Client, *, online: bool) -> None:
        topic = str(self._topic.to(Channel.STATUS))
        await client.publish(topic, encode(self._status(online=online)), qos=1, retain=True)

    def _status(self, *, online: bool) -> Status:
        depth = self._buffer.depth
        return Status(
            online=online,
            boot=self._buffer.boot,
            at=self._clock.now_ms(),
            version=program_version(),
            buffered_batches=depth.batches,
            buffered_bytes=depth.bytes,
        )

    def _measure(self) -> None:
        depth = self._buffer.depth
        metrics.BUFFER_BATCHES.labels(self._label).set(depth.batches)
        metrics.BUFFER_BYTES.labels(self._label).set(depth.bytes)
        metrics.IN_FLIGHT.labels(self._label).set(self._window.in_flight)


async def _cancel(tasks: set[asyncio.Task[None]]) -> None:
    """Cancel until they are done: aiomqtt waits in a way that, in Python 3.11, can swallow a cancellation."""
    while tasks:
        for task in tasks:
            task.cancel()
        _, tasks = await asyncio.wait(tasks, timeout=0.5)


@asynccontextmanager
async def _opened(client: aiomqtt.Client) -> AsyncIterator[None]:
    """Connect and disconnect. A cancelled attempt is waited for: its thread would leave a socket behind."""
    entering = asyncio.ensure_future(client.__aenter__())
    try:
        await asyncio.shield(entering)
    except asyncio.CancelledError:
        with suppress(aiomqtt.MqttError):
            await entering
            await client.__aexit__(None, None, None)
        raise
    try:
        yield
    finally:
        await client.__aexit__(None, None, None)


def _tls_context(broker: BrokerConfig) -> ssl.SSLContext | None:
    if not broker.tls:
        return None
    try:
        context = ssl.create_default_context(cafile=broker.ca_file)
        if broker.certificate_file is not None:
            context.load_cert_chain(broker.certificate_file, broker.key_file)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError("configuration", "broker", f"a certificate or key file cannot be used: {error}") from None
    return context


@cache
def _content_type(mime: str) -> Properties:
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    properties.ContentType = mime
    return properties


def _bytes(payload: object) -> bytes:
    return bytes(payload) if isinstance(payload, bytes | bytearray) else str(payload).encode()


def _reason(group: BaseExceptionGroup[aiomqtt.MqttError | OSError]) -> str:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return str(error)
