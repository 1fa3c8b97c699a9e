"""A real ingest process for tests that kill it: settings come as JSON on standard input, never on the command line."""

from __future__ import annotations

import asyncio
import json
import signal
import sys

from ingest.process import run
from ingest.settings import IngestSettings


async def main() -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await run(IngestSettings(**json.load(sys.stdin)), stop=stop)


if __name__ == "__main__":
    asyncio.run(main())
