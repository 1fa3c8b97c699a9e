"""A park's standing, and its firms', against the targets of the plans it answers for."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from park.errors import DataFileError
from park.following import with_setting
from park.indicators import Scope, load_catalogue
from park.targets import TargetPack, Theme, load_pack, pack_ids, read_pack
from store import standings as store
from store.errors import ConflictingPackError
from store.registry import target_packs
from store.standings import Current, Moved, StandingRow, TargetKey
from streams.errors import DefinitionError
from streams.evidence import gather
from streams.judging import Judged, judge
from streams.movers import Movers, digest, movers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from datetime import datetime
    from zoneinfo import ZoneInfo

    from park.targets import Target
    from store.pool import Connection
    from store.registry import FirmRow
    from store.standings import Finished, Override
    from streams.evidence import Evidence

FRESH: Final = timedelta(minutes=5)
"""A standing that says and holds the same is written again after so long, for its time and projection."""


async def followed_packs(connection: Connection, park_id: int) -> list[TargetPack]:
    """Return the packs a park answers for, its own among them, and keep their versions in the database.

    Raises:
        DefinitionError: a pack is not there, or its contents changed without a new version.
    """
    packs = []
    for pack_id in await target_packs(connection, park_id):
        try:
            if pack_id in pack_ids():
                pack = load_pack(pack_id)
                await store.keep(connection, pack)
            else:
                body = await store.own_pack(connection, park_id, pack_id)
                if body is None:
                    msg = f"target pack {pack_id} is neither carried by the package nor kept: apply the park document"
                    raise DefinitionError(msg)
                pack = read_pack(body, f"target pack {pack_id}")
        except (ConflictingPackError, DataFileError) as error:
            raise DefinitionError(str(error)) from None
        packs.append(pack)
    return packs


async def judge_park(
    connection: Connection,
    park_id: int,
    firms: Sequence[FirmRow],
    tz: ZoneInfo,
    *,
    now: datetime,
    run_id: int,
) -> int:
    """Judge every target of a park for the park and its industrial firms; return how many standings are new."""
    packs = await followed_packs(connection, park_id)
    said = await store.overrides(connection, park_id)
    subjects = [(Scope.PARK, park_id)] + [(Scope.FIRM, firm.firm_id) for firm in firms if firm.industrial]
    named = {target.indicator for pack in packs for target in pack.targets if target.indicator is not None}
    evidence = await gather(connection, park_id, named, tz, now=now)
    who = await movers(connection, firms, named, evidence)
    current = await store.current_standings(connection, park_id)
    fresh: list[tuple[Current | None, StandingRow]] = []
    same: list[tuple[Current, StandingRow]] = []

    def rows(of: Evidence) -> Iterator[StandingRow]:
        for pack in packs:
            for plain in pack.targets:
                override = said.get((pack.id, plain.id))
                target = _as_set(plain, override)
                for scope, scope_id in subjects:
                    if _applies(target, scope):
                        judged = judge(target, (scope.value, scope_id), of)
                        yield _row(pack, judged, (scope, scope_id), override, who)

    gone = dict(current)
    for row in rows(evidence):
        gone.pop(row.key, None)
        old = current.get(row.key)
        if old is None or _says_something_new(old, row, tz):
            fresh.append((old, row))
        elif _is_due(old, row):
            same.append((old, row))
    await store.refresh(connection, same, run_id)
    await store.replace(connection, park_id, fresh, run_id)
    # A target that its plan's new version dropped, a firm that is no longer held against it.
    await store.retire(connection, [old.standing_id for old in gone.values()], run_id)
    await _write_movers(connection, fresh, same, who)
    await _revise_last_year(connection, park_id, evidence, rows, run_id)
    return len(fresh)


async def _revise_last_year(
    connection: Connection,
    park_id: int,
    evidence: Evidence,
    rows: Callable[[Evidence], Iterable[StandingRow]],
    run_id: int,
) -> None:
    """Keep what the finished year comes to: once when it has ended, and again whenever late data change it."""
    last = evidence.year - 1
    if not any(last in years for years in evidence.years.values()):
        return
    year = replace(evidence, finished=last)
    kept = await store.finished_standings(connection, park_id, year.period.start)
    # The park's sums of a year are written anew in this run if any firm's have changed.
    touched = {years[last]["run_id"] for years in evidence.years.values() if last in years}
    if kept and run_id not in touched:
        return
    revised = []
    for row in rows(year):
        old = kept.get(row.key)
        if row.standing.value is not None and (old is None or _is_revision(old, row)):
            revised.append((old, row))
    await store.write_finished(connection, park_id, revised, run_id)


def _is_revision(old: Finished, row: StandingRow) -> bool:
    reason = None if row.standing.reason is None else row.standing.reason.value
    return (old.state, old.reason, old.pack_version, old.override_id) != (
        row.standing.state.value,
        reason,
        row.pack_version,
        row.override_id,
    ) or not _close(old.value, row.standing.value)


async def _write_movers(
    connection: Connection,
    fresh: Sequence[tuple[Current | None, StandingRow]],
    same: Sequence[tuple[Current, StandingRow]],
    who: Movers,
) -> None:
    moved: list[Moved] = []
    stale: list[int] = []
    for _, row in fresh:
        moved += _moved(row, who)
    for old, row in same:
        if row.key.scope == Scope.PARK and old.moved != digest(who.of(row.target.indicator)):
            stale.append(old.standing_id)
            moved += _moved(row, who)
    await store.write_contributions(connection, stale, moved)


def _moved(row: StandingRow, who: Movers) -> list[Moved]:
    found = who.of(row.target.indicator) if row.key.scope == Scope.PARK else None
    return [] if found is None else [Moved(row.key, found[1], row.unit, found[0].contributions)]


def _as_set(target: Target, override: Override | None) -> Target:
    if override is None:
        return target
    return with_setting(target, value=override.value, base_year=override.base_year, base_value=override.base_value)


def _applies(target: Target, scope: Scope) -> bool:
    """Tell whether a subject is held against a target.

    The park is, against every green target, and against duties and context that an indicator computes; a firm, against
    targets with a number whose indicator exists for firms.
    """
    if scope is Scope.PARK:
        return target.indicator is not None or target.theme is Theme.GREEN
    if target.indicator is None or target.value is None:
        return False
    return Scope.FIRM in load_catalogue().by_id(target.indicator).scopes


def _row(
    pack: TargetPack, judged: Judged, subject: tuple[Scope, int], override: Override | None, who: Movers
) -> StandingRow:
    scope, scope_id = subject
    lineage = judged.lineage
    if override is not None:
        lineage = lineage | {"override": {"id": override.override_id, "source": override.source}}
    if scope is Scope.PARK:
        found = who.of(judged.target.indicator)
        if found is not None:
            told = {"moved": digest(found), "moved_unknown": list(found[0].unknown)}
            lineage = lineage | told | {"moved_by": found[0].value_to - found[0].value_from}
    return StandingRow(
        key=TargetKey(scope.value, scope_id, pack.id, judged.target.id),
        firm_id=scope_id if scope is Scope.FIRM else None,
        pack_version=pack.version,
        target=judged.target,
        standing=judged.standing,
        unit=judged.unit,
        override_id=None if override is None else override.override_id,
        period=judged.period,
        closed=judged.closed,
        coverage=judged.coverage,
        projected_for=judged.projected_for,
        lineage=lineage,
    )


def _says_something_new(old: Current, row: StandingRow, tz: ZoneInfo) -> bool:
    new = row.standing
    reason = None if new.reason is None else new.reason.value
    return (old.state, old.reason, old.pack_version, old.override_id) != (
        new.state.value,
        reason,
        row.pack_version,
        row.override_id,
    ) or old.as_of.astimezone(tz).date() != new.as_of.astimezone(tz).date()


def _is_due(old: Current, row: StandingRow) -> bool:
    return not _close(old.value, row.standing.value) or row.standing.as_of - old.as_of >= FRESH


def _close(a: float | None, b: float | None) -> bool:
    if a is None or b is None:
        return a is b
    return math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-12)
