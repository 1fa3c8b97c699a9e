"""What firms report about their business: production, value, land, staff, waste, stocks, and energy without a meter.

A reported amount has a period of its own (a month, a quarter, a year) and is never spread over shorter ones. Every
version is kept. `park.figures` tells what counts for a period; this module tells what an input is and checks it.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Literal

from park.errors import BusinessInputError, UnitError
from park.units import CARRIERS, unit

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

ReportGrain = Literal["month", "quarter", "year"]
_MONTHS: Final[dict[str, int]] = {"month": 1, "quarter": 3, "year": 12}
FIRST_YEAR: Final = 1990
FILE_SOURCE: Final = "file "
"""How the source of what came from a file begins: its name, fingerprint and row follow."""


class InputKind(StrEnum):
    """What is reported. Stored: never rename."""

    PRODUCTION = "production"
    OUTPUT_VALUE = "output_value"
    VALUE_ADDED = "value_added"
    LAND_AREA = "land_area"
    STAFF = "staff"
    SOLID_WASTE = "solid_waste"
    STOCK_OPENING = "stock_opening"
    STOCK_CLOSING = "stock_closing"
    ENERGY_PURCHASED = "energy_purchased"
    ENERGY_SOLD = "energy_sold"
    FEEDSTOCK = "feedstock"
    GREEN_POWER = "green_power"
    POLLUTANT = "pollutant"
    PROCESS_MATERIAL = "process_material"


class PriceBasis(StrEnum):
    """At whose prices a value is."""

    CURRENT = "current"
    CONSTANT = "constant"


class Status(StrEnum):
    """How far a version has come. It only moves forward."""

    SUBMITTED = "submitted"
    AUDITED = "audited"
    FROZEN = "frozen"


class Finality(StrEnum):
    """Whether the firm expects to revise it."""

    PROVISIONAL = "provisional"
    FINAL = "final"


class WasteCategory(StrEnum):
    """The two categories that are never added to each other; a type within one is `general.slag`."""

    GENERAL = "general"
    HAZARDOUS = "hazardous"


class Destination(StrEnum):
    """What became of solid waste. `utilised` includes `utilised_from_stock`, what earlier years had stored."""

    GENERATED = "generated"
    UTILISED = "utilised"
    UTILISED_FROM_STOCK = "utilised_from_stock"
    DISPOSED = "disposed"
    STORED = "stored"
    DISCARDED = "discarded"


@dataclass(frozen=True, slots=True)
class KindSpec:
    """What an input of a kind looks like.

    Attributes:
        dimension: that its unit measures; `*`: any; `carrier`: that of the carrier in its key.
        key: what its key names.
        level: a state that holds throughout the period, not an amount that adds up over periods.
        default_unit: what CSV files may leave out; empty: the unit must be given.
    """

    name_zh: str
    name_en: str
    dimension: str
    key: Literal["", "product", "carrier", "waste", "pollutant", "instrument", "material"] = ""
    level: bool = False
    priced: bool = False
    may_be_negative: bool = False
    default_unit: str = ""


KINDS: Final[dict[InputKind, KindSpec]] = {
    InputKind.PRODUCTION: KindSpec("产品产量", "production", "*", "product"),
    InputKind.OUTPUT_VALUE: KindSpec("工业总产值", "gross output value", "money", priced=True),
    InputKind.VALUE_ADDED: KindSpec("工业增加值", "industrial value added", "money", priced=True, may_be_negative=True),
    InputKind.LAND_AREA: KindSpec("用地面积", "land area", "area", level=True),
    InputKind.STAFF: KindSpec("从业人员", "staff", "persons", level=True, default_unit="person"),
    InputKind.SOLID_WASTE: KindSpec("工业固体废物", "solid waste", "mass", "waste"),
    InputKind.STOCK_OPENING: KindSpec("期初库存", "opening stock", "carrier", "carrier"),
    InputKind.STOCK_CLOSING: KindSpec("期末库存", "closing stock", "carrier", "carrier"),
    InputKind.ENERGY_PURCHASED: KindSpec("购进量", "energy bought without a meter", "carrier", "carrier"),
    InputKind.ENERGY_SOLD: KindSpec("外供量", "energy sold without a meter", "carrier", "carrier"),
    InputKind.FEEDSTOCK: KindSpec("用作原料", "energy carrier used as raw material", "carrier", "carrier"),
    InputKind.GREEN_POWER: KindSpec("绿色电力", "green power and its certificates", "energy", "instrument"),
    InputKind.POLLUTANT: KindSpec("污染物排放量", "pollutant discharged", "mass", "pollutant"),
    InputKind.PROCESS_MATERIAL: KindSpec("过程排放原料", "material with process emissions", "mass", "material"),
}
"""Every kind; amounts are summed over periods, levels are not."""

POLLUTANTS: Final = ("so2", "nox", "particulate", "cod", "ammonia_nitrogen")
INSTRUMENTS: Final = ("certificate", "contract")
_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True, order=True)
class ReportPeriod:
    """A month, quarter or year of the park's own calendar; `start` is its first day."""

    grain: ReportGrain
    start: date

    @property
    def end(self) -> date:
        """Return the day after its last."""
        return _later(self.start, _MONTHS[self.grain])

    @property
    def months(self) -> tuple[date, ...]:
        """Return the first days of its months."""
        return tuple(_later(self.start, k) for k in range(_MONTHS[self.grain]))

    def __str__(self) -> str:
        """Return `2025-03`, `2025Q1` or `2025`, as `parse_report_period` reads it."""
        if self.grain == "month":
            return f"{self.start:%Y-%m}"
        return f"{self.start.year}Q{self.start.month // 3 + 1}" if self.grain == "quarter" else str(self.start.year)


def _later(day: date, months: int) -> date:
    years, month = divmod(day.month - 1 + months, 12)
    return date(day.year + years, month + 1, 1)


_PERIODS: Final = (
    ("month", re.compile(r"(?P<y>\d{4})(?:-|/|\.|年)(?P<n>\d{1,2})月?")),
    ("month", re.compile(r"(?P<y>\d{4})(?P<n>0[1-9]|1[0-2])")),
    ("quarter", re.compile(r"(?P<y>\d{4})-?[Qq](?P<n>[1-4])")),
    ("quarter", re.compile(r"(?P<y>\d{4})年第?(?P<n>[1-4一二三四])季度?")),
    ("year", re.compile(r"(?P<y>\d{4})年?")),
)
_CHINESE: Final = {"一": 1, "二": 2, "三": 3, "四": 4}


def parse_report_period(text: str) -> ReportPeriod:
    """Read `2025-03`, `202503`, `2025年3月`, `2025Q1`, `2025年1季度`, `2025` or `2025年`.

    Raises:
        BusinessInputError: it is none of these, or its year is before 1990 or after 2200.
    """
    for grain, form in _PERIODS:
        found = form.fullmatch(text.strip())
        if found is None:
            continue
        year = int(found["y"])
        n = 1 if grain == "year" else _CHINESE.get(found["n"]) or int(found["n"])
        if FIRST_YEAR <= year <= 2200 and n <= {"month": 12, "quarter": 4, "year": 1}[grain] and n >= 1:
            return report_period(grain, date(year, n if grain == "month" else 3 * n - 2, 1))
    raise BusinessInputError("period", f"{text!r} is no period; write 2025-03, 2025Q1 or 2025")


def report_period(grain: str, day: date) -> ReportPeriod:
    """Return the period of a grain that holds a day, or raise `BusinessInputError`."""
    if grain == "month":
        return ReportPeriod("month", day.replace(day=1))
    if grain == "quarter":
        return ReportPeriod("quarter", date(day.year, (day.month - 1) // 3 * 3 + 1, 1))
    if grain == "year":
        return ReportPeriod("year", date(day.year, 1, 1))
    raise BusinessInputError("period", f"unknown grain {grain!r}; inputs are reported by month, quarter or year")


@dataclass(frozen=True, slots=True)
class InputName:
    """What is reported for a period, whatever its amount: versions of one name replace each other.

    Attributes:
        key: product, carrier, `category/destination` of waste, pollutant, instrument or material; empty otherwise.
        price_year: base year of constant prices; None for current prices and what has no price.
        workshop: code of the firm's unit; None: the whole firm. The two are never added.
    """

    kind: InputKind
    period: ReportPeriod
    key: str = ""
    price_basis: PriceBasis | None = None
    price_year: int | None = None
    workshop: str | None = None

    def __str__(self) -> str:
        """Return it for people: `value_added current 2025-03`."""
        parts = [self.kind.value, self.key, self.price_basis or "", str(self.price_year or ""), str(self.period)]
        return " ".join(part for part in (*parts, "" if self.workshop is None else f"of {self.workshop}") if part)


@dataclass(frozen=True, slots=True)
class BusinessInput:
    """One version of one reported input.

    Attributes:
        amount: in `unit`; None: withdrawn, which is not zero.
        version: 1, 2, … of its name; 0: not stored yet.
        author, source, reason: who entered it, from what (file and row, API), and why where it replaces another.
        entered: when it was stored; None: not yet.
    """

    name: InputName
    amount: float | None
    unit: str
    finality: Finality = Finality.FINAL
    status: Status = Status.SUBMITTED
    version: int = 0
    author: str = ""
    source: str = ""
    reason: str = ""
    entered: datetime | None = None
    input_id: int = 0

    def says_the_same(self, other: BusinessInput) -> bool:
        """Tell whether the other version would change nothing."""
        mine, theirs = (self.amount, self.unit, self.finality), (other.amount, other.unit, other.finality)
        return self.name == other.name and mine == theirs


def check_input(found: BusinessInput, *, today: date) -> None:
    """Raise `BusinessInputError` unless the input can be true.

    Args:
        found: what is to be entered.
        today: in the park's zone; an amount is known only when its period is over.
    """
    name, spec = found.name, KINDS[found.name.kind]
    _check_key(name, spec)
    _check_unit(found, spec)
    _check_price(name, spec)
    if found.amount is not None:
        if not math.isfinite(found.amount):
            raise BusinessInputError("amount", f"{found.amount} is no number")
        if found.amount < 0 and not spec.may_be_negative:
            raise BusinessInputError("amount", f"{found.amount:g}: {spec.name_en} cannot be negative")
    starts_known = spec.level or name.kind is InputKind.STOCK_OPENING
    if name.period.start > today or (name.period.end > today and not starts_known):
        raise BusinessInputError("period", f"{name.period} is not over yet; report it when it has ended")


def check_known(found: BusinessInput, *, products: Collection[str], workshops: Collection[str]) -> None:
    """Raise `BusinessInputError` if the input names a product or workshop that the firm does not have.

    A firm that declares no product and counts none may report any.
    """
    name = found.name
    if name.kind is InputKind.PRODUCTION and products and name.key not in products:
        raise BusinessInputError("key", f"no product {name.key!r} at this firm; it has {', '.join(sorted(products))}")
    if name.workshop is not None and name.workshop not in workshops:
        have = ", ".join(sorted(workshops)) or "none"
        raise BusinessInputError("workshop", f"no workshop {name.workshop!r} at this firm; it has {have}")


def _check_key(name: InputName, spec: KindSpec) -> None:
    key = name.key
    if not spec.key:
        if key:
            raise BusinessInputError("key", f"{name.kind} has no key, got {key!r}; leave it empty")
        return
    if spec.key == "waste":
        waste_of(key)
        return
    known = {"carrier": tuple(CARRIERS), "pollutant": POLLUTANTS, "instrument": INSTRUMENTS}.get(spec.key)
    if known is not None and (key not in known or key == "product"):
        raise BusinessInputError("key", f"{key!r} is no {spec.key}; known are {', '.join(known)}")
    if not _KEY.fullmatch(key):
        raise BusinessInputError("key", f"{key!r}: {name.kind} needs the code of a {spec.key}")


def _check_unit(found: BusinessInput, spec: KindSpec) -> None:
    try:
        dimension = unit(found.unit).dimension
    except UnitError as error:
        raise BusinessInputError("unit", str(error)) from None
    wanted = CARRIERS[found.name.key] if spec.dimension == "carrier" else spec.dimension
    if wanted not in {"*", dimension}:
        raise BusinessInputError("unit", f"{found.unit} measures {dimension}; {spec.name_en} is measured as {wanted}")


def _check_price(name: InputName, spec: KindSpec) -> None:
    if not spec.priced:
        if name.price_basis is not None or name.price_year is not None:
            raise BusinessInputError("price_basis", f"{name.kind} has no price; leave price basis and year empty")
        return
    if name.price_basis is None:
        raise BusinessInputError("price_basis", f"{name.kind} needs one: current or constant")
    if (name.price_basis is PriceBasis.CONSTANT) != (name.price_year is not None):
        raise BusinessInputError("price_year", "a constant price names its base year, a current price has none")
    if name.price_year is not None and not FIRST_YEAR <= name.price_year <= 2200:
        raise BusinessInputError("price_year", f"{name.price_year}: a year such as 2020 is expected")


def waste_key(category: str, destination: Destination) -> str:
    """Return the key of solid waste: `general/utilised`, or with a type `general.slag/utilised`."""
    return f"{category}/{destination.value}"


def waste_of(key: str) -> tuple[WasteCategory, Destination]:
    """Return category and destination of a key of solid waste, or raise `BusinessInputError`."""
    kind, _, destination = key.partition("/")
    category, dot, detail = kind.partition(".")
    try:
        found = WasteCategory(category), Destination(destination)
    except ValueError:
        found = None
    if found is None or (dot and not _KEY.fullmatch(detail)):
        categories, destinations = ", ".join(WasteCategory), ", ".join(Destination)
        raise BusinessInputError(
            "key", f"{key!r}: write category/destination; categories are {categories}; destinations {destinations}"
        )
    return found


def next_version(versions: Iterable[BusinessInput], new: BusinessInput) -> BusinessInput | None:
    """Return what is to be stored after the versions of the same name, None if the new one changes nothing.

    A row of a file that was taken before changes nothing either, although it was replaced since.

    Raises:
        BusinessInputError: a version is frozen, and the new one gives no reason.
    """
    known = sorted(versions, key=lambda version: version.version)
    if not known:
        return replace(new, version=1)
    if known[-1].says_the_same(new):
        return None
    if any(
        new.source.startswith(FILE_SOURCE) and (old.source, old.amount) == (new.source, new.amount) for old in known
    ):
        return None
    frozen = [version for version in known if version.status is Status.FROZEN]
    if frozen and not new.reason.strip():
        raise BusinessInputError(
            "reason", f"{new.name} is frozen in version {frozen[-1].version}; say why it is to be replaced"
        )
    return replace(new, version=known[-1].version + 1)


def counting(versions: Iterable[BusinessInput]) -> dict[InputName, BusinessInput]:
    """Return the version of each input that counts.

    The newest that was audited or frozen; where none was, the newest that was submitted. So a correction of what was
    audited waits for its own audit. A withdrawn version counts too: it says that nothing is known.
    """
    found: dict[InputName, BusinessInput] = {}
    for version in versions:
        old = found.get(version.name)
        if old is None or _rank(version) > _rank(old):
            found[version.name] = version
    return found


def _rank(version: BusinessInput) -> tuple[bool, int]:
    return version.status is not Status.SUBMITTED, version.version


def price_base_year(year: int) -> int:
    """Return the base year of constant prices of the five-year plan that holds a year: 2020 for 2021 to 2025."""
    return (year - 1) // 5 * 5
