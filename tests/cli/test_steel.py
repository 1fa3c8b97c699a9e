"""The steel plant of the example: the platform's numbers are those that a few lines of plain Python give."""

from __future__ import annotations

import importlib.util
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from cli.replay.command import Request, run_replay
from cli.settings import Settings
from ingest.process import run as run_ingest
from ingest.settings import IngestSettings
from store.marking import values
from store.pool import connected, open_pool
from streams.process import once
from streams.process import run as run_streams
from streams.settings import StreamsSettings
from tests.cli.test_replay_path import running

if TYPE_CHECKING:
    from cli.stack.mosquitto import Broker

EXAMPLES = Path(__file__).parents[2] / "examples" / "steel"
_spec = importlib.util.spec_from_file_location("steel_year", EXAMPLES / "year.py")
assert _spec is not None
assert _spec.loader is not None
year: Any = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(year)
TEXT = year.moved((EXAMPLES / "excerpt.csv").read_text("utf-8-sig").splitlines())


def test_the_excerpt_is_four_whole_days_moved_to_2023_with_production() -> None:
    """Thursday to Sunday, 96 quarters each, and steel in every one."""
    lines = TEXT.splitlines()
    assert len(lines) == 1 + 4 * 96
    assert {line.split(" ")[0] for line in lines[1:]} == {f"{day}/3/2023" for day in (1, 2, 3, 4)}
    assert min(float(line.split(",")[-1]) for line in lines[1:]) > 0


def test_a_day_of_the_plain_computation_by_hand() -> None:
    """Four quarters of 10, 20, 30 and 60 kWh: 120 kWh, 240 kW at most, a load of an eighth of that over the hour."""
    rows = [f"2/3/2023 0:{m},{kwh},{kwh},1" for m, kwh in ((15, 10), (30, 20), (45, 30), (59, 60))]
    found = year.recomputed(["date,Usage_kWh,Lagging,Production_t", *rows])
    assert found["maximum_demand", "day", "2023-03-02"] == 240
    assert found["load_factor", "day", "2023-03-02"] == pytest.approx(100 * 120 / 240)
    assert found["energy_per_product", "month", "2023-03-01"] == pytest.approx(120 * 0.1229 / 4)
    assert found["co2_scope_2_location", "year", "2023-01-01"] == pytest.approx(120 * 0.5581)
    assert found["power_factor", "day", "2023-03-02"] == pytest.approx(0.5**0.5)


@pytest.mark.stack
async def test_intensity_demand_load_and_carbon_of_the_excerpt_are_recomputed(
    tmp_path: Path, broker: Broker, database_url: str
) -> None:
    """Through broker, ingest, ledger and indicators: equal to 1e-12; of the month too little is known."""
    park = f"cq{secrets.token_hex(4)}"
    for name in ("chongqing.yaml", "chongqing-mapping.yaml"):
        (tmp_path / name).write_text((EXAMPLES / name).read_text("utf-8").replace(year.PARK, park), "utf-8")
    (tmp_path / "moved.csv").write_text(TEXT, "utf-8")
    user = f"{park}/{year.FIRM}/{year.EDGE}"
    password = broker.add_edge(park, year.FIRM, year.EDGE)
    url = f"mqtt://{quote(user, safe='')}:{quote(password, safe='')}@127.0.0.1:{broker.port}"
    settings = Settings("environment", {"database": {"url": database_url}, "broker": {"url": url}})
    streams = StreamsSettings(database_url, poll_s=0.5, min_pass_s=0.05)
    ingest = IngestSettings(database_url, broker.url_for("ingest"), share_group=park, session_expiry_s=60)
    async with running(run_ingest, ingest), running(run_streams, streams):
        await run_replay(Request(tmp_path / "moved.csv", tmp_path / "chongqing-mapping.yaml", tmp_path), settings)
    async with open_pool(database_url, application="test") as pool:
        await once(streams, pool)
    right = year.recomputed(TEXT.splitlines())
    ids = sorted({key[0] for key in right})
    async with connected(database_url) as connection:
        held = await values(connection, park, year.FIRM, ids, ("day", "month", "year"))
    days = {key: value for key, value in right.items() if key[1] == "day"}
    found = year.compared(held, days)
    assert (found["values"], found["missing"]) == (4 * len(ids), 0)
    assert found["error_max"] < 1e-12
    assert {row["reason"] for row in held if row["grain"] != "day"} == {"coverage_too_low"}
