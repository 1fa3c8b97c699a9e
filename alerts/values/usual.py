"""Values of the rules that compare with what is usual: night minima, drivers, balances. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from alerts.fold import Values
from alerts.frame import HOUR_US
from alerts.masks import in_hours
from alerts.values.common import per_point
from alerts.values.fitting import FIT_AT_ONCE, fit, trailing_mean
from park.errors import UnitError
from park.registers import Step
from park.units import conversion

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from alerts.frame import Frame, Ledger
    from alerts.kinds import BalanceMismatch, Deviation, NightMinimum

    Amounts = NDArray[np.float64]

_DRIFT_SHARE: Final = 0.04
"""No cooling tower loses more of a pass than this by drift: what is more, and not driven, is a leak at once."""
_TELL_APART_HOURS: Final = 24
_NO_ROWS: Final = np.zeros(0, np.int64)
_PROOF_HOURS: Final = 96
MARGIN_HOURS: Final = 48 + _PROOF_HOURS + 2 * _TELL_APART_HOURS
"""How far before a change values are made anew, and what they rest on: they must not depend on where a pass begins."""


@dataclass(frozen=True, slots=True)
class Residuals:
    """What points moved beyond what their drivers explain, of all hours; matrices have shape (p, n).

    Attributes:
        rows: of the points; second: the second driver of each, NaN where there is none.
    """

    rows: NDArray[np.int64]
    residual: Amounts
    expected: Amounts
    error: Amounts
    level: Amounts
    second: Amounts


def night_minimum(rule: NightMinimum, frame: Frame) -> Values:
    """Return how far each night's least flow lies above what is usual, in percent of it, at the end of the night."""
    hours = _hours(frame)
    rows = frame.chosen(rule.where)
    if rule.unless_driven:
        rows = rows[[not _drivers(frame, int(row), rule.unless_driven) for row in rows.tolist()]]
    inside = in_hours(hours.starts_us, (rule.hours,), frame.tz)
    flow = np.where(hours.full()[rows], hours.quantity[rows], np.nan)
    ends = np.flatnonzero(inside & ~np.append(inside[1:], False))
    starts = np.flatnonzero(inside & ~np.insert(inside[:-1], 0, False))[: len(ends)]
    least = np.full((len(rows), len(ends)), np.nan)
    for k, (a, b) in enumerate(zip(starts.tolist(), ends.tolist(), strict=True)):
        least[:, k] = flow[:, a : b + 1].min(axis=1)  # one hour unknown: the night is
    value = np.full(least.shape, np.nan)
    usual = np.full(least.shape, np.nan)
    for k in range(len(ends)):
        since = np.searchsorted(hours.ends_us[ends], hours.ends_us[ends[k]] - rule.history_days * 24 * HOUR_US)
        before = least[:, since:k]
        enough = np.isfinite(before).sum(axis=1) >= rule.nights
        if enough.any():
            usual[enough, k] = np.nanquantile(before[enough], rule.quantile, axis=1)
    excess = least - usual
    with np.errstate(invalid="ignore", divide="ignore"):
        value = np.where(excess < rule.at_least_per_h, 0.0, 100.0 * excess / np.maximum(usual, 1e-9))
    value[np.isnan(excess)] = np.nan

    def detail(k: int, column: int) -> Mapping[str, Any]:
        unit = frame.points.unit[rows[k]]
        return {
            "actual": float(least[k, column]),
            "expected": float(usual[k, column]),
            "excess": {"quantity": float(excess[k, column]), "unit": f"{unit}/h"},
        }

    return Values(frame.points.point_id[rows], hours.ends_us[ends], value, 3 * HOUR_US, None, detail)


def _hours(frame: Frame) -> Ledger:
    assert frame.hours is not None
    return frame.hours


def _drivers(frame: Frame, row: int, carriers: Sequence[str]) -> list[NDArray[np.int64]]:
    """Return the rows of each driver of a point: other points of its firm with these carriers, that pass its border.

    Each product is a driver of its own: numbers of different things do not add up.
    """
    metered = _metered(frame)
    firm_id = int(frame.points.firm_id[row])
    found: list[NDArray[np.int64]] = []
    for carrier in carriers:
        rows = metered.get((firm_id, carrier), _NO_ROWS)
        rows = rows[rows != row]
        if carrier == "product":
            found += [np.array([r]) for r in rows.tolist()[:2]]
        elif len(rows):
            found.append(rows)
    return found


def _metered(frame: Frame) -> dict[tuple[int, str], NDArray[np.int64]]:
    """Return the rows of what is counted, by firm and carrier."""
    found: dict[tuple[int, str], NDArray[np.int64]] | None = frame.cache.get("metered")
    if found is None:
        points, lists = frame.points, dict[tuple[int, str], list[int]]()
        for row in np.flatnonzero(points.kind != "gauge").tolist():
            lists.setdefault((int(points.firm_id[row]), str(points.carrier[row])), []).append(row)
        found = frame.cache["metered"] = {key: np.array(rows, np.int64) for key, rows in lists.items()}
    return found


def _flow(frame: Frame) -> Amounts:
    """Return what was moved in the hours that are measured throughout, NaN in the others; of all points."""
    found: Amounts | None = frame.cache.get("flow")
    if found is None:
        hours = _hours(frame)
        found = frame.cache["flow"] = np.where(hours.full(), hours.quantity, np.nan)
    return found


def _residuals(
    frame: Frame, rows: NDArray[np.int64], rule: Deviation, drivers: Sequence[str], margin: int
) -> Residuals:
    """Fit the points that have a driver, from `margin` hours before the change on."""
    running = rule.while_running
    key = f"{drivers} {hash(rows.tobytes())} {rule.fit_hours} {rule.lag_hours} {rule.history_days} {running} {margin}"
    if key in frame.cache:
        found: Residuals = frame.cache[key]
        return found
    flow = _flow(frame)
    chosen, designs, seconds = [], [], []
    nothing = np.full(flow.shape[1], np.nan)
    # Most points of a firm have the same drivers.
    made: dict[tuple[bytes, ...], list[Amounts]] = {}
    for row in rows.tolist():
        sets = _drivers(frame, row, drivers)
        if not sets:
            continue
        key_of = tuple(s.tobytes() for s in sets)
        if key_of not in made:
            columns = [flow[s].sum(axis=0) for s in sets]
            if running:
                columns[0] = np.where(columns[0] > 0.0, columns[0], np.nan)
            made[key_of] = columns
        columns = made[key_of]
        chosen.append(row)
        designs.append(columns)
        seconds.append(columns[-1] if len(sets) > 1 or drivers[-1] == "recirculated_water" else nothing)
    out = _fit_rows(frame, np.array(chosen, np.int64), designs, rule, flow, seconds, margin)
    frame.cache[key] = out
    return out


def _fit_rows(
    frame: Frame,
    rows: NDArray[np.int64],
    designs: Sequence[Sequence[Amounts]],
    rule: Deviation | BalanceMismatch,
    flow: Amounts,
    seconds: Sequence[Amounts],
    margin: int,
) -> Residuals:
    hours = _hours(frame)
    n = hours.count
    # Only what is folded, and what its means are made of, needs an expectation.
    first = max(int((frame.since_us - hours.start_us) // HOUR_US) - margin, 0)
    columns = np.arange(first, n, dtype=np.int64)
    shape = (len(rows), n)
    residual, expected, error, level = (np.full(shape, np.nan) for _ in range(4))
    for width in sorted({len(design) for design in designs}):
        mine = np.array([k for k, design in enumerate(designs) if len(design) == width], np.int64)
        distinct = {id(designs[k]): designs[k] for k in mine.tolist()}
        number = {key: at for at, key in enumerate(distinct)}
        x = np.stack([np.stack([np.ones(n), *design], axis=1) for design in distinct.values()])
        sound = np.isfinite(x).all(axis=2)
        which = np.array([number[id(designs[k])] for k in mine.tolist()], np.int64)
        for a in range(0, len(mine), FIT_AT_ONCE):  # what a core keeps near
            some, of = mine[a : a + FIT_AT_ONCE], which[a : a + FIT_AT_ONCE]
            y = flow[rows[some]]
            fitted = fit(
                y,
                x[of],
                np.isfinite(y) & sound[of],
                columns,
                least=rule.fit_hours,
                lag=rule.lag_hours,
                window=rule.history_days * 24,
            )
            residual[some, first:] = fitted.residual
            expected[some, first:] = fitted.expected
            error[some, first:] = fitted.error
            level[some, first:] = fitted.level
    second = np.stack(seconds) if len(seconds) else np.zeros(shape)
    return Residuals(rows, residual, expected, error, level, second)


def _sigma(found: Residuals, floor_share: float) -> Amounts:
    """Return the standard error that a residual is held against: never below what the model can tell."""
    return np.maximum(np.maximum(found.error, floor_share * np.abs(found.level)), 1e-9)


def deviation(rule: Deviation, frame: Frame) -> Values:
    """Return the mean residual of the last hours of each point, in standard errors."""
    hours = _hours(frame)
    rows = frame.chosen(rule.where)
    points = frame.points
    parents = {child.parent_id for child in frame.children}
    rows = rows[[int(points.point_id[r]) not in parents and points.kind[r] != "gauge" for r in rows.tolist()]]
    if rule.place == "loose":
        under = {child.point_id for child in frame.children}
        inner = points.direction[rows] == "internal"
        rows = rows[inner & np.array([int(points.point_id[r]) not in under for r in rows.tolist()], bool)]
    shown = in_hours(hours.starts_us, (rule.hours,), frame.tz)
    inside = shown if rule.pattern == "night" else np.ones(hours.count, bool)
    found = _found(frame, rows, rule, inside)
    sigma = _sigma(found, rule.floor_share)
    mean = trailing_mean(found.residual, inside, rule.mean_hours)
    expected = trailing_mean(found.expected, inside, rule.mean_hours)
    sign = 1.0 if rule.side == "over" else -1.0
    value = sign * mean / sigma
    value = _proven(found, value, sigma, rule.fit_hours // 2)
    if not shown.all() and rule.pattern != "night":
        value = _shown_by_day(found, value, sign * mean, sign, shown)
    if rule.at_least_share:
        with np.errstate(invalid="ignore"):
            value = np.where(np.abs(mean) < rule.at_least_share * np.abs(expected), 0.0, value)
    if rule.side == "over":
        # Contradicted is known: it is no rise, and whatever was made of less data is disproved.
        supported, told = _supported(frame, found, mean, rule, inside)
        value = np.where(supported, value, 0.0 * value)
        value[~told] = np.nan
    if rule.pattern == "night":
        value = _at_night_only(rule, frame, found, value, mean)
    elif rule.pattern != "any":
        value = _apart(rule, found, value, mean)
    value[hours.ends_us[np.newaxis, :] > frame.clock_us[found.rows][:, np.newaxis]] = np.nan
    if rule.pattern != "night":
        value[:, hours.ends_us // HOUR_US % rule.every_hours != 0] = np.nan

    def detail(k: int, column: int) -> Mapping[str, Any]:
        return {
            "excess": {"quantity": float(mean[k, column]), "unit": f"{points.unit[found.rows[k]]}/h"},
            "expected": float(expected[k, column]),
            "percent": float(100 * mean[k, column] / expected[k, column]) if expected[k, column] else None,
            "standard_error": float(sigma[k, column]),
            "drivers": list(rule.drivers),
        }

    return per_point(frame, found.rows, value, ledger=hours, span_us=HOUR_US, detail=detail)


def _found(frame: Frame, rows: NDArray[np.int64], rule: Deviation, inside: NDArray[np.bool_]) -> Residuals:
    """Fit what the last means need, and of what stands out also the days before, against which it is proven."""
    near = rule.mean_hours + _TELL_APART_HOURS + rule.after_hours
    found = _residuals(frame, rows, rule, rule.drivers, near)
    mean = trailing_mean(found.residual, inside, rule.mean_hours)
    with np.errstate(invalid="ignore"):
        odd = (np.abs(mean / _sigma(found, rule.floor_share)) > 1.0).any(axis=1)
    if odd.any() and near < MARGIN_HOURS:
        more = _residuals(frame, found.rows[odd], rule, rule.drivers, MARGIN_HOURS)
        for name in ("residual", "expected", "error", "level"):
            getattr(found, name)[odd] = getattr(more, name)
    return found


def _supported(
    frame: Frame, found: Residuals, mean: Amounts, rule: Deviation, inside: NDArray[np.bool_]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Tell where the meter above rises as well, and where that is known; where there is none nothing contradicts."""
    out, told = np.ones(mean.shape, bool), np.ones(mean.shape, bool)
    above = {child.point_id: child.parent_id for child in frame.children}
    parents = np.array(
        sorted({frame.points.row(above[i]) for i in frame.points.point_id[found.rows].tolist() if i in above}), np.int64
    )
    parents = parents[parents >= 0]
    if len(parents) == 0:
        return out, told
    near = rule.mean_hours + _TELL_APART_HOURS + rule.after_hours
    of_parent = _residuals(frame, parents, rule, rule.drivers, near)
    rise = trailing_mean(of_parent.residual, inside, rule.mean_hours)
    place = {int(row): k for k, row in enumerate(of_parent.rows)}
    for k, row in enumerate(found.rows.tolist()):
        parent = frame.points.row(above.get(int(frame.points.point_id[row]), -1))
        if parent in place:
            scale = _factor(frame.points.unit[parent], frame.points.unit[row])
            with np.errstate(invalid="ignore"):
                # Beyond its own noise: a large meter with a coarse dial does not see a small load.
                noise = 2.0 * of_parent.error[place[parent]] / np.sqrt(rule.mean_hours)
                out[k] = ~((rise[place[parent]] + noise) * scale < 0.3 * mean[k])
            told[k] = np.isfinite(rise[place[parent]])
    return out, told


def _shown_by_day(found: Residuals, value: Amounts, mean: Amounts, sign: float, shown: NDArray[np.bool_]) -> Amounts:
    """Keep what shows in some hours of the day too, by the last of them: what does not is another rule's matter."""
    out = value.copy()
    with np.errstate(invalid="ignore"):
        rows, columns = np.nonzero(value > 1.0)
    for k, column in zip(rows.tolist(), columns.tolist(), strict=True):
        since = max(column - _TELL_APART_HOURS + 1, 0)
        residual = sign * found.residual[k, since : column + 1][shown[since : column + 1]]
        residual = residual[np.isfinite(residual)][-3:]
        if len(residual) < 3 or residual.mean() < 0.4 * mean[k, column]:
            out[k, column] = np.nan if len(residual) < 3 else 0.0
    return out


def _proven(found: Residuals, value: Amounts, sigma: Amounts, least: int) -> Amounts:
    """Lower values whose fit has not held outside its own hours: a driver that does not explain proves nothing.

    The lower third of the residuals since tells how good the fit is, also while a fault goes on.
    """
    out = value.copy()
    with np.errstate(invalid="ignore"):
        rows, columns = np.nonzero(np.abs(value) > 1.0)
    for k, column in zip(rows.tolist(), columns.tolist(), strict=True):
        since = np.abs(found.residual[k, max(column - _PROOF_HOURS, 0) : max(column - 2, 0)])
        since = since[np.isfinite(since)]
        if len(since) < least:
            out[k, column] = np.nan
            continue
        shown = float(np.quantile(since, 0.3)) / 0.385
        out[k, column] = value[k, column] * sigma[k, column] / max(sigma[k, column], shown)
    return out


def _factor(unit: str, other: str) -> float:
    try:
        return conversion(unit, other)
    except UnitError:
        return 1.0


def _at_night_only(rule: Deviation, frame: Frame, found: Residuals, value: Amounts, mean: Amounts) -> Amounts:
    """Keep one value a night, some hours after it: none where the hours after it are as high."""
    hours = _hours(frame)
    inside = in_hours(hours.starts_us, (rule.hours,), frame.tz)
    out = np.full(value.shape, np.nan)
    for end in np.flatnonzero(inside[:-1] & ~inside[1:]).tolist():
        at = end + rule.after_hours
        if at >= hours.count:
            continue
        after = found.residual[:, end + 1 : at + 1].mean(axis=1)
        with np.errstate(invalid="ignore"):
            only = after < 0.4 * mean[:, end]
        out[:, at] = np.where(np.isnan(after) | np.isnan(value[:, end]), np.nan, np.where(only, value[:, end], 0.0))
    return out


def _apart(rule: Deviation, found: Residuals, value: Amounts, mean: Amounts) -> Amounts:
    """Keep what is constant (a leak) or what follows the second driver (a cooling tower's drift)."""
    out = value.copy()
    rows, columns = np.nonzero(value > 1.0)
    for k, column in zip(rows.tolist(), columns.tolist(), strict=True):
        driven = _is_driven(found, mean, k, column)
        if driven is None or driven != (rule.pattern == "driven"):
            out[k, column] = 0.0 if driven is not None else np.nan
    return out


def _is_driven(found: Residuals, mean: Amounts, k: int, column: int) -> bool | None:
    """Tell whether a residual follows the second driver; None: it cannot be told yet."""
    second = found.second[k, max(column - _TELL_APART_HOURS + 1, 0) : column + 1]
    level = np.nanmean(second) if np.isfinite(second).any() else 0.0
    if level <= 0 or mean[k, column] > _DRIFT_SHARE * level:
        return False
    residual = found.residual[k, max(column - _TELL_APART_HOURS + 1, 0) : column + 1]
    # From where it has been high, without the hours in which it began.
    high = residual > 0.5 * mean[k, column]
    begun = int(np.argmax(high))
    a, r = second[begun + 1 :], residual[begun + 1 :]
    both = np.isfinite(a) & np.isfinite(r)
    if both.sum() < _TELL_APART_HOURS // 2:
        return None
    a, r = a[both], r[both]
    constant = float(((r - r.mean()) ** 2).sum())
    driven = float(((r - a * (r @ a) / (a @ a)) ** 2).sum())
    return driven < constant


def balance(rule: BalanceMismatch, frame: Frame) -> Values:
    """Return what each node's supply and children disagree by beyond what is usual, in percent of the supply."""
    hours = _hours(frame)
    points = frame.points
    allowed = set(frame.chosen(rule.where).tolist())
    children: dict[int, list[Any]] = {}
    for child in frame.children:
        if child.role == "load":
            children.setdefault(frame.points.row(child.parent_id), []).append(child)
    flow = _flow(frame)
    nodes, rests, designs = [], [], []
    for node, under in sorted(children.items()):
        if node not in allowed or node < 0:
            continue
        rest = flow[node].copy()
        for child in under:
            row = frame.points.row(child.point_id)
            if row < 0:
                rest[:] = np.nan
                continue
            scale = _factor(points.unit[row], points.unit[node])
            rest = rest - scale * flow[row]
            rest[_standstill(flow[row])] = np.nan
            rest[_unsettled(frame, row, rule.settle_hours)] = np.nan
        rest[_standstill(flow[node]) | _unsettled(frame, node, rule.settle_hours)] = np.nan
        sets = _drivers(frame, node, ("product",))
        if not sets:
            continue  # nothing tells a change of what is not metered from a fault
        nodes.append(node)
        rests.append(rest)
        designs.append([flow[s].sum(axis=0) for s in sets])
    rows = np.array(nodes, np.int64)
    whole = np.full(flow.shape, np.nan)
    if len(rows):
        whole[rows] = np.stack(rests)
    nothing = [np.full(hours.count, np.nan)] * len(rows)
    found = _fit_rows(frame, rows, designs, rule, whole, nothing, MARGIN_HOURS)
    sigma = _sigma(found, rule.floor_share)
    always = np.ones(hours.count, bool)
    mean = trailing_mean(found.residual, always, rule.mean_hours)
    supply = trailing_mean(flow[rows], always, rule.mean_hours)
    with np.errstate(invalid="ignore", divide="ignore"):
        value = 100.0 * np.abs(mean) / np.maximum(supply, 1e-9)
        ratio = np.abs(_proven(found, mean / sigma, sigma, rule.fit_hours // 2))
        # Between the two nobody can tell: it neither opens an episode nor ends one.
        value = np.where(ratio < rule.sigmas, np.where(ratio < 0.5 * rule.sigmas, 0.0, np.nan), value)
    value[np.isnan(mean)] = np.nan
    value[:, hours.ends_us // HOUR_US % rule.every_hours != 0] = np.nan
    value[hours.ends_us[np.newaxis, :] > frame.clock_us[rows][:, np.newaxis]] = np.nan

    def detail(k: int, column: int) -> Mapping[str, Any]:
        return {
            "excess": {"quantity": float(mean[k, column]), "unit": f"{points.unit[rows[k]]}/h"},
            "supply": float(supply[k, column]),
            "children": [points.code[points.row(child.point_id)] for child in children[int(rows[k])]],
        }

    return per_point(frame, rows, value, ledger=hours, span_us=rule.mean_hours * HOUR_US, detail=detail)


def _standstill(flow: Amounts) -> NDArray[np.bool_]:
    """Tell which hours lie in a standstill that ends in a leap or has not ended, and the hour of the leap.

    One that ends without a leap counts: the meter missed what passed.
    """
    out = np.zeros(len(flow), bool)
    still = flow <= 0
    usual = np.nanmedian(flow[flow > 0]) if (flow > 0).any() else np.nan
    starts = np.flatnonzero(still & ~np.insert(still[:-1], 0, False))
    ends = np.flatnonzero(still & ~np.append(still[1:], False))
    for a, b in zip(starts.tolist(), ends.tolist(), strict=True):
        leaps = b + 1 >= len(flow) or not flow[b + 1] < 2.0 * usual
        if leaps:
            out[a : b + 2] = True
    return out


def _unsettled(frame: Frame, row: int, settle_hours: int) -> NDArray[np.bool_]:
    """Tell which hours follow a held step: until a person has decided, the quantities themselves are in doubt."""
    hours = _hours(frame)
    out = np.zeros(hours.count, bool)
    assert hours.flags is not None
    for hour in np.flatnonzero(hours.flags[row] & int(Step.HELD_RESET | Step.HELD_IMPLAUSIBLE)).tolist():
        out[hour : hour + settle_hours + 1] = True
    return out
