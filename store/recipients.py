"""Who is told, of what, and when: recipients, their areas of duty, quiet hours and limits, and channels that fail."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from store.errors import UnknownNameError
from store.queries import queries

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date, datetime, time

    from store.pool import Connection


@dataclass(frozen=True, slots=True)
class RecipientRow:
    """Somebody who is told; `firm_id` None: a manager of the whole park. The address may hold a secret."""

    recipient_id: int
    park_id: int
    firm_id: int | None
    name: str
    channel: str
    address: str = field(repr=False)
    locale: str
    min_severity: str
    on_call_only: bool = False


@dataclass(frozen=True, slots=True)
class NamedRecipient:
    """Somebody who is told, with the codes of park and firm. The address may hold a secret.

    Attributes:
        quiet_from, quiet_to: local times of the park between which only `quiet_min_severity` and worse is sent.
        hourly_limit: so many messages an hour; what is more comes as one summary.
    """

    recipient_id: int
    park: str
    firm: str | None
    name: str
    channel: str
    address: str = field(repr=False)
    locale: str
    min_severity: str
    on_call_only: bool
    quiet_from: time | None
    quiet_to: time | None
    quiet_min_severity: str
    hourly_limit: int


@dataclass(frozen=True, slots=True)
class AreaRow:
    """What a recipient is there for; all that is given must fit."""

    duty_area_id: int
    recipient_id: int
    carrier: str | None
    topic: str | None
    zone_id: int | None
    firm_id: int | None
    zone: str | None
    firm: str | None


@dataclass(frozen=True, slots=True)
class Failing:
    """A recipient whose channel does not take messages. `refused`: it will not mend by itself."""

    recipient_id: int
    park: str
    name: str
    channel: str
    since: datetime
    attempts: int
    refused: bool
    last_error: str
    told: datetime | None


@dataclass(frozen=True, slots=True)
class UntoldFailure:
    """A failing channel that nobody has been told of."""

    recipient_id: int
    park_id: int
    time_zone: str
    name: str
    channel: str
    since: datetime
    attempts: int
    last_error: str


async def recipients(connection: Connection, park_id: int) -> list[RecipientRow]:
    """Return everybody who is told anything of a park."""
    return [RecipientRow(**dict(row)) for row in await connection.fetch(queries("recipients")["recipients"], park_id)]


async def recipient(connection: Connection, recipient_id: int) -> NamedRecipient:
    """Return one recipient; raises `UnknownNameError` if there is none, or no more."""
    row = await connection.fetchrow(queries("recipients")["recipient"], recipient_id)
    if row is None:
        raise UnknownNameError("recipient", str(recipient_id))
    return NamedRecipient(**dict(row))


async def list_recipients(connection: Connection, park: str | None = None) -> list[NamedRecipient]:
    """Return who is told anything of a park (by code) or of all."""
    rows = await connection.fetch(queries("recipients")["recipients_listed"], park)
    return [NamedRecipient(**dict(row)) for row in rows]


async def add_recipient(
    connection: Connection,
    *,
    park_id: int,
    firm_id: int | None,
    name: str,
    channel: str,
    address: str,
    locale: str = "zh-CN",
    min_severity: str = "info",
) -> int:
    """Add somebody, or change name, language and severity of who has this address already; return the id."""
    recipient_id: int = await connection.fetchval(
        queries("recipients")["add_recipient"], park_id, firm_id, name, channel, address, locale, min_severity
    )
    return recipient_id


async def set_times(
    connection: Connection,
    recipient_id: int,
    *,
    on_call_only: bool | None = None,
    quiet: tuple[time | None, time | None] | None = None,
    quiet_min_severity: str | None = None,
    hourly_limit: int | None = None,
) -> None:
    """Change when somebody is told; None leaves as it is, `quiet=(None, None)` ends the quiet hours.

    Raises:
        UnknownNameError: no such recipient.
    """
    starts, ends = quiet or (None, None)
    done = await connection.fetchval(
        queries("recipients")["set_times"],
        recipient_id,
        on_call_only,
        quiet is not None,
        starts,
        ends,
        quiet_min_severity,
        hourly_limit,
    )
    if done is None:
        raise UnknownNameError("recipient", str(recipient_id))


async def reseal(connection: Connection, recipient_id: int, old: str, new: str) -> None:
    """Replace an address by another spelling of it, unless it was changed meanwhile."""
    await connection.execute(queries("recipients")["reseal"], recipient_id, old, new)


async def remove_recipient(connection: Connection, recipient_id: int) -> int:
    """Tell somebody nothing more and forget address and duties; return how many waiting messages that gave up.

    What was sent stays on record.

    Raises:
        UnknownNameError: no such recipient, or removed before.
    """
    sql = queries("recipients")
    async with connection.transaction():
        if await connection.fetchval(sql["remove_recipient"], recipient_id) is None:
            raise UnknownNameError("recipient", str(recipient_id))
        await connection.execute(sql["forget_duties"], recipient_id)
        return len(await connection.fetch(sql["expire_of_recipient"], recipient_id))


async def areas(connection: Connection, park_id: int) -> list[AreaRow]:
    """Return the areas of duty of everybody in a park."""
    return [AreaRow(**dict(row)) for row in await connection.fetch(queries("recipients")["areas"], park_id)]


async def add_area(
    connection: Connection,
    recipient_id: int,
    *,
    carrier: str | None = None,
    topic: str | None = None,
    zone: str | None = None,
    firm: str | None = None,
) -> None:
    """Give somebody an area of duty; zone and firm by code.

    Raises:
        UnknownNameError: no such recipient, or no such zone or firm in its park.
    """
    found = await connection.fetchval(queries("recipients")["add_area"], recipient_id, carrier, topic, zone, firm)
    if found is None:
        known = await recipient(connection, recipient_id)
        kind, name = ("zone", zone) if zone is not None and firm is None else ("firm", firm)
        raise UnknownNameError(kind, f"{known.park}/{name}")


async def clear_areas(connection: Connection, recipient_id: int) -> int:
    """Take all areas away, so that it is everything again; return how many there were."""
    return len(await connection.fetch(queries("recipients")["clear_areas"], recipient_id))


async def whereabouts(
    connection: Connection, scope: str, scope_id: int, firm_id: int | None, day: date
) -> tuple[str | None, list[int]]:
    """Return the carrier of a point (None for any other subject), and the zones that a firm is in on a day."""
    row = await connection.fetchrow(queries("recipients")["whereabouts"], scope, scope_id, firm_id, day)
    return row["carrier"], list(row["zones"])


async def failing(connection: Connection, park: str | None = None) -> list[Failing]:
    """Return the channels that do not take messages, of a park (by code) or of all."""
    return [Failing(**dict(row)) for row in await connection.fetch(queries("recipients")["failing"], park)]


async def note_failure(connection: Connection, recipient_id: int, at: datetime, error: str, *, refused: bool) -> None:
    """Note that a channel did not take a message; the first one of a row begins the failure."""
    await connection.execute(queries("recipients")["failed"], recipient_id, at, refused, error)


async def note_success(connection: Connection, recipient_id: int) -> datetime | None:
    """Note that a channel works; return since when it had failed if others had been told of that."""
    row = await connection.fetchrow(queries("recipients")["works"], recipient_id)
    return None if row is None or row["told"] is None else row["since"]


async def untold_failures(connection: Connection, since_before: datetime) -> list[UntoldFailure]:
    """Return, and lock, the failures that began by then or will not mend, and that nobody was told of."""
    rows = await connection.fetch(queries("recipients")["untold_failures"], since_before)
    return [UntoldFailure(**dict(row)) for row in rows]


async def mark_failure_told(connection: Connection, recipient_id: int, at: datetime) -> None:
    """Note that others were told of a failing channel."""
    await connection.execute(queries("recipients")["failure_told"], recipient_id, at)


async def told_of_failure(connection: Connection, key_prefix: str) -> Sequence[tuple[int, str]]:
    """Return who was told of a failing channel, and in which language, by the beginning of the messages' key."""
    rows = await connection.fetch(queries("recipients")["told_of_failure"], key_prefix)
    return [(row["recipient_id"], row["locale"]) for row in rows]


async def parks_without_managers(connection: Connection) -> list[str]:
    """Return the codes of parks of which nobody is told everything."""
    return [row["code"] for row in await connection.fetch(queries("recipients")["parks_without_managers"])]
