"""A steel plant's year through the platform, and every number worked out again in plain Python.

    python examples/steel/year.py Steel_industry_data.csv --var /tmp/steel

The file (UCI, *Steel Industry Energy Consumption*, CC BY 4.0) is of 2018 and Korea and has no production. Here it is
moved to Chongqing and 2023, the newest year with a published grid factor, and production is made up: 20 kg of steel for
each kWh under load, 4 kg under light load. It is then replayed through a stack of its own below --var, and intensity,
demand, load factor, power factor and CO2 of every day, month and of the year are compared with `recomputed`.
"""  # noqa: INP001  (an example, not a package)

from __future__ import annotations

import argparse
import asyncio
import csv
import json
import math
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from cli.onemachine import fresh_machine
from cli.replay.command import Request, run_replay
from cli.settings import Settings
from store.marking import values
from store.pool import connected

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

HERE = Path(__file__).resolve().parent
MAPPING = HERE / "chongqing-mapping.yaml"
PARK, FIRM, EDGE = "cq-steel", "steel", "archive"
TZ = ZoneInfo("Asia/Shanghai")
KGCE_PER_KWH = 0.1229
"""GB/T 2589, equivalent value."""
KGCO2_PER_KWH = 0.5581
"""Chongqing's grid in 2023, national notice 47 of 2025."""


def moved(lines: Iterable[str]) -> str:
    """Return the file as if it were of 2023, with a column of made-up production."""
    rows = list(csv.DictReader(lines))
    out = ["date,Usage_kWh,Lagging_Current_Reactive.Power_kVarh,Production_t"]
    for row in rows:
        day, _, clock = row["date"].partition(" ")
        d, m, _year = day.split("/")
        t = round(float(row["Usage_kWh"]) * (0.004 if row["Load_Type"] == "Light_Load" else 0.02), 6)
        out.append(f"{d}/{m}/2023 {clock},{row['Usage_kWh']},{row['Lagging_Current_Reactive.Power_kVarh']},{t}")
    return "\n".join(out) + "\n"


def recomputed(lines: Iterable[str]) -> dict[tuple[str, str, str], float]:
    """Return (indicator, grain, first day) to value, with nothing of the platform: sums, a maximum and four quotients.

    All rows of a date are quarters of that day: the row 00:00 closes it.
    """
    quarters: dict[tuple[str, str], list[tuple[float, float, float]]] = {}
    for row in csv.DictReader(lines):
        day = datetime.strptime(row["date"].split(" ")[0], "%d/%m/%Y").date()  # noqa: DTZ007
        quarter = tuple(float(row[name]) for name in row if name != "date")
        for grain, first in (("day", day), ("month", day.replace(day=1)), ("year", day.replace(month=1, day=1))):
            quarters.setdefault((grain, first.isoformat()), []).append(quarter)  # type: ignore[arg-type]
    found = {}
    for (grain, first), rows in quarters.items():
        kwh, kvarh, tonnes = (sum(column) for column in zip(*rows, strict=True))
        demand_kw = 4 * max(row[0] for row in rows)
        found["comprehensive_energy_equivalent", grain, first] = kwh * KGCE_PER_KWH
        found["energy_per_product", grain, first] = kwh * KGCE_PER_KWH / tonnes
        found["maximum_demand", grain, first] = demand_kw
        found["load_factor", grain, first] = 100 * kwh / (demand_kw * len(rows) / 4)
        found["power_factor", grain, first] = kwh / math.hypot(kwh, kvarh)
        found["co2_scope_2_location", grain, first] = kwh * KGCO2_PER_KWH
    return found


def compared(held: Iterable[Mapping[str, Any]], right: Mapping[tuple[str, str, str], float]) -> dict[str, Any]:
    """Compare what the platform holds with what was worked out; `error_max` is relative."""
    have = {
        (row["indicator_id"], row["grain"], row["period"].astimezone(TZ).date().isoformat()): row["value"]
        for row in held
    }
    missing = [key for key in right if have.get(key) is None]
    errors = {key: abs(have[key] - value) / value for key, value in right.items() if key not in missing}
    worst = max(errors, key=lambda key: errors[key], default=None)
    year = {key[0]: value for key, value in right.items() if key[1] == "year"}
    return {
        "values": len(right),
        "missing": len(missing),
        "error_max": errors[worst] if worst else None,
        "worst": worst,
        "year": year,
    }


def write_moved(file: Path, var: Path) -> tuple[Path, str]:
    """Write the moved file below `var`; return where, and its text."""
    text = moved(file.read_text("utf-8-sig").splitlines())
    var.mkdir(parents=True, exist_ok=True)
    year = var / "steel-2023.csv"
    year.write_text(text, "utf-8")
    return year, text


async def through_the_platform(year: Path, text: str, var: Path) -> dict[str, Any]:
    """Replay the moved file into a stack of its own, and compare."""
    async with fresh_machine(var, "steel") as machine:
        await asyncio.to_thread(machine.broker.add_edge, PARK, FIRM, EDGE)
        urls = {"database": machine.database_url, "broker": machine.broker.url_for(f"{PARK}/{FIRM}/{EDGE}")}
        for room in ("ingest", "streams"):
            await machine.start_room(room)
        settings = Settings("example", {name: {"url": url} for name, url in urls.items()})
        await run_replay(Request(year, MAPPING, var), settings)
        right = recomputed(text.splitlines())
        ids, grains = {key[0] for key in right}, ("day", "month", "year")
        async with connected(machine.database_url) as connection:
            found = compared([], right)
            for _ in range(120):  # the indicators follow the ledger, which the replay waited for
                found = compared(await values(connection, PARK, FIRM, sorted(ids), grains), right)
                if not found["missing"] and found["error_max"] < 1e-9:
                    break
                await asyncio.sleep(0.5)
    return found


def main() -> None:
    """Run, print, and end with status 1 where a number differs by more than a millionth."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--var", type=Path, default=Path("var"))
    arguments = parser.parse_args()
    var = arguments.var.resolve()
    found = asyncio.run(through_the_platform(*write_moved(arguments.file, var), var))
    print(json.dumps(found, indent=2))
    if found["missing"] or found["error_max"] > 1e-6:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
