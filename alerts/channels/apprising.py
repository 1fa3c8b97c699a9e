"""What all channels through Apprise share: it stays quiet, it does not wait, and what went wrong is told.

Apprise answers yes or no, and takes an HTTP 200 for yes although the robots of DingTalk, WeCom and Feishu say in the
body of a 200 that they did not take a message. So its plugins are used for what they know, addresses and accounts and
forms, and sending is done here.
"""

from __future__ import annotations

import logging
import warnings
from typing import TYPE_CHECKING, Any, Final

import msgspec
import requests
from apprise import AppriseAsset, PersistentStoreMode

from alerts.errors import ChannelError, RefusedError

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # it tries a module that Python 3.13 no longer has
    from apprise.plugins.email import NotifyEmail

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["ASSET", "NotifyEmail", "account", "post"]

# It logs addresses, tokens among them.
logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)
logging.getLogger("apprise").propagate = False
logging.getLogger("urllib3").setLevel(logging.WARNING)

ASSET: Final = AppriseAsset(
    app_id="greenpark", app_desc="greenpark", storage_mode=PersistentStoreMode.MEMORY, secure_logging=True
)
_ANSWER_BYTES: Final = 65_536


def account(file: Path | None, setting: str) -> str:
    """Return the account that a file holds, or raise `ChannelError` naming the setting."""
    if file is None:
        raise ChannelError(f"no account to send with: set {setting} in [alerts]")
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ChannelError(f"{setting} {file} cannot be read ({type(error).__name__})") from None


def post(
    url: str,
    payload: Mapping[str, Any] | None,
    *,
    timeout: tuple[float, float],
    params: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Post JSON (or only parameters) and return the answer's JSON. Blocks.

    Raises:
        RefusedError: the answer says that the message itself is at fault (HTTP 400, 413, 422).
        ChannelError: no connection, another status than 2xx, or an answer that is no JSON object.
    """
    try:
        with requests.post(
            url,
            data=None if payload is None else msgspec.json.encode(payload),
            params=params,
            headers={"Content-Type": "application/json; charset=utf-8", "User-Agent": "greenpark"},
            timeout=timeout,
            allow_redirects=False,
            stream=True,
        ) as answer:
            status, wait = answer.status_code, answer.headers.get("Retry-After", "")
            content = answer.raw.read(_ANSWER_BYTES, decode_content=True)
    except (requests.RequestException, OSError) as error:
        # Their texts quote the address: the kind of error is enough.
        raise ChannelError(f"no connection ({type(error).__name__})") from None
    try:
        found = msgspec.json.decode(content)
    except msgspec.DecodeError:
        found = None
    if not 200 <= status < 300:
        if status in {400, 413, 422} and not isinstance(found, dict):
            raise RefusedError(f"the receiver refused the message: HTTP {status}")
        if not isinstance(found, dict):
            raise ChannelError(f"HTTP {status}", retry_after_s=float(wait) if wait.isdecimal() else None)
    if not isinstance(found, dict):
        raise ChannelError("the answer is not what this service answers")
    return found
