"""Find or bring the real components: PostgreSQL with TimescaleDB, and mosquitto.

What is installed and usable is used. Else, on Debian, the packages of Debian 13 are unpacked into a private
prefix together with the libraries they need (their own C library included), so the same versions run on
Debian 12 and 13, without root, and the host stays as it was. `patchelf` writes the prefix's loader and
library path into the programs; it comes from the same packages.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from cli.stack import apt
from cli.stack.errors import ComponentMissingError, ComponentSetupError
from cli.stack.places import can_reach, make_directory, service_user

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

TIMESCALEDB = "TimescaleDB"
MOSQUITTO = "mosquitto"
BROWSER = "Chromium"
"""For the tests of the live board; nothing that is shipped needs it."""
MIN_POSTGRES = 15
MIN_TIMESCALEDB = (2, 19)
_PACKAGES = {
    TIMESCALEDB: ("postgresql-17", "postgresql-17-timescaledb", "postgresql-client-17"),
    MOSQUITTO: ("mosquitto", "mosquitto-clients"),
    # A browser needs letters: Latin, and Chinese ones that weigh little.
    BROWSER: (
        "chromium-headless-shell",
        "chromium-common",
        "fontconfig-config",
        "fonts-dejavu-core",
        "fonts-droid-fallback",
    ),
}
_INSTALL = {
    TIMESCALEDB: (
        "apt-get install --no-install-recommends postgresql-17 postgresql-17-timescaledb   (Debian 13, as root)"
    ),
    MOSQUITTO: "apt-get install --no-install-recommends mosquitto mosquitto-clients   (Debian, as root)",
    BROWSER: "apt-get install --no-install-recommends chromium-headless-shell   (Debian, as root)",
}
_INSTEAD = {
    TIMESCALEDB: "name your own server in GREENPARK_DATABASE_URL (PostgreSQL >= 15, TimescaleDB >= 2.19).",
    MOSQUITTO: "name your own MQTT 5 broker in GREENPARK_BROKER_URL.",
    BROWSER: "leave its tests out on this machine: GREENPARK_NO_BROWSER=1",
}
_MANIFEST = "greenpark.json"
_FORMAT = 1
_ZONEINFO = Path("/usr/share/zoneinfo")
_PRUNED = ("usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/lintian", "usr/share/bug", "var")


class Progress(Protocol):
    """Told of each step; `done` and `total` are bytes, both 0 where a step has no size."""

    def __call__(self, component: str, step: str, done: int, total: int, /) -> None: ...


def silent(component: str, step: str, done: int, total: int, /) -> None:
    """Progress that nobody looks at."""


@dataclass(frozen=True, slots=True)
class PostgresBinaries:
    """A PostgreSQL whose library directory holds TimescaleDB."""

    bin_directory: Path
    major: int
    timescaledb_version: str
    private: bool

    def program(self, name: str) -> str:
        return str(self.bin_directory / name)


@dataclass(frozen=True, slots=True)
class MosquittoBinaries:
    """mosquitto and its tools; the clients may be absent beside an installed broker."""

    server: Path
    passwd: Path
    version: tuple[int, ...]
    private: bool
    pub: Path | None = None
    sub: Path | None = None


@dataclass(frozen=True, slots=True)
class BrowserBinary:
    """A headless Chromium; `fonts` where it has letters of its own, None: the machine's."""

    program: Path
    fonts: Path | None


@dataclass(frozen=True, slots=True)
class Components:
    postgres: PostgresBinaries
    mosquitto: MosquittoBinaries


def own_database_url(environ: Mapping[str, str]) -> str | None:
    """The database the user brings, if any: then no PostgreSQL is needed from us."""
    return environ.get("GREENPARK_DATABASE_URL") or None


def own_broker_url(environ: Mapping[str, str]) -> str | None:
    """The broker the user brings, if any."""
    return environ.get("GREENPARK_BROKER_URL") or None


def bring(directory: Path, *, progress: Progress = silent) -> Components:
    """Find or bring both components; see `bring_postgres` and `bring_mosquitto`."""
    return Components(bring_postgres(directory, progress=progress), bring_mosquitto(directory, progress=progress))


def bring_postgres(
    directory: Path, *, major: int | None = None, installed: bool = True, progress: Progress = silent
) -> PostgresBinaries:
    """A usable PostgreSQL with TimescaleDB: the installed one, else a private one below `directory`.

    Args:
        directory: where private prefixes live; a second set-up there waits for the first.
        major: only this major version (that of existing data).
        installed: look at what is installed on the machine at all.
        progress: told of each step.

    Raises:
        ComponentMissingError: neither installed nor obtainable; the message names the command.
        ComponentSetupError: a step failed.
    """
    _require_time_zones()
    if installed and (found := installed_postgres(major=major)) is not None:
        return found
    prefix = _bring(TIMESCALEDB, directory / "timescaledb", progress)
    private = _postgres_at(prefix / "usr/lib/postgresql/17/bin", prefix / "usr", private=True)
    if private is None or (major is not None and private.major != major):
        reason = f"the data need PostgreSQL {major}" if private else f"{prefix} holds no usable server"
        raise _missing(TIMESCALEDB, reason)
    return private


def bring_mosquitto(directory: Path, *, installed: bool = True, progress: Progress = silent) -> MosquittoBinaries:
    """A usable mosquitto: the installed one, else a private one below `directory`.

    Raises:
        ComponentMissingError: neither installed nor obtainable; the message names the command.
        ComponentSetupError: a step failed.
    """
    if installed and (found := installed_mosquitto()) is not None:
        return found
    prefix = _bring(MOSQUITTO, directory / "mosquitto", progress)
    private = _mosquitto_at(prefix / "usr/sbin/mosquitto", (prefix / "usr/bin",), private=True)
    if private is None:
        raise _missing(MOSQUITTO, f"{prefix} holds no usable broker")
    return private


def bring_browser(directory: Path, *, installed: bool = True, progress: Progress = silent) -> BrowserBinary:
    """A headless Chromium: the installed one, else a private one below `directory`.

    Raises:
        ComponentMissingError: neither installed nor obtainable; the message names the command.
        ComponentSetupError: a step failed.
    """
    for name in ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome") if installed else ():
        found = shutil.which(name)
        if found is not None:
            return BrowserBinary(Path(found), None)
    prefix = _bring(BROWSER, directory / "chromium", progress)
    program = prefix / "usr/lib/chromium/chromium-headless-shell"
    if not os.access(program, os.X_OK):
        raise _missing(BROWSER, f"{prefix} holds no usable browser")
    return BrowserBinary(program, prefix / "usr/share/fonts")


def installed_postgres(*, major: int | None = None) -> PostgresBinaries | None:
    """The newest installed PostgreSQL that has TimescaleDB, or None."""
    for number in (major,) if major is not None else range(18, MIN_POSTGRES - 1, -1):
        for base, share in (
            (Path(f"/usr/lib/postgresql/{number}"), Path(f"/usr/share/postgresql/{number}")),
            (Path(f"/usr/pgsql-{number}"), Path(f"/usr/pgsql-{number}/share")),
        ):
            found = _postgres_at(base / "bin", share, private=False)
            if found is not None:
                return found
    return None


def installed_mosquitto() -> MosquittoBinaries | None:
    """The installed mosquitto 2, or None."""
    search = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin", "/usr/bin"))
    server = shutil.which("mosquitto", path=search)
    if server is None:
        return None
    return _mosquitto_at(Path(server), tuple(map(Path, search.split(os.pathsep))), private=False)


def parse_control_version(text: str) -> tuple[int, ...] | None:
    """The default version in an extension's control file, as numbers."""
    found = re.search(r"^\s*default_version\s*=\s*'(\d+(?:\.\d+)*)", text, re.MULTILINE)
    return tuple(map(int, found[1].split("."))) if found else None


def parse_mosquitto_version(text: str) -> tuple[int, ...] | None:
    """The version that ``mosquitto -h`` prints."""
    found = re.search(r"mosquitto version (\d+(?:\.\d+)+)", text)
    return tuple(map(int, found[1].split("."))) if found else None


def _postgres_at(bin_directory: Path, share: Path, *, private: bool) -> PostgresBinaries | None:
    programs = [bin_directory / name for name in ("postgres", "initdb")]
    if not all(os.access(program, os.X_OK) for program in programs):
        return None
    controls = (
        share / "extension/timescaledb.control",
        *sorted(share.glob("share/postgresql/*/extension/timescaledb.control")),
    )
    control = next((file for file in controls if file.is_file()), None)
    version = parse_control_version(control.read_text()) if control else None
    if version is None or version < MIN_TIMESCALEDB:
        return None
    said = _output([str(programs[0]), "--version"])
    found = re.search(r"\(PostgreSQL\) (\d+)", said)
    if not found or int(found[1]) < MIN_POSTGRES:
        return None
    return PostgresBinaries(bin_directory, int(found[1]), ".".join(map(str, version)), private)


def _mosquitto_at(server: Path, directories: Sequence[Path], *, private: bool) -> MosquittoBinaries | None:
    def tool(name: str) -> Path | None:
        found = shutil.which(name, path=os.pathsep.join(map(str, directories)))
        return Path(found) if found else None

    version = parse_mosquitto_version(_output([str(server), "-h"]))
    passwd = tool("mosquitto_passwd")
    if version is None or version < (2, 0) or passwd is None:
        return None
    return MosquittoBinaries(server, passwd, version, private, pub=tool("mosquitto_pub"), sub=tool("mosquitto_sub"))


def _output(argv: Sequence[str]) -> str:
    """What a program prints, or nothing if it can not be run: its exit code says little for ``-h``."""
    try:
        done = subprocess.run(  # noqa: S603 - a fixed program, no shell
            argv, capture_output=True, text=True, timeout=20, check=False, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout


def _missing(component: str, reason: str) -> ComponentMissingError:
    return ComponentMissingError(component, reason=reason, command=_INSTALL[component], instead=_INSTEAD[component])


def is_complete(prefix: Path, component: str) -> bool:
    """Whether `prefix` is a finished set-up made for this very path (the programs hold it)."""
    try:
        manifest = json.loads((prefix / _MANIFEST).read_text())
    except (OSError, ValueError):
        return False
    expected = {"format": _FORMAT, "prefix": str(prefix), "component": component}
    return isinstance(manifest, dict) and all(manifest.get(key) == value for key, value in expected.items())


def _bring(component: str, prefix: Path, progress: Progress) -> Path:
    prefix = prefix.resolve()
    if is_complete(prefix, component):
        return prefix
    _explain_unreachable(component, prefix)
    sources = _debian_sources(component)
    make_directory(prefix.parent)
    with _only_one(prefix.parent / ".lock", component, progress):
        if is_complete(prefix, component):  # the other set-up made it
            return prefix
        _set_up(component, prefix, sources, progress)
    return prefix


def _require_time_zones() -> None:
    """Debian's PostgreSQL reads the machine's time zones, private or not; without them it does not start."""
    if not (_ZONEINFO / "Asia/Shanghai").exists():
        raise ComponentMissingError(
            "tzdata",
            reason=f"there are no time zones in {_ZONEINFO}",
            command="apt-get install tzdata   (as root)",
            instead=_INSTEAD[TIMESCALEDB],
        )


def _explain_unreachable(component: str, prefix: Path) -> None:
    if component == BROWSER:  # runs as whoever tests
        return
    user = service_user("postgres" if component == TIMESCALEDB else "mosquitto")
    if not can_reach(prefix.parent, user):
        raise _missing(component, f"user {user.name if user else ''} could not run programs below {prefix.parent}")


def _debian_sources(component: str) -> str:
    try:
        release = apt.read_os_release(Path("/etc/os-release").read_text())
    except OSError:
        release = {}
    if release.get("ID") != "debian":
        name = release.get("PRETTY_NAME", "this system")
        raise _missing(component, f"{name} is not Debian, and only Debian's packages can be unpacked privately")
    for program in ("apt-get", "dpkg-deb"):
        if shutil.which(program) is None:
            raise _missing(component, f"{program} is not here")
    keyring = next((file for file in apt.KEYRINGS if file.is_file()), None)
    sources = apt.private_sources(apt.machine_sources(), codename=release.get("VERSION_CODENAME", ""), keyring=keyring)
    if sources is None:
        raise _missing(component, "the machine's package sources in /etc/apt name no mirror of Debian's main archive")
    return sources


@contextmanager
def _only_one(lock: Path, component: str, progress: Progress) -> Iterator[None]:
    """Hold `lock`; wait while another set-up holds it."""
    with lock.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress(component, "waiting for another set-up", 0, 0)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _set_up(component: str, prefix: Path, sources: str, progress: Progress) -> None:
    """Unpack beside the prefix, rename, check, and only then write the manifest that makes it valid."""
    if prefix.exists():
        shutil.rmtree(prefix)
    work = prefix.with_name(f".{prefix.name}.new")
    shutil.rmtree(work, ignore_errors=True)
    try:
        tree = work / "tree"
        tree.mkdir(parents=True)
        work.chmod(0o755)
        tree.chmod(0o755)
        archive = apt.PrivateApt(work / "apt", sources, os.environ)
        progress(component, "package lists", 0, 0)
        archive.update(component)
        progress(component, "dependencies", 0, 0)
        wanted = (*_PACKAGES[component], "patchelf")
        packages = apt.needed(archive.resolve(component, wanted), wanted)
        files = archive.download(component, packages, lambda done, total: progress(component, "download", done, total))
        for number, file in enumerate(files):
            progress(component, "unpack", number, len(files))
            _run(component, "unpack", ["dpkg-deb", "--extract", str(file), str(tree)])
        progress(component, "link", 0, 0)
        _prune(tree)
        _link(component, tree, prefix)
        tree.rename(prefix)
        _check(component, prefix)
        manifest = {
            "format": _FORMAT,
            "component": component,
            "prefix": str(prefix),
            "packages": [file.stem for file in files],
            "made": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        }
        temporary = prefix / f".{_MANIFEST}"
        temporary.write_text(json.dumps(manifest, indent=1) + "\n")
        temporary.replace(prefix / _MANIFEST)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    progress(component, "ready", 0, 0)


def _prune(tree: Path) -> None:
    for name in _PRUNED:
        shutil.rmtree(tree / name, ignore_errors=True)
    for directory in tree.glob("usr/lib/postgresql/*/lib"):
        shutil.rmtree(directory / "bitcode", ignore_errors=True)  # for the JIT only
        for file in directory.glob("llvmjit*"):
            file.unlink()


def _library_directory(tree: Path) -> Path:
    """``usr/lib/<triplet>``: where the C library was unpacked."""
    return next(tree.glob("usr/lib/*/libc.so.6")).parent


def _library_directories(libraries: Path) -> list[Path]:
    """Where libraries lie: a sound library that a browser links to keeps parts of itself below."""
    return [libraries, *(below for below in (libraries / "pulseaudio",) if below.is_dir())]


def _programs(tree: Path) -> list[Path]:
    """The ELF programs of a prefix, other than scripts and links."""
    found: list[Path] = []
    for pattern in ("usr/bin/*", "usr/sbin/*", "usr/lib/postgresql/*/bin/*", "usr/lib/chromium/*"):
        for file in sorted(tree.glob(pattern)):
            if file.is_file() and not file.is_symlink() and ".so" not in file.name:
                with file.open("rb") as opened:
                    if opened.read(4) == b"\x7fELF":
                        found.append(file)
    return found


def _link(component: str, tree: Path, prefix: Path) -> None:
    """Write the loader and library path of the final `prefix` into the programs.

    DT_RPATH, not DT_RUNPATH: only the former also holds for what a loaded extension needs.
    """
    try:
        libraries = _library_directory(tree)
    except StopIteration:
        raise ComponentSetupError(component, step="link", detail="no C library was unpacked") from None
    loader = next(iter(sorted(libraries.glob("ld-linux*.so.*"))), None)
    if loader is None:
        raise ComponentSetupError(component, step="link", detail=f"no program loader in {libraries}")
    # patchelf itself needs the new C library too: run it through its loader.
    patchelf = [str(loader), "--library-path", str(libraries), str(tree / "usr/bin/patchelf")]
    final = prefix / libraries.relative_to(tree)
    programs = [str(file) for file in _programs(tree) if file.name != "patchelf"]
    _run(component, "link", [*patchelf, "--set-interpreter", str(final / loader.name), *programs])
    rpath = ":".join(str(prefix / directory.relative_to(tree)) for directory in _library_directories(libraries))
    # A library that has a path of its own does not look where the program says.
    wayward = [str(file) for file in sorted(libraries.glob("libpulse*.so.*")) if not file.is_symlink()]
    _run(component, "link", [*patchelf, "--force-rpath", "--set-rpath", rpath, *programs, *wayward])


def _check(component: str, prefix: Path) -> None:
    """Every program starts, and what they and the extension link to is there."""
    libraries = _library_directory(prefix)
    loader = next(libraries.glob("ld-linux*.so.*"))
    path = ":".join(map(str, _library_directories(libraries)))
    extensions = sorted(prefix.glob("usr/lib/postgresql/*/lib/timescaledb*.so"))
    for file in (*_programs(prefix), *extensions):
        listed = _run(component, "check", [str(loader), "--library-path", path, "--list", str(file)])
        lost = sorted(set(re.findall(r"^\s*(\S+) => not found", listed, re.MULTILINE)))
        if lost:
            raise ComponentSetupError(component, step="check", detail=f"{file.name} lacks {', '.join(lost)}")


def _run(component: str, step: str, argv: Sequence[str]) -> str:
    done = subprocess.run(  # noqa: S603 - a fixed program, no shell
        argv, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip()[-500:]
        raise ComponentSetupError(component, step=step, detail=f"{Path(argv[0]).name}: {said}")
    return done.stdout
