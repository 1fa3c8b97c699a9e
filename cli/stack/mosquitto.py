"""A private mosquitto: its configuration, its users and what each may do, and the process.

Who may do what (the tests hold each line against the real broker):

- An edge logs in as ``{park}/{firm}/{edge}``. mosquitto puts the user name for ``%u`` in a pattern, slashes
  included, so a few patterns give every edge its own topics and no other's. Names are checked before they
  get here: a ``+`` or ``#`` in one would widen the pattern.
- A refused publish is answered with reason 0x87 in MQTT 5. MQTT 3.1.1 has no such answer: the broker
  acknowledges and drops.
- A subscription to foreign topics is *granted*, but delivers nothing: mosquitto 2.0 checks on delivery.
- Client ids are not tied to users on a shared listener: whoever takes another's id ends its connection and
  empties its queue, though without reading it. `Listener.client_id_is_user` closes that: use it on a
  listener that edges reach from other machines.

What mosquitto 2.0.21 keeps, measured, and why an edge waits for the database's word and not the broker's:

- With ``per_listener_settings true`` nothing is queued for a session that is offline. Hence it is false.
- A restart keeps sessions, their queues and plain subscriptions, but only of clients that connected with
  clean start off (from the first time on). A *shared* subscription is forgotten until its client subscribes
  again, and what comes meanwhile is acknowledged and lost to it.
- A reload takes the rights of a restored session whose client has not come back since the restart.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import secrets
import signal
import socket
import struct
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import quote

from cli.stack.errors import BrokerNameError, ProcessNotReadyError, SecretDamagedError
from cli.stack.places import ServiceUser, make_directory, write_private
from cli.stack.ports import LOOPBACK
from cli.stack.processes import Child, ProcessSpec, is_alive, read_record, tail
from park.wire import MAX_PAYLOAD_BYTES, ROOT, is_code

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from cli.stack.components import MosquittoBinaries

INGEST = "ingest"
MONITOR = "monitor"
_PROBE = "probe"  # may log in and nothing else: readiness
_HASH_ROUNDS = 101  # mosquitto's own; our passwords are random, so rounds add only log-in time
_NOT_READY_S = 20.0


@dataclass(frozen=True, slots=True)
class Listener:
    """Where the broker listens.

    With all three files set it speaks TLS. `client_id_is_user` replaces the client id by the user name.
    """

    port: int
    address: str = LOOPBACK
    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None
    client_id_is_user: bool = False


@dataclass(frozen=True, slots=True)
class BrokerSettings:
    """Everything that the configuration says.

    The limits are explicit and large: the defaults (20 in flight, 1000 queued) silently drop acknowledged
    messages in a burst, and 0 for "no limit" has dropped everything in some releases. A queue is bounded by
    whichever of its two limits is reached first, per client.
    """

    listeners: tuple[Listener, ...]
    directory: Path
    max_inflight_messages: int = 10_000
    max_queued_messages: int = 1_000_000
    max_queued_bytes: int = 512 * 1024 * 1024
    # Above the wire's limit, so that ingest sees what is too large and can say so; beyond, the broker refuses.
    max_packet_bytes: int = 2 * MAX_PAYLOAD_BYTES
    autosave_interval_s: int = 5
    session_expiry: str = "14d"

    @property
    def password_file(self) -> Path:
        return self.directory / "passwords"

    @property
    def acl_file(self) -> Path:
        return self.directory / "acl"

    @property
    def config_file(self) -> Path:
        return self.directory / "mosquitto.conf"

    @property
    def data(self) -> Path:
        return self.directory / "data"


def render_config(settings: BrokerSettings) -> str:
    """Text of mosquitto.conf, for 2.0.11 and later.

    What MQTT 5 calls receive maximum has no option of its own in 2.0: `max_inflight_messages` is announced.
    """
    general = {
        "per_listener_settings": "false",
        "allow_anonymous": "false",
        "password_file": settings.password_file,
        "acl_file": settings.acl_file,
        "persistence": "true",
        "persistence_location": f"{settings.data}/",
        "autosave_interval": settings.autosave_interval_s,
        "persistent_client_expiration": settings.session_expiry,
        "max_inflight_messages": settings.max_inflight_messages,
        "max_queued_messages": settings.max_queued_messages,
        "max_queued_bytes": settings.max_queued_bytes,
        "max_packet_size": settings.max_packet_bytes,
        "queue_qos0_messages": "false",
        "set_tcp_nodelay": "true",
        "sys_interval": 10,
        "log_dest": "stdout",
        "log_timestamp_format": "%Y-%m-%dT%H:%M:%S",
    }
    lines = [f"{key} {value}" for key, value in general.items()]
    lines += [f"log_type {kind}" for kind in ("error", "warning", "notice", "information")]
    for listener in settings.listeners:
        lines += ["", f"listener {listener.port} {listener.address}"]
        if listener.client_id_is_user:
            lines.append("use_username_as_clientid true")
        for key, file in (
            ("cafile", listener.ca_file),
            ("certfile", listener.certificate_file),
            ("keyfile", listener.key_file),
        ):
            if file is not None:
                lines.append(f"{key} {file}")
    return "\n".join(lines) + "\n"


def render_acl() -> str:
    """The rights of edges (patterns, so a new edge needs none of its own) and of our services."""
    up, down = ("data", "status", "event"), ("committed", "config")
    lines = [f"pattern write {ROOT}/%u/{channel}" for channel in up]
    lines += [f"pattern read {ROOT}/%u/{channel}" for channel in down]
    lines += ["", f"user {INGEST}", f"topic read {ROOT}/#"]
    lines += [f"topic write {ROOT}/+/+/+/{channel}" for channel in down]
    lines += ["", f"user {MONITOR}", "topic read $SYS/#"]
    return "\n".join(lines) + "\n"


def hash_password(password: str, salt: bytes, rounds: int = _HASH_ROUNDS) -> str:
    """A password as mosquitto keeps it: PBKDF2 with SHA-512, ``$7$rounds$salt$hash``."""
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, rounds)
    return f"$7${rounds}${base64.b64encode(salt).decode()}${base64.b64encode(digest).decode()}"


def render_passwords(passwords: Mapping[str, str], salts: Iterable[bytes]) -> str:
    """Text of the password file: one line per user, hashed."""
    return "".join(
        f"{user}:{hash_password(password, salt)}\n"
        for (user, password), salt in zip(passwords.items(), salts, strict=False)
    )


def edge_user(park: str, firm: str, edge: str) -> str:
    """The user name of an edge.

    Raises:
        BrokerNameError: a name that can not stand in a topic.
    """
    for kind, value in (("park", park), ("firm", firm), ("edge", edge)):
        if not is_code(value):
            raise BrokerNameError(kind, value)
    return f"{park}/{firm}/{edge}"


def connect_packet(client_id: str, user: str, password: str) -> bytes:
    """An MQTT 5 CONNECT with a clean start and no properties."""

    def text(value: str) -> bytes:
        raw = value.encode()
        return struct.pack(">H", len(raw)) + raw

    body = text("MQTT") + bytes((5, 0b1100_0010, 0, 10, 0)) + text(client_id) + text(user) + text(password)
    length, size = bytearray(), len(body)
    while True:
        size, low = divmod(size, 128)
        length.append(low | (0x80 if size else 0))
        if not size:
            return bytes((0x10, *length)) + body


def parse_connack(answer: bytes) -> int | None:
    """The reason code of a CONNACK (0: welcome, 0x86 and 0x87: refused), None if it is no whole CONNACK."""
    return answer[3] if len(answer) >= 4 and answer[0] == 0x20 else None


def may_log_in(address: str, port: int, user: str, password: str, *, limit_s: float = 2.0) -> bool | None:
    """Whether a plain listener lets the user in; None if it does not answer."""
    try:
        with socket.create_connection((address, port), timeout=limit_s) as connection:
            connection.sendall(connect_packet(f"probe-{os.getpid()}-{secrets.token_hex(4)}", user, password))
            answer = b""
            while len(answer) < 4 and (part := connection.recv(64)):
                answer += part
            connection.sendall(b"\xe0\x00")
    except OSError:
        return None
    code = parse_connack(answer)
    return None if code is None else code == 0


class Broker:
    """mosquitto with its files in `directory`.

    Args:
        binaries: the programs.
        directory: configuration, password hashes, rights and stored sessions; given to `user`.
        secret: file of the plain passwords, 0600: a JSON object from user to password.
        port: port of the first listener, plain, on loopback.
        user: account to run as when we are root.
        log: the broker's log file.
        run_directory: where the pid record goes.
        more_listeners: further listeners, for example with TLS for other machines.
        die_with_parent: stop when we die.
        settings: limits other than the default; its listeners and directory are replaced.
    """

    name = "broker"

    def __init__(
        self,
        binaries: MosquittoBinaries,
        directory: Path,
        *,
        secret: Path,
        port: int,
        user: ServiceUser | None,
        log: Path,
        run_directory: Path | None = None,
        more_listeners: Sequence[Listener] = (),
        die_with_parent: bool = True,
        settings: BrokerSettings | None = None,
    ) -> None:
        self.binaries = binaries
        self.port = port
        listeners = (Listener(port), *more_listeners)
        given = settings or BrokerSettings(listeners, directory)
        self.settings = replace(given, listeners=listeners, directory=directory)
        self._secret = secret
        self._user = user
        self._log = log
        self._record = run_directory / f"{self.name}.pid" if run_directory is not None else None
        self._child = Child(
            ProcessSpec(
                name=self.name,
                argv=(str(binaries.server), "-c", str(self.settings.config_file)),
                log=log,
                cwd=directory,
                environ={"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C", "HOME": str(directory)},
                user=user,
                stop=((signal.SIGTERM, 15.0),),
                death_signal=signal.SIGTERM if die_with_parent else None,
            ),
            run_directory=run_directory,
            ready=self._is_ready,
            ready_limit_s=_NOT_READY_S,
        )

    def __repr__(self) -> str:
        return f"Broker({str(self.settings.directory)!r}, port={self.port}, running={self.running})"

    @property
    def running(self) -> bool:
        return self._child.running

    @property
    def pid(self) -> int | None:
        return self._child.pid

    @property
    def url(self) -> str:
        """Address without user."""
        return f"mqtt://{LOOPBACK}:{self.port}"

    def url_for(self, user: str) -> str:
        """Address with user and password, both percent-encoded: a secret."""
        return f"mqtt://{quote(user, safe='')}:{quote(self.password(user), safe='')}@{LOOPBACK}:{self.port}"

    def password(self, user: str) -> str:
        """The password of a user.

        Raises:
            KeyError: no such user.
        """
        return self._passwords()[user]

    def users(self) -> list[str]:
        """All user names."""
        return list(self._passwords())

    async def start(self) -> None:
        """Start with the users there are, and the service users; returns when it takes connections.

        Raises:
            ProcessError: it did not start; its last words are in the error.
        """
        if self.running:
            return
        directory = self.settings.directory
        make_directory(directory, mode=0o700, owner=self._user)
        make_directory(self.settings.data, mode=0o700, owner=self._user)
        known = self._passwords()
        self._store({user: known.get(user) or _new_password() for user in (INGEST, MONITOR, _PROBE)} | known)
        write_private(self.settings.acl_file, render_acl(), owner=self._user)
        write_private(self.settings.config_file, render_config(self.settings), owner=self._user)
        await self._child.start()

    async def stop(self) -> None:
        """Stop; sessions and retained messages are saved."""
        await self._child.stop()

    async def kill(self) -> None:
        """SIGKILL, as a crash would: what came since the last autosave is lost to the broker."""
        await self._child.kill()

    async def wait(self) -> int:
        """Wait for the end of the broker; returns its exit code."""
        return await self._child.wait()

    def add_edge(self, park: str, firm: str, edge: str, *, password: str | None = None) -> str:
        """Make an edge's user and return its password; a known edge keeps its own unless one is given.

        Works before the start and while the broker runs (also when another process started it); then it
        returns when the broker lets the edge in, mostly within a tenth of a second.

        Raises:
            BrokerNameError: a name that can not stand in a topic.
            ProcessNotReadyError: the running broker did not take the new user.
        """
        return self.add_edges([(park, firm, edge)], password=password)[0]

    def add_edges(self, edges: Iterable[tuple[str, str, str]], *, password: str | None = None) -> list[str]:
        """As `add_edge`, for many with one reload; returns the passwords in order."""
        users = [edge_user(*edge) for edge in edges]
        known = self._passwords()
        added = {user: password or known.get(user) or _new_password() for user in users}
        if added.items() - known.items():
            self._store(known | added)
            self.reload()
        return [added[user] for user in users]

    def remove_user(self, user: str) -> None:
        """Take a user's password away; a running broker disconnects it."""
        known = self._passwords()
        if known.pop(user, None) is not None:
            self._store(known)
            self.reload()

    def reload(self) -> None:
        """Have a running broker read users and rights again (SIGHUP), and wait until it has.

        Raises:
            ProcessNotReadyError: it did not.
        """
        # A password that changes with each reload tells the new file from the old one.
        known = self._passwords() | {_PROBE: _new_password()}
        if not self._signal_reload(known):
            return
        deadline = time.monotonic() + _NOT_READY_S
        while not may_log_in(LOOPBACK, self.port, _PROBE, known[_PROBE]):
            if time.monotonic() > deadline:
                raise ProcessNotReadyError(self.name, limit_s=_NOT_READY_S, log=self._log, tail=tail(self._log))
            time.sleep(0.02)

    def _signal_reload(self, passwords: dict[str, str]) -> bool:
        if self.running:
            self._store(passwords)
            self._child.send(signal.SIGHUP)
            return True
        record = read_record(self._record) if self._record is not None else None
        if record is not None and is_alive(record):
            self._store(passwords)
            os.kill(record.pid, signal.SIGHUP)
            return True
        return False

    async def _is_ready(self) -> bool:
        return may_log_in(LOOPBACK, self.port, _PROBE, self.password(_PROBE), limit_s=0.5) is True

    def _passwords(self) -> dict[str, str]:
        try:
            raw = json.loads(self._secret.read_text("utf-8"))
        except FileNotFoundError:
            return {}
        except ValueError:
            raise SecretDamagedError(self._secret) from None
        if not isinstance(raw, dict):
            raise SecretDamagedError(self._secret)
        return {str(user): str(password) for user, password in raw.items()}

    def _store(self, passwords: dict[str, str]) -> None:
        make_directory(self._secret.parent, mode=0o700)
        write_private(self._secret, json.dumps(passwords, indent=1) + "\n")
        make_directory(self.settings.directory, mode=0o700, owner=self._user)
        salts = (secrets.token_bytes(12) for _ in passwords)
        write_private(self.settings.password_file, render_passwords(passwords, salts), owner=self._user)


def _new_password() -> str:
    return secrets.token_urlsafe(24)
