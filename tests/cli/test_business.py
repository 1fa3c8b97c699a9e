"""`greenpark business` on a real database: tables in, lists out, audits, deflators; for people and machines."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from datetime import date
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from cli.business import read_deflators
from cli.errors import RefusedError
from cli.main import app
from park.business import KINDS
from park.business_csv import read_rows
from park.business_template import template
from park.definition import FirmDefinition, ParkDefinition, ProductDefinition
from park.figures import ProductSource
from store.business import book_of, reporting_firms
from store.pool import connected
from store.registry import apply_definition

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CAR = ProductDefinition(code="car", name_zh="车", name_en="Car", unit="piece", source=ProductSource.REPORTED)
FIRMS = [
    FirmDefinition(code="f01", name_zh="甲", name_en="A", industry="C36", products=[CAR]),
    FirmDefinition(code="f02", name_zh="乙", name_en="B", industry="C13"),
]
TABLE = """企业,报告期,指标,项目,数值,单位,价格,原因
f01,2025-03,工业增加值,,"1,250",万元,现价,
f01,2025-03,产品产量,car,800,辆,,
f02,2025-03,工业增加值,,300,万元,现价,
f02,2025-03,从业人员,,八十,人,,
"""


@pytest.fixture
def command(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Run a command against a park with two firms; returns what it printed as JSON, or the whole result."""

    async def fill() -> None:
        async with connected(database_url) as connection:
            await apply_definition(connection, ParkDefinition(code="p", name_zh="园", name_en="Park", firms=FIRMS))

    asyncio.run(fill())
    monkeypatch.setenv("GREENPARK_DATABASE_URL", database_url)

    def run(*words: str, status: int = 0, as_json: bool = True) -> Any:
        result = CliRunner().invoke(app, ["business", *words, *(["--json"] if as_json else [])])
        assert result.exit_code == status, result.output
        return json.loads(result.stdout) if as_json else result.stdout

    return run


@pytest.mark.stack
def test_good_rows_are_stored_bad_ones_told_and_the_same_file_changes_nothing(command, tmp_path: Path) -> None:
    """A GBK table with one bad row: three versions, one error naming file, row and column; again: nothing new."""
    file = tmp_path / "三月.csv"
    file.write_bytes(TABLE.encode("gbk"))
    [first] = command("import", "p", str(file), "--author", "li", status=1)["files"]
    assert (first["rows"], first["new"], first["unchanged"]) == (4, 3, 0)
    assert [(e["file"], e["number"], e["field"]) for e in first["errors"]] == [("三月.csv", 5, "数值")]
    [again] = command("import", "p", str(file), "--author", "li", status=1)["files"]
    assert (again["new"], again["unchanged"]) == (0, 3)
    said = command("import", "p", str(file), status=1, as_json=False)
    assert "三月.csv: row 5: 数值: '八十' is no number" in said
    listed = command("list", "p", "--firm", "f01")
    assert [(row["kind"], row["amount"], row["version"], row["author"]) for row in listed] == [
        ("value_added", 1250.0, 1, "li"), ("production", 800.0, 1, "li"),
    ]  # fmt: skip
    assert listed[0]["source"].startswith("file 三月.csv ")


@pytest.mark.stack
def test_a_dry_run_stores_nothing_and_an_unreadable_file_stops_all(command, tmp_path: Path) -> None:
    """Checking stores nothing; of two files of which one is no table, neither is stored."""
    good, bad = tmp_path / "good.csv", tmp_path / "bad.csv"
    good.write_text(TABLE, encoding="utf-8")
    bad.write_text("a,b\n1,2\n", encoding="utf-8")
    assert command("import", "p", str(good), "--dry-run", status=1)["files"][0]["new"] == 0
    result = CliRunner().invoke(app, ["business", "import", "p", str(good), str(bad)])
    assert result.exit_code != 0
    assert command("list", "p") == []


@pytest.mark.stack
def test_what_is_frozen_asks_for_a_reason_and_the_history_shows_all(command, tmp_path: Path) -> None:
    """Audit, freeze, refuse, replace with a reason: each step is listed with who and why."""
    file = tmp_path / "march.csv"
    file.write_text(TABLE.rsplit("\n", 2)[0] + "\n", encoding="utf-8-sig")
    command("import", "p", str(file))
    assert len(command("audit", "p", "--period", "2025", "--reason", "checked")["changed"]) == 3
    frozen = command("freeze", "p", "--firm", "f02", "--reason", "year closed")["changed"]
    assert len(frozen) == 1
    file.write_text(TABLE.replace(",300,", ",310,"), encoding="utf-8")
    [refused] = command("import", "p", str(file), status=1)["files"]
    assert (4, "reason") in [(e["number"], e["field"]) for e in refused["errors"]]
    [taken] = command("import", "p", str(file), "--reason", "recount", status=1)["files"]
    assert taken["new"] == 1
    history = command("list", "p", "--firm", "f02", "--history")
    assert [(row["version"], row["status"], row["amount"], row["reason"]) for row in history] == [
        (1, "frozen", 300.0, ""), (2, "submitted", 310.0, "recount"),
    ]  # fmt: skip
    ids = [str(row["input_id"]) for row in command("list", "p", "--firm", "f02")]
    assert command("audit", "p", *ids, "--reason", "seen")["changed"] == [int(ids[0])]


@pytest.mark.stack
def test_what_is_asked_wrongly_is_told(command) -> None:
    """No firm, no period, no selection, no version of this number: one line each, nothing changed."""
    for words in (
        ("list", "p", "--firm", "f99"),
        ("list", "p", "--period", "soon"),
        ("list", "q"),
        ("audit", "p", "--reason", "all"),
        ("audit", "p", "77", "--reason", "no such"),
        ("freeze", "p", "--firm", "f01", "--reason", " "),
        ("import", "p", "/nowhere.csv"),
    ):
        result = CliRunner().invoke(app, ["business", *words])
        assert result.exit_code != 0, words
        assert result.exception is not None


@pytest.mark.stack
def test_deflators_are_entered_listed_and_used(command, tmp_path: Path, database_url: str) -> None:
    """A table of deflators gives constant prices; a changed value is a new version."""
    values, prices = tmp_path / "v.csv", tmp_path / "d.csv"
    values.write_text(TABLE, encoding="utf-8")
    prices.write_text("行业,基年,年份,价格指数,来源\n*,2020,2025,1.25,统计局\n", encoding="utf-8")
    command("import", "p", str(values), status=1)
    assert command("deflators", "p", str(prices))["new"] == 1
    assert command("deflators", "p", str(prices))["new"] == 0
    assert [(d["industry"], d["value"], d["version"]) for d in command("deflators", "p")["deflators"]] == [
        ("*", 1.25, 1)
    ]

    async def constant() -> float | None:
        async with connected(database_url) as connection:
            [firm, _] = await reporting_firms(connection, 1)
            book = await book_of(connection, firm.firm_id, date(2025, 1, 1), date(2026, 1, 1))
            return book.figure(
                "value_added", "month", date(2025, 3, 1), "10^4CNY", as_of=date(2026, 1, 1), price_year=2020
            ).amount

    assert asyncio.run(constant()) == 1000.0


@pytest.mark.parametrize("language", ["zh-CN", "en"])
def test_the_template_is_taken_as_it_is(language: str) -> None:
    """Every example row of the template passes every check, in both languages, and every kind has one."""

    class Firm:
        code, uscc, products, workshops = "f01", None, ("car",), ()

    text = template(language, firm="f01", product="car", period="2025-03")  # type: ignore[arg-type]
    rows, errors = read_rows(text.encode("utf-8-sig"), "t.csv", [Firm()], author="x", reason="", today=date(2026, 1, 1))
    assert errors == []
    assert {row.found.name.kind for row in rows} == set(KINDS)
    assert len(rows) == len(list(csv.reader(io.StringIO(text)))) - 1


def test_the_template_can_be_written_for_a_spreadsheet(tmp_path: Path) -> None:
    """With --out it is a file that begins with the mark by which spreadsheets know UTF-8."""
    file = tmp_path / "t.csv"
    result = CliRunner().invoke(app, ["business", "template", "--out", str(file)])
    assert result.exit_code == 0
    assert file.read_bytes().startswith(b"\xef\xbb\xbf")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("industry,base_year,year,value\n*,2020,2025,1\n", "row 1"),
        ("industry,base_year,year,value,source\n*,2020,25,1,x\n", "row 2: year"),
        ("industry,base_year,year,value,source\n*,2020,2025,0,x\n", "above 0"),
        ("industry,base_year,year,value,source\n*,2020,2025,1.0,\n", "row 2: source"),
    ],
)
def test_a_wrong_deflator_is_told_by_row_and_field(text: str, said: str) -> None:
    """Nothing of such a table is taken."""
    with pytest.raises(RefusedError, match=said):
        read_deflators("d.csv", text.encode())
