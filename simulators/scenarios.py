"""Scenarios: firms, a stretch of time and what goes wrong in it, as YAML."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime  # noqa: TC003  (msgspec resolves annotations at run time)
from typing import TYPE_CHECKING, Annotated

import msgspec

from park.calendar import BUCKET_S, BUCKET_US, from_us, to_us
from park.points import Kind
from simulators.datafiles import parse, read, shipped
from simulators.errors import DataError, SimulatorError, UnknownName
from simulators.faults import Placed, catalogue, overrides
from simulators.firms import Amount, Name, Section, Text
from simulators.park_files import FirmSpec  # noqa: TC001  (msgspec resolves annotations at run time)
from simulators.parks import SimulatedPark, load_park, park, parks
from simulators.transforms import METER, TRUTH

if TYPE_CHECKING:
    from simulators.faults import FaultKind
    from simulators.parks import SimulatedFirm

_H_US = 3_600_000_000
_DAY_US = 24 * _H_US


class FaultSpec(Section, frozen=True, kw_only=True):
    """A fault of a scenario.

    Attributes:
        fault: its name in the catalogue.
        firm: where; `point` too, unless it acts on a whole edge.
        after_h: when it begins, hours after the scenario's start.
        lasts_h: how long it lasts; not for faults of an instant or to the end.
        values: parameters that differ from the catalogue's.
    """

    fault: Name
    firm: Name
    point: Name | None = None
    after_h: Amount
    lasts_h: Amount | None = None
    values: dict[str, float] = msgspec.field(default_factory=dict)


class ScenarioSpec(Section, frozen=True, kw_only=True):
    """A scenario file.

    Attributes:
        park: a shipped park; or `firms` composed here.
        only: the firms of the park that take part; None: all.
        start: with a zone, a whole quarter of an hour.
        days: length.
        step_s: how often registers are read.
        seed: unless another is asked for.
        takes_s: how long running and marking it against a platform on two cores may take.
    """

    name: Name
    description: Text
    description_zh: Text
    park: Name | None = None
    firms: tuple[FirmSpec, ...] = ()
    only: tuple[str, ...] | None = None
    start: datetime
    days: Annotated[float, msgspec.Meta(gt=0, le=800)]
    step_s: Annotated[int, msgspec.Meta(ge=1, le=3600)] = 900
    seed: int = 1
    takes_s: Amount = 120
    faults: tuple[FaultSpec, ...] = ()


@dataclass(frozen=True, slots=True)
class Scenario:
    """A checked scenario with its park built."""

    name: str
    description: str
    description_zh: str
    seed: int
    start_us: int
    end_us: int
    step_s: int
    takes_s: float
    park: SimulatedPark
    faults: tuple[Placed, ...]


def scenarios() -> list[str]:
    """Return the names of the shipped scenarios."""
    return shipped("scenarios")


def scenario(
    name: str, *, seed: int | None = None, start: datetime | None = None, park_code: str | None = None
) -> Scenario:
    """Build a shipped scenario, or raise `UnknownName` or `DataError`.

    Args:
        name: one of `scenarios()`.
        seed: instead of the file's.
        start: instead of the file's; a whole quarter of an hour.
        park_code: under which the park is known to the platform, so that it stands beside others.
    """
    file, text = read("scenarios", name, "scenario")
    built = load_scenario(text, file, seed=seed, start=start)
    return built if park_code is None else replace(built, park=replace(built.park, code=park_code))


def load_scenario(text: str, file: str, *, seed: int | None = None, start: datetime | None = None) -> Scenario:
    """Parse, check and build a scenario, or raise `DataError` naming file, field and what was expected."""
    spec = parse(text, file, ScenarioSpec)
    begin = spec.start if start is None else start
    if begin.tzinfo is None:
        raise DataError(file, "start", f"expected a time with a zone such as +08:00, got {begin.isoformat()}")
    start_us = to_us(begin)
    length_us = round(spec.days * _DAY_US)
    if start_us % BUCKET_US:
        raise DataError(file, "start", f"expected a whole quarter of an hour, got {begin.isoformat()}")
    if length_us % BUCKET_US:
        raise DataError(file, "days", f"expected whole quarters of an hour, got {spec.days}")
    if BUCKET_S % spec.step_s and spec.step_s % BUCKET_S:
        raise DataError(file, "step_s", f"expected a divisor or multiple of {BUCKET_S}, got {spec.step_s}")
    chosen = spec.seed if seed is None else seed
    built = _park(spec, file, chosen, start_us)
    end_us = start_us + length_us
    placed = tuple(_placed(fault, n, built, file, start_us, end_us, spec.step_s) for n, fault in enumerate(spec.faults))
    _check_meters(placed, built, file)
    return Scenario(
        spec.name,
        spec.description,
        spec.description_zh,
        chosen,
        start_us,
        end_us,
        spec.step_s,
        spec.takes_s,
        built,
        placed,
    )


def _park(spec: ScenarioSpec, file: str, seed: int, start_us: int) -> SimulatedPark:
    origin = from_us(start_us)
    if (spec.park is None) == (not spec.firms):
        raise DataError(file, "park", "expected either the name of a shipped park or `firms`")
    if spec.park is None:
        document = msgspec.to_builtins({"code": "sim", "name_zh": spec.name, "name_en": spec.name, "firms": spec.firms})
        built = load_park(msgspec.json.encode(document).decode(), file, seed, origin=origin)
    elif spec.park not in parks():
        raise DataError(file, "park", f"expected one of {', '.join(parks())}, got {spec.park!r}")
    else:
        built = park(spec.park, seed, origin=origin)
    if spec.only is None:
        return built
    codes = [firm.code for firm in built.firms]
    for k, code in enumerate(spec.only):
        if code not in codes:
            raise DataError(file, f"only[{k}]", f"expected one of {', '.join(codes)}, got {code!r}")
    return replace(built, firms=tuple(firm for firm in built.firms if firm.code in spec.only))


def _placed(
    spec: FaultSpec, number: int, built: SimulatedPark, file: str, start_us: int, end_us: int, step_s: int
) -> Placed:
    at = f"faults[{number}]"
    if spec.fault not in catalogue():
        raise DataError(file, f"{at}.fault", f"expected one of {', '.join(catalogue())}, got {spec.fault!r}")
    kind = catalogue()[spec.fault]
    try:
        firm = built.firm(spec.firm)
    except UnknownName as error:
        raise DataError(file, f"{at}.firm", str(error)) from None
    _check_place(kind, firm, spec.point, file, at)
    values = overrides(kind, spec.values, file, f"{at}.values")
    begin = start_us + round(spec.after_h * _H_US)
    if kind.span == "interval":
        if spec.lasts_h is None:
            raise DataError(file, f"{at}.lasts_h", f"expected hours: {kind.name} lasts a while")
        finish = begin + round(spec.lasts_h * _H_US)
    elif spec.lasts_h is not None:
        raise DataError(file, f"{at}.lasts_h", f"expected none: {kind.name} is of span {kind.span!r}")
    else:
        # Past the end, so that the reading at the very end is hit as well.
        finish = begin + step_s * 1_000_000 if kind.span == "instant" else end_us + 1
    if not (start_us < begin < end_us and finish <= end_us + 1):
        hours = (end_us - start_us) / _H_US
        raise DataError(file, f"{at}.after_h", f"expected to lie within the scenario's {hours:g} hours")
    return Placed(number, kind, spec.firm, spec.point, begin, finish, values)


def _check_meters(placed: tuple[Placed, ...], built: SimulatedPark, file: str) -> None:
    """Refuse an exchange or a rollover of a meter whose truth is changed too: its last dial would be another."""
    changed = dict[tuple[str, str], str]()
    for fault in placed:
        if fault.kind.name in TRUTH:
            own = built.firm(fault.firm).point(fault.point).flow.name if fault.point is not None else ""
            for effect in TRUTH[fault.kind.name](fault, own):
                changed[fault.firm, effect.flow] = fault.kind.name
    for fault in placed:
        if fault.kind.name in METER and fault.point is not None:
            flow = built.firm(fault.firm).point(fault.point).flow.name
            if (fault.firm, flow) in changed:
                other = changed[fault.firm, flow]
                raise DataError(
                    file,
                    f"faults[{fault.number}].point",
                    f"expected a point that {other} leaves alone, got {fault.point}",
                )


def _check_place(kind: FaultKind, firm: SimulatedFirm, point_code: str | None, file: str, at: str) -> None:
    if kind.acts_on == "firm":
        if point_code is not None:
            raise DataError(file, f"{at}.point", f"expected none: {kind.name} acts on all points of an edge")
        flows = firm.totals.flows
        for carrier in kind.carriers or ():
            if carrier not in flows:
                raise DataError(file, f"{at}.firm", f"expected a firm with {carrier}; {firm.code} has none")
        return
    if point_code is None:
        known = ", ".join(point.code for point in firm.points)
        raise DataError(file, f"{at}.point", f"expected one of {known}: {kind.name} acts on a point")
    try:
        point = firm.point(point_code)
    except SimulatorError as error:
        raise DataError(file, f"{at}.point", str(error)) from None
    if kind.carriers is not None and point.flow.carrier not in kind.carriers:
        expected = ", ".join(kind.carriers)
        raise DataError(file, f"{at}.point", f"expected a point of {expected}; {point_code} is {point.flow.carrier}")
    emission = kind.carriers is not None and "nox" in kind.carriers
    if kind.layer != "truth" and not emission and point.kind is not Kind.REGISTER:
        raise DataError(file, f"{at}.point", f"expected a register; {point_code} is of kind {point.kind}")
