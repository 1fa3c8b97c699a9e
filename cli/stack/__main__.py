"""By hand: ``python -m cli.stack up|down [--root DIR]`` runs the database and the broker in the background."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from pathlib import Path

from cli.stack.errors import StackError
from cli.stack.local import local_services
from cli.stack.lock import exclusive
from cli.stack.mosquitto import INGEST
from cli.stack.places import open_places, write_private
from cli.stack.processes import stop_leftovers


def _say(component: str, step: str, done: int, total: int, /) -> None:
    if done == total:  # steps without a size, and the end of those with one
        print(f"{component}: {step}" + (f" ({total / 1e6:.0f} MB)" if step == "download" else ""), flush=True)


async def up(root: Path) -> None:
    """Start both, and write their addresses with passwords to a private file."""
    places = open_places(root)
    await stop_leftovers(places.run)
    services = local_services(root, os.environ, progress=_say, die_with_parent=False)
    lines: list[str] = []
    if services.postgres is not None:
        await services.postgres.start()
        url = await services.postgres.create_database("greenpark")
        lines.append(f"export GREENPARK_DATABASE_URL='{url}'")
        print(f"PostgreSQL listens on 127.0.0.1:{services.postgres.port}")
    if services.broker is not None:
        await services.broker.start()
        lines.append(f"export GREENPARK_BROKER_URL='{services.broker.url_for(INGEST)}'")
        print(f"mosquitto listens on 127.0.0.1:{services.broker.port}")
    write_private(places.secrets / "environment", "\n".join(lines) + "\n")
    if services.places.notice:
        print(services.places.notice)
    print(f"addresses with passwords:  . {places.secrets / 'environment'}")


async def down(root: Path) -> None:
    """Stop both."""
    stopped = await stop_leftovers(open_places(root).run)
    print("stopped " + (", ".join(stopped) or "nothing: nothing ran"))


def main() -> int:
    """Parse, lock, run; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m cli.stack", description=__doc__)
    parser.add_argument("command", choices=("up", "down"))
    parser.add_argument("--root", type=Path, default=Path("var"))
    arguments = parser.parse_args()
    try:
        with exclusive(arguments.root):
            asyncio.run((up if arguments.command == "up" else down)(arguments.root))
    except StackError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
