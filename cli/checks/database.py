"""The database: reachable, of the right kind and version, set so that what is committed stays."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs, urlsplit

from cli.checks.finding import Finding, bad, look, ok, warn
from cli.checks.machine import check_disk
from cli.errors import CliError
from store import health, tenants
from store.errors import SchemaError, StoreError, UnreachableError, UnsuitableError
from store.migrations import check_schema
from store.pool import connected, probe, without_secret

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cli.settings import Settings
    from store.pool import Connection

WANTED_CONNECTIONS: Final = 24
"""What one of each of our processes opens at most, and a few for people."""
_SETTINGS: Final = (
    "server_version",
    "shared_preload_libraries",
    "timescaledb.license",
    "timescaledb.telemetry_level",
    "fsync",
    "synchronous_commit",
    "full_page_writes",
    "data_directory",
)
_DURABILITY: Final = {
    "fsync": "a crash of the machine can destroy the whole database",
    "full_page_writes": "a crash of the machine can leave torn pages behind",
    "synchronous_commit": "a crash loses the last commits, which edges have been told are stored",
}


async def examine_database(settings: Settings) -> list[Finding]:
    """Look at the database that the settings name."""
    try:
        url = settings.database_url
    except CliError as error:
        return [bad("database", "no address is set", str(error))]
    try:
        async with connected(url, application="greenpark doctor") as connection:
            found = await health.settings(connection, _SETTINGS)
            return [
                ok("database", f"{without_secret(url)} answers: PostgreSQL {found.get('server_version', '?')}"),
                *await look("database server", check_server, connection),
                *await look("TimescaleDB preload", check_preload, found),
                *await look("schema", check_migrations, connection),
                *await look("database roles", check_roles, connection),
                *await look("durability", check_durability, found),
                *await look("telemetry", check_telemetry, found),
                *await look("clock of the database", check_clock, connection),
                *await look("connections", check_connections, connection),
                *await look("disk of the database", check_data, url, found),
            ]
    except UnreachableError as error:
        return [
            bad(
                "database",
                str(error),
                "see whether the server runs (systemctl status postgresql), and whether host, port, user, password and"
                " database in GREENPARK_DATABASE_URL, or url in [database], are right",
            )
        ]


async def check_server(connection: Connection) -> Iterator[Finding] | Finding:
    """PostgreSQL 15 or later with TimescaleDB 2.19 or later, and what its edition means."""
    try:
        server = await probe(connection)
    except UnsuitableError as error:
        return bad("database server", str(error), "install a version that does, or name another server")
    installed, available = await health.extension(connection)
    version = installed or f"{available}, not yet in this database"
    return iter(_edition(version, server.edition))


def _edition(version: str, edition: str) -> list[Finding]:
    meaning = {
        "apache": "Apache edition: everything works; there is no columnstore compression, so readings take more disk",
        "timescale": "Community edition: everything works, and columnstore compression and retention can be used",
    }.get(edition)
    if meaning is None:
        return [
            warn(
                "TimescaleDB",
                f"{version}, edition {edition!r}: it is not loaded, or of a kind that was never tried",
                "put timescaledb into shared_preload_libraries and restart the server",
            )
        ]
    return [ok("TimescaleDB", f"{version}, {meaning}")]


def check_preload(found: dict[str, str]) -> Finding:
    """The server loads TimescaleDB when it starts."""
    libraries = found.get("shared_preload_libraries")
    if libraries is None:
        # Only a member of pg_read_all_settings sees the list; the extension's own settings exist once it is loaded.
        loaded = "timescaledb.license" in found
        text = "this role may not see shared_preload_libraries, but TimescaleDB is loaded"
    else:
        loaded = "timescaledb" in [name.strip() for name in libraries.split(",")]
        text = f"shared_preload_libraries = {libraries}"
    if loaded:
        return ok("TimescaleDB preload", text)
    return bad(
        "TimescaleDB preload",
        f"shared_preload_libraries = {libraries!r} lacks timescaledb",
        "ALTER SYSTEM SET shared_preload_libraries = 'timescaledb'; then restart PostgreSQL",
    )


async def check_migrations(connection: Connection) -> Finding:
    """The schema is this program's."""
    try:
        await check_schema(connection)
    except SchemaError as error:
        todo = "greenpark migrate" if error.found < error.wanted else "install the newer greenpark on this machine"
        return bad("schema", f"at migration {error.found}, this program wants {error.wanted}", todo)
    except StoreError as error:
        return bad("schema", str(error), "greenpark migrate")
    return ok("schema", "at this program's newest migration")


async def check_roles(connection: Connection) -> Iterator[Finding]:
    """The roles that keep tenants apart are there, and we may make more."""
    roles = await health.roles(connection)
    lacks = await tenants.lacking(connection)
    return iter(_roles(roles, lacks.statements))


def _roles(roles: health.Roles, cure: Sequence[str]) -> list[Finding]:
    missing = {"greenpark_service", "greenpark_tenant"} - set(roles.present)
    findings = []
    if missing:
        findings.append(bad("database roles", f"missing: {', '.join(sorted(missing))}", "greenpark migrate"))
    else:
        findings.append(ok("database roles", "greenpark_service and greenpark_tenant are there"))
    if not cure:
        findings.append(ok("role privilege", f"{roles.name} may create the roles of parks and firms"))
    else:
        findings.append(
            warn(
                "role privilege",
                f"{roles.name} may not make tenants' roles, so `greenpark token add` fails for a new park or firm",
                f"run that command as the database's owner; or, as a superuser: {' '.join(cure)}",
            )
        )
    return findings


def check_durability(found: dict[str, str]) -> list[Finding]:
    """What is committed survives a crash."""
    off = [name for name in _DURABILITY if found.get(name) == "off"]
    if not off:
        return [ok("durability", ", ".join(f"{name} {found.get(name, '?')}" for name in _DURABILITY))]
    return [
        bad(
            "durability",
            f"{name} is off: {_DURABILITY[name]}",
            f"ALTER SYSTEM SET {name} = on; SELECT pg_reload_conf();",
        )
        for name in off
    ]


def check_telemetry(found: dict[str, str]) -> Finding:
    """The database tells nobody about itself."""
    level = found.get("timescaledb.telemetry_level")
    if level is None:
        return ok("telemetry", "this build of TimescaleDB has none")
    if level == "off":
        return ok("telemetry", "off")
    return warn(
        "telemetry",
        f"timescaledb.telemetry_level = {level}: the server may report to its maker",
        "ALTER SYSTEM SET timescaledb.telemetry_level = 'off'; SELECT pg_reload_conf();",
    )


async def check_clock(connection: Connection) -> Finding:
    """The database's clock and ours agree."""
    began, before = time.perf_counter(), datetime.now(UTC)
    theirs = await health.clock(connection)
    trip_s = time.perf_counter() - began
    return judge_clock((theirs - before).total_seconds() - trip_s / 2, trip_s / 2)


def judge_clock(ahead_s: float, uncertain_s: float) -> Finding:
    """Judge how far the database's clock is ahead of ours."""
    what, found = "clock of the database", f"{ahead_s:+.3f} s against ours (± {uncertain_s:.3f} s)"
    advice = "synchronise both machines with NTP: timedatectl set-ntp true"
    off_s = abs(ahead_s) - uncertain_s
    if off_s > 60:
        return bad(what, found, advice)
    return warn(what, found, advice) if off_s > 1 else ok(what, found)


async def check_connections(connection: Connection) -> Finding:
    """There are connections left for our processes."""
    return judge_connections(await health.connections(connection))


def judge_connections(have: health.Connections) -> Finding:
    """Judge how many connections are left; those that are ours already do not count as taken."""
    left = have.most - have.used + have.ours
    found = f"{have.used} of {have.most} open, {have.ours} of them ours; one of each of our processes needs about"
    found += f" {WANTED_CONNECTIONS}"
    advice = "ALTER SYSTEM SET max_connections = 100; then restart PostgreSQL (or close what else is connected)"
    if left < WANTED_CONNECTIONS // 2:
        return bad("connections", found, advice)
    return warn("connections", found, advice) if left < WANTED_CONNECTIONS else ok("connections", found)


def check_data(url: str, found: dict[str, str]) -> Finding:
    """There is space where the data lie, if that is this machine."""
    what, directory = "disk of the database", found.get("data_directory")
    if not is_local(url):
        return ok(what, "the server is on another machine: look at its disk there")
    if directory is None:
        return ok(what, "this role may not see where the data lie (GRANT pg_read_all_settings shows it)")
    # The directory itself may be closed to us; a directory above it is on the same file system or close to it.
    for place in (Path(directory), *Path(directory).parents):
        try:
            if place.is_dir():
                return check_disk(place, what)
        except PermissionError:
            continue
    return ok(what, f"{directory} is not on this machine: look at the server's disk there")


def is_local(url: str) -> bool:
    """Tell whether a database address names this machine."""
    parts = urlsplit(url)
    host = parts.hostname or parse_qs(parts.query).get("host", [""])[0]
    return host in {"", "localhost", "::1"} or host.startswith(("127.", "/"))
