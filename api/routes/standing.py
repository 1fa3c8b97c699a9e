"""Standings against targets, and episodes."""

from typing import Annotated

from fastapi import APIRouter, Body, Query

from api.access import Authenticated, Id, LongId, Name, Paged
from api.errors import ProblemError
from api.models import (
    Acknowledgement,
    Episode,
    EpisodeState,
    Page,
    ScopeName,
    Severity,
    Standing,
    StandingState,
    Transition,
)
from api.openapi import COMMON, errors
from api.paging import LAST
from api.problems import invalid, not_found
from store import browse

router = APIRouter(prefix="/v1", responses=errors(*COMMON))


@router.get("/standings", operation_id="list_standings", tags=["targets"], summary="List standings")
async def list_standings(
    caller: Authenticated,
    paging: Paged,
    *,
    history: Annotated[bool, Query(description="Also those that no longer hold.")] = False,
    scope: Annotated[ScopeName | None, Query(description="Only subjects of this sort.")] = None,
    scope_id: Annotated[Id | None, Query(description="Only the subject with this id; needs scope.")] = None,
    pack_id: Annotated[Name | None, Query(description="Only targets of this pack.")] = None,
    state: Annotated[StandingState | None, Query(description="Only this state.")] = None,
) -> Page[Standing]:
    """List how indicators stand against the targets of the plans, by id; `undefined` comes with its reason."""
    if scope_id is not None and scope is None:
        raise invalid("query.scope", "is missing", "say what sort of subject scope_id names")
    async with caller.reading() as connection:
        rows = await browse.standings(
            connection,
            history=history,
            scope=scope,
            scope_id=scope_id,
            pack_id=pack_id,
            state=state,
            after=paging.after(0)[0],
            limit=paging.fetch,
        )
    items, after = paging.cut(rows, lambda row: (row.standing_id,))
    return Page(items=[Standing.model_validate(row) for row in items], next=after)


@router.get("/episodes", operation_id="list_episodes", tags=["alerts"], summary="List episodes")
async def list_episodes(
    caller: Authenticated,
    paging: Paged,
    state: Annotated[EpisodeState | None, Query(description="Only this state.")] = None,
    severity: Annotated[Severity | None, Query(description="Only this severity.")] = None,
    firm_id: Annotated[Id | None, Query(description="Only this firm.")] = None,
) -> Page[Episode]:
    """List alerts, the newest first."""
    async with caller.reading() as connection:
        rows = await browse.episodes(
            connection,
            state=state,
            severity=severity,
            firm_id=firm_id,
            before=paging.after(LAST, 2**63 - 1),
            limit=paging.fetch,
        )
    items, after = paging.cut(rows, lambda row: (row.began, row.episode_id))
    return Page(items=[Episode.model_validate(row) for row in items], next=after)


@router.get(
    "/episodes/{episode_id}",
    operation_id="get_episode",
    tags=["alerts"],
    summary="Read one episode",
    responses=errors("not-found"),
)
async def get_episode(caller: Authenticated, episode_id: LongId) -> Episode:
    """Read one alert."""
    async with caller.reading() as connection:
        row = await browse.episode(connection, episode_id)
    if row is None:
        raise not_found("episode", episode_id)
    return Episode.model_validate(row)


@router.get(
    "/episodes/{episode_id}/transitions",
    operation_id="list_transitions",
    tags=["alerts"],
    summary="List the steps of an episode",
    responses=errors("not-found"),
)
async def list_transitions(caller: Authenticated, paging: Paged, episode_id: LongId) -> Page[Transition]:
    """List what happened to an alert, in order."""
    async with caller.reading() as connection:
        if await browse.episode(connection, episode_id) is None:
            raise not_found("episode", episode_id)
        rows = await browse.transitions(connection, episode_id, after=paging.after(0)[0], limit=paging.fetch)
    items, after = paging.cut(rows, lambda row: (row.transition_id,))
    return Page(items=[Transition.model_validate(row) for row in items], next=after)


@router.post(
    "/episodes/{episode_id}/acknowledge",
    operation_id="acknowledge_episode",
    tags=["alerts"],
    summary="Take an alert on",
    responses=errors("not-found", "conflict", "too-large"),
)
async def acknowledge_episode(
    caller: Authenticated, episode_id: LongId, said: Annotated[Acknowledgement | None, Body()] = None
) -> Episode:
    """Acknowledge an open alert under the token's label. Asking twice changes nothing the second time."""
    if not caller.grant.may_write:
        raise ProblemError("forbidden", "this token may only read; ask for one that may write")
    note = said.note if said else None
    row = await browse.acknowledge(
        caller.pool, caller.grant.role, episode_id, by=caller.grant.label, note=note, at=caller.now
    )
    if row is None:
        raise not_found("episode", episode_id)
    return Episode.model_validate(row)
