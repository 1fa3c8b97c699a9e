"""Why a number is what it is: the steps of a register by name, and what each point adds to an indicator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from park.buckets import of_installation
from park.errors import FactorError, UnitError
from park.points import Kind, Quality
from park.registers import Step, curve
from park.wiring import coefficient, factor_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from park.factors import Factor, FactorRegistry
    from park.indicators import Indicator
    from park.points import Installation, Point
    from park.registers import Amounts, Flags, Instants
    from park.wiring import Source


@dataclass(frozen=True, slots=True)
class StepLine:
    """One step between two believed readings of one meter.

    Attributes:
        t0_us, t1_us: instants of the readings, microseconds since 1970.
        value0, value1: what the dial showed.
        names: why it counts as it does; empty for a plain advance.
        counted, held: in the point's unit.
        adjustment: what was counted beyond the plain difference times the multiplier; 0 for a plain advance.
    """

    serial: str
    multiplier: float
    t0_us: int
    t1_us: int
    value0: float
    value1: float
    names: tuple[str, ...]
    counted: float
    held: float
    adjustment: float


def step_names(flags: int) -> tuple[str, ...]:
    """Return the names of a step's or a bucket's flags, lower case."""
    return tuple(str(flag.name).lower() for flag in Step(flags))


def steps(
    point: Point,
    installations: Sequence[Installation],
    t_us: Instants,
    value: Amounts,
    quality: Flags,
    span_us: tuple[int, int],
) -> list[StepLine]:
    """Return the steps of a register that overlap `[start, end)`.

    Args:
        point: a register; of anything else there are no steps.
        installations: the meters that stood there.
        t_us: instants of raw readings, rising strictly, neighbours of the span included.
        value: dial values, same shape.
        quality: `Quality`, same shape.
        span_us: microseconds since 1970.
    """
    if point.kind is not Kind.REGISTER:
        return []
    good = quality < Quality.BAD
    found = []
    for meter in installations:
        t, v = of_installation(t_us[good], value[good], meter, register=True)
        if len(t) < 2:
            continue
        walked = curve(
            t,
            v,
            modulus=meter.modulus,
            multiplier=meter.multiplier,
            rate_limit_per_h=point.rate_limit_per_h,
            dial_step=meter.resolution or 0.0,
        )
        shown = v[np.searchsorted(t, walked.t_us)]
        counted = np.diff(walked.total)
        plain = np.diff(shown) * meter.multiplier
        for k in np.flatnonzero((walked.t_us[1:] > span_us[0]) & (walked.t_us[:-1] < span_us[1])):
            names = step_names(int(walked.step[k + 1]))
            adjustment = float(counted[k] - plain[k])
            if not names and abs(adjustment) <= 1e-9 * max(abs(float(plain[k])), float(walked.total[k + 1])):
                adjustment = 0.0
            found.append(
                StepLine(
                    serial=meter.serial,
                    multiplier=meter.multiplier,
                    t0_us=int(walked.t_us[k]),
                    t1_us=int(walked.t_us[k + 1]),
                    value0=float(shown[k]),
                    value1=float(shown[k + 1]),
                    # A dip is not counted, and neither is its way back.
                    names=names or (("dip",) if adjustment else ()),
                    counted=float(counted[k]),
                    held=float(walked.held[k + 1]),
                    adjustment=adjustment,
                )
            )
    return found


@dataclass(frozen=True, slots=True)
class PointPart:
    """What a point counts for in an indicator: its quantity times `coefficient` is added to the side.

    Attributes:
        side: `numerator` or `denominator`.
        unit: of the sum; of a product its own.
        factor: that is in the coefficient, None if none is.
    """

    point_id: int
    side: str
    coefficient: float
    unit: str
    factor: Factor | None


def point_parts(
    indicator: Indicator, sources: Sequence[Source], registry: FactorRegistry, *, on: date, region: str = "CN-CQ"
) -> list[PointPart]:
    """Return what each point of a firm adds to an indicator; points that do not count, or cannot, are left out."""
    found = []
    for side, terms in (("numerator", indicator.numerator), ("denominator", indicator.denominator)):
        for term in terms:
            for source in sources:
                weight = term.weights.get(source.direction) if source.carrier in term.carriers else None
                if weight is None:
                    continue
                try:
                    factor = factor_of(term, source.carrier, registry, on=on, region=region)
                    share = weight * coefficient(term, source.unit, factor)
                except (FactorError, UnitError):
                    continue
                found.append(PointPart(source.point_id, side, share, term.unit or source.unit, factor))
    return found
