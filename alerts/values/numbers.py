"""Values of the rules about numbers that others computed or read: indicators, standings, gauges, emissions. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from alerts.fold import Values
from alerts.frame import HOUR_US
from alerts.values.common import per_point
from park.calendar import BUCKET_US, period, to_us, zone
from park.points import Quality

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from alerts.frame import Frame
    from alerts.kinds import BaselineDeviation, Emission, IndicatorThreshold, Quantity, ReadingThreshold

    Amounts = NDArray[np.float64]

_DAY_US: Final = 24 * HOUR_US
GRAIN_US: Final = {"bucket": BUCKET_US, "hour": HOUR_US, "day": _DAY_US, "month": 31 * _DAY_US, "year": 366 * _DAY_US}
STANDING: Final = {"ahead": 0.0, "on_pace": 1.0, "at_risk": 2.0, "off": 3.0, "undefined": np.nan}


def _laid_out(rows: Sequence[tuple[int, int, float, float, Mapping[str, Any]]], span_us: int) -> Values:
    """Lay `(subject, instant, value, coverage, detail)` out over subjects and instants."""
    ids = np.unique(np.array([row[0] for row in rows], np.int64))
    t_us = np.unique(np.array([row[1] for row in rows], np.int64))
    value, coverage = np.full((len(ids), len(t_us)), np.nan), np.ones((len(ids), len(t_us)))
    details: dict[tuple[int, int], Mapping[str, Any]] = {}
    for subject, at_us, number, covered, detail in rows:
        k, column = int(np.searchsorted(ids, subject)), int(np.searchsorted(t_us, at_us))
        value[k, column], coverage[k, column] = number, covered
        details[k, column] = detail
    return Values(ids, t_us, value, span_us, coverage, lambda k, column: details.get((k, column), {}))


def indicator(rule: IndicatorThreshold, time_zone: str, rows: Sequence[Any]) -> Values:
    """Return an indicator's values at the ends of their periods; rows as `store.alert_inputs.indicators` gives them."""
    tz = zone(time_zone)
    found = []
    for row in rows:
        end_us = (
            to_us(row.period) + BUCKET_US if rule.grain == "bucket" else to_us(period(rule.grain, row.period, tz).end)
        )
        detail = {
            "indicator": rule.indicator,
            "grain": rule.grain,
            "period": row.period.isoformat(),
            "numerator": row.numerator,
            "denominator": row.denominator,
            "revision": row.revision,
            "run_id": row.run_id,
        }
        found.append((row.scope_id, end_us, np.nan if row.value is None else row.value, row.coverage, detail))
    values = _laid_out(found, GRAIN_US[rule.grain])
    return values if rule.usual_days is None else _against_usual(rule, values)


def _against_usual(rule: IndicatorThreshold, values: Values) -> Values:
    """Return how far each value lies beyond the worst twentieth of the days before it."""
    assert rule.usual_days is not None
    assert values.coverage is not None
    share = 0.05 if rule.open.below is not None else 0.95
    known = np.where(values.coverage >= rule.min_coverage, values.value, np.nan)
    out, usual = np.full(known.shape, np.nan), np.full(known.shape, np.nan)
    since = np.searchsorted(values.t_us, values.t_us - rule.usual_days * 24 * HOUR_US)
    least = max(1, 24 * HOUR_US // GRAIN_US[rule.grain])
    for column, first in enumerate(since.tolist()):
        before = known[:, first:column]
        enough = np.isfinite(before).sum(axis=1) >= least
        if enough.any():
            usual[enough, column] = np.nanquantile(before[enough], share, axis=1)
    out = known - usual

    def detail(row: int, column: int) -> Mapping[str, Any]:
        return {**values.detail(row, column), "actual": float(known[row, column]), "usual": float(usual[row, column])}

    return replace(values, value=out, detail=detail)


def standing(rows: Sequence[Any]) -> list[tuple[str, Values]]:
    """Return each target's standings as they were found, by target: `(pack/target, values)`."""
    by_target: dict[str, list[tuple[int, int, float, float, Mapping[str, Any]]]] = {}
    for row in rows:
        detail = {
            "target": f"{row['pack_id']}/{row['target_id']}",
            "pack_version": row["pack_version"],
            "state": row["state"],
            "target_value": row["target_value"],
            "projection": row["projection"],
            "actual": row["value"],
            "sentence_zh": row["sentence_zh"],
            "sentence_en": row["sentence_en"],
        }
        entry = (row["scope_id"], to_us(row["as_of"]), STANDING[row["state"]], 1.0, detail)
        by_target.setdefault(f"{row['pack_id']}/{row['target_id']}", []).append(entry)
    return [(target, _laid_out(found, 0)) for target, found in sorted(by_target.items())]


def baseline(rule: BaselineDeviation, rows: Sequence[Any], time_zone: str) -> Values:
    """Return the CUSUM against the baseline in force, as a multiple of its threshold."""
    tz = zone(time_zone)
    found = []
    for row in rows:
        if rule.indicators and row["indicator_id"] not in rule.indicators:
            continue
        end = (
            to_us(row["period"]) + 7 * 24 * HOUR_US
            if rule.grain == "week"
            else to_us(period(rule.grain, row["period"], tz).end)
        )
        side = row["c_plus"] if rule.side == "over" else row["c_minus"]
        detail = {
            "indicator": row["indicator_id"],
            "actual": row["actual"],
            "expected": row["expected"],
            "excess": {"quantity": row["residual"], "unit": row["unit"]},
            "baseline_id": row["baseline_id"],
        }
        found.append((row["firm_id"], end, side / row["h"] if row["h"] else np.nan, 1.0, detail))
    return _laid_out(found, 24 * HOUR_US)


def quantity(rule: Quantity, frame: Frame) -> Values:
    """Return what each point moves per hour over the last quarter hours, or its share of a limit."""
    rows = frame.chosen(rule.where)
    rows = rows[(frame.points.kind[rows] != "gauge") | (rule.per == "hour")]
    moved = frame.ledger.quantity[rows]
    covered = (frame.ledger.measured_s[rows] + frame.ledger.estimated_s[rows]).astype(np.float64) / (BUCKET_US / 1e6)
    level, coverage = _windowed(moved, rule.buckets) * (HOUR_US / BUCKET_US), _windowed(covered, rule.buckets)
    if rule.change:
        level[:, rule.buckets :] = level[:, rule.buckets :] - level[:, : -rule.buckets]
        level[:, : rule.buckets] = np.nan
    value = level
    if rule.per != "hour":
        limit = np.array([_limit(rule, frame, int(row)) for row in rows]) if len(rows) else np.zeros(0)
        with np.errstate(invalid="ignore", divide="ignore"):
            value = 100.0 * level / limit[:, np.newaxis]
    if rule.at_least_per_h:
        value = np.where(np.abs(level) < rule.at_least_per_h, 0.0, value)
    return per_point(frame, rows, value, span_us=rule.buckets * BUCKET_US, coverage=coverage)


def _limit(rule: Quantity, frame: Frame, row: int) -> float:
    if rule.per == "rate_limit":
        return float(frame.points.rate_limit_per_h[row])
    found = frame.limit_of(row, "high" if rule.per == "limit_high" else "low", int(frame.ledger.ends_us[-1]))
    return np.nan if found is None else found.value


def _windowed(values: Amounts, count: int) -> Amounts:
    """Return the mean of each value and those before it, `count` in all; NaN where one is."""
    if count == 1:
        return values.copy()
    known = np.cumsum(np.where(np.isnan(values), 0.0, values), axis=1)
    missing = np.cumsum(np.isnan(values), axis=1)
    out = np.full(values.shape, np.nan)
    head = np.zeros((len(values), 1))
    total = np.concatenate([head, known], axis=1)
    holes = np.concatenate([head, missing], axis=1)
    if values.shape[1] >= count:
        out[:, count - 1 :] = (total[:, count:] - total[:, :-count]) / count
        out[:, count - 1 :][holes[:, count:] - holes[:, :-count] > 0] = np.nan
    return out


def reading(rule: ReadingThreshold, frame: Frame) -> Values:
    """Return valid readings of gauges as they come, or their change per hour."""
    found = []
    for row in frame.chosen(rule.where).tolist():
        if row not in frame.readings:
            continue
        t_us, value, quality = frame.readings[row]
        valid = quality < Quality.BAD
        t_us, value = t_us[valid], value[valid]
        if rule.change:
            value = np.diff(value) / np.maximum(np.diff(t_us) / HOUR_US, 1e-9)
            t_us = t_us[1:]
        found += [
            (int(frame.points.point_id[row]), int(t), float(v), 1.0, {"unit": frame.points.unit[row]})
            for t, v in zip(t_us.tolist(), value.tolist(), strict=True)
        ]
    return _laid_out(found, 0)


def emission(rule: Emission, frame: Frame) -> Values:
    """Return valid hourly means as percentages of the outlet's permitted one."""
    found = []
    for row in frame.chosen(rule.where).tolist():
        if row not in frame.readings:
            continue
        t_us, value, quality = frame.readings[row]
        interval_us = int(frame.points.interval_s[row]) * 1_000_000
        valid = quality == Quality.GOOD
        # A reading stands for the interval that it ends; what was marked counts as time without valid data.
        hour = (t_us - 1) // HOUR_US
        for h in np.unique(hour).tolist():
            mine = (hour == h) & valid
            limit = frame.limit_of(row, "emission_hourly", h * HOUR_US)
            minutes = min(float(mine.sum()) * interval_us / 60e6, 60.0)
            if limit is None:
                continue
            mean = float(value[mine].mean()) if mine.any() else np.nan
            detail = {
                "mean": mean if mine.any() else None,
                "limit": limit.value,
                "limit_unit": frame.points.unit[row],
                "valid_minutes": minutes,
                "source_zh": limit.source_zh,
                "source_en": limit.source_en,
            }
            number = 100.0 * mean / limit.value if minutes >= rule.valid_minutes else np.nan
            found.append((int(frame.points.point_id[row]), (h + 1) * HOUR_US, number, minutes / 60, detail))
    return _laid_out(found, HOUR_US)
