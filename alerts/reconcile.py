"""What must be written so that the episodes of one cause are what the fold says they are. Pure.

stored, folded                      what happens
─────────────────────────────────   ──────────────────────────────────────────────────────────
nothing, an episode                 begun, with every transition up to where it stands
an episode, the same further on     the transitions in between
resolved, still going on            opened again: corrected data show that it was not over
pending, nothing                    forgotten: it never opened and nobody was told
opened, nothing                     retracted: corrected data disprove it
retracted, an episode in its time   begun anew
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from alerts.engine import FINISHED, State

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from store.episodes import EpisodeRow


@dataclass(frozen=True, slots=True)
class Wanted:
    """An episode as the fold found it, with instants and evidence in place of columns."""

    state: State
    began: datetime
    opened: datetime | None
    ended: datetime | None
    seen: datetime
    severity: str
    evidence: Mapping[str, Any]
    covered: int = 0


@dataclass(frozen=True, slots=True)
class Move:
    """One transition to keep."""

    from_state: State | None
    to_state: State
    at: datetime
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """What is to be done with one episode.

    Attributes:
        stored: the row that changes; None: a new one.
        wanted: what it becomes; None: it is forgotten (never opened) or retracted (`moves` tells).
        moves: transitions, in order.
        revised: whether something that had been decided is decided differently.
    """

    stored: EpisodeRow | None
    wanted: Wanted | None
    moves: tuple[Move, ...]
    revised: bool = False


def reconcile(stored: Sequence[EpisodeRow], wanted: Sequence[Wanted], doubtful: Sequence[bool]) -> list[Change]:
    """Compare the stored episodes of a cause with those that the fold found over the same time.

    Args:
        stored: rows that touch the folded time, oldest first; retracted ones are passed over.
        wanted: what the fold found, oldest first.
        doubtful: per stored row: whether something in its time is unknown now, so that it cannot be disproved.
    """
    left = [row for row in stored if row.state != State.RETRACTED]
    doubt = {row.episode_id: doubted for row, doubted in zip(stored, doubtful, strict=True)}
    changes: list[Change] = []
    for episode in wanted:
        match = next((row for row in left if _same(row, episode)), None)
        if match is None and any(doubt[row.episode_id] and row.opened and _overlap(row, episode) for row in left):
            continue  # what cannot be judged stands, and nothing takes its place
        if match is None:
            changes.append(Change(None, episode, _from_nothing(episode)))
            continue
        left.remove(match)
        change = _onward(match, episode)
        if change is not None:
            changes.append(change)
    gone = [_gone(row) for row in left if not doubt[row.episode_id] or row.opened is None]
    # What is taken away makes room for what takes its place.
    return gone + changes


def _same(row: EpisodeRow, episode: Wanted) -> bool:
    """Tell whether the two share some time, and can stand for the same: what was told cannot become pending."""
    return not (episode.opened is None and row.opened is not None) and _overlap(row, episode)


def _overlap(row: EpisodeRow, episode: Wanted) -> bool:
    if row.ended is not None and row.ended < episode.began:
        return False
    return not (episode.ended is not None and episode.ended < row.began)


def _from_nothing(episode: Wanted) -> tuple[Move, ...]:
    moves = [Move(None, State.PENDING, episode.began)]
    if episode.opened is not None:
        moves.append(Move(State.PENDING, State.OPEN, episode.opened))
    if episode.ended is not None:
        moves.append(Move(State.OPEN, State.RESOLVED, episode.ended))
    return tuple(moves)


def _onward(row: EpisodeRow, episode: Wanted) -> Change | None:
    state = State(row.state)
    moves: list[Move] = []
    if state is State.PENDING and episode.opened is not None:
        moves.append(Move(state, State.OPEN, episode.opened))
        state = State.OPEN
    if state is State.RESOLVED and episode.ended is None:
        moves.append(Move(state, State.OPEN, episode.seen, "corrected data show that it was not over"))
    elif state not in FINISHED and episode.ended is not None:
        moves.append(Move(state, State.RESOLVED, episode.ended))
    decided = (row.began, row.opened, row.ended)
    revised = row.opened is not None and any(
        was is not None and was != now
        for was, now in zip(decided, (episode.began, episode.opened, episode.ended), strict=True)
    )
    same = decided == (episode.began, episode.opened, episode.ended) and row.seen == episode.seen
    if not moves and same and row.severity == episode.severity:
        return None
    return Change(row, episode, tuple(moves), revised)


def _gone(row: EpisodeRow) -> Change:
    if row.opened is None:
        return Change(row, None, ())
    move = Move(State(row.state), State.RETRACTED, row.seen, "disproved by corrected data")
    return Change(row, None, (move,), revised=True)
