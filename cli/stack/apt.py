"""A private apt: packages of Debian 13 downloaded and verified without touching the host.

All of apt's directories lie below one of ours, so it needs no root and changes nothing on the machine.
Mirror and keyring are those the machine itself uses.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cli.stack.errors import ComponentSetupError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

RELEASE = "trixie"
KEYRINGS = (
    Path("/usr/share/keyrings/debian-archive-keyring.gpg"),
    Path("/usr/share/keyrings/debian-archive-keyring.pgp"),
)

# In the closure of our packages by their maintainer scripts, or by the JIT that we switch off.
_NOT_NEEDED = re.compile(
    r"^(libllvm\d+|libz3-4|libedit2|libffi8|libbsd0|libmd0|libperl.*|lib.*-perl|libgdbm.*|libc-bin|libc-l10n"
    r"|libpam-modules.*|lib(audit|semanage)-common|libsemanage2|libsepol2|libdebconfclient0|libproc2-0"
    r"|libsasl2-modules.*|libcrypt1|libdb5.3.*)$"
)
_KEPT = frozenset({"libcrypt1", "libdb5.3t64", "libmd0"})


@dataclass(frozen=True, slots=True)
class Source:
    """One entry of the machine's package sources."""

    uris: tuple[str, ...]
    suites: tuple[str, ...]
    components: tuple[str, ...]
    signed_by: str | None = None
    trusted: bool = False


@dataclass(frozen=True, slots=True)
class Package:
    """A package to fetch: name and compressed size."""

    name: str
    size_bytes: int


def read_os_release(text: str) -> dict[str, str]:
    """Key-value pairs of os-release(5)."""
    pairs = (line.split("=", 1) for line in text.splitlines() if "=" in line and not line.startswith("#"))
    return {key.strip(): value.strip().strip("\"'") for key, value in pairs}


def parse_deb822(text: str) -> list[Source]:
    """The binary sources of a ``*.sources`` file; disabled entries are left out."""
    sources: list[Source] = []
    for stanza in re.split(r"\n[ \t]*\n", text):
        fields: dict[str, str] = {}
        key = ""
        for line in stanza.splitlines():
            if line.startswith("#"):
                continue
            if line[:1] in {" ", "\t"}:
                fields[key] = f"{fields.get(key, '')}\n{line.strip()}"
            elif ":" in line:
                key, value = line.split(":", 1)
                key = key.strip().lower()
                fields[key] = value.strip()
        if "deb" not in fields.get("types", "").split() or fields.get("enabled", "yes").lower() == "no":
            continue
        signed_by = fields.get("signed-by", "").strip()
        sources.append(
            Source(
                uris=tuple(fields.get("uris", "").split()),
                suites=tuple(fields.get("suites", "").split()),
                components=tuple(fields.get("components", "").split()),
                # A key may also stand in the file itself: then the archive keyring has to do.
                signed_by=signed_by if signed_by.startswith("/") else None,
                trusted=fields.get("trusted", "no").lower() == "yes",
            )
        )
    return sources


def parse_one_line(text: str) -> list[Source]:
    """The binary sources of a ``sources.list`` file."""
    sources: list[Source] = []
    for raw in text.splitlines():
        found = re.match(r"^\s*deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)\s*([^#]*)", raw)
        if not found:
            continue
        options = dict(pair.split("=", 1) for pair in (found[1] or "").split() if "=" in pair)
        signed_by = options.get("signed-by", "")
        sources.append(
            Source(
                uris=(found[2],),
                suites=(found[3],),
                components=tuple(found[4].split()),
                signed_by=signed_by if signed_by.startswith("/") else None,
                trusted=options.get("trusted", "no") == "yes",
            )
        )
    return sources


def machine_sources(directory: Path = Path("/etc/apt")) -> list[Source]:
    """All package sources that the machine uses and that we may read."""
    sources: list[Source] = []
    files = [directory / "sources.list", *sorted((directory / "sources.list.d").glob("*"))]
    for file in files:
        try:
            text = file.read_text("utf-8", "replace")
        except OSError:
            continue
        if file.suffix == ".list":
            sources += parse_one_line(text)
        elif file.suffix == ".sources":
            sources += parse_deb822(text)
    return sources


def private_sources(
    sources: Iterable[Source], *, codename: str, release: str = RELEASE, keyring: Path | None
) -> str | None:
    """A ``sources.list`` for `release` on the mirror that serves `codename`, or None if there is none."""
    suites = {
        f"{name}{part}": f"{release}{part}"
        for name in (codename, "stable", "oldstable")
        for part in ("", "-updates", "-security")
    }
    lines: dict[str, None] = {}
    has_main = False
    for source in sources:
        if "main" not in source.components:
            continue
        key = keyring or (Path(source.signed_by) if source.signed_by else None)
        # Only the lists of packages: no translations, icons or file lists.
        options = ["target=Packages"]
        if source.trusted:
            options.append("trusted=yes")
        elif key is not None:
            options.append(f"signed-by={key}")
        for wanted in (suites[suite] for suite in source.suites if suite in suites):
            has_main = has_main or wanted == release
            lines |= {f"deb [{' '.join(options)}] {uri} {wanted} main": None for uri in source.uris}
    return "\n".join(lines) + "\n" if has_main else None


def render_config(directory: Path) -> str:
    """An apt.conf that keeps every file below `directory`; read last, so it wins over the machine's.

    The hooks are cleared because those of containers delete the host's package cache.
    """
    hooks = ("Pre-Invoke", "Post-Invoke", "Post-Invoke-Success", "Pre-Install-Pkgs", "Post-Install-Pkgs")
    cleared = "".join(f"#clear {group}::{hook};\n" for group in ("APT::Update", "DPkg") for hook in hooks)
    return f"""{cleared}Dir::Etc::sourcelist "{directory}/sources.list";
Dir::Etc::sourceparts "{directory}/none";
Dir::Etc::preferences "{directory}/none/preferences";
Dir::Etc::preferencesparts "{directory}/none";
Dir::State "{directory}/state";
Dir::State::lists "{directory}/state/lists";
Dir::State::status "{directory}/state/status";
Dir::Cache "{directory}/cache";
Dir::Cache::archives "{directory}/cache/archives";
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
Dir::Log "{directory}/log";
APT::Sandbox::User "";
APT::Install-Recommends "false";
APT::Default-Release "";
APT::Get::AllowUnauthenticated "false";
Acquire::Languages "none";
Acquire::Retries "3";
Acquire::http::Timeout "30";
"""


def parse_uris(output: str) -> list[Package]:
    """Packages of ``apt-get install --print-uris``: lines of quoted address, file name, size, hash."""
    packages: list[Package] = []
    for line in output.splitlines():
        found = re.match(r"^'[^']*'\s+([^_\s]+)_\S+\.deb\s+(\d+)\s", line)
        if found:
            packages.append(Package(found[1], int(found[2])))
    return packages


def needed(packages: Iterable[Package], wanted: Iterable[str]) -> list[Package]:
    """Of a dependency closure, what our programs load: the wanted packages, their libraries."""
    keep = set(wanted)
    return [
        package
        for package in packages
        if package.name in keep
        or package.name in _KEPT
        or (package.name.startswith("lib") and not _NOT_NEEDED.match(package.name))
    ]


class PrivateApt:
    """apt-get with all its directories below `directory`."""

    def __init__(self, directory: Path, sources_list: str, environ: Mapping[str, str]) -> None:
        self._directory = directory
        self._config = directory / "apt.conf"
        self._environ = {**environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}
        for name in ("state/lists/partial", "cache/archives/partial", "log", "none", "debs"):
            (directory / name).mkdir(parents=True, exist_ok=True)
        (directory / "state/status").touch()
        listing = directory / "sources.list"
        listing.touch(mode=0o600)  # a mirror's address may carry a password
        listing.write_text(sources_list)
        self._config.write_text(render_config(directory))

    def update(self, component: str) -> None:
        """Fetch the package lists."""
        self._run(component, "package lists", ["update", "-o", "APT::Update::Error-Mode=any"])

    def resolve(self, component: str, wanted: Sequence[str]) -> list[Package]:
        """Everything that installing `wanted` on an empty machine would fetch."""
        output = self._run(
            component, "dependencies", ["install", "--yes", "--print-uris", "--no-install-recommends", *wanted]
        )
        packages = parse_uris(output)
        missing = sorted(set(wanted) - {package.name for package in packages})
        if missing:
            raise ComponentSetupError(component, step="dependencies", detail=f"no such package: {missing}")
        return packages

    def download(self, component: str, packages: Sequence[Package], tick: Callable[[int, int], None]) -> list[Path]:
        """Download and verify packages; `tick` is told (bytes so far, bytes in all)."""
        target = self._directory / "debs"
        shutil.rmtree(target)
        target.mkdir()
        total = sum(package.size_bytes for package in packages)
        log = self._directory / "log/download.log"
        with log.open("w") as sink:
            process = subprocess.Popen(  # noqa: S603 - a fixed program, no shell
                self._argv(["download", *(package.name for package in packages)]),
                cwd=target,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                env=self._environ,
            )
            try:
                while process.poll() is None:
                    time.sleep(0.1)
                    tick(min(total, _size_bytes((target, self._directory / "cache"))), total)
            except BaseException:
                process.kill()
                process.wait()
                raise
        if process.returncode != 0:
            raise ComponentSetupError(component, step="download", detail=_last_lines(log.read_text()))
        return sorted(target.glob("*.deb"))

    def _argv(self, arguments: Sequence[str]) -> list[str]:
        return ["apt-get", "-q", "-c", str(self._config), *arguments]

    def _run(self, component: str, step: str, arguments: Sequence[str]) -> str:
        done = subprocess.run(  # noqa: S603 - a fixed program, no shell
            self._argv(arguments),
            cwd=self._directory,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env=self._environ,
            check=False,
        )
        if done.returncode != 0:
            raise ComponentSetupError(component, step=step, detail=_last_lines(done.stderr or done.stdout))
        return done.stdout


def _size_bytes(directories: Iterable[Path]) -> int:
    total = 0
    for directory in directories:
        for file in directory.rglob("*.deb"):
            try:
                total += file.stat().st_size
            except FileNotFoundError:  # moved out of partial/ meanwhile
                continue
    return total


def _last_lines(text: str, count: int = 5) -> str:
    """The errors in apt's output, or its end, with passwords in addresses blanked."""
    lines = [re.sub(r"//[^/@\s]+@", "//***@", line) for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("E: ")]
    return " | ".join((errors or lines)[-count:]) or "no output"
