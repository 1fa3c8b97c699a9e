"""Alert rules by version, episodes, and every change of their state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from store.errors import EpisodeStateError, UnknownNameError
from store.queries import queries

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from store.pool import Connection


@dataclass(frozen=True, slots=True)
class RuleText:
    """A rule as a file says it; the instants are None where it holds without end."""

    rule_id: str
    body: dict[str, Any]
    valid_from: datetime | None
    valid_to: datetime | None


@dataclass(frozen=True, slots=True)
class RuleRow:
    """A rule as it stands."""

    rule_id: str
    version: int
    body: dict[str, Any]
    valid_from: datetime | None


@dataclass(frozen=True, slots=True)
class EpisodeRow:
    """One alert from start to end. All instants but `changed` are event time; see the schema for the rest."""

    episode_id: int
    park_id: int
    firm_id: int | None
    rule_id: str
    rule_version: int
    cause_key: str
    scope: str
    scope_id: int
    state: str
    severity: str
    began: datetime
    opened: datetime | None
    ended: datetime | None
    title_zh: str
    title_en: str
    evidence: dict[str, Any]
    seen: datetime
    held_s: float
    counting: bool
    confirmed: bool
    changed: datetime


@dataclass(frozen=True, slots=True)
class NewEpisode:
    """What an episode has from its first moment on."""

    park_id: int
    firm_id: int | None
    rule_id: str
    rule_version: int
    cause_key: str
    scope: str
    scope_id: int
    severity: str
    title_zh: str
    title_en: str
    escalate_after_s: float | None = None
    covered: int = 0


@dataclass(frozen=True, slots=True)
class EpisodeState:
    """What of an episode changes."""

    state: str
    began: datetime
    opened: datetime | None
    ended: datetime | None
    evidence: dict[str, Any]
    seen: datetime
    held_s: float
    counting: bool
    confirmed: bool


async def sync_rules(connection: Connection, rules: Sequence[RuleText], now: datetime) -> int:
    """Bring the table to what the file says and return how many versions were added.

    A changed rule ends its version and begins the next, a missing one ends; no version is ever altered otherwise.
    """
    sql = queries("episodes")
    added = 0
    async with connection.transaction():
        await connection.execute(sql["lock_rules"])
        stored = {row["rule_id"]: row for row in await connection.fetch(sql["newest_rules"], now)}
        for rule in rules:
            old = stored.pop(rule.rule_id, None)
            wanted_to = rule.valid_to
            if old is not None and old["body"] == rule.body and (wanted_to is not None or old["lasts"]):
                continue
            version, valid_from = 1, rule.valid_from
            if old is not None:
                await connection.execute(sql["end_rule"], rule.rule_id, old["version"], now)
                version, valid_from = old["version"] + 1, max(rule.valid_from or now, now)
            await connection.execute(
                sql["insert_rule"], rule.rule_id, version, rule.body, valid_from, wanted_to and max(wanted_to, now)
            )
            added += 1
        for rule_id, row in stored.items():
            await connection.execute(sql["end_rule"], rule_id, row["version"], now)
    return added


async def current_rules(connection: Connection, now: datetime) -> list[RuleRow]:
    """Return the version of each rule that holds at `now`."""
    return [RuleRow(**dict(row)) for row in await connection.fetch(queries("episodes")["current_rules"], now)]


async def lock_newest(connection: Connection, cause_key: str) -> EpisodeRow | None:
    """Reserve a cause until the transaction ends and return its newest episode, None if it never had one."""
    sql = queries("episodes")
    await connection.execute(sql["lock_cause"], cause_key)
    row = await connection.fetchrow(sql["newest_locked"], cause_key)
    return None if row is None else EpisodeRow(**dict(row))


async def newest_of_causes(connection: Connection, cause_keys: Collection[str]) -> dict[str, EpisodeRow]:
    """Return the newest episode of each cause that has one."""
    rows = await connection.fetch(queries("episodes")["newest_of_causes"], list(cause_keys))
    return {row["cause_key"]: EpisodeRow(**dict(row)) for row in rows}


async def unfinished(connection: Connection) -> list[EpisodeRow]:
    """Return every episode that is pending, open or acknowledged."""
    return [EpisodeRow(**dict(row)) for row in await connection.fetch(queries("episodes")["unfinished"])]


async def reviewable(connection: Connection, resolved_after: datetime) -> list[EpisodeRow]:
    """Return what was opened and may yet be retracted: unfinished, or resolved after this event time."""
    return [
        EpisodeRow(**dict(row)) for row in await connection.fetch(queries("episodes")["reviewable"], resolved_after)
    ]


async def insert_episode(connection: Connection, new: NewEpisode, state: EpisodeState) -> int:
    """Insert an episode and return its id; raises `UniqueViolationError` if its cause has one already."""
    episode_id: int = await connection.fetchval(
        queries("episodes")["insert_episode"],
        new.park_id,
        new.firm_id,
        new.rule_id,
        new.rule_version,
        new.cause_key,
        new.scope,
        new.scope_id,
        state.state,
        new.severity,
        state.began,
        state.opened,
        state.ended,
        new.title_zh,
        new.title_en,
        state.evidence,
        state.seen,
        state.held_s,
        state.counting,
        state.confirmed,
        new.escalate_after_s,
        new.covered,
    )
    return episode_id


async def update_episode(connection: Connection, episode_id: int, state: EpisodeState) -> None:
    """Write what of an episode changes; the caller holds its lock."""
    await connection.execute(
        queries("episodes")["update_episode"],
        episode_id,
        state.state,
        state.opened,
        state.ended,
        state.evidence,
        state.seen,
        state.held_s,
        state.counting,
        state.confirmed,
    )


async def revise(
    connection: Connection, episode_id: int, state: EpisodeState, *, severity: str, covered: int, revised: bool
) -> None:
    """Bring an episode to what the fold says; the caller holds its lock. `revised`: what had been decided changes."""
    await connection.execute(
        queries("episodes")["revise"],
        episode_id,
        state.state,
        state.began,
        state.opened,
        state.ended,
        state.evidence,
        state.seen,
        severity,
        covered,
        revised,
    )


async def reaching(
    connection: Connection,
    park_id: int,
    rule_ids: Sequence[str],
    firm_ids: Sequence[int],
    since: datetime,
    *,
    park_only: bool,
) -> list[EpisodeRow]:
    """Return and lock the episodes of some rules and firms (and of the park itself) that reach beyond an instant."""
    rows = await connection.fetch(
        queries("episodes")["reaching"], park_id, list(rule_ids), list(firm_ids), park_only, since
    )
    return [EpisodeRow(**dict(row)) for row in rows]


async def abandoned(connection: Connection, rule_ids: Sequence[str]) -> list[EpisodeRow]:
    """Return unfinished episodes that nobody watches: of other rules than these, or of a firm that has stopped."""
    rows = await connection.fetch(queries("episodes")["abandoned"], list(rule_ids))
    return [EpisodeRow(**dict(row)) for row in rows]


async def delete_pending(connection: Connection, episode_id: int) -> None:
    """Remove an episode that is pending, with its transitions: it never opened, and nobody was told."""
    for name in ("delete_pending_transitions", "delete_pending"):
        await connection.execute(queries("episodes")[name], episode_id)


async def add_transition(
    connection: Connection,
    episode_id: int,
    from_state: str | None,
    to_state: str,
    at: datetime,
    *,
    by: str,
    note: str | None = None,
) -> int:
    """Keep a change of state and return its id."""
    transition_id: int = await connection.fetchval(
        queries("episodes")["insert_transition"], episode_id, from_state, to_state, at, by, note
    )
    return transition_id


async def acknowledge(connection: Connection, episode_id: int, by: str, note: str | None, at: datetime) -> bool:
    """Note that a person has taken an open episode on; False if somebody already had.

    Raises:
        UnknownNameError: no such episode.
        EpisodeStateError: it is not open (pending, or over).
    """
    sql = queries("episodes")
    async with connection.transaction():
        state = await connection.fetchval(sql["state_locked"], episode_id)
        if state is None:
            raise UnknownNameError("episode", str(episode_id))
        if state == "acknowledged":
            return False
        if state != "open":
            raise EpisodeStateError(episode_id, state)
        await connection.execute(sql["acknowledge"], episode_id)
        await add_transition(connection, episode_id, "open", "acknowledged", at, by=by, note=note)
    return True


async def list_episodes(
    connection: Connection,
    *,
    park: str | None = None,
    firm: str | None = None,
    unfinished: bool = True,
    limit: int = 50,
) -> list[EpisodeRow]:
    """Return episodes that were opened, newest first, of a park or firm (by code) or of all."""
    rows = await connection.fetch(queries("episodes")["listed"], park, firm, unfinished, limit)
    return [EpisodeRow(**dict(row)) for row in rows]
