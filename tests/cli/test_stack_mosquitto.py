"""The broker: limits are stated, passwords and rights are real, what it promises survives."""

from __future__ import annotations

import stat
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from cli.stack import ports
from cli.stack.errors import BrokerNameError, ProcessExitedError
from cli.stack.mosquitto import (
    INGEST,
    MONITOR,
    Broker,
    BrokerSettings,
    Listener,
    connect_packet,
    edge_user,
    hash_password,
    may_log_in,
    parse_connack,
    render_acl,
    render_config,
    render_passwords,
)
from cli.stack.places import service_user

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cli.stack.components import Components
    from cli.stack.places import Places

NOT_AUTHORISED = 0x87


class Client:
    """A paho client that waits for every answer."""

    def __init__(
        self,
        broker: Broker,
        user: str,
        *,
        client_id: str = "",
        session_s: int = 0,
        version: int = mqtt.MQTTv5,
        clean: bool = True,
    ) -> None:
        self.messages: list[tuple[str, bytes]] = []
        self.properties: Any = None
        self.ended = threading.Event()
        self._changed = threading.Condition()
        self._connected = threading.Event()
        self._codes: dict[int, int] = {}
        self._subscribed: dict[int, list[int]] = {}
        self.client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=client_id, protocol=version)
        self.client.max_inflight_messages_set(500)
        self.client.username_pw_set(user, broker.password(user))
        self.client.on_connect = self._on_connect
        self.client.on_disconnect = lambda *_: self.ended.set()
        self.client.on_message = self._on_message
        self.client.on_publish = lambda _c, _u, mid, code, _p: self._note(self._codes, mid, code.value)
        self.client.on_subscribe = lambda _c, _u, mid, codes, _p: self._note(
            self._subscribed, mid, [code.value for code in codes]
        )
        if version == mqtt.MQTTv5:
            properties = Properties(PacketTypes.CONNECT)
            properties.SessionExpiryInterval = session_s
            self.client.connect("127.0.0.1", broker.port, clean_start=clean, properties=properties)
        else:
            self.client.connect("127.0.0.1", broker.port)
        self.client.loop_start()
        assert self._connected.wait(5), "no CONNACK"

    def _on_connect(self, _client: Any, _data: Any, _flags: Any, _code: Any, properties: Any) -> None:
        self.properties = properties
        self._connected.set()

    def _on_message(self, _client: Any, _data: Any, message: mqtt.MQTTMessage) -> None:
        with self._changed:
            self.messages.append((message.topic, message.payload))
            self._changed.notify_all()

    def _note(self, where: dict[int, Any], mid: int, value: Any) -> None:
        with self._changed:
            where[mid] = value
            self._changed.notify_all()

    def _answer(self, where: dict[int, Any], mid: int | None) -> Any:
        assert mid is not None
        with self._changed:
            assert self._changed.wait_for(lambda: mid in where, 5), "no answer"
            return where[mid]

    def publish(self, topic: str, payload: bytes = b"x", *, retain: bool = False) -> int:
        """Publish at QoS 1; returns 0, or the reason why it was refused."""
        code: int = self._answer(self._codes, self.client.publish(topic, payload, 1, retain).mid)
        return code if code >= 0x80 else 0  # 0x10: accepted, though nobody listens

    def subscribe(self, topic: str) -> int:
        codes: list[int] = self._answer(self._subscribed, self.client.subscribe(topic, 1)[1])
        return codes[0]

    def wait_for(self, count: int) -> list[bytes]:
        with self._changed:
            self._changed.wait_for(lambda: len(self.messages) >= count, 5)
            return [payload for _, payload in self.messages]

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


@pytest.fixture
def connect() -> Iterator[Callable[..., Client]]:
    """Make clients that are closed at the end of the test."""
    clients: list[Client] = []

    def make(*args: Any, **kwargs: Any) -> Client:
        clients.append(Client(*args, **kwargs))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


def options(text: str) -> dict[str, str]:
    return dict(line.split(" ", 1) for line in text.splitlines() if line)


def test_every_limit_is_stated_and_none_is_zero(tmp_path: Path) -> None:
    """Defaults drop acknowledged messages, so no limit is left to them."""
    said = options(render_config(BrokerSettings((Listener(1883),), tmp_path)))
    for key in ("max_inflight_messages", "max_queued_messages", "max_queued_bytes", "max_packet_size"):
        assert int(said[key]) >= 1000
    assert said["persistence"] == "true"
    assert said["set_tcp_nodelay"] == "true"
    assert said["allow_anonymous"] == "false"
    assert int(said["autosave_interval"]) <= 10


def test_a_listener_speaks_tls_when_it_has_a_certificate(tmp_path: Path) -> None:
    """Each listener has its own address and files, after its own line."""
    outside = Listener(8883, "0.0.0.0", tmp_path / "ca", tmp_path / "cert", tmp_path / "key", client_id_is_user=True)
    text = render_config(BrokerSettings((Listener(1883), outside), tmp_path))
    inner, outer = text.split("\nlistener ")[1:]
    assert inner.strip() == "1883 127.0.0.1"
    assert outer.splitlines() == [
        "8883 0.0.0.0",
        "use_username_as_clientid true",
        f"cafile {tmp_path / 'ca'}",
        f"certfile {tmp_path / 'cert'}",
        f"keyfile {tmp_path / 'key'}",
    ]


def test_rights_of_an_edge_are_patterns_of_its_own_name() -> None:
    """An edge writes three channels and reads two, and nobody else appears there."""
    patterns = [line for line in render_acl().splitlines() if line.startswith("pattern")]
    assert patterns == [
        "pattern write greenpark/1/%u/data",
        "pattern write greenpark/1/%u/status",
        "pattern write greenpark/1/%u/event",
        "pattern read greenpark/1/%u/committed",
        "pattern read greenpark/1/%u/config",
    ]


@pytest.mark.parametrize("name", ["+", "#", "a/b", "", "a:b", "a b", "a\nb", "x" * 65])
def test_a_name_that_would_widen_a_topic_is_refused(name: str) -> None:
    """Wildcards, slashes, colons and blanks never reach the password file or a pattern."""
    with pytest.raises(BrokerNameError, match="firm"):
        edge_user("park", name, "edge")


def test_passwords_are_kept_hashed_and_salted() -> None:
    """The password file holds no password, and equal passwords differ in it."""
    text = render_passwords({"a/b/c": "secret", "d": "secret"}, [b"1" * 12, b"2" * 12])
    first, second = text.splitlines()
    assert first.startswith("a/b/c:$7$101$")
    assert "secret" not in text
    assert first.split("$")[4] != second.split("$")[4]
    assert hash_password("x", b"1") != hash_password("y", b"1")


def test_a_connect_packet_counts_its_own_length() -> None:
    """The remaining length is that of the body, also beyond 127 bytes."""
    short = connect_packet("c", "u", "p")
    assert short[0] == 0x10
    assert short[1] == len(short) - 2
    long = connect_packet("c" * 100, "u" * 100, "p" * 100)
    assert (long[1] & 0x7F) + (long[2] << 7) == len(long) - 3


def test_a_torn_or_foreign_answer_is_no_connack() -> None:
    """Something else that listens on the port is not taken for the broker."""
    assert parse_connack(b"\x20\x03\x00\x87\x00") == NOT_AUTHORISED
    assert parse_connack(b"\x20\x03") is None
    assert parse_connack(b"HTTP/1.1") is None


@pytest.mark.stack
def test_an_edge_publishes_for_itself_and_for_nobody_else(broker: Broker, connect: Callable[..., Client]) -> None:
    """Foreign topics, downward channels and other roots are refused with a reason."""
    broker.add_edges([("acl", "firm", "one"), ("acl", "firm", "two")])
    ingest = connect(broker, INGEST)
    ingest.subscribe("$share/g/greenpark/1/acl/+/+/data")
    one = connect(broker, "acl/firm/one")
    assert one.publish("greenpark/1/acl/firm/one/data", b"mine") == 0
    assert one.publish("greenpark/1/acl/firm/one/event") == 0
    for topic in (
        "greenpark/1/acl/firm/two/data",
        "greenpark/1/acl/other/one/data",
        "greenpark/1/acl/firm/one/committed",
        "greenpark/1/acl/firm/one/config",
        "greenpark/1/acl/firm/one",
        "greenpark/1/acl/firm/one/data/more",
        "elsewhere",
    ):
        assert one.publish(topic, b"foreign") == NOT_AUTHORISED, topic
    assert one.publish("greenpark/1/acl/firm/one/data", b"last") == 0
    assert ingest.wait_for(2) == [b"mine", b"last"]


@pytest.mark.stack
def test_an_edge_hears_its_own_watermark_and_nobody_elses(broker: Broker, connect: Callable[..., Client]) -> None:
    """Subscribing to everything delivers its own two channels only, retained or live."""
    broker.add_edges([("hear", "firm", "one"), ("hear", "firm", "two")])
    ingest = connect(broker, INGEST)
    assert ingest.publish("greenpark/1/hear/firm/two/committed", b"two retained", retain=True) == 0
    assert ingest.publish("greenpark/1/hear/firm/one/committed", b"one retained", retain=True) == 0
    one = connect(broker, "hear/firm/one")
    one.subscribe("greenpark/1/hear/#")
    one.subscribe("$SYS/#")
    assert one.wait_for(1) == [b"one retained"]
    two = connect(broker, "hear/firm/two")
    assert two.publish("greenpark/1/hear/firm/two/data", b"data of two") == 0
    assert ingest.publish("greenpark/1/hear/firm/two/config", b"config of two") == 0
    assert ingest.publish("greenpark/1/hear/firm/one/config", b"config of one") == 0
    assert one.wait_for(2) == [b"one retained", b"config of one"]


@pytest.mark.stack
def test_ingest_can_not_forge_readings_and_the_monitor_sees_counters_only(
    broker: Broker, connect: Callable[..., Client]
) -> None:
    """Each service has the rights it needs."""
    broker.add_edge("svc", "firm", "one")
    ingest = connect(broker, INGEST)
    assert ingest.publish("greenpark/1/svc/firm/one/data") == NOT_AUTHORISED
    monitor = connect(broker, MONITOR)
    monitor.subscribe("greenpark/1/svc/#")
    monitor.subscribe("$SYS/broker/version")
    assert connect(broker, "svc/firm/one").publish("greenpark/1/svc/firm/one/data") == 0
    assert [payload[:9] for payload in monitor.wait_for(1)] == [b"mosquitto"]


@pytest.mark.stack
def test_a_wrong_password_and_a_stranger_are_refused(broker: Broker) -> None:
    """Nobody is let in without the password, or without a name."""
    password = broker.add_edge("pw", "firm", "one")
    assert may_log_in("127.0.0.1", broker.port, "pw/firm/one", password) is True
    assert may_log_in("127.0.0.1", broker.port, "pw/firm/one", password + "x") is False
    assert may_log_in("127.0.0.1", broker.port, "pw/firm/two", password) is False
    assert may_log_in("127.0.0.1", broker.port, "", "") is False


@pytest.mark.stack
def test_an_edge_added_while_the_broker_runs_gets_in_and_disturbs_nobody(
    broker: Broker, connect: Callable[..., Client]
) -> None:
    """A reload keeps the connections there are; a removed user's connection ends."""
    broker.add_edge("new", "firm", "old")
    old = connect(broker, "new/firm/old")
    password = broker.add_edge("new", "firm", "young")
    assert may_log_in("127.0.0.1", broker.port, "new/firm/young", password)
    assert broker.add_edge("new", "firm", "young") == password
    assert old.publish("greenpark/1/new/firm/old/data") == 0
    assert not old.ended.is_set()
    broker.remove_user("new/firm/old")
    assert old.ended.wait(5)
    assert may_log_in("127.0.0.1", broker.port, "new/firm/young", password)


@pytest.mark.stack
def test_secrets_are_private_and_in_no_command_line(broker: Broker, stack_places: Places) -> None:
    """The plain passwords are in one 0600 file; reprs and argv hold none."""
    file = stack_places.secrets / "broker.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(broker.settings.password_file.stat().st_mode) == 0o600
    password = broker.password(INGEST)
    assert password not in repr(broker)
    assert password not in broker.url
    assert password in broker.url_for(INGEST)
    assert password.encode() not in Path(f"/proc/{broker.pid}/cmdline").read_bytes()


@pytest.mark.stack
def test_a_burst_beyond_the_default_limits_arrives_whole(broker: Broker, connect: Callable[..., Client]) -> None:
    """Three times mosquitto's default queue, sent while the consumer is away, is kept for it."""
    broker.add_edge("burst", "firm", "one")
    away = connect(broker, INGEST, client_id="burst", session_s=600)
    away.subscribe("greenpark/1/burst/+/+/data")
    away.close()
    edge = connect(broker, "burst/firm/one")
    for number in range(3000):
        last = edge.client.publish("greenpark/1/burst/firm/one/data", str(number), 1)
    last.wait_for_publish(10)
    back = connect(broker, INGEST, client_id="burst", session_s=600, clean=False)
    assert back.wait_for(3000) == [str(number).encode() for number in range(3000)]


@pytest.mark.stack
def test_a_message_beyond_the_limit_is_refused(broker: Broker, connect: Callable[..., Client]) -> None:
    """MQTT 5 clients are told the limit; an older one that ignores it is disconnected."""
    broker.add_edge("big", "firm", "one")
    limit = broker.settings.max_packet_bytes
    assert connect(broker, "big/firm/one").properties.MaximumPacketSize == limit
    old = connect(broker, "big/firm/one", client_id="big", version=mqtt.MQTTv311)
    old.client.publish("greenpark/1/big/firm/one/data", b"x" * (limit + 1), 1)
    assert old.ended.wait(5)


@pytest.mark.stack
async def test_sessions_and_retained_messages_survive_a_restart(
    components: Components, stack_places: Places, connect: Callable[..., Client]
) -> None:
    """Stop, start: the queue of an absent consumer and the retained watermark are there, on the same port."""
    broker = Broker(
        components.mosquitto,
        stack_places.service / "restarted",
        secret=stack_places.secrets / "restarted.json",
        port=ports.any_free(),
        user=service_user("mosquitto"),
        log=stack_places.logs / "restarted.log",
        more_listeners=(Listener(ports.any_free(), client_id_is_user=True),),
    )
    broker.add_edge("re", "firm", "one")
    await broker.start()
    try:
        away = connect(broker, INGEST, client_id="away", session_s=600, clean=False)
        away.subscribe("greenpark/1/re/+/+/data")
        assert away.publish("greenpark/1/re/firm/one/committed", b"floor", retain=True) == 0
        away.close()
        edge = connect(broker, "re/firm/one")
        assert edge.publish("greenpark/1/re/firm/one/data", b"before") == 0
        edge.close()
        await broker.stop()
        await broker.start()
        edge = connect(broker, "re/firm/one")
        assert edge.publish("greenpark/1/re/firm/one/data", b"after") == 0
        edge.subscribe("greenpark/1/re/firm/one/committed")
        assert edge.wait_for(1) == [b"floor"]
        back = connect(broker, INGEST, client_id="away", session_s=600, clean=False)
        assert back.wait_for(2) == [b"before", b"after"]

        await broker.kill()
        assert not broker.running
        await broker.start()
        assert may_log_in("127.0.0.1", broker.port, INGEST, broker.password(INGEST))
    finally:
        await broker.stop()


@pytest.mark.stack
async def test_a_broker_that_can_not_listen_says_why(components: Components, stack_places: Places) -> None:
    """A taken port ends the start with the broker's own words."""
    import socket  # noqa: PLC0415

    with socket.create_server(("127.0.0.1", 0)) as taken:
        broker = Broker(
            components.mosquitto,
            stack_places.service / "refused",
            secret=stack_places.secrets / "refused.json",
            port=taken.getsockname()[1],
            user=service_user("mosquitto"),
            log=stack_places.logs / "refused.log",
        )
        with pytest.raises(ProcessExitedError, match="Address already in use"):
            await broker.start()
        assert not broker.running
