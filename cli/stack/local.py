"""The services of one var directory, put together: what `greenpark demo`, `up` and the tests start."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cli.stack.components import Progress, bring_mosquitto, bring_postgres, own_broker_url, own_database_url, silent
from cli.stack.mosquitto import Broker
from cli.stack.places import Places, open_places, service_user
from cli.stack.ports import stable_ports
from cli.stack.postgres import PostgresServer

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class LocalServices:
    """What runs here; None where the user names an own server."""

    places: Places
    postgres: PostgresServer | None
    broker: Broker | None


def local_services(
    root: Path, environ: Mapping[str, str], *, progress: Progress = silent, die_with_parent: bool = True
) -> LocalServices:
    """Bring what is missing and lay out the services of `root`, without starting them.

    Hold `lock.exclusive(root)` and have called `processes.stop_leftovers` before: a leftover on a port
    would make the port move.

    Raises:
        ComponentMissingError, ComponentSetupError: a component is not here and could not be brought.
        NoPortError: no free loopback port.
    """
    places = open_places(root)
    ports = stable_ports(places.root / "ports.json", ["postgres", "broker"])
    postgres = broker = None
    if own_database_url(environ) is None:
        postgres = PostgresServer(
            bring_postgres(places.components, major=_major_of_data(places), progress=progress),
            places.postgres,
            secret=places.secrets / "postgres",
            port=ports["postgres"],
            user=service_user("postgres"),
            log=places.logs / "postgres.log",
            run_directory=places.run,
            die_with_parent=die_with_parent,
        )
    if own_broker_url(environ) is None:
        broker = Broker(
            bring_mosquitto(places.components, progress=progress),
            places.broker,
            secret=places.secrets / "broker.json",
            port=ports["broker"],
            user=service_user("mosquitto"),
            log=places.logs / "broker.log",
            run_directory=places.run,
            die_with_parent=die_with_parent,
        )
    return LocalServices(places, postgres, broker)


def _major_of_data(places: Places) -> int | None:
    """The major version that wrote the data, so that a newer installation does not get in their way."""
    try:
        return int((places.postgres / "data/PG_VERSION").read_text())
    except (OSError, ValueError):
        return None
