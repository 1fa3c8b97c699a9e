"""The way in from the broker: messages out, acknowledgements back, nothing acknowledged before its time.

One connection after the other (`ingest/link.py`), each with its own session at the broker resumed. A message belongs to
the connection it came over. Message ids are used again after a reconnect, so an acknowledgement for an older connection
is dropped; the broker redelivers such a message and the store recognises it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import unquote, urlsplit

import structlog

from ingest import metrics
from ingest.errors import BrokerError, NotConnectedError, SettingsError
from ingest.link import Link

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

    from ingest.link import Message
    from ingest.settings import IngestSettings

log = structlog.get_logger()

_FIRST_WAIT_S: Final = 0.2
_LONGEST_WAIT_S: Final = 10.0
_TAKEOVER_FIRST_S: Final = 2.0
_TAKEOVER_LONGEST_S: Final = 60.0


class Address(NamedTuple):
    """Where the broker is and who we are to it."""

    host: str
    port: int
    tls: bool
    user: str | None
    password: str | None

    def __repr__(self) -> str:
        """Leave the password out."""
        return f"mqtt{'s' if self.tls else ''}://{self.user or ''}@{self.host}:{self.port}"


def parse_broker_url(url: str) -> Address:
    """Parse `mqtt[s]://user:password@host:port`, or raise `SettingsError`."""
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError as error:
        raise SettingsError(f"broker_url: {error}") from None
    if parts.scheme not in {"mqtt", "mqtts"} or not parts.hostname:
        raise SettingsError("broker_url: expected mqtt://user:password@host:port, or mqtts:// for TLS")
    tls = parts.scheme == "mqtts"
    user, password = (None if text is None else unquote(text) for text in (parts.username, parts.password))
    return Address(parts.hostname, port or (8883 if tls else 1883), tls, user, password)


class Inbox:
    """The connection to the broker, kept up by `run`.

    Args:
        settings: see `IngestSettings`.
        chance: for the jitter of reconnects.
        leaving: take no new share of the messages, only what the broker already keeps for this worker.
    """

    def __init__(self, settings: IngestSettings, chance: random.Random, *, leaving: bool = False) -> None:
        self._settings = settings
        self._leaving = leaving
        self._address = parse_broker_url(settings.broker_url)
        self._chance = chance
        self._link: Link | None = None
        self._connections = 0
        self._resumed = False
        self._taken_over = 0
        self._turn = asyncio.Lock()
        self._online = asyncio.Event()

    @property
    def connected(self) -> bool:
        """Whether messages flow at the moment."""
        return self._online.is_set()

    @property
    def resumed(self) -> bool:
        """Whether the broker had kept a session for this worker when we first connected."""
        return self._resumed

    @property
    def unacked(self) -> tuple[int, int]:
        """Messages and payload bytes that are not acknowledged."""
        return (0, 0) if self._link is None else (len(self._link.sizes), self._link.bytes)

    async def run(self) -> None:
        """Keep the connection up until cancelled.

        Raises:
            BrokerError: the broker refused us before it ever took us.
        """
        failures = 0
        while True:
            link = Link(self._settings, self._address, self._connections + 1, leaving=self._leaving)
            since = asyncio.get_running_loop().time()
            try:
                await link.open()
                self._connections += 1
                if self._connections == 1:
                    self._resumed = link.resumed
                self._link = link
                self._online.set()
                failures = 0
                log.info("broker_connected", broker=repr(self._address), connection=self._connections)
                await link.lost
            except BrokerError as error:
                if not self._connections:
                    raise
                log.error("broker_refuses", broker=repr(self._address), error=str(error))  # noqa: TRY400 - one line
            except NotConnectedError as error:
                log.warning("broker_away", broker=repr(self._address), error=str(error))
            finally:
                self._online.clear()
                link.close()
            if link.taken_over:
                held_s = asyncio.get_running_loop().time() - since
                await asyncio.sleep(self._after_takeover(held_s))
                continue
            failures += 1
            await asyncio.sleep(
                min(_FIRST_WAIT_S * 2 ** min(failures - 1, 10), _LONGEST_WAIT_S) * self._chance.uniform(0.5, 1.0)
            )

    def _after_takeover(self, held_s: float) -> float:
        """Count and tell that another took our session, and return how long to leave it alone.

        Coming back at once would throw the other out, who would throw us out: so each leaves the other ever more time.
        """
        self._taken_over = 1 if held_s > 2 * _TAKEOVER_LONGEST_S else self._taken_over + 1
        metrics.TAKEN_OVER.inc()
        longest_s: float = min(_TAKEOVER_FIRST_S * 2 ** min(self._taken_over - 1, 10), _TAKEOVER_LONGEST_S)
        wait_s = longest_s * self._chance.uniform(0.5, 1.0)
        log.error(
            "worker_name_taken",
            worker=self._settings.worker,
            times=self._taken_over,
            next_try_s=round(wait_s, 1),
            error="another ingest worker connected under this name; give each a name of its own"
            " ([ingest] worker, GREENPARK_INGEST_WORKER), or stop one of them",
        )
        return wait_s

    async def take(self, max_messages: int, max_wait_s: float) -> list[Message]:
        """Wait for a message, then up to `max_wait_s` for more; return them in order, at least one.

        Several tasks may take; each message goes to one of them.
        """
        async with self._turn:
            while True:
                await self._online.wait()
                link = self._link
                if link is None:  # pragma: no cover - online implies a link
                    continue
                await link.has(1)
                await link.has(max_messages, max_wait_s)
                if messages := link.take(max_messages, self._settings.max_bytes):
                    return messages
                # The connection died with what had come over it; the broker sends that again.
                await asyncio.sleep(0)

    def ack(self, messages: Sequence[Message]) -> None:
        """Acknowledge messages; those of an older connection are left to the broker to send again."""
        link = self._link
        if link is not None:
            link.ack([message for message in messages if message.connection == link.number])

    async def publish(self, topic: str, payload: bytes, *, retain: bool) -> None:
        """Publish with QoS 1 and wait until the broker has it.

        Raises:
            NotConnectedError: it may or may not have arrived.
        """
        if self._link is None or not self._online.is_set():
            raise NotConnectedError("not connected to the broker")
        await self._link.publish(topic, payload, retain=retain)

    def end_session(self) -> None:
        """Have the broker forget this worker, with everything it still keeps for it."""
        if self._link is not None:
            self._link.disconnect(session_expiry_s=0)
