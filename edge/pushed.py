"""Configuration that the park pushes to an edge: what it may change, whether it is genuine, and where it is kept.

A push says what to poll, and nothing else: the broker, the buffer and the key stay as the file at the gateway says, so
that a wrong push can always be followed by a right one. It is signed (HMAC-SHA256, RFC 2104) with a key that the
gateway and the park share apart from the broker's password, and numbered; an older number is never applied again.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import msgspec

from edge.config import DeviceConfig, check_configs
from edge.errors import ConfigError, PushRefusedError

if TYPE_CHECKING:
    from edge.config import EdgeConfig

KEY_BYTES: Final = 32
_MAX_BYTES: Final = 1024 * 1024


class Push(msgspec.Struct, frozen=True, kw_only=True):
    """What an edge is to poll from now on.

    Attributes:
        version: rises with every push to this edge.
        issued: when it was signed, Unix milliseconds.
        devices: instead of those of the file.
        batch_s, silent_after: instead of those of the file; None leaves them.
        signature: over all the rest and the edge's address, hexadecimal.
    """

    version: Annotated[int, msgspec.Meta(ge=1, le=2**53)]
    issued: int
    devices: list[DeviceConfig]
    batch_s: Annotated[float, msgspec.Meta(ge=0, le=3600)] | None = None
    silent_after: Annotated[int, msgspec.Meta(ge=1)] | None = None
    signature: str = ""


def key_of(config: EdgeConfig) -> bytes | None:
    """Read the key with which pushes to this edge are signed; None: it takes none.

    Raises:
        ConfigError: the file is named and cannot be used.
    """
    if config.config_key_file is None:
        return None
    try:
        return parse_key(Path(config.config_key_file).read_text("ascii"))
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise ConfigError("configuration", "config_key_file", f"{config.config_key_file}: {error}") from None


def parse_key(text: str) -> bytes:
    """Return a key from its 64 hexadecimal digits, or raise `ValueError`."""
    key = bytes.fromhex(text.strip())
    if len(key) != KEY_BYTES:
        msg = f"expected {2 * KEY_BYTES} hexadecimal digits"
        raise ValueError(msg)
    return key


def signed(push: Push, address: str, key: bytes) -> bytes:
    """Return the payload of a push to the edge `park/firm/edge`."""
    return msgspec.json.encode(msgspec.structs.replace(push, signature=_signature(push, address, key)))


def opened(payload: bytes, address: str, key: bytes) -> Push:
    """Return a push whose signature is right.

    Raises:
        PushRefusedError: it is not; the reason tells which of its parts.
    """
    if len(payload) > _MAX_BYTES:
        raise PushRefusedError(0, f"larger than {_MAX_BYTES} bytes")
    try:
        push = msgspec.json.decode(payload, type=Push)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise PushRefusedError(0, f"not a configuration: {error}") from None
    if not hmac.compare_digest(push.signature, _signature(push, address, key)):
        raise PushRefusedError(push.version, "the signature is wrong: another key, another edge, or altered on its way")
    return push


def _signature(push: Push, address: str, key: bytes) -> str:
    bare = msgspec.json.encode(msgspec.structs.replace(push, signature=""), order="sorted")
    return hmac.new(key, address.encode() + b"\n" + bare, hashlib.sha256).hexdigest()


def merged(config: EdgeConfig, push: Push) -> EdgeConfig:
    """Return the configuration with what the push changes.

    Raises:
        PushRefusedError: it could not be polled; nothing is changed then.
    """
    changes: dict[str, object] = {"devices": push.devices}
    for name in ("batch_s", "silent_after"):
        if (value := getattr(push, name)) is not None:
            changes[name] = value
    found = msgspec.structs.replace(config, **changes)
    try:
        check_configs([found])
    except ConfigError as error:
        raise PushRefusedError(push.version, f"{error.field}: {error.expected}") from None
    return found


def kept_at(config: EdgeConfig) -> Path:
    """Return where the push that holds is kept: beside the buffer, so that it outlives a restart."""
    return Path(f"{config.buffer.path}.config")


def keep(config: EdgeConfig, payload: bytes) -> None:
    """Write a push down, whole or not at all. Raises `OSError`."""
    path = kept_at(config)
    fresh = path.with_name(path.name + ".new")
    with fresh.open("wb") as file:
        file.write(payload)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def recalled(config: EdgeConfig) -> tuple[EdgeConfig, int]:
    """Return the configuration with the push that was kept, and its version; 0: there is none.

    Raises:
        ConfigError: the key cannot be read.
        PushRefusedError: what was kept is not genuine any more, or does not fit; the file's own devices hold.
    """
    key = key_of(config)
    if key is None:
        return config, 0
    try:
        payload = kept_at(config).read_bytes()
    except FileNotFoundError:
        return config, 0
    except OSError as error:
        raise PushRefusedError(0, f"{kept_at(config)}: {error.strerror}") from None
    push = opened(payload, config.topic.user, key)
    return merged(config, push), push.version
