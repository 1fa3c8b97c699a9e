"""Parks, firms and points."""

from typing import Annotated

from fastapi import APIRouter, Query

from api.access import Authenticated, Id, Name, Paged
from api.models import EdgeStatus, Firm, Page, Park, Point
from api.openapi import COMMON, errors
from api.problems import not_found
from store import browse

router = APIRouter(prefix="/v1", responses=errors(*COMMON))


@router.get("/parks", operation_id="list_parks", tags=["registry"], summary="List parks")
async def list_parks(caller: Authenticated, paging: Paged) -> Page[Park]:
    """List the parks that this token belongs to, by id."""
    async with caller.reading() as connection:
        rows = await browse.parks(connection, after=paging.after(0)[0], limit=paging.fetch)
    items, after = paging.cut(rows, lambda row: (row.park_id,))
    return Page(items=[Park.model_validate(row) for row in items], next=after)


@router.get(
    "/parks/{park_id}",
    operation_id="get_park",
    tags=["registry"],
    summary="Read one park",
    responses=errors("not-found"),
)
async def get_park(caller: Authenticated, park_id: Id) -> Park:
    """Read one park."""
    async with caller.reading() as connection:
        row = await browse.park(connection, park_id)
    if row is None:
        raise not_found("park", park_id)
    return Park.model_validate(row)


@router.get("/firms", operation_id="list_firms", tags=["registry"], summary="List firms")
async def list_firms(
    caller: Authenticated, paging: Paged, park_id: Annotated[Id | None, Query(description="Only this park.")] = None
) -> Page[Firm]:
    """List firms by id. A firm's token sees the firm itself, a park's token all firms of the park."""
    async with caller.reading() as connection:
        rows = await browse.firms(connection, park_id, after=paging.after(0)[0], limit=paging.fetch)
    items, after = paging.cut(rows, lambda row: (row.firm_id,))
    return Page(items=[Firm.model_validate(row) for row in items], next=after)


@router.get(
    "/firms/{firm_id}",
    operation_id="get_firm",
    tags=["registry"],
    summary="Read one firm",
    responses=errors("not-found"),
)
async def get_firm(caller: Authenticated, firm_id: Id) -> Firm:
    """Read one firm."""
    async with caller.reading() as connection:
        row = await browse.firm(connection, firm_id)
    if row is None:
        raise not_found("firm", firm_id)
    return Firm.model_validate(row)


@router.get("/points", operation_id="list_points", tags=["registry"], summary="List points")
async def list_points(
    caller: Authenticated,
    paging: Paged,
    firm_id: Annotated[Id | None, Query(description="Only this firm.")] = None,
    carrier: Annotated[Name | None, Query(description="Only this carrier.", examples=["electricity"])] = None,
) -> Page[Point]:
    """List measured series by id, each with its newest reading."""
    async with caller.reading() as connection:
        rows = await browse.points(connection, firm_id, carrier, after=paging.after(0)[0], limit=paging.fetch)
    items, after = paging.cut(rows, lambda row: (row.point_id,))
    return Page(items=[Point.model_validate(row) for row in items], next=after)


@router.get(
    "/points/{point_id}",
    operation_id="get_point",
    tags=["registry"],
    summary="Read one point",
    responses=errors("not-found"),
)
async def get_point(caller: Authenticated, point_id: Id) -> Point:
    """Read one measured series with its newest reading."""
    async with caller.reading() as connection:
        row = await browse.point(connection, point_id)
    if row is None:
        raise not_found("point", point_id)
    return Point.model_validate(row)


@router.get("/edges/status", operation_id="list_edge_status", tags=["edges"], summary="List gateways")
async def list_edge_status(
    caller: Authenticated,
    paging: Paged,
    firm_id: Annotated[Id | None, Query(description="Only this firm.")] = None,
    online: Annotated[bool | None, Query(description="Only those online, or offline.")] = None,
) -> Page[EdgeStatus]:
    """List gateways by id with what they last said of themselves, also those that never reported."""
    async with caller.reading() as connection:
        rows = await browse.edges(connection, firm_id, online=online, after=paging.after(0)[0], limit=paging.fetch)
    items, after = paging.cut(rows, lambda row: (row.edge_id,))
    return Page(items=[EdgeStatus.model_validate(row) for row in items], next=after)
