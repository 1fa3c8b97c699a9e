"""The wire contract: what goes out comes in again, and what is wrong is refused with its reason."""

from __future__ import annotations

import contextlib
import json
import math

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from park.errors import PayloadError, TopicError
from park.wire import (
    JSON,
    MAX_PAYLOAD_BYTES,
    MAX_READINGS,
    MSGPACK,
    Batch,
    Channel,
    Committed,
    Event,
    Reason,
    Status,
    Topic,
    decode_batch,
    decode_committed,
    decode_event,
    decode_status,
    encode,
    is_code,
    parse_topic,
)

FORMATS = [JSON, MSGPACK]
names = st.text("aZ0.-_/ +#'\"\\é水🙂", min_size=1, max_size=20)
codes = st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z", alphabet=st.characters(codec="ascii"))
times = st.integers(min_value=0, max_value=253_402_300_799_999)
finite = st.floats(allow_nan=False, allow_infinity=False)


@st.composite
def batches(draw: st.DrawFn) -> Batch:
    points = draw(st.lists(names, min_size=1, max_size=5))
    indexed = draw(st.booleans())
    n = draw(st.integers(1, 20)) if indexed else len(points)
    named = draw(st.booleans())

    def column(of: st.SearchStrategy) -> list:
        return draw(st.lists(of, min_size=n, max_size=n))

    return Batch(
        points=points,
        t=column(times),
        v=column(finite),
        i=column(st.integers(0, len(points) - 1)) if indexed else None,
        q=column(st.integers(0, 2)) if draw(st.booleans()) else None,
        boot=draw(codes) if named else None,
        seq=draw(st.integers(0, 2**62)) if named else None,
        sent=draw(st.none() | times),
        units=draw(st.none() | st.lists(names, min_size=len(points), max_size=len(points))),
    )


# Round trips ------------------------------------------------------------------------------------------------------


@given(batches(), st.sampled_from(FORMATS))
def test_a_batch_survives_the_wire(batch: Batch, content_type: str) -> None:
    """JSON and MessagePack carry the same batch, to the last bit of every value."""
    again = decode_batch(encode(batch, content_type), content_type)
    assert again == batch
    assert len(again.indices) == len(again.values) == len(again.t)


def test_the_example_of_the_contract_is_read() -> None:
    """The published example, with its version number before the value column, decodes as it is meant."""
    batch = decode_batch(
        b'{"v": 1, "boot": "01JD", "seq": 4711, "sent": 1763625600123, "points": ["E-001", "W-002"],'
        b' "i": [0, 1, 0], "t": [1763625600000, 1763625600000, 1763625610000], "v": [1234.5, 88.0, 1234.7],'
        b' "q": [0, 0, 0]}'
    )
    assert (batch.boot, batch.seq, batch.indices) == ("01JD", 4711, [0, 1, 0])
    assert batch.values == [1234.5, 88.0, 1234.7]


def test_fields_that_nobody_needs_yet_are_passed_over() -> None:
    """An edge newer than the server is still understood."""
    assert decode_batch(b'{"points":["a"],"t":[1],"v":[2],"colour":"red"}').values == [2.0]


@pytest.mark.parametrize("content_type", FORMATS)
def test_defaults_are_not_sent(content_type: str) -> None:
    """A plain batch costs no bytes for what it does not use."""
    decoder = json.loads if content_type == JSON else msgspec.msgpack.decode
    assert set(decoder(encode(Batch(["a"], [1], [2.0]), content_type))) == {"points", "t", "v"}


def test_watermark_status_and_event_survive_the_wire() -> None:
    """The three small messages come back as they were sent."""
    committed = Committed("b", 5, [(7, 9)])
    status = Status(online=True, boot="b", at=1, version="1.0", buffered_batches=3, clock_offset_ms=-12)
    event = Event("meter_swap", "b", 1, point="E-001", ranges=[(1, 2)], body={"serial": "X", "last": 1.5, "ok": True})
    assert decode_committed(encode(committed)) == committed
    assert decode_status(encode(status)) == status
    assert decode_event(encode(event)) == event


@given(st.integers(0, 30), st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30))), st.integers(0, 40))
def test_a_watermark_covers_its_floor_and_its_ranges_and_nothing_else(
    floor: int, ranges: list[tuple[int, int]], seq: int
) -> None:
    """A batch may leave the buffer if it is below the floor or in a range of the very same boot."""
    stored = set(range(floor)).union(*(range(a, b) for a, b in ranges))
    mark = Committed("b", floor, ranges)
    assert mark.covers("b", seq) == (seq in stored)
    assert not mark.covers("other", seq)


# Refusals ---------------------------------------------------------------------------------------------------------


def packed(**fields: object) -> bytes:
    return msgspec.msgpack.encode({"points": ["a", "b"], "t": [1, 2], "v": [1.0, 2.0]} | fields)


REFUSED = [
    (Reason.UNDECODABLE, b""),
    (Reason.UNDECODABLE, b"\xc1"),
    (Reason.UNDECODABLE, b"[]"),
    (Reason.UNDECODABLE, packed(points=[])),
    (Reason.UNDECODABLE, packed(points=["a", ""])),
    (Reason.UNDECODABLE, packed(points=["a", "b\x00"])),
    (Reason.UNDECODABLE, packed(points=["a", "b\n"])),
    (Reason.UNDECODABLE, packed(points=["a", "x" * 129])),
    (Reason.UNDECODABLE, packed(t=[1, -2])),
    (Reason.UNDECODABLE, packed(t=[1, "2"])),
    (Reason.UNDECODABLE, packed(t=[1, 253_402_300_800_000])),
    (Reason.UNDECODABLE, packed(q=[0, 3])),
    (Reason.UNDECODABLE, packed(boot="", seq=1)),
    (Reason.UNDECODABLE, packed(boot="b", seq=-1)),
    (Reason.UNDECODABLE, packed(units=["kWh", "\x00"])),
    (Reason.UNDECODABLE, packed(t=[1] * (MAX_READINGS + 1))),
    (Reason.COLUMNS, packed(v=1)),
    (Reason.COLUMNS, packed(v=[1.0])),
    (Reason.COLUMNS, packed(q=[0])),
    (Reason.COLUMNS, packed(points=["a"])),
    (Reason.COLUMNS, packed(i=[0])),
    (Reason.COLUMNS, packed(i=[])),
    (Reason.COLUMNS, packed(i=[0, 2])),
    (Reason.COLUMNS, packed(i=[0, -1])),
    (Reason.COLUMNS, packed(boot="b")),
    (Reason.COLUMNS, packed(seq=1)),
    (Reason.COLUMNS, packed(units=["kWh"])),
    (Reason.NOT_FINITE, packed(v=[1.0, math.nan])),
    (Reason.NOT_FINITE, packed(v=[math.inf, 1.0])),
    (Reason.NOT_FINITE, packed(v=[math.inf, -math.inf])),
    (Reason.OVERSIZED, b" " * (MAX_PAYLOAD_BYTES + 1)),
]


@pytest.mark.parametrize(("reason", "payload"), REFUSED, ids=range(len(REFUSED)))
def test_a_wrong_batch_is_refused_with_its_reason(reason: Reason, payload: bytes) -> None:
    """Whatever is wrong with a message is named by a code, and told in a sentence."""
    with pytest.raises(PayloadError) as caught:
        decode_batch(payload, MSGPACK)
    assert caught.value.reason == reason
    assert str(caught.value)


def test_every_reason_that_decoding_can_give_is_reached() -> None:
    """The refusals above cover all reasons but those that need a topic or the registry."""
    given_later = {
        *(Reason.UNKNOWN_EDGE, Reason.UNKNOWN_POINT, Reason.WRONG_UNIT, Reason.FUTURE, Reason.IDENTITY, Reason.REJECTED)
    }
    with pytest.raises(TopicError) as caught:
        parse_topic("x")
    assert {reason for reason, _ in REFUSED} | {Reason(caught.value.reason)} == set(Reason) - given_later


def test_large_finite_values_are_not_taken_for_infinite_ones() -> None:
    """Two values whose sum overflows are finite all the same."""
    assert decode_batch(packed(v=[1.7e308, 1.7e308]), MSGPACK).values == [1.7e308, 1.7e308]


@pytest.mark.parametrize(
    "payload",
    [
        b'{"points":["a"],"t":[1],"v":[NaN]}',
        b'{"points":["a"],"t":[1],"v":[1e999]}',
        b"[" * 100_000,
        b'{"x":' * 100_000,
        b'{"points":["\xff"],"t":[1],"v":[1]}',
        b'{"points":["\\ud800"],"t":[1],"v":[1]}',
        encode(Batch(["a"], [1], [1.0]), MSGPACK),
    ],
)
def test_wrong_json_is_refused(payload: bytes) -> None:
    """Numbers that JSON has not, text that is none, and nesting without an end are refused, not raised through."""
    with pytest.raises(PayloadError) as caught:
        decode_batch(payload, JSON)
    assert caught.value.reason == Reason.UNDECODABLE


def outcome(payload: bytes, content_type: str | None) -> Batch | Reason:
    """Return the batch, or the reason under which it goes to quarantine."""
    try:
        return decode_batch(payload, content_type)
    except PayloadError as error:
        return Reason(error.reason)


like_batches = st.fixed_dictionaries(
    {},
    optional={
        name: st.recursive(
            st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text(max_size=5),
            lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
            max_leaves=8,
        )
        for name in ("points", "t", "v", "i", "q", "boot", "seq", "sent", "units")
    },
)


@given(
    st.binary(max_size=300) | like_batches.map(msgspec.msgpack.encode), st.sampled_from([*FORMATS, None, "text/plain"])
)
@example(b"\x81\xa1t\xdd\xff\xff\xff\xff", MSGPACK)
@example(b"\xdf\xff\xff\xff\xff", MSGPACK)
def test_any_bytes_are_a_batch_or_a_payload_error(payload: bytes, content_type: str | None) -> None:
    """No message, however broken, raises anything else."""
    batch = outcome(payload, content_type)
    if isinstance(batch, Batch):
        assert len(batch.indices) == len(batch.values) == len(batch.t)
        assert all(math.isfinite(value) for value in batch.values)


@given(batches(), st.sampled_from(FORMATS), st.data())
def test_a_damaged_batch_is_a_batch_or_a_payload_error(batch: Batch, content_type: str, data: st.DataObject) -> None:
    """One flipped byte or a cut is answered like everything else."""
    payload = bytearray(encode(batch, content_type))
    at = data.draw(st.integers(0, len(payload) - 1))
    payload[at] ^= data.draw(st.integers(1, 255))
    assert isinstance(outcome(bytes(payload), content_type), Batch | Reason)
    assert isinstance(outcome(bytes(payload[:at]), content_type), Reason), "a batch that was cut off is none"


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{}",
        b'{"kind":"Started","boot":"b","at":1}',
        b'{"kind":"started\\n","boot":"b","at":1}',
        b'{"kind":"started","boot":"\\u0000","at":1}',
        b'{"kind":"started","boot":"b","at":1,"body":{"a":"\\u0000"}}',
        b'{"kind":"started","boot":"b","at":-1}',
        b'{"kind":"started","boot":"b","at":1,"ranges":[[-1,2]]}',
        b" " * (MAX_PAYLOAD_BYTES + 1),
    ],
)
def test_a_wrong_event_is_refused(payload: bytes) -> None:
    """An event without its fields, or with text that no database takes, is refused."""
    with pytest.raises(PayloadError):
        decode_event(payload)


def test_a_wrong_status_or_watermark_is_refused() -> None:
    """Counts beyond every counter and watermarks without a floor are refused."""
    with pytest.raises(PayloadError):
        decode_status(b'{"online":true,"boot":"b","at":1,"buffered_bytes":99999999999999999999}')
    with pytest.raises(PayloadError):
        decode_committed(b'{"boot":"b"}')


# Topics -----------------------------------------------------------------------------------------------------------


@given(codes, codes, codes, st.sampled_from(Channel))
def test_a_topic_survives_being_written(park: str, firm: str, edge: str, channel: Channel) -> None:
    """A topic parses to the address it was made of."""
    topic = Topic(park, firm, edge, channel)
    assert parse_topic(str(topic)) == topic
    assert topic.user == f"{park}/{firm}/{edge}"
    assert parse_topic(str(topic.to(Channel.COMMITTED))).channel is Channel.COMMITTED


@pytest.mark.parametrize(
    ("topic", "said"),
    [
        ("greenpark/1/p/f/e", "expected greenpark/1/"),
        ("greenpark/2/p/f/e/data", "expected greenpark/1/"),
        ("spBv1.0/p/f/e/data/x", "expected greenpark/1/"),
        ("greenpark/1/p/f/e/data/x", "expected greenpark/1/"),
        ("greenpark/1/p//e/data", "firm ''"),
        ("greenpark/1/+/f/e/data", "park '[+]'"),
        ("greenpark/1/p/f/e\n/data", "edge"),
        ("greenpark/1/p/f/" + "e" * 65 + "/data", "at most 64"),
        ("greenpark/1/p/f/e/readings", "unknown channel 'readings'"),
    ],
)
def test_a_wrong_topic_says_which_part_is_wrong(topic: str, said: str) -> None:
    """The level that is wrong is named, and what it may be."""
    with pytest.raises(TopicError, match=said) as caught:
        parse_topic(topic)
    assert caught.value.reason == Reason.TOPIC


@given(st.text(max_size=80))
def test_any_topic_is_an_address_or_a_topic_error(text: str) -> None:
    """No topic raises anything else, and what is a code stands in one level."""
    for topic in (text, f"greenpark/1/p/f/{text}/data", f"greenpark/1/p/f/e/{text}"):
        with contextlib.suppress(TopicError):
            assert str(parse_topic(topic)) == topic
    if is_code(text):
        assert not set(text) & set("/+#\n\x00 ")
