"""`greenpark replay`: read, check, send, wait until it is computed, and say what came of it."""

from __future__ import annotations

import asyncio
import signal
import time
from dataclasses import dataclass
from pathlib import Path  # noqa: TC003  (dataclass fields are read at run time)
from typing import TYPE_CHECKING, Any, Final

from rich.console import Console

from cli.errors import MissingError
from cli.onemachine import one_machine
from cli.parks import apply_file, read_definition
from cli.progress import Steps
from cli.replay.errors import IncompleteError, RowsError
from cli.replay.mapping import load_mapping, points_of, shifts_s
from cli.replay.outcome import compare, registered_edge, stored_readings, why_missing, with_consumption
from cli.replay.result import Result
from cli.replay.rows import boot_of, read_rows
from cli.replay.sender import Sender
from ingest.inbox import parse_broker_url
from park.wire import Committed
from store import replay as store
from store.migrations import check_schema
from store.pool import connected

if TYPE_CHECKING:
    from cli.replay.mapping import Mapping, RegisteredPoint
    from cli.replay.outcome import RegisteredEdge
    from cli.replay.result import PointResult
    from cli.replay.rows import Readings
    from cli.replay.sender import Sent
    from cli.settings import Settings
    from ingest.inbox import Address
    from store.pool import Connection

_NO_STREAMS_S: Final = 15.0
_LOOK_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class Request:
    """What the user asked for.

    Attributes:
        file: CSV of meter data.
        mapping: YAML file.
        var: where our own database and broker live.
        own_stack: start them for this.
    """

    file: Path
    mapping: Path
    var: Path
    own_stack: bool = False


@dataclass(frozen=True, slots=True)
class _Source:
    """A file that has been read, and what it means."""

    request: Request
    mapping: Mapping
    park_file: Path | None
    registered: dict[str, RegisteredPoint] | None
    readings: Readings

    def shifts(self, registered: dict[str, RegisteredPoint]) -> list[int]:
        """Return what brings the file's times to the registered labels; see `shifts_s`."""
        return shifts_s(self.mapping, registered, self.request.mapping.name)


@dataclass(frozen=True, slots=True)
class _Where:
    """Where to send, and where to look whether it has arrived."""

    address: Address
    ca_file: str | None
    database_url: str | None


async def run_replay(request: Request, settings: Settings | None) -> Result:
    """Replay a file.

    Args:
        request: what to do.
        settings: where the user's own servers are; None with `own_stack`. Without a database nothing is applied or
            looked up, and the watermark alone says what is stored.

    Raises:
        DataFileError: the mapping or the park document is wrong.
        RowsError: the file is wrong.
        SendError, BrokerError: it does not get through.
        IncompleteError: the database lacks readings that it has confirmed.
        StackError: our own stack cannot be started.
    """
    main = asyncio.current_task()
    assert main is not None
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, main.cancel)
    console = Console(stderr=True)
    began = time.monotonic()
    try:
        with Steps(console) as steps:
            source = await _read(request, steps)
            if request.own_stack:
                return await _on_own_stack(source, steps, began)
            assert settings is not None
            where = _where(settings)
            return await _replay(source, where, steps, began)
    except asyncio.CancelledError:
        console.print("greenpark replay: stopped; run it again and it goes on where the database is")
        raise SystemExit(130) from None
    finally:
        loop.remove_signal_handler(signal.SIGTERM)


def _where(settings: Settings) -> _Where:
    try:
        database_url = settings.database_url
    except MissingError:
        database_url = None
    ca_file = settings.sections.get("ingest", {}).get("ca_file")
    return _Where(parse_broker_url(settings.broker_url), ca_file, database_url)


async def _read(request: Request, steps: Steps) -> _Source:
    steps.begin(f"reading {request.file.name}")
    mapping = load_mapping(_text(request.mapping), request.mapping.name)
    park_file = None if mapping.park is None else request.mapping.parent / mapping.park
    registered = None
    if park_file is not None:
        # Before anything is started: a mapping that does not fit its own park is wrong whatever the database holds.
        registered = points_of(read_definition(park_file), mapping, request.mapping.name)
        shifts_s(mapping, registered, request.mapping.name)
    readings = await asyncio.to_thread(_rows, request.file, mapping)
    steps.done(f"{len(readings):,} readings in {readings.rows:,} rows")
    return _Source(request, mapping, park_file, registered, readings)


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except OSError as error:
        msg = f"{file}: {error.strerror}"
        raise MissingError(msg) from None
    except UnicodeDecodeError as error:
        msg = f"{file}: not UTF-8: {error.reason} at byte {error.start}"
        raise MissingError(msg) from None


def _rows(file: Path, mapping: Mapping) -> Readings:
    try:
        with file.open(encoding=mapping.csv.encoding, newline="") as lines:
            return read_rows(lines, file.name, mapping, time.time_ns() // 1_000_000)
    except OSError as error:
        raise RowsError(f"{file}: {error.strerror}") from None


async def _on_own_stack(source: _Source, steps: Steps, began: float) -> Result:
    steps.begin("database and broker")
    async with one_machine(source.request.var, progress=steps.component) as machine:
        steps.done("database and broker")
        topic = source.mapping.topic
        await asyncio.to_thread(machine.broker.add_edge, topic.park, topic.firm, topic.edge)
        address = parse_broker_url(machine.broker.url_for(topic.user))
        for room in ("ingest", "streams"):
            await machine.start_room(room)
        work = asyncio.create_task(
            _replay(source, _Where(address, None, machine.database_url), steps, began), name="replay"
        )
        failed = asyncio.ensure_future(machine.supervisor.failed())
        return await _first(work, failed)


async def _first(work: asyncio.Task[Result], failed: asyncio.Future[Any]) -> Result:
    """Return the replay's result, unless a process that it needs has ended for good."""
    waiting: list[asyncio.Future[Any]] = [work, failed]
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            raise failed.result()
        return work.result()
    finally:
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)


async def _replay(source: _Source, where: _Where, steps: Steps, began: float) -> Result:
    if where.database_url is None:
        return await _without_database(source, where, steps, began)
    async with connected(where.database_url, application="greenpark replay") as connection:
        await check_schema(connection)
        if source.park_file is not None:
            steps.begin("park document")
            steps.done((await apply_file(where.database_url, source.park_file)).as_text().splitlines()[0])
        return await _with_database(source, where, connection, steps, began)


async def _without_database(source: _Source, where: _Where, steps: Steps, began: float) -> Result:
    """Send, and believe the watermark: the park document is all that is known of the points."""
    shifts = [0] * len(source.mapping.columns) if source.registered is None else source.shifts(source.registered)
    readings = source.readings.shifted(shifts)
    boot = boot_of(readings, source.mapping.edge)
    sent = await _send(source, where, readings, boot, None, steps)
    notes = (*_notes(source), "no database is set, so what was stored and what came of it was not looked at")
    return _result(source, boot, sent, points=compare(readings, None), notes=notes, took_s=time.monotonic() - began)


async def _with_database(source: _Source, where: _Where, connection: Connection, steps: Steps, began: float) -> Result:
    """Send what the database lacks, wait until it is computed, and look at every reading."""
    edge = await registered_edge(connection, source.mapping)
    shifts = source.shifts(edge.points)
    readings = source.readings.shifted(shifts)
    boot = boot_of(readings, source.mapping.edge)
    known = await store.watermark(connection, edge.edge_id, boot)
    committed = Committed(boot, 0) if known is None else Committed(boot, known.floor, list(known.ranges))
    before = compare(readings, await stored_readings(connection, edge, readings))
    sent = await _send(source, where, readings, boot, committed, steps)
    computed = await _computed(connection, edge, steps)
    points = compare(readings, await stored_readings(connection, edge, readings))
    if missing := sum(point.missing for point in points):
        raise IncompleteError(await why_missing(connection, missing, source.mapping.topic))
    notes = list(_notes(source))
    if computed:
        points = await with_consumption(connection, edge, readings, points)
    else:
        notes.append("not computed yet: no `greenpark run streams` is connected to this database")
    if edge.unmetered:
        codes = ", ".join(edge.unmetered)
        notes.append(f"nothing is computed for {codes}: give them a meter (installations) in the park document")
    if differing := sum(point.differing for point in points):
        notes.append(f"{differing:,} readings stand in the database with another value; the file's are kept aside")
    return _result(
        source,
        boot,
        sent,
        points=points,
        notes=tuple(notes),
        took_s=time.monotonic() - began,
        stored=sum(point.stored or 0 for point in points) - sum(point.stored or 0 for point in before),
        time_zone=edge.time_zone,
        computed=computed,
    )


async def _send(
    source: _Source, where: _Where, readings: Readings, boot: str, known: Committed | None, steps: Steps
) -> Sent:
    steps.begin("sending", total=len(readings))
    sender = Sender(
        where.address,
        source.mapping.topic,
        readings,
        boot,
        known=known,
        on_covered=steps.advance,
        ca_file=where.ca_file,
    )
    sent = await sender.run()
    steps.done(f"{sent.sent:,} readings sent, {sent.covered:,} were there")
    return sent


async def _computed(connection: Connection, edge: RegisteredEdge, steps: Steps) -> bool:
    """Wait until the processors have taken everything of these points; False if there is no processor."""
    steps.begin("ledger and indicators")
    seen_s = time.monotonic()
    while True:
        waiting = await store.waiting(connection, edge.firm_id, list(edge.point_ids.values()))
        if not waiting.dirty:
            steps.done("ledger and indicators")
            return True
        if waiting.streams:
            seen_s = time.monotonic()
        elif time.monotonic() - seen_s > _NO_STREAMS_S:
            return False
        await asyncio.sleep(_LOOK_S)


def _notes(source: _Source) -> list[str]:
    readings, notes = source.readings, []
    if readings.bad_count:
        notes.append(f"{readings.bad_count:,} wrong rows were left out, the first: {readings.bad[0]}")
    if readings.repeated:
        notes.append(f"{readings.repeated:,} rows only repeat an earlier one")
    if readings.backwards:
        hint = "; if a row 00:00 closes its day, declare time.midnight_closes_day"
        hint = "" if source.mapping.time.midnight_closes_day else hint
        notes.append(f"{readings.backwards:,} rows go back in time{hint}")
    return notes


def _result(
    source: _Source,
    boot: str,
    sent: Sent,
    *,
    points: list[PointResult],
    notes: tuple[str, ...],
    took_s: float,
    stored: int | None = None,
    time_zone: str | None = None,
    computed: bool = False,
) -> Result:
    readings = source.readings
    return Result(
        file=source.request.file.name,
        edge=source.mapping.edge,
        boot=boot,
        rows=readings.rows,
        empty_cells=readings.empty,
        bad_rows=readings.bad_count,
        readings=len(readings),
        sent=sent.sent,
        already=sent.covered,
        stored=stored,
        points=tuple(points),
        time_zone=time_zone,
        computed=computed,
        notes=notes,
        took_s=took_s,
    )
