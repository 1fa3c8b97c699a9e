"""A park as a document: who is in it, what is measured, and which meters stand where.

The same document sets up a real park (`greenpark park apply FILE`) and describes a simulated one. Codes are the names
that people and topics use; applying a document again changes what differs and touches no reading.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import msgspec
import yaml

from park.calendar import zone
from park.errors import CalendarError, DataFileError, UnitError
from park.figures import ProductSource
from park.following import TargetSetting, check_following
from park.graph import Role
from park.membership import GroupDefinition, MembershipDefinition, check_memberships
from park.points import Direction, Kind, Label
from park.relations import check_relations
from park.targets import TargetPack  # noqa: TC001
from park.units import check_carrier_unit, unit
from park.wire import is_code


class InstallationDefinition(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """One physical meter at a point, for `[valid_from, valid_to)`; see `park.points.Installation`."""

    serial: str
    valid_from: datetime
    valid_to: datetime | None = None
    modulus: float | None = None
    multiplier: float = 1.0
    first_reading: float | None = None
    last_reading: float | None = None
    resolution: float | None = None


class ParentDefinition(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """The point that a point stands under, for `[valid_from, valid_to)`; `firm` where it is another firm's."""

    point: str
    firm: str | None = None
    valid_from: datetime | None = None
    valid_to: datetime | None = None


class LimitDefinition(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """What an outlet's permit allows its hourly means, in the point's unit, on `[valid_from, valid_to)`."""

    hourly: float
    source: str
    valid_from: date = date.min
    valid_to: date = date.max


class PointDefinition(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """One series. `product` names what a product counter counts; a virtual point has a formula and no edge."""

    code: str
    name_zh: str
    name_en: str
    kind: Kind
    carrier: str
    unit: str
    edge: str = ""
    direction: Direction = Direction.IN
    interval_s: int = 900
    label: Label = Label.END
    unit_code: str | None = None
    product: str | None = None
    rate_limit_per_h: float | None = None
    installations: list[InstallationDefinition] = []
    formula: str | None = None
    parents: list[ParentDefinition] = []
    role: Role = Role.LOAD
    loss_share: float = 0.0
    limits: list[LimitDefinition] = []


class UnitDefinition(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A workshop, line or process of a firm."""

    code: str
    name_zh: str
    name_en: str


class ProductDefinition(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """A product of a firm; `source` says which counts, its counter or what the firm reports, never both."""

    code: str
    name_zh: str
    name_en: str
    unit: str
    source: ProductSource


class FirmDefinition(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """A firm. `industrial = false` keeps a school or hospital out of industrial intensity."""

    code: str
    name_zh: str
    name_en: str
    industry: str
    uscc: str | None = None
    industrial: bool = True
    above_scale: bool = True
    key_energy_user: bool = False
    zones: list[str] = []
    memberships: list[MembershipDefinition] = []
    products: list[ProductDefinition] = []
    edges: list[str] = []
    units: list[UnitDefinition] = []
    points: list[PointDefinition] = []


class ParkDefinition(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """A whole park and the target packs that it answers for, its own (`own_target_packs`) among them."""

    code: str
    name_zh: str
    name_en: str
    time_zone: str = "Asia/Shanghai"
    target_packs: list[str] = []
    own_target_packs: list[TargetPack] = []
    target_settings: list[TargetSetting] = []
    zones: list[UnitDefinition] = []
    groups: list[GroupDefinition] = []
    firms: list[FirmDefinition] = []


def load_definition(text: str, file: str) -> ParkDefinition:
    """Parse and check a park document (YAML), or raise `DataFileError` naming the field."""
    try:
        raw: Any = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise DataFileError(file, "", f"not YAML: {error}") from None
    try:
        definition = msgspec.convert(raw, ParkDefinition)
    except msgspec.ValidationError as error:
        message, _, place = str(error).partition(" - at ")
        raise DataFileError(file, place.strip("`$."), message) from None
    check_definition(definition, file)
    return definition


def dump_definition(definition: ParkDefinition) -> str:
    """Write a park document as YAML."""
    builtins = msgspec.to_builtins(definition, str_keys=True)
    return yaml.safe_dump(builtins, allow_unicode=True, sort_keys=False)


def check_definition(definition: ParkDefinition, file: str) -> None:
    """Check what types cannot: codes, units, references, installations that overlap. Raises `DataFileError`."""
    _code(file, "code", definition.code)
    try:
        zone(definition.time_zone)
    except CalendarError as error:
        raise DataFileError(file, "time_zone", str(error)) from None
    _unique(file, "firms", [firm.code for firm in definition.firms])
    zones = {z.code for z in definition.zones}
    for f, firm in enumerate(definition.firms):
        at = f"firms[{f}]"
        _code(file, f"{at}.code", firm.code)
        for name in firm.edges:
            _code(file, f"{at}.edges", name)
        for name in firm.zones:
            if name not in zones:
                raise DataFileError(file, f"{at}.zones", f"no zone {name!r} in this park")
        _unique(file, f"{at}.points", [point.code for point in firm.points])
        _check_products(file, at, firm)
        units = {u.code for u in firm.units}
        for p, point in enumerate(firm.points):
            _check_point(file, f"{at}.points[{p}]", point, firm.edges, units)
    check_relations(definition, file)
    check_following(definition.target_packs, definition.own_target_packs, definition.target_settings, file)
    check_memberships(definition, file)


def _check_products(file: str, at: str, firm: FirmDefinition) -> None:
    _unique(file, f"{at}.products", [product.code for product in firm.products])
    counted = {point.product for point in firm.points if point.carrier == "product"}
    for k, product in enumerate(firm.products):
        place = f"{at}.products[{k}]"
        _code(file, f"{place}.code", product.code)
        try:
            unit(product.unit)
        except UnitError as error:
            raise DataFileError(file, f"{place}.unit", str(error)) from None
        if product.source is ProductSource.COUNTER and product.code not in counted:
            raise DataFileError(file, f"{place}.source", f"no product counter of this firm counts {product.code!r}")


def _check_point(file: str, at: str, point: PointDefinition, edges: list[str], units: set[str]) -> None:
    if not point.code or len(point.code) > 128:
        raise DataFileError(file, f"{at}.code", "1 to 128 characters")
    if point.kind is Kind.VIRTUAL:
        if point.edge or point.installations:
            raise DataFileError(file, at, "a virtual point has a formula; nobody sends it: no edge, no installations")
    elif point.edge not in edges:
        raise DataFileError(file, f"{at}.edge", f"no edge {point.edge!r} at this firm; it has {edges}")
    if point.unit_code is not None and point.unit_code not in units:
        raise DataFileError(file, f"{at}.unit_code", f"no unit {point.unit_code!r} at this firm")
    if point.interval_s < 1:
        raise DataFileError(file, f"{at}.interval_s", "at least 1 second")
    try:
        if point.kind is Kind.GAUGE:
            unit(point.unit)
        else:
            check_carrier_unit(point.carrier, point.unit)
    except UnitError as error:
        raise DataFileError(file, f"{at}.unit", str(error)) from None
    _check_limits(file, f"{at}.limits", point)
    ordered = sorted(point.installations, key=lambda meter: meter.valid_from)
    for k, meter in enumerate(ordered):
        if meter.valid_from.tzinfo is None or (meter.valid_to is not None and meter.valid_to.tzinfo is None):
            raise DataFileError(file, f"{at}.installations", f"{meter.serial}: times need a zone, such as +08:00")
        if any(x is not None and x <= 0 for x in (meter.multiplier, meter.modulus, meter.resolution)):
            text = f"{meter.serial}: multiplier, modulus and resolution are positive"
            raise DataFileError(file, f"{at}.installations", text)
        if k and (ordered[k - 1].valid_to is None or ordered[k - 1].valid_to > meter.valid_from):  # type: ignore[operator]
            raise DataFileError(file, f"{at}.installations", f"{meter.serial} overlaps {ordered[k - 1].serial}")


def _code(file: str, field: str, code: str) -> None:
    if not is_code(code):
        raise DataFileError(file, field, f"{code!r}: use letters, digits, '.', '_' and '-', at most 64")


def _unique(file: str, field: str, codes: list[str]) -> None:
    twice = {code for code in codes if codes.count(code) > 1}
    if twice:
        raise DataFileError(file, field, f"named twice: {', '.join(sorted(twice))}")


def _check_limits(file: str, at: str, point: PointDefinition) -> None:
    """Only a concentration is held against a limit, and one limit at a time."""
    if point.limits and (point.kind is not Kind.GAUGE or not unit(point.unit).dimension.startswith("concentration")):
        raise DataFileError(file, at, "only a gauge of a concentration (mg/m3, mg/L) has a limit")
    ordered = sorted(point.limits, key=lambda limit: limit.valid_from)
    for n, limit in enumerate(ordered):
        if not 0 < limit.hourly < float("inf"):
            raise DataFileError(file, f"{at}.hourly", f"{limit.hourly}: a positive number is expected")
        if limit.valid_to <= limit.valid_from or (n and limit.valid_from < ordered[n - 1].valid_to):
            raise DataFileError(
                file, f"{at}.valid_from", f"{limit.valid_from}: limits overlap, or end before they begin"
            )
