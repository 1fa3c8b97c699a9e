"""One pass over event time: who has marks is folded from there on, and the episodes are brought to what the fold says.

A worker reserves some firms of a park, takes their marks, folds and writes, all in one transaction. So a worker that
dies leaves the marks to another; and since the fold depends on the data alone, workers, portions, replays and orders of
arrival come to the same episodes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import numpy as np

from alerts import loading, message, writing
from alerts.frame import NEVER, Frame
from alerts.kinds import QUARTER_S, Emission, Held, is_live
from alerts.masks import masked
from alerts.settling import holds_us, settle
from alerts.subjects import subject_of
from alerts.values import Due, back_us, due, hours_back_us, make, needs_gauges, needs_hours, occurs, rewind_us
from park.calendar import BUCKET_US, from_us, to_us
from store import alert_inputs as stored
from store import episodes

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from alerts.engine import State
    from alerts.fold import Values
    from alerts.frame import FirmInfo, ParkInfo, Points
    from alerts.kinds import Rule
    from alerts.rules import ActiveRule
    from alerts.settings import AlertsSettings
    from store.episodes import EpisodeRow
    from store.pool import Connection

STEADY_US: Final = 6 * 4 * BUCKET_US
"""A pass that goes further back than this looks for late data and catch-ups, and takes each firm by itself."""
AT_ONCE: Final = 200


@dataclass(slots=True)
class HistoryPass:
    """What one pass did."""

    firms: int = 0
    parks: int = 0
    transitions: list[tuple[str, State]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Group:
    """Firms that are looked at over the same time."""

    firm_ids: list[int]
    since_us: int
    until_us: int


async def evaluate_waiting(
    connection: Connection,
    settings: AlertsSettings,
    active: Sequence[ActiveRule],
    now: datetime,
    park_ids: Sequence[int] | None = None,
) -> HistoryPass:
    """Evaluate firms and parks that have marks, a bounded number; `connection` is not inside a transaction."""
    done = HistoryPass()
    rules = [entry for entry in active if not is_live(entry.rule)]
    for waiting in await stored.waiting(connection, AT_ONCE):
        if park_ids is not None and waiting.park_id not in park_ids:
            continue
        if waiting.firm_ids:
            await _firms(connection, settings, rules, waiting.firm_ids, now, done)
        if waiting.park:
            await _park(connection, settings, rules, waiting.park_id, now, done)
    return done


async def _firms(
    connection: Connection,
    settings: AlertsSettings,
    rules: Sequence[ActiveRule],
    firm_ids: Sequence[int],
    now: datetime,
    done: HistoryPass,
) -> None:
    async with connection.transaction():
        mine = await stored.lock_firms(connection, firm_ids)
        marks = await stored.take_firms(connection, mine)
        if not marks:
            return
        park, firms = await loading.firms_of(connection, sorted(marks), now)
        points = await loading.points_of(connection, sorted(marks))
        reached = await stored.progress(connection, sorted(marks))
        away = {row["firm_id"] for row in await stored.rows(connection, "offline", sorted(marks))}
        oldest_us = to_us(now) - int(settings.history_days * 86_400e6)
        groups, evaluated = _groups(points, marks, reached, now, away, oldest_us // BUCKET_US * BUCKET_US)
        for group in groups:
            await _group(connection, settings, rules, park, firms, points, group, now, done)
        await stored.set_progress(connection, evaluated)
        done.firms += len(marks)


def _groups(
    points: Points,
    marks: Mapping[int, datetime],
    reached: Mapping[int, datetime],
    now: datetime,
    away: Collection[int],
    oldest_us: int,
) -> tuple[list[_Group], dict[int, datetime]]:
    """Return which firms are looked at over which time, and how far each will have been evaluated.

    Event time goes as far as a firm's newest reading; where a gateway is away nothing would move it: there it is now.
    """
    steady: list[int] = []
    groups: list[_Group] = []
    evaluated: dict[int, datetime] = {}
    clock = loading.edge_clocks(points, to_us(now))
    since_steady, until_steady = to_us(now), NEVER
    for firm_id, mark in marks.items():
        mine = points.firm_id == firm_id
        newest_us = int(clock[mine].max()) if mine.any() else NEVER
        before = reached.get(firm_id)
        # Edges speak and are silent also where no meter does: then the mark itself says how far the firm has come.
        told_us = to_us(now) if firm_id in away else min(to_us(mark) + BUCKET_US, to_us(now))
        until_us = max(newest_us, told_us) // BUCKET_US * BUCKET_US
        since_us = to_us(mark) // BUCKET_US * BUCKET_US
        if before is not None:
            since_us = min(since_us, to_us(before))
            until_us = max(until_us, to_us(before))
        since_us = max(since_us, oldest_us)
        evaluated[firm_id] = from_us(until_us)
        if until_us <= since_us:
            continue  # the quarter hour is still running
        if until_us - since_us > STEADY_US:
            groups.append(_Group([firm_id], since_us, until_us))
        else:
            steady.append(firm_id)
            since_steady, until_steady = min(since_steady, since_us), max(until_steady, until_us)
    if steady:
        groups.append(_Group(steady, since_steady, until_steady))
    return groups, evaluated


async def _group(
    connection: Connection,
    settings: AlertsSettings,
    rules: Sequence[ActiveRule],
    park: ParkInfo,
    firms: Mapping[int, FirmInfo],
    points: Points,
    group: _Group,
    now: datetime,
    done: HistoryPass,
) -> None:
    span = Due(group.since_us, group.until_us, park.time_zone)
    chosen = [entry for entry in rules if due(entry.rule, span)]
    if not chosen:
        return
    steady = group.until_us - group.since_us <= STEADY_US
    reach = reach_of([entry.rule for entry in chosen], group.since_us, group.until_us, arrivals=not steady)
    mine = {firm_id: firms[firm_id] for firm_id in group.firm_ids}
    frame = await loading.frame_of(connection, park, mine, _only(points, group.firm_ids), reach, now)
    made = [(entry, part, values) for entry in chosen for part, values in await make(connection, entry.rule, frame)]
    await _settle(connection, settings, frame, made, chosen, group.firm_ids, now, done, park_only=False)


def reach_of(rules: Sequence[Rule], since_us: int, until_us: int, *, arrivals: bool) -> loading.Reach:
    """Return what some rules need to see so that `(since, until]` can be folded."""
    looking_back = [rule for rule in rules if hours_back_us(rule)]
    return loading.Reach(
        since_us=since_us,
        until_us=until_us,
        back_us=max((back_us(rule) for rule in rules), default=0),
        events_back_us=max(
            (holds_us(rule) for rule in rules if occurs(rule) or isinstance(rule, Held | Emission)), default=0
        ),
        hours_back_us=max((hours_back_us(rule) for rule in looking_back), default=0),
        arrivals=arrivals,
        gauges=any(needs_gauges(rule) for rule in rules),
        held=any(isinstance(rule, Held) for rule in rules),
        needs_hours=lambda points, ledger: np.logical_or.reduce(
            [needs_hours(rule, points, ledger) for rule in looking_back]
        ),
    )


async def _park(
    connection: Connection,
    settings: AlertsSettings,
    rules: Sequence[ActiveRule],
    park_id: int,
    now: datetime,
    done: HistoryPass,
) -> None:
    """Evaluate the rules of a park itself, and the standings of its firms, which are written together with its own."""
    from alerts.values import make_park, of_park  # noqa: PLC0415

    async with connection.transaction():
        if not await stored.lock_park(connection, park_id):
            return
        mark = await stored.take_park(connection, park_id)
        chosen = [entry for entry in rules if of_park(entry.rule)]
        if mark is None or not chosen:
            return
        firm_ids = [row["firm_id"] for row in await stored.rows(connection, "park_firms", park_id)]
        if not firm_ids:
            return
        park, firms = await loading.firms_of(connection, firm_ids, now)
        points = await loading.points_of(connection, firm_ids)
        frame = loading.empty_frame(park, firms, points, to_us(mark), now)
        made = [
            (entry, part, values) for entry in chosen for part, values in await make_park(connection, entry.rule, frame)
        ]
        await _settle(connection, settings, frame, made, chosen, firm_ids, now, done, park_only=True)
        done.parks += 1


def _only(points: Points, firm_ids: Sequence[int]) -> Points:
    keep = np.isin(points.firm_id, list(firm_ids))
    return points if keep.all() else loading.kept(points, keep)


async def _settle(
    connection: Connection,
    settings: AlertsSettings,
    frame: Frame,
    made: Sequence[tuple[ActiveRule, str, Values]],
    chosen: Sequence[ActiveRule],
    firm_ids: Sequence[int],
    now: datetime,
    done: HistoryPass,
    *,
    park_only: bool,
) -> None:
    """Fold the values of each rule and bring its episodes to what they say."""
    furthest = max((rewind_us(entry.rule) for entry in chosen), default=0)
    since = from_us(frame.since_us - furthest)
    rows = await episodes.reaching(
        connection,
        frame.park.park_id,
        [entry.rule.id for entry in chosen],
        firm_ids,
        since - timedelta(seconds=QUARTER_S),
        park_only=park_only,
    )
    by_cause: dict[str, list[EpisodeRow]] = {}
    for row in rows:
        by_cause.setdefault(row.cause_key, []).append(row)
    for entry, part, values in made:
        if len(values.t_us) == 0 or len(values.scope_ids) == 0:
            continue
        done.transitions += await _one(connection, settings, frame, entry, part, values, by_cause, now)


async def _one(
    connection: Connection,
    settings: AlertsSettings,
    frame: Frame,
    entry: ActiveRule,
    part: str,
    values: Values,
    by_cause: Mapping[str, Sequence[EpisodeRow]],
    now: datetime,
) -> list[tuple[str, State]]:
    rule = entry.rule
    prefix, suffix = f"{rule.id}/{rule.subject}/", f"/{part}" if part else ""
    stored_of = {
        scope_id: rows
        for scope_id in values.scope_ids.tolist()
        if (rows := by_cause.get(f"{prefix}{scope_id}{suffix}")) is not None
    }
    changes = settle(rule, masked(entry, frame, values), stored_of, frame.since_us - rewind_us(rule))
    moved: list[tuple[str, State]] = []
    for scope_id, some in changes.items():
        subject = subject_of(frame, rule.subject, scope_id, part)
        assert message.cause_key(rule, subject) == f"{prefix}{scope_id}{suffix}"
        moved += await writing.write(connection, settings, entry, subject, some, now)
    return moved
