"""What a point moved in the seconds before an instant, from raw readings. Pure.

The ledger's buckets are 15 minutes long; a stopped pump should be noticed in seconds. The readings are believed as
`park.registers` believes them; what is held for a person, and gaps, are not covered.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from park.calendar import BUCKET_S, to_us
from park.points import Kind, Label, Quality
from park.registers import US_PER_HOUR, Step, curve
from park.units import consumed_unit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from alerts.kinds import Demand
    from store.registry import MeteredPoint
    from store.samples import Series

    Instants = NDArray[np.int64]
    Amounts = NDArray[np.float64]

_US_PER_S = 1_000_000
_HELD = int(Step.HELD_RESET | Step.HELD_IMPLAUSIBLE)


@dataclass(frozen=True, slots=True)
class Movement:
    """What passed a point, as a rising curve over its covered stretches.

    Attributes:
        knots_us: instants, not falling, shape (2n,): start and end of each stretch.
        total: what has passed up to each knot, in `unit`.
        covered_us: how much time up to each knot is covered.
        newest_us: end of the last stretch; None: nothing is covered.
    """

    knots_us: Instants
    total: Amounts
    covered_us: Amounts
    unit: str

    @property
    def newest_us(self) -> int | None:
        """Return the end of the last stretch, None if there is none."""
        return int(self.knots_us[-1]) if len(self.knots_us) else None

    def over(self, ticks_us: Instants, window_us: int) -> tuple[Amounts, Amounts]:
        """Return what passed in the window before each tick, and how many seconds of the window are covered."""
        if len(self.knots_us) == 0:
            return np.zeros(len(ticks_us)), np.zeros(len(ticks_us))
        ends, starts = ticks_us.astype(np.float64), (ticks_us - window_us).astype(np.float64)
        knots = self.knots_us.astype(np.float64)
        amount = np.interp(ends, knots, self.total) - np.interp(starts, knots, self.total)
        covered = np.interp(ends, knots, self.covered_us) - np.interp(starts, knots, self.covered_us)
        return amount, covered / _US_PER_S


def movement(metered: MeteredPoint, series: Series, window_us: int) -> Movement:
    """Turn readings into movement.

    A step longer than the window and than one and a half intervals is a gap: when it passed is not known.

    Raises:
        UnitError: a gauge that is not a rate, such as a temperature.
    """
    point = metered.point
    good = series.quality < Quality.BAD
    t_us, value = series.t_us[good], series.value[good]
    longest_us = max(window_us, int(1.5 * point.interval_s * _US_PER_S))
    starts, ends, amounts = [], [], []
    for meter in metered.installations:
        inside = t_us >= to_us(meter.valid_from)
        if meter.valid_to is not None:
            inside &= t_us < to_us(meter.valid_to)
        t, v = t_us[inside], value[inside]
        if len(t) == 0:
            continue
        if point.kind is Kind.REGISTER:
            steps = curve(
                t, v, modulus=meter.modulus, multiplier=meter.multiplier, rate_limit_per_h=point.rate_limit_per_h
            )
            known = (steps.step[1:] & _HELD) == 0
            start, end, amount = steps.t_us[:-1][known], steps.t_us[1:][known], np.diff(steps.total)[known]
        elif point.kind is Kind.INTERVAL:
            length_us = point.interval_s * _US_PER_S
            end = t if point.label is Label.END else t + length_us
            # Readings that come closer than their interval do not count the same second twice.
            start = np.maximum(end - length_us, np.concatenate([[end[0] - length_us], end[:-1]]))
            amount = v * meter.multiplier
        else:
            start, end = t[:-1], t[1:]
            amount = (v[1:] + v[:-1]) / 2 * np.diff(t) / US_PER_HOUR * meter.multiplier
        near = end - start <= longest_us
        starts.append(start[near])
        ends.append(end[near])
        amounts.append(amount[near])
    unit = consumed_unit(point.unit) if point.kind is Kind.GAUGE else point.unit
    return _joined(starts, ends, amounts, unit)


def _joined(starts: Sequence[Instants], ends: Sequence[Instants], amounts: Sequence[Amounts], unit: str) -> Movement:
    if not any(map(len, starts)):
        empty = np.zeros(0)
        return Movement(np.zeros(0, np.int64), empty, empty, unit)
    start, end, amount = np.concatenate(starts), np.concatenate(ends), np.concatenate(amounts)
    knots = np.stack([start, end], axis=1).reshape(-1)
    total, covered = np.cumsum(amount), np.cumsum((end - start).astype(np.float64))
    before = np.concatenate([[0.0], total[:-1]]), np.concatenate([[0.0], covered[:-1]])
    return Movement(
        knots,
        np.stack([before[0], total], axis=1).reshape(-1),
        np.stack([before[1], covered], axis=1).reshape(-1),
        unit,
    )


def ticks(after_us: int, newest_us: Sequence[int | None], *, every_us: int, window_us: int) -> Instants:
    """Return the instants to look at: multiples of `every_us` after `after_us`, the same whoever asks when.

    They reach as far as every point has told, but no point is waited for longer than one window.
    """
    told = [newest for newest in newest_us if newest is not None]
    if not told:
        return np.zeros(0, np.int64)
    patience = max(told) - window_us
    horizon = max(min(told), patience) if len(told) == len(newest_us) else patience
    first = (after_us // every_us + 1) * every_us
    return np.arange(first, horizon + 1, every_us, dtype=np.int64)


def forecast(
    moved: Movement, at_us: Instants, rule: Demand, contract_kw: float
) -> list[tuple[float | None, float, dict[str, Any]]]:
    """Return where the quarter hour that holds each instant will end: `(percent of the contract, coverage, detail)`.

    With E kWh used in t of T = 15 min and the power P of the last `power_s`, the demand will be (E + P·(T-t))/T; what
    may still be drawn is P_need = (D·T - E)/(T-t). Unknown until `after_s` have passed.
    """
    quarter_us = BUCKET_S * _US_PER_S
    found: list[tuple[float | None, float, dict[str, Any]]] = []
    for t in at_us.tolist():
        passed_us = t % quarter_us or quarter_us
        if passed_us < rule.after_s * _US_PER_S:
            found.append((None, 0.0, {}))
            continue
        instant = np.array([t], np.int64)
        used, covered = moved.over(instant, passed_us)
        recent, recent_s = moved.over(instant, int(rule.power_s * _US_PER_S))
        coverage = float(covered[0]) * _US_PER_S / passed_us
        if recent_s[0] <= 0:
            found.append((None, coverage, {}))
            continue
        power_kw = float(recent[0]) / float(recent_s[0]) * 3600
        left_h = (quarter_us - passed_us) / US_PER_HOUR
        whole_h = quarter_us / US_PER_HOUR
        demand_kw = (float(used[0]) + power_kw * left_h) / whole_h
        need_kw = (contract_kw * whole_h - float(used[0])) / left_h if left_h > 0 else None
        detail = {
            "unit": "%",
            "demand_kw": demand_kw,
            "contract_kw": contract_kw,
            "power_kw": power_kw,
            "need_kw": need_kw,
            "used_kwh": float(used[0]),
        }
        found.append((100.0 * demand_kw / contract_kw, coverage, detail))
    return found
