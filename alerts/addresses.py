"""Addresses of recipients: where their secrets are kept.

An address is kept in one of these forms:

    as it is            a mail address, a phone number, a hook without a secret
    sealed:…            encrypted with the key of `address_key_file`; the same address always becomes the same text, so
                        that it is found again, and nothing but this (AES-SIV, RFC 5297)
    file:/path          the file holds it
    env:NAME            the environment of the alerts process holds it
"""

from __future__ import annotations

import base64
import binascii
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from alerts.errors import AddressError, ChannelError, StartError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from alerts.channels import Channel

SEALED: Final = "sealed:"
_FILE: Final = "file:"
_ENV: Final = "env:"
_KEY_BYTES: Final = 64
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def new_key() -> str:
    """Return a new key as the text of its file."""
    return base64.b64encode(AESSIV.generate_key(_KEY_BYTES * 8)).decode() + "\n"


def read_key(file: Path) -> bytes:
    """Return the key in a file.

    Raises:
        StartError: it cannot be read, or holds no key.
    """
    try:
        key = base64.b64decode(file.read_text(encoding="ascii").strip(), validate=True)
    except OSError as error:
        raise StartError(f"address_key_file {file}: {error.strerror}; `greenpark recipient seal` makes it") from None
    except (ValueError, binascii.Error):
        key = b""
    if len(key) != _KEY_BYTES:
        raise StartError(f"address_key_file {file} holds no key; `greenpark recipient seal` makes one")
    return key


def is_reference(kept: str) -> bool:
    """Tell whether an address is a name of where it lies, or sealed, and so shows nothing."""
    return kept.startswith((SEALED, _FILE, _ENV))


def shown(kept: str) -> str:
    """Return what of an address is no secret: where it leads to, or where it lies."""
    if kept.startswith(SEALED):
        return "sealed"
    if is_reference(kept):
        return kept
    if "://" in kept:
        parts = urlsplit(kept)
        return f"{parts.scheme}://{parts.hostname}/…" if parts.scheme in {"http", "https"} else f"{parts.scheme}://…"
    name, at, host = kept.partition("@")
    return f"{name[:1]}…@{host}" if at else f"{kept[:3]}…{kept[-4:]}"


def holds_secret(kept: str) -> bool:
    """Tell whether an address as it is kept may hold a secret: a web address with more than a host and a plain path."""
    if is_reference(kept) or "://" not in kept:
        return False
    parts = urlsplit(kept)
    local = parts.hostname in {"localhost", "127.0.0.1", "::1"}
    return not (local and not parts.query and not parts.username)


def seal(address: str, key: bytes) -> str:
    """Return an address encrypted; the same address and key give the same text. References stay as they are."""
    if is_reference(address):
        return address
    return SEALED + base64.urlsafe_b64encode(AESSIV(key).encrypt(address.encode(), None)).decode()


def reveal(kept: str, key: bytes | None, environ: Mapping[str, str] | None = None) -> str:
    """Return the address itself.

    Raises:
        AddressError: there is no key, or another one; the file or variable is not there. It never tells the address.
    """
    if kept.startswith(SEALED):
        if key is None:
            raise AddressError("the recipient's address is sealed: set address_key_file in [alerts]")
        try:
            return AESSIV(key).decrypt(base64.urlsafe_b64decode(kept.removeprefix(SEALED)), None).decode()
        except (InvalidTag, ValueError):
            raise AddressError("the recipient's address was sealed with another key") from None
    if kept.startswith(_FILE):
        file = Path(kept.removeprefix(_FILE))
        try:
            return file.read_text(encoding="utf-8").strip()
        except OSError as error:
            raise AddressError(f"the file of the recipient's address, {file}: {error.strerror}") from None
        except UnicodeDecodeError:
            raise AddressError(f"the file of the recipient's address, {file}, is not UTF-8") from None
    if kept.startswith(_ENV):
        name = kept.removeprefix(_ENV)
        found = (os.environ if environ is None else environ).get(name) if _VARIABLE.fullmatch(name) else None
        if not found:
            raise AddressError(f"the variable of the recipient's address, {name}, is not set for the alerts process")
        return found.strip()
    return kept


class Sealed:
    """A channel that is given addresses as they are kept. It is opened with its first message."""

    def __init__(self, make: Callable[[], Channel], key: bytes | None) -> None:
        """Reveal addresses with this key, if there is one."""
        self._make = make
        self._key = key
        self._channel: Channel | None = None

    async def send(self, address: str, body: Mapping[str, Any], *, key: str) -> None:
        """Send to the address itself; see `alerts.channels.Channel`."""
        try:
            revealed = reveal(address, self._key)
        except AddressError as error:
            raise ChannelError(str(error)) from None
        if self._channel is None:
            self._channel = self._make()
        await self._channel.send(revealed, body, key=key)

    async def close(self) -> None:
        """Close the channel, if it was opened."""
        if self._channel is not None:
            await self._channel.close()
