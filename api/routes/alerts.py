"""What people do about an episode: hand it over, put it off, say something about it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter
from pydantic import AwareDatetime, Field

from api.access import Authenticated, Caller, LongId
from api.errors import ProblemError
from api.models import Episode, Model
from api.openapi import COMMON, errors
from api.problems import invalid, not_found
from store import browse, episode_actions
from store.pool import Connection

router = APIRouter(prefix="/v1", tags=["alerts"], responses=errors(*COMMON))
_PRINTABLE = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*$"


class Assignment(Model):
    """Who is to take care of an episode."""

    to: Annotated[str | None, Field(max_length=200, pattern=_PRINTABLE, examples=["Shift engineer"])] = None


class Snooze(Model):
    """Until when nobody above hears of an episode."""

    until: Annotated[AwareDatetime | None, Field(examples=["2026-03-02T18:00:00+08:00"])] = None


class Remark(Model):
    """What somebody says about an episode."""

    text: Annotated[str, Field(min_length=1, max_length=4000, pattern=_PRINTABLE, examples=["The valve is ordered."])]


class EpisodeComment(Model):
    """What somebody said about an episode."""

    comment_id: int = Field(description="Rises with time.", examples=[17])
    at: datetime = Field(examples=["2026-03-02T10:00:00Z"])
    by: str = Field(description="The token's label, or a name from a terminal.", examples=["Park office"])
    text: str = Field(examples=["The valve is ordered."])


class EpisodeComments(Model):
    """All that was said about an episode."""

    items: list[EpisodeComment]


@asynccontextmanager
async def _writing(caller: Caller, episode_id: int) -> AsyncIterator[Connection]:
    """Lend a connection that may write about an episode that the caller sees."""
    if not caller.grant.may_write:
        raise ProblemError("forbidden", "this token may only read; ask for one that may write")
    async with browse.writing_as(caller.pool, caller.grant.role) as connection:
        if await browse.episode(connection, episode_id) is None:
            raise not_found("episode", episode_id)
        await browse.as_ourselves(connection)
        yield connection


async def _as_it_is(connection: Connection, episode_id: int) -> Episode:
    return Episode.model_validate(await browse.episode(connection, episode_id))


@router.post(
    "/episodes/{episode_id}/assign",
    operation_id="assign_episode",
    summary="Hand an alert to somebody",
    responses=errors("not-found", "conflict", "too-large"),
)
async def assign_episode(caller: Authenticated, episode_id: LongId, given: Assignment) -> Episode:
    """Say who is to take care of an alert that is not over, or (null) that nobody is; kept under the token's label."""
    async with _writing(caller, episode_id) as connection:
        await episode_actions.assign(connection, episode_id, given.to, caller.grant.label, caller.now)
        return await _as_it_is(connection, episode_id)


@router.post(
    "/episodes/{episode_id}/snooze",
    operation_id="snooze_episode",
    summary="Put an alert off",
    responses=errors("not-found", "conflict", "too-large"),
)
async def snooze_episode(caller: Authenticated, episode_id: LongId, given: Snooze) -> Episode:
    """Put an alert that is not over off: it stays open and is escalated to nobody before; null takes it up again."""
    if given.until is not None and given.until <= caller.now:
        raise invalid("body.until", "is not ahead", "give a time to come, or null to take it up again")
    async with _writing(caller, episode_id) as connection:
        await episode_actions.snooze(connection, episode_id, given.until, caller.grant.label, caller.now)
        return await _as_it_is(connection, episode_id)


@router.post(
    "/episodes/{episode_id}/comments",
    operation_id="comment_episode",
    summary="Say something about an alert",
    responses=errors("not-found", "too-large"),
)
async def comment_episode(caller: Authenticated, episode_id: LongId, given: Remark) -> EpisodeComments:
    """Keep a remark with an alert, also with one that is over, and return all of them, oldest first."""
    async with _writing(caller, episode_id) as connection:
        await episode_actions.comment(connection, episode_id, given.text, caller.grant.label, caller.now)
        return _comments(await episode_actions.comments(connection, episode_id))


@router.get(
    "/episodes/{episode_id}/comments",
    operation_id="list_episode_comments",
    summary="List what was said about an alert",
    responses=errors("not-found"),
)
async def list_episode_comments(caller: Authenticated, episode_id: LongId) -> EpisodeComments:
    """List remarks, oldest first."""
    async with caller.reading() as connection:
        if await browse.episode(connection, episode_id) is None:
            raise not_found("episode", episode_id)
        return _comments(await episode_actions.comments(connection, episode_id))


def _comments(rows: list[episode_actions.Comment]) -> EpisodeComments:
    return EpisodeComments(items=[EpisodeComment.model_validate(row, from_attributes=True) for row in rows])
