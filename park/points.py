"""Points, the meters installed at them, and the meaning of what flows past them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime  # noqa: TC003  (dataclass fields are read at run time)
from enum import IntEnum, StrEnum


class Kind(StrEnum):
    """How a point's readings are to be understood."""

    REGISTER = "register"
    """A cumulative counter; consumption is a difference."""
    INTERVAL = "interval"
    """An amount per interval; consumption is a sum."""
    GAUGE = "gauge"
    """A rate or a state; consumption is an integral, if any."""
    VIRTUAL = "virtual"
    """Nobody sends it: a formula of other points."""


class Direction(StrEnum):
    """Where the carrier goes, seen from the firm."""

    IN = "in"
    """Bought or taken in over the boundary: counts as net input."""
    OUT = "out"
    """Sold or handed out over the boundary: is subtracted."""
    INTERNAL = "internal"
    """Moves inside the boundary (a sub-meter, a recycling loop, self-generation used on site)."""


class Label(StrEnum):
    """Which end of its interval an interval reading's time names."""

    START = "start"
    END = "end"


class Quality(IntEnum):
    """Reading quality as in OPC UA's severity: the wire's `q`."""

    GOOD = 0
    UNCERTAIN = 1
    BAD = 2


@dataclass(frozen=True, slots=True)
class Installation:
    """A dated period of one physical meter at a point, `[valid_from, valid_to)`.

    Attributes:
        modulus: what the dial shows at most plus one step (999 999.9 gives 1 000 000); None: never rolls over.
        multiplier: CT × PT, applied once, here and nowhere else.
        first_reading: dial at the start, None: the first reading received opens the installation.
        last_reading: dial at the end, None: the last reading received closes it.
        resolution: the dial's smallest step; a drop of no more is jitter. None: not known, so no drop is.
    """

    installation_id: int
    serial: str
    modulus: float | None
    multiplier: float
    valid_from: datetime
    valid_to: datetime | None
    first_reading: float | None = None
    last_reading: float | None = None
    resolution: float | None = None


@dataclass(frozen=True, slots=True)
class Point:
    """One measured series of a firm, as the processors need it."""

    point_id: int
    firm_id: int
    code: str
    kind: Kind
    carrier: str
    direction: Direction
    unit: str
    interval_s: int
    label: Label = Label.END
    """For interval points: whether a reading's time is the start or the end of its interval."""
    rate_limit_per_h: float | None = None
    """Physical limit in `unit` per hour after the multiplier; None: not known, so never implausible."""
