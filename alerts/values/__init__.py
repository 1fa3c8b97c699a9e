"""What each kind of rule sees: one function per kind, from a frame to values. Which kinds are due when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from alerts.frame import HOUR_US, local_minutes
from alerts.kinds import (
    BalanceMismatch,
    BaselineDeviation,
    Completeness,
    Deviation,
    EdgeState,
    Emission,
    Frozen,
    Held,
    IndicatorThreshold,
    NightMinimum,
    Occurrence,
    Quantity,
    ReadingThreshold,
    Silence,
    StandingRule,
)
from alerts.settling import holds_us
from alerts.values import edges, numbers, quality, usual
from park.calendar import BUCKET_US, from_us, zone
from park.registers import Step
from store import alert_inputs as stored

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from alerts.fold import Values
    from alerts.frame import Frame, Ledger, Points
    from alerts.kinds import Rule
    from store.pool import Connection

_DAY_US: Final = 24 * HOUR_US

_OF_FRAME: Final[dict[type[Any], Callable[[Any, Frame], Values]]] = {
    Silence: quality.silence,
    Frozen: quality.frozen,
    Held: quality.held,
    Completeness: quality.completeness,
    Occurrence: quality.occurrence,
    EdgeState: edges.edge_state,
    Quantity: numbers.quantity,
    ReadingThreshold: numbers.reading,
    Emission: numbers.emission,
    NightMinimum: usual.night_minimum,
    Deviation: usual.deviation,
    BalanceMismatch: usual.balance,
}
_HOURLY: Final = (Frozen, Held, Deviation, BalanceMismatch, Emission)


@dataclass(frozen=True, slots=True)
class Due:
    """The time that a pass looks at again, `(since, until]`."""

    since_us: int
    until_us: int
    time_zone: str


def of_park(rule: Rule) -> bool:
    """Tell whether a rule is evaluated with its park and not with its firms."""
    if isinstance(rule, StandingRule):
        return True
    return isinstance(rule, IndicatorThreshold) and rule.scope in {"park", "zone"}


def due(rule: Rule, span: Due) -> bool:
    """Tell whether a rule of firms has a sample in the time of a pass."""
    if of_park(rule):
        return False
    if isinstance(rule, BalanceMismatch) or (isinstance(rule, Deviation) and rule.pattern != "night"):
        every_us = rule.every_hours * HOUR_US
        return span.until_us // every_us > span.since_us // every_us
    if isinstance(rule, _HOURLY) or (isinstance(rule, IndicatorThreshold) and rule.grain == "hour"):
        return span.until_us // HOUR_US > span.since_us // HOUR_US
    if isinstance(rule, NightMinimum):
        return _passes(rule.hours.to, span)
    if isinstance(rule, Deviation) and rule.pattern == "night":
        last = (int(rule.hours.to[:2]) + rule.after_hours) % 24
        return _passes(f"{last:02}:{rule.hours.to[3:]}", span)
    if isinstance(rule, Completeness | BaselineDeviation):
        return _passes("00:00", span)
    return True


def _passes(clock: str, span: Due) -> bool:
    """Tell whether the park's clock shows this time once or more in the span."""
    ticks = np.arange(span.since_us + BUCKET_US, span.until_us + 1, BUCKET_US, dtype=np.int64)
    if len(ticks) == 0:
        return False
    minute, _ = local_minutes(ticks, zone(span.time_zone))
    wanted = int(clock[:2]) * 60 + int(clock[3:])
    return bool((minute // 15 == wanted // 15).any())


def occurs(rule: Rule) -> bool:
    """Tell whether a rule is about single occurrences, which need no ledger."""
    if isinstance(rule, Occurrence):
        return rule.what != "late_data"
    return isinstance(rule, EdgeState) and rule.what != "offline"


def back_us(rule: Rule) -> int:
    """Return how much further back a rule needs quarter hours: for its holds, and for what a value is made of."""
    if occurs(rule) or isinstance(rule, Held) or hours_back_us(rule) or isinstance(rule, IndicatorThreshold | Emission):
        return 0
    holds = holds_us(rule)
    if isinstance(rule, Silence):
        return holds + int(rule.open.limit * HOUR_US)
    if isinstance(rule, Quantity):
        return holds + 2 * rule.buckets * BUCKET_US
    return holds


def hours_back_us(rule: Rule) -> int:
    """Return how much further back a rule needs hours; 0: it needs none."""
    holds = holds_us(rule)
    if isinstance(rule, Frozen | NightMinimum | Deviation | BalanceMismatch):
        return holds + usual.MARGIN_HOURS * HOUR_US + rule.history_days * _DAY_US
    if isinstance(rule, Held):
        return HOUR_US
    return holds + 3 * _DAY_US if isinstance(rule, Completeness) else 0


def rewind_us(rule: Rule) -> int:
    """Return how far back later data may change what a value was: a standstill is told from a zero by how it ends."""
    return 2 * _DAY_US if isinstance(rule, Frozen | BalanceMismatch) else 0


def needs_hours(rule: Rule, points: Points, ledger: Ledger) -> NDArray[np.bool_]:
    """Tell of which points a rule needs the hours of weeks; far from all, and that is what makes it fast."""
    carrier = points.carrier
    if isinstance(rule, Deviation):
        return np.isin(carrier, [*rule.where.carriers, *rule.drivers])
    if isinstance(rule, BalanceMismatch):
        return np.isin(carrier, ["electricity", "natural_gas", "steam", "product"])
    if isinstance(rule, Frozen):
        least = np.nan_to_num(ledger.quantity, nan=np.inf).min(axis=1, initial=np.inf)
        odd = np.zeros(len(carrier), bool) if ledger.flags is None else (ledger.flags & int(Step.FROZEN)).any(axis=1)
        still: NDArray[np.bool_] = odd | (least <= 0)
        return still
    if isinstance(rule, Held):
        return np.zeros(len(carrier), bool)
    if isinstance(rule, NightMinimum):
        return np.isin(carrier, rule.where.carriers) if rule.where.carriers else np.ones(len(carrier), bool)
    return np.ones(len(carrier), bool)


def needs_gauges(rule: Rule) -> bool:
    """Tell whether a rule reads gauges themselves."""
    return isinstance(rule, Emission | ReadingThreshold)


async def make(connection: Connection, rule: Rule, frame: Frame) -> list[tuple[str, Values]]:
    """Return the values of a rule of firms; the text tells causes of one subject apart."""
    if isinstance(rule, IndicatorThreshold):
        return [("", await _indicator(connection, rule, frame))]
    if isinstance(rule, BaselineDeviation):
        return await _baseline(connection, rule, frame)
    return [("", _OF_FRAME[type(rule)](rule, frame))]


async def make_park(connection: Connection, rule: Rule, frame: Frame) -> list[tuple[str, Values]]:
    """Return the values of a rule that is evaluated with its park."""
    if isinstance(rule, IndicatorThreshold):
        return [("", await _indicator(connection, rule, frame))]
    assert isinstance(rule, StandingRule)
    rows = await stored.rows(connection, "standings", frame.park.park_id, rule.scope)
    if rule.scope == "firm":
        ids = {firm.firm_id for firm in frame.chosen_firms(rule.where)}
        rows = [row for row in rows if row["scope_id"] in ids]
    return numbers.standing(rows)


async def _indicator(connection: Connection, rule: IndicatorThreshold, frame: Frame) -> Values:
    ids: list[int]
    if rule.scope == "park":
        ids = [frame.park.park_id] if not rule.where.parks or frame.park.park_code in rule.where.parks else []
    elif rule.scope == "firm":
        ids = [firm.firm_id for firm in frame.chosen_firms(rule.where)]
    elif rule.scope == "point":
        ids = frame.points.point_id[frame.chosen(rule.where)].tolist()
    else:
        since = from_us(frame.since_us) - timedelta(days=400)
        given = (frame.park.park_id, rule.scope, rule.indicator, rule.grain, since)
        ids = [row["scope_id"] for row in await stored.rows(connection, "indicator_subjects", *given)]
    back = holds_us(rule) + numbers.GRAIN_US[rule.grain] + (rule.usual_days or 0) * _DAY_US
    since = from_us(frame.since_us - back)
    rows = await stored.indicators(connection, rule.scope, ids, rule.indicator, rule.grain, since)
    return numbers.indicator(rule, frame.park.time_zone, rows)


async def _baseline(connection: Connection, rule: BaselineDeviation, frame: Frame) -> list[tuple[str, Values]]:
    ids = [firm.firm_id for firm in frame.chosen_firms(rule.where)]
    since = from_us(frame.since_us - holds_us(rule) - numbers.GRAIN_US["month"])
    rows = await stored.rows(connection, "residuals", ids, rule.grain, since)
    found = []
    for indicator_id in sorted({row["indicator_id"] for row in rows}):
        mine = [row for row in rows if row["indicator_id"] == indicator_id]
        found.append((indicator_id, numbers.baseline(rule, mine, frame.park.time_zone)))
    return found
