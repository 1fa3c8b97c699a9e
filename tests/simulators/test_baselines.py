"""Baselines of simulated plants: what did not change saves nothing, and what did is found for what it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from park.baselines import choose
from park.observations import Observations, degree_days
from park.performance import savings, track
from simulators.firms import profile
from simulators.quantities import quantities
from simulators.weather import weather

if TYPE_CHECKING:
    from numpy.typing import NDArray

FIRST = 1_735_660_800 // 900
"""The first bucket of 2025, local time."""
YEAR, AFTER = 365, 95


def plant(trade: str) -> Observations:
    """460 days of a plant as its meters see them: energy, production and the weather of Chongqing."""
    n = 96 * (YEAR + AFTER)
    true = quantities(profile(trade), 1.0, 1, "f01", FIRST, n)

    def daily(flow: str) -> NDArray[np.float64]:
        return true[flow].reshape(-1, 96).sum(axis=1) / 1e6

    energy = 0.1229 * daily("electricity") + (1.33 * daily("natural_gas") if "natural_gas" in true else 0)
    hdd, cdd = degree_days(weather(1, FIRST, n).temperature_degc.reshape(-1, 96).mean(axis=1))
    values = {f"production:{p.code}": daily(f"product.{p.code}") for p in profile(trade).products}
    start = np.arange(YEAR + AFTER, dtype=np.int64) * 86_400_000_000
    return Observations("day", "kgce", start, np.ones(len(start)), energy, values | {"hdd18": hdd, "cdd26": cdd})


@pytest.mark.parametrize("trade", ["aluminium", "cement", "glass-fibre", "pcb"])
def test_an_unchanged_plant_saves_nothing_and_a_worse_one_is_found(trade: str) -> None:
    """A quarter after its base year: nought within the interval; 4 % more is 4 %, and alarmed."""
    whole = plant(trade)
    days = np.arange(len(whole))
    model = choose(whole.where(days < YEAR), list(whole.values))
    assert model.usable, model.failed
    after = whole.where(days >= YEAR)
    same = savings(model, after)
    assert abs(same.savings) <= 1.5 * same.uncertainty
    assert not same.significant
    after.energy[:] *= 1.04
    worse = savings(model, after)
    assert (worse.share or 0) == pytest.approx((same.share or 0) - 0.04, abs=0.001)
    assert worse.significant
    alarms = track(model, after).alarm
    assert alarms.count("over") > 60
    assert "under" not in alarms


def test_a_plant_whose_energy_nothing_explains_gets_no_baseline() -> None:
    """A school's days hang on the calendar, not on the weather: the gates say so."""
    whole = plant("school")
    model = choose(whole.where(np.arange(len(whole)) < YEAR), list(whole.values))
    assert not model.usable
    assert "r_squared" in model.failed
