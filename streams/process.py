"""The streams process: takes what waits, each in one transaction: ledgers of firms, their indicators, then parks.

Any number of these may run: an advisory lock gives each firm and each park one worker at a time, and what was taken
comes back if the worker dies.
"""

from __future__ import annotations

import asyncio
import random
import time
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import asyncpg
import structlog

from park.calendar import zone
from park.errors import ParkError
from store import baselines, memberships
from store import indicators as values
from store import ledger as store
from store.errors import StoreError, UnreachableError
from store.ledger import WaitingFirm
from store.meters import apply_swap_events
from store.migrations import check_schema
from store.pool import connected, open_pool
from store.registry import firms
from store.standings import notify
from streams import metrics, rollup
from streams.baselines import evaluate as evaluate_baselines
from streams.derived import balance_park
from streams.errors import StreamsError
from streams.indicators import Work, evaluate_firms, evaluate_park, span_at
from streams.ledgers import CODE_VERSION, pass_ledgers
from streams.standings import judge_park

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping, Sequence

    from store.pool import Connection, Pool
    from streams.ledger import Advance
    from streams.settings import StreamsSettings

_log = structlog.get_logger(__name__)
LIVE_SPAN_S: Final = 6 * 3600.0
"""Firms whose marks span no longer are computed together; a long history has a transaction of its own."""
LEDGERS_AT_ONCE: Final = 25
"""So many firms share a transaction: enough to share its statements, few enough for other workers to have some."""
PARK_REST: Final = 3.0
"""Parks rest for so many times as long as their last computation took: a quarter of the time is theirs at most."""
VALUES_AT_ONCE: Final = 32
"""Firms whose indicators are computed in one transaction."""
_PASSING: Final = (
    OSError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.InsufficientResourcesError,
    asyncpg.TransactionRollbackError,
    UnreachableError,
)

_WRONG: Final = (
    ArithmeticError,
    LookupError,
    TypeError,
    ValueError,
    ParkError,
    StoreError,
    StreamsError,
    asyncpg.DataError,
    asyncpg.IntegrityConstraintViolationError,
)
"""What data or definitions of one firm or park can provoke."""
_REST_S: Final = 5.0
_REST_MAX_S: Final = 300.0


@dataclass(slots=True)
class _Minute:
    """Sums for the line a minute, and what the next round must know."""

    passes: int = 0
    buckets: int = 0
    revisions: int = 0
    since: float = field(default_factory=time.monotonic)
    more: bool = False
    """Indicators or parks were left waiting."""
    next_parks: float = 0.0
    """No park is computed before this instant of the monotonic clock."""
    next_groups: float = 0.0
    """No group of firms either."""
    caught_up: asyncio.Event = field(default_factory=asyncio.Event)
    """No ledger is being computed."""
    resting: dict[tuple[str, int], tuple[float, float]] = field(default_factory=dict)
    """What failed: until when it rests (monotonic clock), and how long that is."""


async def run(settings: StreamsSettings, *, stop: asyncio.Event) -> None:
    """Run until `stop` is set. A database that goes away is waited for.

    Raises:
        SchemaError: the database's schema is not this program's.
    """
    backoff_s = 0.5
    while not stop.is_set():
        try:
            async with open_pool(settings.database_url, application="greenpark streams", max_size=2) as pool:
                async with pool.acquire() as connection:
                    await check_schema(connection)
                backoff_s = 0.5
                await _work(settings, pool, stop)
        except _PASSING as error:
            metrics.FAILED_PASSES.inc()
            _log.warning("database_away", error=_reason(error), retry_s=round(backoff_s, 1))
            await _sleep(backoff_s * random.uniform(0.5, 1.0), stop)
            backoff_s = min(backoff_s * 2, 15.0)


def _reason(error: BaseException) -> str:
    """Say why in the words of who knows: of a dead connection the driver tells only what cannot be called any more."""
    while str(error).startswith("cannot call") and error.__context__ is not None:
        error = error.__context__
    said = str(error) or type(error).__name__
    return "the connection was lost" if said.startswith("cannot call") else said


async def _work(settings: StreamsSettings, pool: Pool, stop: asyncio.Event) -> None:
    """Compute ledgers and what follows from them side by side, each with a connection of its own."""
    minute = _Minute()
    wake, follow = asyncio.Event(), asyncio.Event()

    def woken(*_: object) -> None:
        wake.set()

    # Not from the pool: a pool takes a broken connection back, and then nobody may ask whether it is closed.
    async with connected(settings.database_url, application="greenpark streams listener") as listener:
        listener.add_termination_listener(woken)
        await listener.add_listener("greenpark_dirty", woken)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(_keep_results(settings, pool, minute, follow, stop), name="streams-results")
                while not stop.is_set():
                    wake.clear()
                    started = time.monotonic()
                    minute.caught_up.clear()
                    async with pool.acquire() as connection:
                        await _ledgers(settings, connection, minute, stop)
                    minute.caught_up.set()
                    follow.set()
                    _report(minute)
                    await _sleep(settings.min_pass_s - (time.monotonic() - started), stop)
                    await _either(wake, stop, settings.poll_s)
                    if listener.is_closed():
                        raise asyncpg.ConnectionDoesNotExistError("the listening connection was closed")
                follow.set()
        except BaseExceptionGroup as group:
            # One failure is what the caller can act on; the others are its echo.
            raise group.exceptions[0] from None


async def _keep_results(
    settings: StreamsSettings, pool: Pool, minute: _Minute, follow: asyncio.Event, stop: asyncio.Event
) -> None:
    while not stop.is_set():
        follow.clear()
        started = time.monotonic()
        async with pool.acquire() as connection:
            await _results(connection, minute, stop, polite_s=settings.values_s)
        await _sleep(settings.min_pass_s - (time.monotonic() - started), stop)
        if not minute.more:
            await _either(follow, stop, settings.poll_s)


async def once(
    settings: StreamsSettings, pool: Pool, minute: _Minute | None = None, *, stop: asyncio.Event | None = None
) -> int:
    """Compute everything that waits now, or until `stop` is set; return how many firms had readings waiting."""
    minute = minute or _Minute()
    stop = stop or asyncio.Event()
    async with pool.acquire() as connection:
        found = await _ledgers(settings, connection, minute, stop)
        await _results(connection, minute, stop, polite_s=None)
    return found


async def _ledgers(settings: StreamsSettings, connection: Connection, minute: _Minute, stop: asyncio.Event) -> int:
    """Compute the ledgers that wait; return of how many firms."""
    await store.commit_in_passing(connection)
    await apply_swap_events(connection)
    waiting = await store.waiting_firms(connection)
    metrics.WAITING_FIRMS.set(len(waiting))
    for batch in ledger_batches(waiting):
        if stop.is_set():
            break
        await _ledgers_of(minute, settings, connection, batch)
    return len(waiting)


async def _results(connection: Connection, minute: _Minute, stop: asyncio.Event, *, polite_s: float | None) -> None:
    """Compute what follows from ledgers: indicators, those waiting longest first, baselines, parks, groups.

    With `polite_s`, each step waits at most so long for ledgers that are behind: buckets come first, and what follows
    is never starved. None: everything is computed, without waiting.
    """
    await store.commit_in_passing(connection)
    minute.more = False
    firms_waiting = [WaitingFirm(*row) for row in await values.waiting_values(connection)]
    for batch in batched(firms_waiting, VALUES_AT_ONCE):
        await _give_way(minute, stop, polite_s)
        if stop.is_set():
            return
        await _values_of(minute, connection, batch)
    for firm in await baselines.waiting(connection):
        await _give_way(minute, stop, polite_s)
        if stop.is_set():
            return
        async with _alone(minute, "baselines", firm.firm_id) as may:
            if may:
                with metrics.stage("baselines"):
                    await pass_baselines(connection, firm, now=datetime.now(UTC))
    began = time.monotonic()
    if began >= minute.next_parks:
        for park_id, time_zone in await values.waiting_parks(connection):
            if stop.is_set():
                return
            async with _alone(minute, "park", park_id) as may:
                if may:
                    with metrics.stage("park"):
                        await pass_park(connection, park_id, time_zone, now=datetime.now(UTC))
        ended = time.monotonic()
        minute.next_parks = ended + PARK_REST * (ended - began)
    else:
        minute.more = True
    if time.monotonic() >= minute.next_groups:
        await _groups_of(minute, connection, stop, all_of_them=polite_s is None)


async def _give_way(minute: _Minute, stop: asyncio.Event, polite_s: float | None) -> None:
    """Wait until ledgers are up to date, a little while at most."""
    if polite_s is not None and not stop.is_set():
        with suppress(TimeoutError):
            async with asyncio.timeout(polite_s):
                await minute.caught_up.wait()


def ledger_batches(waiting: Sequence[WaitingFirm]) -> Iterator[Sequence[WaitingFirm]]:
    """Cut what waits into firms that are computed together: live ones of one time zone; a long history is alone."""
    batch: list[WaitingFirm] = []
    for firm in waiting:
        live = firm.span_s <= LIVE_SPAN_S
        full = len(batch) >= LEDGERS_AT_ONCE
        if batch and (not live or full or firm.time_zone != batch[0].time_zone):
            yield batch
            batch = []
        if live:
            batch.append(firm)
        else:
            yield [firm]
    if batch:
        yield batch


async def _ledgers_of(
    minute: _Minute, settings: StreamsSettings, connection: Connection, batch: Sequence[WaitingFirm]
) -> None:
    """Compute the ledgers of some firms together; where that fails, of each alone, so that one harms no other."""
    rested = [f for f in batch if time.monotonic() >= minute.resting.get(("ledger", f.firm_id), (0.0, 0.0))[0]]
    if len(rested) > 1:
        started = time.monotonic()
        try:
            done = await pass_ledgers(connection, rested, now=datetime.now(UTC), fine_hours=settings.fine_hours)
        except _PASSING:
            raise
        except _WRONG as error:
            _log.warning("batch_failed", what="ledger", firms=len(rested), error=str(error))
        else:
            _count(minute, done, time.monotonic() - started)
            return
    for firm in rested:
        started = time.monotonic()
        async with _alone(minute, "ledger", firm.firm_id) as may:
            if may:
                advanced = await pass_ledger(settings, connection, firm, now=datetime.now(UTC))
                alone = {} if advanced is None else {firm.firm_id: advanced}
                _count(minute, alone, time.monotonic() - started)


def _count(minute: _Minute, done: Mapping[int, Advance], took_s: float) -> None:
    """Add what was written to the minute's line and to the metrics."""
    for firm_id, advanced in done.items():
        minute.passes += 1
        minute.buckets += advanced.buckets
        minute.revisions += advanced.revisions
        metrics.BUCKETS_WRITTEN.inc(advanced.buckets)
        metrics.REVISIONS.inc(advanced.revisions)
        metrics.PASS_SECONDS.observe(took_s / len(done))
        _log.debug("firm_pass", firm_id=firm_id, buckets=advanced.buckets, revisions=advanced.revisions)


async def _groups_of(minute: _Minute, connection: Connection, stop: asyncio.Event, *, all_of_them: bool) -> None:
    """Compute groups and units: some of the periods that wait, or all."""
    began = time.monotonic()
    rest_s = rollup.REST_S
    for park_id, time_zone in await memberships.waiting_groups(connection):
        taken = rollup.PERIODS_AT_ONCE
        while taken == rollup.PERIODS_AT_ONCE and not stop.is_set():
            taken = 0
            async with _alone(minute, "groups", park_id) as may:
                if may:
                    with metrics.stage("groups"):
                        tz, now = zone(time_zone), datetime.now(UTC)
                        taken = await rollup.pass_groups(connection, park_id, tz, now=now, code_version=CODE_VERSION)
            if not all_of_them:
                break
        if taken == rollup.PERIODS_AT_ONCE:
            rest_s = 0.0
    ended = time.monotonic()
    minute.next_groups = ended + max(rest_s, rollup.REST * (ended - began))


async def _values_of(minute: _Minute, connection: Connection, batch: Sequence[WaitingFirm]) -> None:
    """Compute the indicators of some firms together; where that fails, of each alone, so that one harms no other."""
    rested = [f for f in batch if time.monotonic() >= minute.resting.get(("indicators", f.firm_id), (0.0, 0.0))[0]]
    if len(rested) > 1:
        try:
            await pass_values_of(connection, rested, now=datetime.now(UTC))
        except _PASSING:
            raise
        except _WRONG as error:
            _log.warning("batch_failed", what="indicators", firms=len(rested), error=str(error))
        else:
            return
    for firm in rested:
        async with _alone(minute, "indicators", firm.firm_id) as may:
            if may:
                await pass_values(connection, firm, now=datetime.now(UTC))


def batched(waiting: Sequence[WaitingFirm], size: int) -> Iterator[Sequence[WaitingFirm]]:
    """Cut what waits into batches of at most so many."""
    for start in range(0, len(waiting), size):
        yield waiting[start : start + size]


@asynccontextmanager
async def _alone(minute: _Minute, what: str, subject: int) -> AsyncIterator[bool]:
    """Keep what is wrong with one firm or park from its neighbours.

    Its transaction was rolled back, so its work waits; it rests, twice as long each time, and is said to fail in the
    log and in the metric until it succeeds. Yields whether it may be tried now.
    """
    until, rest_s = minute.resting.get((what, subject), (0.0, 0.0))
    if time.monotonic() < until:
        yield False
        return
    try:
        yield True
    except _PASSING:
        raise
    except _WRONG as error:
        rest_s = min(max(2 * rest_s, _REST_S), _REST_MAX_S)
        minute.resting[what, subject] = (time.monotonic() + rest_s, rest_s)
        metrics.FAILED_PASSES.inc()
        _log.exception("pass_failed", what=what, subject=subject, error=str(error), retry_s=rest_s)
    else:
        minute.resting.pop((what, subject), None)
    metrics.FAILING.set(len(minute.resting))


async def pass_firm(
    settings: StreamsSettings, connection: Connection, firm: WaitingFirm, *, now: datetime
) -> Advance | None:
    """Bring one firm's ledger and then its indicators up to date; None if another worker has the firm."""
    done = await pass_ledger(settings, connection, firm, now=now)
    await pass_values(connection, firm, now=now)
    return done


async def pass_ledger(
    settings: StreamsSettings, connection: Connection, firm: WaitingFirm, *, now: datetime
) -> Advance | None:
    """Bring one firm's ledger up to date in one transaction; None if another worker has the firm.

    What its indicators need computed is written down in the same transaction.
    """
    done = await pass_ledgers(connection, [firm], now=now, fine_hours=settings.fine_hours)
    return done.get(firm.firm_id)


async def pass_values(connection: Connection, firm: WaitingFirm, *, now: datetime) -> bool:
    """Bring one firm's indicators up to date in one transaction; False if another worker has the firm."""
    return await pass_values_of(connection, [firm], now=now) == 1


async def pass_values_of(connection: Connection, firms_: Sequence[WaitingFirm], *, now: datetime) -> int:
    """Bring the indicators of some firms up to date in one transaction; return of how many.

    Firms that another worker has are left to it.
    """
    async with connection.transaction():
        free = await values.lock_firms(connection, [firm.firm_id for firm in firms_])
        waiting = await values.take_values_of(connection, sorted(free))
        mine = [firm for firm in firms_ if firm.firm_id in waiting]
        if not mine:
            return 0
        causes = {f.firm_id: {cause for *_, found, _ in waiting[f.firm_id] for cause in found} for f in mine}
        runs = await values.new_runs(
            connection,
            [(f.park_id, f.firm_id, f"indicators: {', '.join(sorted(causes[f.firm_id]))}") for f in mine],
            CODE_VERSION,
            now,
        )
        work = []
        for firm in mine:
            tz = zone(firm.time_zone)
            spans = tuple(span_at(grain, start, tz) for grain, start, *_ in waiting[firm.firm_id])
            # The causes of ledger marks were joined into one text.
            why = frozenset(cause for text in causes[firm.firm_id] for cause in text.split(", "))
            work.append(Work(firm.firm_id, firm.park_id, tz, spans, why, runs[firm.firm_id]))
        with metrics.stage("indicators"):
            moved = await evaluate_firms(connection, work, now=now)
        since = {
            firm_id: min((at for *_, at in rows if at is not None), default=None) for firm_id, rows in waiting.items()
        }
        oldest: dict[tuple[int, str, datetime], datetime | None] = {}
        for each in work:
            for span in moved.get(each.firm_id, ()):
                key = (each.park_id, span.grain, span.start)
                known = [at for at in (oldest.get(key), since[each.firm_id]) if at is not None]
                oldest[key] = min(known, default=None)
        await values.mark_parks(connection, [(*key, at) for key, at in oldest.items()])
        for park_id in {each.park_id for each in work}:
            touched = [(span.grain, span.start) for each in work if each.park_id == park_id for span in each.spans]
            await memberships.mark_groups(connection, park_id, rollup.worth_keeping(touched, now=now))
        for each in work:
            over = [span.start for span in each.spans if span.grain == "day" and span.end <= now]
            await baselines.mark(connection, each.firm_id, over)
        await values.finish_runs(connection, [(each.run_id, since[each.firm_id]) for each in work])
    done = datetime.now(UTC)
    for at in since.values():
        if at is not None:
            metrics.WAITED_SECONDS.observe((done - at).total_seconds())
    return len(work)


async def pass_baselines(connection: Connection, firm: WaitingFirm, *, now: datetime) -> bool:
    """Bring one firm's baselines up to date in one transaction; False if another worker has the firm."""
    async with connection.transaction():
        if not await baselines.lock_firm(connection, firm.firm_id):
            return False
        if not await baselines.take(connection, firm.firm_id):
            return False
        run_id = await store.new_run(connection, firm.park_id, firm.firm_id, "daily values", CODE_VERSION, now)
        done = await evaluate_baselines(connection, firm.firm_id, zone(firm.time_zone), now=now, run_id=run_id)
        await store.finish_run(connection, run_id, None)
        if done.residuals:
            await notify(connection, firm.park_id)
    return True


async def pass_park(connection: Connection, park_id: int, time_zone: str, *, now: datetime) -> bool:
    """Bring one park's values and standings up to date in one transaction; False if another worker has the park."""
    tz = zone(time_zone)
    async with connection.transaction():
        if not await values.lock_park(connection, park_id):
            return False
        waiting = await values.take_dirty_park(connection, park_id)
        if not waiting:
            return False
        run_id = await store.new_run(connection, park_id, None, "firms", CODE_VERSION, now)
        members = await firms(connection, park_id)
        spans = [span_at(grain, start, tz) for grain, start, _ in waiting]
        await evaluate_park(connection, park_id, spans, tz, now=now, run_id=run_id)
        await judge_park(connection, park_id, members, tz, now=now, run_id=run_id)
        await balance_park(connection, park_id, spans, now=now, run_id=run_id)
        since = min((since for _, _, since in waiting if since is not None), default=None)
        await store.finish_run(connection, run_id, since)
        await notify(connection, park_id)
    return True


def _report(minute: _Minute) -> None:
    if time.monotonic() - minute.since >= 60:
        _log.info("minute", passes=minute.passes, buckets=minute.buckets, revisions=minute.revisions)
        minute.passes = minute.buckets = minute.revisions = 0
        minute.since = time.monotonic()


async def _sleep(seconds: float, stop: asyncio.Event) -> None:
    # Not `wait_for`: in Python 3.11 it swallows a cancellation that meets the event.
    if seconds > 0:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await stop.wait()


async def _either(wake: asyncio.Event, stop: asyncio.Event, timeout_s: float) -> None:
    waits = [asyncio.create_task(wake.wait(), name="wake"), asyncio.create_task(stop.wait(), name="stop")]
    try:
        await asyncio.wait(waits, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in waits:
            task.cancel()
        await asyncio.gather(*waits, return_exceptions=True)
