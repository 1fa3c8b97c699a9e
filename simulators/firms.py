"""Firm profiles as data: what a trade consumes, makes and discharges, when it works, and why it is that large."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Annotated, Final, Literal

import msgspec

from park.calendar import BUCKET_S
from park.errors import UnitError
from park.points import Direction, Kind
from park.units import check_carrier_unit
from simulators.datafiles import data, parse, read, shipped
from simulators.errors import DataError

Share = Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]
Amount = Annotated[float, msgspec.Meta(ge=0.0)]
Level = Annotated[float, msgspec.Meta(ge=0.0, le=1.5)]
ClockTime = Annotated[str, msgspec.Meta(pattern=r"^([01][0-9]|2[0-3]):(00|15|30|45)$|^24:00$")]
MonthDay = Annotated[str, msgspec.Meta(pattern=r"^(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$")]
Months = Annotated[list[Level], msgspec.Meta(min_length=12, max_length=12)]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
Text = Annotated[str, msgspec.Meta(min_length=1, max_length=400)]
SLOTS: Final = 86_400 // BUCKET_S
"""Buckets of a day; all clock times of a profile are local (UTC+8, no daylight saving) and fall on bucket edges."""


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """Base of every part of a profile: unknown fields are errors."""


class Shift(Section, frozen=True, kw_only=True):
    """`level` of full production between two clock times; an end before the start is on the next day."""

    start: ClockTime
    end: ClockTime
    level: Level


class SpringFestival(Section, frozen=True, kw_only=True):
    """How far the firm winds down around the festival, `days_before` to `days_after` the day itself."""

    level: Level
    days_before: int = 2
    days_after: int = 7


class Stop(Section, frozen=True, kw_only=True):
    """A planned stop or half stop, both days included; the end may lie in the next year."""

    start: MonthDay
    end: MonthDay
    level: Level
    reason: Text


class Work(Section, frozen=True, kw_only=True):
    """When the firm works, as factors on the level of its shifts.

    Attributes:
        months: twelve factors on production, January first.
        ramp_min: how long production needs from a standing start; energy is used from the first minute.
        day_noise: relative standard deviation from day to day.
    """

    shifts: Annotated[list[Shift], msgspec.Meta(min_length=1)]
    saturday: Level = 1.0
    sunday: Level = 1.0
    holiday: Level = 1.0
    spring_festival: SpringFestival = SpringFestival(level=1.0)
    months: Months = msgspec.field(default_factory=lambda: [1.0] * 12)
    stops: list[Stop] = []
    ramp_min: Annotated[int, msgspec.Meta(ge=0, le=720)] = 60
    day_noise: Share = 0.03


class Load(Section, frozen=True, kw_only=True):
    """One consumer: `base + slope × drive + cooling × (T − 22 °C)⁺ + heating × (12 °C − T)⁺`, per hour.

    `drive` is the level of the shifts (machines are on), the activity (goods come out) or always 1.
    """

    code: Name
    name_zh: Name
    name_en: Name
    base: Amount = 0.0
    slope: Amount = 0.0
    cooling: Amount = 0.0
    heating: Amount = 0.0
    drive: Literal["level", "activity", "always"] = "level"
    noise: Share = 0.03


class Electricity(Section, frozen=True, kw_only=True):
    """Consumers in kW below the main meter, and what is lost on the way to them."""

    loads: Annotated[list[Load], msgspec.Meta(min_length=1)]
    loss_share: Share = 0.015
    iron_loss_kw: Amount = 0.0
    reason: Text


class Gas(Section, frozen=True, kw_only=True):
    """Consumers of natural gas in m³/h."""

    loads: Annotated[list[Load], msgspec.Meta(min_length=1)]
    reason: Text


class Product(Section, frozen=True, kw_only=True):
    """What is made: `rate_per_h` units at full activity, in the mix of the month (twelve factors, January first)."""

    code: Name
    name_zh: Name
    name_en: Name
    unit: Literal["piece", "t", "kg", "kWh", "MWh", "m3"]
    rate_per_h: Amount
    months: Months = msgspec.field(default_factory=lambda: [1.0] * 12)
    noise: Share = 0.05


class ProcessWater(Section, frozen=True, kw_only=True):
    """Water that touches the product: part is consumed, part of the drain comes back after treatment."""

    base_m3_h: Amount = 0.0
    slope_m3_h: Amount
    consumed_share: Share
    recycled_share: Share = 0.0


class CoolingWater(Section, frozen=True, kw_only=True):
    """A cooling loop: each pass counts. Make-up replaces evaporation and blow-down; blow-down may be used again."""

    base_m3_h: Amount = 0.0
    slope_m3_h: Amount
    per_degc_m3_h: Amount = 0.0
    makeup_share: Share
    evaporated_share: Share = 0.75
    cascaded_share: Share = 0.0


class DomesticWater(Section, frozen=True, kw_only=True):
    """People: `level_m3_h` at full shift level on top of `base_m3_h`."""

    base_m3_h: Amount = 0.0
    level_m3_h: Amount = 0.0
    consumed_share: Share = 0.15


class Water(Section, frozen=True, kw_only=True):
    """The firm's water systems; the balance fresh = consumed + discharged + leaked closes by construction."""

    process: ProcessWater = ProcessWater(slope_m3_h=0.0, consumed_share=0.0)
    cooling: CoolingWater = CoolingWater(slope_m3_h=0.0, makeup_share=0.0)
    domestic: DomesticWater = DomesticWater()
    leaked_m3_h: Amount = 0.0
    reason: Text


class Solar(Section, frozen=True, kw_only=True):
    """Photovoltaic modules on the roof."""

    peak_kw: Amount
    reason: Text


class Storage(Section, frozen=True, kw_only=True):
    """A battery that charges in the valley (00:00 to 08:00) and gives back in the peak (11:00 to 17:00)."""

    charge_kw: Amount
    efficiency: Share = 0.88
    reason: Text


class CombinedHeat(Section, frozen=True, kw_only=True):
    """A gas engine or turbine: electricity and steam out of each m³ of gas; what is not used leaves the firm."""

    gas_m3_h: Amount
    electricity_kwh_per_m3: Amount
    steam_kg_per_m3: Amount
    reason: Text


class Emission(Section, frozen=True, kw_only=True):
    """A pollutant: mass per m³ of gas burnt, per unit of the first product, or per m³ of wastewater.

    Attributes:
        carrier: what it is.
        of: the flow it follows.
        g_per_unit: grams for each unit of that flow.
        stack_m3_per_unit: stack gas for each unit, for concentrations; 0: to water.
        limit: permitted hourly mean concentration, mg/m³ (stack) or mg/L (water).
    """

    carrier: Literal["so2", "nox", "particulate", "cod", "ammonia_nitrogen"]
    of: Literal["natural_gas", "product", "wastewater"]
    g_per_unit: Amount
    stack_m3_per_unit: Amount = 0.0
    limit: Amount
    noise: Share = 0.08


class Waste(Section, frozen=True, kw_only=True):
    """Solid waste by mass, and how much of it is put to use."""

    code: Name
    name_zh: Name
    name_en: Name
    kg_per_product: Amount
    utilised_share: Share


class Price(Section, frozen=True, kw_only=True):
    """What one unit of a flow brings in."""

    flow: Name
    cny_per_unit: Amount


class Business(Section, frozen=True, kw_only=True):
    """What the firm reports beside its meters, at scale 1.

    Attributes:
        prices: of what is sold, at current prices.
        other_cny_per_h: income that follows nothing metered.
        value_added_share: of the output value.
    """

    land_m2: Amount
    staff: Annotated[int, msgspec.Meta(ge=0)]
    prices: list[Price] = []
    other_cny_per_h: Amount = 0.0
    value_added_share: Share = 0.0
    reason: Text


class PointSpec(Section, frozen=True, kw_only=True):
    """A metered flow of the profile.

    Attributes:
        flow: which true flow the meter measures (`Profile.flows`).
        meter: model in `meters.yaml`; None for gauges and intervals, which have no dial.
        multiplier: CT × PT.
        start_share: where on its dial the meter stands at the start, as a share of the modulus; None: anywhere.
    """

    code: Name
    flow: Name
    name_zh: Name
    name_en: Name
    unit: Name
    kind: Kind = Kind.REGISTER
    interval_s: Annotated[int, msgspec.Meta(ge=1)] = 900
    meter: str | None = None
    multiplier: Annotated[float, msgspec.Meta(gt=0.0)] = 1.0
    start_share: Share | None = None


class Profile(Section, frozen=True, kw_only=True):
    """One trade. `industrial: false` keeps schools and hospitals out of industrial intensity."""

    name: Name
    description: Text
    description_zh: Text
    industry: Name
    industrial: bool = True
    work: Work
    electricity: Electricity
    gas: Gas | None = None
    products: list[Product] = []
    water: Water | None = None
    solar: Solar | None = None
    storage: Storage | None = None
    combined_heat: CombinedHeat | None = None
    emissions: list[Emission] = []
    wastes: list[Waste] = []
    business: Business
    points: Annotated[list[PointSpec], msgspec.Meta(min_length=1)]


@dataclass(frozen=True, slots=True)
class Flow:
    """One true flow of a firm: what it is, in which unit the truth counts it, and where it goes."""

    name: str
    carrier: str
    unit: str
    direction: Direction
    unit_code: str | None = None
    product: str | None = None


def flows(profile: Profile) -> dict[str, Flow]:
    """Return every flow of the profile by name; those without a point are known to the truth alone."""
    inside, into, out = Direction.INTERNAL, Direction.IN, Direction.OUT
    found = [Flow("electricity", "electricity", "kWh", into), Flow("electricity.loss", "electricity", "kWh", inside)]
    found += [Flow(f"electricity.{a.code}", "electricity", "kWh", inside, a.code) for a in profile.electricity.loads]
    if profile.solar is not None:
        found.append(Flow("electricity.solar", "electricity", "kWh", inside))
    if profile.storage is not None:
        found += [Flow(f"electricity.{way}", "electricity", "kWh", inside) for way in ("charge", "discharge")]
    if profile.combined_heat is not None:
        found.append(Flow("electricity.generated", "electricity", "kWh", inside))
        found.append(Flow("steam.export", "steam", "kg", out))
    if profile.combined_heat is not None or profile.solar is not None:
        found.append(Flow("electricity.export", "electricity", "kWh", out))
    if profile.gas is not None or profile.combined_heat is not None:
        found.append(Flow("natural_gas", "natural_gas", "m3", into))
        loads = [] if profile.gas is None else profile.gas.loads
        found += [Flow(f"natural_gas.{a.code}", "natural_gas", "m3", inside, a.code) for a in loads]
        if profile.combined_heat is not None:
            found.append(Flow("natural_gas.combined_heat", "natural_gas", "m3", inside))
    if profile.water is not None:
        found += [
            Flow("fresh_water", "fresh_water", "m3", into),
            Flow("recirculated_water", "recirculated_water", "m3", inside),
            Flow("recycled_water", "recycled_water", "m3", inside),
            Flow("cascaded_water", "cascaded_water", "m3", inside),
            Flow("wastewater", "wastewater", "m3", out),
            Flow("water.process", "fresh_water", "m3", inside),
            Flow("water.makeup", "fresh_water", "m3", inside),
            Flow("water.domestic", "fresh_water", "m3", inside),
            Flow("water.consumed", "fresh_water", "m3", inside),
            Flow("water.leaked", "fresh_water", "m3", inside),
        ]
    found += [Flow(f"product.{p.code}", "product", p.unit, out, product=p.code) for p in profile.products]
    for e in profile.emissions:
        found.append(Flow(f"emission.{e.carrier}", e.carrier, "g", out))
        if e.stack_m3_per_unit > 0 and all(flow.name != "stack_gas" for flow in found):
            found.append(Flow("stack_gas", "stack_gas", "m3", out))
    for w in profile.wastes:
        found.append(Flow(f"solid_waste.{w.code}", "solid_waste", "kg", out))
        found.append(Flow(f"solid_waste.{w.code}.utilised", "solid_waste", "kg", inside))
    return {flow.name: flow for flow in found}


def profiles() -> list[str]:
    """Return the names of the shipped profiles."""
    return shipped("profiles")


@cache
def profile(name: str) -> Profile:
    """Return a shipped profile, or raise `UnknownName` or `DataError`."""
    file, text = read("profiles", name, "profile")
    return load_profile(text, file)


def load_profile(text: str, file: str) -> Profile:
    """Parse and check a profile, or raise `DataError` naming file, field and what was expected."""
    loaded = parse(text, file, Profile)
    if not loaded.products and any(e.of == "product" for e in loaded.emissions):
        raise DataError(file, "emissions", "an emission follows `product`, but the firm makes none")
    if not loaded.products and loaded.wastes:
        raise DataError(file, "wastes", "solid waste is given per product, but the firm makes none")
    for e, emission in enumerate(loaded.emissions):
        missing = (emission.of == "natural_gas" and loaded.gas is None and loaded.combined_heat is None) or (
            emission.of == "wastewater" and loaded.water is None
        )
        if missing:
            raise DataError(file, f"emissions[{e}].of", f"the firm has no {emission.of}")
    known = flows(loaded)
    for k, price in enumerate(loaded.business.prices):
        if price.flow not in known:
            raise DataError(file, f"business.prices[{k}].flow", f"the firm has no {price.flow}")
    _check_water(file, loaded.water)
    _check_points(file, loaded)
    return loaded


def _check_water(file: str, water: Water | None) -> None:
    if water is not None and water.process.consumed_share + water.process.recycled_share > 1.0:
        raise DataError(
            file, "water.process.recycled_share", "with consumed_share at most 1: what is consumed cannot come back"
        )


def _check_points(file: str, loaded: Profile) -> None:
    known, models, seen = flows(loaded), meter_models(), set[str]()
    for p, point in enumerate(loaded.points):
        at = f"points[{p}]"
        if point.code in seen:
            raise DataError(file, f"{at}.code", f"{point.code!r} is used twice")
        seen.add(point.code)
        if point.flow not in known:
            raise DataError(file, f"{at}.flow", f"expected one of {', '.join(sorted(known))}, got {point.flow!r}")
        if point.kind is Kind.REGISTER and point.meter not in models:
            raise DataError(file, f"{at}.meter", f"expected one of {', '.join(sorted(models))}, got {point.meter!r}")
        if point.kind is not Kind.GAUGE:
            try:
                check_carrier_unit(known[point.flow].carrier, point.unit)
            except UnitError as error:
                raise DataError(file, f"{at}.unit", str(error)) from None


class MeterModel(Section, frozen=True, kw_only=True):
    """A type of meter: its dial, and where the dial stands in the device's Modbus registers."""

    description_zh: Text
    description_en: Name
    type: Literal["u16", "u32", "i32", "u64", "f32", "f64"]
    word_order: Literal["big", "little"]
    function: Literal["holding", "input"]
    address: Annotated[int, msgspec.Meta(ge=0, le=65_000)]
    resolution: Annotated[float, msgspec.Meta(gt=0.0)]
    modulus: Annotated[float, msgspec.Meta(gt=0.0)]
    collector: bool = False
    stride: Annotated[int, msgspec.Meta(ge=1, le=100)] = 4


@cache
def meter_models() -> dict[str, MeterModel]:
    """Return the shipped meter models by name."""
    return parse((data() / "meters.yaml").read_text("utf-8"), "meters.yaml", dict[str, MeterModel])
