"""What can be said of a dashboard or a provisioning file without a server: pure checks that return findings."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import yaml

from dashboards.errors import DashboardError
from dashboards.macros import Variable, View, expand, substitute
from dashboards.query import SOURCE_TYPE, SOURCE_UID

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

PANELS: Final = frozenset({"stat", "table", "timeseries", "gauge", "bargauge", "barchart", "piechart", "state-timeline",
                           "status-history", "histogram", "heatmap", "text", "row"})  # fmt: skip
"""Panel types that every Grafana from 10.4 to 13 has built in."""
SCHEMA_VERSIONS: Final = range(39, 43)
# A name after FROM or JOIN that is no function: functions stand before a parenthesis.
_DATA_TABLES: Final = re.compile(r"\b(?:FROM|JOIN)\s+(?!LATERAL\b)([\w.]+)\b(?!\s*\()", re.IGNORECASE)
_EXTRACT: Final = re.compile(r"\bextract\(\s*\w+\s+FROM\b", re.IGNORECASE)
_COMMON_TABLES: Final = re.compile(r"(?:\bWITH|,)\s+(\w+)\s+AS\s+(?:MATERIALIZED\s+)?\(")
_BEHIND_VIEWS: Final = frozenset(
    f"greenpark.{name}" for name in ("reading", "consumption", "consumption_period", "consumption_tariff", "batch")
)
_BY_THE_DAY: Final = frozenset(
    f"greenpark.{name}" for name in ("tenant_reading", "tenant_consumption", "tenant_bucket")
)
_SOURCE: Final = {"type": SOURCE_TYPE, "uid": SOURCE_UID}


@dataclass(frozen=True, slots=True)
class Statement:
    """One query of a dashboard.

    Attributes:
        place: where it stands.
        sql: as it stands in the editor.
        form: `time_series` or `table`.
        columns: that it must give, exactly; None: a time series, whose columns follow another rule.
    """

    place: str
    sql: str
    form: str
    columns: frozenset[str] | None = None


def queries_of(document: Mapping[str, Any]) -> Iterator[Statement]:
    """Yield every variable, panel and annotation query."""
    for variable in document["templating"]["list"]:
        if variable["type"] == "query":
            needed = frozenset({"__text", "__value"})
            yield Statement(f"variable {variable['name']}", variable["query"], "table", needed)
    for panel in document["panels"]:
        for target in panel.get("targets", []):
            place = f"panel {panel['id']} {panel['title']} {target['refId']}"
            form = target.get("format", "")
            yield Statement(place, target["rawSql"], form, None if form == "time_series" else _columns_of(panel))
    for annotation in document.get("annotations", {}).get("list", []):
        target = annotation.get("target", {})
        if "rawSql" in target:
            wanted = {"time", "text", "tags"} | ({"timeend"} if "timeend" in target["rawSql"] else set())
            yield Statement(f"annotation {annotation['name']}", target["rawSql"], "table", frozenset(wanted))


def _columns_of(panel: Mapping[str, Any]) -> frozenset[str]:
    """Return the columns that a panel names: a column without a heading would show its SQL name."""
    overrides = panel["fieldConfig"].get("overrides", [])
    named = {o["matcher"]["options"] for o in overrides if o["matcher"]["id"] == "byName"}
    return frozenset(named | ({panel["options"]["xField"]} if "xField" in panel.get("options", {}) else set()))


def variables_of(document: Mapping[str, Any]) -> dict[str, bool]:
    """Return each variable and whether Grafana quotes its values (multi or with All)."""
    return {v["name"]: bool(v.get("multi") or v.get("includeAll")) for v in document["templating"]["list"]}


def range_of(document: Mapping[str, Any]) -> timedelta:
    """Return the length of the range that a page opens with, which ends now.

    Raises:
        DashboardError: it is written in another way than `now-7d`.
    """
    match = re.fullmatch(r"now-(\d+)([hd])", document["time"]["from"])
    if match is None:
        raise DashboardError(
            f"{document['title']}: the range begins at {document['time']['from']!r}, not at now-7d or so"
        )
    return int(match[1]) * timedelta(**{"h": {"hours": 1}, "d": {"days": 1}}[match[2]])


def lint_dashboard(document: Mapping[str, Any], view: View) -> list[str]:
    """Return what is wrong with one dashboard, in words; nothing if all is well."""
    found = [*_of_frame(document), *_of_grid(document)]
    many = variables_of(document)
    samples = {name: Variable(("1",), many=quoted) for name, quoted in many.items()}
    for variable in document["templating"]["list"]:
        if variable.get("allValue"):
            found.append(f"variable {variable['name']}: allValue reaches the database unquoted")
        if variable["type"] == "query" and variable.get("datasource") != _SOURCE:
            found.append(f"variable {variable['name']}: data source must be {_SOURCE}")
    found += [
        f"annotation {line['name']}: data source must be {_SOURCE}, format table"
        for line in document.get("annotations", {}).get("list", [])
        if line.get("datasource") != _SOURCE or line["target"].get("format") != "table"
    ]
    for statement in queries_of(document):
        found += [f"{statement.place}: {finding}" for finding in _of_sql(statement.sql, many)]
        try:
            expand(substitute(statement.sql, samples), view)
        except DashboardError as error:
            found.append(f"{statement.place}: {error}")
    return found


def _of_frame(document: Mapping[str, Any]) -> Iterator[str]:
    if "id" in document:
        yield "id: leave it out, it belongs to one server"
    if not document.get("uid") or len(document["uid"]) > 40 or not document.get("title"):
        yield "uid (at most 40) and title are needed"
    if document.get("schemaVersion") not in SCHEMA_VERSIONS:
        yield f"schemaVersion {document.get('schemaVersion')}: use 39 to 42"
    if not isinstance(document.get("refresh", ""), str):
        yield "refresh must be text"
    numbers = [panel["id"] for panel in document["panels"]]
    if len(set(numbers)) != len(numbers):
        yield "panel ids repeat"
    for panel in document["panels"]:
        place = f"panel {panel['id']} {panel['title']}"
        if panel["type"] not in PANELS:
            yield f"{place}: type {panel['type']} is not built into every Grafana"
        if panel["type"] in {"row", "text"}:
            continue
        if panel.get("datasource") != _SOURCE:
            yield f"{place}: data source must be {_SOURCE}"
        words = panel.get("description", "")
        if not words.endswith((".", "。")) or sum(words.count(mark) for mark in (". ", "。")) > 1:
            yield f"{place}: needs a description of one sentence"
        refs = [target["refId"] for target in panel["targets"]]
        if len(set(refs)) != len(refs) or not refs:
            yield f"{place}: refIds must be there and differ"
        for target in panel["targets"]:
            if target.get("format") not in {"time_series", "table"}:
                yield f"{place} {target['refId']}: format must be time_series or table"
            if target.get("rawQuery") is not True or target.get("editorMode") != "code":
                yield f"{place} {target['refId']}: rawQuery true and editorMode code are needed"
            if target.get("datasource") != _SOURCE:
                yield f"{place} {target['refId']}: data source must be {_SOURCE}"


def _of_grid(document: Mapping[str, Any]) -> Iterator[str]:
    taken: dict[tuple[int, int], int] = {}
    for panel in document["panels"]:
        at = panel["gridPos"]
        if at["x"] < 0 or at["x"] + at["w"] > 24:
            yield f"panel {panel['id']}: outside the 24 columns"
        cells = [(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])]
        others = sorted({taken[cell] for cell in cells if cell in taken})
        if others:
            yield f"panel {panel['id']} overlaps panel {others}"
        taken.update(dict.fromkeys(cells, panel["id"]))


def _of_sql(sql: str, many: Mapping[str, bool]) -> Iterator[str]:
    if "--" in sql or "/*" in sql:
        yield "comments are expanded too; leave them out"
    for name, quoted in many.items():
        for use in re.finditer(rf"(.?)\$(?:{name}\b|\{{{name}\}})(.?)", sql):
            inside_quotes = use[1] == use[2] == "'"
            if quoted and inside_quotes:
                yield f"${name} is quoted by Grafana; write IN (${name})"
            if not quoted and not inside_quotes:
                yield f"${name} is not quoted by Grafana; write '${name}'"
    sql = _EXTRACT.sub("", sql)
    own = set(_COMMON_TABLES.findall(sql))
    tables = [table for table in _DATA_TABLES.findall(sql) if table not in own]
    for table in tables:
        if not table.startswith("greenpark."):
            yield f"{table}: write greenpark.{table}, the viewer has no search path of ours"
        if table in _BEHIND_VIEWS:
            yield f"{table}: a tenant reads the view tenant_… instead"
    if _BY_THE_DAY & set(tables) and "interval '1 day'" not in sql:
        yield "readings and buckets only for a day; longer ranges read the roll-ups"


def lint_provisioning(folder: Path) -> list[str]:
    """Return what is wrong with the provisioning files below `folder`, each finding with its file."""
    found = []
    for kind, lint in (("datasources", lint_datasources), ("dashboards", lint_providers)):
        for file in sorted((folder / kind).glob("*.yaml")):
            try:
                document = yaml.safe_load(file.read_text("utf-8"))
                found += [f"{kind}/{file.name}: {finding}" for finding in lint(document)]
            except (yaml.YAMLError, KeyError, TypeError, AttributeError) as error:
                found.append(f"{kind}/{file.name}: cannot be read: {type(error).__name__} {error}")
    return found


def lint_datasources(document: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with a data source provisioning file."""
    found = []
    if document.get("apiVersion") != 1:
        found.append("apiVersion must be 1")
    for source in document["datasources"]:
        place = f"data source {source.get('name')}"
        data = source.get("jsonData", {})
        if source.get("uid") != SOURCE_UID or source.get("type") != SOURCE_TYPE:
            found.append(f"{place}: dashboards refer to {_SOURCE}")
        if not data.get("database"):
            found.append(f"{place}: Grafana 12 does not query without jsonData.database")
        if not re.fullmatch(r"[\w.$-]+:(\d+|\$\w+)", source.get("url", "")):
            found.append(f"{place}: url is host:port")
        secret = source.get("secureJsonData", {}).get("password", "")
        if not secret.startswith(("$__file{", "$")) or secret.startswith("${"):
            found.append(f"{place}: the password comes from a file or an environment variable, written $NAME")
        if source.get("editable", True):
            found.append(f"{place}: editable false, or the next start undoes what people changed")
    return found


def lint_providers(document: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with a dashboard provider file."""
    providers = document["providers"]
    found = [] if document.get("apiVersion") == 1 else ["apiVersion must be 1"]
    for key in ("name", "folderUid"):
        values = [provider.get(key) for provider in providers]
        if len(set(values)) != len(values) or None in values:
            found.append(f"{key} must be there and differ")
    for provider in providers:
        if provider.get("type") != "file" or not provider.get("options", {}).get("path", "").startswith("/"):
            found.append(f"provider {provider.get('name')}: type file with an absolute path")
        if provider.get("allowUiUpdates", False):
            found.append(f"provider {provider.get('name')}: allowUiUpdates false, the file wins anyway")
    return found
