"""Commands on parks and tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cli.errors import MissingError
from park.definition import load_definition
from park.targets import load_pack, odd
from store import registry
from store.migrations import check_schema
from store.pool import connected
from store.tenants import add_tenant, add_token

if TYPE_CHECKING:
    from pathlib import Path

    from park.definition import ParkDefinition


def read_definition(file: Path) -> ParkDefinition:
    """Read a park document, or raise `MissingError` or `DataFileError`."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except OSError as error:
        msg = f"{file}: {error.strerror}"
        raise MissingError(msg) from None
    return load_definition(text, file.name)


async def apply_file(database_url: str, file: Path) -> str:
    """Apply a park document and return what it did, with what is odd about its target packs."""
    definition = read_definition(file)
    packs = [load_pack(pack_id) for pack_id in definition.target_packs]
    async with connected(database_url) as connection:
        await check_schema(connection)
        done = await registry.apply_definition(connection, definition)
    lines = [f"park {definition.code}: {done.firms} firms, {done.points} points"]
    if done.recomputed_points:
        lines.append(f"{done.recomputed_points} points changed their meaning or meters and are computed again")
    lines += [f"odd: {finding}" for pack in packs for finding in odd(pack)]
    return "\n".join(lines)


async def list_parks(database_url: str) -> list[dict[str, Any]]:
    """Return parks with their firms and points."""
    async with connected(database_url) as connection:
        await check_schema(connection)
        found = []
        for park in await registry.parks(connection):
            firms = []
            for firm in await registry.firms(connection, park.park_id):
                points = [
                    {"code": m.code, "carrier": m.carrier, "unit": m.unit, "name_zh": m.name_zh, "name_en": m.name_en}
                    for m in await registry.point_names(connection, firm.firm_id)
                ]
                names = {"code": firm.code, "name_zh": firm.name_zh, "name_en": firm.name_en}
                firms.append(names | {"industry": firm.industry, "points": points})
            names = {"code": park.code, "name_zh": park.name_zh, "name_en": park.name_en}
            found.append(names | {"time_zone": park.time_zone, "firms": firms})
    return found


async def make_token(database_url: str, park: str, firm: str | None, label: str, *, may_write: bool) -> str:
    """Make the tenant's role if need be, and a token that acts as it."""
    async with connected(database_url) as connection:
        await check_schema(connection)
        role = await add_tenant(connection, park, firm)
        return await add_token(connection, role, label, may_write=may_write)
