"""What an edge agent is told: its address, its broker, its buffer and its meters.

One TOML file describes one agent (a gateway) or several (a demo). `[broker]` holds what all of them share; a table of
the same name below an edge overrides it field by field:

    [broker]
    host = "broker.example.org"
    port = 8883
    tls = true

    [[edges]]
    park = "tongliang"
    firm = "steel"
    edge = "gw1"
    broker.password_file = "/etc/greenpark/gw1.password"
    buffer.path = "/var/lib/greenpark/gw1.buffer"

    [[edges.devices]]
    name = "main-meter"
    host = "192.168.1.20"
    points = [{ code = "E-001", address = 0, type = "u32", scale = 0.01 }]
"""

from __future__ import annotations

import math
import os
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from edge.errors import ConfigError
from park.wire import JSON, MSGPACK, Channel, Topic, is_code

MIB = 1024 * 1024

Port = Annotated[int, msgspec.Meta(ge=1, le=65_535)]
Seconds = Annotated[float, msgspec.Meta(gt=0, le=86_400)]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
Register = Annotated[int, msgspec.Meta(ge=0, le=65_535)]
NumberType = Literal["u16", "i16", "u32", "i32", "u64", "f32", "f64"]


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A table of the file; a field nobody knows is an error, not silence."""


class PointConfig(_Table, frozen=True):
    """Where one point stands in its meter.

    Attributes:
        code: the point's code in the park.
        address: first register, counted from 0.
        type: how the registers are read; u32, i32 and f32 take two, u64 and f64 four.
        word_order: which register of a number comes first; bytes within a register are always big-endian.
        scale: value of one raw unit; 0.01 turns 1234 into 12.34.
        function: holding registers (function 3) or input registers (function 4).
        options: what other protocols need.
    """

    code: Name
    address: Register = 0
    type: NumberType = "u32"
    word_order: Literal["big", "little"] = "big"
    scale: float = 1.0
    function: Literal["holding", "input"] = "holding"
    options: dict[str, Any] = {}


class DeviceConfig(_Table, frozen=True):
    """One meter, or one gateway to several registers.

    Attributes:
        poll_s: how often it is read, on the grid of the wall clock (every 10 s: at :00, :10, …).
        timeout_s: how long one request may take.
        max_gap_registers: unused registers that one request may read over; some meters refuse them.
        options: what other protocols need.
    """

    name: Name
    points: Annotated[list[PointConfig], msgspec.Meta(min_length=1)]
    protocol: str = "modbus-tcp"
    host: str = "127.0.0.1"
    port: Port = 502
    unit_id: Annotated[int, msgspec.Meta(ge=0, le=255)] = 1
    poll_s: Seconds = 10.0
    timeout_s: Seconds = 3.0
    max_gap_registers: Annotated[int, msgspec.Meta(ge=0, le=124)] = 0
    options: dict[str, Any] = {}


class BrokerConfig(_Table, frozen=True):
    """The broker. The password comes from one of three places; the user name is the edge's address by default."""

    host: str = "127.0.0.1"
    port: Port = 1883
    tls: bool = False
    ca_file: str | None = None
    certificate_file: str | None = None
    key_file: str | None = None
    username: str | None = None
    password: str | None = None
    password_file: str | None = None
    password_env: str | None = None
    keepalive_s: Annotated[int, msgspec.Meta(ge=5, le=3600)] = 30

    def __repr__(self) -> str:
        """Leave the password out."""
        return f"BrokerConfig(host={self.host!r}, port={self.port}, tls={self.tls}, username={self.username!r})"


class BufferConfig(_Table, frozen=True):
    """The buffer on disk.

    Attributes:
        max_bytes: size of the file at most; its log takes up to 8 MiB beside it.
        min_free_bytes: disk left to others: below it the buffer grows no more, beyond the 4 MiB that it always has.
    """

    path: Annotated[str, msgspec.Meta(min_length=1)]
    max_bytes: Annotated[int, msgspec.Meta(ge=64 * 1024)] = 512 * MIB
    min_free_bytes: Annotated[int, msgspec.Meta(ge=16 * MIB)] = 256 * MIB


class UplinkConfig(_Table, frozen=True):
    """How batches travel.

    Attributes:
        window: batches sent and not yet known to be in the database, at most.
        backlog_per_s: pace of old batches; live ones are not paced.
        settle_s: wait between connecting and the first old batch, so that the watermark comes first.
        resend_after_s: a batch not covered by then is sent again; sooner where there is reason to, see `edge.window`.
        heartbeat_s: how often the status is sent.
        backoff_s, backoff_max_s: the n-th wait before reconnecting is drawn from 0 to backoff_s × 2ⁿ.
        encoding: of new batches; those on disk keep theirs.
    """

    window: Annotated[int, msgspec.Meta(ge=2, le=1000)] = 64
    backlog_per_s: Annotated[float, msgspec.Meta(gt=0, le=10_000)] = 50.0
    settle_s: Annotated[float, msgspec.Meta(ge=0, le=60)] = 1.0
    resend_after_s: Seconds = 30.0
    heartbeat_s: Seconds = 30.0
    backoff_s: Seconds = 1.0
    backoff_max_s: Seconds = 60.0
    encoding: Literal["json", "msgpack"] = "msgpack"

    @property
    def content_type(self) -> str:
        """Return the MIME type of `encoding`."""
        return MSGPACK if self.encoding == "msgpack" else JSON


class EdgeConfig(_Table, frozen=True):
    """One agent.

    Attributes:
        batch_s: 0 writes each poll to disk at once; more collects polls first (fewer writes, but a killed process
            loses what it has collected).
        silent_after: polls without an answer before `meter_silent` is reported.
        config_key_file: the key with which the park signs what it pushes; without one nothing is taken from outside.
    """

    park: str
    firm: str
    edge: str
    buffer: BufferConfig
    devices: list[DeviceConfig] = []
    broker: BrokerConfig = BrokerConfig()
    uplink: UplinkConfig = UplinkConfig()
    batch_s: Annotated[float, msgspec.Meta(ge=0, le=3600)] = 0.0
    silent_after: Annotated[int, msgspec.Meta(ge=1)] = 3
    config_key_file: str | None = None

    @property
    def topic(self) -> Topic:
        """Return the address, on the data channel."""
        return Topic(self.park, self.firm, self.edge, Channel.DATA)


def load_configs(path: str | os.PathLike[str]) -> list[EdgeConfig]:
    """Read a TOML file of one or several agents.

    Relative paths in the file are relative to it.

    Raises:
        ConfigError: one line that names file, field and what was expected.
    """
    file = Path(path)
    try:
        text = file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise ConfigError(str(file), "", f"cannot be read: {reason}") from None
    return parse_configs(text, file)


def parse_configs(text: str, file: Path) -> list[EdgeConfig]:
    """Parse and check the text of a configuration file; see `load_configs`."""
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(str(file), "", f"not TOML: {error}") from None
    shared = raw.pop("broker", {})
    edges = raw.pop("edges", None)
    if raw:
        raise ConfigError(str(file), next(iter(raw)), "unknown; the file has [broker] and [[edges]]")
    if not isinstance(shared, dict):
        raise ConfigError(str(file), "broker", "expected a table")
    if not isinstance(edges, list) or not edges:
        raise ConfigError(str(file), "edges", "expected at least one [[edges]] table")
    configs = [_convert(edge, shared, f"edges[{k}]", file) for k, edge in enumerate(edges)]
    check_configs(configs, str(file))
    return configs


def _convert(edge: object, shared: dict[str, Any], at: str, file: Path) -> EdgeConfig:
    if not isinstance(edge, dict):
        raise ConfigError(str(file), at, "expected a table")
    own = edge.get("broker", {})
    merged = edge | {"broker": shared | own if isinstance(own, dict) else own}
    try:
        config = msgspec.convert(merged, EdgeConfig)
    except msgspec.ValidationError as error:
        message, _, place = str(error).partition(" - at ")
        field = place.strip("`").removeprefix("$").removeprefix(".")
        raise ConfigError(str(file), f"{at}.{field}" if field else at, message) from None
    base = file.parent
    files = {
        name: str(base / value)
        for name in ("ca_file", "certificate_file", "key_file", "password_file")
        if (value := getattr(config.broker, name)) is not None
    }
    return msgspec.structs.replace(
        config,
        broker=msgspec.structs.replace(config.broker, **files),
        config_key_file=None if config.config_key_file is None else str(base / config.config_key_file),
        buffer=msgspec.structs.replace(config.buffer, path=str(base / config.buffer.path)),
    )


def check_configs(configs: list[EdgeConfig], file: str = "configuration") -> None:
    """Check what types cannot: names, protocols, duplicates, buffers used twice. Raises `ConfigError`."""
    from edge.drivers import DRIVERS  # noqa: PLC0415 - the drivers are told what to do in words of this module

    addresses: dict[str, int] = {}
    buffers: dict[str, int] = {}
    for k, config in enumerate(configs):
        at = f"edges[{k}]"
        for field in ("park", "firm", "edge"):
            if not is_code(getattr(config, field)):
                raise ConfigError(file, f"{at}.{field}", "use letters, digits, '.', '_' and '-', at most 64")
        if (other := addresses.setdefault(config.topic.user, k)) != k:
            raise ConfigError(file, at, f"{config.topic.user} stands already at edges[{other}]")
        if (other := buffers.setdefault(str(Path(config.buffer.path).resolve()), k)) != k:
            raise ConfigError(file, f"{at}.buffer.path", f"edges[{other}] has the same; each needs its own")
        _check_devices(config, at, file, DRIVERS)


def _check_devices(config: EdgeConfig, at: str, file: str, drivers: dict[str, Any]) -> None:
    names: set[str] = set()
    points: dict[str, str] = {}
    for d, device in enumerate(config.devices):
        here = f"{at}.devices[{d}]"
        if device.name in names:
            raise ConfigError(file, f"{here}.name", f"{device.name!r} is used twice")
        names.add(device.name)
        if device.protocol not in drivers:
            raise ConfigError(file, f"{here}.protocol", f"{device.protocol!r}; known are {', '.join(sorted(drivers))}")
        for p, point in enumerate(device.points):
            if point.code in points:
                raise ConfigError(file, f"{here}.points[{p}].code", f"{point.code!r} is read by {points[point.code]!r}")
            points[point.code] = device.name
            if point.scale == 0 or not math.isfinite(point.scale):
                raise ConfigError(file, f"{here}.points[{p}].scale", "expected a finite number other than 0")
        try:
            drivers[device.protocol](device)
        except ConfigError as error:
            raise ConfigError(file, f"{here}.{error.field}", error.expected) from None


def password_of(broker: BrokerConfig, file: str = "configuration") -> str | None:
    """Return the broker password from where the configuration says it is; None without one.

    Raises:
        ConfigError: the file or variable is named, but not there.
    """
    if broker.password is not None:
        return broker.password
    if broker.password_file is not None:
        try:
            return Path(broker.password_file).read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
            raise ConfigError(file, "broker.password_file", f"{broker.password_file}: {reason}") from None
    if broker.password_env is not None:
        if (value := os.environ.get(broker.password_env)) is None:
            raise ConfigError(file, "broker.password_env", f"variable {broker.password_env} is not set")
        return value
    return None
