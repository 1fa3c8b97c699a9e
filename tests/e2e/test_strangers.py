"""A publisher of somebody else's, written from our documentation alone; and the whole way over TLS."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import re
import secrets
import shlex
import subprocess
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from cli.stack import ports
from cli.stack.mosquitto import Broker, Listener
from cli.stack.places import service_user
from edge.agent import Agent
from edge.config import BrokerConfig, BufferConfig, EdgeConfig
from edge.process import open_buffer
from ingest.errors import BrokerError
from ingest.process import run as run_ingest
from ingest.settings import IngestSettings
from park.definition import FirmDefinition, ParkDefinition, PointDefinition
from park.points import Kind
from store.pool import connected
from store.registry import apply_definition

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

    from cli.stack.components import Components
    from cli.stack.places import Places

pytestmark = pytest.mark.stack
WIRE = Path(__file__).parents[2] / "docs" / "wire.md"


def documented() -> list[str]:
    """The first command of the page, as a shell would split it."""
    [command, *_] = re.findall(r"```sh\n(mosquitto_pub .*?)```", WIRE.read_text("utf-8"), re.DOTALL)
    return shlex.split(command.replace("\\\n", " "))


def park_of(code: str) -> ParkDefinition:
    points = [
        PointDefinition(
            code=name, name_zh=name, name_en=name, kind=Kind.REGISTER, carrier="fresh_water", unit="m3", edge="gw1"
        )
        for name in ("W-001", "W-002")
    ]
    firm = FirmDefinition(
        code="castings", name_zh="铸", name_en="Castings", industry="x", edges=["gw1", "gw2"], points=points
    )
    return ParkDefinition(code=code, name_zh=code, name_en=code, firms=[firm])


def command(components: Components, changes: dict[str, Sequence[str]]) -> list[str]:
    """The documented command with other values of some options; an empty value takes the option away."""
    found = documented()
    found[0] = str(components.mosquitto.server.parents[1] / "bin" / "mosquitto_pub")
    for option, values in changes.items():
        at = found.index(option)
        found[at : at + 2] = [option, *values] if values else []
    return found


async def published(found: list[str]) -> subprocess.CompletedProcess[str]:
    """Run a publisher to its end."""
    return await asyncio.to_thread(subprocess.run, found, capture_output=True, text=True, timeout=30, check=False)


def message_of(found: list[str]) -> dict[str, Any]:
    return json.loads(found[found.index("-m") + 1])


@asynccontextmanager
async def ingesting(settings: IngestSettings) -> AsyncIterator[None]:
    stop = asyncio.Event()
    task = asyncio.create_task(run_ingest(settings, stop=stop))
    try:
        await asyncio.sleep(0.5)
        yield
    finally:
        stop.set()
        await task


async def stored(url: str, count: int, limit_s: float = 15.0) -> list[tuple[str, float]]:
    """Wait until there are so many readings, and return them."""
    async with connected(url) as connection:
        until = time.monotonic() + limit_s
        while True:
            rows = await connection.fetch("SELECT code, value FROM reading JOIN point USING (point_id) ORDER BY 1")
            if len(rows) >= count or time.monotonic() > until:
                return [tuple(row) for row in rows]
            await asyncio.sleep(0.05)


async def test_a_message_written_from_the_page_lands_and_one_with_a_wrong_password_does_not(
    components: Components, broker: Broker, database_url: str
) -> None:
    """`docs/wire.md` shows a command: with our address and the present time it is all that a stranger needs."""
    park = f"w{secrets.token_hex(4)}"
    async with connected(database_url) as connection:
        await apply_definition(connection, park_of(park))
    password = broker.add_edge(park, "castings", "gw1")
    said = message_of(documented())
    now_ms = int(time.time() * 1_000)
    message = json.dumps(said | {"t": [now_ms] * len(said["t"])})
    here: dict[str, Sequence[str]] = {
        "-h": ["127.0.0.1"],
        "-p": [str(broker.port)],
        "--cafile": [],
        "-u": [f"{park}/castings/gw1"],
        "-P": [password],
        "-t": [f"greenpark/1/{park}/castings/gw1/data"],
        "-m": [message],
    }
    settings = IngestSettings(database_url, broker.url_for("ingest"), share_group=park, session_expiry_s=30)
    async with ingesting(settings):
        for wrong in ({"-P": ["guess"]}, {"-u": [f"{park}/castings/gw2"]}, {"-u": ["ingest"]}):
            refused = await asyncio.to_thread(
                subprocess.run,
                command(components, here | wrong),
                capture_output=True,
                text=True,
                timeout=30,
                check=False,
            )
            assert refused.returncode != 0
            assert "not authori" in refused.stderr.lower()
        other = f"greenpark/1/{park}/other/gw1/data"
        foreign = await asyncio.to_thread(
            subprocess.run,
            command(components, here | {"-t": [other]}),
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert "not authorized" in foreign.stderr.lower()
        done = await published(command(components, here))
        assert (done.returncode, done.stderr) == (0, "")
        found = await stored(database_url, len(said["v"]))
    assert found == sorted(zip(said["points"], said["v"], strict=True))
    async with connected(database_url) as connection:
        assert await connection.fetchval("SELECT count(*) FROM quarantine") == 0


@dataclass(frozen=True)
class Certificates:
    """Files of an authority and of a server that it vouches for."""

    authority: Path
    certificate: Path
    key: Path


def certify(directory: Path) -> Certificates:
    """Make an authority and a server's certificate for 127.0.0.1."""
    directory.mkdir(parents=True, exist_ok=True)
    directory.chmod(0o755)
    now = datetime.now(UTC)

    def named(name: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])

    def builder(subject: str, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(named(subject))
            .issuer_name(named("Test authority"))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(days=2))
        )

    mother, own = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    identifier = x509.SubjectKeyIdentifier.from_public_key(mother.public_key())
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
    authority = (
        builder("Test authority", mother)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(identifier, critical=False)
        .add_extension(usage, critical=True)
        .sign(mother, hashes.SHA256())
    )
    server = (
        builder("127.0.0.1", own)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False)
        .sign(mother, hashes.SHA256())
    )
    files = Certificates(directory / "ca.pem", directory / "server.pem", directory / "server.key")
    files.authority.write_bytes(authority.public_bytes(serialization.Encoding.PEM))
    files.certificate.write_bytes(server.public_bytes(serialization.Encoding.PEM))
    files.key.write_bytes(
        own.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    for file in (files.authority, files.certificate, files.key):
        file.chmod(0o644)
    return files


@pytest.fixture
def guarded(components: Components, stack_places: Places) -> Iterator[tuple[Broker, int, Certificates]]:
    """A broker with a TLS listener beside the plain one, its port, and the certificates."""
    root = stack_places.broker.parent / f"tls-{secrets.token_hex(4)}"
    files = certify(root / "certificates")
    port = ports.any_free()
    outside = Listener(port, "127.0.0.1", files.authority, files.certificate, files.key, client_id_is_user=True)
    broker = Broker(
        components.mosquitto,
        root / "broker",
        secret=root / "broker.json",
        port=ports.any_free(),
        user=service_user("mosquitto"),
        log=stack_places.logs / f"{root.name}.log",
        more_listeners=(outside,),
    )
    asyncio.run(broker.start())
    yield broker, port, files
    asyncio.run(broker.stop())


def test_everything_goes_over_tls_and_an_authority_that_is_not_ours_is_not_trusted(
    components: Components, guarded: tuple[Broker, int, Certificates], database_url: str, tmp_path: Path
) -> None:
    """An edge, ingest and a stranger meet at a TLS listener; with another authority ingest says that it does not."""
    broker, port, files = guarded
    asyncio.run(_over_tls(components, broker, port, files, database_url, tmp_path))


async def _over_tls(
    components: Components, broker: Broker, port: int, files: Certificates, database_url: str, tmp_path: Path
) -> None:
    park = f"s{secrets.token_hex(4)}"
    async with connected(database_url) as connection:
        await apply_definition(connection, park_of(park))
    # Two edges: on the outer listener a client is its user, and a second one of the same name takes its place.
    user, password = f"{park}/castings/gw1", broker.add_edge(park, "castings", "gw1")
    of_agent = broker.add_edge(park, "castings", "gw2")
    secure = broker.url_for("ingest").replace("mqtt://", "mqtts://").replace(f":{broker.port}", f":{port}")
    settings = IngestSettings(database_url, secure, share_group=park, session_expiry_s=30, ca_file=str(files.authority))
    strangers = await asyncio.to_thread(certify, tmp_path / "others")
    with pytest.raises(BrokerError, match="not vouched for"):
        await run_ingest(
            IngestSettings(database_url, secure, share_group=park, ca_file=str(strangers.authority)),
            stop=asyncio.Event(),
        )
    config = EdgeConfig(
        park=park,
        firm="castings",
        edge="gw2",
        broker=BrokerConfig(port=port, tls=True, ca_file=str(files.authority), password=of_agent),
        buffer=BufferConfig(path=str(tmp_path / "buffer.db")),
    )
    disk, _ = open_buffer(config)
    agent, stop = Agent(config, disk), asyncio.Event()
    async with ingesting(settings), asyncio.TaskGroup() as tasks:
        running = tasks.create_task(agent.run(stop))
        now_ms = int(time.time() * 1_000)
        message = json.dumps({"points": ["W-001", "W-002"], "t": [now_ms, now_ms], "v": [1.5, 2.5]})
        told: dict[str, Sequence[str]] = {
            "-h": ["127.0.0.1"],
            "-p": [str(port)],
            "--cafile": [str(files.authority)],
            "-u": [user],
            "-P": [password],
            "-t": [f"greenpark/1/{user}/data"],
            "-m": [message],
        }
        for authority, code in ((files.authority, 0), (strangers.authority, None)):
            done = await published(command(components, told | {"--cafile": [str(authority)]}))
            assert (done.returncode == 0) == (code == 0)
        assert await stored(database_url, 2) == [("W-001", 1.5), ("W-002", 2.5)]
        async with connected(database_url) as connection:
            until = time.monotonic() + 15
            while not await connection.fetchval("SELECT count(*) FROM edge_status WHERE online"):
                assert time.monotonic() < until, "the edge did not come up over TLS"
                assert not running.done()
                await asyncio.sleep(0.05)
        stop.set()
