"""One connection to a broker for a command: what the broker says in its CONNACK, publish, subscribe, what comes.

paho's own network thread does the work, and everything it reports is handed to the event loop. A connection that is
lost stays lost: whoever needs another opens another, and knows then what was confirmed and what was not.
"""

from __future__ import annotations

import asyncio
import ssl
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from cli.errors import BrokerAwayError, BrokerRefusedError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from ingest.inbox import Address

_ANSWER_S: Final = 10.0
_FAREWELL_S: Final = 3.0
_NOBODY: Final = 0x10
_LIMITS: Final = (
    "ReceiveMaximum",
    "MaximumPacketSize",
    "MaximumQoS",
    "SessionExpiryInterval",
    "SharedSubscriptionAvailable",
    "RetainAvailable",
)


@dataclass(frozen=True, slots=True)
class Session:
    """How to connect.

    Attributes:
        clean: begin without what the broker keeps under this client id.
        expiry_s: how long the broker would keep the session.
        manual_ack: leave what comes unacknowledged, so that the broker keeps it.
        v5: MQTT 5; else 3.1.1.
    """

    client_id: str
    clean: bool = True
    expiry_s: int = 0
    manual_ack: bool = False
    v5: bool = True
    ca_file: str | None = None


class Welcome(NamedTuple):
    """The broker's CONNACK: `limits` are the properties it set, by their MQTT 5 names."""

    session_present: bool
    limits: dict[str, int]


class Received(NamedTuple):
    """A message; `retained` if the broker kept it from before the subscription."""

    topic: str
    payload: bytes
    retained: bool


@dataclass(slots=True)
class Link:
    """An open connection.

    Attributes:
        welcome: what the broker said.
        messages: what has come.
        lost: done when the connection has ended.
    """

    _client: Client
    welcome: Welcome = field(default_factory=lambda: Welcome(session_present=False, limits={}))
    messages: asyncio.Queue[Received] = field(default_factory=asyncio.Queue)
    lost: asyncio.Event = field(default_factory=asyncio.Event)
    _answers: dict[tuple[str, int], asyncio.Future[list[int]]] = field(default_factory=dict)

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False, content_type: str = "") -> bool:
        """Publish at QoS 1 and wait for the broker's answer; False if it says that nobody is subscribed.

        Raises:
            BrokerRefusedError: the broker does not take it from this user.
            BrokerAwayError: it may or may not have arrived.
        """
        properties = None
        if content_type:
            properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]  # paho has no types here
            properties.ContentType = content_type
        info = self._client.publish(topic, payload, 1, retain, properties)
        if info.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            raise BrokerAwayError(f"the connection to the broker is lost ({info.rc.name})")
        [code] = await self._answer("publish", info.mid)
        if code >= 0x80:
            raise BrokerRefusedError(code, f"the broker refuses a message to {topic} (reason {code:#04x})")
        return code != _NOBODY

    async def subscribe(self, topic_filter: str, qos: int = 1) -> int:
        """Subscribe and return the broker's reason code; 0x80 and above: refused.

        Raises:
            BrokerAwayError: no answer.
        """
        rc, mid = self._client.subscribe(topic_filter, qos)
        if rc != MQTTErrorCode.MQTT_ERR_SUCCESS or mid is None:
            raise BrokerAwayError(f"the connection to the broker is lost ({rc.name})")
        [code] = await self._answer("subscribe", mid)
        return code

    async def _answer(self, kind: str, mid: int) -> list[int]:
        if self.lost.is_set():
            raise BrokerAwayError("the connection to the broker is lost")
        answer: asyncio.Future[list[int]] = asyncio.get_running_loop().create_future()
        self._answers[kind, mid] = answer
        try:
            async with asyncio.timeout(_ANSWER_S):
                return await answer
        except TimeoutError:
            raise BrokerAwayError(f"the broker did not answer within {_ANSWER_S:.0f} s") from None
        finally:
            self._answers.pop((kind, mid), None)

    # Called by the event loop on behalf of paho's thread.

    def _answered(self, kind: str, mid: int, codes: list[int]) -> None:
        answer = self._answers.get((kind, mid))
        if answer is not None and not answer.done():
            answer.set_result(codes)

    def _ended(self) -> None:
        self.lost.set()
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(BrokerAwayError("the connection to the broker is lost"))


@asynccontextmanager
async def linked(address: Address, session: Session) -> AsyncIterator[Link]:
    """Be connected for the length of a block; the broker keeps no session afterwards unless one was there before.

    Raises:
        BrokerAwayError: nobody answers.
        BrokerRefusedError: the broker does not let us in; the code says why.
    """
    loop = asyncio.get_running_loop()
    client = Client(
        CallbackAPIVersion.VERSION2,
        client_id=session.client_id,
        protocol=MQTTProtocolVersion.MQTTv5 if session.v5 else MQTTProtocolVersion.MQTTv311,
        clean_session=None if session.v5 else session.clean,
        manual_ack=session.manual_ack,
        reconnect_on_failure=False,
    )
    client.connect_timeout = _ANSWER_S
    if address.user is not None:
        client.username_pw_set(address.user, address.password)
    if address.tls:
        try:
            client.tls_set_context(ssl.create_default_context(cafile=session.ca_file))
        except OSError as error:
            raise BrokerAwayError(f"certificates {session.ca_file}: {error}") from None
    link = Link(client)
    welcome: asyncio.Future[tuple[int, str, Welcome]] = loop.create_future()
    _wire(client, link, welcome, loop)
    await _connect(client, address, session)
    client.loop_start()
    try:
        code, reason, link.welcome = await _welcomed(welcome, link, address)
        if code:
            raise BrokerRefusedError(code, f"the broker {address!r} refuses the log-in: {reason}")
        yield link
    finally:
        await _disconnect(client, session, keep=link.welcome.session_present)


def _wire(
    client: Client, link: Link, welcome: asyncio.Future[tuple[int, str, Welcome]], loop: asyncio.AbstractEventLoop
) -> None:
    def on_connect(_client: Any, _data: Any, flags: Any, reason: Any, properties: Any) -> None:
        limits = {name: getattr(properties, name) for name in _LIMITS if hasattr(properties, name)}
        said = Welcome(bool(flags.session_present), limits)
        code = reason.value if reason.is_failure else 0

        def set_welcome() -> None:
            if not welcome.done():
                welcome.set_result((code, str(reason), said))

        loop.call_soon_threadsafe(set_welcome)

    def on_message(_client: Any, _data: Any, message: MQTTMessage) -> None:
        received = Received(message.topic, bytes(message.payload), message.retain)
        loop.call_soon_threadsafe(link.messages.put_nowait, received)

    def on_publish(_client: Any, _data: Any, mid: int, reason: Any, _properties: Any) -> None:
        loop.call_soon_threadsafe(link._answered, "publish", mid, [reason.value])  # noqa: SLF001 - one module

    def on_subscribe(_client: Any, _data: Any, mid: int, reasons: list[Any], _properties: Any) -> None:
        loop.call_soon_threadsafe(link._answered, "subscribe", mid, [r.value for r in reasons])  # noqa: SLF001

    def on_disconnect(_client: Any, _data: Any, _flags: Any, _reason: Any, _properties: Any) -> None:
        loop.call_soon_threadsafe(link._ended)  # noqa: SLF001

    client.on_connect = on_connect
    client.on_message = on_message
    client.on_publish = on_publish
    client.on_subscribe = on_subscribe
    client.on_disconnect = on_disconnect


async def _connect(client: Client, address: Address, session: Session) -> None:
    options: dict[str, Any] = {}
    if session.v5:
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = session.expiry_s
        options = {"clean_start": session.clean, "properties": properties}
    connecting = asyncio.ensure_future(asyncio.to_thread(client.connect, address.host, address.port, 30, **options))
    try:
        await asyncio.shield(connecting)
    except asyncio.CancelledError:
        # The thread cannot be stopped: wait, or it leaves a socket behind.
        with suppress(OSError, ValueError):
            await connecting
        _close_socket(client)
        raise
    except (OSError, ValueError) as error:
        _close_socket(client)
        raise BrokerAwayError(f"cannot reach the broker {address!r}: {error}") from None


async def _welcomed(
    welcome: asyncio.Future[tuple[int, str, Welcome]], link: Link, address: Address
) -> tuple[int, str, Welcome]:
    lost = asyncio.create_task(link.lost.wait(), name="broker lost")
    try:
        waiting: list[asyncio.Future[Any]] = [welcome, lost]
        await asyncio.wait(waiting, timeout=_ANSWER_S, return_when=asyncio.FIRST_COMPLETED)
    finally:
        lost.cancel()
    if not welcome.done():
        raise BrokerAwayError(f"what listens at {address!r} does not answer as an MQTT broker")
    return welcome.result()


async def _disconnect(client: Client, session: Session, *, keep: bool) -> None:
    properties = None
    if session.v5 and not keep:
        properties = Properties(PacketTypes.DISCONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = 0
    client.disconnect(properties=properties)
    stopping = asyncio.ensure_future(asyncio.to_thread(client.loop_stop))
    try:
        await asyncio.wait((stopping,), timeout=_FAREWELL_S)
    finally:
        _close_socket(client)
    await asyncio.shield(stopping)


def _close_socket(client: Client) -> None:
    sock = client.socket()
    if sock is not None:
        with suppress(OSError):
            sock.close()
