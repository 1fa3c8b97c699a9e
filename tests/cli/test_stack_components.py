"""Components are found or brought, whole or not at all, and what is missing is named with its remedy."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cli.stack import apt, components
from cli.stack.components import (
    MOSQUITTO,
    Components,
    bring_mosquitto,
    bring_postgres,
    installed_postgres,
    is_complete,
    own_broker_url,
    own_database_url,
    parse_control_version,
    parse_mosquitto_version,
)
from cli.stack.errors import ComponentMissingError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cli.stack.places import Places

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")

DEB822 = """\
Types: deb
# a comment between the fields
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb deb-src
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 abc
 -----END PGP PUBLIC KEY BLOCK-----

Types: deb
Enabled: no
URIs: http://off.example/debian
Suites: bookworm
Components: main

Types: deb-src
URIs: http://source.example/debian
Suites: bookworm
Components: main
"""


def test_the_machines_own_mirror_serves_the_newer_release() -> None:
    """Suites are those of Debian 13, on the mirrors that the machine uses for its own; nothing else."""
    text = apt.private_sources(apt.parse_deb822(DEB822), codename="bookworm", keyring=KEYRING)
    options = f"[target=Packages signed-by={KEYRING}]"
    assert (text or "").splitlines() == [
        f"deb {options} http://mirror.example/debian trixie main",
        f"deb {options} http://mirror.example/debian trixie-updates main",
        f"deb {options} http://mirror.example/debian-security trixie-security main",
    ]


def test_both_formats_of_package_sources_are_read() -> None:
    """The one-line format with options, comments and third parties, too."""
    sources = apt.parse_one_line(
        "# deb http://no.example/debian bookworm main\n"
        "deb [arch=amd64 signed-by=/k.gpg] http://mirror.example/debian bookworm main contrib # local\n"
        "deb-src http://mirror.example/debian bookworm main\n"
        "deb [trusted=yes] file:/srv/debian bookworm-security main\n"
        "deb https://vendor.example/apt stable main\n"
    )
    assert [source.uris[0] for source in sources] == [
        "http://mirror.example/debian",
        "file:/srv/debian",
        "https://vendor.example/apt",
    ]
    assert sources[0] == apt.Source(
        ("http://mirror.example/debian",), ("bookworm",), ("main", "contrib"), signed_by="/k.gpg"
    )
    assert sources[1].trusted


def test_a_machine_without_a_debian_mirror_is_told_apart() -> None:
    """Security updates or a vendor's repository alone are no mirror of the main archive."""
    only_security = [apt.Source(("http://m.example",), ("bookworm-security",), ("main",))]
    assert apt.private_sources(only_security, codename="bookworm", keyring=KEYRING) is None
    vendor = [apt.Source(("http://m.example",), ("bookworm",), ("vendor",))]
    assert apt.private_sources(vendor, codename="bookworm", keyring=KEYRING) is None


def test_the_key_of_a_mirror_is_used_where_debians_own_is_absent() -> None:
    """Packages are verified with a key in any case."""
    sources = [apt.Source(("http://m.example",), ("trixie",), ("main",), signed_by="/own.gpg")]
    assert "signed-by=/own.gpg" in (apt.private_sources(sources, codename="trixie", keyring=None) or "")


def test_the_private_apt_leaves_the_machines_alone(tmp_path: Path) -> None:
    """Every directory is ours, and no hook of the machine runs."""
    text = apt.render_config(tmp_path)
    for name in ("Dir::State", "Dir::State::status", "Dir::Cache", "Dir::Etc::sourcelist", "Dir::Log"):
        assert f'{name} "{tmp_path}/' in text
    assert "#clear APT::Update::Post-Invoke;" in text
    assert "#clear DPkg::Post-Invoke;" in text


def test_of_a_dependency_closure_only_programs_and_libraries_are_fetched() -> None:
    """Perl, locales and the compiler of the JIT stay away: two thirds of the download."""
    output = (
        "'http://m/p.deb' postgresql-17_17.11-0+deb13u1_amd64.deb 16678028 MD5Sum:00\n"
        "'http://m/l.deb' libllvm19_1%3a19.1.7-3_amd64.deb 25978316 MD5Sum:00\n"
        "'http://m/c.deb' libc6_2.41-12_amd64.deb 2846580 MD5Sum:00\n"
        "'http://m/x.deb' perl-base_5.40.1-6_amd64.deb 1666320 MD5Sum:00\n"
        "'http://m/b.deb' libc-bin_2.41-12_amd64.deb 638452 MD5Sum:00\n"
        "W: some warning\n"
    )
    packages = apt.parse_uris(output)
    assert len(packages) == 5
    assert apt.needed(packages, ["postgresql-17"]) == [
        apt.Package("postgresql-17", 16678028),
        apt.Package("libc6", 2846580),
    ]


def test_versions_are_read_from_what_the_programs_say() -> None:
    """A control file and a help text name them."""
    assert parse_control_version("comment = 'x'\ndefault_version = '2.19.3'\n") == (2, 19, 3)
    assert parse_control_version("default_version = ''") is None
    assert parse_mosquitto_version("mosquitto version 2.0.11\n\nmosquitto is an MQTT broker.") == (2, 0, 11)
    assert parse_mosquitto_version("command not found") is None


def test_a_server_without_timescaledb_or_with_an_old_one_is_not_usable(tmp_path: Path) -> None:
    """A PostgreSQL alone does not do, nor a TimescaleDB below 2.19."""
    for name in ("postgres", "initdb"):
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text("#!/bin/sh\necho 'postgres (PostgreSQL) 17.5'\n")
        program.chmod(0o755)
    assert components._postgres_at(tmp_path / "bin", tmp_path / "share", private=False) is None
    control = tmp_path / "share/extension/timescaledb.control"
    control.parent.mkdir(parents=True)
    control.write_text("default_version = '2.18.2'\n")
    assert components._postgres_at(tmp_path / "bin", tmp_path / "share", private=False) is None
    control.write_text("default_version = '2.20.0'\n")
    found = components._postgres_at(tmp_path / "bin", tmp_path / "share", private=False)
    assert found is not None
    assert (found.major, found.timescaledb_version) == (17, "2.20.0")


def test_an_own_server_is_taken_from_the_environment() -> None:
    """An empty value counts as none."""
    assert own_database_url({"GREENPARK_DATABASE_URL": "postgresql://x"}) == "postgresql://x"
    assert own_database_url({"GREENPARK_DATABASE_URL": ""}) is None
    assert own_broker_url({}) is None


def test_a_set_up_without_a_manifest_or_for_another_path_does_not_count(tmp_path: Path) -> None:
    """Half-made, moved and older prefixes are made again."""
    assert not is_complete(tmp_path, MOSQUITTO)
    manifest = tmp_path / "greenpark.json"
    manifest.write_text('{"format": 1, "comp')
    assert not is_complete(tmp_path, MOSQUITTO)
    right = {"format": 1, "component": MOSQUITTO, "prefix": str(tmp_path)}
    for wrong in ({"prefix": "/elsewhere"}, {"format": 0}, {"component": "TimescaleDB"}):
        manifest.write_text(json.dumps(right | wrong))
        assert not is_complete(tmp_path, MOSQUITTO)
    manifest.write_text(json.dumps(right))
    assert is_complete(tmp_path, MOSQUITTO)


@pytest.mark.parametrize("missing", ["system", "apt", "mirror"])
def test_what_can_not_be_brought_is_named_with_the_command_that_installs_it(
    missing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a foreign system, without apt, or without a mirror: what, why, the command and the way around."""
    if missing == "system":
        monkeypatch.setattr(apt, "read_os_release", lambda _text: {"ID": "fedora", "PRETTY_NAME": "Fedora 44"})
    elif missing == "apt":
        monkeypatch.setattr(apt, "read_os_release", lambda _text: {"ID": "debian"})
        monkeypatch.setattr(components.shutil, "which", lambda _name: None)
    else:
        monkeypatch.setattr(apt, "read_os_release", lambda _text: {"ID": "debian", "VERSION_CODENAME": "bookworm"})
        monkeypatch.setattr(apt, "machine_sources", list)
    monkeypatch.setattr(components, "can_reach", lambda _path, _user: True)
    with pytest.raises(ComponentMissingError) as caught:
        bring_postgres(tmp_path, installed=False)
    message = str(caught.value)
    assert {"system": "Fedora 44", "apt": "apt-get is not here", "mirror": "no mirror"}[missing] in message
    assert "apt-get install --no-install-recommends postgresql-17 postgresql-17-timescaledb" in message
    assert "GREENPARK_DATABASE_URL" in message
    with pytest.raises(ComponentMissingError, match=r"(?s)mosquitto.*GREENPARK_BROKER_URL"):
        bring_mosquitto(tmp_path, installed=False)


def test_a_machine_without_time_zones_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server would not start without them."""
    monkeypatch.setattr(components, "_ZONEINFO", tmp_path)
    with pytest.raises(ComponentMissingError, match="apt-get install tzdata"):
        bring_postgres(tmp_path)


@pytest.mark.stack
def test_found_components_are_the_real_ones(components: Components) -> None:
    """PostgreSQL 15 or later with TimescaleDB 2.19 or later, and mosquitto 2, found again at once."""
    assert components.postgres.major >= 15
    assert tuple(map(int, components.postgres.timescaledb_version.split("."))) >= (2, 19)
    assert components.mosquitto.version >= (2, 0)
    if not components.postgres.private:
        assert installed_postgres() == components.postgres


def _start_bringing(directory: Path, stop_at: str = "") -> subprocess.Popen[str]:
    """Bring mosquitto privately in another process, which says each step; it halts at `stop_at`."""
    script = (
        "import sys, time, pathlib\n"
        "from cli.stack.components import bring_mosquitto\n"
        "def say(component, step, done, total):\n"
        "    if not done: print(step, flush=True)\n"
        "    if step == sys.argv[2]: time.sleep(60)\n"
        "print(bring_mosquitto(pathlib.Path(sys.argv[1]), installed=False, progress=say).server)\n"
    )
    argv: Sequence[str] = [sys.executable, "-c", script, str(directory), stop_at]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)


@pytest.mark.stack
def test_a_killed_set_up_is_made_again_and_two_at_once_make_one(components: Components, reachable: Path) -> None:
    """Kill -9 while unpacking leaves nothing that counts; of two further set-ups the second only waits."""
    if not components.mosquitto.private:
        pytest.skip("mosquitto is installed here, so nothing was brought")
    killed = _start_bringing(reachable, stop_at="link")
    with killed:
        assert killed.stdout is not None
        assert any(line == "link\n" for line in killed.stdout)
        killed.send_signal(signal.SIGKILL)
    assert not is_complete(reachable / "mosquitto", MOSQUITTO)

    with _start_bringing(reachable) as one, _start_bringing(reachable) as two:
        said = [process.communicate(timeout=60)[0].splitlines() for process in (one, two)]
    assert one.returncode == two.returncode == 0
    assert sorted("waiting for another set-up" in lines for lines in said) == [False, True]
    assert sum("download" in lines for lines in said) == 1
    assert said[0][-1] == said[1][-1] == str(reachable / "mosquitto/usr/sbin/mosquitto")
    assert sorted(file.name for file in reachable.iterdir()) == [".lock", "mosquitto"]


@pytest.fixture
def reachable(stack_places: Places) -> Path:
    """A directory that the services' users can reach."""
    directory = stack_places.service / "bring"
    directory.mkdir()
    return directory
