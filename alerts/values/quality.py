"""Values of the rules about data themselves: silence, standstill, held steps, completeness, odd occurrences. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from alerts.fold import Values
from alerts.frame import HOUR_US, NEVER
from alerts.values.common import per_point, tick_of
from park.calendar import BUCKET_US, from_us
from park.registers import Step

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from alerts.frame import Frame, Ledger
    from alerts.kinds import Completeness, Frozen, Held, Occurrence, Silence

    Amounts = NDArray[np.float64]
    Instants = NDArray[np.int64]

_LEAST_INTERVAL_S: Final = 300
"""Silence is counted in quarter hours: a point read every second is not silent after ten of them."""
_STOPPED: Final = 3
_KNOWN_HOURS: Final = 24
"""Hours that must have been seen before a standstill says anything."""
_STEPS: Final = {"reset": Step.HELD_RESET, "implausible": Step.HELD_IMPLAUSIBLE}


def newest_at(frame: Frame) -> Instants:
    """Return, per point and tick, the newest reading that had been sent by then, by the edge's clock; shape (p, n).

    Where nobody looked at the readings themselves, a quarter hour of which anything was measured has one at its end.
    """
    if "newest" in frame.cache:
        found: Instants = frame.cache["newest"]
        return found
    ends = frame.ledger.ends_us
    p, n = frame.ledger.quantity.shape
    out = np.full((p, n), NEVER)
    if frame.arrivals is not None:
        seen = frame.arrivals.newest_us != NEVER
        rows, columns = np.nonzero(seen)
        came = tick_of(frame.ledger, frame.arrivals.sent_us[seen])
        # A reading cannot come before its own quarter hour, whatever a clock says.
        came = np.maximum(columns, came)
        inside = came < n
        np.maximum.at(out, (rows[inside], came[inside]), frame.arrivals.newest_us[seen][inside])
    else:
        rows, columns = np.nonzero(frame.ledger.measured_s > 0)
        out[rows, columns] = ends[columns]
    last = tick_of(frame.ledger, frame.points.newest_us)
    told = frame.points.newest_us != NEVER
    rows = np.flatnonzero(told & (last < n))
    columns = np.maximum(last[rows], 0)
    np.maximum.at(out, (rows, columns), frame.points.newest_us[rows])
    out[:, 0] = np.maximum(out[:, 0], frame.before_us)
    out = np.maximum.accumulate(out, axis=1)
    frame.cache["newest"] = out
    return out


def dark(frame: Frame, limit: float, share: float) -> dict[int, NDArray[np.bool_]]:
    """Return per edge at which ticks most of its points are silent together, or all of them."""
    key = f"dark {limit} {share}"
    if key in frame.cache:
        found: dict[int, NDArray[np.bool_]] = frame.cache[key]
        return found
    age = _age(frame)
    ends, newest = frame.ledger.ends_us, newest_at(frame)
    out = {}
    for edge_id in np.unique(frame.points.edge_id).tolist():
        rows = np.flatnonzero((frame.points.edge_id == edge_id) & (frame.points.newest_us != NEVER))
        if edge_id == 0 or len(rows) < 2:
            continue
        least_us = max(int(frame.points.interval_s[rows].min()), _LEAST_INTERVAL_S) * 1_000_000
        all_silent = ends - newest[rows].max(axis=0) > limit * least_us
        with np.errstate(invalid="ignore"):
            most = (age[rows] > limit).sum(axis=0) >= max(3.0, share * len(rows))
        out[edge_id] = all_silent | most
    frame.cache[key] = out
    return out


def _age(frame: Frame) -> Amounts:
    """Return how many of its intervals each point's newest reading is old at each tick; NaN: nothing is known yet."""
    if "age" in frame.cache:
        found: Amounts = frame.cache["age"]
        return found
    ends, newest = frame.ledger.ends_us, newest_at(frame)
    interval_us = np.maximum(frame.points.interval_s, _LEAST_INTERVAL_S)[:, np.newaxis] * 1_000_000
    age: Amounts = (ends[np.newaxis, :] - newest) / interval_us
    age[newest == NEVER] = np.nan
    age[ends[np.newaxis, :] > frame.clock_us[:, np.newaxis]] = np.nan
    frame.cache["age"] = age
    return age


def silence(rule: Silence, frame: Frame) -> Values:
    """Return for how many intervals each point has told nothing."""
    rows = frame.chosen(rule.where)
    value = _age(frame)[rows].copy()
    limit = rule.open.limit
    at_edge = dark(frame, limit, rule.share_of_edge)
    for k, row in enumerate(rows.tolist()):
        covered = at_edge.get(int(frame.points.edge_id[row]))
        if covered is not None:
            value[k, covered] = np.nan
        for at_us in frame.future.get(row, ()):
            # Readings that were turned away were there: the point is not silent, its clock is wrong.
            first = int(tick_of(frame.ledger, np.array([at_us]))[0])
            value[k, max(first, 0) : max(first + int(limit) + 2, 0)] = np.nan
    newest = newest_at(frame)[rows]

    def detail(k: int, column: int) -> Mapping[str, Any]:
        return {
            "interval_s": int(frame.points.interval_s[rows[k]]),
            "newest": from_us(int(newest[k, column])).isoformat(),
        }

    return per_point(frame, rows, value, detail=detail)


def frozen(rule: Frozen, frame: Frame) -> Values:
    """Return for how many hours each register has stood still although it hardly ever does."""
    rows = frame.chosen(rule.where)
    rows = rows[frame.points.kind[rows] == "register"]
    hours = frame.hours
    assert hours is not None
    quantity = hours.quantity[rows]
    measured = hours.measured_s[rows] + hours.estimated_s[rows] > 0
    # What the ledger spread over a standstill, once it had caught up, stood still all the same.
    assert hours.flags is not None
    caught_up = (hours.flags[rows] & int(Step.FROZEN)) != 0
    still = ((quantity <= 0.0) & measured) | caught_up
    run = np.zeros(still.shape, np.int64)
    value = np.zeros(still.shape)
    # Most never stand still: the rest of the work is for those that do.
    some = np.flatnonzero(still.any(axis=1))
    if len(some):
        run[some], value[some] = _standing(rule, hours, rows[some], still[some], measured[some], caught_up[some])
    # Where several of a firm's meters stand still together, the firm has stopped: that is no dead meter.
    for firm_id in np.unique(frame.points.firm_id[rows]).tolist():
        mine = np.flatnonzero(frame.points.firm_id[rows] == firm_id)
        stopped = (run[mine] > 0).sum(axis=0) >= _STOPPED
        value[np.ix_(mine, np.flatnonzero(stopped))] = 0.0
    value[~measured] = np.nan
    return per_point(frame, rows, value.astype(np.float64), ledger=hours, span_us=HOUR_US)


def _standing(
    rule: Frozen,
    hours: Ledger,
    rows: NDArray[np.int64],
    still: NDArray[np.bool_],
    measured: NDArray[np.bool_],
    caught_up: NDArray[np.bool_],
) -> tuple[NDArray[np.int64], Amounts]:
    """Return for how long each has stood still, and the same where it hardly ever does, else 0."""
    run = np.where(_made_up(hours, rows, still) | caught_up, _run(still), 0)
    # How often it stands still is asked of the time before the standstill, or after it where there is little before.
    count, known = np.cumsum(still, axis=1), np.cumsum(measured, axis=1)
    before = np.maximum(np.arange(still.shape[1])[np.newaxis, :] - run, 0)
    since = np.maximum(before - rule.history_days * 24, 0)
    seen: NDArray[np.int64] = np.take_along_axis(known, before, axis=1) - np.take_along_axis(known, since, axis=1)
    stood: NDArray[np.int64] = np.take_along_axis(count, before, axis=1) - np.take_along_axis(count, since, axis=1)
    share: Amounts = stood / np.maximum(seen, 1)
    enough = seen >= _KNOWN_HOURS
    value: Amounts = np.where(run > 0, np.where(enough, np.where(share <= rule.still_share, run, 0.0), np.nan), 0.0)
    return run, value


def _made_up(hours: Ledger, rows: NDArray[np.int64], still: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Tell which standstills go on or end in a leap that makes up for them; the others were none of the value."""
    out = still.copy()
    flow = hours.quantity[rows]
    for k in np.flatnonzero(still.any(axis=1)).tolist():
        usual = np.nanmedian(flow[k][flow[k] > 0]) if (flow[k] > 0).any() else np.nan
        starts = np.flatnonzero(still[k] & ~np.insert(still[k][:-1], 0, False))
        ends = np.flatnonzero(still[k] & ~np.append(still[k][1:], False))
        for a, b in zip(starts.tolist(), ends.tolist(), strict=True):
            if b + 1 < flow.shape[1] and flow[k, b + 1] < 2.0 * usual:
                out[k, a : b + 1] = False
    return out


def _run(flag: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the length of the run of true values that ends at each place."""
    position = np.arange(1, flag.shape[1] + 1)[np.newaxis, :]
    last_false = np.maximum.accumulate(np.where(flag, 0, position), axis=1)
    return np.where(flag, position - last_false, 0)


def held(rule: Held, frame: Frame) -> Values:
    """Return whether a step is held for a person, per hour."""
    rows = frame.chosen(rule.where)
    rows = rows[frame.points.kind[rows] == "register"]
    first, last = int(frame.ticks_us[0]) - BUCKET_US, int(frame.ticks_us[-1])
    starts = np.arange(-(-first // HOUR_US) * HOUR_US, last - HOUR_US + 1, HOUR_US, dtype=np.int64)
    value = np.zeros((len(rows), len(starts)))
    value[starts[np.newaxis, :] > frame.clock_us[rows][:, np.newaxis]] = np.nan
    wanted = int(sum(_STEPS[step] for step in rule.steps))
    place = {int(row): k for k, row in enumerate(rows)}
    for row, hour_us, flags in frame.held_hours:
        column = int(np.searchsorted(starts, hour_us))
        if row not in place or column >= len(starts) or starts[column] != hour_us:
            continue
        # What somebody has decided needs nobody any more; and of a clock that stepped its own episode tells.
        if flags & wanted and not flags & int(Step.EDITED) and not _stepped(frame, row, hour_us):
            value[place[row], column] = 1.0
    return Values(frame.points.point_id[rows], starts + HOUR_US, value, HOUR_US)


def completeness(rule: Completeness, frame: Frame) -> Values:
    """Return what share of each day is measured, in percent, at the end of the day, per firm."""
    from alerts.frame import local_minutes  # noqa: PLC0415

    hours = frame.hours
    assert hours is not None
    chosen = frame.chosen_firms(rule.where)
    rows = frame.chosen(rule.where)
    rows = rows[(frame.points.kind[rows] != "virtual") & (frame.points.newest_us[rows] != NEVER)]
    _, day = local_minutes(hours.starts_us, frame.tz)
    starts = np.flatnonzero(np.diff(day, prepend=day[0] - 1))
    whole = np.add.reduceat(np.ones(len(day)), starts) >= 23
    measured = np.add.reduceat(hours.measured_s[rows].astype(np.float64), starts, axis=1)
    seconds = np.add.reduceat(np.full(len(day), 3600.0), starts)
    ends = np.append(hours.starts_us[starts[1:]], hours.ends_us[-1])
    begun = (np.cumsum(hours.measured_s[rows], axis=1) > 0)[:, starts]
    value = np.full((len(chosen), len(starts)), np.nan)
    for k, firm in enumerate(chosen):
        mine = frame.points.firm_id[rows] == firm.firm_id
        if mine.any():
            value[k] = 100.0 * measured[mine].sum(axis=0) / (mine.sum() * seconds)
            value[k, ends > frame.clock_us[rows[mine]].max()] = np.nan
            # A firm that had told nothing yet had nothing to tell, on its first day too.
            value[k, ~np.insert(begun[mine].any(axis=0)[:-1], 0, False)] = np.nan
    value[:, ~whole] = np.nan
    return Values(np.array([f.firm_id for f in chosen], np.int64), ends, value, 24 * HOUR_US)


def occurrence(rule: Occurrence, frame: Frame) -> Values:
    """Return how often something happened in each quarter hour."""
    counted = {"value_conflict": _conflicts, "future_time": _future, "late_data": _late, "edge_event": _events}
    ends = frame.ledger.ends_us if rule.what == "late_data" else frame.ticks_us
    ids, value = counted[rule.what](rule, frame)
    return Values(ids, ends, value, BUCKET_US)


def _columns(frame: Frame, at_us: int) -> int:
    """Return in which tick's quarter hour an instant lies, -1: in none."""
    column = int(np.searchsorted(frame.ticks_us, at_us, "right" if at_us % BUCKET_US == 0 else "left"))
    return column if column < len(frame.ticks_us) and at_us >= frame.ticks_us[0] - BUCKET_US else -1


def _conflicts(rule: Occurrence, frame: Frame) -> tuple[NDArray[np.int64], Amounts]:
    rows = frame.chosen(rule.where)
    value = np.zeros((len(rows), len(frame.ticks_us)))
    of_row = {int(row): k for k, row in enumerate(rows)}
    for row, at_us, count in frame.conflicts:
        column = _columns(frame, at_us)
        if row in of_row and column >= 0 and not _stepped(frame, row, at_us):
            value[of_row[row], column] += count
    return frame.points.point_id[rows], value


def _stepped(frame: Frame, row: int, at_us: int) -> bool:
    """Tell whether an edge's clock jumped back over an instant: it repeated times, that is why values are second."""
    for word in frame.words.get(int(frame.points.edge_id[row]), ()):
        step_us = int(word.body.get("step_ms") or 0) * 1000 if word.event == "clock_step" else 0
        slack_us = 2 * max(BUCKET_US, int(frame.points.interval_s[row]) * 1_000_000)
        if step_us != 0 and word.at_us - abs(step_us) - slack_us <= at_us <= word.at_us + abs(step_us) + slack_us:
            return True
    return False


def _future(rule: Occurrence, frame: Frame) -> tuple[NDArray[np.int64], Amounts]:
    rows = frame.chosen(rule.where)
    value = np.zeros((len(rows), len(frame.ticks_us)))
    for k, row in enumerate(rows.tolist()):
        for at_us in frame.future.get(row, ()):
            column = _columns(frame, at_us)
            if column >= 0:
                value[k, column] += 1
    return frame.points.point_id[rows], value


def _late(_rule: Occurrence, frame: Frame) -> tuple[NDArray[np.int64], Amounts]:
    """Hours by which each quarter hour's batches were stored behind later ones of the same edge."""
    edges = sorted(frame.edges)
    value = np.zeros((len(edges), frame.ledger.count))
    if frame.arrivals is None:
        return np.array(edges, np.int64), value
    for k, edge_id in enumerate(edges):
        rows = np.flatnonzero(frame.points.edge_id == edge_id)
        came = frame.arrivals.batch_id[rows]
        there = frame.arrivals.newest_us[rows] != NEVER
        columns = np.flatnonzero(there.any(axis=0))
        if len(columns) == 0:
            continue
        # The first batch of a quarter hour over the edge's points: one point's second word is not the edge's delay.
        batch = np.where(there, came, np.iinfo(np.int64).max).min(axis=0)[columns]
        sent = np.where(there, frame.arrivals.sent_us[rows], np.iinfo(np.int64).max).min(axis=0)[columns]
        order = np.argsort(batch, kind="stable")
        ahead = np.maximum.accumulate(sent[order])
        behind = np.zeros(len(columns))
        behind[order] = (ahead - sent[order]) / HOUR_US
        # What an edge sends after it was away is told as its being away.
        behind[_away(frame, edge_id)[columns]] = 0.0
        value[k, columns] = behind
    return np.array(edges, np.int64), value


def _away(frame: Frame, edge_id: int) -> NDArray[np.bool_]:
    """Tell in which quarter hours an edge was offline, by its own word."""
    starts, ends = frame.ledger.starts_us, frame.ledger.ends_us
    out = np.zeros(len(ends), bool)
    words = [word for word in frame.words.get(edge_id, ()) if word.event is None]
    for word, following in zip(words, [*words[1:], None], strict=False):
        if not word.online:
            out |= (ends > word.at_us) & (starts < (ends[-1] if following is None else following.at_us))
    return out


def _events(rule: Occurrence, frame: Frame) -> tuple[NDArray[np.int64], Amounts]:
    edges = sorted(frame.edges)
    value = np.zeros((len(edges), len(frame.ticks_us)))
    for k, edge_id in enumerate(edges):
        for word in frame.words.get(edge_id, ()):
            column = _columns(frame, word.at_us) if word.event in rule.events else -1
            if column >= 0:
                value[k, column] += 1
    return np.array(edges, np.int64), value
