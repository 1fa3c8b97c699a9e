"""One target of one subject, judged from what is stored. Pure: `streams.evidence` has read it already."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import msgspec

from park.calendar import Period, period
from park.indicators import Form, Scope, load_catalogue
from park.projection import Projection, lost_after, needed_rest, project
from park.reasons import Undefined
from park.standing import Standing, decline, effective, monday, threshold, undefined, unjudgeable
from park.targets import Comparator
from park.trends import refused
from park.verdicts import cumulative, hold, per_year, rank
from streams.evidence import is_daily, year_of

if TYPE_CHECKING:
    from datetime import datetime

    from park.ratios import Ratio
    from park.targets import Target
    from streams.evidence import Evidence, Subject

YEAR_D: Final = 365.2425
_BROKEN: Final = frozenset({Undefined.NO_PRODUCTION, Undefined.ZERO_DENOMINATOR})


@dataclass(slots=True)
class Judged:
    """A standing with what it was read from."""

    target: Target
    standing: Standing
    unit: str
    period: datetime | None = None
    closed: bool | None = None
    coverage: float | None = None
    projected_for: datetime | None = None
    lineage: dict[str, Any] = field(default_factory=dict)
    base: Ratio | None = None
    """The base year's own value, where the baseline was measured."""


def judge(target: Target, subject: Subject, evidence: Evidence) -> Judged:
    """Judge a target for a park or a firm, now, or for a year that has ended (`evidence.finished`).

    A firm is judged against the plan's number, but never from the plan's baseline, which is the park's: its own level
    of the base year, if there is one, stands in.
    """
    now = evidence.now.astimezone(evidence.tz)
    target = target.computed()
    if subject[0] != Scope.PARK:
        target = msgspec.structs.replace(target, base_value=None)
    if target.indicator is None:
        return Judged(target, undefined(target, unjudgeable(target) or Undefined.NO_INDICATOR, now), target.unit)
    indicator = load_catalogue().by_id(target.indicator)
    whose = evidence.subject_of(target.scope, subject, indicator.id)
    lineage: dict[str, Any] = {"indicator": indicator.id, "catalogue": load_catalogue().version}
    if whose != subject:
        lineage["subject"] = list(whose)
    target, base = _with_measured_base(target, whose, evidence, lineage)
    year = evidence.period
    row = evidence.years.get((whose, indicator.id), {}).get(evidence.year)
    found = Judged(
        target, undefined(target, Undefined.NO_DATA, now), target.unit, year.start, evidence.finished is not None
    )
    found.lineage, found.base = lineage, base
    so_far: Ratio | None = None
    if row is not None:
        so_far = evidence.ratio(whose, row)
        found.unit, found.coverage = so_far.unit, so_far.coverage
        lineage["values"] = [_named(row)]
    if target.target_year < evidence.year:
        lineage["carried_over"] = True
    reason = unjudgeable(target)
    if reason is None and indicator.form is not Form.RATIO:
        reason = Undefined.NOT_JUDGED
    if reason is None and target.comparator is Comparator.CUMULATIVE_DECLINE and not indicator.trend:
        reason = Undefined.NOT_FOR_TREND  # before any value is there to compare
    if reason is None and so_far is not None and _other_product(target, indicator.unit, so_far):
        reason = Undefined.UNLIKE_PRODUCTS
    if reason is not None:
        value = None if so_far is None else so_far.value
        found.standing = undefined(target, reason, now, value=value)
        return found
    if target.comparator is Comparator.CUMULATIVE_DECLINE:
        return _decline(found, whose, so_far, evidence)
    if target.comparator is Comparator.HOLD:
        return _hold(found, whose, evidence)
    if target.comparator is Comparator.RANK:
        found.standing = rank(target, None, as_of=now)
        return found
    if target.comparator in {Comparator.PER_YEAR, Comparator.CUMULATIVE}:
        return _counted(found, whose, so_far, evidence)
    if so_far is None:
        return found
    return _level(found, whose, so_far, year, evidence)


def _with_measured_base(
    target: Target, whose: Subject, evidence: Evidence, lineage: dict[str, Any]
) -> tuple[Target, Ratio | None]:
    """Take the base year's own finished value where neither plan nor park gave one."""
    if target.base_value is not None:
        lineage["baseline"] = {"from": "given", "year": target.base_year}
        return target, None
    if target.base_year is None or target.indicator is None:
        return target, None
    row = evidence.years.get((whose, target.indicator), {}).get(target.base_year)
    if row is None or not row["closed"]:
        return target, None
    ratio = evidence.ratio(whose, row)
    if ratio.value is None:
        return target, None
    lineage["baseline"] = {"from": "measured", "year": target.base_year, **_named(row)}
    return msgspec.structs.replace(target, base_value=ratio.value), ratio


def _level(found: Judged, whose: Subject, so_far: Ratio, year: Period, evidence: Evidence) -> Judged:
    target, now = found.target, evidence.now.astimezone(evidence.tz)
    rest_days = evidence.rest_days
    projected = _projected(whose, so_far, rest_days, evidence)
    trailing, days = _recent(whose, so_far, year, evidence)
    standing = threshold(
        target,
        so_far,
        trailing,
        trailing_days=days,
        remaining_days=rest_days,
        as_of=now,
        year=evidence.year,
        projected=projected,
    )
    found.projected_for = year.end
    if projected is not None and standing.required is not None and standing.reason is None:
        standing = _how_much_is_left(standing, whose, so_far, projected, evidence, upward=effective(target).upward)
    found.standing = standing
    return found


def _how_much_is_left(
    standing: Standing, whose: Subject, so_far: Ratio, projected: Projection, evidence: Evidence, *, upward: bool
) -> Standing:
    assert standing.required is not None
    sums = (so_far.numerator or 0.0, so_far.denominator or 0.0)
    weeks = evidence.weeks(whose, so_far.indicator_id)
    how = {"scale": so_far.scale, "divides": so_far.divides}
    lost = lost_after(*sums, projected, weeks, standing.required, upward=upward, **how)  # type: ignore[arg-type]
    return replace(
        standing,
        needed_rest=needed_rest(*sums, projected, standing.required, **how),  # type: ignore[arg-type]
        miss_week=None if lost is None else monday(standing.as_of, lost),
    )


def _projected(whose: Subject, so_far: Ratio, rest_days: float, evidence: Evidence) -> Projection | None:
    """Project the running year from its weeks; None for what has no days, or none of whose weeks is known."""
    if so_far.reason is not None or so_far.numerator is None:
        return None
    if not is_daily(load_catalogue().by_id(so_far.indicator_id)):
        return None
    return project(
        so_far.numerator,
        so_far.denominator or 0.0,
        evidence.weeks(whose, so_far.indicator_id),
        rest_days=rest_days,
        scale=so_far.scale,
        divides=so_far.divides,
    )


def _recent(whose: Subject, so_far: Ratio, year: Period, evidence: Evidence) -> tuple[Ratio, float]:
    """Return what goes on where whole weeks are not known: the last days, or the months that are reported."""
    if is_daily(load_catalogue().by_id(so_far.indicator_id)):
        days, numerator, denominator = evidence.recent_days(whose, so_far.indicator_id)
        if days == 0:
            return replace(so_far, numerator=None, denominator=None, reason=Undefined.NO_DATA), 1.0
        return replace(so_far, numerator=numerator, denominator=denominator, reason=None), float(days)
    return so_far, max((evidence.now - year.start).total_seconds() / 86_400, 1.0)


def _decline(found: Judged, whose: Subject, so_far: Ratio | None, evidence: Evidence) -> Judged:
    """Judge by the last twelve finished months, else the running year as projected, else the newest finished year."""
    target, now = found.target, evidence.now.astimezone(evidence.tz)
    assert target.base_year is not None
    assert target.indicator is not None
    base_end = year_of(target.base_year, evidence.tz).end
    low = high = None
    compared = [] if found.base is None else [found.base]
    twelve = None if evidence.finished else _twelve_months(whose, target.indicator, evidence)
    if twelve is not None:
        ratio, end, rows = twelve
        compared += [evidence.ratio(whose, row) for row in reversed(rows)]
        found.lineage["window"], found.lineage["values"] = "twelve_months", [_named(row) for row in rows]
        elapsed = (end - base_end).total_seconds() / 86_400 / YEAR_D
    elif so_far is not None and so_far.value is not None and evidence.year > target.base_year:
        ratio, elapsed = so_far, float(evidence.year - target.base_year)
        found.lineage["window"] = "finished_year" if evidence.finished else "running_year"
        projected = _projected(whose, so_far, evidence.rest_days, evidence)
        if projected is not None:
            total = (so_far.numerator or 0.0) + projected.rest_numerator
            ratio = replace(so_far, numerator=total)
            if so_far.divides:
                ratio = replace(ratio, denominator=(so_far.denominator or 0.0) + projected.rest_denominator)
            low, high = (None, None) if evidence.finished else (projected.low, projected.high)
    else:
        years = evidence.years.get((whose, target.indicator), {})
        closed = [
            y
            for y, row in years.items()
            if row["closed"] and row["reason"] is None and target.base_year < y <= evidence.year
        ]
        if not closed:
            reason = Undefined.NO_DATA if so_far is None else so_far.reason or Undefined.NO_DATA
            found.standing = undefined(target, reason, now)
            return found
        row = years[max(closed)]
        ratio, elapsed = evidence.ratio(whose, row), float(max(closed) - target.base_year)
        found.lineage["window"], found.lineage["values"] = "finished_year", [_named(row)]
    why = refused([*compared, ratio])
    if why is not None:
        found.lineage["refused"] = why.detail
        found.standing = undefined(target, why.reason, now, value=ratio.value)
        return found
    found.standing = decline(target, ratio, elapsed_years=elapsed, as_of=now, low=low, high=high)
    found.projected_for = year_of(target.target_year, evidence.tz).end
    return found


def _twelve_months(
    whose: Subject, indicator_id: str, evidence: Evidence
) -> tuple[Ratio, datetime, list[dict[str, Any]]] | None:
    months = evidence.months.get((whose, indicator_id), {})
    end = period("month", evidence.now, evidence.tz).start
    start, rows = end, []
    for _ in range(12):
        start = period("month", start - timedelta(days=1), evidence.tz).start
        row = months.get(start)
        if row is None or row["numerator"] is None or row["denominator"] is None or _unknown(row):
            return None
        rows.append(row)
    ratios = [evidence.ratio(whose, row) for row in rows]
    if len({ratio.product for ratio in ratios}) > 1:
        return None
    denominator = sum(row["denominator"] for row in rows)
    if denominator <= 0:
        return None
    numerator = sum(row["numerator"] for row in rows)
    return replace(ratios[0], numerator=numerator, denominator=denominator, reason=None), end, rows


def _hold(found: Judged, whose: Subject, evidence: Evidence) -> Judged:
    now = evidence.now.astimezone(evidence.tz)
    months = evidence.months.get((whose, found.target.indicator or ""), {})
    rows = [(start, row) for start, row in sorted(months.items()) if start.year == evidence.year]
    if not rows:
        return found
    found.lineage["values"] = [_named(row) for _, row in rows]
    ratios = [(start, evidence.ratio(whose, row)) for start, row in rows]
    running = evidence.period.end if evidence.finished else period("month", now, evidence.tz).start
    finished = [(start, ratio) for start, ratio in ratios if start < running]
    last = next((ratio for start, ratio in ratios if start >= running), None)
    if last is None:
        last = replace(ratios[-1][1], numerator=None, denominator=None, reason=Undefined.NO_DATA)
    found.coverage = min(ratio.coverage for _, ratio in ratios)
    found.standing = hold(found.target, finished, last, as_of=now)
    return found


def _counted(found: Judged, whose: Subject, so_far: Ratio | None, evidence: Evidence) -> Judged:
    target, now = found.target, evidence.now.astimezone(evidence.tz)
    rows = evidence.years.get((whose, target.indicator or ""), {})
    yearly = {y: evidence.ratio(whose, row).value for y, row in rows.items() if row["closed"]}
    known = {y: value for y, value in yearly.items() if value is not None}
    if target.comparator is Comparator.PER_YEAR:
        projected = None if so_far is None else _projected(whose, so_far, evidence.rest_days, evidence)
        ends = None if projected is None else projected.value
        found.standing = per_year(target, known, year=evidence.year, projected=ends, as_of=now)
        return found
    start = target.base_year or evidence.year - 1
    years = range(start + 1, min(evidence.year, target.target_year + 1))
    missing = any(y not in known for y in years)
    running = 0.0 if so_far is None or evidence.year > target.target_year else so_far.value
    total = None if missing or running is None else sum(known[y] for y in years) + running
    base_end = year_of(start, evidence.tz).end
    elapsed = (now - base_end).total_seconds() / 86_400 / YEAR_D
    found.standing = cumulative(target, total, elapsed_years=elapsed, as_of=now)
    return found


def _other_product(target: Target, unit: str, so_far: Ratio) -> bool:
    """Tell whether a target per tonne meets a value per piece."""
    return "{product}" in unit and "{product}" not in target.unit and so_far.unit != target.unit


def _unknown(row: dict[str, Any]) -> bool:
    return row["reason"] is not None and Undefined(row["reason"]) not in _BROKEN


def _named(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "grain": row["grain"],
        "period": row["period"].isoformat(),
        "revision": row["revision"],
        "run": row["run_id"],
    }
