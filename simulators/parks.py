"""Parks in a box: firms of different trades with meters, as one value that is also a park document."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from functools import cache
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from park.calendar import BUCKET_S, BUCKET_US, from_us, to_us
from park.definition import (
    FirmDefinition,
    InstallationDefinition,
    ParentDefinition,
    ParkDefinition,
    PointDefinition,
    ProductDefinition,
    UnitDefinition,
    check_definition,
)
from park.errors import UnitError
from park.figures import Deflator, ProductSource
from park.following import TargetSetting  # noqa: TC001  (msgspec resolves annotations)
from park.graph import Role
from park.membership import GroupDefinition, MembershipDefinition  # noqa: TC001  (msgspec resolves annotations)
from park.points import Kind
from park.units import consumed_unit, conversion
from simulators.business import PLAIN, Reporting
from simulators.datafiles import parse, read, shipped
from simulators.errors import DataError, UnknownName
from simulators.firms import Flow, Product, Profile, flows, meter_models, profile, profiles
from simulators.meters import Meter, at, start_ticks, step_of
from simulators.park_files import FirmSpec, ParkSpec
from simulators.quantities import MICRO, quantities
from simulators.totals import Effect, Totals

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

ORIGIN: Final = datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=8)))
"""Where simulated time begins unless said otherwise."""
EDGE: Final = "gw1"
_HEADROOM: Final = 4.0
"""How far above the greatest flow of ordinary weeks a meter's physical limit lies; a burst pipe must fit below."""
_STEPS_PER_H: Final = 600
_SAMPLE_WEEKS: Final = (1_894_272, 1_911_744)
"""First buckets of a January and a July week (2024) that show the flows at their greatest."""


@dataclass(frozen=True, slots=True)
class SimulatedPoint:
    """One metered flow of a firm.

    Attributes:
        base_per_unit: how many of the flow's units one unit of the point is (kWh per MWh: 1000).
        meters: the meters that hang there one after another; empty for gauges and intervals.
        rate_limit_per_h: physical limit in the point's unit.
    """

    code: str
    name_zh: str
    name_en: str
    kind: Kind
    flow: Flow
    unit: str
    interval_s: int
    base_per_unit: float
    meters: tuple[Meter, ...]
    rate_limit_per_h: float


@dataclass(frozen=True, slots=True)
class SimulatedFirm:
    """A firm with its trade, its size, its meters and the running totals behind them."""

    code: str
    name_zh: str
    name_en: str
    profile: Profile
    scale: float
    zones: tuple[str, ...]
    edges: tuple[str, ...]
    points: tuple[SimulatedPoint, ...]
    totals: Totals
    memberships: tuple[MembershipDefinition, ...] = ()
    above_scale: bool = True
    reporting: Reporting = PLAIN

    def point(self, code: str) -> SimulatedPoint:
        """Return the point with this code, or raise `UnknownName`."""
        for point in self.points:
            if point.code == code:
                return point
        raise UnknownName("point", code, [point.code for point in self.points])

    def edge_of(self, point: SimulatedPoint) -> str:
        """Return the gateway that reads the point: one for electricity and gas, the last for the rest."""
        return self.edges[0] if point.flow.carrier in {"electricity", "natural_gas"} else self.edges[-1]

    def dial(self, code: str, t_us: int, effects: Sequence[Effect] = ()) -> float:
        """Return what the meter at a point shows, before any multiplier."""
        meter, ticks = self.ticks(self.point(code), t_us, effects)
        return meter.dial(ticks)

    def ticks(self, point: SimulatedPoint, t_us: int, effects: Sequence[Effect] = ()) -> tuple[Meter, int]:
        """Return the meter that hangs there and its dial in steps."""
        meter = at(point.meters, t_us)
        totals, name = self.totals, point.flow.name
        moved = totals.now(name, t_us, effects) - totals.now(name, max(meter.from_us, totals.origin_us), effects)
        return meter, meter.ticks(moved)

    def dials(
        self, point: SimulatedPoint, t_us: NDArray[np.int64], effects: Sequence[Effect] = ()
    ) -> NDArray[np.float64]:
        """Return what the meter shows at many instants; same as `dial` for each."""
        totals, name = self.totals, point.flow.name
        total = totals.at(name, t_us, effects)
        value = np.full(t_us.shape, np.nan)
        for meter in point.meters:
            until = np.iinfo(np.int64).max if meter.to_us is None else meter.to_us
            inside = (t_us >= meter.from_us) & (t_us < until)
            start = totals.now(name, max(meter.from_us, totals.origin_us), effects)
            value[inside] = meter.dials(total[inside] - start)
        return value

    def gauge(self, point: SimulatedPoint, t_us: int, effects: Sequence[Effect] = ()) -> float:
        """Return the flow's mean rate per hour in the bucket that holds `t_us`, in the point's unit."""
        moved = int(self.totals.buckets(point.flow.name, t_us // BUCKET_US, 1, effects)[0])
        return moved * (3600 / BUCKET_S) / (MICRO * point.base_per_unit)


@dataclass(frozen=True, slots=True)
class SimulatedPark:
    """A park in a box. `origin` is where its meters begin to count."""

    code: str
    name_zh: str
    name_en: str
    seed: int
    origin: datetime
    target_packs: tuple[str, ...]
    zones: tuple[UnitDefinition, ...]
    firms: tuple[SimulatedFirm, ...]
    groups: tuple[GroupDefinition, ...] = ()
    deflators: tuple[Deflator, ...] = ()
    target_settings: tuple[TargetSetting, ...] = ()

    def firm(self, code: str) -> SimulatedFirm:
        """Return the firm with this code, or raise `UnknownName`."""
        for firm in self.firms:
            if firm.code == code:
                return firm
        raise UnknownName("firm", code, [firm.code for firm in self.firms])

    @property
    def definition(self) -> ParkDefinition:
        """Return the park document that sets this park up in the platform."""
        document = ParkDefinition(
            code=self.code,
            name_zh=self.name_zh,
            name_en=self.name_en,
            target_packs=list(self.target_packs),
            target_settings=list(self.target_settings),
            zones=list(self.zones),
            groups=list(self.groups),
            firms=[_firm_definition(firm) for firm in self.firms],
        )
        check_definition(document, f"simulated park {self.code}")
        return document


def demo_park(seed: int = 1, *, origin: datetime = ORIGIN) -> SimulatedPark:
    """Return the park of the demonstration: ten firms of different trades, registers only.

    Args:
        seed: names all randomness.
        origin: where history starts; a whole quarter of an hour. Meters were installed one day before.
    """
    return park("demo", seed, origin=origin)


def parks() -> list[str]:
    """Return the names of the shipped parks."""
    return shipped("parks")


def park(name: str, seed: int, *, origin: datetime = ORIGIN) -> SimulatedPark:
    """Build a shipped park, or raise `UnknownName` or `DataError`."""
    file, text = read("parks", name, "park")
    return load_park(text, file, seed, origin=origin)


def load_park(text: str, file: str, seed: int, *, origin: datetime = ORIGIN) -> SimulatedPark:
    """Parse a park file and build the park, or raise `DataError`."""
    spec = parse(text, file, ParkSpec)
    origin_us = to_us(origin)
    if origin_us % BUCKET_US:
        raise DataError(file, "origin", f"expected a whole quarter of an hour, got {origin.isoformat()}")
    firms = list[SimulatedFirm]()
    for f, firm in enumerate(spec.firms):
        at_field = f"firms[{f}]"
        if firm.profile not in profiles():
            raise DataError(
                file, f"{at_field}.profile", f"expected one of {', '.join(profiles())}, got {firm.profile!r}"
            )
        built = build_firm(firm, seed, origin_us)
        if isinstance(firm.points, tuple):
            known = [point.code for point in profile(firm.profile).points]
            for code in firm.points:
                if code not in known:
                    raise DataError(file, f"{at_field}.points", f"expected any of {', '.join(known)}, got {code!r}")
        firms.append(built)
    zones = tuple(UnitDefinition(z.code, z.name_zh, z.name_en) for z in spec.zones)
    deflators = tuple(Deflator(d.industry, d.base_year, d.year, d.value, "simulation") for d in spec.deflators)
    return SimulatedPark(
        spec.code,
        spec.name_zh,
        spec.name_en,
        seed,
        origin,
        spec.target_packs,
        zones,
        tuple(firms),
        spec.groups,
        deflators,
        spec.target_settings,
    )


def build_firm(spec: FirmSpec, seed: int, origin_us: int) -> SimulatedFirm:
    """Build one firm with its meters."""
    trade = profile(spec.profile)
    if spec.stops:
        work = msgspec.structs.replace(trade.work, stops=[*trade.work.stops, *spec.stops])
        trade = msgspec.structs.replace(trade, work=work)
    totals = Totals(trade, spec.scale, seed, spec.code, origin_us)
    points = list[SimulatedPoint]()
    for wanted in trade.points:
        if spec.points is None:
            chosen = wanted.kind is Kind.REGISTER
        else:
            chosen = spec.points == "all" or wanted.code in spec.points
        if chosen:
            points.append(_point(spec, wanted.code, origin_us))
    return SimulatedFirm(
        spec.code,
        spec.name_zh,
        spec.name_en,
        trade,
        spec.scale,
        spec.zones,
        (EDGE,),
        tuple(points),
        totals,
        spec.memberships,
        spec.above_scale,
        spec.reporting,
    )


def _point(spec: FirmSpec, code: str, origin_us: int) -> SimulatedPoint:
    trade = profile(spec.profile)
    wanted = next(point for point in trade.points if point.code == code)
    flow = flows(trade)[wanted.flow]
    per_unit = _base_per_unit(wanted.unit, flow, wanted.kind)
    limit = _peaks(spec.profile)[flow.name] * spec.scale * _HEADROOM / per_unit
    meters: tuple[Meter, ...] = ()
    if wanted.kind is Kind.REGISTER and wanted.meter is not None:
        model = meter_models()[wanted.meter]
        serial = f"{wanted.meter.partition('-')[0].upper()}-{spec.code}-{code}"
        meters = (
            Meter(
                serial,
                model,
                wanted.multiplier,
                start_ticks(model, serial, wanted.start_share),
                step_of(model, wanted.multiplier, per_unit),
                origin_us - 86_400_000_000,
            ),
        )
        # A dial moves in whole steps: polled every second, one step must not look like a leap.
        limit = max(limit, _STEPS_PER_H * model.resolution * wanted.multiplier)
    return SimulatedPoint(
        code,
        wanted.name_zh,
        wanted.name_en,
        wanted.kind,
        flow,
        wanted.unit,
        wanted.interval_s,
        per_unit,
        meters,
        _round_up(max(limit, 1e-3)),
    )


def _base_per_unit(unit: str, flow: Flow, kind: Kind) -> float:
    if kind is Kind.GAUGE:
        try:
            return conversion(consumed_unit(unit), flow.unit)
        except UnitError:
            return 1.0
    return conversion(unit, flow.unit)


@cache
def _peaks(name: str) -> dict[str, float]:
    """Return the greatest rate per hour of each flow in two ordinary weeks of a firm of scale 1."""
    weeks = [quantities(profile(name), 1.0, 0, "peak", first, 96 * 7) for first in _SAMPLE_WEEKS]
    per_h = 3600 / BUCKET_S / MICRO
    return {flow: max(float(week[flow].max()) for week in weeks) * per_h for flow in weeks[0]}


def _round_up(value: float) -> float:
    """Round up to two significant digits: limits are written on number plates."""
    power = 10.0 ** (np.floor(np.log10(value)) - 1)
    return float(f"{np.ceil(value / power) * power:.6g}")


def _firm_definition(firm: SimulatedFirm) -> FirmDefinition:
    loads = [*firm.profile.electricity.loads, *(firm.profile.gas.loads if firm.profile.gas else [])]
    units = {load.code: UnitDefinition(load.code, load.name_zh, load.name_en) for load in loads}
    used = {point.flow.unit_code for point in firm.points}
    return FirmDefinition(
        code=firm.code,
        name_zh=firm.name_zh,
        name_en=firm.name_en,
        industry=firm.profile.industry,
        industrial=firm.profile.industrial,
        key_energy_user=firm.scale >= 1.0 and firm.profile.industrial,
        above_scale=firm.above_scale,
        zones=list(firm.zones),
        memberships=list(firm.memberships),
        products=[_product_definition(firm, product) for product in firm.profile.products],
        edges=list(firm.edges),
        units=[unit for code, unit in units.items() if code in used],
        points=[_point_definition(firm, point) for point in firm.points],
    )


def _product_definition(firm: SimulatedFirm, product: Product) -> ProductDefinition:
    counted = any(point.flow.product == product.code and point.kind is not Kind.GAUGE for point in firm.points)
    return ProductDefinition(
        code=product.code,
        name_zh=product.name_zh,
        name_en=product.name_en,
        unit=product.unit,
        source=ProductSource.COUNTER if counted else ProductSource.REPORTED,
    )


_ROLES = {
    "electricity.solar": Role.GENERATION,
    "electricity.generated": Role.GENERATION,
    "electricity.discharge": Role.DISCHARGE,
}


def _point_definition(firm: SimulatedFirm, point: SimulatedPoint) -> PointDefinition:
    return PointDefinition(
        code=point.code,
        name_zh=point.name_zh,
        name_en=point.name_en,
        kind=point.kind,
        carrier=point.flow.carrier,
        unit=point.unit,
        edge=firm.edge_of(point),
        direction=point.flow.direction,
        interval_s=point.interval_s,
        unit_code=point.flow.unit_code,
        product=point.flow.product,
        rate_limit_per_h=point.rate_limit_per_h if point.kind is Kind.REGISTER else None,
        installations=[_installation_definition(firm, point, k) for k in range(len(point.meters))],
        parents=_parents(firm, point),
        role=_ROLES.get(point.flow.name, Role.LOAD) if _parents(firm, point) else Role.LOAD,
        loss_share=_loss_share(firm, point),
    )


def _parents(firm: SimulatedFirm, point: SimulatedPoint) -> list[ParentDefinition]:
    """Return the firm's incomer for a counter of what passes behind it."""
    if point.kind is Kind.GAUGE or not point.flow.name.startswith("electricity."):
        return []
    return [ParentDefinition(point=main.code) for main in firm.points if _is_incomer(main)][:1]


def _is_incomer(point: SimulatedPoint) -> bool:
    return point.flow.name == "electricity" and point.kind is Kind.REGISTER


def _loss_share(firm: SimulatedFirm, point: SimulatedPoint) -> float:
    if not _is_incomer(point):
        return 0.0
    # The profile counts losses on top of the loads, a node counts them out of what reaches it.
    return round(firm.profile.electricity.loss_share / (1 + firm.profile.electricity.loss_share), 6)


def _installation_definition(firm: SimulatedFirm, point: SimulatedPoint, k: int) -> InstallationDefinition:
    meter = point.meters[k]
    last = None
    if meter.to_us is not None:
        start = firm.totals.now(point.flow.name, max(meter.from_us, firm.totals.origin_us))
        last = meter.dial(meter.ticks(firm.totals.now(point.flow.name, meter.to_us) - start))
    return InstallationDefinition(
        serial=meter.serial,
        valid_from=from_us(meter.from_us),
        valid_to=None if meter.to_us is None else from_us(meter.to_us),
        modulus=meter.model.modulus,
        multiplier=meter.multiplier,
        first_reading=meter.dial(meter.start_ticks) if k else None,
        last_reading=last,
        resolution=meter.model.resolution,
    )


def swap(point: SimulatedPoint, at_us: int, *, serial: str, start_share: float = 0.0) -> SimulatedPoint:
    """Return the point with its last meter taken down at `at_us` and another of the same model put up."""
    old = point.meters[-1]
    fresh = replace(old, serial=serial, from_us=at_us, start_ticks=start_ticks(old.model, serial, start_share))
    return replace(point, meters=(*point.meters[:-1], replace(old, to_us=at_us), fresh))
