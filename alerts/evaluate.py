"""One pass over the rules: what is folded over event time (`alerts.history`), and what is read as time passes (here).

Any number of workers may do the same at once. For what is read as time passes, each decides on one cause in one
transaction that reserves the cause, reads its newest episode again, takes the step, and writes the transitions together
with the messages that tell of them; so a worker that dies leaves either all of it or nothing, and another worker's
samples come to the same.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import msgspec
import structlog

from alerts import message, metrics, readers, routing
from alerts.engine import FINISHED, Progress, State, Transition, confirms, disproved, finish, is_lapse, lasting, step
from alerts.history import evaluate_waiting
from alerts.kinds import Demand, EdgeState, IndicatorWindow, Rate, is_live
from alerts.rules import ActiveRule, from_body, to_body
from alerts.telling import tell
from store import alert_inputs, episodes

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from alerts.engine import Sample
    from alerts.rules import Rule
    from alerts.settings import AlertsSettings
    from store.episodes import EpisodeRow
    from store.pool import Connection
    from store.samples import Subject

_log = structlog.get_logger()
_INSTANT: Final = timedelta(microseconds=1)


@dataclass(slots=True)
class Memory:
    """How far this process has looked at each cause. Only saves work: losing it repeats looks, not transitions."""

    looked: dict[str, datetime] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Work:
    """The samples of one subject that are later than `after`."""

    entry: ActiveRule
    subject: Subject
    samples: Sequence[Sample]
    after: datetime


@dataclass(slots=True)
class Pass:
    """What one pass did."""

    subjects: int = 0
    transitions: list[tuple[str, State]] = field(default_factory=list)

    @property
    def told(self) -> bool:
        """Tell whether there may be new messages."""
        return any(state in routing.TOLD for _, state in self.transitions)


async def publish_rules(connection: Connection, rules: Iterable[Rule], now: datetime) -> int:
    """Bring the table `rule` to these rules and return how many versions are new."""
    texts = [episodes.RuleText(rule.id, to_body(rule), rule.valid_from, rule.valid_to) for rule in rules]
    return await episodes.sync_rules(connection, texts, now)


async def active_rules(connection: Connection, now: datetime) -> tuple[list[ActiveRule], set[str]]:
    """Return the rules that hold now, and the ids of those that this program cannot read: they stop no other."""
    found, unreadable = [], set()
    for row in await episodes.current_rules(connection, now):
        try:
            found.append(ActiveRule(from_body(row.body), row.version, row.valid_from))
        except msgspec.ValidationError as error:
            unreadable.add(row.rule_id)
            _log.error("rule_unreadable", rule=row.rule_id, version=row.version, error=str(error))
    metrics.BROKEN_RULES.set(len(unreadable))
    return found, unreadable


async def evaluate(
    connection: Connection,
    settings: AlertsSettings,
    memory: Memory,
    now: datetime,
    *,
    park_ids: list[int] | None = None,
    sweep: bool = True,
) -> Pass:
    """Evaluate the rules that hold now.

    Args:
        connection: not inside a transaction.
        settings: how far back to look, and what messages carry.
        memory: this process's own; a new one means looking at everything again.
        now: wall clock: bounds how far back to look, decides nothing else.
        park_ids: only these parks; None: all.
        sweep: also look again at what was looked at, for late data, and review what was opened.
    """
    done = Pass()
    if sweep:
        late = timedelta(seconds=settings.late_s)
        memory.looked = {cause: looked - late for cause, looked in memory.looked.items()}
    active, unreadable = await active_rules(connection, now)
    earliest = now - timedelta(seconds=settings.catch_up_s)
    watched: dict[str, tuple[ActiveRule, Subject]] = {}
    for entry in (entry for entry in active if is_live(entry.rule)):
        rule = entry.rule
        subjects = await readers.subjects(connection, rule, park_ids)
        causes = {subject.scope_id: message.cause_key(rule, subject) for subject in subjects}
        watched |= {causes[subject.scope_id]: (entry, subject) for subject in subjects}
        done.subjects += len(subjects)
        newest = await episodes.newest_of_causes(connection, causes.values())
        after = {scope_id: _after(cause, newest.get(cause), memory, earliest) for scope_id, cause in causes.items()}
        samples = await readers.read(connection, rule, subjects, after, now)
        for subject in subjects:
            found = samples.get(subject.scope_id)
            if not found:
                continue
            cause = causes[subject.scope_id]
            row = newest.get(cause)
            before = None if row is None else progress_of(row)
            outcome = step(rule, before, found)
            unfinished = before is not None and before.state not in FINISHED
            if lasting(before, outcome) or (unfinished and outcome.progress != before):
                work = _Work(entry, subject, found, after[subject.scope_id])
                done.transitions += await _advance(connection, settings, work, now)
            if isinstance(rule, IndicatorWindow | Rate | Demand):
                memory.looked[cause] = found[-1].t
    if sweep:
        done.transitions += await _review(connection, settings, watched, now)
        if park_ids is None:
            known = {entry.rule.id for entry in active} | unreadable
            done.transitions += await _abandon(connection, watched, active, known)
    if sweep:
        await _watch_gateways(connection, active, now)
    past = await evaluate_waiting(connection, settings, active, now, park_ids)
    done.subjects += past.firms + past.parks
    done.transitions += past.transitions
    for _, state in done.transitions:
        metrics.TRANSITIONS.labels(state.value).inc()
    return done


async def _watch_gateways(connection: Connection, active: Sequence[ActiveRule], now: datetime) -> None:
    """Have firms looked at whose gateway is away: nothing comes from there that would say so again."""
    ids = [e.rule.id for e in active if isinstance(e.rule, EdgeState) and e.rule.what == "offline"]
    for row in await alert_inputs.rows(connection, "away", ids) if ids else ():
        if row["since"] <= now:
            await alert_inputs.mark(connection, [row["firm_id"]], row["since"])


def progress_of(row: EpisodeRow) -> Progress:
    """Return a stored episode as the engine sees it."""
    return Progress(
        State(row.state),
        row.began,
        row.seen,
        row.opened,
        row.ended,
        row.held_s,
        row.counting,
        row.confirmed,
        row.evidence,
    )


def _after(cause: str, row: EpisodeRow | None, memory: Memory, earliest: datetime) -> datetime:
    """Return the instant after which samples are news: older ones were decided on, or are too old to tell anyone."""
    if row is not None and State(row.state) not in FINISHED:
        return row.seen  # whatever this process has looked at: the episode counts from what it has seen
    looked = max(memory.looked.get(cause, earliest), earliest)
    return looked if row is None else max(looked, row.seen)


async def _advance(
    connection: Connection,
    settings: AlertsSettings,
    work: _Work,
    now: datetime,
) -> list[tuple[str, State]]:
    """Take the step once more on the reserved cause, and write what comes of it."""
    entry, subject = work.entry, work.subject
    cause = message.cause_key(entry.rule, subject)
    async with connection.transaction():
        row = await episodes.lock_newest(connection, cause)
        episode_id = None if row is None else row.episode_id
        before = None if row is None else progress_of(row)
        if before is not None and before.state not in FINISHED and before.seen < work.after:
            return []  # begun meanwhile by a worker that was behind: our samples do not reach back to it, the next will
        outcome = step(entry.rule, before, work.samples)
        transitions = lasting(before, outcome)
        written = before
        for transition in transitions:
            if transition.from_state is None:
                new = _new(entry, subject, cause)
                episode_id = await episodes.insert_episode(connection, new, _state(transition.after))
            assert episode_id is not None
            if is_lapse(transition):
                await episodes.delete_pending(connection, episode_id)
                episode_id = None
                continue
            if transition.from_state is not None:
                await episodes.update_episode(connection, episode_id, _state(transition.after))
            await _record(connection, settings, entry.rule, subject, episode_id, transition, now)
            written = transition.after
        last = outcome.progress
        if episode_id is not None and last is not None and written is not None and _goes_on(written, last):
            await episodes.update_episode(connection, episode_id, _state(last))
    return [(cause, transition.to_state) for transition in transitions]


def _goes_on(written: Progress, last: Progress) -> bool:
    """Tell whether `last` is the same episode with something new to keep."""
    return last.began == written.began and last != written


async def _record(
    connection: Connection,
    settings: AlertsSettings,
    rule: Rule,
    subject: Subject,
    episode_id: int,
    transition: Transition,
    now: datetime,
) -> None:
    """Keep one transition together with the messages that tell of it, in the caller's transaction."""
    transition_id = await episodes.add_transition(
        connection,
        episode_id,
        transition.from_state,
        transition.to_state,
        transition.at,
        by="engine",
        note=transition.note,
    )
    await tell(
        connection,
        settings,
        rule,
        subject,
        transition,
        episode_id=episode_id,
        transition_id=transition_id,
        now=now,
    )


async def _review(
    connection: Connection, settings: AlertsSettings, watched: Mapping[str, tuple[ActiveRule, Subject]], now: datetime
) -> list[tuple[str, State]]:
    """Hold what was opened against the numbers as they are now, and take back what they disprove."""
    done = []
    for row in await episodes.reviewable(connection, now - timedelta(seconds=settings.review_s)):
        entry, subject = watched.get(row.cause_key, (None, None))
        if entry is None or subject is None or entry.version != row.rule_version:
            continue  # a rule that was changed since does not judge what its former version saw
        rule, progress = entry.rule, progress_of(row)
        assert progress.opened is not None
        # Mostly the numbers that opened it still do; only otherwise is the rest of its time read.
        window = await _window(connection, rule, subject, progress, progress.opened)
        if disproved(rule, progress, window) and progress.opened < progress.seen:
            window = await _window(connection, rule, subject, progress, progress.seen)
        if disproved(rule, progress, window):
            done += await _retract(connection, settings, entry, subject, progress, now)
        elif not progress.confirmed and confirms(rule, window):
            await _confirm(connection, row.cause_key, progress)
    return done


async def _window(
    connection: Connection, rule: Rule, subject: Subject, progress: Progress, until: datetime
) -> list[Sample]:
    """Read the samples that speak of an episode's time: those in it, and of a stretch that began in it."""
    after = {subject.scope_id: progress.began - _INSTANT}
    found = await readers.read(connection, rule, [subject], after, readers.reach(rule, until))
    return [s for s in found.get(subject.scope_id, []) if s.t <= until or (s.start is not None and s.start < until)]


async def _retract(
    connection: Connection,
    settings: AlertsSettings,
    entry: ActiveRule,
    subject: Subject,
    progress: Progress,
    now: datetime,
) -> list[tuple[str, State]]:
    cause = message.cause_key(entry.rule, subject)
    async with connection.transaction():
        row = await episodes.lock_newest(connection, cause)
        current = None if row is None else progress_of(row)
        if row is None or current is None or (current.began, current.seen) != (progress.began, progress.seen):
            return []  # somebody went on with it meanwhile; the next sweep looks again
        if current.state is State.RETRACTED:
            return []
        transition = finish(current, State.RETRACTED, progress.seen, "disproved by corrected data")
        await episodes.update_episode(connection, row.episode_id, _state(transition.after))
        await _record(connection, settings, entry.rule, subject, row.episode_id, transition, now)
    return [(cause, State.RETRACTED)]


async def _confirm(connection: Connection, cause: str, progress: Progress) -> None:
    async with connection.transaction():
        row = await episodes.lock_newest(connection, cause)
        if row is not None and row.began == progress.began:
            after = replace(progress_of(row), confirmed=True)
            await episodes.update_episode(connection, row.episode_id, _state(after))


async def _abandon(
    connection: Connection,
    watched: Mapping[str, tuple[ActiveRule, Subject]],
    active: Sequence[ActiveRule],
    known: set[str],
) -> list[tuple[str, State]]:
    """End what nobody watches any more: the rule has ended, or its firm has stopped. That is no news to anyone."""
    done = []
    live = {entry.rule.id for entry in active if is_live(entry.rule)}
    gone = {row.episode_id: row for row in await episodes.abandoned(connection, sorted(known))}
    for row in await episodes.unfinished(connection) if live else ():
        if row.rule_id in live and row.cause_key not in watched:
            gone[row.episode_id] = row
    for _, row in sorted(gone.items()):
        async with connection.transaction():
            current = await episodes.lock_newest(connection, row.cause_key)
            if current is None or current.episode_id != row.episode_id or State(current.state) in FINISHED:
                continue
            progress = progress_of(current)
            if progress.opened is None:
                await episodes.delete_pending(connection, row.episode_id)
                continue
            to_state = State.RESOLVED
            transition = finish(progress, to_state, progress.seen, "no longer watched by any rule")
            await episodes.update_episode(connection, row.episode_id, _state(transition.after))
            await episodes.add_transition(
                connection,
                row.episode_id,
                transition.from_state,
                to_state,
                transition.at,
                by="engine",
                note=transition.note,
            )
        done.append((row.cause_key, to_state))
    return done


def _new(entry: ActiveRule, subject: Subject, cause: str) -> episodes.NewEpisode:
    title_zh, title_en = message.titles(entry.rule, subject)
    return episodes.NewEpisode(
        park_id=subject.park_id,
        firm_id=subject.firm_id,
        rule_id=entry.rule.id,
        rule_version=entry.version,
        cause_key=cause,
        scope=subject.scope,
        scope_id=subject.scope_id,
        severity=entry.rule.severity.value,
        title_zh=title_zh,
        title_en=title_en,
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
