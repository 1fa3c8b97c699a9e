"""The fault catalogue: names, parameters, what truly happens, and what the platform is expected to make of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Literal

import msgspec

from simulators.datafiles import data, parse
from simulators.errors import DataError, UnknownName
from simulators.firms import Name, Section, Text

Layer = Literal["truth", "counter", "dial", "clock", "wire", "meter"]
Span = Literal["instant", "interval", "rest"]
BucketState = Literal["measured", "estimated", "missing", "known", "any"]
Alert = Literal[
    "point_silent",
    "value_frozen",
    "meter_reset",
    "balance_mismatch",
    "value_conflict",
    "late_data",
    "clock_offset",
    "future_time",
    "edge_offline",
    "edge_state_lost",
    "water_leak",
    "water_reuse_low",
    "night_waste",
    "cooling_loss",
    "use_above_expected",
    "production_missing",
    "emission_exceedance",
]


class Parameter(Section, frozen=True, kw_only=True):
    """One number of a fault that a scenario may set."""

    default: float
    unit: Name
    description: Text


class Expectation(Section, frozen=True, kw_only=True):
    """What the platform is expected to do; see the head of `faults.yaml`. A step `held`: for whichever reason."""

    step: Literal["none", "advance", "rollover", "glitch", "dip", "held_reset", "held", "gap", "swap"]
    buckets: BucketState
    conserved: bool
    with_held: bool = False
    wire: Literal["once", "conflict", "quarantine"]
    alert: Alert | None


class FaultKind(Section, frozen=True, kw_only=True):
    """One kind of fault.

    Attributes:
        layer: where it acts.
        acts_on: a point, or all points of one edge.
        span: whether it lasts.
        marks: which buckets are marked by `expect.buckets`, where that differs from `span`.
        carriers: what the point must carry; None: anything.
        truth: what truly happens meanwhile.
        platform: what the platform should make of it, for people.
        expect: the same, for the score.
    """

    name: Name
    name_zh: Name
    description: Text
    description_zh: Text
    layer: Layer
    acts_on: Literal["point", "firm"]
    span: Span
    marks: Span | None = None
    carriers: tuple[str, ...] | None = None
    parameters: dict[str, Parameter] = msgspec.field(default_factory=dict)
    truth: Text
    platform: Text
    expect: Expectation


@dataclass(frozen=True, slots=True)
class Placed:
    """A fault in a scenario: what, where, when `[start_us, end_us)`, and how strong.

    Attributes:
        number: its place in the scenario, which names its random stream.
        point: the point it acts on; None for a fault of a whole edge.
    """

    number: int
    kind: FaultKind
    firm: str
    point: str | None
    start_us: int
    end_us: int
    values: dict[str, float]

    def __getitem__(self, name: str) -> float:
        """Return a parameter's value."""
        return self.values[name]


@cache
def catalogue() -> dict[str, FaultKind]:
    """Return the fault kinds by name, in the order of the catalogue."""
    return load_catalogue((data() / "faults.yaml").read_text("utf-8"), "faults.yaml")


def load_catalogue(text: str, file: str) -> dict[str, FaultKind]:
    """Parse and check a catalogue, or raise `DataError`."""
    kinds = parse(text, file, list[FaultKind])
    seen = dict[str, FaultKind]()
    for k, kind in enumerate(kinds):
        if kind.name in seen:
            raise DataError(file, f"[{k}].name", f"{kind.name!r} is used twice")
        seen[kind.name] = kind
    return seen


def fault(name: str) -> FaultKind:
    """Return a fault kind, or raise `UnknownName`."""
    try:
        return catalogue()[name]
    except KeyError:
        raise UnknownName("fault", name, catalogue()) from None


def overrides(kind: FaultKind, given: dict[str, float], file: str, field: str) -> dict[str, float]:
    """Return all parameters of a placed fault, or raise `DataError` for one that the kind does not have."""
    for name in given:
        if name not in kind.parameters:
            known = ", ".join(kind.parameters) or "none"
            raise DataError(file, f"{field}.{name}", f"{kind.name} has no such parameter; expected one of: {known}")
    return {name: float(given.get(name, parameter.default)) for name, parameter in kind.parameters.items()}
