"""The dashboards as they are committed, linted, and run query by query as tenants."""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from dashboards import check as checker
from dashboards.build import FOLDER, documents, parsed, stale, write
from dashboards.lint import lint_dashboard, lint_datasources, lint_providers, queries_of
from dashboards.macros import View
from store.pool import connected
from store.specimen import plant

NOW = datetime(2026, 3, 5, 10, 0, tzinfo=UTC)
VIEW = View(NOW - timedelta(days=7), NOW, timedelta(hours=1), timescaledb=True)
PROVISIONING = FOLDER.parent / "provisioning"
EN = "en/park-today.json"


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


def test_both_languages_are_one_dashboard() -> None:
    """Same panels, places and queries; only words differ, and no word is left in the other language."""
    both = parsed()
    chinese, english = both["zh-CN/park-today.json"], both[EN]
    for zh, en in zip(chinese["panels"], english["panels"], strict=True):
        assert (zh["id"], zh["type"], zh["gridPos"]) == (en["id"], en["type"], en["gridPos"])
        assert not zh["title"].isascii()
        assert en["title"].isascii()
        assert [t["rawSql"].replace("_zh", "_en") for t in zh["targets"]] == [t["rawSql"] for t in en["targets"]]
    assert chinese["uid"] != english["uid"]
    assert not any("一" <= letter <= "鿿" for letter in json.dumps(english, ensure_ascii=False))


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


def test_the_provisioning_lint_sees_faults() -> None:
    """A database left out, a password in the open, an address with a scheme."""
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
        return await plant(connection, now=NOW)


@pytest.mark.stack
async def test_every_query_runs_as_every_tenant_and_crosses_none(planted, database_url: str) -> None:
    """One value, several, All, quotes; with and without TimescaleDB; rows where data exist, none of another's."""
    report = await checker.check(database_url, now=NOW)
    assert report.as_json()["details"] == {"failed": [], "crossed_tenant": [], "empty": [], "lint": []}
    assert report.ok
    queries_each = len(list(queries_of(parsed()[EN])))
    assert report.queries >= queries_each * len(parsed()) * len(planted.roles) * 10


@pytest.mark.stack
async def test_the_check_sees_a_table_without_policy(planted, database_url: str) -> None:
    """Where row-level security is off, crossing is found: the check can fail."""
    async with connected(database_url) as connection:
        await connection.execute("ALTER TABLE firm DISABLE ROW LEVEL SECURITY")
    report = await checker.check(database_url, now=NOW)
    assert report.crossed_tenant
    assert not report.ok


@pytest.mark.stack
async def test_the_check_sees_a_broken_query(planted, database_url: str, monkeypatch) -> None:
    """A query that the database refuses, or a series out of order, is counted with its place."""
    broken = parsed()
    for path, document in broken.items():
        document["panels"][6]["targets"][0]["rawSql"] = 'SELECT no_such_column AS "time" FROM greenpark.firm'
        document["panels"][7]["targets"][0]["rawSql"] = (
            "SELECT now() - n * interval '1 day' AS \"time\", 1.0::float8 AS value FROM generate_series(1, 3) AS n"
        )
        assert path
    monkeypatch.setattr(checker, "parsed", lambda: broken)
    report = await checker.check(database_url, now=NOW)
    assert any("no_such_column" in failure for failure in report.failed)
    assert any("order of time" in failure for failure in report.failed)


@pytest.mark.stack
async def test_panels_show_the_ledgers_numbers(planted, database_url: str) -> None:
    """Hourly electricity of a firm equals the sum of its buckets; hours of which nothing is known are gaps."""
    from dashboards.macros import Variable, expand, substitute  # noqa: PLC0415

    sql = next(sql for place, sql, _ in queries_of(parsed()[EN]) if "hourly" in place)
    firm = planted.firm_ids["a"]
    variables = {
        "park": Variable((str(planted.park_ids["east"]),), many=False),
        "firm": Variable((str(firm),), many=True),
    }
    async with connected(database_url) as connection:
        shown = {r["time"]: r["value"] for r in await connection.fetch(expand(substitute(sql, variables), VIEW))}
        buckets = await connection.fetch(
            "SELECT c.bucket, coalesce(c.measured, c.estimated) AS value FROM consumption AS c JOIN point AS p"
            " USING (point_id) WHERE p.firm_id = $1 AND p.carrier = 'electricity'",
            firm,
        )
    expected: dict[datetime, float] = {}
    for row in buckets:
        hour = row["bucket"].replace(minute=0)
        expected[hour] = expected.get(hour, 0.0) + (row["value"] or 0.0)
    assert shown == {hour: value for hour, value in expected.items() if hour >= VIEW.start}
