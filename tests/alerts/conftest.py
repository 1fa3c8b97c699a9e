"""A small park in a real database, and a real HTTP receiver."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from alerts.evaluate import Memory, Pass, evaluate, publish_rules
from alerts.settings import AlertsSettings
from park.definition import FirmDefinition, InstallationDefinition, ParkDefinition, PointDefinition
from park.points import Direction, Kind
from store.episodes import add_transition
from store.outbox import enqueue
from store.pool import connect
from store.recipients import add_recipient
from store.registry import apply_definition

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from alerts.rules import Rule

T0 = datetime(2025, 11, 20, 8, 0, tzinfo=UTC)
QUARTER = timedelta(minutes=15)


def _point(code: str, carrier: str, direction: Direction) -> PointDefinition:
    return PointDefinition(
        code=code,
        name_zh=f"表{code}",
        name_en=f"Meter {code}",
        kind=Kind.REGISTER,
        carrier=carrier,
        unit="m3",
        edge="gw1",
        direction=direction,
        interval_s=5,
        rate_limit_per_h=1000,
        installations=[InstallationDefinition(serial="m", valid_from=datetime(2025, 1, 1, tzinfo=UTC))],
    )


def _firm(code: str) -> FirmDefinition:
    return FirmDefinition(
        code=code,
        name_zh=f"企业{code}",
        name_en=f"Firm {code}",
        industry="test",
        edges=["gw1"],
        points=[
            _point("fresh", "fresh_water", Direction.IN),
            _point("loop", "recirculated_water", Direction.INTERNAL),
        ],
    )


@dataclass(slots=True)
class World:
    """A park with the firms a and b, and the means to give it data and evaluate rules."""

    url: str
    connection: Any
    park_id: int
    firms: dict[str, int]
    points: dict[tuple[str, str], int]
    settings: AlertsSettings

    async def rules(self, wanted: Sequence[Rule], now: datetime = T0) -> int:
        return await publish_rules(self.connection, wanted, now)

    async def evaluate(self, now: datetime, memory: Memory | None = None, *, sweep: bool = True) -> Pass:
        return await evaluate(self.connection, self.settings, memory or Memory(), now, sweep=sweep)

    async def indicator(
        self, firm: str | None, k: int, value: float | None, *, coverage: float = 1.0, closed: bool = True
    ) -> None:
        """Write the firm's (None: the park's) k-th quarter hour after T0, or change it."""
        firm_id = None if firm is None else self.firms[firm]
        await self.connection.execute(
            "INSERT INTO indicator_value (park_id, firm_id, scope, scope_id, indicator_id, grain, period, numerator,"
            " denominator, value, unit, coverage, closed, lineage, run_id)"
            " VALUES ($1, $2, $3, $4, 'water_reuse_rate', 'bucket', $5, 1, 1, $6, '%', $7, $8, '{}', 1)"
            " ON CONFLICT (scope, scope_id, indicator_id, grain, period)"
            " DO UPDATE SET value = $6, coverage = $7, closed = $8",
            self.park_id,
            firm_id,
            "park" if firm is None else "firm",
            self.park_id if firm_id is None else firm_id,
            T0 + k * QUARTER,
            value,
            coverage,
            closed,
        )
        # What the streams' transaction leaves behind, by its trigger.
        await self.connection.execute(
            "INSERT INTO alert_mark (park_id, firm_id, t_from) VALUES ($1, $2, $3)",
            self.park_id,
            firm_id,
            T0 + k * QUARTER,
        )

    async def marks(self, *firms: str, since: datetime) -> None:
        """Say that something of these firms has changed, as the streams' transactions do."""
        for firm in firms:
            await self.connection.execute(
                "INSERT INTO alert_mark (park_id, firm_id, t_from) VALUES ($1, $2, $3)",
                self.park_id,
                self.firms[firm],
                since,
            )

    async def readings(self, firm: str, point: str, rows: Sequence[tuple[datetime, float]]) -> None:
        point_id = self.points[firm, point]
        await self.connection.executemany(
            "INSERT INTO reading VALUES ($1, $2, $3, 0, 1) ON CONFLICT DO NOTHING", [(point_id, t, v) for t, v in rows]
        )
        # The ledger's quarter hours, and what of them the streams say is done.
        quarters = sorted({T0 + (t - T0) // QUARTER * QUARTER for t, _ in rows})
        await self.connection.executemany(
            "INSERT INTO consumption (point_id, bucket, measured, measured_s, estimated_s, closed, run_id)"
            " VALUES ($1, $2, 1, 900, 0, true, 1) ON CONFLICT DO NOTHING",
            [(point_id, quarter) for quarter in quarters],
        )
        newest = max(rows)
        await self.connection.execute(
            "INSERT INTO latest VALUES ($1, $2, $3, 0, $2) ON CONFLICT (point_id)"
            " DO UPDATE SET t = excluded.t, value = excluded.value WHERE excluded.t > latest.t",
            point_id,
            *newest,
        )

    async def edge_status(self, firm: str, at: datetime, *, online: bool = True) -> None:
        await self.connection.execute(
            "INSERT INTO edge_status (edge_id, park_id, firm_id, online, boot, at, version, buffered_batches,"
            " buffered_bytes) SELECT edge_id, park_id, firm_id, $2, 'b', $3, '', 0, 0 FROM edge WHERE firm_id = $1"
            " ON CONFLICT (edge_id) DO UPDATE SET online = $2, at = $3",
            self.firms[firm],
            online,
            at,
        )

    async def recipient(self, address: str, firm: str | None = None, **more: str) -> int:
        return await add_recipient(
            self.connection,
            park_id=self.park_id,
            firm_id=None if firm is None else self.firms[firm],
            name=firm or "park",
            channel=more.pop("channel", "webhook"),
            address=address,
            **more,
        )

    async def episode(self, firm: str = "a", severity: str = "warning") -> tuple[int, int]:
        """Make an episode of a firm and return its id and a transition's."""
        episode_id = await self.connection.fetchval(
            "INSERT INTO episode (park_id, firm_id, rule_id, rule_version, cause_key, scope, scope_id, state, severity,"
            " began, opened, title_zh, title_en, evidence, seen)"
            " SELECT $1, $2, 'r', 1, 'c' || count(*), 'firm', $2, 'open', $4, $3, $3, 'Z', 'E', '{}', $3"
            " FROM episode RETURNING episode_id",
            self.park_id,
            self.firms[firm],
            T0,
            severity,
        )
        return episode_id, await add_transition(self.connection, episode_id, "pending", "open", T0, by="engine")

    async def send(
        self,
        recipient_id: int,
        key: str,
        *,
        episode: tuple[int, int] | None = None,
        ttl_s: float = 60,
        at: datetime | None = None,
        event: str = "open",
    ) -> None:
        """Put a message into the outbox, due now (or `at`)."""
        episode_id, transition_id = episode or await self.episode()
        now = at or datetime.now(UTC)
        await enqueue(
            self.connection,
            episode_id=episode_id,
            transition_id=transition_id,
            recipient_id=recipient_id,
            dedupe_key=key,
            body={"text": f"企业 {key}", "title": f"企业 {key}", "event": event, "locale": "zh-CN"},
            due=now,
            expires=now + timedelta(seconds=ttl_s),
        )

    async def states(self) -> list[tuple[str, str]]:
        """Return firm (or point) and state of each episode, oldest first."""
        rows = await self.connection.fetch("SELECT cause_key, state FROM episode ORDER BY began, cause_key")
        return [(row["cause_key"], row["state"]) for row in rows]

    async def outbox(self) -> list[Any]:
        rows: list[Any] = await self.connection.fetch("SELECT * FROM outbox ORDER BY outbox_id")
        return rows


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    """A migrated database with one park of two firms."""
    connection = await connect(database_url)
    definition = ParkDefinition(code="p", name_zh="园区", name_en="The Park", firms=[_firm("a"), _firm("b")])
    park = await apply_definition(connection, definition)
    firms = {r["code"]: r["firm_id"] for r in await connection.fetch("SELECT code, firm_id FROM firm")}
    points = {
        (r["firm"], r["code"]): r["point_id"]
        for r in await connection.fetch("SELECT f.code firm, p.code, point_id FROM firm f JOIN point p USING (firm_id)")
    }
    settings = AlertsSettings(database_url, public_url="https://park.example/", catch_up_s=7200)
    yield World(database_url, connection, park.park_id, firms, points, settings)
    await connection.close()


@dataclass(slots=True)
class Receiver:
    """An HTTP server on loopback. `answer` decides on each request; it may be slow or never answer."""

    url: str = ""
    answer: Callable[[str, str], Any] = lambda _path, _key: (200, {})
    requests: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    """Path, key and body of each request, in order of arrival."""
    accepted: list[str] = field(default_factory=list)
    """Keys that were answered with 2xx; one that was accepted before is noted again."""
    seen: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            path = head.split(" ", 2)[1]
            fields = {
                name.lower(): value.strip()
                for name, _, value in (line.partition(":") for line in head.splitlines()[1:] if line)
            }
            body = json.loads(await reader.readexactly(int(fields["content-length"])))
            key = fields["idempotency-key"]
            self.requests.append((path, key, body))
            self.seen.set()
            answer = self.answer(path, key)
            status, headers = await answer if asyncio.iscoroutine(answer) else answer
            if 200 <= status < 300:
                self.accepted.append(key)
            if status == 0:
                return
            lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
            writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: 0\r\nConnection: close\r\n{lines}\r\n".encode())
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the sender has gone: that is what some tests are about
        finally:
            writer.close()

    async def until(self, condition: Callable[[], bool], timeout_s: float = 15) -> None:
        async with asyncio.timeout(timeout_s):
            while not condition():  # noqa: ASYNC110  (what is waited for lies in another process)
                await asyncio.sleep(0.02)


@asynccontextmanager
async def _receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0)
    receiver.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield receiver
    finally:
        server.close()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """A real HTTP receiver."""
    async with _receiver() as found:
        yield found
