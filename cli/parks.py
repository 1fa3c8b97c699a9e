"""Commands on parks and tokens."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from cli.errors import MissingError
from park.definition import load_definition
from park.oddities import odd
from park.targets import load_pack
from store import registry
from store.migrations import check_schema
from store.pool import connected

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


@dataclass(frozen=True, slots=True)
class Applied:
    """What applying a park document did.

    Attributes:
        recomputed_points: points whose meaning or meters changed; they are computed again.
        odd: what is odd about the target packs.
    """

    park: str
    firms: int
    points: int
    recomputed_points: int
    odd: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        return asdict(self)

    def as_text(self) -> str:
        """Return it for people."""
        lines = [f"park {self.park}: {self.firms} firms, {self.points} points"]
        if self.recomputed_points:
            lines.append(f"{self.recomputed_points} points changed their meaning or meters and are computed again")
        return "\n".join([*lines, *(f"odd: {finding}" for finding in self.odd)])


async def apply_file(database_url: str, file: Path) -> Applied:
    """Apply a park document and return what it did."""
    definition = read_definition(file)
    packs = [load_pack(pack_id) for pack_id in definition.target_packs]
    async with connected(database_url) as connection:
        await check_schema(connection)
        done = await registry.apply_definition(connection, definition)
    found = tuple(str(finding) for pack in packs for finding in odd(pack))
    return Applied(definition.code, done.firms, done.points, done.recomputed_points, found)


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
