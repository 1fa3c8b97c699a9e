"""Many indicators over many periods at once: the same values as `park.ratios.evaluate`, as arrays.

A `Program` is compiled once for a firm's points and an era of the factors; a run of it is a few matrix products. What
is reported does not enter here: it has no bucket and no day.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from park.indicators import Form, Scope
from park.reasons import Undefined
from park.wiring import Product, Side, wire

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from numpy.typing import NDArray

    from park.factors import Factor, FactorRegistry
    from park.indicators import Indicator
    from park.points import Direction

    Floats = NDArray[np.float64]

REASONS: Final = (None, *Undefined)
"""A reason by its code; code 0 is a value."""
_CODE: Final = {reason: k for k, reason in enumerate(REASONS)}
_BLOCK: Final = 4096
"""Periods at a time, so that what is worked on stays small."""


@dataclass(frozen=True, slots=True)
class PointSource:
    """One row of the quantities; see `park.wiring.Source`."""

    point_id: int
    carrier: str
    direction: Direction
    unit: str
    product: str | None = None
    made_of: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Line:
    """What one indicator of a program is whatever the quantities.

    Attributes:
        indicator: which.
        subject_id: the point it is for; None: the firm.
        factors, points, ignored, product: as in `park.ratios.Ratio`.
        unit: of its value.
        detail: of a reason that stands before any quantity.
    """

    indicator: Indicator
    subject_id: int | None
    factors: tuple[Factor, ...]
    points: tuple[int, ...]
    ignored: tuple[int, ...]
    product: Product | None
    unit: str
    detail: str


@dataclass(frozen=True, slots=True)
class Program:
    """Indicators compiled for some sources; i lines, s sources.

    Attributes:
        above, below: coefficients of numerator and denominator, float64 (i, s).
        in_above, in_below: which sources are counted, float64 (i, s) of 0 and 1.
        fixed_above, fixed_below: codes of reasons that stand before any quantity, int8 (i,).
        zero: the numerator has no point, and is zero, bool (i,).
        groups: sources counted together, and the lines that count them: what their coverage is worked out for.
    """

    lines: tuple[Line, ...]
    sources: tuple[PointSource, ...]
    above: Floats
    below: Floats
    in_above: Floats
    in_below: Floats
    fixed_above: NDArray[np.int8]
    fixed_below: NDArray[np.int8]
    zero: NDArray[np.bool_]
    groups: tuple[tuple[NDArray[np.intp], NDArray[np.intp]], ...]
    scale: Floats
    divides: NDArray[np.bool_]
    min_coverage: Floats
    share: NDArray[np.bool_]
    form: tuple[tuple[Form, NDArray[np.intp]], ...]


@dataclass(frozen=True, slots=True)
class Quantities:
    """What the sources of a program moved; s sources, n periods.

    Attributes:
        quantity: measured and estimated together; NaN: unknown. Shape (s, n).
        measured_s, estimated_s: seconds covered, (s, n).
        elapsed_s: seconds of each period so far, (n,).
    """

    quantity: Floats
    measured_s: Floats
    estimated_s: Floats
    elapsed_s: Floats


@dataclass(frozen=True, slots=True)
class Values:
    """What a program gives; i lines, n periods. NaN: not known.

    Attributes:
        reason: codes, `REASONS[code]`, int8 (i, n).
    """

    numerator: Floats
    denominator: Floats
    value: Floats
    coverage: Floats
    estimated_share: Floats
    reason: NDArray[np.int8]


def compile_lines(
    indicators: Sequence[Indicator],
    sources: Sequence[PointSource],
    registry: FactorRegistry,
    *,
    on: date,
    region: str = "CN-CQ",
    points: bool = False,
) -> Program:
    """Compile the firm's indicators and, with `points`, those of its single points, for a day's factors."""
    wired: list[tuple[Indicator, int | None, Side, Side]] = []

    def both(indicator: Indicator, of: Sequence[PointSource], *, of_point: bool) -> tuple[Side, Side]:
        above = wire(indicator.numerator, of, registry, on=on, region=region, of_point=of_point)
        return above, wire(indicator.denominator, of, registry, on=on, region=region, of_point=of_point)

    for indicator in indicators:
        if indicator.reports and not indicator.free:
            continue
        if Scope.FIRM in indicator.scopes:
            wired.append((indicator, None, *both(indicator, sources, of_point=False)))
        if points and Scope.POINT in indicator.scopes:
            for k, source in enumerate(sources):
                if source.carrier in indicator.inputs and not source.made_of:
                    above, below = both(indicator, (source,), of_point=True)
                    wired.append((indicator, source.point_id, _moved(above, k), _moved(below, k)))
    return _program(wired, tuple(sources))


def _moved(side: Side, k: int) -> Side:
    parts = tuple((k, weight) for _, weight in side.parts)
    return Side(parts, side.reason, side.detail, side.factors, side.products, side.ignored)


def _program(wired: Sequence[tuple[Indicator, int | None, Side, Side]], sources: tuple[PointSource, ...]) -> Program:
    n, s = len(wired), len(sources)
    coefficients = np.zeros((2, n, s))
    counts = np.zeros((2, n, s))
    fixed = np.zeros((2, n), np.int8)
    zero = np.zeros(n, bool)
    lines = []
    for i, (indicator, subject_id, *sides) in enumerate(wired):
        details = []
        for k, side in enumerate(sides):
            for source, weight in side.parts:
                coefficients[k, i, source] += weight
                counts[k, i, source] = 1
            reason, detail = side.reason, side.detail
            if reason is None and not side.parts:
                reason = Undefined.NO_POINTS
            if k == 0 and reason is Undefined.NO_POINTS and indicator.absent_numerator_is_zero and sources:
                reason, zero[i] = None, True
            if k == 0 or indicator.denominator:
                fixed[k, i] = _CODE[reason]
                if reason is not None:
                    details.append(detail)
        above, below = sides
        product = below.products[0] if len(below.products) == 1 else None
        factors = {factor.id: factor for factor in above.factors + below.factors}
        counted = np.flatnonzero(counts[:, i].astype(bool).any(axis=0))
        lines.append(
            Line(
                indicator=indicator,
                subject_id=subject_id,
                factors=tuple(factors[name] for name in sorted(factors)),
                points=tuple(sorted({p for k in counted for p in sources[k].made_of or (sources[k].point_id,)})),
                ignored=tuple(sorted({*above.ignored, *below.ignored})),
                product=product,
                unit=indicator.unit.replace("{product}", "product" if product is None else product.unit),
                detail=details[0] if details else "",
            )
        )
    indicators = [indicator for indicator, *_ in wired]
    together: dict[bytes, list[int]] = {}
    any_counts: NDArray[np.bool_] = np.asarray(counts.astype(bool).any(axis=0))
    for i in range(n):
        together.setdefault(any_counts[i].tobytes(), []).append(i)
    return Program(
        lines=tuple(lines),
        sources=sources,
        above=coefficients[0],
        below=coefficients[1],
        in_above=counts[0],
        in_below=counts[1],
        fixed_above=fixed[0],
        fixed_below=fixed[1],
        zero=zero,
        groups=tuple((np.flatnonzero(any_counts[rows[0]]), np.array(rows)) for rows in together.values()),
        scale=np.array([indicator.scale for indicator in indicators]),
        divides=np.array([bool(indicator.denominator) for indicator in indicators], bool),
        min_coverage=np.array([indicator.min_coverage for indicator in indicators]),
        share=np.array([indicator.share for indicator in indicators], bool),
        form=tuple(
            (form, np.array([i for i, indicator in enumerate(indicators) if indicator.form is form], np.intp))
            for form in (Form.COSINE, Form.CLOSURE)
        ),
    )


def run(program: Program, moved: Quantities) -> Values:
    """Evaluate every line of a program for every period."""
    n = len(moved.elapsed_s)
    if n <= _BLOCK:
        return _run(program, moved)
    parts = []
    for start in range(0, n, _BLOCK):
        cut = slice(start, start + _BLOCK)
        parts.append(
            _run(
                program,
                Quantities(
                    moved.quantity[:, cut],
                    moved.measured_s[:, cut],
                    moved.estimated_s[:, cut],
                    moved.elapsed_s[cut],
                ),
            )
        )
    return Values(*(np.concatenate([getattr(part, name) for part in parts], axis=1) for name in Values.__slots__))


def _run(program: Program, moved: Quantities) -> Values:
    i, n = len(program.lines), len(moved.elapsed_s)
    known = np.isfinite(moved.quantity)
    quantity = np.where(known, moved.quantity, 0.0)
    there = known.astype(np.float64)
    numerator, denominator = program.above @ quantity, program.below @ quantity
    above = _side_reason(program.in_above, there, program.fixed_above)
    below = np.where(program.divides[:, None], _side_reason(program.in_below, there, program.fixed_below), 0)
    coverage, estimated = _coverage(program, moved, known)
    reason: NDArray[np.int8] = np.where(above > 0, above, below).astype(np.int8)
    numerator[above > 0] = np.nan
    denominator[(below > 0) | ~np.broadcast_to(program.divides[:, None], (i, n))] = np.nan
    low: NDArray[np.bool_] = (reason == 0) & (coverage < program.min_coverage[:, None])
    reason[low] = _CODE[Undefined.COVERAGE_TOO_LOW]
    with np.errstate(divide="ignore", invalid="ignore"):
        value = np.where(program.divides[:, None], numerator / denominator, numerator)
        undivided: NDArray[np.bool_] = program.divides[:, None] & ~(denominator > 0)
        for form, rows in program.form:
            if len(rows) == 0:
                continue
            a, b = numerator[rows], denominator[rows]
            if form is Form.COSINE:
                apparent = np.hypot(a, b)
                value[rows], undivided[rows] = a / apparent, ~(apparent > 0)
            else:
                value[rows] = np.abs(b - a) / b
    counts = np.array([line.product is not None for line in program.lines], bool)[:, None]
    nothing = np.where(counts, _CODE[Undefined.NO_PRODUCTION], _CODE[Undefined.ZERO_DENOMINATOR])
    reason = np.where((reason == 0) & undivided, nothing, reason).astype(np.int8)
    value = value * program.scale[:, None]
    with np.errstate(invalid="ignore"):
        beyond: NDArray[np.bool_] = program.share[:, None] & ((value < -1e-9) | (value > 100 + 1e-9))
    reason[(reason == 0) & beyond] = _CODE[Undefined.IMPLAUSIBLE]
    value[reason != 0] = np.nan
    return Values(numerator, denominator, value, coverage, estimated, reason)


def _side_reason(counted: Floats, there: Floats, fixed: NDArray[np.int8]) -> NDArray[np.int8]:
    """Return the codes of why a side is unknown: of the first that holds, 0 where none does; shape (i, n)."""
    wanted = counted.sum(axis=1)[:, None]
    have = counted @ there
    dynamic = np.where(
        have >= wanted, 0, np.where(have > 0, _CODE[Undefined.COVERAGE_TOO_LOW], _CODE[Undefined.NO_DATA])
    )
    found: NDArray[np.int8] = np.where(fixed[:, None] > 0, fixed[:, None], dynamic).astype(np.int8)
    return found


def _coverage(program: Program, moved: Quantities, known: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Return coverage and estimated share of each line: least and largest over the sources it counts."""
    i, n = len(program.lines), len(moved.elapsed_s)
    elapsed = moved.elapsed_s[None, :]
    running = elapsed > 0
    with np.errstate(divide="ignore", invalid="ignore"):
        measured = np.where(known & running, np.minimum(moved.measured_s / elapsed, 1.0), 0.0)
        estimated = np.where(known & running, np.minimum(moved.estimated_s / elapsed, 1.0 - measured), 0.0)
    # What rests on no point at all needs nothing to be covered.
    bare = program.zero & ~program.divides
    coverage, largest = np.repeat(bare.astype(np.float64)[:, None], n, axis=1), np.zeros((i, n))
    both = measured + estimated
    for sources, rows in program.groups:
        if len(sources):
            coverage[rows] = both[sources].min(axis=0)
            largest[rows] = estimated[sources].max(axis=0)
    return coverage, largest


def silent_points(program: Program, line: int, known: NDArray[np.bool_]) -> str:
    """Say which points of a line were silent in one period; `known` is of its sources, shape (s,)."""
    counted = (program.in_above[line] > 0) & ~known
    if not counted.any():
        counted = (program.in_below[line] > 0) & ~known
    silent = [str(program.sources[k].point_id) for k in np.flatnonzero(counted)]
    return f"no data from point {', '.join(silent)}" if silent else ""
