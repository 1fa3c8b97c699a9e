"""Who runs the services, and which directories they can reach.

PostgreSQL refuses to run as root, so root hands its services to an unprivileged user. That user must be
able to walk to the data; below a private home (``/root`` is 0700) it can not, and opening the home is not
ours to do. Then the services' directories move to a private place, and `Places.notice` says so.
"""

from __future__ import annotations

import errno
import os
import pwd
import secrets
import stat
from dataclasses import dataclass
from pathlib import Path

from cli.stack.errors import DirectoryUnusableError, UnreachableError

FALLBACK_PARENT = Path("/var/lib")
_SERVICE_DIRECTORY = "service-directory"
_BELONGS_TO = "belongs-to"


@dataclass(frozen=True, slots=True)
class ServiceUser:
    """An account that a service runs as."""

    name: str
    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class Places:
    """The directories of one stack.

    `root` is what the user named; `service` holds what the services themselves read and write, and is
    `root` wherever their user can reach it.
    """

    root: Path
    service: Path

    @property
    def components(self) -> Path:
        return self.service / "components"

    @property
    def postgres(self) -> Path:
        return self.service / "postgres"

    @property
    def broker(self) -> Path:
        return self.service / "broker"

    @property
    def secrets(self) -> Path:
        return self.root / "secrets"

    @property
    def logs(self) -> Path:
        return self.root / "log"

    @property
    def run(self) -> Path:
        return self.root / "run"

    @property
    def notice(self) -> str | None:
        """What to tell the user when the services' files are not below `root`."""
        if self.service == self.root:
            return None
        return (
            f"The database's user can not reach {self.root} (a directory above it is private), "
            f"so programs and data of the services are kept in {self.service}."
        )


def service_user(preferred: str) -> ServiceUser | None:
    """The account for a service: `preferred` if it exists, else nobody; None when we are not root."""
    if os.geteuid() != 0:
        return None
    for name in (preferred, "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        if entry.pw_uid != 0:
            return ServiceUser(name, entry.pw_uid, entry.pw_gid)
    return ServiceUser("65534", 65534, 65534)


def may_traverse(mode: int, owner_uid: int, owner_gid: int, user: ServiceUser, groups: frozenset[int]) -> bool:
    """Whether `user` may walk through a directory of this mode and owner (POSIX permissions)."""
    if owner_uid == user.uid:
        return bool(mode & stat.S_IXUSR)
    if owner_gid == user.gid or owner_gid in groups:
        return bool(mode & stat.S_IXGRP)
    return bool(mode & stat.S_IXOTH)


def can_reach(path: Path, user: ServiceUser | None) -> bool:
    """Whether `user` (None: ourselves) can walk to `path`; parts that do not exist yet count as ours."""
    if user is None:
        return True
    # Services start with --clear-groups: supplementary groups do not count.
    for directory in (path, *path.parents):
        try:
            status = directory.stat()
        except FileNotFoundError:
            continue
        if not may_traverse(status.st_mode, status.st_uid, status.st_gid, user, frozenset()):
            return False
    return True


def open_places(root: Path, *, fallback_parent: Path = FALLBACK_PARENT) -> Places:
    """Make and choose the directories of the stack below `root`.

    Raises:
        UnreachableError: there are data below `root` that the services' user can no longer reach.
        DirectoryUnusableError: a directory can not be made or written.
    """
    root = root.absolute()
    try:
        return _open_places(root, fallback_parent)
    except OSError as error:
        raise DirectoryUnusableError(Path(error.filename or root), error) from None


def _open_places(root: Path, fallback_parent: Path) -> Places:
    make_directory(root)
    users = [user for user in (service_user("postgres"), service_user("mosquitto")) if user is not None]
    service = _recorded_service(root)
    if service is None:
        unable = next((user for user in users if not can_reach(root, user)), None)
        service = root if unable is None else fallback_parent / f"greenpark-{secrets.token_hex(6)}"
        if unable is not None and (root / "postgres/data").exists():
            raise UnreachableError(root, unable.name)
    places = Places(root=root, service=service)
    if service != root:
        make_directory(service)
        (service / _BELONGS_TO).write_text(f"{root}\n")
        (root / _SERVICE_DIRECTORY).write_text(f"{service}\n")
    make_directory(places.secrets, mode=0o700)
    for directory in (places.logs, places.run, places.components):
        make_directory(directory)
        if not os.access(directory, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(directory))
    return places


def _recorded_service(root: Path) -> Path | None:
    """The place chosen for `root` before; it stays, whatever became reachable meanwhile.

    A new var directory at an old path starts anew, a moved one keeps its data, a copy shares them with nobody.
    """
    try:
        service = Path((root / _SERVICE_DIRECTORY).read_text().strip())
        owner = Path((service / _BELONGS_TO).read_text().strip())
    except OSError:
        return None
    return None if owner != root and (owner / _SERVICE_DIRECTORY).exists() else service


def make_directory(path: Path, *, mode: int = 0o755, owner: ServiceUser | None = None) -> Path:
    """Make a directory whatever the umask; directories that exist keep their mode."""
    if not path.is_dir():
        if not path.parent.is_dir():
            make_directory(path.parent)
        path.mkdir(exist_ok=True)
        path.chmod(mode)
    if owner is not None and path.stat().st_uid != owner.uid:
        os.chown(path, owner.uid, owner.gid)
    return path


def write_private(path: Path, text: str, *, owner: ServiceUser | None = None) -> None:
    """Write a file that only its owner can read, at once or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
        if owner is not None:
            os.fchown(file.fileno(), owner.uid, owner.gid)
    temporary.replace(path)
