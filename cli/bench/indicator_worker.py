"""Computes the indicators that wait, as a process of streams does; a process of its own, so that two cores are used.

    python -m cli.bench.indicator_worker

says `ready` when it is connected, begins at a line on its input, and says as JSON how many firms it did, and how much
CPU it and the server's process for it used. The database's address comes in GREENPARK_DATABASE_URL.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from typing import Final

from cli.bench.indicator_park import NOW
from cli.bench.processes import cpu_s
from cli.settings import load_settings
from store.bench import backend
from store.indicators import waiting_values
from store.ledger import WaitingFirm, commit_in_passing
from store.pool import connected
from streams.process import VALUES_AT_ONCE, batched, pass_values_of

_SHARES: Final = 4


async def work(database_url: str) -> dict[str, float]:
    """Do what waits until nothing does; return how many firms there were, and the CPU seconds used for them."""
    done = 0
    async with connected(database_url, application="greenpark bench") as connection:
        await commit_in_passing(connection)
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        pids = (os.getpid(), await backend(connection))
        before_s = sum(map(cpu_s, pids))
        while rows := await waiting_values(connection):
            before = done
            # As in streams, but that two workers share also what one of them would take at once.
            size = min(VALUES_AT_ONCE, -(-len(rows) // _SHARES))
            for batch in batched([WaitingFirm(*row) for row in rows], size):
                done += await pass_values_of(connection, batch, now=NOW)
            if done == before:
                break  # another worker has what is left
        return {"firms": done, "cpu_s": sum(map(cpu_s, pids)) - before_s}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(work(load_settings(None).database_url))), flush=True)
