"""The alerts process: evaluates when the numbers have changed, delivers what is due, survives a database restart."""

from __future__ import annotations

import asyncio
import random
import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import asyncpg
import structlog

from alerts import metrics, rules
from alerts.channels import open_channels
from alerts.delivery import Delivery, pause_s, rung_within
from alerts.duties import attend
from alerts.errors import StartError
from alerts.evaluate import Memory, evaluate, publish_rules
from store.errors import StoreError, UnreachableError
from store.migrations import check_schema
from store.pool import connect, connected, open_pool

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from alerts.rules import Rule
    from alerts.settings import AlertsSettings

_log = structlog.get_logger()
_LOST: Final = (
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.TransactionRollbackError,
    asyncpg.InterfaceError,
    # What asyncpg raises when the server's farewell and our next query cross each other.
    asyncpg.InternalClientError,
    OSError,
    UnreachableError,
)
"""The database went away or is starting; anything else is a defect and must end the process."""


async def run(settings: AlertsSettings, *, stop: asyncio.Event) -> None:
    """Evaluate and deliver until `stop` is set.

    Raises:
        StartError: the database cannot be reached or is not at this program's schema.
        DataFileError: the rules file is wrong.
    """
    wanted = rules.load(settings.rules_file)
    try:
        async with connected(settings.database_url, application="greenpark alerts") as connection:
            await check_schema(connection)
            added = await publish_rules(connection, wanted, _now())
    except StoreError as error:
        raise StartError(f"alerts cannot start: {error}") from error
    _log.info("alerts_started", rules=len(wanted), new_versions=added)
    room = _Room(settings, wanted)
    work = asyncio.create_task(room.work(), name="alerts")
    stopped = asyncio.create_task(stop.wait(), name="alerts stop")
    try:
        await asyncio.wait({work, stopped}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (work, stopped):
            task.cancel()
        results = await asyncio.gather(work, stopped, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException) and not isinstance(result, asyncio.CancelledError):
            raise result
    _log.info("alerts_stopped")


def _now() -> datetime:
    return datetime.now(UTC)


class _Room:
    """What the loops share: who rings whom."""

    def __init__(self, settings: AlertsSettings, wanted: tuple[Rule, ...]) -> None:
        self._settings = settings
        self._rules = wanted
        self._due = asyncio.Event()  # there may be messages
        self._news = asyncio.Event()  # there are new numbers
        self._parks: set[int] = set()

    async def work(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._kept_up("evaluation", self._evaluation), name="alerts evaluation")
            group.create_task(self._kept_up("delivery", self._delivery), name="alerts delivery")
            group.create_task(self._kept_up("duties", self._duties), name="alerts duties")

    async def _kept_up(self, loop: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Begin again, with a growing pause, whenever the database goes away."""
        failures = 0
        while True:
            started = time.monotonic()
            try:
                # A task of its own: one whose group failed goes on counting as cancelled in Python 3.11, and in 3.11.2,
                # Debian 12's, its next time-out ends it without a word.
                await asyncio.create_task(work(), name=f"alerts {loop} work")
            except BaseExceptionGroup as group:
                _, other = group.split(_LOST)
                if other is not None:
                    raise
                error: BaseException = group.exceptions[0]
            except _LOST as lost:
                error = lost
            failures = 1 if time.monotonic() - started > 60 else failures + 1
            wait_s = pause_s(failures, random.random(), first_s=0.5, longest_s=15.0)
            metrics.FAILED_PASSES.labels(loop).inc()
            _log.warning("database_lost", loop=loop, error=str(error) or type(error).__name__, again_s=round(wait_s, 1))
            await asyncio.sleep(wait_s)

    async def _evaluation(self) -> None:
        settings = self._settings
        memory = Memory()
        swept = -1e9
        connection = await connect(settings.database_url, application="greenpark alerts")
        try:
            await connection.add_listener("greenpark_standing", self._heard)
            # A connection that is cut while we wait would never ring again.
            connection.add_termination_listener(lambda _: self._news.set())
            while True:
                started = time.monotonic()
                sweep = started - swept >= settings.sweep_every_s
                park_ids = None if sweep or not self._parks else sorted(self._parks)
                self._parks.clear()
                self._news.clear()
                done = await evaluate(connection, settings, memory, _now(), park_ids=park_ids, sweep=sweep)
                if sweep:
                    swept = started
                if done.told:
                    self._due.set()
                seconds = time.monotonic() - started
                metrics.PASS_SECONDS.observe(seconds)
                _log.debug(
                    "alerts_pass",
                    subjects=done.subjects,
                    transitions=[f"{cause} {state}" for cause, state in done.transitions],
                    sweep=sweep,
                    seconds=round(seconds, 3),
                )
                await asyncio.sleep(max(settings.min_pass_s - seconds, 0.0))
                await rung_within(self._news, settings.evaluate_every_s)
        finally:
            # A connection that is lost already has nothing to say good-bye to.
            with suppress(*_LOST):
                await asyncio.shield(connection.close(timeout=5))

    def _heard(self, _connection: Any, _pid: int, _channel: str, payload: str) -> None:
        """Note whose numbers changed; a payload we cannot read means: look everywhere."""
        for part in payload.split(","):
            if part.strip().isdecimal():
                self._parks.add(int(part))
        self._news.set()

    async def _duties(self) -> None:
        """Look after what is due by the clock."""
        connection = await connect(self._settings.database_url, application="greenpark alerts duties")
        try:
            while True:
                if await attend(connection, self._settings, _now()):
                    self._due.set()
                await asyncio.sleep(self._settings.attend_every_s)
        finally:
            with suppress(*_LOST):
                await asyncio.shield(connection.close(timeout=5))

    async def _delivery(self) -> None:
        settings = self._settings
        channels = open_channels(settings)
        try:
            async with open_pool(settings.database_url, application="greenpark alerts delivery", max_size=4) as pool:
                delivery = Delivery(pool, channels, settings, _now, random.random)
                await delivery.run(self._due)
        finally:
            for channel in channels.values():
                await channel.close()
