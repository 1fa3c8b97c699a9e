"""When a rule does not look: before it held, outside its schedule, and where somebody is at work on a meter. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from alerts.frame import local_minutes
from park.calendar import to_us

if TYPE_CHECKING:
    from collections.abc import Sequence
    from zoneinfo import ZoneInfo

    from numpy.typing import NDArray

    from alerts.fold import Values
    from alerts.frame import Frame, Window
    from alerts.kinds import Hours
    from alerts.rules import ActiveRule


def masked(entry: ActiveRule, frame: Frame, values: Values) -> Values:
    """Return values with what the rule does not look at unknown: it neither opens nor clears."""
    rule = entry.rule
    hidden = np.zeros(values.value.shape, bool)
    for bound, before in ((entry.valid_from, True), (rule.valid_from, True), (rule.valid_to, False)):
        if bound is not None:
            outside = values.t_us < to_us(bound) if before else values.t_us >= to_us(bound)
            hidden |= outside[np.newaxis, :]
    if rule.schedule:
        hidden |= ~in_hours(values.t_us, rule.schedule, frame.tz)[np.newaxis, :]
    for window in frame.maintenance:
        if window.rule_id is not None and window.rule_id != rule.id:
            continue
        inside = (values.t_us > window.from_us) & (values.t_us - values.span_us < window.to_us)
        if inside.any():
            hidden |= _under(frame, rule.subject, values.scope_ids, window)[:, np.newaxis] & inside[np.newaxis, :]
    if not hidden.any():
        return values
    return replace(values, value=np.where(hidden, np.nan, values.value))


def in_hours(t_us: NDArray[np.int64], hours: Sequence[Hours], tz: ZoneInfo) -> NDArray[np.bool_]:
    """Tell which instants lie in one of some hours of the park's own clock; hours past midnight belong to their day."""
    minute, day = local_minutes(t_us, tz)
    inside = np.zeros(len(t_us), bool)
    for one in hours:
        first, last = (int(text[:2]) * 60 + int(text[3:]) for text in (one.from_, one.to))
        weekday = (day + 3) % 7 + 1
        today = np.isin(weekday, one.days)
        if first < last:
            inside |= today & (minute >= first) & (minute < last)
        else:
            inside |= today & (minute >= first)
            inside |= np.isin((weekday - 2) % 7 + 1, one.days) & (minute < last)
    return inside


def _under(frame: Frame, scope: str, scope_ids: NDArray[np.int64], window: Window) -> NDArray[np.bool_]:
    """Tell which subjects a maintenance window is about."""
    firm_id, point_id = window.firm_id, window.point_id
    if point_id is not None:
        same: NDArray[np.bool_] = scope_ids == (point_id if scope == "point" else -1)
        return same
    if firm_id is None:
        return np.ones(len(scope_ids), bool)
    if scope == "firm":
        mine: NDArray[np.bool_] = scope_ids == firm_id
        return mine
    if scope == "point":
        theirs: NDArray[np.bool_] = frame.points.firm_id[frame.points.rows(scope_ids)] == firm_id
        return theirs
    if scope == "edge":
        return np.array([frame.edges[e][0] == firm_id for e in scope_ids.tolist()], bool)
    return np.zeros(len(scope_ids), bool)
