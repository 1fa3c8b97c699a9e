"""Virtual points, tariff periods and balances follow the ledger, whatever changes."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from park.definition import FirmDefinition, ParentDefinition, ParkDefinition, PointDefinition
from park.errors import GraphError
from park.graph import Role
from park.points import Direction, Kind
from store.registry import apply_definition
from tests.streams.conftest import point

if TYPE_CHECKING:
    from tests.streams.conftest import World

pytestmark = pytest.mark.stack

T0 = datetime(2025, 3, 2, 16, tzinfo=UTC)  # midnight of 3 March in the park
QUARTER = timedelta(minutes=15)


def virtual(code: str, formula: str, **more: Any) -> PointDefinition:
    named = {"name_zh": code, "name_en": code, "carrier": "electricity", "unit": "kWh"}
    return PointDefinition(code=code, kind=Kind.VIRTUAL, formula=formula, direction=Direction.INTERNAL, **named, **more)


def under(parent: str, firm: str | None = None, **more: Any) -> list[ParentDefinition]:
    return [ParentDefinition(point=parent, firm=firm, **more)]


def sub_meter(code: str, unit: str = "kWh", **more: Any) -> PointDefinition:
    return point(code, "electricity", unit, Direction.INTERNAL, **more)


def site(*points: PointDefinition, code: str = "site") -> FirmDefinition:
    return FirmDefinition(code=code, name_zh=code, name_en=code, industry="test", edges=["gw1"], points=list(points))


async def apply(world: World, *firms: FirmDefinition) -> None:
    """Apply a document of these firms; the others of the world stay."""
    await apply_definition(world.connection, ParkDefinition(code="p", name_zh="园", name_en="Park", firms=list(firms)))
    rows = await world.connection.fetch(
        "SELECT f.code AS f, p.code AS p, point_id FROM point p JOIN firm f USING (firm_id)"
    )
    world.points.update({(row["f"], row["p"]): row["point_id"] for row in rows})


async def steady(world: World, code: str, per_quarter: float, n: int, firm: str = "site", start: datetime = T0) -> None:
    """Readings of a meter that moves the same in every quarter hour, `n` of them."""
    times = [start + k * QUARTER for k in range(n + 1)]
    await world.read(firm, code, times, [per_quarter * k for k in range(n + 1)])


async def rows_of(world: World, code: str, *columns: str) -> list[tuple[Any, ...]]:
    sql = f"SELECT {', '.join(columns)} FROM consumption WHERE point_id = $1 ORDER BY bucket"
    return [tuple(row) for row in await world.connection.fetch(sql, world.points["site", code])]


INCOMER = point("E-001", "electricity", "kWh")
REST = virtual("V", "E-001 - E-002")


async def test_a_virtual_point_moves_with_its_inputs_and_is_rolled_up(world: World) -> None:
    """Bucket by bucket, units converted, in hours and days; without one of its inputs it is unknown."""
    await apply(world, site(INCOMER, sub_meter("E-002", "MWh"), REST))
    await steady(world, "E-001", 10, 8)
    await world.compute()
    assert await rows_of(world, "V", "measured") == []
    await steady(world, "E-002", 0.004, 6)
    await world.compute()
    assert await rows_of(world, "V", "round(measured::numeric, 9)::float8", "measured_s") == [(6.0, 900.0)] * 6
    sql = "SELECT grain, measured, measured_s FROM consumption_period WHERE point_id = $1 ORDER BY grain"
    found = await world.connection.fetch(sql, world.points["site", "V"])
    assert {row["grain"]: row["measured"] for row in found}["day"] == pytest.approx(36.0)
    assert {row["grain"] for row in found} == {"hour", "day", "month", "year"}


async def test_an_estimate_of_an_input_is_an_estimate_and_a_late_reading_revises_it(world: World) -> None:
    """The virtual point takes over what its inputs are worth, and keeps what it said before."""
    await apply(world, site(INCOMER, sub_meter("E-002"), REST))
    await steady(world, "E-001", 10, 4)
    await world.read("site", "E-002", [T0, T0 + 4 * QUARTER], [0, 8])
    await world.compute()
    assert await rows_of(world, "V", "measured", "estimated") == [(None, 8.0)] * 4
    await world.read("site", "E-002", [T0 + QUARTER * k for k in (1, 2, 3)], [5, 6, 7])
    await world.compute()
    assert await rows_of(world, "V", "measured", "estimated", "revision") == [
        (5.0, None, 1),
        (9.0, None, 1),
        (9.0, None, 1),
        (9.0, None, 1),
    ]
    kept = await world.connection.fetchval(
        "SELECT count(*) FROM consumption_revision WHERE point_id = $1", world.points["site", "V"]
    )
    assert kept == 4


async def test_a_changed_formula_is_computed_again_over_all_that_was_read(world: World) -> None:
    """The inputs did not change; the virtual point does, also where it rests on another virtual point."""
    await apply(world, site(INCOMER, sub_meter("E-002"), REST))
    await steady(world, "E-001", 10, 4)
    await steady(world, "E-002", 4, 4)
    await world.compute()
    await apply(world, site(INCOMER, sub_meter("E-002"), virtual("V", "2 * W"), virtual("W", "E-001 + E-002")))
    await world.compute()
    assert await rows_of(world, "V", "measured", "revision") == [(28.0, 1)] * 4
    assert await rows_of(world, "W", "measured", "revision") == [(14.0, 0)] * 4


@pytest.mark.parametrize("seed", range(3))
async def test_a_virtual_point_is_the_same_in_any_order_of_arrival(world: World, seed: int) -> None:
    """Pieces of the inputs in any order end where everything at once does."""
    await apply(world, site(INCOMER, sub_meter("E-002"), REST))
    rng = random.Random(seed)
    pieces = []
    for code in ("E-001", "E-002"):
        dial, readings = 0.0, []
        for k in range(60):
            dial += rng.uniform(0, 9)
            if rng.random() > 0.15:
                readings.append((T0 + k * QUARTER, dial))
        pieces += [(code, readings[k::4]) for k in range(4)]
    rng.shuffle(pieces)
    for code, readings in pieces:
        await world.read("site", code, [t for t, _ in readings], [v for _, v in readings])
        if rng.random() < 0.6:
            await world.compute()
    await world.compute()
    columns = ("bucket", "measured", "estimated", "measured_s", "estimated_s", "flags")
    grown = await rows_of(world, "V", *columns)
    assert len(grown) > 40
    await world.connection.execute("TRUNCATE consumption, consumption_period, consumption_revision, consumption_tariff")
    sql = (
        "INSERT INTO dirty (firm_id, point_id, t_from, t_to, cause) SELECT firm_id, point_id, $1, $2, 'all' FROM point"
    )
    await world.connection.execute(sql, T0, T0 + 60 * QUARTER)
    await world.compute()
    again = await rows_of(world, "V", *columns)
    assert [row[0] for row in again] == [row[0] for row in grown]
    for a, b in zip(grown, again, strict=True):
        assert a[1:] == pytest.approx(b[1:], abs=1e-9)


async def tariff(world: World, grain: str, code: str = "E-001") -> dict[str, float]:
    sql = (
        "SELECT tariff_class, sum(measured) AS q FROM consumption_tariff WHERE grain = $1 AND point_id = $2 GROUP BY 1"
    )
    rows = await world.connection.fetch(sql, grain, world.points["site", code])
    return {row["tariff_class"]: pytest.approx(row["q"]) for row in rows}


async def test_electricity_is_divided_among_the_tariff_periods(world: World) -> None:
    """A steady kWh per quarter hour of a March day and a July day; months are the sums of their days."""
    await apply(world, site(INCOMER, sub_meter("E-002"), REST))
    await steady(world, "E-001", 1, 96)
    await steady(world, "E-002", 0.25, 96)
    await world.compute()
    assert await tariff(world, "day") == {"peak": 32, "flat": 32, "valley": 32}
    assert await tariff(world, "month") == {"peak": 32, "flat": 32, "valley": 32}
    assert await tariff(world, "day", "V") == {"peak": 24, "flat": 24, "valley": 24}
    july = datetime(2025, 7, 10, 16, tzinfo=UTC)
    await world.read("site", "E-001", [july + k * QUARTER for k in range(193)], [1000 + k for k in range(193)])
    await world.compute()
    assert await tariff(world, "month") == {"sharp": 16, "peak": 32 + 48, "flat": 32 + 64, "valley": 32 + 64}


async def test_a_late_reading_moves_the_tariff_periods(world: World) -> None:
    """What was an even share becomes what was measured, in day and month; nothing is counted twice."""
    await apply(world, site(INCOMER))
    await world.read("site", "E-001", [T0, T0 + 96 * QUARTER], [0, 96])
    await world.compute()
    sql = (
        "SELECT tariff_class, measured, estimated FROM consumption_tariff"
        " WHERE grain = 'month' AND point_id = $1 ORDER BY 1"
    )
    rows = await world.connection.fetch(sql, world.points["site", "E-001"])
    assert [tuple(row) for row in rows] == [("flat", None, 32.0), ("peak", None, 32.0), ("valley", None, 32.0)]
    await world.read("site", "E-001", [T0 + 32 * QUARTER], [90])
    await world.compute()
    rows = await world.connection.fetch(sql, world.points["site", "E-001"])
    found = {row["tariff_class"]: row["estimated"] for row in rows}
    assert found == {"flat": pytest.approx(3), "peak": pytest.approx(3), "valley": pytest.approx(90)}


async def balance_rows(world: World, grain: str = "day") -> dict[str, Any]:
    sql = "SELECT code, b.* FROM balance AS b JOIN point AS p USING (point_id) WHERE grain = $1 AND period = $2"
    start = T0 if grain == "day" else datetime(2025, 2, 28, 16, tzinfo=UTC)
    return {row["code"]: row for row in await world.connection.fetch(sql, grain, start)}


async def test_a_balance_is_written_for_every_node_and_day(world: World) -> None:
    """Supply less load less declared loss, generation counted in, across firms; the month knows its coverage."""
    await apply(
        world,
        site(
            msgspec.structs.replace(INCOMER, loss_share=0.02),
            sub_meter("E-002", parents=under("E-001")),
            sub_meter("PV", parents=under("E-001"), role=Role.GENERATION),
        ),
        site(point("E-101", "electricity", "kWh", parents=under("E-001", "site")), code="guest"),
    )
    for code, amount in (("E-001", 10.0), ("E-002", 6.0), ("PV", 2.0)):
        await steady(world, code, amount, 96)
    await world.compute()
    assert (await balance_rows(world))["E-001"]["unaccounted"] is None
    assert (await balance_rows(world))["E-001"]["unknown"] == ["guest/E-101"]
    await steady(world, "E-101", 5.0, 96, "guest")
    await world.compute()
    row = (await balance_rows(world))["E-001"]
    assert (row["supply"], row["load"], row["loss"]) == pytest.approx((1152, 1056, 23.04))
    assert row["unaccounted"] == pytest.approx(72.96)
    assert row["share"] == pytest.approx(72.96 / 1152)
    assert (await balance_rows(world, "month"))["E-001"]["coverage"] < 0.05


async def test_a_changed_graph_is_balanced_again(world: World) -> None:
    """A node that is none any more has no balance; a new one gets those of the days that are there."""
    meters = [INCOMER, sub_meter("A", parents=under("E-001")), sub_meter("B", parents=under("E-001"))]
    await apply(world, site(*meters))
    for code, amount in (("E-001", 10.0), ("A", 6.0), ("B", 3.0)):
        await steady(world, code, amount, 96)
    await world.compute()
    assert (await balance_rows(world))["E-001"]["unaccounted"] == pytest.approx(96)
    moved = msgspec.structs.replace(meters[2], parents=under("A"))
    await apply(world, site(meters[0], meters[1], moved))
    await world.compute()
    found = await balance_rows(world)
    assert found["E-001"]["unaccounted"] == pytest.approx(4 * 96)
    assert found["A"]["unaccounted"] == pytest.approx(3 * 96)
    await apply(world, site(meters[0], *(msgspec.structs.replace(each, parents=[]) for each in meters[1:])))
    await world.compute()
    assert await balance_rows(world) == {}


async def test_a_circle_through_what_a_document_leaves_out_is_refused_whole(world: World) -> None:
    """The database holds points that the document does not name; together they must still be a forest."""
    await apply(world, site(sub_meter("A", parents=under("B")), sub_meter("B")))
    await apply(world, site(sub_meter("B", parents=under("C")), sub_meter("C")))
    with pytest.raises(GraphError, match="above itself"):
        await apply(world, site(sub_meter("C", parents=under("A"))))
    assert await world.connection.fetchval("SELECT count(*) FROM point_parent") == 2
