"""What panels show against the simulator's truth: readings in, numbers computed, panels asked as a viewer asks.

The numbers on the right are sums of true flows, computed here from the truth's arrays and nothing of ours.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from dashboards.build import parsed
from dashboards.lint import queries_of, variables_of
from dashboards.macros import Variable, View, expand, substitute
from simulators.scenarios import scenario
from simulators.stream import build
from store.copying import copy_rows
from store.ledger import mark_firm
from store.pool import connected, open_pool
from store.registry import apply_definition
from store.tenants import add_tenant
from streams.process import once
from streams.settings import StreamsSettings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from simulators.truth import Truth

pytestmark = pytest.mark.stack

SHANGHAI = timezone(timedelta(hours=8))
REUSE = ("recirculated_water", "cascaded_water", "recycled_water")
TO_BASE = {"kWh": 1.0, "MWh": 1e3, "m3": 1.0, "t": 1.0, "kg": 1e-3, "L": 1e-3, "piece": 1.0}


@dataclass(frozen=True, slots=True)
class Shown:
    """A park of two days with its truth, and a viewer of the park.

    Attributes:
        names: English name of each firm by code.
        start, end: of the whole hours that the readings cover.
    """

    truth: Truth
    connection: Any
    park: str
    names: Mapping[str, str]
    start: datetime
    end: datetime

    async def panel(self, page: str, title: str, **chosen: str) -> list[Any]:
        """Ask the first query of a panel as Grafana would, all firms chosen where many may be."""
        document = parsed()[f"en/{page}.json"]
        [panel] = [panel for panel in document["panels"] if panel["title"] == title]
        place = f"panel {panel['id']} {title} {panel['targets'][0]['refId']}"
        [statement] = [one for one in queries_of(document) if one.place == place]
        many = variables_of(document)
        values = {"park": (self.park,), "firm": tuple(self.names)} | {name: (one,) for name, one in chosen.items()}
        variables = {name: Variable(values.get(name, ("",)), many=quoted) for name, quoted in many.items()}
        view = View(self.start, self.end - timedelta(seconds=1), timedelta(hours=1), timescaledb=True)
        return await self.connection.fetch(expand(substitute(statement.sql, variables), view))

    def rows(self, carrier: str, direction: str | None = None, firm: str | None = None) -> list[int]:
        """Rows of the truth."""
        return [
            k
            for k, p in enumerate(self.truth.points)
            if p.carrier == carrier
            and p.kind != "gauge"
            and (direction is None or p.direction == direction)
            and (firm is None or p.firm == firm)
        ]

    def amount(self, rows: list[int], start: datetime, end: datetime) -> float:
        """True quantity in the unit that panels show."""
        t = self.truth.bucket_us
        inside = (t >= start.timestamp() * 1e6) & (t < end.timestamp() * 1e6)
        return sum(float(self.truth.quantity[k, inside].sum()) * TO_BASE[self.truth.points[k].unit] for k in rows)

    def within(self, rows: list[int], boundaries: int = 2) -> float:
        """How far a right ledger may be off: a step of the dial at each end."""
        return 1e-6 + boundaries * sum(self.truth.points[k].step * TO_BASE[self.truth.points[k].unit] for k in rows)


@pytest.fixture
async def shown(database_url: str) -> AsyncIterator[Shown]:
    """Two quiet days of the demonstration park, read, computed and looked at."""
    truth = build(scenario("quiet")).truth
    async with connected(database_url) as connection:
        applied = await apply_definition(connection, truth.park)
        ids = {
            (r["firm"], r["code"]): (r["point_id"], r["firm_id"])
            for r in await connection.fetch(
                "SELECT f.code AS firm, p.code, p.point_id, p.firm_id FROM point AS p JOIN firm AS f USING (firm_id)"
            )
        }
        of_row = np.array([ids[p.firm, p.code][0] for p in truth.points], np.int32)
        n = len(truth.reading_value)
        await copy_rows(
            connection,
            "reading",
            [
                ("point_id", "int4", of_row[truth.reading_point]),
                ("t", "timestamptz", truth.reading_t_us),
                ("value", "float8", truth.reading_value),
                ("quality", "int2", truth.reading_quality.astype(np.int16)),
                ("batch_id", "int8", np.zeros(n, np.int64)),
            ],
        )
        for firm_id in {firm for _, firm in ids.values()}:
            await mark_firm(connection, firm_id, None, "history")
        async with open_pool(database_url, application="test streams", min_size=1, max_size=2) as pool:
            await once(StreamsSettings(database_url=database_url), pool)
        role = await add_tenant(connection, truth.park.code, None)
        names = {r["code"]: r["name_en"] for r in await connection.fetch("SELECT code, name_en FROM firm ORDER BY 1")}
        start, end = (datetime.fromtimestamp(truth.bucket_us[k] / 1e6, UTC) for k in (0, -1))
        async with connected(database_url) as viewer:
            await viewer.execute(f"SET ROLE {role}; SET search_path = public")
            yield Shown(truth, viewer, truth.park.code, names, start, end + timedelta(minutes=15))
        assert applied.park_id
        await connection.execute(f"DROP OWNED BY {role}")


async def test_panels_show_the_truth(shown: Shown) -> None:
    """Curves, tables and numbers of seven pages equal sums of the true flows, to a step of the dial."""
    await _hours_of_electricity(shown)
    await _load_of_the_last_day(shown)
    await _carriers(shown)
    await _water(shown)
    await _one_firm(shown)
    await _peaks_and_nights(shown)
    await _quality(shown)


async def _hours_of_electricity(shown: Shown) -> None:
    rows = await shown.panel("energy", "Electricity")
    seen = {(r["time"], r["metric"]): r["value"] for r in rows if r["value"] is not None}
    compared = 0
    for code, name in shown.names.items():
        meters = shown.rows("electricity", "in", code)
        # The first and the last hour have no reading beyond them.
        for k in range(1, int((shown.end - shown.start) / timedelta(hours=1)) - 1):
            hour = shown.start + k * timedelta(hours=1)
            if meters:
                wanted = shown.amount(meters, hour, hour + timedelta(hours=1))
                assert seen[hour, name] == pytest.approx(wanted, abs=shown.within(meters)), (name, hour)
                compared += 1
    assert compared > 400
    assert "Provisional, period not over" not in {metric for _, metric in seen}


async def _load_of_the_last_day(shown: Shown) -> None:
    rows = await shown.panel("park-today", "Load, 15 minutes, last day")
    seen = {(r["time"], r["metric"]): r["value"] for r in rows if r["value"] is not None}
    code, name = next(iter(shown.names.items()))
    meters = shown.rows("electricity", "in", code)
    quarter = timedelta(minutes=15)
    for k in range(4, 92):
        bucket = shown.end - k * quarter
        wanted = 4 * shown.amount(meters, bucket, bucket + quarter)
        assert seen[bucket, name] == pytest.approx(wanted, abs=4 * shown.within(meters)), bucket


async def _carriers(shown: Shown) -> None:
    rows = await shown.panel("energy", "Carriers")
    seen = {(r["carrier"], r["direction"]): r for r in rows}
    for carrier, word in (("electricity", "Electricity"), ("natural_gas", "Natural gas")):
        meters = shown.rows(carrier, "in")
        row = seen[word, "In"]
        wanted = shown.amount(meters, shown.start, shown.end)
        # The edges of the two days may be unknown to the meters; no more than that.
        edge = shown.amount(meters, shown.start, shown.start + timedelta(minutes=15)) + shown.amount(
            meters, shown.end - timedelta(minutes=15), shown.end
        )
        assert (
            wanted - edge - shown.within(meters)
            <= row["measured"] + (row["estimated"] or 0)
            <= wanted + shown.within(meters)
        )
        assert row["firms"] == len({shown.truth.points[k].firm for k in meters})


async def _water(shown: Shown) -> None:
    table = {r["firm_code"]: r for r in await shown.panel("water", "Water by firm")}
    for code in shown.names:
        for column, rows in (
            ("fresh", shown.rows("fresh_water", "in", code)),
            ("reused", [k for carrier in REUSE for k in shown.rows(carrier, None, code)]),
            ("discharge", shown.rows("wastewater", "out", code)),
        ):
            if rows:
                wanted = shown.amount(rows, shown.start, shown.end)
                assert table[code][column] == pytest.approx(wanted, rel=0.02, abs=shown.within(rows)), (code, column)
    start, end = _whole_days(shown)
    name = await _park_name(shown)
    park = [
        r["value"]
        for r in await shown.panel("water", "Water reuse rate")
        if r["time"] == start and r["metric"].startswith(name) and r["value"] is not None
    ]
    # GB/T 7119: what is used again, by that and the fresh water taken in; the hospital is no industry.
    industrial = [firm.code for firm in shown.truth.park.firms if firm.industrial]
    assert len(industrial) < len(shown.names)
    reused = shown.amount(
        [k for f in industrial for carrier in REUSE for k in shown.rows(carrier, None, f)], start, end
    )
    intake = shown.amount([k for f in industrial for k in shown.rows("fresh_water", "in", f)], start, end)
    assert park == [pytest.approx(100 * reused / (reused + intake), abs=0.05)]
    [totals] = await shown.panel("water", "Water")
    assert totals["reuse"] == pytest.approx(100 * reused / (reused + intake), abs=0.3)


async def _park_name(shown: Shown) -> str:
    return str(await shown.connection.fetchval("SELECT name_en FROM greenpark.park"))


async def _one_firm(shown: Shown) -> None:
    code = next(iter(shown.names))
    rows = await shown.panel("firm", "Consumption by carrier and workshop", firm=code)
    seen = {r["point"].partition(" ")[0]: r for r in rows}
    points = [(k, p) for k, p in enumerate(shown.truth.points) if p.firm == code and p.unit in TO_BASE]
    for k, point in points:
        wanted = shown.amount([k], shown.start, shown.end)
        assert (seen[point.code]["measured"] or 0) + (seen[point.code]["estimated"] or 0) == pytest.approx(
            wanted, rel=0.02, abs=shown.within([k])
        ), point.code
    assert len(points) > 4


async def _peaks_and_nights(shown: Shown) -> None:
    day, _ = _whole_days(shown)
    hour = timedelta(hours=1)
    meters = shown.rows("electricity", "in")
    hours = [shown.amount(meters, day + k * hour, day + (k + 1) * hour) for k in range(24)]
    peaks = {(r["time"], r["metric"]): r["value"] for r in await shown.panel("energy", "Peak and mean of each day")}
    assert peaks[day, "Highest hourly mean"] == pytest.approx(max(hours), abs=shown.within(meters))
    assert peaks[day, "Mean power"] == pytest.approx(float(np.mean(hours)), abs=shown.within(meters))
    nights = {(r["time"], r["metric"]): r["value"] for r in await shown.panel("water", "Lowest flow at night")}
    for code, name in shown.names.items():
        rows = shown.rows("fresh_water", "in", code)
        if rows and (day, name) in nights:
            lowest = min(shown.amount(rows, day + k * hour, day + (k + 1) * hour) for k in range(1, 5))
            assert nights[day, name] == pytest.approx(lowest, abs=shown.within(rows)), name


async def _quality(shown: Shown) -> None:
    rows = await shown.panel("quality", "What the data are made of")
    inner = [r for r in rows if shown.start < r["time"] < shown.end - timedelta(hours=2) and r["metric"] == "Measured"]
    assert inner
    assert all(r["value"] == pytest.approx(100, abs=0.5) for r in inner), json.dumps([r["value"] for r in inner])


def _whole_days(shown: Shown) -> tuple[datetime, datetime]:
    """The first whole local day, as an instant, and its end."""
    local = shown.start.astimezone(SHANGHAI)
    day = local.replace(hour=0, minute=0)
    day = day if day == local else day + timedelta(days=1)
    return day.astimezone(UTC), (day + timedelta(days=1)).astimezone(UTC)
