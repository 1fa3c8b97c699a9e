"""Readings, consumption and indicators."""

from datetime import timedelta
from typing import Annotated, Final

from fastapi import APIRouter, Query
from fastapi import Path as PathParameter

from api.access import Authenticated, From, Id, Name, PagedMany, To, check_range
from api.errors import ProblemError
from api.models import (
    Consumption,
    IndicatorDefinition,
    IndicatorValue,
    LedgerGrain,
    Page,
    Reading,
    ScopeName,
)
from api.openapi import COMMON, errors
from api.problems import invalid, not_found
from park.indicators import Catalogue, Indicator, load_catalogue
from store import browse

router = APIRouter(prefix="/v1", tags=["numbers"], responses=errors(*COMMON))

READINGS_DAYS: Final = 31
RANGE_DAYS: Final[dict[str, int]] = {"bucket": 31, "hour": 366, "day": 3_660, "month": 36_600, "year": 36_600}
_TINY: Final = timedelta(microseconds=1)

Grain = Annotated[LedgerGrain, Query(description="Length of a period; `bucket` is 15 minutes.")]
IndicatorId = Annotated[Name, PathParameter(examples=["water_reuse_rate"])]


@router.get("/readings", operation_id="list_readings", summary="Read raw readings", responses=errors("not-found"))
async def list_readings(
    caller: Authenticated,
    paging: PagedMany,
    point_id: Annotated[Id, Query(description="The point.")],
    start: From,
    to: To,
) -> Page[Reading]:
    """Read the raw readings of one point by time, at most 31 days at once."""
    check_range(start, to, days=READINGS_DAYS)
    async with caller.reading() as connection:
        if await browse.invisible_points(connection, [point_id]):
            raise not_found("point", point_id)
        (after,) = paging.after(start - _TINY)
        rows = await browse.readings(connection, point_id, start, to, after=after, limit=paging.fetch)
    items, following = paging.cut(rows, lambda row: (row.t,))
    return Page(items=[Reading.model_validate(row) for row in items], next=following)


@router.get("/consumption", operation_id="list_consumption", summary="Read consumption", responses=errors("not-found"))
async def list_consumption(
    caller: Authenticated,
    paging: PagedMany,
    point_id: Annotated[list[Id], Query(min_length=1, max_length=100, description="The points; repeat for several.")],
    grain: Grain,
    start: From,
    to: To,
) -> Page[Consumption]:
    """Read what points moved in the periods that start in the range, by period and point.

    A period without a row was never computed: unknown, which is not zero. Longest ranges: 31 days of buckets,
    366 days of hours, ten years of days, a hundred years of months and years.
    """
    check_range(start, to, days=RANGE_DAYS[grain])
    async with caller.reading() as connection:
        unseen = await browse.invisible_points(connection, point_id)
        if unseen:
            raise not_found("point", unseen[0])
        rows = await browse.consumption(
            connection,
            point_id,
            None if grain == "bucket" else grain,
            start,
            to,
            after=paging.after(start - _TINY, 0),
            limit=paging.fetch,
            now=caller.now,
        )
    items, following = paging.cut(rows, lambda row: (row.period, row.point_id))
    return Page(items=[Consumption.model_validate(row) for row in items], next=following)


@router.get("/indicators", operation_id="list_indicators", summary="List the catalogue of indicators")
async def list_indicators(_caller: Authenticated) -> Page[IndicatorDefinition]:
    """List the indicators that this program computes, with formula and source."""
    items = [_definition(indicator) for indicator in _catalogue().indicators]
    return Page(items=items, next=None)


@router.get(
    "/indicators/{indicator_id}/values",
    operation_id="list_indicator_values",
    summary="Read values of an indicator",
    responses=errors("not-found"),
)
async def list_indicator_values(
    caller: Authenticated,
    paging: PagedMany,
    indicator_id: IndicatorId,
    grain: Grain,
    start: From,
    to: To,
    scope: Annotated[ScopeName | None, Query(description="Only subjects of this sort.")] = None,
    scope_id: Annotated[Id | None, Query(description="Only the subject with this id; needs scope.")] = None,
) -> Page[IndicatorValue]:
    """Read values by period and subject, each with numerator, denominator, coverage, reason, revision and lineage."""
    _check_indicator(indicator_id)
    check_range(start, to, days=RANGE_DAYS[grain])
    if scope_id is not None and scope is None:
        raise invalid("query.scope", "is missing", "say what sort of subject scope_id names")
    async with caller.reading() as connection:
        rows = await browse.indicator_values(
            connection,
            indicator_id,
            grain,
            start,
            to,
            scope=scope,
            scope_id=scope_id,
            after=paging.after(start - _TINY, "", 0),
            limit=paging.fetch,
        )
    items, following = paging.cut(rows, lambda row: (row.period, row.scope, row.scope_id))
    return Page(items=[IndicatorValue.model_validate(row) for row in items], next=following)


@router.get(
    "/indicators/{indicator_id}/revisions",
    operation_id="list_indicator_revisions",
    summary="Read what was published before",
    responses=errors("not-found"),
)
async def list_indicator_revisions(
    caller: Authenticated,
    paging: PagedMany,
    indicator_id: IndicatorId,
    grain: Grain,
    start: From,
    to: To,
    scope: Annotated[ScopeName, Query(description="What sort of subject.")],
    scope_id: Annotated[Id, Query(description="Its id.")],
) -> Page[IndicatorValue]:
    """Read earlier values of one subject, by period and revision; the one that holds is not among them."""
    _check_indicator(indicator_id)
    check_range(start, to, days=RANGE_DAYS[grain])
    async with caller.reading() as connection:
        rows = await browse.indicator_revisions(
            connection,
            indicator_id,
            grain,
            start,
            to,
            scope=scope,
            scope_id=scope_id,
            after=paging.after(start - _TINY, -1),
            limit=paging.fetch,
        )
    items, following = paging.cut(rows, lambda row: (row.period, row.revision))
    return Page(items=[IndicatorValue.model_validate(row) for row in items], next=following)


def _catalogue() -> Catalogue:
    return load_catalogue()


def _check_indicator(indicator_id: str) -> None:
    known = [indicator.id for indicator in _catalogue().indicators]
    if indicator_id not in known:
        raise ProblemError("not-found", f"no indicator {indicator_id!r}; known are {', '.join(known)}")


def _definition(indicator: Indicator) -> IndicatorDefinition:
    return IndicatorDefinition.model_validate(
        {
            "id": indicator.id,
            "name_zh": indicator.name_zh,
            "name_en": indicator.name_en,
            "formula": indicator.formula,
            "unit": indicator.unit,
            "better": indicator.better.value,
            "grains": list(indicator.grains),
            "scopes": [scope.value for scope in indicator.scopes],
            "source": indicator.source,
            "notes": indicator.notes,
        }
    )
