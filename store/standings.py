"""Typed access to standings, the target packs they are judged by, and what a park says about targets."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from store.errors import ConflictingPackError
from store.queries import queries

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from park.contribution import Contribution
    from park.definition import ParkDefinition
    from park.standing import Standing
    from park.targets import Target, TargetPack
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
    """The newest standing of a target; `moved` names the contributions that are stored with it."""

    standing_id: int
    pack_version: int
    override_id: int | None
    as_of: datetime
    state: str
    reason: str | None
    value: float | None
    projection: float | None
    closed: bool | None
    revision: int
    moved: str | None


@dataclass(frozen=True, slots=True)
class Finished:
    """The newest standing of a finished year."""

    standing_id: int
    revision: int
    state: str
    reason: str | None
    value: float | None
    pack_version: int
    override_id: int | None


@dataclass(frozen=True, slots=True)
class Override:
    """A park's own number for a target of a plan."""

    override_id: int
    value: float | None
    base_year: int | None
    base_value: float | None
    source: str


@dataclass(frozen=True, slots=True)
class StandingRow:
    """One standing as it is written."""

    key: TargetKey
    firm_id: int | None
    pack_version: int
    target: Target
    standing: Standing
    unit: str
    override_id: int | None = None
    period: datetime | None = None
    closed: bool | None = None
    coverage: float | None = None
    projected_for: datetime | None = None
    lineage: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Moved:
    """Who moved a park between two spans of time."""

    key: TargetKey
    spans: tuple[datetime, datetime, datetime, datetime]
    unit: str
    firms: tuple[Contribution, ...]


async def keep_pack(
    connection: Connection, pack_id: str, version: int, sha256: str, body: object, park_id: int | None = None
) -> bool:
    """Keep a pack's version; return False if that version is kept already with other contents.

    `park_id` is that of a pack that a park brought itself.
    """
    sql = queries("standings")
    await connection.execute(sql["keep_pack"], pack_id, version, sha256, body, park_id)
    return bool(await connection.fetchval(sql["pack_sha"], pack_id, version) == sha256)


async def keep(connection: Connection, pack: TargetPack, park_id: int | None = None) -> None:
    """Keep a pack's version; `park_id` of a pack that a park brought itself.

    Raises:
        ConflictingPackError: that version is kept with other contents, or the id is another park's.
    """
    kept = await connection.fetchrow(queries("standings")["pack_owner"], pack.id)
    if kept is not None and kept["park_id"] != park_id:
        raise ConflictingPackError(f"target pack {pack.id} belongs to somebody else: take another id")
    sha256 = hashlib.sha256(msgspec.json.encode(pack, order="sorted")).hexdigest()
    if not await keep_pack(connection, pack.id, pack.version, sha256, msgspec.to_builtins(pack), park_id):
        raise ConflictingPackError(f"target pack {pack.id} version {pack.version} was changed: give it a new version")


async def own_pack(connection: Connection, park_id: int, pack_id: str) -> Any | None:
    """Return the newest body of a pack that a park brought itself, or None."""
    return await connection.fetchval(queries("standings")["own_pack"], pack_id, park_id)


async def overrides(connection: Connection, park_id: int) -> dict[tuple[str, str], Override]:
    """Return what a park says about targets, by pack and target."""
    found = {}
    for row in await connection.fetch(queries("standings")["overrides"], park_id):
        fields = dict(row)
        key = (fields.pop("pack_id"), fields.pop("target_id"))
        found[key] = Override(**fields)
    return found


async def apply_targets(connection: Connection, park_id: int, definition: ParkDefinition) -> None:
    """Keep a park's own packs and bring what it says about targets to what its document says.

    Nothing is altered: what is said anew is a new row, what the document leaves out is withdrawn by one.

    Raises:
        ConflictingPackError: a pack's version is kept with other contents, or its id is another park's.
    """
    sql = queries("standings")
    for pack in definition.own_target_packs:
        await keep(connection, pack, park_id)
        await connection.execute(queries("registry")["adopt_pack"], park_id, pack.id)
    there = await overrides(connection, park_id)
    for said in definition.target_settings:
        old = there.pop((said.pack, said.target), None)
        new = (said.value, said.base_year, said.base_value, said.source)
        if old is None or (old.value, old.base_year, old.base_value, old.source) != new:
            await connection.execute(sql["override"], park_id, said.pack, said.target, *new)
    for pack_id, target_id in there:
        await connection.execute(sql["withdraw"], park_id, pack_id, target_id)


async def current_standings(connection: Connection, park_id: int) -> dict[TargetKey, Current]:
    """Return the newest standing of each target in a park."""
    found = {}
    for row in await connection.fetch(queries("standings")["current"], park_id):
        fields = dict(row)
        key = TargetKey(*(fields.pop(name) for name in ("scope", "scope_id", "pack_id", "target_id")))
        found[key] = Current(**fields)
    return found


async def refresh(connection: Connection, rows: Sequence[tuple[Current, StandingRow]], run_id: int) -> None:
    """Bring standings up to date that say what they said."""
    await connection.executemany(
        queries("standings")["refresh"], [(old.standing_id, *_moving(row), run_id) for old, row in rows]
    )


async def replace(
    connection: Connection, park_id: int, rows: Sequence[tuple[Current | None, StandingRow]], run_id: int
) -> None:
    """Write standings that say something new; the old ones stay as history."""
    await _insert(connection, park_id, rows, run_id, current=True)


async def retire(connection: Connection, standing_ids: Sequence[int], run_id: int) -> None:
    """Leave standings that nobody is held against any more to the history."""
    if standing_ids:
        sql = queries("standings")["supersede"]
        await connection.executemany(sql, [(standing_id, run_id) for standing_id in standing_ids])


async def finished_standings(connection: Connection, park_id: int, year: datetime) -> dict[TargetKey, Finished]:
    """Return the newest standings of a finished year, which starts at `year`."""
    found = {}
    for row in await connection.fetch(queries("standings")["finished"], park_id, year):
        fields = dict(row)
        key = TargetKey(*(fields.pop(name) for name in ("scope", "scope_id", "pack_id", "target_id")))
        found[key] = Finished(**fields)
    return found


async def write_finished(
    connection: Connection, park_id: int, rows: Sequence[tuple[Finished | None, StandingRow]], run_id: int
) -> None:
    """Write standings of a finished year into the history: the first of a year, or a revision of it."""
    await _insert(connection, park_id, rows, run_id, current=False)


async def _insert(
    connection: Connection,
    park_id: int,
    rows: Sequence[tuple[Current | Finished | None, StandingRow]],
    run_id: int,
    *,
    current: bool,
) -> None:
    sql = queries("standings")
    await connection.executemany(sql["supersede"], [(old.standing_id, run_id) for old, _ in rows if old is not None])
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
                row.standing.state.value,
                None if row.standing.reason is None else row.standing.reason.value,
                row.target.indicator,
                row.target.comparator.value,
                row.target.theme.value,
                row.target.binding,
                row.target.target_year,
                row.override_id,
                0 if old is None else old.revision + 1,
                *_moving(row),
                run_id,
                current,
            )
            for old, row in rows
        ],
    )


def _moving(row: StandingRow) -> tuple[Any, ...]:
    """Return what changes while a standing says the same, in the order of the statements."""
    now = row.standing
    return (
        now.as_of,
        now.sentence_zh,
        now.sentence_en,
        now.value,
        now.target_value,
        now.required,
        now.projection,
        row.unit,
        row.target.base_year,
        now.base_value,
        row.period,
        row.closed,
        row.coverage,
        now.progress,
        now.elapsed,
        now.projection_low,
        now.projection_high,
        row.projected_for,
        now.year_end,
        now.year_end_low,
        now.year_end_high,
        now.plan_end,
        now.plan_end_low,
        now.plan_end_high,
        now.confidence,
        None if now.method is None else now.method.value,
        now.needed_rate,
        now.needed_rest,
        now.miss_week,
        row.lineage,
    )


async def write_contributions(connection: Connection, stale: Sequence[int], moved: Sequence[Moved]) -> None:
    """Write who moved the park beside its current standings; those of the `stale` standings are dropped."""
    sql = queries("standings")
    if stale:
        await connection.execute(sql["forget_contributions"], list(stale))
    await connection.executemany(
        sql["contribution"],
        [
            (
                one.key.scope_id,
                one.key.pack_id,
                one.key.target_id,
                firm.firm_id,
                *one.spans,
                one.unit,
                firm.value_from,
                firm.value_to,
                firm.effect,
                firm.structure,
                firm.intensity,
                firm.came,
            )
            for one in moved
            for firm in one.firms
        ],
    )


async def panels(connection: Connection, park_id: int) -> dict[str, int]:
    """Return the groups of firms whose sum a target may speak of, by code."""
    return {row["code"]: row["group_id"] for row in await connection.fetch(queries("standings")["panels"], park_id)}


async def periods(
    connection: Connection, park_id: int, indicators: Sequence[str], months_from: datetime
) -> list[dict[str, Any]]:
    """Return the years, and the months since an instant, of some indicators of a park, its panels and its firms."""
    rows = await connection.fetch(queries("standings")["periods"], park_id, list(indicators), months_from)
    return [dict(row) for row in rows]


async def weeks(
    connection: Connection,
    park_id: int,
    indicators: Sequence[str],
    until: datetime,
    park_from: datetime,
    firm_from: datetime,
    year_ago: tuple[datetime, datetime],
) -> list[tuple[str, int, str, int, int, float, float]]:
    """Return `(scope, scope_id, indicator, block, days known, numerator, denominator)` of seven-day blocks.

    Block 0 ends with `until`. The park and its panels since `park_from`, firms since `firm_from` and within `year_ago`.
    """
    sql = queries("standings")["weeks"]
    rows = await connection.fetch(sql, park_id, list(indicators), until, park_from, firm_from, *year_ago)
    return [tuple(row) for row in rows]


async def first_days(
    connection: Connection, wanted: Sequence[tuple[int, str]], grain: str
) -> dict[tuple[int, str], datetime | None]:
    """Return since when anything is known of firms' indicators."""
    if not wanted:
        return {}
    firm_ids, indicators = zip(*wanted, strict=True)
    rows = await connection.fetch(queries("standings")["first_days"], list(firm_ids), list(indicators), grain)
    return {(row["firm_id"], row["indicator_id"]): row["first"] for row in rows}


async def notify(connection: Connection, park_id: int) -> None:
    """Tell the alerts that a park's numbers moved."""
    await connection.execute(queries("standings")["notify"], str(park_id))
