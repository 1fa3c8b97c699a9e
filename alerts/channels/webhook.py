"""HTTP: the message as a JSON body of a POST, its key in the header `Idempotency-Key`."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, Final

import httpx
import msgspec

from alerts.errors import ChannelError, RefusedError

if TYPE_CHECKING:
    from collections.abc import Mapping

# At its info level httpx logs whole addresses, and addresses of webhooks hold secrets.
logging.getLogger("httpx").setLevel(logging.WARNING)
logging.getLogger("httpcore").setLevel(logging.WARNING)

_REFUSALS: Final = frozenset({400, 413, 422})
"""The message itself is at fault; everything else may be mended at the receiver before the message expires."""


class Webhook:
    """Sends to any receiver that answers 2xx to what it took. Redirects are not followed, proxies not used."""

    def __init__(self, timeout_s: float) -> None:
        """Give one receiver at most `timeout_s` seconds."""
        self._timeout_s = timeout_s
        self._client = httpx.AsyncClient(
            timeout=timeout_s,
            follow_redirects=False,
            trust_env=False,
            headers={"Content-Type": "application/json; charset=utf-8", "User-Agent": "greenpark"},
            # Each receiver is called seldom; a connection kept open would mostly be found closed.
            limits=httpx.Limits(max_keepalive_connections=0),
        )

    async def send(self, address: str, body: Mapping[str, Any], *, key: str) -> None:
        """Post one message; see `alerts.channels.Channel`."""
        try:
            async with (
                asyncio.timeout(self._timeout_s),
                # The answer's body is nobody's business and could be endless.
                self._client.stream(
                    "POST", address, content=msgspec.json.encode(body), headers={"Idempotency-Key": key}
                ) as answer,
            ):
                status, retry_after = answer.status_code, answer.headers.get("Retry-After", "")
        except TimeoutError:
            raise ChannelError(f"no answer within {self._timeout_s:g} s") from None
        except (httpx.InvalidURL, httpx.UnsupportedProtocol):
            raise ChannelError("the address is no http or https URL; mend the recipient") from None
        except httpx.HTTPError as error:
            # Some of its texts quote the address: the kind of error is enough.
            raise ChannelError(f"no connection ({type(error).__name__})") from None
        if 200 <= status < 300:
            return
        if status in _REFUSALS:
            raise RefusedError(f"the receiver refused the message: HTTP {status}")
        hint = "; redirects are not followed, mend the recipient's address" if 300 <= status < 400 else ""
        wait_s = float(retry_after) if retry_after.isdecimal() else None
        raise ChannelError(f"HTTP {status}{hint}", retry_after_s=wait_s)

    async def close(self) -> None:
        """Close the client."""
        await self._client.aclose()
