"""What of a message is taken, and why the rest is not."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.decode import EventOf, Readings, Registry, Rejected, StatusOf, decode
from park.wire import JSON, MAX_PAYLOAD_BYTES, MSGPACK, Reason
from store.registry import EdgeRow

NOW_MS = 1_763_625_600_000
LIMIT_MS = 600_000
TOPIC = "greenpark/1/p/a/gw1/data"
POINTS = {"E": (1, "kWh"), "W": (2, "m3")}
REGISTRY = Registry(
    [
        EdgeRow(edge_id=1, park_id=1, firm_id=1, park="p", firm="a", edge="gw1", points=POINTS),
        EdgeRow(edge_id=2, park_id=1, firm_id=1, park="p", firm="a", edge="gw2", points={"X": (3, "kWh")}),
        EdgeRow(edge_id=3, park_id=1, firm_id=2, park="p", firm="b", edge="gw1", points={"Y": (4, "kWh")}),
    ]
)
NAN, INF = float("nan"), float("inf")


def data(content_type: str = JSON, topic: str = TOPIC, **fields: Any) -> Any:
    message = {"points": ["E", "W"], "t": [NOW_MS, NOW_MS], "v": [1.5, 2.5], "boot": "b", "seq": 7} | fields
    message = {key: value for key, value in message.items() if value is not None}
    encode = msgspec.msgpack.encode if content_type == MSGPACK else msgspec.json.encode
    return decode(topic, encode(message), content_type, REGISTRY, NOW_MS, future_limit_ms=LIMIT_MS)


def plain(payload: bytes, channel: str = "data") -> Any:
    return decode(f"greenpark/1/p/a/gw1/{channel}", payload, None, REGISTRY, NOW_MS, future_limit_ms=LIMIT_MS)


@pytest.mark.parametrize("content_type", [JSON, MSGPACK])
def test_a_batch_becomes_columns(content_type: str) -> None:
    """Points become ids, in JSON and in MessagePack, with and without an index column."""
    message = data(content_type, i=[1, 0, 1], t=[NOW_MS, NOW_MS + 1, NOW_MS + 2], v=[1, 2, 3.5], q=[0, 1, 2])
    assert message == Readings(
        message.edge, "b", 7, None, [2, 1, 2], [NOW_MS, NOW_MS + 1, NOW_MS + 2], [1.0, 2.0, 3.5], [0, 1, 2]
    )
    assert data(content_type).point_ids == [1, 2]


def test_a_message_written_by_hand_is_taken() -> None:
    """The contract's own example, version field and all, and one with nothing but what must be there."""
    by_hand = b'{"v": 1, "points": ["E"], "t": [1763625600000], "v": [1234.5]}'
    assert plain(by_hand).values == [1234.5]


@pytest.mark.parametrize("content_type", [JSON, MSGPACK])
def test_a_known_list_of_points_excuses_nothing_else(content_type: str) -> None:
    """Points that were found right before are not looked up again; everything else about a message still is."""
    first = data(content_type)
    assert data(content_type) == first
    assert data(content_type, v=[1.5]).reason is Reason.COLUMNS
    assert data(content_type, t=[NOW_MS, -1]).reason is Reason.UNDECODABLE
    assert data(content_type, t=[NOW_MS, NOW_MS + LIMIT_MS + 1]).rejected.reason is Reason.FUTURE
    assert data(content_type, boot=None).reason is Reason.COLUMNS
    assert data(content_type, boot="b\0").reason is Reason.UNDECODABLE
    assert data(content_type, units=["kWh", "kWh"]).rejected.reason is Reason.WRONG_UNIT
    assert data(content_type, i=[1, 1]).point_ids == [2, 2]
    assert data(content_type, q=[0, 2]).quality == [0, 2]
    assert data(content_type, v=[1e308, 1e308]).values == [1e308, 1e308]
    assert data(content_type, topic="greenpark/1/p/a/gw2/data").reason is Reason.IDENTITY
    if content_type == MSGPACK:
        assert data(content_type, v=[NAN, 1.0]).rejected.reason is Reason.NOT_FINITE


def test_what_is_remembered_of_an_edge_is_bounded() -> None:
    """However many different lists of points an edge sends, few are kept."""
    for count in range(1, 200):
        data(points=["E"] * count, t=[NOW_MS] * count, v=[1.0] * count)
        assert len(data().edge.seen) <= 64


@dataclass
class Case:
    fields: dict[str, Any]
    reason: Reason
    kept: list[float]
    content_type: str = JSON


@pytest.mark.parametrize(
    "case",
    [
        Case({"points": ["E", "nobody"]}, Reason.UNKNOWN_POINT, [1.5]),
        Case({"points": ["nobody", "none"]}, Reason.UNKNOWN_POINT, []),
        Case({"points": ["E", "Y"]}, Reason.UNKNOWN_POINT, [1.5]),
        Case({"points": ["E", "X"]}, Reason.IDENTITY, [1.5]),
        Case({"units": ["kWh", "kWh"]}, Reason.WRONG_UNIT, [1.5]),
        Case({"t": [NOW_MS, NOW_MS + LIMIT_MS + 1]}, Reason.FUTURE, [1.5]),
        Case({"v": [NAN, 2.5]}, Reason.NOT_FINITE, [2.5], MSGPACK),
        Case({"v": [INF, -INF]}, Reason.NOT_FINITE, [], MSGPACK),
        Case({"points": ["E", "W", "nobody"], "i": [0, 1]}, Reason.UNKNOWN_POINT, [1.5, 2.5]),
    ],
    ids=lambda case: f"{case.reason.value}-{len(case.kept)}",
)
def test_a_wrong_reading_is_rejected_alone(case: Case) -> None:
    """Its good neighbours are taken; the reason is given and the batch keeps its name either way."""
    message = data(case.content_type, **case.fields)
    if case.kept:
        assert isinstance(message, Readings)
        assert message.values == case.kept
        assert len(message.point_ids) == len(message.t_ms) == len(case.kept)
        rejected = message.rejected
    else:
        rejected = message
    assert isinstance(rejected, Rejected)
    assert (rejected.reason, rejected.boot, rejected.seq) == (case.reason, "b", 7)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"v": [1.0]}, Reason.COLUMNS),
        ({"i": [0, 2]}, Reason.COLUMNS),
        ({"i": [0, -1]}, Reason.COLUMNS),
        ({"q": [0]}, Reason.COLUMNS),
        ({"units": ["kWh"]}, Reason.COLUMNS),
        ({"v": [1.0, "x"]}, Reason.UNDECODABLE),
        ({"t": [NOW_MS, -1]}, Reason.UNDECODABLE),
        ({"q": [0, 3]}, Reason.UNDECODABLE),
        ({"points": []}, Reason.UNDECODABLE),
    ],
)
def test_a_message_that_breaks_the_contract_keeps_its_name(fields: dict[str, Any], reason: Reason) -> None:
    """It is rejected whole, but the edge can be told to forget it."""
    rejected = data(**fields)
    assert isinstance(rejected, Rejected)
    assert (rejected.reason, rejected.boot, rejected.seq) == (reason, "b", 7)
    assert rejected.edge is not None


@pytest.mark.parametrize(
    ("topic", "reason"),
    [
        ("greenpark/1/p/a/gw9/data", Reason.UNKNOWN_EDGE),
        ("greenpark/1/p/b/gw2/data", Reason.UNKNOWN_EDGE),
        ("greenpark/1/p/a/gw1/committed", Reason.TOPIC),
        ("greenpark/1/p/a/gw1/other", Reason.TOPIC),
        ("greenpark/2/p/a/gw1/data", Reason.TOPIC),
        ("greenpark/1/p/a/gw1/data/more", Reason.TOPIC),
        ("greenpark/1/p//gw1/data", Reason.TOPIC),
        ("", Reason.TOPIC),
    ],
)
def test_a_wrong_topic_is_rejected(topic: str, reason: Reason) -> None:
    """Unknown edges and addresses that are none have their reasons."""
    rejected = data(topic=topic)
    assert isinstance(rejected, Rejected)
    assert rejected.reason is reason


@pytest.mark.parametrize("payload", [b"", b"{", b"[]", b"\xff\xfe", b"null", b"[" * 5_000, b'{"points":"E"}', b"{}"])
@pytest.mark.parametrize("channel", ["data", "status", "event"])
def test_what_cannot_be_decoded_is_rejected(payload: bytes, channel: str) -> None:
    """On every channel."""
    rejected = plain(payload, channel)
    assert isinstance(rejected, Rejected)
    assert rejected.reason is Reason.UNDECODABLE
    assert (rejected.boot, rejected.seq) == (None, None)


def test_an_oversized_payload_is_not_even_decoded() -> None:
    """Its size is the reason, whatever is in it."""
    rejected = plain(b" " * (MAX_PAYLOAD_BYTES + 1))
    assert isinstance(rejected, Rejected)
    assert rejected.reason is Reason.OVERSIZED


def test_status_and_events_are_decoded() -> None:
    """An event names its point by id where the edge has it; an empty stretch is refused."""
    assert isinstance(plain(b'{"online": true, "boot": "b", "at": 1}', "status"), StatusOf)
    event = plain(b'{"kind": "meter_swap", "boot": "b", "at": 1, "point": "W"}', "event")
    assert isinstance(event, EventOf)
    assert event.point_id == 2
    strange = plain(b'{"kind": "meter_swap", "boot": "b", "at": 1, "point": "Y"}', "event")
    assert strange.point_id is None
    empty = plain(b'{"kind": "given_up", "boot": "b", "at": 1, "ranges": [[5, 5]]}', "event")
    assert empty.reason is Reason.COLUMNS


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
_message = st.fixed_dictionaries(
    {},
    optional={
        "points": st.lists(st.sampled_from(["E", "W", "X", "nobody", "", "\0"]), max_size=4) | _json,
        "t": st.lists(st.integers(-1, 2**63) | st.integers(NOW_MS - 9, NOW_MS + 9), max_size=4) | _json,
        "v": st.lists(st.floats() | st.integers(), max_size=4) | _json,
        "i": st.lists(st.integers(-1, 4), max_size=4) | _json,
        "q": st.lists(st.integers(-1, 3), max_size=4) | _json,
        "boot": st.text(max_size=70) | _json,
        "seq": st.integers(-1, 2**64) | _json,
        "sent": st.integers() | _json,
        "units": st.lists(st.sampled_from(["kWh", "m3", ""]), max_size=4) | _json,
        "kind": st.sampled_from(["given_up", "started", "X"]) | _json,
        "at": st.integers() | _json,
        "online": st.booleans() | _json,
        "ranges": st.lists(st.tuples(st.integers(), st.integers()), max_size=3) | _json,
        "body": _json,
    },
)


def _packed(message: Any) -> bytes:
    try:
        return msgspec.msgpack.encode(message)
    except (OverflowError, ValueError, UnicodeEncodeError):
        return b"\xc1"


@settings(max_examples=600, deadline=None)
@given(
    payload=st.binary(max_size=300) | _message.map(lambda m: json.dumps(m).encode()) | _message.map(_packed),
    content_type=st.sampled_from([None, JSON, MSGPACK]) | st.text(max_size=10),
    topic=st.sampled_from([TOPIC, TOPIC.replace("data", "status"), TOPIC.replace("data", "event")])
    | st.text(max_size=40)
    | st.lists(st.sampled_from(["greenpark", "1", "p", "a", "gw1", "data", "", "+", "\0"]), max_size=7).map("/".join),
)
def test_any_bytes_end_as_columns_or_with_a_reason(payload: bytes, content_type: str | None, topic: str) -> None:
    """No input raises; what is taken fits the columns of the store."""
    message = decode(topic, payload, content_type, REGISTRY, NOW_MS, future_limit_ms=LIMIT_MS)
    if isinstance(message, Readings):
        assert len(message.point_ids) == len(message.t_ms) == len(message.values) > 0
        assert message.quality is None or len(message.quality) == len(message.values)
        assert all(0 <= t <= NOW_MS + LIMIT_MS for t in message.t_ms)
        assert all(value - value == 0 for value in message.values), "finite"
        assert set(message.point_ids) <= {1, 2}
    else:
        assert isinstance(message, (StatusOf, EventOf, Rejected))
