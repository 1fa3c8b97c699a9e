"""From values and stored episodes to what must change: where each fold begins, and what comes of it. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from alerts.evidence import evidence
from alerts.fold import fold
from alerts.reconcile import Wanted, reconcile
from alerts.severity import severity_of
from park.calendar import from_us, to_us

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from alerts.fold import Folded, Values
    from alerts.kinds import Rule
    from alerts.reconcile import Change
    from store.episodes import EpisodeRow


def settle(
    rule: Rule, values: Values, stored: Mapping[int, Sequence[EpisodeRow]], since_us: int
) -> dict[int, list[Change]]:
    """Return what must change so that the episodes are what a fold over all the values would give.

    Args:
        rule: when episodes open and clear.
        values: samples from at least `holds_us(rule)` before the change on; what lies before is as it was.
        stored: episodes of each subject that reach beyond that, oldest first, without retracted ones.
        since_us: the first instant behind which a sample may differ from what was folded before.

    Returns:
        Changes by subject; those without any are left out.
    """
    starts = np.searchsorted(values.t_us, np.full(len(values.scope_ids), since_us - holds_us(rule), np.int64))
    opened: dict[int, EpisodeRow] = {}
    found: dict[int, list[Folded]] = {}
    for k, scope_id in enumerate(values.scope_ids.tolist()):
        rows = stored.get(scope_id)
        if not rows:
            continue
        found[k] = []
        starts[k] = _start(values, rows, int(starts[k]), since_us)
        running = next((row for row in rows if _running(row, since_us)), None)
        before = running is not None and (
            starts[k] >= len(values.t_us) or to_us(running.began) < int(values.t_us[starts[k]])
        )
        if running is not None and running.opened is not None and before and to_us(running.opened) <= since_us:
            opened[k] = running
    for episode in fold(rule, values, starts=starts, carried=frozenset(opened)):
        found.setdefault(episode.row, []).append(episode)
    changes = {}
    for k, folded in sorted(found.items()):
        scope_id = int(values.scope_ids[k])
        wanted = [_wanted(rule, values, one, opened[k] if one.carried else None) for one in folded]
        begins_us = int(values.t_us[starts[k]]) if starts[k] < len(values.t_us) else None
        window = [
            row
            for row in stored.get(scope_id, ())
            if _running(row, since_us) or (begins_us is not None and to_us(row.began) >= begins_us)
        ]
        # An episode that was open already and of which nothing can be seen stands as it is.
        if k in opened and not any(one.carried for one in folded):
            window = [row for row in window if row.episode_id != opened[k].episode_id]
        some = reconcile(window, wanted, [_doubtful(rule, values, k, row) for row in window])
        if some:
            changes[scope_id] = some
    return changes


def holds_us(rule: Rule) -> int:
    """Return how far before a change a fold must begin, so that any hold is counted whole."""
    return int(max(rule.hold_open_s + rule.max_gap_s, rule.hold_clear_s) * 1e6)


def _running(row: EpisodeRow, since_us: int) -> bool:
    """Tell whether an episode was under way at an instant."""
    return to_us(row.began) <= since_us and (row.ended is None or to_us(row.ended) > since_us)


def _start(values: Values, rows: Sequence[EpisodeRow], start: int, since_us: int) -> int:
    """Return the column at which the fold of a subject begins: where one began, or behind the last."""
    for row in rows:
        if _running(row, since_us):
            return max(start, int(np.searchsorted(values.t_us, to_us(row.began))))
        if row.ended is not None and to_us(row.ended) <= since_us:
            start = max(start, int(np.searchsorted(values.t_us, to_us(row.ended), "right")))
    return start


def _wanted(rule: Rule, values: Values, found: Folded, carried: EpisodeRow | None) -> Wanted:
    kept = None if carried is None else carried.evidence
    proof = evidence(rule, values, found, kept)
    severity = severity_of(rule, proof)
    began = from_us(int(values.t_us[found.first])) if carried is None else carried.began
    opened = None if found.opened is None else from_us(int(values.t_us[found.opened]))
    return Wanted(
        state=found.state,
        began=began,
        opened=opened if carried is None else carried.opened,
        ended=None if found.ended is None else from_us(int(values.t_us[found.ended])),
        seen=from_us(int(values.t_us[found.last])),
        severity=severity,
        evidence=proof,
        covered=int(proof.get("points", 0)),
    )


def _doubtful(rule: Rule, values: Values, k: int, row: EpisodeRow) -> bool:
    """Tell whether something that an episode rests on is unknown now: then it cannot be disproved."""
    if row.opened is None:
        return False
    a, b = np.searchsorted(values.t_us, [to_us(row.began), to_us(row.opened)])
    if b >= len(values.t_us):
        return True
    known = np.isfinite(values.value[k, a : b + 1])
    if values.coverage is not None:
        known &= values.coverage[k, a : b + 1] >= rule.min_coverage
    return not bool(known.all())
