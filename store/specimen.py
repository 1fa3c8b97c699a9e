"""A park in which nothing is empty: a row of everything for every firm, to check what reads the store.

It is for throwaway databases. Times lie before `now`, values are multiples of the firm's id.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from park.definition import FirmDefinition, InstallationDefinition, ParkDefinition, PointDefinition
from park.points import Direction, Kind
from store.queries import queries
from store.registry import apply_definition, firms
from store.tenants import add_tenant

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from store.pool import Connection

_Row = tuple[str, str, str, str, str, Direction]
PARKS: Final[dict[str, tuple[str, ...]]] = {"east": ("a", "b"), "west": ("c",)}
_POINTS: Final = (
    ("E-001", "电表", "Electricity", "electricity", "kWh", Direction.IN),
    ("W-001", "新水", "Fresh water", "fresh_water", "m3", Direction.IN),
    ("W-002", "回用水", "Recycled water", "recycled_water", "m3", Direction.INTERNAL),
    ("P-001", "产量", "Pieces", "product", "piece", Direction.OUT),
)
_MORE_POINTS: Final = (
    ("E-002", "车间电表", "Workshop", "electricity", "MWh", Direction.INTERNAL),
    ("G-001", "天然气", "Natural gas", "natural_gas", "m3", Direction.IN),
    ("S-001", "蒸汽", "Steam", "steam", "t", Direction.IN),
    ("W-003", "废水", "Wastewater", "wastewater", "m3", Direction.OUT),
    ("A-001", "二氧化硫", "SO2", "so2", "kg", Direction.OUT),
    ("A-002", "化学需氧量", "COD", "cod", "kg", Direction.OUT),
    ("Z-001", "铝灰渣", "Dross", "solid_waste", "t", Direction.OUT),
)


@dataclass(frozen=True, slots=True)
class Planted:
    """What was planted.

    Attributes:
        park_ids, firm_ids: by code.
        roles: tenant role by (park, firm); firm None is the park's own.
    """

    park_ids: Mapping[str, int]
    firm_ids: Mapping[str, int]
    roles: Mapping[tuple[str, str | None], str]


async def plant(connection: Connection, *, now: datetime, every_panel: bool = False) -> Planted:
    """Write the parks of `PARKS` with everything in them, as the owner of the database.

    Args:
        connection: of the owner.
        now: end of what is planted.
        every_panel: more points and rows, so that no panel of the dashboards is empty.
    """
    park_ids: dict[str, int] = {}
    firm_ids: dict[str, int] = {}
    roles: dict[tuple[str, str | None], str] = {}
    for code, members in PARKS.items():
        points = _POINTS + _MORE_POINTS if every_panel else _POINTS
        applied = await apply_definition(connection, _park(code, members, points, now))
        park_ids[code] = applied.park_id
        firm_ids |= {row.code: row.firm_id for row in await firms(connection, applied.park_id)}
        for file in ("specimen", "specimen_panels") if every_panel else ("specimen",):
            for statement in queries(file).values():
                await connection.execute(statement, now, applied.park_id)
        for member in (None, *members):
            roles[code, member] = await add_tenant(connection, code, member)
    return Planted(park_ids, firm_ids, roles)


def _park(code: str, members: tuple[str, ...], points: tuple[_Row, ...], now: datetime) -> ParkDefinition:
    return ParkDefinition(
        code=code,
        name_zh=f"园区 {code}",
        name_en=f"Park {code}",
        firms=[
            FirmDefinition(
                code=member,
                name_zh=f"企业'{member}'",  # a quote, as in O'Hara
                name_en=f"Firm '{member}'",
                industry="specimen",
                edges=["gw1"],
                points=[_point(*point, now=now) for point in points],
            )
            for member in members
        ],
    )


def _point(
    code: str, name_zh: str, name_en: str, carrier: str, unit: str, direction: Direction, *, now: datetime
) -> PointDefinition:
    meter = InstallationDefinition(serial="specimen", valid_from=now - timedelta(days=400))
    return PointDefinition(
        code=code,
        name_zh=name_zh,
        name_en=name_en,
        kind=Kind.REGISTER,
        carrier=carrier,
        unit=unit,
        direction=direction,
        edge="gw1",
        product="piece" if carrier == "product" else None,
        installations=[meter],
    )
