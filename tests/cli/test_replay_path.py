"""A file goes the whole way, through a real broker, ingest, database and streams, and arrives once."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import signal
import sys
import tempfile
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
import yaml

from cli.errors import BrokerAwayError, BrokerRefusedError, CliError
from cli.mqtt import Session, linked
from cli.replay import command
from cli.replay.command import Request, run_replay
from cli.replay.errors import IncompleteError, RowsError, SendError
from cli.replay.sender import Pace
from cli.settings import Settings
from cli.stack import ports
from cli.stack.mosquitto import Broker
from cli.stack.places import open_places, service_user
from ingest.inbox import parse_broker_url
from ingest.process import run as run_ingest
from ingest.settings import IngestSettings
from park.errors import DataFileError
from park.wire import Batch, encode
from store.errors import UnknownNameError
from store.pool import connect
from streams.process import run as run_streams
from streams.settings import StreamsSettings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from cli.stack.components import Components
    from cli.stack.places import Places

pytestmark = pytest.mark.stack
CHECKOUT = Path(__file__).parents[2]


def write_file(file: Path, first: date, days: int) -> dict[str, Decimal]:
    """Write days of quarters as the steel plant does, and return the energy of each month."""
    months: dict[str, Decimal] = {}
    lines = ["date,Usage_kWh,Lagging_kVarh,Load_Type\r\n"]
    for day in (first + timedelta(days=k) for k in range(days)):
        for quarter in range(1, 97):
            energy = Decimal((day.toordinal() * 31 + quarter * 7) % 9973) / 100
            clock = f"{quarter // 4 % 24}:{quarter % 4 * 15:02}"
            lines.append(f"{day.day}/{day.month}/{day.year} {clock},{energy},{quarter % 5},Light_Load\r\n")
            months[f"{day:%Y-%m}"] = months.get(f"{day:%Y-%m}", Decimal(0)) + energy
    file.write_bytes(b"\xef\xbb\xbf" + "".join(lines).encode())
    return months


def park_document(park: str) -> dict[str, Any]:
    def point(code: str, carrier: str, unit: str, direction: str) -> dict[str, Any]:
        meter = {"serial": "1", "valid_from": "2018-01-01T00:00:00+09:00"}
        fields = {"code": code, "name_zh": code, "name_en": code, "kind": "interval", "carrier": carrier, "unit": unit}
        return fields | {"direction": direction, "edge": "archive", "installations": [meter]}

    points = [point("E-001", "electricity", "kWh", "in"), point("Q-001", "reactive_energy", "kvarh", "internal")]
    firm = {"code": "steel", "name_zh": "钢", "name_en": "Steel", "industry": "x", "edges": ["archive"]}
    return {
        "code": park,
        "name_zh": park,
        "name_en": park,
        "time_zone": "Asia/Seoul",
        "firms": [firm | {"points": points}],
    }


@dataclass
class Plant:
    """A file, its mapping and park, the servers, and hands to run what stands between them."""

    directory: Path
    park: str
    broker: Broker
    database_url: str
    connection: Any
    months: dict[str, Decimal]

    @property
    def user(self) -> str:
        return f"{self.park}/steel/archive"

    @property
    def broker_url(self) -> str:
        password = self.broker.add_edge(self.park, "steel", "archive")
        return f"mqtt://{quote(self.user, safe='')}:{quote(password, safe='')}@127.0.0.1:{self.broker.port}"

    def settings(self, **changes: str) -> Settings:
        urls = {"database": self.database_url, "broker": self.broker_url} | changes
        return Settings("environment", {name: {"url": url} for name, url in urls.items() if url})

    @property
    def request(self) -> Request:
        return Request(self.directory / "year.csv", self.directory / "mapping.yaml", self.directory / "var")

    def change_mapping(self, **changes: Any) -> None:
        file = self.directory / "mapping.yaml"
        raw = yaml.safe_load(file.read_text()) | changes
        file.write_text(
            yaml.safe_dump({key: value for key, value in raw.items() if value is not None}, sort_keys=False)
        )

    async def replay(self, **changes: str) -> command.Result:
        return await run_replay(self.request, self.settings(**changes))

    async def count(self, table: str = "reading") -> int:
        return await self.connection.fetchval(f"SELECT count(*) FROM {table}")

    @asynccontextmanager
    async def ingest(self) -> AsyncIterator[None]:
        settings = IngestSettings(
            self.database_url, self.broker.url_for("ingest"), share_group=self.park, session_expiry_s=60
        )
        async with running(run_ingest, settings):
            await asyncio.sleep(0.5)  # what is sent before it has subscribed is sent again, but only after a while
            yield

    @asynccontextmanager
    async def rooms(self) -> AsyncIterator[None]:
        async with self.ingest(), running(run_streams, StreamsSettings(self.database_url, poll_s=0.5, min_pass_s=0.05)):
            yield


@asynccontextmanager
async def running(run: Any, settings: Any) -> AsyncIterator[None]:
    stop = asyncio.Event()
    task = asyncio.create_task(run(settings, stop=stop))
    try:
        yield
    finally:
        stop.set()
        await task


@pytest.fixture
async def plant(tmp_path: Path, broker: Broker, database_url: str) -> AsyncIterator[Plant]:
    """Five days across a month's end, nothing sent yet."""
    park = f"gy{secrets.token_hex(4)}"
    months = write_file(tmp_path / "year.csv", date(2018, 1, 29), 5)
    (tmp_path / "park.yaml").write_text(yaml.safe_dump(park_document(park)))
    columns = {
        "Usage_kWh": {"point": "E-001", "unit": "kWh"},
        "Lagging_kVarh": {"point": "Q-001", "unit": "kvarh"},
    }
    mapping = {
        "park": "park.yaml",
        "edge": f"{park}/steel/archive",
        "time": {
            "column": "date",
            "format": "%d/%m/%Y %H:%M",
            "zone": "Asia/Seoul",
            "label": "end",
            "interval_s": 900,
            "midnight_closes_day": True,
        },
        "columns": columns,
    }
    (tmp_path / "mapping.yaml").write_text(yaml.safe_dump(mapping, sort_keys=False))
    connection = await connect(database_url)
    try:
        yield Plant(tmp_path, park, broker, database_url, connection, months)
    finally:
        await connection.close()


async def test_a_file_arrives_once_and_its_months_are_the_files(plant: Plant) -> None:
    """Every reading is stored once, and the ledger's months are the file's sums, midnight rows closing their day."""
    async with plant.rooms():
        result = await plant.replay()
        again = await plant.replay()
    assert (result.rows, result.readings, result.sent, result.already, result.stored) == (480, 960, 960, 0, 960)
    energy, _ = result.points
    assert (energy.readings, energy.stored, energy.differing, energy.missing) == (480, 480, 0, 0)
    assert energy.total == pytest.approx(float(sum(plant.months.values())), abs=1e-9)
    assert result.computed
    assert set(energy.months) == {"2018-01", "2018-02"}
    for month, amount in plant.months.items():
        assert energy.months[month] == pytest.approx(float(amount), abs=1e-9)
    assert (again.sent, again.already, again.stored) == (0, 960, 0)
    assert again.points == result.points
    assert again.boot == result.boot
    assert await plant.count() == 960
    assert await plant.count("batch") == 1
    text = again.as_text()
    assert "0 sent, 960 already there, 0 newly stored" in text
    assert "2018-02" in text
    assert json.loads(json.dumps(again.as_dict()))["points"][0]["stored"] == 480


async def test_a_year_read_as_a_register_that_rolls_over_and_is_exchanged_comes_to_the_files_sums(plant: Plant) -> None:
    """A dial of 1,000 kWh that starts near its end, and another meter in the middle: the months are the file's."""
    amounts = [Decimal(cells[1]) for cells in (line.split(",") for line in _lines(plant.directory / "year.csv"))]
    exchange = 200  # rows up to here are the old meter's
    old = (Decimal(990) + sum(amounts[:exchange])) % 1_000
    at = "2018-01-31T02:00:00+09:00"
    document = park_document(plant.park)
    point = document["firms"][0]["points"][0]
    first = {"serial": "A", "valid_from": "2018-01-01T00:00:00+09:00", "valid_to": at, "last_reading": float(old)}
    meters = [first, {"serial": "B", "valid_from": at, "first_reading": 12.5}]
    point |= {
        "kind": "register",
        "installations": [meter | {"modulus": 1_000, "resolution": 0.01} for meter in meters],
    }
    (plant.directory / "park.yaml").write_text(yaml.safe_dump(document))
    dial = {"start": 990, "modulus": 1_000, "exchanges": [{"at": at, "start": 12.5}]}
    plant.change_mapping(columns={"Usage_kWh": {"point": "E-001", "unit": "kWh", "dial": dial}})
    async with plant.rooms():
        result = await plant.replay()
    [energy] = result.points
    assert (energy.readings, energy.stored, energy.differing) == (481, 481, 0)
    assert sum(amounts) > 2_000  # it rolls over at least twice
    for month, amount in plant.months.items():
        assert energy.months[month] == pytest.approx(float(amount), abs=1e-6)


def _lines(file: Path) -> list[str]:
    return file.read_text("utf-8-sig").splitlines()[1:]


async def test_a_file_that_has_grown_adds_its_new_rows_only(plant: Plant) -> None:
    """A longer file is sent as another boot; what is there already stays once, and the new rows come."""
    async with plant.rooms():
        await plant.replay()
        with (plant.directory / "year.csv").open("a") as file:
            file.write("3/2/2018 0:15,1,2,x\r\n")
        again = await plant.replay()
    assert (again.sent, again.stored) == (962, 2)
    assert await plant.count() == 962
    assert await plant.count("reading_conflict") == 0


async def test_a_corrected_value_is_kept_aside_and_told(plant: Plant) -> None:
    """One value that differs from what is stored overwrites nothing and is counted."""
    async with plant.rooms():
        await plant.replay()
        file = plant.directory / "year.csv"
        lines = file.read_text(encoding="utf-8-sig").split("\n")
        cells = lines[5].split(",")
        lines[5] = ",".join([cells[0], "12345", *cells[2:]])
        file.write_text("\n".join(lines), encoding="utf-8-sig")
        again = await plant.replay()
    assert again.points[0].differing == 1
    assert again.points[0].stored == 479
    assert any("another value" in note for note in again.notes)
    assert await plant.count("reading_conflict") == 1


async def test_a_killed_replay_is_taken_up_where_the_database_is(plant: Plant) -> None:
    """After kill -9 the next run sends only what the database lacks, and everything is there once."""
    write_file(plant.directory / "year.csv", date(2018, 1, 1), 200)
    async with plant.ingest():
        pass  # its session is there now, and the broker keeps for it what comes
    environ = {name: value for name, value in os.environ.items() if not name.startswith("GREENPARK_")}
    environ |= {"GREENPARK_DATABASE_URL": plant.database_url, "GREENPARK_BROKER_URL": plant.broker_url}
    request = plant.request
    argv = ("-m", "cli.main", "replay", str(request.file), "--mapping", str(request.mapping))
    process = await asyncio.create_subprocess_exec(
        sys.executable, *argv, env=environ, cwd=CHECKOUT, stderr=asyncio.subprocess.PIPE
    )
    assert process.stderr is not None
    while b"sending" not in await process.stderr.readline():
        pass
    await asyncio.sleep(1.5)  # nobody commits, so it comes to the end of its window and waits
    assert process.returncode is None
    process.send_signal(signal.SIGKILL)
    await process.wait()
    async with plant.ingest():
        before = 0
        while not before or before != await plant.count("batch"):
            before = await plant.count("batch")
            await asyncio.sleep(0.5)
    stored = await plant.count()
    assert 0 < stored < 200 * 96 * 2
    async with plant.rooms():
        result = await plant.replay()
    assert (result.already, result.sent, result.stored) == (stored, 38_400 - stored, 38_400 - stored)
    assert await plant.count() == 38_400


async def test_a_broker_that_dies_under_way_is_awaited_and_everything_arrives(
    plant: Plant, components: Components, stack_places: Places
) -> None:
    """The broker is killed with all that it had acknowledged; the replay connects again and sends that once more."""
    broker = Broker(
        components.mosquitto,
        stack_places.service / plant.park,
        secret=stack_places.secrets / f"{plant.park}.json",
        port=ports.any_free(),
        user=service_user("mosquitto"),
        log=stack_places.logs / f"{plant.park}.log",
    )
    await broker.start()
    plant.broker = broker
    try:
        async with plant.ingest():
            pass  # from now on somebody is subscribed
        replaying = asyncio.create_task(plant.replay())
        await asyncio.sleep(1.5)
        assert not replaying.done()
        await broker.kill()
        await asyncio.sleep(0.5)
        await broker.start()
        async with plant.rooms():
            result = await replaying
    finally:
        await broker.stop()
    assert (result.sent, result.stored) == (960, 960)
    assert await plant.count() == 960


async def test_without_a_database_the_retained_watermark_says_what_is_there(plant: Plant) -> None:
    """With nothing but the broker, a second run finds the watermark and sends nothing."""
    async with plant.rooms():
        await plant.replay()
        await asyncio.sleep(0.5)  # the watermark is told at most every 0.2 s
    again = await plant.replay(database="")
    assert (again.sent, again.already, again.stored, again.computed) == (0, 960, None, False)
    assert [point.stored for point in again.points] == [None, None]
    assert "?" in again.as_text()


async def test_the_databases_word_stands_above_a_retained_watermark(plant: Plant) -> None:
    """A broker that remembers a database of yesterday does not keep a new database empty."""
    async with plant.rooms():
        await plant.replay()
        await asyncio.sleep(0.5)
    for table in ("reading", "batch", "watermark", "latest"):
        await plant.connection.execute(f"TRUNCATE {table}")
    async with plant.rooms():
        result = await plant.replay()
    assert (result.sent, result.stored) == (960, 960)


async def test_without_streams_it_ends_and_says_that_nothing_is_computed(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no processor is connected the readings are stored all the same, and a note tells what is missing."""
    monkeypatch.setattr(command, "_NO_STREAMS_S", 0.3)
    async with plant.ingest():
        result = await plant.replay()
    assert (result.stored, result.computed) == (960, False)
    assert any("greenpark run streams" in note for note in result.notes)


async def test_without_ingest_it_gives_up_and_says_what_must_run(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody commits: after a while that is an error naming the command that is missing, not a hang."""
    monkeypatch.setattr("cli.replay.sender.Pace", lambda: Pace(stall_s=1.0))
    with pytest.raises(SendError, match="greenpark run ingest"):
        await plant.replay()


async def test_a_user_that_may_not_publish_for_the_edge_is_told_whom_to_be(plant: Plant) -> None:
    """Another edge's user may not send these readings: one line names the right user."""
    password = plant.broker.add_edge(plant.park, "other", "archive")
    user = quote(f"{plant.park}/other/archive", safe="")
    url = f"mqtt://{user}:{quote(password, safe='')}@127.0.0.1:{plant.broker.port}"
    with pytest.raises(SendError, match=f"log in as '{plant.user}'"):
        await plant.replay(broker=url)
    with pytest.raises(BrokerRefusedError):
        await plant.replay(broker=f"mqtt://nobody:wrong@127.0.0.1:{plant.broker.port}")
    with pytest.raises(BrokerAwayError, match="cannot reach"):
        await plant.replay(broker=f"mqtt://nobody@127.0.0.1:{ports.any_free()}")
    assert await plant.count() == 0


async def test_what_is_confirmed_but_quarantined_is_not_called_stored(plant: Plant) -> None:
    """A batch in quarantine is done on the wire and missing in the database: an error, with the reason."""
    async with plant.rooms():
        boot = (await plant.replay()).boot
        for table in ("reading", "batch", "watermark", "latest", "dirty"):
            await plant.connection.execute(f"TRUNCATE {table}")
        # The same name is used up by a batch that ingest cannot take.
        wrong = encode(Batch(points=["X-999"], t=[1], v=[1.0], boot=boot, seq=0))
        async with linked(parse_broker_url(plant.broker_url), Session("probe")) as link:
            await link.publish(f"greenpark/1/{plant.user}/data", wrong)
        await until(plant, "watermark")
        with pytest.raises(IncompleteError, match=r"960 readings .* unknown_point.*X-999"):
            await plant.replay()


async def until(plant: Plant, table: str) -> None:
    """Wait until a table holds something."""
    for _ in range(200):
        if await plant.count(table):
            return
        await asyncio.sleep(0.05)
    pytest.fail(f"nothing in {table}")


async def test_a_wrong_file_or_mapping_sends_nothing_and_touches_no_server(plant: Plant) -> None:
    """Bad rows, a bad unit, a park document that is not there: each is told before a server is even asked."""
    nowhere = Settings(
        "environment", {"broker": {"url": "mqtt://127.0.0.1:1"}, "database": {"url": "postgresql://x:1"}}
    )
    good = plant.request.file.read_bytes()
    plant.request.file.write_bytes(good + b"1/2/2018 0:15,broken,1,x\r\n")
    with pytest.raises(RowsError, match=r"year\.csv: line 482: Usage_kWh: 'broken' is no number"):
        await run_replay(plant.request, nowhere)
    plant.request.file.write_bytes(good)
    columns = yaml.safe_load(plant.request.mapping.read_text())["columns"]
    plant.change_mapping(columns={**columns, "Usage_kWh": {"point": "E-001", "unit": "MWh"}})
    with pytest.raises(DataFileError, match=r"mapping\.yaml: columns\[Usage_kWh\]\.unit"):
        await run_replay(plant.request, nowhere)
    plant.change_mapping(columns=columns, park="absent.yaml")
    with pytest.raises(CliError, match=r"absent\.yaml"):
        await run_replay(plant.request, nowhere)


async def test_an_edge_that_nobody_registered_is_named(plant: Plant) -> None:
    """Without a park document the edge must be in the database; if not, it is named."""
    plant.change_mapping(park=None)
    with pytest.raises(UnknownNameError, match="archive"):
        await plant.replay()


@contextmanager
def own_directory() -> Iterator[Path]:
    """A directory that the services' users can reach, with the components that are here already."""
    with tempfile.TemporaryDirectory(prefix="greenpark-replay-") as name:
        Path(name).chmod(0o755)
        Path(name, "components").symlink_to(open_places(CHECKOUT / "var").components)
        yield Path(name)


@pytest.mark.slow
async def test_own_stack_brings_all_it_needs_and_stops_it_again(plant: Plant) -> None:
    """`--own-stack` from an empty directory: stored, computed, everything stopped; the second run sends nothing."""
    with own_directory() as var:
        environ = {name: value for name, value in os.environ.items() if not name.startswith("GREENPARK_")}
        argv = ("-m", "cli.main", "replay", str(plant.request.file), "--mapping", str(plant.request.mapping))
        found = []
        for _ in range(2):
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                *argv,
                *("--own-stack", "--var", str(var), "--json"),
                env=environ,
                cwd=CHECKOUT,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
            out, errors = await process.communicate()
            assert process.returncode == 0, errors.decode()
            found.append(json.loads(out))
        first, second = found
        assert (first["sent"], first["stored"], first["computed"]) == (960, 960, True)
        assert (second["sent"], second["stored"], second["points"]) == (0, 0, first["points"])
        assert first["points"][0]["months"] == pytest.approx({k: float(v) for k, v in plant.months.items()})
        assert not list((var / "run").glob("*.pid"))
