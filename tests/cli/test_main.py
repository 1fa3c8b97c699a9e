"""Every command explains itself; known errors are one line, and unknown ones are not hidden."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import typer
from typer.testing import CliRunner

from cli import main as main_module
from cli.errors import MissingError
from cli.extras import MODULES, missing_package
from cli.main import app
from store.errors import SchemaError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import click

ROOT = Path(__file__).resolve().parent.parent.parent
ROOMS = ("park", "store", "edge", "ingest", "streams", "alerts", "api", "dashboards", "simulators", "cli")
BASE = {"msgspec", "typer", "structlog", "click"}
DEAD = "postgresql://u:hushhush@127.0.0.1:1/x"


def tree(command: Any = None, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command and group with the words that lead to it."""
    here: Any = command or typer.main.get_command(app)
    yield words, here
    for name, inner in getattr(here, "commands", {}).items():
        yield from tree(inner, (*words, name))


COMMANDS = dict(tree())
LEAVES = [words for words, command in COMMANDS.items() if not getattr(command, "commands", None)]


def greenpark(*words: str, python: str | None = None, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run the command as a person does."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("GREENPARK_")}
    argv = [sys.executable, "-c", python, *words] if python else [sys.executable, "-m", "cli.main", *words]
    return subprocess.run(
        argv, env=own | environ, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False, input=""
    )


@pytest.mark.parametrize("words", list(COMMANDS), ids=" ".join)
def test_every_command_has_help_that_names_its_options(words: tuple[str, ...]) -> None:
    """`--help` works, says what the command does, and names and explains every option and argument."""
    answer = CliRunner().invoke(app, [*words, "--help"], env={"COLUMNS": "200", "TERMINAL_WIDTH": "200"})
    assert answer.exit_code == 0, answer.output
    command = COMMANDS[words]
    assert command.help
    assert len(command.help) > 10
    for parameter in command.params:
        if parameter.param_type_name == "option":
            assert all(name in answer.output for name in parameter.opts), parameter.name
        if parameter.name != "help":
            assert getattr(parameter, "help", None) or parameter.name == "seed", f"{words} {parameter.name}"


@pytest.mark.parametrize("words", LEAVES, ids=" ".join)
def test_what_prints_a_result_prints_it_as_json_too(words: tuple[str, ...]) -> None:
    """Every command that ends with a result has `--json`; those that run on, show, or write files need none."""
    options = {name for parameter in COMMANDS[words].params for name in parameter.opts}
    assert "--json" in options or words in {("demo",), ("up",), ("run",), ("simulate", "write")}


def test_without_a_command_it_helps() -> None:
    """The bare command shows what there is."""
    answer = greenpark()
    assert "quarantine" in answer.stdout + answer.stderr


@pytest.mark.parametrize(
    "words",
    [
        ("migrate",),
        ("park", "show"),
        ("token", "list"),
        ("tenant", "list"),
        ("recipient", "list"),
        ("quarantine", "list"),
        ("alerts", "list"),
        ("run", "streams"),
        ("up",),
    ],
    ids=" ".join,
)
def test_a_missing_database_is_one_line(words: tuple[str, ...]) -> None:
    """Without an address: exit status 1, one line on stderr that names the variable, nothing on stdout."""
    answer = greenpark(*words)
    assert answer.returncode == 1
    assert answer.stdout == ""
    assert len(answer.stderr.splitlines()) == 1, answer.stderr
    assert "GREENPARK_DATABASE_URL" in answer.stderr


def test_a_database_that_does_not_answer_is_one_line_without_its_password() -> None:
    """Nobody listens: one line, exit status 1, no secret."""
    answer = greenpark("park", "show", GREENPARK_DATABASE_URL=DEAD)
    assert (answer.returncode, answer.stdout) == (1, "")
    assert len(answer.stderr.splitlines()) == 1, answer.stderr
    assert "hushhush" not in answer.stderr
    assert answer.stderr.startswith("greenpark: cannot open the database")


@pytest.mark.parametrize(
    ("words", "module", "extra"),
    [
        (("doctor",), "asyncpg", "server"),
        (("migrate",), "asyncpg", "server"),
        (("park", "show"), "asyncpg", "server"),
        (("run", "ingest"), "asyncpg", "server"),
        (("run", "ingest"), "prometheus_client", "server"),
        (("run", "streams"), "numpy", "server"),
        (("run", "api"), "fastapi", "server"),
        (("run", "edge"), "prometheus_client", "edge"),
        (("edge", "check", "FILE"), "pymodbus", "edge"),
        (("up",), "asyncpg", "server"),
        (("token", "list"), "asyncpg", "server"),
        (("dashboards", "build", "--check"), "grafana_foundation_sdk", "server"),
        (("quarantine", "list"), "asyncpg", "server"),
        (("demo",), "rich", "server"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else value,
)
def test_a_package_that_is_not_installed_is_one_line(
    words: tuple[str, ...], module: str, extra: str, tmp_path: Path
) -> None:
    """A gateway has no server libraries, a server no drivers: the line says which extra to install."""
    file = tmp_path / "edge.toml"
    file.write_text(EDGE)
    words = tuple(str(file) if word == "FILE" else word for word in words)
    python = f"import sys; sys.modules[{module!r}] = None; from cli.main import main; main()"
    environ = {"GREENPARK_DATABASE_URL": DEAD, "GREENPARK_BROKER_URL": "mqtt://127.0.0.1:1"}
    if words[:2] == ("run", "edge"):
        environ |= {"GREENPARK_EDGE_CONFIG": str(file)}
    if words == ("demo",):
        environ = {}
    answer = greenpark(*words, python=python, **environ)
    assert answer.returncode == 1, answer.stderr
    assert f"pip install 'greenpark[{extra}]'" in answer.stderr
    assert len(answer.stderr.splitlines()) == 1, answer.stderr


EDGE = """
[[edges]]
park = "p"
firm = "f"
edge = "g"
buffer.path = "b"
[[edges.devices]]
name = "m"
points = [{ code = "E" }]
"""


def test_the_command_itself_needs_no_extra() -> None:
    """`greenpark --help` works on a bare install: what a command needs is imported inside it, not at the top."""
    blocked = sorted(MODULES["edge"] | MODULES["server"])
    answer = greenpark(
        "--help", python=f"import sys; sys.modules |= dict.fromkeys({blocked}); from cli.main import main; main()"
    )
    assert answer.returncode == 0, answer.stderr


def test_every_package_that_a_room_imports_belongs_to_an_extra() -> None:
    """An import of something that no extra names would be a traceback on some machine."""
    known = set(sys.stdlib_module_names) | set(ROOMS) | BASE | MODULES["edge"] | MODULES["server"]
    for room in ROOMS:
        for file in (ROOT / room).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text("utf-8"))):
                names = []
                if isinstance(node, ast.Import):
                    names = [alias.name for alias in node.names]
                elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                    names = [node.module]
                assert {name.partition(".")[0] for name in names} <= known, (file, names)


def test_a_missing_module_of_our_own_is_a_defect_and_not_advice() -> None:
    """Only packages of an extra become advice; anything else keeps its traceback."""
    assert missing_package(ModuleNotFoundError("x", name="store.nowhere"), ["doctor"]) is None
    told = missing_package(ModuleNotFoundError("x", name="pymodbus.client"), ["demo"])
    assert isinstance(told, MissingError)
    assert "greenpark[edge,server]" in str(told)


def ended(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def broken() -> None:
        raise error

    monkeypatch.setattr(main_module, "app", broken)
    main_module.main()


def test_an_unknown_error_is_not_swallowed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A defect comes with its traceback, alone, in a group, and beside a known error."""
    with pytest.raises(ZeroDivisionError):
        ended(monkeypatch, ZeroDivisionError("a defect"))
    group = BaseExceptionGroup("several", [SchemaError(0, 1), ZeroDivisionError("a defect")])
    with pytest.raises(BaseExceptionGroup):
        ended(monkeypatch, group)


def test_a_known_error_is_one_line_also_in_a_group(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A room's error: exit status 1 and its message, even where a task group wrapped it."""
    for error in (SchemaError(0, 1), BaseExceptionGroup("several", [SchemaError(0, 1)])):
        with pytest.raises(SystemExit) as ending:
            ended(monkeypatch, error)
        assert ending.value.code == 1
        said = capsys.readouterr().err
        assert re.fullmatch(r"greenpark: the database is at migration 0.*\n", said)


def test_an_interrupt_ends_quietly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C is no error to explain: exit status 130."""
    with pytest.raises(SystemExit) as ending:
        ended(monkeypatch, KeyboardInterrupt())
    assert ending.value.code == 130
