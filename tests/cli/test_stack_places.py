"""Directories, ports and the lock of one stack."""

from __future__ import annotations

import json
import os
import shutil
import socket
import stat
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cli.stack.errors import DirectoryInUseError, NoPortError, UnreachableError
from cli.stack.lock import exclusive
from cli.stack.places import (
    ServiceUser,
    can_reach,
    may_traverse,
    open_places,
    service_user,
    write_private,
)
from cli.stack.ports import any_free, choose, stable_ports

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root hands its services to another user")
NOBODY = ServiceUser("nobody", 65534, 65534)


@pytest.mark.parametrize(
    ("mode", "uid", "gid", "expected"),
    [
        (0o755, 0, 0, True),
        (0o700, 0, 0, False),
        (0o710, 0, 0, False),
        (0o710, 0, 65534, True),
        (0o700, 65534, 0, True),
        (0o077, 65534, 65534, False),
        (0o707, 0, 65534, False),
    ],
)
def test_traversal_follows_posix_permissions(mode: int, uid: int, gid: int, expected: bool) -> None:
    """The first class that fits decides: owner, then group, then the others."""
    assert may_traverse(mode, uid, gid, NOBODY, frozenset()) is expected


def test_a_private_directory_anywhere_above_makes_a_path_unreachable(tmp_path: Path) -> None:
    """What counts is every directory on the way, also when the end does not exist yet."""
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    assert not can_reach(home / "checkout/var", NOBODY)
    assert can_reach(home / "checkout/var", None)


@AS_ROOT
def test_services_move_out_of_a_private_home_and_say_so(tmp_path: Path) -> None:
    """Below a 0700 home, what the services use goes elsewhere; secrets and logs stay."""
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    places = open_places(home / "var", fallback_parent=tmp_path / "lib")
    assert places.root == home / "var"
    assert places.service.parent == tmp_path / "lib"
    assert (places.service / "belongs-to").read_text().strip() == str(home / "var")
    assert str(places.service) in (places.notice or "")
    assert places.secrets.is_relative_to(home)
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert open_places(home / "var", fallback_parent=tmp_path / "lib") == places


@AS_ROOT
def test_data_outside_follow_their_directory_and_are_never_shared(tmp_path: Path) -> None:
    """A moved directory keeps its data, a copy and a new one at the old path get places of their own."""
    home, lib = tmp_path / "home", tmp_path / "lib"
    home.mkdir(mode=0o700)
    first = open_places(home / "var", fallback_parent=lib).service
    shutil.copytree(home / "var", home / "copy")
    assert open_places(home / "copy", fallback_parent=lib).service != first
    (home / "var").rename(home / "moved")
    assert open_places(home / "moved", fallback_parent=lib).service == first
    assert open_places(home / "var", fallback_parent=lib).service != first


@AS_ROOT
def test_data_that_became_unreachable_are_not_replaced_by_an_empty_database(tmp_path: Path) -> None:
    """The refusal names the user and the two ways out."""
    home = tmp_path / "home"
    (home / "var/postgres/data").mkdir(parents=True)
    home.chmod(0o700)
    with pytest.raises(UnreachableError, match="chmod o"):
        open_places(home / "var", fallback_parent=tmp_path / "lib")


def test_a_reachable_directory_is_used_as_it_is_whatever_the_umask() -> None:
    """A strict umask does not make our own directories unreachable."""
    import tempfile  # noqa: PLC0415 - pytest's own directory is private

    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        before = os.umask(0o077)
        try:
            places = open_places(Path(name) / "deep/var")
        finally:
            os.umask(before)
        assert places.service == places.root
        assert places.notice is None
        assert can_reach(places.components, service_user("postgres"))
        assert stat.S_IMODE(places.secrets.stat().st_mode) == 0o700


def test_a_private_file_is_never_readable_for_others(tmp_path: Path) -> None:
    """0600 from the first byte, also when it replaces an open one."""
    file = tmp_path / "secret"
    file.write_text("old")
    file.chmod(0o644)
    write_private(file, "new")
    assert file.read_text() == "new"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [file]


def test_ports_stay_the_same_for_a_directory(tmp_path: Path) -> None:
    """Asked again, the same ports come back; a new name leaves the others alone."""
    file = tmp_path / "ports.json"
    first = stable_ports(file, ["a", "b"])
    assert first["a"] != first["b"]
    assert stable_ports(file, ["b", "a"]) == first
    assert stable_ports(file, ["c"])["c"] not in first.values()
    assert stable_ports(file, ["a", "b"]) == first


def test_a_taken_port_is_chosen_again(tmp_path: Path) -> None:
    """Only the taken one moves."""
    file = tmp_path / "ports.json"
    first = stable_ports(file, ["a", "b"])
    with socket.create_server(("127.0.0.1", first["a"])):
        second = stable_ports(file, ["a", "b"])
    assert second["a"] != first["a"]
    assert second["b"] == first["b"]


@pytest.mark.parametrize("text", ["", "[]", '{"a": "x", "b": 0}', '{"a": 700000}', "{"])
def test_a_damaged_port_file_is_written_anew(tmp_path: Path, text: str) -> None:
    """Nonsense in the file is no reason not to start."""
    file = tmp_path / "ports.json"
    file.write_text(text)
    assert stable_ports(file, ["a"]) == json.loads(file.read_text())


def test_no_port_is_given_twice() -> None:
    """Neither among the new ones nor against a remembered one."""
    offered = iter([5, 5, 9, 6])
    assert choose(["a", "b"], {"z": 9}, free=lambda _: True, pick=lambda: next(offered)) == {"a": 5, "b": 6}
    with pytest.raises(NoPortError, match="broker"):
        choose(["broker"], {}, free=lambda _: False, pick=any_free)


def test_a_second_run_in_the_same_directory_is_refused(tmp_path: Path) -> None:
    """The refusal names the process that holds the directory, and since when."""
    since = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
    with exclusive(tmp_path, now=since):
        script = (
            "import sys, pathlib; from cli.stack.lock import exclusive\nwith exclusive(pathlib.Path(sys.argv[1])): pass"
        )
        done = subprocess.run(
            [sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=False
        )
        assert done.returncode != 0
        assert f"in use by process {os.getpid()} since" in done.stderr
        with pytest.raises(DirectoryInUseError) as caught, exclusive(tmp_path):
            pass
        assert caught.value.pid == os.getpid()
        assert caught.value.since == since
    with exclusive(tmp_path):
        pass


def test_two_directories_do_not_refuse_each_other(tmp_path: Path) -> None:
    """The lock is the directory's, not the machine's."""
    with exclusive(tmp_path / "one"), exclusive(tmp_path / "two"):
        pass


def test_the_lock_of_a_killed_run_is_free(tmp_path: Path) -> None:
    """Kill -9 releases it."""
    script = (
        "import sys, pathlib, time; from cli.stack.lock import exclusive\n"
        "with exclusive(pathlib.Path(sys.argv[1])):\n    print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        with pytest.raises(DirectoryInUseError), exclusive(tmp_path):
            pass
        holder.kill()
        holder.wait()
        with exclusive(tmp_path):
            pass
