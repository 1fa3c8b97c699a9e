"""Compiled indicators of firms, kept from pass to pass: they change only with a firm's points or the factors' era."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from park.evaluation import REASONS, PointSource, Program, compile_lines
from park.factors import load_factors
from park.indicators import load_catalogue
from park.reasons import Undefined
from park.wiring import Product

if TYPE_CHECKING:
    from collections.abc import Sequence

    from park.evaluation import Line
    from park.factors import Factor

BUCKET: Final = "bucket"
POINT_GRAINS: Final = frozenset({"day", "month"})
"""Of single points: a year of one is the sum of its months, and nobody waits for it."""


@dataclass(frozen=True, slots=True)
class Ready:
    """A program and what is the same in all that it writes.

    Attributes:
        grains: of each line, those in which it is computed.
        absent: lines that the firm has no points for; written for the year alone, so that the reason is seen.
        lineage: of each line, as JSON without its last fields and the closing brace.
        basis: of each line, as `store.indicators` keeps it.
    """

    program: Program
    grains: tuple[frozenset[str], ...]
    absent: tuple[bool, ...]
    lineage: tuple[str, ...]
    basis: tuple[str, ...]


def firm_program(sources: tuple[PointSource, ...], on: date) -> Ready:
    """Return the indicators of a firm with these points and derived quantities, at the factors of a day."""
    return _ready(sources, load_factors().era(on))


@lru_cache(maxsize=2048)
def _ready(sources: tuple[PointSource, ...], era: int) -> Ready:
    registry = load_factors()
    on = registry.turns[era - 1] if era else date.min
    program = compile_lines(load_catalogue().indicators, sources, registry, on=on, points=True)
    return Ready(
        program,
        tuple(map(_grains, program.lines)),
        tuple(_absent(program, k) for k in range(len(program.lines))),
        tuple(map(_lineage, program.lines)),
        tuple(basis_of(line.factors, line.product, None) for line in program.lines),
    )


def _lineage(line: Line) -> str:
    head = lineage_head(line.factors, line.points, line.ignored, line.product)
    if not line.indicator.free:
        return head
    unreported = [" ".join([report.kind, *report.keys]) for report in line.indicator.reports]
    return f'{head}, "unreported": {json.dumps(unreported)}'


def _grains(line: Line) -> frozenset[str]:
    if line.subject_id is not None:
        return POINT_GRAINS & set(line.indicator.grains)
    return frozenset(line.indicator.grains) | ({BUCKET} if line.indicator.live else set())


def _absent(program: Program, k: int) -> bool:
    """Tell whether the firm has nothing that the indicator is about."""
    line = program.lines[k]
    if line.subject_id is None and program.zero[k] and not program.divides[k]:
        return False
    fixed = (REASONS[program.fixed_above[k]], REASONS[program.fixed_below[k]])
    return line.subject_id is None and Undefined.NO_POINTS in fixed


def lineage_head(
    factors: Sequence[Factor], points: Sequence[int], ignored: Sequence[int], product: Product | None
) -> str:
    """Return what a value rests on as JSON, open for what differs from period to period and the brace."""
    body = {
        "factors": [{"id": f.id, "value": f.value, "verified": f.verified, "note": f.note} for f in factors],
        "points": list(points),
        "ignored_points": list(ignored),
        "product": None if product is None else {"unit": product.unit, "code": product.code},
        "verified": all(f.verified for f in factors),
        "catalogue": load_catalogue().version,
    }
    return json.dumps(body, ensure_ascii=False)[:-1]


@lru_cache(maxsize=4096)
def based(basis: str) -> tuple[tuple[str, ...], Product | None, int | None]:
    """Return factors, product and base year of prices of a basis; the inverse of `basis_of`."""
    factors, unit, code, price_year = json.loads(basis)
    return tuple(factors), None if unit is None else Product(unit, code), price_year


def basis_of(factors: Sequence[Factor], product: Product | None, price_year: int | None) -> str:
    """Return the factors, product and base year of prices of a value as one word, for a park's sum."""
    of = [None, None] if product is None else [product.unit, product.code]
    return json.dumps([[f.id for f in factors], *of, price_year], ensure_ascii=False)
