"""Values as lines of COPY's text format, and a park's sums as ratios."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np

from park.evaluation import REASONS, silent_points
from park.factors import load_factors
from park.indicators import load_catalogue
from park.ratios import LeftOut, Ratio, finished
from park.reasons import Undefined
from streams.programs import based, basis_of, lineage_head

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from park.evaluation import Program, Quantities, Values
    from park.factors import Factor
    from park.indicators import Indicator
    from streams.indicators import Work
    from streams.programs import Ready

NULL: Final = "\\N"
_CODES: Final = tuple(NULL if reason is None else reason.value for reason in REASONS)
_LOW: Final = REASONS.index(Undefined.COVERAGE_TOO_LOW)
_UNWRITTEN: Final = frozenset({Undefined.NO_POINTS, Undefined.NOT_REPORTED})
_MOST_HEADS: Final = 4096
_HEADS: dict[tuple[object, ...], str] = {}
REGISTRY: Final = frozenset({"park document"})
"""Causes that may take an indicator's points away."""


def lines(
    work: Work,
    ready: Ready,
    values: Values,
    moved: Quantities,
    keys: Sequence[tuple[str, datetime, bool]],
    *,
    told: bool = False,
    reported: Mapping[int, Collection[str]] | None = None,
) -> list[str]:
    """Return what to write of a firm's values; `keys` are grain, start and whether it has ended, of each column.

    What the firm has no points for is said once a year; with `told` it was. `reported` is what the firm reported of, by
    year: indicators that can do without reports are `streams.reported`'s business in a year that has some.
    """
    program: Program = ready.program
    head = f"{work.park_id}\t{work.firm_id}\t"
    places = [(grain, f"{grain}\t{start.isoformat()}", "t" if closed else "f") for grain, start, closed in keys]
    over = not REGISTRY.isdisjoint(work.causes)
    out: list[str] = []
    for i, line in enumerate(program.lines):
        grains, absent = ready.grains[i], ready.absent[i]
        if absent and not over:
            grains = frozenset() if told else grains & {"year"}
        columns = [k for k, (grain, *_) in enumerate(places) if grain in grains]
        if line.indicator.free and reported:
            kinds = {report.kind.value for report in line.indicator.reports}
            years = [keys[k][1].astimezone(work.tz).year for k in columns]
            columns = [k for k, year in zip(columns, years, strict=True) if kinds.isdisjoint(reported.get(year, ()))]
        if not columns:
            continue
        subject = f"firm\t{work.firm_id}" if line.subject_id is None else f"point\t{line.subject_id}"
        start = f"{head}{subject}\t{line.indicator.id}\t"
        unit = f"\t{line.unit}\t"
        lineage, tail = ready.lineage[i].replace("\\", "\\\\"), f"\t{work.run_id}\t{_escaped(ready.basis[i])}\t"
        numbers = [
            [NULL if number != number else repr(number) for number in row[i].tolist()]  # noqa: PLR0124  (NaN)
            for row in (values.numerator, values.denominator, values.value)
        ]
        coverage, estimated = values.coverage[i].tolist(), values.estimated_share[i].tolist()
        if absent:
            # It is not said again when the rest of it moves, so that it must not tell of the rest.
            numbers = [[NULL] * len(keys)] * 3
            coverage = estimated = [0.0] * len(keys)
        reason = values.reason[i].tolist()
        for k in columns:
            grain, place, closed = places[k]
            detail = ""
            if reason[k]:
                detail = line.detail
                if reason[k] == _LOW and not detail and NULL in (numbers[0][k], numbers[1][k]):
                    detail = silent_points(program, i, np.isfinite(moved.quantity[:, k]))
            rest = f', "left_out": [], "estimated_share": {estimated[k]!r}, "detail": {_quoted(detail)}}}'
            only_over = "t" if absent and grain != "year" else "f"
            out.append(
                f"{start}{place}\t{numbers[0][k]}\t{numbers[1][k]}\t{numbers[2][k]}{unit}{coverage[k]!r}\t"
                f"{_CODES[reason[k]]}\t{closed}\t{lineage}{rest}{tail}{estimated[k]!r}\t{only_over}\n"
            )
    return out


def ratio_line(
    ratio: Ratio,
    owner: tuple[int, int | None],
    subject: tuple[str, int],
    key: tuple[str, datetime],
    run_id: int,
    *,
    closed: bool,
    only_over: bool = False,
    **more: Any,
) -> str:
    """Return one ratio as a line; `owner` is `(park, firm)`, `subject` scope and id, `key` grain and start."""
    numbers = (ratio.numerator, ratio.denominator, ratio.value)
    firm_id = NULL if owner[1] is None else owner[1]
    reason = NULL if ratio.reason is None else ratio.reason.value
    basis = basis_of(ratio.factors, ratio.product, ratio.price_year)
    return (
        f"{owner[0]}\t{firm_id}\t{subject[0]}\t{subject[1]}\t{ratio.indicator_id}\t{key[0]}\t{key[1].isoformat()}\t"
        f"{_number(numbers[0])}\t{_number(numbers[1])}\t{_number(numbers[2])}\t{_escaped(ratio.unit)}\t"
        f"{ratio.coverage!r}\t{reason}\t{'t' if closed else 'f'}\t{_escaped(_lineage(ratio, more))}\t{run_id}\t"
        f"{_escaped(basis)}\t{ratio.estimated_share!r}\t{'t' if only_over else 'f'}\n"
    )


def _number(value: float | None) -> str:
    return NULL if value is None else repr(value)


def _lineage(ratio: Ratio, more: dict[str, Any]) -> str:
    """Return what a ratio rests on as JSON; what is the same from period to period is made once."""
    if more or ratio.figures or ratio.unreported or ratio.price_year is not None:
        body = ratio.lineage() | {"catalogue": load_catalogue().version} | more
        return json.dumps(body, ensure_ascii=False)
    key = (tuple((f.id, f.stands_in_for) for f in ratio.factors), ratio.points, ratio.ignored, ratio.product)
    head = _HEADS.get(key)
    if head is None:
        if len(_HEADS) >= _MOST_HEADS:
            _HEADS.clear()
        head = _HEADS[key] = lineage_head(ratio.factors, ratio.points, ratio.ignored, ratio.product)
    left_out, detail = "[]", '""'
    if ratio.left_out:
        left_out = json.dumps([{"id": left.subject_id, "reason": left.reason.value} for left in ratio.left_out])
    if ratio.detail:
        detail = json.dumps(ratio.detail, ensure_ascii=False)
    return f'{head}, "left_out": {left_out}, "estimated_share": {ratio.estimated_share!r}, "detail": {detail}}}'


def park_ratio_of(indicator: Indicator, row: Mapping[str, Any], there: set[int], park_id: int, year: int) -> Ratio:
    """Return a park's ratio of sums from what the database added up; as `park.ratios.park_ratio`.

    Args:
        indicator: which.
        row: of `store.indicators.park_sums`.
        there: the industrial firms that have any value in the period.
        park_id: the subject.
        year: local year of the period, in which a factor of an earlier one stands in.
    """
    bases = [based(basis) for basis in row["bases"] or ()]
    outside = dict(zip(row["outside_ids"] or (), map(Undefined, row["outside_reasons"] or ()), strict=True))
    if indicator.everyone:
        lacking = Undefined.NOT_REPORTED if indicator.reports else Undefined.NO_POINTS
        silent = there - outside.keys() - set(row["inside_ids"] or ())
        outside |= dict.fromkeys(sorted(silent), lacking)
    else:
        outside = {firm: reason for firm, reason in outside.items() if reason not in _UNWRITTEN}
    products = {product for _, product, _ in bases if product is not None}
    years = {price_year for *_, price_year in bases if price_year is not None}
    inside = row["inside"]
    unlike = len(products) > 1 or (inside > 1 and any(product.code is None for product in products))
    reason: Undefined | None = None
    if unlike or Undefined.UNLIKE_PRODUCTS in outside.values():
        reason = Undefined.UNLIKE_PRODUCTS
    elif len(years) > 1:
        reason = Undefined.UNLIKE_PRICES
    elif not inside:
        reasons = set(outside.values())
        reason = reasons.pop() if len(reasons) == 1 else Undefined.NO_DATA
    product = next(iter(products)) if len(products) == 1 else None
    divides = bool(indicator.denominator)
    members = inside + len(outside)
    return finished(
        indicator,
        Ratio(
            indicator_id=indicator.id,
            subject_id=park_id,
            numerator=row["numerator"] if inside else None,
            denominator=row["denominator"] if divides and inside and not unlike else None,
            divides=divides,
            scale=indicator.scale,
            unit=indicator.unit.replace("{product}", "product" if product is None else product.unit),
            reason=reason,
            coverage=row["covered"] / members if members else 0.0,
            estimated_share=row["estimated_share"],
            factors=_factors(tuple(sorted({factor for ids, *_ in bases for factor in ids})), year),
            product=product,
            left_out=tuple(LeftOut(firm, outside[firm]) for firm in sorted(outside)),
            form=indicator.form,
            price_year=next(iter(years)) if len(years) == 1 else None,
        ),
    )


@lru_cache(maxsize=1024)
def _factors(ids: tuple[str, ...], year: int) -> tuple[Factor, ...]:
    """Return factors by id, with the year that one of an earlier year stands in for."""
    registry = load_factors()
    found = []
    for factor_id in ids:
        factor = registry.by_id(factor_id)
        if factor.yearly and factor.valid_to is not None and factor.valid_to.year <= year:
            factor = msgspec.structs.replace(factor, stands_in_for=year)
        found.append(factor)
    return tuple(found)


def _quoted(detail: str) -> str:
    return _escaped(json.dumps(detail, ensure_ascii=False)) if detail else '""'


def _escaped(text: str) -> str:
    """Return text as COPY's text format wants it."""
    return text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n")
