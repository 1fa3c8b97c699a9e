"""Typed access to standings and the target packs they are judged by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from store.queries import queries

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from store.pool import Connection


@dataclass(frozen=True, slots=True)
class TargetKey:
    """Whose standing against which target."""

    scope: str
    scope_id: int
    pack_id: str
    target_id: str


@dataclass(frozen=True, slots=True)
class Current:
    """The newest standing of a target."""

    standing_id: int
    pack_version: int
    as_of: datetime
    state: str
    reason: str | None


@dataclass(frozen=True, slots=True)
class StandingRow:
    """One standing as it is written."""

    key: TargetKey
    firm_id: int | None
    pack_version: int
    as_of: datetime
    state: str
    reason: str | None
    sentence_zh: str
    sentence_en: str
    value: float | None
    target_value: float | None
    required: float | None
    projection: float | None


async def keep_pack(connection: Connection, pack_id: str, version: int, sha256: str, body: object) -> bool:
    """Keep a pack's version; return False if that version is kept already with other contents."""
    sql = queries("standings")
    await connection.execute(sql["keep_pack"], pack_id, version, sha256, body)
    return bool(await connection.fetchval(sql["pack_sha"], pack_id, version) == sha256)


async def current_standings(connection: Connection, park_id: int) -> dict[TargetKey, Current]:
    """Return the newest standing of each target in a park."""
    found = {}
    for row in await connection.fetch(queries("standings")["current"], park_id):
        key = TargetKey(row["scope"], row["scope_id"], row["pack_id"], row["target_id"])
        found[key] = Current(row["standing_id"], row["pack_version"], row["as_of"], row["state"], row["reason"])
    return found


async def refresh(connection: Connection, rows: Sequence[tuple[Current, StandingRow]], run_id: int) -> None:
    """Bring standings up to date that say what they said."""
    await connection.executemany(
        queries("standings")["refresh"],
        [
            (
                old.standing_id,
                row.as_of,
                row.sentence_zh,
                row.sentence_en,
                row.value,
                row.target_value,
                row.required,
                row.projection,
                run_id,
            )
            for old, row in rows
        ],
    )


async def replace(
    connection: Connection, park_id: int, rows: Sequence[tuple[Current | None, StandingRow]], run_id: int
) -> None:
    """Write standings that say something new; the old ones stay as history."""
    sql = queries("standings")
    await connection.executemany(sql["supersede"], [(old.standing_id,) for old, _ in rows if old is not None])
    await connection.executemany(
        sql["insert"],
        [
            (
                park_id,
                row.firm_id,
                row.key.scope,
                row.key.scope_id,
                row.key.pack_id,
                row.pack_version,
                row.key.target_id,
                row.as_of,
                row.state,
                row.reason,
                row.sentence_zh,
                row.sentence_en,
                row.value,
                row.target_value,
                row.required,
                row.projection,
                run_id,
            )
            for _, row in rows
        ],
    )


async def value_at(
    connection: Connection, subject: tuple[str, int, str], grain: str, period: datetime
) -> dict[str, Any] | None:
    """Return one subject's `(scope, scope_id, indicator_id)` value in a period, None if there is none."""
    row = await connection.fetchrow(queries("standings")["value_at"], *subject, grain, period)
    return None if row is None else dict(row)


async def notify(connection: Connection, park_id: int) -> None:
    """Tell the alerts that a park's numbers moved."""
    await connection.execute(queries("standings")["notify"], str(park_id))
