"""Server-sent events of one board: what changed, a beat in between, and an end when nobody reads."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import msgspec
from starlette.responses import Response

from api import metrics

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime

    from starlette.types import Receive, Scope, Send

    from api.board.gather import View
    from api.board.hub import Channel, Hub

BEAT_S: Final = 5.0
"""A page that hears nothing for three beats says that it has lost its connection."""
SEND_S: Final = 15.0
"""A page that does not take an event within this is dropped; it comes back and gets the newest state."""
RETRY_MS: Final = 2000
RECHECK_S: Final = 60.0
"""How often a running stream asks whether its token still holds."""
_HEADERS: Final = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
)


class BoardStream(Response):
    """An ASGI answer that goes on until the page leaves, its token ends, or the process stops.

    Events: `state` (sections that changed, with an id), `beat` (the server's time and how the data come), `gone`
    (the token or the subject is no more), `bye` (the server stops: come back soon).
    """

    def __init__(
        self,
        hub: Hub,
        role: str,
        view: View,
        seen: str | None,
        *,
        clock: Callable[[], datetime],
        holds: Callable[[], Awaitable[bool]],
    ) -> None:
        """Keep the parts.

        Args:
            hub: where states come from.
            role: as whom the page reads.
            view: of what.
            seen: id of the last event that the page got; it gets what changed since.
            clock: the time now.
            holds: tells whether the token is still good.
        """
        super().__init__()
        self._hub, self._role, self._view = hub, role, view
        self._seen = self._version(seen)
        self._clock, self._holds = clock, holds

    def _version(self, seen: str | None) -> int:
        epoch, _, number = (seen or "").partition(".")
        return int(number) if epoch == self._hub.epoch and number.isdigit() else 0

    async def __call__(
        self,
        scope: Scope,  # noqa: ARG002  (the name is ASGI's)
        receive: Receive,
        send: Send,
    ) -> None:
        """Answer. One task writes, one waits for the page to leave."""
        async with self._hub.subscribed(self._role, self._view) as channel:
            await send({"type": "http.response.start", "status": 200, "headers": [*_HEADERS]})
            writing = asyncio.create_task(self._write(channel, send), name="board stream")
            leaving = asyncio.create_task(_left(receive), name="board stream left")
            try:
                await asyncio.wait({writing, leaving}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                left = leaving.done()
                for task in (writing, leaving):
                    task.cancel()
                result, _ = await asyncio.gather(writing, leaving, return_exceptions=True)
        if isinstance(result, TimeoutError):
            metrics.BOARD_DROPPED.inc()
        elif isinstance(result, OSError) or left:
            return
        elif isinstance(result, Exception):
            raise result
        else:
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _write(self, channel: Channel, send: Send) -> None:
        await _push(send, b"retry: %d\n\n" % RETRY_MS)
        checked = asyncio.get_running_loop().time()
        while True:
            changed = channel.changed
            if self._hub.closed:
                await _push(send, b"event: bye\ndata: {}\n\n")
                return
            if channel.missing:
                await _push(send, b'event: gone\ndata: {"why":"subject"}\n\n')
                return
            await _push(send, self._news(channel))
            with suppress(TimeoutError):
                # Not `wait_for`: in Python 3.11 it swallows a cancellation that meets the event.
                async with asyncio.timeout(BEAT_S):
                    await changed.wait()
            now = asyncio.get_running_loop().time()
            if now - checked >= RECHECK_S:
                checked = now
                if not await self._holds():
                    await _push(send, b'event: gone\ndata: {"why":"token"}\n\n')
                    return

    def _news(self, channel: Channel) -> bytes:
        """Return what the page has not seen, then a beat."""
        beat = {
            "now": self._clock(),
            "computed": channel.computed,
            "failing_since": channel.failing_since,
            "heard": self._hub.quiet_at,
        }
        parts = []
        fresh = {name: body for name, (version, body) in channel.sections.items() if version > self._seen}
        if fresh:
            body = b"{%s}" % b",".join(b'"%s":%s' % (name.encode(), text) for name, text in fresh.items())
            parts.append(b"event: state\nid: %s.%d\ndata: %s\n\n" % (self._hub.epoch.encode(), channel.version, body))
        self._seen = max(self._seen, channel.version)
        parts.append(b"event: beat\ndata: %s\n\n" % msgspec.json.encode(beat))
        return b"".join(parts)


async def _push(send: Send, body: bytes) -> None:
    async with asyncio.timeout(SEND_S):
        await send({"type": "http.response.body", "body": body, "more_body": True})


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
