"""What the demonstration looks at before it begins: room on the disk, a lost scene, somebody else's files."""

from __future__ import annotations

import json
import os
import shutil
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

import pytest

from cli.demo.scene import load_scene, new_scene, save_scene
from cli.demo.stage import check_room
from cli.stack import apt
from cli.stack.errors import DirectoryUnusableError, DiskFullError, SecretDamagedError
from cli.stack.lock import exclusive
from cli.stack.mosquitto import Broker
from cli.stack.places import open_places

if TYPE_CHECKING:
    from pathlib import Path

    from cli.stack.components import Components

NOW = datetime(2026, 11, 21, 3, 7, tzinfo=UTC)


class Usage(NamedTuple):
    """What `shutil.disk_usage` returns."""

    total: int
    used: int
    free: int


def test_a_scene_comes_back_as_it_was_kept(tmp_path: Path) -> None:
    """The meters of an interrupted run and of every later one are the same."""
    scene = new_scene(NOW)
    assert (scene.until - scene.origin).days == 365
    save_scene(tmp_path / "demo/scene.json", scene)
    assert load_scene(tmp_path / "demo/scene.json") == scene


@pytest.mark.parametrize("text", [None, "", "{", "[]", "1", '{"origin": 1}', '{"origin": "2025-01-01", "until": "x"}'])
def test_what_is_no_scene_is_none(tmp_path: Path, text: str | None) -> None:
    """A lost, torn or foreign file is not taken for a scene."""
    if text is not None:
        (tmp_path / "scene.json").write_text(text)
    assert load_scene(tmp_path / "scene.json") is None


def test_too_little_room_is_told_before_anything_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first start needs room for a year of history, a later one only for what is new."""
    places = open_places(tmp_path / "var")
    monkeypatch.setattr(shutil, "disk_usage", lambda _directory: Usage(10**12, 0, 2**30))
    with pytest.raises(DiskFullError, match=r"has 1\.0 GiB free, and this needs about 2\.5 GiB"):
        check_room(places)
    scene = new_scene(NOW)
    save_scene(places.root / "demo/scene.json", scene)
    with pytest.raises(DiskFullError):
        check_room(places)
    (places.root / "demo/scene.json").write_text(
        json.dumps({"origin": scene.origin.isoformat(), "until": scene.until.isoformat(), "laid": True})
    )
    check_room(places)


@pytest.mark.parametrize("below", [".", "x/y"])
def test_a_file_where_the_directory_should_be_is_named(tmp_path: Path, below: str) -> None:
    """One clear line, not a traceback."""
    (tmp_path / "var").write_text("a file")
    with (
        pytest.raises(DirectoryUnusableError, match=r"var.* can not be used: .*--var"),
        exclusive(tmp_path / "var" / below),
    ):
        pass


def test_a_directory_of_an_earlier_run_with_sudo_is_named_with_its_owner(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever may not write there learns whose it is."""
    (tmp_path / "var").mkdir()
    (tmp_path / "var/log").mkdir()
    monkeypatch.setattr(os, "access", lambda *_: False)
    monkeypatch.setattr(os, "geteuid", lambda: 4711)
    with pytest.raises(DirectoryUnusableError, match=r"Permission denied.*you are 4711"):
        open_places(tmp_path / "var")


@pytest.mark.stack
@pytest.mark.parametrize("text", ["{", "[]", "\0"])
def test_damaged_passwords_of_the_broker_are_named(components: Components, tmp_path: Path, text: str) -> None:
    """Passwords are not made anew behind anybody's back."""
    secret = tmp_path / "broker.json"
    secret.write_text(text)
    broker = Broker(components.mosquitto, tmp_path / "b", secret=secret, port=1, user=None, log=tmp_path / "log")
    with pytest.raises(SecretDamagedError, match=r"broker\.json is damaged"):
        broker.password("ingest")


def test_what_apt_calls_an_error_is_told_and_not_the_lines_beside_it() -> None:
    """A full disk or a dead mirror is named in the first words."""
    said = "Get:1 http://m.example/debian trixie/main amd64 x\nE: You don't have enough free space in /x.\nGet:2 more\n"
    assert apt._last_lines(said) == "E: You don't have enough free space in /x."
    assert apt._last_lines("one\ntwo\n") == "one | two"
    assert apt._last_lines("E: http://user:pass@m.example/ failed") == "E: http://***@m.example/ failed"
