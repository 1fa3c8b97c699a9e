"""`greenpark balance` shows what is unaccounted, and which multiplier would explain it."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from cli.balance import By, balance_of
from cli.main import app
from park.definition import FirmDefinition, ParentDefinition, ParkDefinition, PointDefinition
from park.points import Kind
from store.pool import connected
from store.registry import apply_definition

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

pytestmark = pytest.mark.stack

T0 = datetime(2025, 3, 2, 16, tzinfo=UTC)  # midnight in the park
NOW = datetime(2025, 3, 4, tzinfo=UTC)


def point(code: str, *parents: str) -> PointDefinition:
    return PointDefinition(
        code=code,
        name_zh=code,
        name_en=code,
        kind=Kind.REGISTER,
        carrier="electricity",
        unit="kWh",
        edge="gw1",
        parents=[ParentDefinition(point=parent) for parent in parents],
    )


async def fill(connection: Any) -> None:
    """A day of buckets: the incomer takes what A and B take, but B's multiplier is a fortieth of what it should be."""
    firm = FirmDefinition(
        code="f", name_zh="f", name_en="f", industry="t", edges=["gw1"],
        points=[point("E"), point("A", "E"), point("B", "E")],
    )  # fmt: skip
    await apply_definition(connection, ParkDefinition(code="p", name_zh="p", name_en="p", firms=[firm]))
    ids = {row["code"]: row["point_id"] for row in await connection.fetch("SELECT code, point_id FROM point")}
    rows, sums = [], dict.fromkeys(ids, 0.0)
    for k in range(96):
        a, b = 10.0 + k % 7, 20.0 + k % 5
        for code, quantity in (("E", a + b), ("A", a), ("B", b / 40)):
            rows.append((ids[code], T0 + k * timedelta(minutes=15), quantity))
            sums[code] += quantity
    await connection.executemany(
        "INSERT INTO consumption (point_id, bucket, measured, measured_s, estimated_s, closed, run_id)"
        " VALUES ($1, $2, $3, 900, 0, true, 1)",
        rows,
    )
    await connection.executemany(
        "INSERT INTO consumption_period (point_id, grain, period, measured, measured_s, estimated_s, run_id)"
        " VALUES ($1, 'day', $2, $3, 86400, 0, 1)",
        [(ids[code], T0, total) for code, total in sums.items()],
    )


def sql(url: str, work: Callable[[Any], Awaitable[Any]]) -> Any:
    async def go() -> Any:
        async with connected(url) as connection:
            return await work(connection)

    return asyncio.run(go())


def test_a_wrong_multiplier_shows_in_the_balance_and_is_suggested(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The day's balance is open by what B lacks; times 40 it would close. For people and for machines."""
    sql(database_url, fill)
    monkeypatch.setenv("GREENPARK_DATABASE_URL", database_url)
    answer = CliRunner().invoke(app, ["balance", "p/f", "--day", "2025-03-03", "--json"])
    assert answer.exit_code == 0, answer.output
    found = json.loads(answer.stdout)
    [row] = found["balances"]
    assert (row["key"], row["unit"], row["start"]) == ("f/E", "kWh", "2025-03-03T00:00+08:00")
    assert row["unaccounted"] == pytest.approx(sum(20.0 + k % 5 for k in range(96)) * 39 / 40)
    [suspicion] = found["suspicions"]
    assert (suspicion["key"], suspicion["factor"]) == ("f/B", 40)
    text = CliRunner().invoke(app, ["balance", "p/f", "--day", "2025-03-03"]).stdout
    assert "f/B: its multiplier looks wrong; times 40" in text


def test_a_day_is_cut_into_buckets(database_url: str) -> None:
    """Each of the 96 buckets balances for itself; a day without data is unknown and names the points."""
    sql(database_url, fill)
    found, _ = sql(database_url, lambda c: balance_of(c, "p", "f", "2025-03-03", By.BUCKET, NOW))
    assert len(found) == 96
    assert all(row.balance.coverage == 1.0 and row.balance.unaccounted > 15 for row in found)
    [silent], suspicions = sql(database_url, lambda c: balance_of(c, "p", "f", "2025-03-02", By.DAY, NOW))
    assert silent.balance.unknown == ("f/E", "f/A", "f/B")
    assert suspicions == []


@pytest.mark.parametrize(
    ("words", "says"), [(["p"], "PARK/FIRM"), (["p/f", "--day", "yesterday"], "no day"), (["p/x"], "p/x")]
)
def test_what_cannot_be_answered_is_said(
    database_url: str, monkeypatch: pytest.MonkeyPatch, words: list[str], says: str
) -> None:
    """A wrong name or day is told by name."""
    sql(database_url, fill)
    monkeypatch.setenv("GREENPARK_DATABASE_URL", database_url)
    answer = CliRunner().invoke(app, ["balance", *words])
    assert says in str(answer.exception)
