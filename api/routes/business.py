"""What firms report about their business, and the groups that numbers are rolled up over."""

from typing import Annotated

from fastapi import APIRouter, Query

from api.access import Authenticated, Caller, Id, Paged
from api.business_models import (
    BusinessEntries,
    BusinessEntry,
    BusinessInputVersion,
    BusinessOutcome,
    Group,
    Groups,
    PeriodText,
    StatusChange,
    StatusChanged,
    read_period,
)
from api.errors import ProblemError
from api.models import Page, WrongPart
from api.openapi import COMMON, errors
from api.problems import not_found
from park.business import BusinessInput, InputKind, InputName, Status, check_input, check_known
from park.errors import BusinessInputError
from store import browse, business, memberships

router = APIRouter(prefix="/v1", tags=["business"], responses=errors(*COMMON))
_SOURCE = "api"


@router.get("/business-inputs", operation_id="list_business_inputs", summary="List what firms reported")
async def list_business_inputs(
    caller: Authenticated,
    paging: Paged,
    *,
    firm_id: Annotated[Id | None, Query(description="Only this firm.")] = None,
    kind: Annotated[InputKind | None, Query(description="Only this kind.")] = None,
    period: Annotated[PeriodText | None, Query(description="Only periods that begin within this one.")] = None,
    status: Annotated[Status | None, Query(description="Only this state.")] = None,
    history: Annotated[bool, Query(description="All versions, not only the newest of each input.")] = False,
) -> Page[BusinessInputVersion]:
    """List what was reported, by number: the newest version of each input, or all."""
    within = None if period is None else read_period(period)
    wanted = business.Filter(
        firm_id=firm_id,
        kind=kind,
        first=None if within is None else within.start,
        end=None if within is None else within.end,
        status=status,
        history=history,
    )
    async with caller.reading() as connection:
        rows = await business.listed(connection, wanted, after=paging.after(0)[0], limit=paging.fetch)
    items, following = paging.cut(rows, lambda row: (row.found.input_id,))
    return Page(items=[_version(row) for row in items], next=following)


@router.post(
    "/firms/{firm_id}/business-inputs",
    operation_id="enter_business_inputs",
    summary="Report production, value and the like",
    responses=errors("not-found", "too-large"),
)
async def enter_business_inputs(caller: Authenticated, firm_id: Id, given: BusinessEntries) -> BusinessOutcome:
    """Enter inputs of one firm. Each is stored as a new version, found unchanged, or refused; none stops another.

    The same again changes nothing. Where every input is refused the answer is a problem. Indicators that rest on what
    was entered are computed again.
    """
    _may_write(caller)
    async with browse.writing_as(caller.pool, caller.grant.role) as connection:
        if await browse.firm(connection, firm_id) is None:
            raise not_found("firm", firm_id)
        await browse.as_ourselves(connection)
        firm = await business.reporting_firm(connection, firm_id)
        today = firm.today(caller.now)
        good: list[tuple[int, BusinessInput]] = []
        refused: list[WrongPart] = []
        for k, entry in enumerate(given.inputs):
            found = _entry(entry, caller.grant.label)
            try:
                check_input(found, today=today)
                check_known(found, products=firm.products, workshops=firm.workshops)
            except BusinessInputError as error:
                refused.append(_wrong(k, error))
            else:
                good.append((k, found))
        outcomes = await business.enter(connection, firm, [found for _, found in good], now=caller.now)
        for (k, _), outcome in zip(good, outcomes, strict=True):
            if outcome.error is not None:
                refused.append(_wrong(k, outcome.error))
    if len(refused) == len(given.inputs):
        first = refused[0]
        parts = [part.model_dump() for part in refused]
        raise ProblemError("invalid", f"{first.where}: {first.what}; {first.do}", errors=parts)
    new = [outcome.stored.input_id for outcome in outcomes if outcome.stored is not None]
    return BusinessOutcome(new=new, unchanged=len(given.inputs) - len(new) - len(refused), refused=refused)


@router.post(
    "/business-inputs/status",
    operation_id="set_business_input_status",
    summary="Audit or freeze versions",
    responses=errors("not-found", "too-large"),
)
async def set_business_input_status(caller: Authenticated, change: StatusChange) -> StatusChanged:
    """Mark versions as audited or frozen, under the token's label; only for a token of a whole park.

    Once a version is audited, only audited ones count, and a correction waits for its own audit. What replaces a frozen
    version must give a reason. Asking twice changes nothing the second time.
    """
    _may_write(caller)
    async with browse.writing_as(caller.pool, caller.grant.role) as connection:
        parks = await business.parks_of(connection, change.input_ids)
        unseen = sorted(set(change.input_ids) - parks.keys())
        if unseen:
            raise not_found("business-input", unseen[0])
        for park_id in set(parks.values()):
            if not await business.sees_whole_park(connection, park_id):
                raise ProblemError("forbidden", "a firm does not audit itself; use a token of the whole park")
        await browse.as_ourselves(connection)
        wanted = business.Filter(ids=tuple(change.input_ids), history=True)
        rows = await business.listed(connection, wanted)
        changed = await business.set_status(
            connection,
            rows,
            Status(change.status),
            author=caller.grant.label,
            reason=change.reason.strip(),
            now=caller.now,
        )
    return StatusChanged(changed=changed)


@router.get(
    "/parks/{park_id}/groups",
    operation_id="list_groups",
    summary="List zones, industries, chains and panels",
    responses=errors("not-found"),
)
async def list_groups(caller: Authenticated, park_id: Id) -> Groups:
    """List the groups of a park; their indicator values have the group's kind as scope and its id as scope_id."""
    async with caller.reading() as connection:
        if await browse.park(connection, park_id) is None:
            raise not_found("park", park_id)
        rows = await memberships.groups(connection, park_id)
    items = [
        Group.model_validate(
            {"kind": g.kind.value, "group_id": g.group_id, "code": g.code, "name_zh": g.name_zh, "name_en": g.name_en}
        )
        for g in rows
    ]
    return Groups(items=items)


def _may_write(caller: Caller) -> None:
    if not caller.grant.may_write:
        raise ProblemError("forbidden", "this token may only read; ask for one that may write")


def _entry(entry: BusinessEntry, author: str) -> BusinessInput:
    name = InputName(
        entry.kind, read_period(entry.period), entry.key, entry.price_basis, entry.price_year, entry.workshop
    )
    return BusinessInput(
        name, entry.amount, entry.unit, entry.finality, author=author, source=_SOURCE, reason=entry.reason
    )


def _wrong(k: int, error: BusinessInputError) -> WrongPart:
    what, _, advice = error.problem.partition("; ")
    return WrongPart(where=f"body.inputs.{k}.{error.field}", what=what, do=advice or "see /docs for what is expected")


def _version(row: business.InputRow) -> BusinessInputVersion:
    found, name = row.found, row.found.name
    return BusinessInputVersion.model_validate(
        {
            "input_id": found.input_id,
            "park_id": row.park_id,
            "firm_id": row.firm_id,
            "kind": name.kind,
            "period": str(name.period),
            "key": name.key,
            "amount": found.amount,
            "unit": found.unit,
            "price_basis": name.price_basis,
            "price_year": name.price_year,
            "workshop": name.workshop,
            "finality": found.finality,
            "status": found.status,
            "version": found.version,
            "newest": row.newest,
            "author": found.author,
            "source": found.source,
            "reason": found.reason,
            "entered": found.entered,
        }
    )
