"""From what must change to rows: episodes, transitions, and the messages that tell of them, in one transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alerts import message
from alerts.engine import Progress, State, Transition
from alerts.telling import tell
from store import episodes

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from alerts.reconcile import Change, Wanted
    from alerts.rules import ActiveRule
    from alerts.settings import AlertsSettings
    from store.pool import Connection
    from store.samples import Subject


async def write(
    connection: Connection,
    settings: AlertsSettings,
    entry: ActiveRule,
    subject: Subject,
    changes: Sequence[Change],
    now: datetime,
) -> list[tuple[str, State]]:
    """Write the changes of one cause in the caller's transaction; return its transitions."""
    done: list[tuple[str, State]] = []
    for change in changes:
        if change.wanted is None and change.stored is not None and not change.moves:
            await episodes.delete_pending(connection, change.stored.episode_id)
            continue
        progress = _progress(change)
        if change.stored is None:
            assert change.wanted is not None
            new = _new(entry, subject, change.wanted)
            episode_id = await episodes.insert_episode(connection, new, _state(progress))
        else:
            episode_id = change.stored.episode_id
            await episodes.revise(
                connection,
                episode_id,
                _state(progress),
                severity=change.stored.severity if change.wanted is None else change.wanted.severity,
                covered=0 if change.wanted is None else change.wanted.covered,
                revised=change.revised,
            )
        for move in change.moves:
            transition_id = await episodes.add_transition(
                connection, episode_id, move.from_state, move.to_state, move.at, by="engine", note=move.note
            )
            transition = Transition(move.from_state, move.to_state, move.at, progress, move.note)
            done.append((message.cause_key(entry.rule, subject), move.to_state))
            await tell(
                connection,
                settings,
                entry.rule,
                subject,
                transition,
                episode_id=episode_id,
                transition_id=transition_id,
                now=now,
            )
    return done


def _progress(change: Change) -> Progress:
    """Return the episode as it will stand."""
    row, wanted = change.stored, change.wanted
    if wanted is None:
        assert row is not None
        return Progress(
            State.RETRACTED,
            row.began,
            row.seen,
            row.opened,
            row.ended or row.seen,
            confirmed=True,
            evidence=row.evidence,
        )
    state = wanted.state
    if row is not None and State(row.state) is State.ACKNOWLEDGED and state is State.OPEN:
        state = State.ACKNOWLEDGED
    return Progress(
        state, wanted.began, wanted.seen, wanted.opened, wanted.ended, confirmed=True, evidence=dict(wanted.evidence)
    )


def _new(entry: ActiveRule, subject: Subject, wanted: Wanted) -> episodes.NewEpisode:
    title_zh, title_en = message.titles(entry.rule, subject)
    return episodes.NewEpisode(
        park_id=subject.park_id,
        firm_id=subject.firm_id,
        rule_id=entry.rule.id,
        rule_version=entry.version,
        cause_key=message.cause_key(entry.rule, subject),
        scope=subject.scope,
        scope_id=subject.scope_id,
        severity=wanted.severity,
        title_zh=title_zh,
        title_en=title_en,
        escalate_after_s=entry.rule.escalate_after_s,
        covered=wanted.covered,
    )


def _state(progress: Progress) -> episodes.EpisodeState:
    return episodes.EpisodeState(
        state=progress.state.value,
        began=progress.began,
        opened=progress.opened,
        ended=progress.ended,
        evidence=dict(progress.evidence),
        seen=progress.seen,
        held_s=progress.held_s,
        counting=progress.counting,
        confirmed=progress.confirmed,
    )
