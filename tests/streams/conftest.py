"""One small park whose readings the tests write themselves."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from park.calendar import to_us
from park.definition import FirmDefinition, InstallationDefinition, ParkDefinition, PointDefinition
from park.points import Direction, Kind
from store.copying import copy_rows
from store.pool import connect, open_pool
from store.registry import apply_definition
from streams.process import once
from streams.settings import StreamsSettings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

START = datetime(2025, 1, 1, tzinfo=UTC)


def point(code: str, carrier: str, unit: str, direction: Direction = Direction.IN, **more: Any) -> PointDefinition:
    """A register read every 15 minutes since 2025."""
    meter = {"serial": f"S-{code}", "valid_from": START, "modulus": 1e6, "multiplier": 1.0} | more.pop("meter", {})
    return PointDefinition(
        code=code,
        name_zh=code,
        name_en=code,
        kind=Kind.REGISTER,
        carrier=carrier,
        unit=unit,
        edge="gw1",
        direction=direction,
        installations=[InstallationDefinition(**meter)],
        **more,
    )


def firm(code: str, *, industrial: bool = True, product: str = "cell", unit: str = "piece") -> FirmDefinition:
    """A firm with electricity, fresh and recycled water, and a product."""
    return FirmDefinition(
        code=code,
        name_zh=code,
        name_en=code,
        industry="test",
        industrial=industrial,
        edges=["gw1"],
        points=[
            point("E", "electricity", "kWh", meter={"multiplier": 10.0}),
            point("F", "fresh_water", "m3"),
            point("R", "recycled_water", "m3", Direction.INTERNAL),
            point("P", "product", unit, Direction.INTERNAL, product=product),
        ],
    )


@dataclass
class World:
    """A database with parks in it, and hands to write readings."""

    url: str
    pool: Any
    connection: Any
    points: dict[tuple[str, str], int]
    settings: StreamsSettings

    async def read(self, firm_code: str, code: str, times: Sequence[datetime], values: Sequence[float]) -> None:
        """Store readings as ingest does: rows, and a mark of what they touch."""
        point_id = self.points[firm_code, code]
        n = len(times)
        async with self.connection.transaction():
            await copy_rows(
                self.connection,
                "reading",
                [
                    ("point_id", "int4", np.full(n, point_id)),
                    ("t", "timestamptz", np.array([to_us(t) for t in times])),
                    ("value", "float8", np.array(values, float)),
                    ("quality", "int2", np.zeros(n, np.int16)),
                    ("batch_id", "int8", np.zeros(n, np.int64)),
                ],
            )
            await self.connection.execute(
                "INSERT INTO dirty (firm_id, point_id, t_from, t_to, cause)"
                " SELECT firm_id, point_id, $2, $3, 'reading' FROM point WHERE point_id = $1",
                point_id,
                min(times),
                max(times),
            )

    async def compute(self) -> None:
        """Let the streams do all that waits."""
        await once(self.settings, self.pool)

    async def ledger(self, *columns: str) -> list[tuple[Any, ...]]:
        """Return columns of the ledger by point and bucket."""
        rows = await self.connection.fetch(f"SELECT {', '.join(columns)} FROM consumption ORDER BY point_id, bucket")
        return [tuple(row) for row in rows]


@asynccontextmanager
async def world_at(database_url: str, definition: ParkDefinition | None = None) -> AsyncIterator[World]:
    """A park of two firms and a school that answers for both first target packs, in a migrated database."""
    definition = definition or ParkDefinition(
        code="p",
        name_zh="园",
        name_en="Park",
        target_packs=["tongliang-district-2025", "qijiang-district-2025"],
        firms=[firm("a"), firm("b"), firm("school", industrial=False)],
    )
    connection = await connect(database_url)
    try:
        await apply_definition(connection, definition)
        rows = await connection.fetch(
            "SELECT f.code AS f, p.code AS p, point_id FROM point p JOIN firm f USING (firm_id)"
        )
        points = {(row["f"], row["p"]): row["point_id"] for row in rows}
        async with open_pool(database_url, application="test") as pool:
            yield World(database_url, pool, connection, points, StreamsSettings(database_url))
    finally:
        await connection.close()


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    """`world_at` a database of this test's own."""
    async with world_at(database_url) as found:
        yield found


@pytest.fixture
def world_in() -> Any:
    """`world_at`, for tests that bring a server of their own."""
    return world_at


@pytest.fixture
def firm_of() -> Any:
    """`firm`, for tests that describe a park of their own."""
    return firm
