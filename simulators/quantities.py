"""What really happened: the quantity of every flow in every 15-minute bucket, and its total at any instant.

Quantities are int64 in millionths of the flow's unit, so that sums are exact in any order and balances close to the
last digit. A bucket's value is a function of (seed, firm, bucket number) alone: any window equals the slice of a
longer one, and history continues live without a seam.

Only +, −, ×, ÷ and rounding touch windows here; shapes that need more come from tables (see `simulators.noise`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from simulators.days import day_level
from simulators.firms import SLOTS
from simulators.noise import key, normal
from simulators.weather import LOCAL_SHIFT, Weather, calendar_day, local_day, weather

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from simulators.firms import Load, Profile, Work

    Micro = NDArray[np.int64]
    Rates = NDArray[np.float64]

MICRO: Final = 1_000_000
"""Parts of a unit in which truth is counted."""
_H: Final = 0.25
_WARM_C: Final = 22.0
_COLD_C: Final = 12.0


@dataclass(frozen=True, slots=True)
class Drive:
    """How busy a firm is, per bucket, 1 being full production, shape (n,).

    Attributes:
        level: machines are on.
        activity: goods come out; follows `level` with the ramp after a standing start.
    """

    level: Rates
    activity: Rates


def drive(work: Work, seed: int, firm: str, first: int, count: int) -> Drive:
    """Return how busy the firm is in `count` buckets from bucket number `first` on."""
    ramp = max(1, work.ramp_min // 15)
    before = ramp - 1
    start = first - before
    level = _level(work, seed, firm, start, count + before)
    mean = np.zeros(count)
    for lag in range(ramp):
        mean += level[before - lag : before - lag + count]
    now = level[before:]
    return Drive(now, np.minimum(now, mean / ramp))


def _level(work: Work, seed: int, firm: str, first: int, count: int) -> Rates:
    first_day = local_day(first) - 1
    days = local_day(first + max(count, 1) - 1) - first_day + 1
    factor = np.array([day_level(work, calendar_day(first_day + d)) for d in range(days)])
    factor = factor * (1.0 + work.day_noise * normal(key(seed, firm, "day"), first_day, days))
    own, carried = _shift_slots(work)
    buckets = np.arange(first + LOCAL_SHIFT, first + LOCAL_SHIFT + count)
    day, slot = buckets // SLOTS - first_day, buckets % SLOTS
    return factor[day] * own[slot] + factor[day - 1] * carried[slot]


def _shift_slots(work: Work) -> tuple[Rates, Rates]:
    """Return the level by slot of the day's own shifts, and of shifts that began the day before."""
    own, carried = np.zeros(SLOTS), np.zeros(SLOTS)
    for shift in work.shifts:
        start, end = _slot(shift.start), _slot(shift.end)
        if start < end:
            own[start:end] = shift.level
        else:
            own[start:] = shift.level
            carried[:end] = shift.level
    return own, carried


def _months(first: int, count: int) -> NDArray[np.int64]:
    """Return the local month of each bucket, January being 0."""
    days = (np.arange(first, first + count) + LOCAL_SHIFT) // SLOTS
    start = local_day(first)
    months = [calendar_day(day).month - 1 for day in range(start, local_day(first + max(count, 1) - 1) + 1)]
    return np.array(months, np.int64)[days - start]


def _slot(clock: str) -> int:
    return int(clock[:2]) * 4 + int(clock[3:]) // 15


def quantities(profile: Profile, scale: float, seed: int, firm: str, first: int, count: int) -> dict[str, Micro]:
    """Return the true quantity of every flow of a firm.

    Args:
        profile: the trade.
        scale: size of the firm relative to the profile.
        seed: of the park; weather is shared by its firms.
        firm: code of the firm, which names its random streams.
        first: number of the first bucket, 15-minute intervals since 1970 UTC.
        count: number of buckets.

    Returns:
        For each flow of `simulators.firms.flows` int64 of shape (count,), millionths of the flow's unit, never
        negative.
    """
    window = _Window(profile, scale, seed, firm, first, count)
    window.products()
    window.gas()
    window.electricity()
    if profile.water is not None:
        window.water()
    window.burdens()
    return window.flow


class _Window:
    """The flows of one window while they are worked out in order."""

    def __init__(self, profile: Profile, scale: float, seed: int, firm: str, first: int, count: int) -> None:
        self.profile, self.scale, self.seed, self.firm = profile, scale, seed, firm
        self.first, self.count = first, count
        self.drive = drive(profile.work, seed, firm, first, count)
        self.weather: Weather = weather(seed, first, count)
        self.warm = np.maximum(0.0, self.weather.temperature_degc - _WARM_C)
        self.cold = np.maximum(0.0, _COLD_C - self.weather.temperature_degc)
        self.month = _months(first, count)
        self.flow: dict[str, Micro] = {}

    def amount(self, per_h: Rates, stream: str, noise: float) -> Micro:
        """Turn rates into quantities of the firm's scale with multiplicative noise."""
        spread = 1.0 + noise * normal(key(self.seed, self.firm, stream), self.first, self.count)
        return _micro(np.maximum(0.0, per_h * spread) * (self.scale * _H * MICRO))

    def load(self, load: Load, stream: str) -> Micro:
        driven = {"level": self.drive.level, "activity": self.drive.activity, "always": np.ones(self.count)}
        per_h = load.base + load.slope * driven[load.drive] + load.cooling * self.warm + load.heating * self.cold
        return self.amount(per_h, stream, load.noise)

    def total(self, names: Sequence[str]) -> Micro:
        return sum((self.flow[name] for name in names), np.zeros(self.count, np.int64))

    def products(self) -> None:
        for product in self.profile.products:
            name = f"product.{product.code}"
            mix = np.array(product.months)[self.month]
            self.flow[name] = self.amount(product.rate_per_h * mix * self.drive.activity, name, product.noise)

    def gas(self) -> None:
        profile, parts = self.profile, list[str]()
        if profile.gas is not None:
            for load in profile.gas.loads:
                parts.append(f"natural_gas.{load.code}")
                self.flow[parts[-1]] = self.load(load, parts[-1])
        if profile.combined_heat is not None:
            parts.append("natural_gas.combined_heat")
            heat = profile.combined_heat
            burnt = self.amount(heat.gas_m3_h * self.drive.level, parts[-1], 0.02)
            self.flow[parts[-1]] = burnt
            self.flow["electricity.generated"] = share(burnt, heat.electricity_kwh_per_m3)
            self.flow["steam.export"] = share(burnt, heat.steam_kg_per_m3)
        if parts:
            self.flow["natural_gas"] = self.total(parts)

    def electricity(self) -> None:
        profile, spec, nothing = self.profile, self.profile.electricity, np.zeros(self.count, np.int64)
        parts = [f"electricity.{load.code}" for load in spec.loads]
        for load, name in zip(spec.loads, parts, strict=True):
            self.flow[name] = self.load(load, name)
        used = self.total(parts)
        iron = round(spec.iron_loss_kw * self.scale * _H * MICRO)
        self.flow["electricity.loss"] = share(used, spec.loss_share) + iron
        used = used + self.flow["electricity.loss"]
        made = self.flow.get("electricity.generated", nothing)
        if profile.solar is not None:
            sun = _micro(profile.solar.peak_kw * self.weather.irradiance * (self.scale * _H * MICRO))
            self.flow["electricity.solar"] = sun
            made = made + sun
        if profile.storage is not None:
            self._storage()
            used = used + self.flow["electricity.charge"]
            made = made + self.flow["electricity.discharge"]
        self.flow["electricity"] = np.maximum(used - made, 0)
        if profile.solar is not None or profile.combined_heat is not None:
            self.flow["electricity.export"] = np.maximum(made - used, 0)

    def _storage(self) -> None:
        storage = self.profile.storage
        if storage is None:
            return
        slot = (np.arange(self.first, self.first + self.count) + LOCAL_SHIFT) % SLOTS
        charge = round(storage.charge_kw * self.scale * _H * MICRO)
        # Eight hours in, six hours out: what comes out is what went in times the efficiency.
        discharge = round(charge * storage.efficiency * 8 / 6)
        self.flow["electricity.charge"] = np.where(slot < 32, charge, 0)
        self.flow["electricity.discharge"] = np.where((slot >= 44) & (slot < 68), discharge, 0)

    def water(self) -> None:
        """Work out the water systems; what comes in leaves as consumed, discharged or leaked, to the last litre."""
        spec = self.profile.water
        if spec is None:
            return
        level, flow = self.drive.level, self.flow
        process, cooling, domestic = spec.process, spec.cooling, spec.domestic
        used = self.amount(process.base_m3_h + process.slope_m3_h * self.drive.activity, "water.process", 0.04)
        process_consumed = share(used, process.consumed_share)
        recycled = share(used, process.recycled_share)
        loop = cooling.base_m3_h + cooling.slope_m3_h * level + cooling.per_degc_m3_h * self.warm
        passed = self.amount(loop, "recirculated_water", 0.015)
        makeup = share(passed, cooling.makeup_share)
        evaporated = share(makeup, cooling.evaporated_share)
        people = self.amount(domestic.base_m3_h + domestic.level_m3_h * level, "water.domestic", 0.10)
        people_consumed = share(people, domestic.consumed_share)
        leaked = self.amount(np.full(self.count, spec.leaked_m3_h), "water.leaked", 0.05)
        flow["recirculated_water"] = passed
        flow["recycled_water"] = recycled
        flow["cascaded_water"] = share(makeup - evaporated, cooling.cascaded_share)
        flow["water.process"] = used - recycled
        flow["water.makeup"] = makeup
        flow["water.domestic"] = people
        flow["water.leaked"] = leaked
        flow["fresh_water"] = flow["water.process"] + makeup + people + leaked
        flow["water.consumed"] = process_consumed + evaporated + people_consumed
        flow["wastewater"] = (used - process_consumed - recycled) + (makeup - evaporated) + (people - people_consumed)

    def burdens(self) -> None:
        """Work out emissions and solid waste."""
        profile, flow = self.profile, self.flow
        first_product = f"product.{profile.products[0].code}" if profile.products else ""
        for emission in profile.emissions:
            source = flow[first_product if emission.of == "product" else emission.of]
            name = f"emission.{emission.carrier}"
            spread = 1.0 + emission.noise * normal(key(self.seed, self.firm, name), self.first, self.count)
            flow[name] = _micro(source.astype(np.float64) * (emission.g_per_unit * np.maximum(0.0, spread)))
            if emission.stack_m3_per_unit > 0:
                flow["stack_gas"] = share(source, emission.stack_m3_per_unit)
        for waste in profile.wastes:
            name = f"solid_waste.{waste.code}"
            flow[name] = share(flow[first_product], waste.kg_per_product)
            flow[f"{name}.utilised"] = share(flow[name], waste.utilised_share)


def share(flow: Micro, factor: float) -> Micro:
    """Return `factor` times a quantity, rounded to a millionth."""
    return _micro(flow.astype(np.float64) * factor)


def _micro(values: Rates) -> Micro:
    return np.rint(values).astype(np.int64)
