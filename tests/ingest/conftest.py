"""A small park in a fresh database, and messages for it."""

from __future__ import annotations

import random
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import aiomqtt
import pytest

from ingest.commit import Arrival, Outcome, Writer
from ingest.decode import Registry, decode
from ingest.settings import IngestSettings
from park.definition import FirmDefinition, ParkDefinition, PointDefinition
from park.points import Kind
from park.wire import ROOT, Batch, Event, Status, encode
from store.pool import connected
from store.readings import open_staging
from store.registry import apply_definition, edges

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

NOW_MS = 1_763_625_600_000
PARK = "testpark"


def point(code: str, edge: str) -> PointDefinition:
    return PointDefinition(
        code=code, name_zh=code, name_en=code, kind=Kind.REGISTER, carrier="electricity", unit="kWh", edge=edge
    )


def firm(code: str, edge_codes: Sequence[str], points: int) -> FirmDefinition:
    return FirmDefinition(
        code=code,
        name_zh=code,
        name_en=code,
        industry="test",
        edges=list(edge_codes),
        points=[point(f"{edge}-E{n}", edge) for edge in edge_codes for n in range(points)],
    )


def definition(park: str = PARK, points: int = 4) -> ParkDefinition:
    return ParkDefinition(
        code=park, name_zh=park, name_en=park, firms=[firm("a", ["gw1", "gw2"], points), firm("b", ["gw1"], points)]
    )


@dataclass
class House:
    """The database, what is registered, and shorthands."""

    connection: Any
    url: str
    park: str = PARK
    registry: Registry = field(default_factory=Registry)
    now_ms: int = NOW_MS

    async def register(self, wanted: ParkDefinition) -> None:
        await apply_definition(self.connection, wanted)
        self.registry = Registry(await edges(self.connection))

    def topic(self, channel: str = "data", firm: str = "a", edge: str = "gw1") -> str:
        return f"{ROOT}/{self.park}/{firm}/{edge}/{channel}"

    def arrival(self, payload: bytes, channel: str = "data", content_type: str | None = None, **where: str) -> Arrival:
        return self.arrival_at(self.topic(channel, **where), payload, content_type)

    def arrival_at(self, topic: str, payload: bytes, content_type: str | None = None) -> Arrival:
        decoded = decode(topic, payload, content_type, self.registry, self.now_ms, future_limit_ms=600_000)
        return Arrival(topic, payload, content_type, decoded)

    def batch(self, seq: int | None, readings: Sequence[tuple[str, int, float]], **more: Any) -> Arrival:
        """A batch of (point, seconds after NOW_MS, value)."""
        where = {key: more.pop(key) for key in ("firm", "edge") if key in more}
        codes = list(dict.fromkeys(code for code, _, _ in readings))
        message = Batch(
            points=codes,
            t=[NOW_MS + t * 1_000 for _, t, _ in readings],
            v=[value for _, _, value in readings],
            i=[codes.index(code) for code, _, _ in readings],
            boot=None if seq is None else more.pop("boot", "boot-1"),
            seq=seq,
            **more,
        )
        return self.arrival(encode(message), **where)

    def event(self, **fields: Any) -> Arrival:
        return self.arrival(encode(Event(**({"boot": "boot-1", "at": NOW_MS} | fields))), "event")

    def status(self, **fields: Any) -> Arrival:
        return self.arrival(encode(Status(**({"boot": "boot-1", "at": NOW_MS, "online": True} | fields))), "status")

    async def write(self, *arrivals: Arrival) -> Outcome:
        writer = Writer(self.url, random.Random(0), transaction_limit_s=20, name="test")
        try:
            return await writer.write(arrivals, self.registry.firm_of)
        finally:
            await writer.close()

    async def readings(self) -> set[tuple[str, int, float]]:
        """Everything stored, as (point, seconds after NOW_MS, value)."""
        rows = await self.connection.fetch(
            "SELECT p.code, (extract(epoch FROM r.t) * 1000)::bigint AS t_ms, r.value"
            " FROM reading AS r JOIN point AS p USING (point_id)"
        )
        found = [(row["code"], (row["t_ms"] - NOW_MS) // 1_000, row["value"]) for row in rows]
        assert len(set(found)) == len(found)
        return set(found)

    async def count(self, table: str) -> int:
        return await self.connection.fetchval(f"SELECT count(*) FROM {table}")

    async def contents(self) -> dict[str, list[Any]]:
        """Everything that a message can change, but for the times at which it was changed and what is dirty."""
        skip = {"stored", "changed", "noticed", "received"}
        found = {}
        for table in ("batch", "reading", "reading_conflict", "latest", "watermark", "edge_event", "edge_status"):
            rows = await self.connection.fetch(f"SELECT * FROM {table} ORDER BY 1, 2")
            found[table] = [{k: v for k, v in dict(row).items() if k not in skip} for row in rows]
        return found


@pytest.fixture
async def house(database_url: str) -> AsyncIterator[House]:
    """Two firms; firm a has edges gw1 and gw2, firm b gw1, each with points {edge}-E0 … -E3."""
    async with connected(database_url) as connection:
        await open_staging(connection)
        house = House(connection, database_url)
        await house.register(definition())
        yield house


@dataclass
class Post:
    """The broker, seen by tests: publishers with an edge's rights, and settings for ingest."""

    broker: Any
    park: str
    group: str

    def settings(self, database_url: str = "postgresql://nowhere", **more: Any) -> IngestSettings:
        return IngestSettings(
            **(
                {
                    "database_url": database_url,
                    "broker_url": self.broker.url_for("ingest"),
                    "share_group": self.group,
                    "session_expiry_s": 30,
                    "summary_interval_s": 1.0,
                }
                | more
            )
        )

    def publisher(self, firm: str = "a", edge: str = "gw1", **more: Any) -> aiomqtt.Client:
        password = self.broker.add_edge(self.park, firm, edge)
        return aiomqtt.Client(
            "127.0.0.1",
            self.broker.port,
            username=f"{self.park}/{firm}/{edge}",
            password=password,
            protocol=aiomqtt.ProtocolVersion.V5,
            **more,
        )

    def topic(self, channel: str = "data", firm: str = "a", edge: str = "gw1") -> str:
        return f"{ROOT}/{self.park}/{firm}/{edge}/{channel}"


@pytest.fixture
def post(broker) -> Post:
    """The session's broker with a park and a share group of this test's own."""
    name = secrets.token_hex(4)
    return Post(broker, f"p{name}", f"g{name}")


@pytest.fixture
def larger() -> ParkDefinition:
    """The same park with points up to {edge}-E9."""
    return definition(points=10)


@pytest.fixture
def park_named() -> Callable[[str], ParkDefinition]:
    """The same park under another code."""
    return definition
