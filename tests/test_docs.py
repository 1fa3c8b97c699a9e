"""The documentation says nothing that is not there: links, commands, paths, settings, metrics and examples are real."""

from __future__ import annotations

import dataclasses
import importlib
import re
import tomllib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import typer
import yaml

from alerts.settings import AlertsSettings
from api.settings import ApiSettings
from cli.main import app
from cli.settings import LogSettings, MetricsSettings, load_settings
from cli.stack.mosquitto import BrokerSettings, render_acl, render_config
from edge.config import parse_configs
from ingest.settings import IngestSettings
from park.definition import load_definition
from park.factors import load_factors
from park.membership import memberships_of
from park.reasons import Undefined
from park.wire import Reason, decode_batch, decode_committed, decode_event, decode_status
from streams.settings import StreamsSettings

if TYPE_CHECKING:
    import click

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
IDS = [str(page.relative_to(ROOT)) for page in PAGES]
SETTINGS: dict[str, type[Any]] = {
    "log": LogSettings,
    "metrics": MetricsSettings,
    "ingest": IngestSettings,
    "streams": StreamsSettings,
    "alerts": AlertsSettings,
    "api": ApiSettings,
}
ROOMS = ("park", "store", "edge", "ingest", "streams", "alerts", "api", "dashboards", "simulators", "cli")
MADE_HERE = ("deploy/secrets/",)  # by a command that the page names, never in the repository
TOP = "|".join((*ROOMS, "tests", "docs", "deploy", "scripts", "benchmarks", r"\.ci"))


@cache
def text_of(page: Path) -> str:
    return page.read_text("utf-8")


@cache
def prose_of(page: Path) -> str:
    """The page without its blocks of code."""
    return re.sub(r"^```.*?^```", "", text_of(page), flags=re.MULTILINE | re.DOTALL)


def blocks(page: str, language: str) -> list[str]:
    text = text_of(ROOT / page)
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as the usual renderers make them."""
    found = set()
    for heading in re.findall(r"^#+ +(.+)$", prose_of(page), flags=re.MULTILINE):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
        found.add(re.sub(r"[^\w\- ]", "", plain).replace(" ", "-"))
    return found


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_every_link_leads_somewhere(page: Path) -> None:
    """Every relative link names a file that is there, and its anchor a heading of it."""
    for target in re.findall(r"\]\(([^)\s]+)\)", prose_of(page)):
        if re.match(r"https?://", target):
            continue
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        assert file.exists(), target
        if anchor:
            assert anchor in anchors(file), target


def _command(words: list[str]) -> tuple[click.Command, list[str]]:
    """Walk down the command's tree as far as the words go; return where they lead and what is left."""
    here: Any = typer.main.get_command(app)
    while words and not words[0].startswith("-") and getattr(here, "commands", None):
        assert words[0] in here.commands, f"greenpark has no command {words[0]!r}"
        here, words = here.commands[words[0]], words[1:]
    return here, words


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_every_command_exists(page: Path) -> None:
    """Every `greenpark …` that a page names is a command, and its options are options of it."""
    told = re.findall(r"`(?:\.venv/bin/)?greenpark ([a-z][^`\n]*)`", prose_of(page))
    for block in re.findall(r"^```(?:sh|console)\n(.*?)^```", text_of(page), flags=re.MULTILINE | re.DOTALL):
        told += re.findall(r"^(?:\$ )?(?:\.venv/bin/)?greenpark ([a-z][^\n#]*)", block, flags=re.MULTILINE)
    for line in told:
        command, rest = _command([word for word in line.split() if word != "…"])
        options = {name for parameter in command.params for name in parameter.opts}
        for word in rest:
            if word.startswith("-"):
                assert word.partition("=")[0] in options | {"--help"}, f"greenpark {line}: {word}"


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_every_path_exists(page: Path) -> None:
    """What stands in backticks and looks like a path of the repository is one."""
    for path in re.findall(rf"`((?:{TOP})/(?:[\w./@-]*/|[\w./@-]*\.\w+))`", prose_of(page)):
        if not path.startswith(MADE_HERE) and "NNNN" not in path:
            assert (ROOT / path).exists(), path


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_every_module_function_exists(page: Path) -> None:
    """What stands in backticks as room.module.name can be imported."""
    for name in re.findall(rf"`((?:{'|'.join(ROOMS)})\.[a-z_.]+)`", prose_of(page)):
        module, _, attribute = name.rpartition(".")
        assert hasattr(importlib.import_module(module), attribute), name


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_every_metric_exists(page: Path) -> None:
    """Every metric that a page names is made somewhere."""
    code = "".join((ROOT / room / "metrics.py").read_text("utf-8") for room in ROOMS if _has_metrics(room))
    for name in re.findall(r"`(greenpark_(?:edge|ingest|streams|alerts|api)_[a-z_]+)`", prose_of(page)):
        assert f'"{name}"' in code or f'"{name.removesuffix("_total")}"' in code, name


def _has_metrics(room: str) -> bool:
    return (ROOT / room / "metrics.py").is_file()


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_every_test_target_exists(page: Path) -> None:
    """Every `make …` that a page names is a target of the Makefile."""
    targets = set(re.findall(r"^([a-z.][\w./-]*):", (ROOT / "Makefile").read_text("utf-8"), flags=re.MULTILINE))
    told = re.findall(r"`make ([^`]+)`", prose_of(page)) + re.findall(r"^make ([^\n#]+)", text_of(page), re.MULTILINE)
    for line in told:
        for word in re.sub(r'ARGS="[^"]*"', "", line).split():
            assert word in targets, line


@pytest.mark.parametrize("page", ["README.md", "README.zh-CN.md", "docs/operations.md"])
def test_every_settings_file_would_be_read(page: str, tmp_path: Path) -> None:
    """A TOML example of server settings is taken by every room that it has a section for."""
    secret = tmp_path / "address"
    secret.write_text("postgresql://u:p@h/d")
    found = 0
    for block in blocks(page, "toml"):
        if "[[edges]]" in block or "[edge]" in block:
            continue
        file = tmp_path / "greenpark.toml"
        file.write_text(re.sub(r'url_file = "[^"]*"', f'url_file = "{secret}"', block))
        settings = load_settings(file, {})
        assert settings.database_url
        for section in settings.sections:
            if section in SETTINGS:
                given = {"database_url": "d", "broker_url": "b"}
                kind = SETTINGS[section]
                known = {field.name for field in dataclasses.fields(kind)}
                settings.room(section, kind, **{k: v for k, v in given.items() if k in known})
        found += 1
    assert found


def test_the_gateways_example_is_a_configuration(tmp_path: Path) -> None:
    """The edge file of the operations page is what the agent reads."""
    [block] = [block for block in blocks("docs/operations.md", "toml") if "[[edges]]" in block]
    [config] = parse_configs(block, tmp_path / "edge.toml")
    assert config.topic.user == "riverside/castings/gw1"


def test_the_parks_example_is_a_park_document() -> None:
    """The example park loads, also with the points and groups of the others; the wire page's points are in it."""
    block, relations, groups = blocks("docs/park-document.md", "yaml")
    park = load_definition(block, "park.yaml")
    document = yaml.safe_load(block)
    document["firms"][0]["points"] = yaml.safe_load(relations)["points"]
    load_definition(yaml.safe_dump(document), "park.yaml")
    third = yaml.safe_load(groups)
    [firm] = third.pop("firms")
    document |= third
    document["firms"] = [document["firms"][0] | firm]
    assert len(memberships_of(load_definition(yaml.safe_dump(document), "park.yaml").firms[0])) == 4
    codes = {point.code for firm in park.firms for point in firm.points}
    assert {"W-001", "W-002"} <= codes


def test_the_wires_examples_follow_the_contract() -> None:
    """Each JSON of the wire page is what its place says, and the payload of the command is a batch."""
    batch, committed, given_up, status = blocks("docs/wire.md", "json")
    assert len(decode_batch(batch.encode()).values) == 3
    assert decode_committed(committed.encode()).covers("01JD0V5Q7N8M2X", 2)
    assert decode_event(given_up.encode()).ranges == [(1, 2)]
    assert decode_status(status.encode()).online
    command = blocks("docs/wire.md", "sh")[0]
    payload = re.search(r"-m '(.*)'", command)
    assert payload is not None
    assert decode_batch(payload[1].encode()).points == ["W-001", "W-002"]


def test_the_brokers_rights_and_limits_are_those_of_the_code() -> None:
    """The security page shows the rights that the code writes, and no limit that differs from the code's."""
    text = text_of(ROOT / "docs/security.md")
    found = re.findall(r"^```(\w*)\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    rights, config = (block for language, block in found if not language)
    assert rights == render_acl()
    settings = BrokerSettings((), Path("/"))
    ours = dict(line.split(" ", 1) for line in render_config(settings).splitlines() if " " in line)
    told = dict(line.split(" ", 1) for line in config.splitlines() if " " in line)
    same = [name for name in told if name in ours and not name.endswith(("_file", "_location"))]
    assert len(same) >= 8
    assert {name: told[name] for name in same} == {name: ours[name] for name in same}


def test_reasons_are_told_completely() -> None:
    """Every reason of quarantine and every reason for undefined stands in its table, and no other."""
    wire = re.findall(r"^\| `(\w+)` \| (?:message|reading) \|", text_of(ROOT / "docs/wire.md"), flags=re.MULTILINE)
    assert set(wire) == {reason.value for reason in Reason}
    section = text_of(ROOT / "docs/numbers.md").partition("### Undefined")[2].partition("\n## ")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", section, flags=re.MULTILINE)) == {reason.value for reason in Undefined}


def test_the_page_says_how_many_factors_are_verified() -> None:
    """The numbers page tells the truth about how many factors were compared with their source."""
    factors = load_factors().factors
    words = {2: "two", 3: "three", 4: "four"}
    verified = sum(factor.verified for factor in factors)
    page = text_of(ROOT / "docs/numbers.md").replace("\n", " ")
    assert f"Of {len(factors)} factors {words.get(verified, str(verified))} are" in page


def test_the_two_readmes_say_the_same() -> None:
    """Both have the same sections, the same links, the same paths and the same blocks of code."""
    english, chinese = ROOT / "README.md", ROOT / "README.zh-CN.md"

    def skeleton(page: Path) -> dict[str, list[str]]:
        text = text_of(page)
        links = [link for link in re.findall(r"\]\(([^)\s#]+)", text) if not link.startswith("README")]
        # The same picture in the page's own language.
        links = [re.sub(r"\.(en|zh-CN)\.(svg|png)$", r".\2", link) for link in links]
        commands = [line.partition("#")[0].split() for block in _shell(text) for line in block.splitlines()]
        return {
            "levels": re.findall(r"^#+", prose_of(page), flags=re.MULTILINE),
            "links": sorted(links),
            "paths": sorted(re.findall(r"`([\w.]+/[\w./-]*)`", text)),
            "commands": [" ".join(words[:3]) for words in commands],
        }

    assert skeleton(english) == skeleton(chinese)


def _shell(text: str) -> list[str]:
    return re.findall(r"^```sh\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)


def test_the_lock_file_holds_what_the_project_asks_for() -> None:
    """Every dependency of pyproject.toml is locked with a hash, and no index's address stands in the lock."""
    lock = (ROOT / "requirements.lock").read_text("utf-8")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = project["dependencies"] + [
        line
        for extra in project["optional-dependencies"].values()
        for line in extra
        if not line.startswith("greenpark")
    ]
    for line in wanted:
        match = re.match(r"[\w.-]+", line)
        assert match is not None
        assert re.search(rf"^{re.escape(match[0])}==", lock, flags=re.MULTILINE), line
    assert "://" not in lock
    assert lock.count("==") <= lock.count("--hash=")
