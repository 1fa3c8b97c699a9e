"""Configuration from the park: only a genuine, newer one is applied, and the buffer never notices."""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.config import BufferConfig, DeviceConfig, EdgeConfig, PointConfig
from edge.errors import ConfigError, PushRefusedError
from edge.process import run
from edge.pushed import Push, keep, kept_at, key_of, merged, opened, parse_key, recalled, signed
from park.wire import Channel
from tests.edge.conftest import config_for, ingest_at, until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cli.stack.mosquitto import Broker
    from park.wire import Topic
    from tests.edge.conftest import Meter

KEY = bytes(range(32))
ADDRESS = "p/f/e"


def device(name: str = "m", code: str = "E-1", address: int = 0, port: int = 502) -> DeviceConfig:
    point = PointConfig(code=code, address=address, type="u16", scale=1.0)
    return DeviceConfig(name=name, port=port, poll_s=0.2, points=[point])


def config(tmp_path: Path, key: bytes | None = KEY) -> EdgeConfig:
    file = None
    if key is not None:
        file = tmp_path / "config.key"
        file.write_text(key.hex() + "\n")
    return EdgeConfig(
        park="p",
        firm="f",
        edge="e",
        devices=[device()],
        buffer=BufferConfig(path=str(tmp_path / "buffer")),
        config_key_file=None if file is None else str(file),
    )


def test_what_was_signed_is_opened_and_nothing_else() -> None:
    """Another key, another edge, a changed byte or no signature: refused, with the reason."""
    push = Push(version=3, issued=1, devices=[device()])
    payload = signed(push, ADDRESS, KEY)
    assert opened(payload, ADDRESS, KEY).devices == [device()]
    unsigned = msgspec.json.encode(push)
    for wrong, address, key in (
        (payload, ADDRESS, bytes(32)),
        (payload, "p/f/other", KEY),
        (payload.replace(b'"version":3', b'"version":4'), ADDRESS, KEY),
        (unsigned, ADDRESS, KEY),
    ):
        with pytest.raises(PushRefusedError, match="signature"):
            opened(wrong, address, key)


@given(st.binary(max_size=200) | st.text(max_size=100).map(str.encode))
def test_any_bytes_are_refused_with_a_reason(payload: bytes) -> None:
    """Whoever may publish below an edge can make it say no, and nothing more."""
    with pytest.raises(PushRefusedError):
        opened(payload, ADDRESS, KEY)


def test_a_push_changes_what_is_polled_and_leaves_the_rest(tmp_path: Path) -> None:
    """Broker, buffer and key stay as the gateway's file says; a push that could not be polled changes nothing."""
    before = config(tmp_path)
    push = Push(version=1, issued=1, devices=[device("n", "E-2")], batch_s=5.0)
    after = merged(before, push)
    assert (after.devices, after.batch_s, after.silent_after) == (push.devices, 5.0, before.silent_after)
    assert (after.broker, after.buffer, after.config_key_file) == (
        before.broker,
        before.buffer,
        before.config_key_file,
    )
    twice = Push(version=2, issued=1, devices=[device("a", "E-1"), device("b", "E-1")])
    with pytest.raises(PushRefusedError, match="E-1"):
        merged(before, twice)


def test_what_was_kept_is_recalled_and_what_is_not_genuine_is_not(tmp_path: Path) -> None:
    """A restart goes on with the last push; one that somebody put there, or signed with an old key, does not hold."""
    own = config(tmp_path)
    assert recalled(own) == (own, 0)
    push = Push(version=7, issued=1, devices=[device("n", "E-2")])
    keep(own, signed(push, own.topic.user, KEY))
    found, version = recalled(own)
    assert (version, found.devices) == (7, push.devices)
    assert recalled(config(tmp_path, None)) == (config(tmp_path, None), 0)
    kept_at(own).write_bytes(signed(push, own.topic.user, bytes(32)))
    with pytest.raises(PushRefusedError, match="signature"):
        recalled(own)


def test_a_key_that_is_none_is_told_with_its_file(tmp_path: Path) -> None:
    """A missing file, or one with something else in it, stops the start with its name."""
    own = config(tmp_path)
    assert key_of(own) == KEY
    assert own.config_key_file is not None
    (tmp_path / "config.key").write_text("secret")
    with pytest.raises(ConfigError, match=r"config\.key"):
        key_of(own)
    with pytest.raises(ValueError, match="64"):
        parse_key("ab")


@pytest.mark.stack
async def test_a_push_takes_over_while_the_agent_runs_and_holds_after_a_restart(
    broker: Broker, edge_names: Callable[[], Topic], meter: Meter, tmp_path: Path
) -> None:
    """Readings change from one point to the other, every batch arrives once, and the numbering never breaks."""
    edge = edge_names()
    meter.holding |= {0: 11, 1: 22}
    key = secrets.token_bytes(32)
    (tmp_path / "key").write_text(key.hex())
    own = config_for(broker, edge, tmp_path, [device(code="E-1", address=0, port=meter.port)])
    own = msgspec.structs.replace(own, config_key_file=str(tmp_path / "key"))
    push = Push(version=2, issued=1, devices=[device(code="E-2", address=1, port=meter.port)])
    topic = str(edge.to(Channel.CONFIG))
    async with ingest_at(broker, edge) as ingest:
        stop = asyncio.Event()
        running = asyncio.create_task(run([own], stop=stop))
        await until(lambda: len(ingest.readings) >= 3)
        await ingest.client.publish(topic, signed(push, edge.user, bytes(32)), qos=1, retain=True)
        await until(lambda: "config_refused" in ingest.kinds())
        assert {point for point, _, _ in ingest.readings} == {"E-1"}
        await ingest.client.publish(topic, signed(push, edge.user, key), qos=1, retain=True)
        await until(lambda: ("E-2", 22.0) in {(point, value) for point, _, value in ingest.readings})
        older = Push(version=1, issued=1, devices=[device(code="E-1", address=0, port=meter.port)])
        await ingest.client.publish(topic, signed(older, edge.user, key), qos=1, retain=True)
        stop.set()
        await running
        boots = {boot for boot, _ in ingest.payloads}
        again = asyncio.Event()
        running = asyncio.create_task(run([own], stop=again))
        await until(lambda: ingest.kinds().count("started") == 2)
        count = len(ingest.readings)
        await until(lambda: len(ingest.readings) > count + 2)
        again.set()
        await running
        late = [point for point, _, _ in ingest.readings[count + 1 :]]
        assert set(late) == {"E-2"}
        assert {boot for boot, _ in ingest.payloads} == boots, "a push or a restart began a new buffer"
        [boot] = boots
        assert sorted(seq for _, seq in ingest.payloads) == list(range(len(ingest.payloads)))
        assert not ingest.differing
        applied = [event for event in ingest.events if event.kind == "config_applied"]
        assert [event.body["version"] for event in applied] == [2]
        started = [event.body["config_version"] for event in ingest.events if event.kind == "started"]
        assert started == [0, 2]
        await ingest.client.publish(topic, b"", qos=1, retain=True)
        assert boot
