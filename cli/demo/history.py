"""Lays down the past of some firms: readings, ledger, indicators. A process of its own, so that two cores are used.

    python -m cli.demo.history SCENE_FILE_ARGUMENTS_AS_JSON

prints one JSON line for each firm that is done.
"""

from __future__ import annotations

import asyncio
import json
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from cli.demo.reports import enter_reports
from cli.demo.scene import EDGE, HISTORY, PARK, Scene
from cli.settings import load_settings
from simulators.history import history
from store.ledger import WaitingFirm, mark_firm
from store.pool import connected
from store.readings import find_batch, load_history
from store.registry import edges, park_named
from streams.process import pass_firm
from streams.settings import StreamsSettings

if TYPE_CHECKING:
    from simulators.parks import SimulatedPark
    from store.pool import Connection
    from store.registry import EdgeRow, ParkRow


async def lay(database_url: str, scene: Scene, firm_codes: list[str]) -> None:
    """Lay down readings and everything derived of some firms; what an interrupted run did is passed over."""
    simulated = scene.park
    async with connected(database_url, application="greenpark history") as connection:
        # Lost work after a crash is laid down again, so waiting for the disk at each commit gains nothing.
        await connection.execute("SET synchronous_commit = off")
        park = await park_named(connection, PARK)
        rows = {row.firm: row for row in await edges(connection) if row.park == PARK and row.edge == EDGE}
        for code in firm_codes:
            readings = await _lay_firm(connection, simulated, park, rows[code], code, scene.origin, scene.until)
            print(json.dumps({"firm": code, "readings": readings}), flush=True)


async def _lay_firm(
    connection: Connection,
    simulated: SimulatedPark,
    park: ParkRow,
    edge: EdgeRow,
    code: str,
    start: datetime,
    until: datetime,
) -> int:
    loaded = 0
    if await find_batch(connection, edge.edge_id, HISTORY, 0) is None:
        blocks = list(history(simulated, code, start, until))
        ids = np.array([edge.points[name][0] for name in blocks[0].codes], np.int32)
        # Readings and the mark that they wait in one transaction: whoever goes on finds both or neither.
        async with connection.transaction():
            loaded = await load_history(
                connection,
                edge.edge_id,
                HISTORY,
                np.concatenate([ids[block.point] for block in blocks]),
                np.concatenate([block.t_us for block in blocks]),
                np.concatenate([block.value for block in blocks]),
                mark_dirty=False,
            )
            await mark_firm(connection, edge.firm_id, None, "history")
    await enter_reports(connection, simulated, park, code, start, until)
    settings = StreamsSettings(database_url="")
    firm = WaitingFirm(edge.firm_id, park.park_id, park.time_zone)
    await pass_firm(settings, connection, firm, now=datetime.now(UTC))
    return loaded


def main() -> None:
    """Run from the arguments that the demonstration gives."""
    given = json.loads(sys.argv[1])
    scene = Scene(datetime.fromisoformat(given["origin"]), datetime.fromisoformat(given["until"]), laid=False)
    asyncio.run(lay(load_settings(None).database_url, scene, given["firms"]))


if __name__ == "__main__":
    main()
