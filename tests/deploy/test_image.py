"""The Dockerfile and the systemd units, by rules and by systemd's own check where it is there."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = (ROOT / "deploy" / "Dockerfile").read_text("utf-8")
UNITS = sorted((ROOT / "deploy" / "systemd").glob("*.service"))
LINES = [line for line in DOCKERFILE.replace("\\\n", " ").splitlines() if line and not line.startswith("#")]
PACKAGES = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["hatch"]["build"]["targets"]["wheel"][
    "packages"
]


def test_the_base_image_is_slim_and_pinned() -> None:
    """Both stages name the same full version."""
    bases = [line.split()[1] for line in LINES if line.startswith("FROM")]
    assert len(bases) == 2
    assert len(set(bases)) == 1
    assert re.fullmatch(r"python:3\.\d+\.\d+-slim-\w+", bases[0])


def test_the_process_is_not_root() -> None:
    """The last stage ends with a numeric user that is not 0, so that orchestrators can verify it."""
    last_stage = LINES[max(n for n, line in enumerate(LINES) if line.startswith("FROM")) :]
    users = [line.split()[1] for line in last_stage if line.startswith("USER")]
    assert users
    assert all(int(part) > 0 for part in users[-1].split(":"))


def test_everything_installed_is_checked_against_a_hash() -> None:
    """No install without hashes, but that of our own source, whose builders are."""
    for line in LINES:
        for command in re.findall(r"(?:uv )?pip install[^&]*", line):
            ours = command.rstrip().endswith(" .") and "--no-deps" in command
            assert "--build-constraints deploy/build.lock" in command if ours else "--require-hashes" in command


def test_no_secret_and_no_download_stand_in_the_file() -> None:
    """No ADD, no curl, no variable that looks like a secret; the build context is an allow-list."""
    assert not any(line.startswith(("ADD", "ARG")) for line in LINES)
    assert not re.search(r"curl|wget|password|token|secret", DOCKERFILE, re.IGNORECASE)
    ignored = (ROOT / "deploy" / "Dockerfile.dockerignore").read_text().splitlines()
    assert next(line for line in ignored if not line.startswith("#")) == "*"


def test_what_is_copied_exists_and_no_room_is_forgotten() -> None:
    """Each COPY finds its source, in the tree and in the build context; each package is copied."""
    allowed = {
        line[1:] for line in (ROOT / "deploy" / "Dockerfile.dockerignore").read_text().splitlines() if line[:1] == "!"
    }
    copied = set()
    for line in LINES:
        if line.startswith("COPY") and "--from" not in line:
            sources = line.split()[1:-1]
            copied |= set(sources)
            for source in sources:
                assert (ROOT / source).exists(), source
                assert source in allowed, source
    assert set(PACKAGES) <= copied
    assert copied == allowed


def test_the_builders_lock_has_a_hash_for_each_version() -> None:
    """`deploy/build.lock` pins what builds."""
    text = (ROOT / "deploy" / "build.lock").read_text()
    pinned = re.findall(r"^(\S+)==(\S+) \\$", text, re.MULTILINE)
    assert {"hatchling", "uv"} <= {name for name, _ in pinned}
    assert len(re.findall(r"--hash=sha256:[0-9a-f]{64}", text)) >= len(pinned)


def sections(unit: Path) -> dict[str, list[str]]:
    """Return the values of each key, whatever its section."""
    found: dict[str, list[str]] = {}
    for line in unit.read_text("utf-8").splitlines():
        key, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found.setdefault(key, []).append(value)
    return found


def test_there_is_a_unit_for_every_process() -> None:
    """Four rooms, the migration, and a template for gateways."""
    names = {unit.name for unit in UNITS}
    rooms = {f"greenpark-{room}.service" for room in ("ingest", "streams", "alerts", "api", "migrate")}
    assert names == rooms | {"greenpark-edge@.service"}


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_units_restart_and_are_hardened(unit: Path) -> None:
    """Restart always, no root, no privileges, a read-only system; no secret on the command line."""
    keys = sections(unit)
    if unit.name != "greenpark-migrate.service":
        assert keys["Restart"] == ["always"]
        assert keys["StartLimitIntervalSec"] == ["0"]
        room = re.match(r"greenpark-(\w+)", unit.name)[1]
        assert keys["ExecStart"][0].startswith(f"/opt/greenpark/bin/greenpark run {room}")
    assert keys["User"] == ["greenpark"]
    assert keys["NoNewPrivileges"] == ["true"]
    assert keys["ProtectSystem"] == ["strict"]
    assert keys["CapabilityBoundingSet"] == [""]
    assert keys["EnvironmentFile"]
    assert "://" not in keys["ExecStart"][0]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed here")
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_systemd_accepts_each_unit_and_finds_it_little_exposed(unit: Path, tmp_path: Path) -> None:
    """`systemd-analyze verify` and `security`, with a program that exists in the place of ours."""
    name = unit.name.replace("@.", "@gw1.")
    text = unit.read_text("utf-8").replace("/opt/greenpark/bin/greenpark", sys.executable)
    (tmp_path / name).write_text(text)
    verified = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", tmp_path / name], capture_output=True, text=True, check=False
    )
    assert (verified.returncode, verified.stderr) == (0, "")
    exposed = subprocess.run(
        ["systemd-analyze", "security", "--offline=yes", "--no-pager", tmp_path / name],
        capture_output=True,
        text=True,
        check=False,
    )
    level = re.search(r"exposure level for .*: (\d+\.\d+)", exposed.stdout)
    if level is None:
        pytest.skip(f"this systemd-analyze knows no offline check: {exposed.stderr.strip()}")
    assert float(level[1]) < 2.0
