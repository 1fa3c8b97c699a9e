"""The wire contract, version 1: topics, batches, watermarks, status and events.

Topics are `greenpark/1/{park}/{firm}/{edge}/{channel}`. The version stands in the topic. A batch carries its
readings as columns, so that it decodes into arrays at once; JSON, or MessagePack with content type
`application/msgpack`. Times are Unix milliseconds, device time.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Final, TypeVar

import msgspec

from park.errors import PayloadError, TopicError

ROOT: Final = "greenpark/1"
JSON: Final = "application/json"
MSGPACK: Final = "application/msgpack"
MAX_PAYLOAD_BYTES: Final = 1_048_576
MAX_READINGS: Final = 20_000

_T = TypeVar("_T")
_CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")

# Control characters stand in no name, and the database stores no NUL.
_NAME: Final = r"\A[^\x00-\x1f\x7f]+\Z"
Column = Annotated[str, msgspec.Meta(min_length=1, max_length=128, pattern=_NAME)]
Boot = Annotated[str, msgspec.Meta(min_length=1, max_length=64, pattern=_NAME)]
Text = Annotated[str, msgspec.Meta(pattern=r"\A[^\x00]*\Z")]
Count = Annotated[int, msgspec.Meta(ge=0, le=2**62)]
Sequence = Annotated[int, msgspec.Meta(ge=0, le=2**62)]
Millisecond = Annotated[int, msgspec.Meta(ge=0, le=253_402_300_799_999)]


class Channel(StrEnum):
    """What a topic carries. `data`, `status` and `event` go up; `committed` and `config` come down."""

    DATA = "data"
    STATUS = "status"
    EVENT = "event"
    COMMITTED = "committed"
    CONFIG = "config"


class Reason(StrEnum):
    """Why a message was put into quarantine."""

    TOPIC = "topic"
    OVERSIZED = "oversized"
    UNDECODABLE = "undecodable"
    COLUMNS = "columns"
    NOT_FINITE = "not_finite"
    UNKNOWN_EDGE = "unknown_edge"
    UNKNOWN_POINT = "unknown_point"
    WRONG_UNIT = "wrong_unit"
    FUTURE = "future"
    IDENTITY = "identity"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Topic:
    """One edge's address, and the channel."""

    park: str
    firm: str
    edge: str
    channel: Channel

    @property
    def user(self) -> str:
        """Return the broker user name that alone may publish below this address."""
        return f"{self.park}/{self.firm}/{self.edge}"

    def __str__(self) -> str:
        """Return the topic as it stands on the wire."""
        return f"{ROOT}/{self.park}/{self.firm}/{self.edge}/{self.channel.value}"

    def to(self, channel: Channel) -> Topic:
        """Return the same edge's topic for another channel."""
        return Topic(self.park, self.firm, self.edge, channel)


class Batch(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """A data message: readings as columns.

    Attributes:
        points: codes of the points in this batch.
        t, v: time in ms and raw value of each reading.
        i: index into `points` for each reading; None: each point once, in order.
        q: quality of each reading (0 good, 1 uncertain, 2 bad); None: all good.
        boot, seq: name the batch for ever; both None for publishers that know no batches.
        sent: when the edge first sent it, ms.
        units: unit of each of `points`, for publishers that declare it; must equal the registered unit.
    """

    points: Annotated[list[Column], msgspec.Meta(min_length=1, max_length=MAX_READINGS)]
    t: Annotated[list[Millisecond], msgspec.Meta(min_length=1, max_length=MAX_READINGS)]
    # The contract's example also has `"v": 1` in front of the value column; JSON keeps the last of the two.
    v: Annotated[list[float], msgspec.Meta(min_length=1, max_length=MAX_READINGS)] | int
    i: Annotated[list[int], msgspec.Meta(max_length=MAX_READINGS)] | None = None
    q: Annotated[list[Annotated[int, msgspec.Meta(ge=0, le=2)]], msgspec.Meta(max_length=MAX_READINGS)] | None = None
    boot: Boot | None = None
    seq: Sequence | None = None
    sent: Millisecond | None = None
    units: list[Text] | None = None

    @property
    def values(self) -> list[float]:
        """Return the value column."""
        if isinstance(self.v, int):  # pragma: no cover - `decode_batch` has refused it
            raise PayloadError(Reason.COLUMNS, "v must be a list of numbers")
        return self.v

    @property
    def indices(self) -> list[int]:
        """Return the point index of each reading."""
        return self.i if self.i is not None else list(range(len(self.points)))


class Committed(msgspec.Struct, frozen=True, omit_defaults=True):
    """The watermark: what of one boot the database has.

    Every `seq < floor` is stored or given up; `ranges` are further stored stretches `[first, after)`.
    """

    boot: str
    floor: int
    ranges: list[tuple[int, int]] = []

    def covers(self, boot: str, seq: int) -> bool:
        """Tell whether the batch may leave the edge's buffer."""
        return boot == self.boot and (seq < self.floor or any(a <= seq < b for a, b in self.ranges))


class Status(msgspec.Struct, frozen=True, omit_defaults=True):
    """Retained state of an edge; the last will is `online = false`."""

    online: bool
    boot: Boot
    at: Millisecond
    version: Text = ""
    buffered_batches: Count = 0
    buffered_bytes: Count = 0
    clock_offset_ms: Annotated[int, msgspec.Meta(ge=-(2**62), le=2**62)] | None = None


class Event(msgspec.Struct, frozen=True, omit_defaults=True):
    """Something that happened at an edge.

    Kinds: `started`, `stopped`, `state_lost`, `clock_step`, `meter_swap`, `buffer_full`, `given_up`,
    `meter_silent`, `meter_back`.
    """

    kind: Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9_]{0,31}\Z")]
    boot: Boot
    at: Millisecond
    point: Column | None = None
    ranges: list[tuple[Sequence, Sequence]] = []
    body: dict[Text, Text | float | int | bool | None] = {}


def is_code(text: str) -> bool:
    """Tell whether `text` may stand as one level of a topic: letters, digits, `.`, `_`, `-`, at most 64."""
    return _CODE.fullmatch(text) is not None


def parse_topic(topic: str) -> Topic:
    """Parse a topic, or raise `TopicError` saying which part is wrong."""
    parts = topic.split("/")
    if len(parts) != 6 or parts[0] != "greenpark" or parts[1] != "1":
        raise TopicError(Reason.TOPIC, f"expected {ROOT}/{{park}}/{{firm}}/{{edge}}/{{channel}}, got {topic[:200]!r}")
    for name, part in zip(("park", "firm", "edge"), parts[2:5], strict=True):
        if not is_code(part):
            raise TopicError(Reason.TOPIC, f"{name} {part[:80]!r}: use letters, digits, '.', '_' and '-', at most 64")
    try:
        channel = Channel(parts[5])
    except ValueError:
        known = ", ".join(channel.value for channel in Channel)
        raise TopicError(Reason.TOPIC, f"unknown channel {parts[5][:80]!r}; known are {known}") from None
    return Topic(parts[2], parts[3], parts[4], channel)


_batch_json = msgspec.json.Decoder(Batch)
_batch_msgpack = msgspec.msgpack.Decoder(Batch)
_encode_json = msgspec.json.Encoder()
_encode_msgpack = msgspec.msgpack.Encoder()


def decode_batch(payload: bytes, content_type: str | None = None) -> Batch:
    """Decode and check one data message.

    Raises:
        PayloadError: with the reason under which the message goes to quarantine.
    """
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise PayloadError(Reason.OVERSIZED, f"{len(payload)} bytes; at most {MAX_PAYLOAD_BYTES}: send smaller batches")
    decoder = _batch_msgpack if content_type == MSGPACK else _batch_json
    try:
        batch = decoder.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise PayloadError(Reason.UNDECODABLE, str(error)) from None
    _check_columns(batch)
    return batch


def _check_columns(batch: Batch) -> None:
    if isinstance(batch.v, int):
        raise PayloadError(Reason.COLUMNS, "v must be the list of values")
    n = len(batch.t)
    if len(batch.v) != n:
        raise PayloadError(Reason.COLUMNS, f"t has {n} entries, v has {len(batch.v)}")
    if batch.q is not None and len(batch.q) != n:
        raise PayloadError(Reason.COLUMNS, f"t has {n} entries, q has {len(batch.q)}")
    if batch.i is None:
        if len(batch.points) != n:
            raise PayloadError(
                Reason.COLUMNS, f"without i each point occurs once: {len(batch.points)} points, {n} readings"
            )
    elif len(batch.i) != n or min(batch.i) < 0 or max(batch.i) >= len(batch.points):
        raise PayloadError(Reason.COLUMNS, f"i must hold {n} indices from 0 to {len(batch.points) - 1}")
    if (batch.boot is None) != (batch.seq is None):
        raise PayloadError(Reason.COLUMNS, "boot and seq name a batch together: send both or neither")
    if batch.units is not None and len(batch.units) != len(batch.points):
        raise PayloadError(Reason.COLUMNS, f"units has {len(batch.units)} entries, points {len(batch.points)}")
    # A finite sum proves finite values; an infinite one may be an overflow of finite ones.
    if not math.isfinite(sum(batch.v)) and not all(map(math.isfinite, batch.v)):
        raise PayloadError(Reason.NOT_FINITE, "a value is not a finite number; leave the reading out instead")


def encode(message: Batch | Committed | Status | Event, content_type: str = JSON) -> bytes:
    """Encode a message; fields that have their default are left out."""
    return _encode_msgpack.encode(message) if content_type == MSGPACK else _encode_json.encode(message)


def decode_committed(payload: bytes) -> Committed:
    """Decode a watermark, or raise `PayloadError`."""
    return _decode(payload, Committed)


def decode_status(payload: bytes) -> Status:
    """Decode an edge's state, or raise `PayloadError`."""
    return _decode(payload, Status)


def decode_event(payload: bytes) -> Event:
    """Decode an edge's event, or raise `PayloadError`."""
    return _decode(payload, Event)


def _decode(payload: bytes, kind: type[_T]) -> _T:
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise PayloadError(Reason.OVERSIZED, f"{len(payload)} bytes; at most {MAX_PAYLOAD_BYTES}")
    try:
        return msgspec.json.decode(payload, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise PayloadError(Reason.UNDECODABLE, str(error)) from None
