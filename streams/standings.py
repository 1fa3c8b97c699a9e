"""A park's standing, and its firms', against the targets of the plans it answers for."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import msgspec

from park.calendar import period
from park.indicators import Scope, load_catalogue
from park.ratios import Ratio
from park.reasons import Undefined
from park.standing import Standing, threshold, undefined, unjudgeable
from park.targets import Comparator, Theme, load_pack
from store import indicators as values
from store import standings as store
from store.registry import target_packs
from store.standings import Current, StandingRow, TargetKey
from streams.errors import DefinitionError
from streams.indicators import stored_ratio

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from zoneinfo import ZoneInfo

    from park.targets import Target, TargetPack
    from store.pool import Connection
    from store.registry import FirmRow

TRAILING_DAYS: Final = 30


async def keep_packs(connection: Connection, park_id: int) -> list[TargetPack]:
    """Return the packs a park answers for, and keep their versions in the database.

    Raises:
        DefinitionError: a pack's contents changed without a new version.
    """
    packs = []
    for pack_id in await target_packs(connection, park_id):
        pack = load_pack(pack_id)
        body = msgspec.to_builtins(pack)
        sha256 = hashlib.sha256(msgspec.json.encode(pack, order="sorted")).hexdigest()
        if not await store.keep_pack(connection, pack.id, pack.version, sha256, body):
            msg = f"target pack {pack.id} version {pack.version} was changed: give it a new version"
            raise DefinitionError(msg)
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
    """Judge every target of a park for the park and its industrial firms; return how many standings changed state."""
    current = await store.current_standings(connection, park_id)
    subjects: list[tuple[Scope, int]] = [(Scope.PARK, park_id)]
    subjects += [(Scope.FIRM, firm.firm_id) for firm in firms if firm.industrial]
    fresh: list[tuple[Current | None, StandingRow]] = []
    same: list[tuple[Current | None, StandingRow]] = []
    for pack in await keep_packs(connection, park_id):
        for target in pack.targets:
            for scope, scope_id in subjects:
                if not _applies(target, scope):
                    continue
                standing = await _judge(connection, target, (scope, scope_id), tz, now)
                row = _row(pack, target, (scope, scope_id), standing)
                old = current.get(row.key)
                unchanged = (
                    old is not None
                    and (old.state, old.reason, old.pack_version) == (row.state, row.reason, row.pack_version)
                    and old.as_of.astimezone(tz).date() == now.astimezone(tz).date()
                )
                (same if unchanged else fresh).append((old, row))
    await store.refresh(connection, [(old, row) for old, row in same if old is not None], run_id)
    await store.replace(connection, park_id, fresh, run_id)
    return len(fresh)


def _applies(target: Target, scope: Scope) -> bool:
    """A firm is held against a target only if the indicator exists for firms.

    The park is held against every green target, and against duties and context where an indicator computes them.
    """
    if scope is Scope.PARK:
        return target.indicator is not None or target.theme is Theme.GREEN
    return target.indicator is not None and Scope.FIRM in load_catalogue().by_id(target.indicator).scopes


async def _judge(
    connection: Connection, target: Target, subject: tuple[Scope, int], tz: ZoneInfo, now: datetime
) -> Standing:
    reason = unjudgeable(target)
    if reason is not None or target.indicator is None:
        return undefined(target, reason or Undefined.NO_INDICATOR, now)
    if target.comparator is Comparator.CUMULATIVE_DECLINE:
        # Needs a year of values at constant prices, which nothing enters yet.
        return undefined(target, Undefined.NO_DATA, now)
    year = period("year", now, tz)
    key = (subject[0].value, subject[1], target.indicator)
    row = await store.value_at(connection, key, "year", year.start)
    if row is None:
        return undefined(target, Undefined.NO_DATA, now)
    so_far = stored_ratio({"indicator_id": target.indicator, "firm_id": subject[1]} | row)
    today = period("day", now, tz)
    first = today.start - timedelta(days=TRAILING_DAYS)
    trailing = await _trailing(connection, key, so_far, first, today.start)
    return threshold(
        target,
        so_far,
        trailing,
        trailing_days=TRAILING_DAYS,
        remaining_days=(year.end - now).total_seconds() / 86_400,
        as_of=now,
    )


async def _trailing(
    connection: Connection, key: tuple[str, int, str], like: Ratio, start: datetime, end: datetime
) -> Ratio:
    sums = await values.sums(connection, key, "day", start, end)
    reason = None if sums.defined else Undefined.NO_DATA
    return Ratio(
        indicator_id=like.indicator_id,
        subject_id=like.subject_id,
        numerator=sums.numerator,
        denominator=sums.denominator,
        divides=like.divides,
        scale=like.scale,
        unit=like.unit,
        reason=reason,
        coverage=like.coverage,
        estimated_share=like.estimated_share,
        product=like.product,
    )


def _row(pack: TargetPack, target: Target, subject: tuple[Scope, int], standing: Standing) -> StandingRow:
    scope, scope_id = subject
    known: dict[str, Any] = {
        name: getattr(standing, name)
        for name in ("as_of", "sentence_zh", "sentence_en", "value", "target_value", "required", "projection")
    }
    return StandingRow(
        key=TargetKey(scope.value, scope_id, pack.id, target.id),
        firm_id=scope_id if scope is Scope.FIRM else None,
        pack_version=pack.version,
        state=standing.state.value,
        reason=None if standing.reason is None else standing.reason.value,
        **known,
    )
