"""The dashboards as they are committed, linted, and run query by query as tenants."""

from __future__ import annotations

import copy
import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from dashboards import check as checker
from dashboards import words
from dashboards.build import DASHBOARDS, FOLDER, documents, parsed, stale, write
from dashboards.lint import lint_dashboard, lint_datasources, lint_providers, lint_provisioning, queries_of
from dashboards.macros import View
from park.errors import UnitError
from park.units import CARRIERS, consumed_unit, conversion
from store.pool import connected
from store.specimen import plant

NOW = datetime(2026, 3, 5, 10, 0, tzinfo=UTC)
VIEW = View(NOW - timedelta(days=7), NOW, timedelta(hours=1), timescaledb=True)
PROVISIONING = FOLDER.parent / "provisioning"
EN = "en/park-today.json"
LINK = r'/d/([\w-]+)\?\$\{park:queryparam\}&var-\w+=\$\{__data\.fields\["(.+)"\]\}&\$\{__url_time_range\}'


def test_the_committed_files_are_what_the_code_makes() -> None:
    """Whoever changes a dashboard runs `python -m dashboards.build`."""
    assert stale() == []


def test_building_writes_what_differs_and_removes_what_nothing_makes(tmp_path: Path) -> None:
    """A second build finds nothing to do."""
    (tmp_path / "en").mkdir()
    (tmp_path / "en" / "old.json").write_text("{}")
    assert set(write(tmp_path)) == {*documents(), "en/old.json"}
    assert stale(tmp_path) == []


@pytest.mark.parametrize("path", list(documents()))
def test_every_dashboard_passes_the_lint(path: str) -> None:
    """Form, grid, descriptions, data source, quoting, qualified names, known macros."""
    assert lint_dashboard(parsed()[path], VIEW) == []


@pytest.mark.parametrize("name", DASHBOARDS)
def test_both_languages_are_one_dashboard(name: str) -> None:
    """Same panels, places and queries; only words differ, and no word is left in the other language."""
    both = parsed()
    chinese, english = both[f"zh-CN/{name}.json"], both[f"en/{name}.json"]
    for zh, en in zip(chinese["panels"], english["panels"], strict=True):
        assert (zh["id"], zh["type"], zh["gridPos"]) == (en["id"], en["type"], en["gridPos"])
        assert any("一" <= letter <= "鿿" for letter in zh["title"] + zh["description"])
        assert [_wordless(t["rawSql"]) for t in zh["targets"]] == [_wordless(t["rawSql"]) for t in en["targets"]]
    assert chinese["uid"] != english["uid"]
    assert not any("一" <= letter <= "鿿" for letter in json.dumps(english, ensure_ascii=False))


def _wordless(sql: str) -> str:
    """The statement without its words."""
    return re.sub(r"'(?:[^']|'')*'", "''", sql.replace("_zh", "_en"))


@pytest.mark.parametrize("name", DASHBOARDS)
def test_every_page_leads_to_the_others_and_takes_the_selection_along(name: str) -> None:
    """Links by tag with variables and time; links in cells name pages and columns that are there."""
    everything = parsed()
    uids = {document["uid"] for document in everything.values()}
    for locale, lang in (("zh-CN", "zh"), ("en", "en")):
        document = everything[f"{locale}/{name}.json"]
        [link] = document["links"]
        assert (link["type"], link["tags"], link["includeVars"], link["keepTime"]) == (
            "dashboards", ["greenpark", lang], True, True,
        )  # fmt: skip
        assert document["tags"] == ["greenpark", lang]
        for panel in document["panels"]:
            headings = {
                one["value"]
                for override in panel["fieldConfig"]["overrides"]
                for one in override["properties"]
                if one["id"] == "displayName"
            }
            overrides = [one for o in panel["fieldConfig"]["overrides"] for one in o["properties"]]
            for url in [link["url"] for one in overrides if one["id"] == "links" for link in one["value"]]:
                found = re.fullmatch(LINK, url)
                assert found is not None, url
                assert found[1] in uids
                assert found[2] in headings


def test_a_word_means_the_same_everywhere() -> None:
    """Estimates, running periods and states have one colour each on every panel of every page."""
    colours: dict[str, set[str]] = {}
    for document in parsed().values():
        for panel in document["panels"]:
            if panel["type"] != "timeseries":
                continue
            for override in panel["fieldConfig"]["overrides"]:
                for one in override["properties"]:
                    if one["id"] == "color":
                        colours.setdefault(override["matcher"]["options"], set()).add(one["value"]["fixedColor"])
    assert colours["估算"] == colours["Estimated"] == {words.ESTIMATE}
    assert colours["暂计（本期未结束）"] == {words.PROVISIONAL}
    assert all(len(found) == 1 for found in colours.values())


def test_a_gap_is_a_gap_on_every_curve() -> None:
    """No curve is drawn across unknown times, and no panel shows nothing as zero."""
    for document in parsed().values():
        for panel in document["panels"]:
            if panel["type"] == "timeseries":
                assert panel["fieldConfig"]["defaults"]["custom"]["spanNulls"] is False
            assert panel["fieldConfig"]["defaults"]["noValue"] == "–"


@pytest.mark.stack
async def test_the_words_and_units_of_the_store_are_those_of_the_park(database_url: str) -> None:
    """Every carrier has a word in both languages, every unit of an amount or a rate its scale."""
    async with connected(database_url) as connection:
        named = {r["code"] for r in await connection.fetch("SELECT code FROM word WHERE kind = 'carrier'")}
        scales = {r["symbol"]: (r["base"], r["scale"]) for r in await connection.fetch("SELECT * FROM unit_scale")}
    assert set(CARRIERS) <= named
    for symbol, (base, scale) in scales.items():
        amount, hourly = consumed(symbol)
        assert scale == pytest.approx(hourly * conversion(amount, base)), symbol


def consumed(symbol: str) -> tuple[str, float]:
    """The unit of an amount, or of a rate over an hour, and how many of it."""
    for rate in ("kW", "kvar", "m3/h", "t/h"):
        try:
            return consumed_unit(rate), conversion(symbol, rate)
        except UnitError:
            continue
    return symbol, 1.0


@pytest.mark.parametrize(
    ("damage", "finding"),
    [
        (lambda d: d["panels"][0]["targets"][0].pop("format"), "format must be"),
        (lambda d: d["panels"][0].update(datasource="tsdb"), "data source must be"),
        (lambda d: d["panels"][0].update(description=""), "one sentence"),
        (lambda d: d["panels"][0]["gridPos"].update(w=25), "outside"),
        (lambda d: d["panels"][1]["gridPos"].update(x=0), "overlaps"),
        (lambda d: d["panels"][1].update(id=1), "repeat"),
        (lambda d: d["panels"][1].update(type="graph"), "not built into"),
        (lambda d: d.update(schemaVersion=36), "schemaVersion"),
        (lambda d: d.update(refresh=False), "refresh"),
        (lambda d: d["templating"]["list"][1].update(allValue="x"), "allValue"),
        (lambda d: d["templating"]["list"].pop(1), "not defined"),
        (lambda d: _sql(d, "SELECT 1 FROM greenpark.firm AS f WHERE f.code IN (${firm:csv})"), "does not quote"),
        (lambda d: _sql(d, "SELECT 1 FROM greenpark.firm AS f WHERE f.code = '$firm'"), "is quoted by Grafana"),
        (lambda d: _sql(d, "SELECT 1 FROM greenpark.firm AS f WHERE f.park_id = $park"), "is not quoted by Grafana"),
        (lambda d: _sql(d, "SELECT 1 FROM firm AS f WHERE f.park_id::text = '$park'"), "no search path"),
        (lambda d: _sql(d, "SELECT 1 FROM greenpark.reading AS r"), "view tenant_"),
        (lambda d: _sql(d, "SELECT 1 FROM greenpark.tenant_reading AS r"), "only for a day"),
        (lambda d: _sql(d, "SELECT 1 FROM greenpark.consumption_period AS r"), "view tenant_"),
        (lambda d: d["annotations"]["list"][0]["target"].update(format="time_series"), "format table"),
        (lambda d: _sql(d, "SELECT $__foo(1)"), "no macro"),
        (lambda d: _sql(d, "SELECT 1 -- $__timeFilter(x)"), "comments"),
    ],
)
def test_the_lint_sees_each_fault(damage, finding: str) -> None:
    """Every rule finds what it is for."""
    document = copy.deepcopy(parsed()[EN])
    damage(document)
    assert any(finding in found for found in lint_dashboard(document, VIEW))


def _sql(document, text: str) -> None:
    document["panels"][0]["targets"][0]["rawSql"] = text


def test_provisioning_is_sound() -> None:
    """Data source and providers follow Grafana's rules, and each provider's folder is one that we build."""
    datasources = yaml.safe_load((PROVISIONING / "datasources" / "greenpark.yaml").read_text("utf-8"))
    providers = yaml.safe_load((PROVISIONING / "dashboards" / "greenpark.yaml").read_text("utf-8"))
    assert lint_datasources(datasources) == []
    assert lint_providers(providers) == []
    built = {path.split("/")[0] for path in documents()}
    assert {Path(p["options"]["path"]).name for p in providers["providers"]} == built


def test_the_provisioning_lint_sees_faults(tmp_path: Path) -> None:
    """A database left out, a password in the open, an address with a scheme; a file that is no YAML or another one."""
    assert lint_provisioning(PROVISIONING) == []
    (tmp_path / "datasources").mkdir()
    for name, text in (("a.yaml", "{"), ("b.yaml", "datasources: 7"), ("c.yaml", "")):
        (tmp_path / "datasources" / name).write_text(text)
    assert [finding.partition(":")[0] for finding in lint_provisioning(tmp_path)] == [
        "datasources/a.yaml", "datasources/b.yaml", "datasources/c.yaml",
    ]  # fmt: skip
    bad = {
        "apiVersion": 1,
        "datasources": [{"name": "x", "url": "http://h/x", "secureJsonData": {"password": "hunter2"}}],
    }
    assert len(lint_datasources(bad)) == 5
    assert lint_providers({"apiVersion": 1, "providers": [{"name": "a", "type": "file", "options": {"path": "x"}}]})


@pytest.fixture
async def planted(database_url: str):
    """Two parks in which nothing is empty."""
    async with connected(database_url) as connection:
        return await plant(connection, now=NOW, every_panel=True)


@pytest.mark.stack
async def test_every_query_runs_as_every_tenant_and_crosses_none(planted, database_url: str, monkeypatch) -> None:
    """One value, several, All, quotes; with and without TimescaleDB; rows where data exist, none of another's.

    In one language: the queries of the other differ in words alone, as another test says.
    """
    chinese = {path: document for path, document in parsed().items() if path.startswith("zh-CN/")}
    monkeypatch.setattr(checker, "parsed", lambda: chinese)
    report = await checker.check(database_url, now=NOW)
    assert report.as_json()["details"] == {"failed": [], "crossed_tenant": [], "empty": [], "lint": []}, report.empty
    assert report.ok
    statements = sum(len(list(queries_of(document))) for document in chinese.values())
    assert report.queries >= statements * len(planted.roles) * 10


@pytest.mark.stack
async def test_the_check_sees_a_table_without_policy(planted, database_url: str, monkeypatch) -> None:
    """Where row-level security is off, crossing is found: the check can fail."""
    monkeypatch.setattr(checker, "parsed", lambda: {EN: parsed()[EN]})
    async with connected(database_url) as connection:
        await connection.execute("ALTER TABLE firm DISABLE ROW LEVEL SECURITY")
    report = await checker.check(database_url, now=NOW)
    assert report.crossed_tenant
    assert not report.ok


@pytest.mark.stack
async def test_the_check_sees_a_broken_query(planted, database_url: str, monkeypatch) -> None:
    """A query that the database refuses, or a series out of order, is counted with its place."""
    document = parsed()[EN]
    series = [panel for panel in document["panels"] if panel["type"] == "timeseries"]
    tables = [panel for panel in document["panels"] if panel["type"] == "table"]
    series[0]["targets"][0]["rawSql"] = 'SELECT no_such_column AS "time" FROM greenpark.firm'
    series[1]["targets"][0]["rawSql"] = (
        "SELECT now() - n * interval '1 day' AS \"time\", 1.0::float8 AS value FROM generate_series(1, 3) AS n"
    )
    tables[0]["targets"][0]["rawSql"] = "SELECT f.uscc FROM greenpark.firm AS f"
    monkeypatch.setattr(checker, "parsed", lambda: {EN: document})
    report = await checker.check(database_url, now=NOW)
    assert any("no_such_column" in failure for failure in report.failed)
    assert any("order of time" in failure for failure in report.failed)
    assert any("columns and headings differ" in failure and "uscc" in failure for failure in report.failed)
