"""This machine: versions, clock, time zones, disk, memory."""

from __future__ import annotations

import ctypes
import platform
import shutil
import sys
import zoneinfo
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cli.checks.finding import Finding, bad, look, ok, warn

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

GIB: Final = 1024**3
_PACKAGES: Final = (
    "msgspec",
    "typer",
    "structlog",
    "asyncpg",
    "numpy",
    "mqtt5",
    "paho-mqtt",
    "aiomqtt",
    "fastapi",
    "uvicorn",
    "pyyaml",
    "rich",
    "prometheus-client",
)
_TIME_ERROR: Final = 5
_UNSYNCHRONISED: Final = 0x40


async def examine_machine() -> list[Finding]:
    """Look at this machine."""
    return [
        *await look("python", check_python),
        *await look("packages", check_packages, _PACKAGES),
        *await look("clock", check_clock),
        *await look("time zones", check_zones),
        *await look("disk", check_disk, Path.cwd(), "disk of the working directory"),
        *await look("memory", check_memory),
    ]


def check_python() -> Finding:
    """Tell which Python this is; a version below 3.11 could not have run this program."""
    return ok("python", f"{platform.python_implementation()} {platform.python_version()} in {sys.prefix}")


def check_packages(names: Sequence[str]) -> Iterator[Finding]:
    """What a server needs is installed."""
    versions = {name: _version(name) for name in ("greenpark", *names)}
    missing = [name for name, found in versions.items() if found is None]
    if missing:
        yield bad("packages", f"missing: {', '.join(missing)}", "pip install 'greenpark[server]' into this environment")
    yield ok("packages", ", ".join(f"{name} {found}" for name, found in versions.items() if found is not None))


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


class _Timex(ctypes.Structure):
    """The beginning of the kernel's `struct timex`; the rest is room for what it writes."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_byte * 256),
    )


def check_clock() -> Finding:
    """The kernel's clock is kept in step with NTP, as the kernel itself says (what `timedatectl` shows)."""
    state = _Timex()
    try:
        answer = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(state))
    except (OSError, AttributeError):
        answer = -1
    if answer < 0:
        return warn("clock", "whether it is synchronised cannot be seen here", "on the host: timedatectl show -p NTP")
    if answer == _TIME_ERROR or state.status & _UNSYNCHRONISED:
        return warn(
            "clock",
            "the kernel says that it is not synchronised; readings more than ten minutes ahead of it are refused",
            "apt-get install systemd-timesyncd && timedatectl set-ntp true   (in a container: on its host)",
        )
    return ok("clock", f"synchronised, error at most {state.maxerror / 1e6:.3f} s")


def check_zones() -> Finding:
    """Days and months can be cut in the park's zone."""
    try:
        zoneinfo.ZoneInfo("Asia/Shanghai")
    except zoneinfo.ZoneInfoNotFoundError:
        return bad("time zones", "there is no time zone data", "apt-get install tzdata, or pip install tzdata")
    places = [place for place in zoneinfo.TZPATH if Path(place, "Asia/Shanghai").exists()]
    return ok("time zones", f"from {places[0]}" if places else f"from the package tzdata {_version('tzdata')}")


def check_disk(directory: Path, what: str) -> Finding:
    """Some space is left."""
    usage = shutil.disk_usage(directory)
    found = f"{directory}: {usage.free / GIB:.1f} of {usage.total / GIB:.1f} GiB free"
    advice = f"make room on the file system of {directory} (df -h {directory}; du -xh --max-depth=2 / | sort -h)"
    if usage.free < GIB:
        return bad(what, found, advice)
    if usage.free < 5 * GIB or usage.free < usage.total // 20:
        return warn(what, found, advice)
    return ok(what, found)


def check_memory() -> Finding:
    """Some memory is left."""
    amounts = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
    total, free = (int(amounts[name].split()[0]) * 1024 for name in ("MemTotal", "MemAvailable"))
    found = f"{free / GIB:.1f} of {total / GIB:.1f} GiB available"
    advice = "stop what else runs here (ps aux --sort=-rss | head), or give the machine more memory"
    if free < GIB // 4:
        return bad("memory", found, advice)
    if free < GIB:
        return warn("memory", found, advice)
    return ok("memory", found)
