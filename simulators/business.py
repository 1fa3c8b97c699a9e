"""What the firms of a simulated park report about their business, and when: provisional first, revised, late or never.

Amounts follow the true flows, so that an intensity computed from meters and reports can be compared with the truth.
What counts in the end is the last report of each name, see `counted`.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
import numpy as np

from park.business import (
    KINDS,
    BusinessInput,
    Destination,
    Finality,
    InputKind,
    InputName,
    PriceBasis,
    ReportPeriod,
    report_period,
    waste_key,
)
from park.calendar import from_us, period, to_us, zone
from simulators.firms import Amount, Section, Share
from simulators.quantities import MICRO

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from park.figures import Deflator
    from simulators.parks import SimulatedFirm, SimulatedPark
    from simulators.totals import Effect

ZONE: Final = zone("Asia/Shanghai")
PROVISIONAL_DAYS: Final = 8
FINAL_DAYS: Final = 20
"""Days after a month's end on which firms report, first provisionally, then finally."""
AUTHOR: Final = "simulated firm"

Month = Annotated[str, msgspec.Meta(pattern=r"^[0-9]{4}-(0[1-9]|1[0-2])$")]


class Reporting(Section, frozen=True, kw_only=True):
    """How a firm reports.

    Attributes:
        provisional_error: its first report of a month is so much too low, and revised by the final one; 0: it reports
            once.
        late_months: how many months later than others it reports.
        never: kinds that it does not report.
        skips: months that it does not report at all.
        constant: base years at whose constant prices it reports too, with the park's deflators.
    """

    provisional_error: Share = 0.0
    late_months: Annotated[int, msgspec.Meta(ge=0, le=12)] = 0
    never: tuple[InputKind, ...] = ()
    skips: tuple[Month, ...] = ()
    constant: tuple[int, ...] = ()


PLAIN: Final = Reporting()
"""Once a month, in time, everything."""


class DeflatorSpec(Section, frozen=True, kw_only=True):
    """Prices of a year relative to a base year, of an industry or of all (`*`)."""

    industry: str = "*"
    base_year: int
    year: int
    value: Amount


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """One version that a firm enters; a later one of the same name replaces it."""

    firm: str
    kind: str
    key: str = ""
    price_basis: str | None = None
    price_year: int | None = None
    grain: str = "month"
    start: date
    amount: float
    unit: str
    finality: str = "final"
    reason: str = ""
    entered_us: int

    @property
    def name(self) -> InputName:
        """Return what is reported, whatever its amount."""
        basis = None if self.price_basis is None else PriceBasis(self.price_basis)
        at = report_period(self.grain, self.start)
        return InputName(InputKind(self.kind), at, self.key, basis, self.price_year)

    @property
    def entry(self) -> BusinessInput:
        """Return it as it is entered into the platform."""
        return BusinessInput(
            self.name,
            self.amount,
            self.unit,
            Finality(self.finality),
            author=AUTHOR,
            source="simulation",
            reason=self.reason,
        )


def reports(
    park: SimulatedPark,
    start_us: int,
    end_us: int,
    *,
    entered_by_us: int | None = None,
    effects: Mapping[str, Sequence[Effect]] | None = None,
) -> list[Report]:
    """Return what the firms report of the whole months in `[start_us, end_us)`, in the order in which they enter it.

    Args:
        park: whose firms report.
        start_us: months that began before are not reported.
        end_us: nor are months that end later.
        entered_by_us: leave out what is entered later.
        effects: deliberate changes of the truth, by firm.
    """
    months = _whole_months(start_us, end_us)
    found = [
        one
        for firm in park.firms
        for one in _of_firm(firm, months, park.deflators, (effects or {}).get(firm.code, ()))
        if entered_by_us is None or one.entered_us <= entered_by_us
    ]
    return sorted(found, key=lambda one: (one.entered_us, one.firm, one.kind, one.key))


def counted(entered: Iterable[Report], firm: str) -> dict[InputName, float]:
    """Return what counts of one firm's reports in the end: the last amount of each name."""
    return {one.name: one.amount for one in entered if one.firm == firm}


def _whole_months(start_us: int, end_us: int) -> list[ReportPeriod]:
    found = []
    at = period("month", from_us(start_us), ZONE)
    while to_us(at.end) <= end_us:
        if to_us(at.start) >= start_us:
            found.append(report_period("month", at.start.astimezone(ZONE).date()))
        at = period("month", at.end, ZONE)
    return found


def _of_firm(
    firm: SimulatedFirm, months: Sequence[ReportPeriod], deflators: Sequence[Deflator], effects: Sequence[Effect]
) -> Iterable[Report]:
    spec = firm.reporting
    told = set[int]()
    for month in months:
        if str(month) in spec.skips:
            continue
        rows = _true(firm, month, effects)
        for base_year in spec.constant:
            rows += _constant(rows, base_year, _deflator(firm, deflators, base_year, month.start.year))
        if month.start.year not in told:
            told.add(month.start.year)
            land = InputName(InputKind.LAND_AREA, report_period("year", month.start))
            rows.append((land, round(firm.profile.business.land_m2 * firm.scale, 1), "m2"))
        late = month.end
        for _ in range(spec.late_months):
            late = report_period("month", late).end
        for name, amount, unit in rows:
            if name.kind in spec.never:
                continue
            final = _report(firm.code, name, amount, unit, late + timedelta(days=FINAL_DAYS))
            if spec.provisional_error > 0 and not KINDS[name.kind].level:
                first = round(amount * (1 - spec.provisional_error), 3)
                when = late + timedelta(days=PROVISIONAL_DAYS)
                yield _report(firm.code, name, first, unit, when, finality=Finality.PROVISIONAL)
                final = msgspec.structs.replace(final, reason="final figure of the month")
            yield final


def _report(
    firm: str, name: InputName, amount: float, unit: str, day: date, *, finality: Finality = Finality.FINAL
) -> Report:
    entered = period("day", from_us(_noon_us(day)), ZONE).start + timedelta(hours=9)
    return Report(
        firm=firm,
        kind=name.kind.value,
        key=name.key,
        price_basis=None if name.price_basis is None else name.price_basis.value,
        price_year=name.price_year,
        grain=name.period.grain,
        start=name.period.start,
        amount=amount,
        unit=unit,
        finality=finality.value,
        entered_us=to_us(entered),
    )


def _noon_us(day: date) -> int:
    return ((day - date(1970, 1, 1)).days * 24 + 4) * 3_600_000_000


_Row = tuple[InputName, float, str]


def _true(firm: SimulatedFirm, month: ReportPeriod, effects: Sequence[Effect]) -> list[_Row]:
    """Return what a firm truly made, earned, employed and threw away in a month."""
    business, rows = firm.profile.business, list[_Row]()
    rows.append((InputName(InputKind.STAFF, month), float(round(business.staff * firm.scale)), "person"))
    if not firm.profile.industrial:
        return rows

    def moved(flow: str) -> float:
        days = (month.start, month.end)
        edges = np.array([to_us(period("day", from_us(_noon_us(day)), ZONE).start) for day in days], np.int64)
        total = firm.totals.at(flow, edges, effects)
        return int(total[1] - total[0]) / MICRO

    for product in firm.profile.products:
        name = InputName(InputKind.PRODUCTION, month, product.code)
        rows.append((name, round(moved(f"product.{product.code}"), 3), product.unit))
    for waste in firm.profile.wastes:
        made = moved(f"solid_waste.{waste.code}") / 1000
        used = moved(f"solid_waste.{waste.code}.utilised") / 1000
        parts = {Destination.GENERATED: made, Destination.UTILISED: used, Destination.DISPOSED: made - used}
        for destination, amount in parts.items():
            key = waste_key(f"general.{waste.code}", destination)
            rows.append((InputName(InputKind.SOLID_WASTE, month, key), round(amount, 3), "t"))
    hours = (month.end - month.start).days * 24
    earned = sum(moved(price.flow) * price.cny_per_unit for price in business.prices)
    earned += business.other_cny_per_h * firm.scale * hours
    if business.prices or business.other_cny_per_h:
        values = ((InputKind.OUTPUT_VALUE, 1.0), (InputKind.VALUE_ADDED, business.value_added_share))
        for kind, share in values:
            name = InputName(kind, month, price_basis=PriceBasis.CURRENT)
            rows.append((name, round(earned * share / 1e4, 4), "10^4CNY"))
    return rows


def _constant(rows: Sequence[_Row], base_year: int, deflator: Deflator | None) -> list[_Row]:
    if deflator is None:
        return []
    return [
        (
            InputName(name.kind, name.period, price_basis=PriceBasis.CONSTANT, price_year=base_year),
            round(amount / deflator.value, 4),
            unit,
        )
        for name, amount, unit in rows
        if name.price_basis is PriceBasis.CURRENT
    ]


def _deflator(firm: SimulatedFirm, deflators: Sequence[Deflator], base_year: int, year: int) -> Deflator | None:
    fitting = {d.industry: d for d in deflators if (d.base_year, d.year) == (base_year, year)}
    return fitting.get(firm.profile.industry, fitting.get("*"))
