"""Who hears of what: one task listens to the database, one computes, and any number of pages read the newest state.

A page keeps no queue: it remembers which version it has seen and takes the newest of each section when it can. So a
client's memory is one number, a slow client skips states instead of collecting them, and one that comes back says what
it has (`Last-Event-ID`) and gets the rest.
"""

from __future__ import annotations

import asyncio
import random
import time
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime  # noqa: TC003  (dataclass fields are read at run time)
from typing import TYPE_CHECKING, Final

import asyncpg
import msgspec
import structlog

from api import metrics
from api.board.gather import SECTIONS, View, gather
from api.errors import ProblemError
from park.errors import ParkError
from store.board import heard
from store.browse import acting_as
from store.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from store.pool import Pool

_log = structlog.get_logger()
_AWAY: Final = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
_WRONG: Final = (ArithmeticError, LookupError, TypeError, ValueError, ParkError)
"""What data or definitions of one park can provoke."""
_REST: Final = 3.0
"""A view rests so many times as long as it took to compute: boards get a quarter of one connection at most."""
_POLL_S: Final = 15.0
"""Without a word a view is computed again after so long: days begin, meters fall silent, notifications get lost."""
_PING_S: Final = 10.0


@dataclass(slots=True)
class Channel:
    """One view as one role sees it, and who waits for it.

    Attributes:
        sections: by name, the version in which it changed last and its JSON.
        version: of the newest state; 0: none yet.
        missing: the role does not see the subject.
        failing_since: since when it could not be computed.
    """

    role: str
    view: View
    sections: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    version: int = 0
    missing: bool = False
    failing_since: datetime | None = None
    computed: datetime | None = None
    firm_ids: frozenset[int] = frozenset()
    park_id: int | None = None
    clients: int = 0
    dirty: bool = True
    next_at: float = 0.0
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def due_at(self) -> float:
        """Return when it is to be computed next, on the monotonic clock."""
        return self.next_at if self.dirty else self.next_at + _POLL_S

    def touch(self) -> None:
        """Wake who waits; who waits next waits for the next change."""
        self.changed.set()
        self.changed = asyncio.Event()

    def concerns(self, channel: str, payload: str) -> bool:
        """Tell whether a notification speaks of what is shown here; in doubt it does."""
        if self.version == 0:
            return True
        if channel == "greenpark_standing":
            return payload == str(self.park_id)
        return not self.firm_ids.isdisjoint(int(part) for part in payload.split(",") if part.isdigit())


class Hub:
    """Fans out what changes to the pages that look at it."""

    def __init__(self, url: str, pool: Pool, clock: Callable[[], datetime], *, gap_s: float, most_clients: int) -> None:
        """Keep the parts; `run` does the work.

        Args:
            url: of the database, for listening.
            pool: for reading.
            clock: the time now, with a zone.
            gap_s: least time between two states of one view.
            most_clients: pages at once; the next is refused.
        """
        self._url = url
        self._pool = pool
        self._clock = clock
        self._gap_s = gap_s
        self._most = most_clients
        self._channels: dict[tuple[str, View], Channel] = {}
        self._wake = asyncio.Event()
        self._closed = False
        self._version = 0
        self.epoch = f"{random.getrandbits(32):08x}"
        """Names this process in event ids: a version of another process means nothing here."""
        self.quiet_at: datetime | None = None
        """When the listening connection last proved to be one."""

    @property
    def clients(self) -> int:
        """Return how many pages look."""
        return sum(channel.clients for channel in self._channels.values())

    @property
    def closed(self) -> bool:
        """Tell whether streams are to end."""
        return self._closed

    async def run(self, stop: asyncio.Event) -> None:
        """Listen and compute until `stop` is set; then every stream ends."""
        tasks = [
            asyncio.create_task(self._listen(), name="board listen"),
            asyncio.create_task(self._compute(), name="board compute"),
            asyncio.create_task(stop.wait(), name="board stop"),
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._closed = True
            for channel in self._channels.values():
                channel.touch()
            for task in tasks:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException) and not isinstance(result, asyncio.CancelledError):
                raise result

    @asynccontextmanager
    async def subscribed(self, role: str, view: View) -> AsyncIterator[Channel]:
        """Lend the channel of a view for as long as a page looks.

        Raises:
            ProblemError: too many pages look, or the process is stopping.
        """
        if self._closed or self.clients >= self._most:
            detail = "the server is stopping" if self._closed else f"{self._most} boards are open already"
            raise ProblemError("unavailable", f"{detail}; try again soon", headers={"Retry-After": "5"})
        key = (role, view)
        channel = self._channels.setdefault(key, Channel(role, view))
        channel.clients += 1
        metrics.BOARD_CLIENTS.set(self.clients)
        if channel.dirty:
            self._wake.set()
        try:
            yield channel
        finally:
            channel.clients -= 1
            if channel.clients == 0:
                del self._channels[key]
            metrics.BOARD_CLIENTS.set(self.clients)

    async def _listen(self) -> None:
        pause_s = 0.5
        while True:
            try:
                async for channel, payload in heard(self._url, _PING_S, self._heard_nothing):
                    self.quiet_at = self._clock()
                    pause_s = 0.5
                    self._mark(channel, payload)
            except (*_AWAY, StoreError) as error:
                _log.warning("board.listener_away", reason=str(error) or type(error).__name__, retry_s=pause_s)
                await asyncio.sleep(pause_s * random.uniform(0.5, 1.0))
                pause_s = min(pause_s * 2, 15.0)
                # What was said meanwhile was not heard.
                for one in self._channels.values():
                    one.dirty = True
                self._wake.set()

    def _heard_nothing(self) -> None:
        self.quiet_at = self._clock()

    def _mark(self, name: str, payload: str) -> None:
        for channel in self._channels.values():
            if not channel.dirty and channel.concerns(name, payload):
                channel.dirty = True
                self._wake.set()

    async def _compute(self) -> None:
        while True:
            self._wake.clear()
            now = time.monotonic()
            for channel in sorted(self._channels.values(), key=lambda c: c.due_at):
                if channel.due_at <= now:
                    await self._renew(channel)
            due_at = min((channel.due_at for channel in self._channels.values()), default=now + _POLL_S)
            # What is marked while it rests sets no alarm: its turn comes when the rest is over.
            with suppress(TimeoutError):
                # Not `wait_for`: in Python 3.11 it swallows a cancellation that meets the event.
                async with asyncio.timeout(max(due_at - time.monotonic(), 0.0)):
                    await self._wake.wait()

    async def _renew(self, channel: Channel) -> None:
        channel.dirty = False
        began = time.monotonic()
        try:
            async with acting_as(self._pool, channel.role) as connection:
                state = await gather(connection, channel.view, self._clock())
        except (*_AWAY, StoreError) as error:
            if channel.failing_since is None:
                _log.warning("board.not_computed", reason=str(error) or type(error).__name__)
            self._failed(channel, 2.0)
            return
        except _WRONG as error:
            # One subject's data or definitions must not take the others' boards, or the whole interface, with it.
            _log.exception("board.wrong", view=str(channel.view), error=str(error))
            self._failed(channel, _POLL_S)
            return
        took_s = time.monotonic() - began
        metrics.BOARD_SECONDS.observe(took_s)
        channel.next_at = time.monotonic() + max(self._gap_s, _REST * took_s)
        channel.failing_since = None
        channel.computed = self._clock()
        self._keep(channel, state)

    def _failed(self, channel: Channel, rest_s: float) -> None:
        channel.failing_since = channel.failing_since or self._clock()
        channel.dirty = True
        channel.next_at = time.monotonic() + rest_s
        channel.touch()

    def _keep(self, channel: Channel, state: dict[str, object] | None) -> None:
        channel.missing = state is None
        # Counted over all channels: a channel that is made anew must not reuse a version that some page has seen.
        self._version += 1
        following = self._version
        fresh = dict(channel.sections)
        for name in SECTIONS if state is not None else ():
            body = msgspec.json.encode(state[name])  # type: ignore[index]
            if name not in fresh or fresh[name][1] != body:
                fresh[name] = (following, body)
        if fresh != channel.sections or channel.missing or channel.version == 0:
            channel.sections, channel.version = fresh, following
        if state is not None:
            head = state["head"]
            channel.park_id = head["park"]["id"]  # type: ignore[index]
            channel.firm_ids = frozenset(firm["id"] for firm in head["firms"])  # type: ignore[index]
        channel.touch()
