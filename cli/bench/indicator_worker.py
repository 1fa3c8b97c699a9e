"""Computes the indicators that wait, as a process of streams does; a process of its own, so that two cores are used.

    python -m cli.bench.indicator_worker

says `ready` when it is connected, begins at a line on its input, and says how many firms it did. The database's
address comes in GREENPARK_DATABASE_URL.
"""

from __future__ import annotations

import asyncio
import sys

from cli.bench.indicator_park import NOW
from cli.settings import load_settings
from store.indicators import waiting_values
from store.ledger import WaitingFirm, commit_in_passing
from store.pool import connected
from streams.process import pass_values


async def work(database_url: str) -> int:
    """Do what waits until nothing does; return how many firms there were."""
    done = 0
    async with connected(database_url, application="greenpark bench") as connection:
        await commit_in_passing(connection)
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        while rows := await waiting_values(connection):
            before = done
            for row in rows:
                done += await pass_values(connection, WaitingFirm(*row), now=NOW)
            if done == before:
                break  # another worker has what is left
    return done


if __name__ == "__main__":
    print(asyncio.run(work(load_settings(None).database_url)), flush=True)
