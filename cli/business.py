"""`greenpark business`: what firms report, entered from tables, audited, frozen."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from pathlib import Path  # noqa: TC003  (typer reads annotations at run time)
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.errors import MissingError, RefusedError
from cli.ledger import author_or_user
from cli.options import Json, Lang, ParkCode, SettingsFile, ask, emit, table
from park.business import InputKind, ReportPeriod, Status, parse_report_period

if TYPE_CHECKING:
    from collections.abc import Sequence

    from park.business_csv import RowError
    from store.business import InputRow, ReportingFirm
    from store.registry import ParkRow

app = typer.Typer(
    help="Business inputs: production, value, land, staff, solid waste, stocks, as firms report them.\n\nEvery version "
    "is kept. A month is never spread over days, and numbers made of it are computed again as new revisions.",
    no_args_is_help=True,
)

Author = Annotated[str | None, typer.Option(help="Who enters or decides; without it the user of this machine.")]
Firm = Annotated[str | None, typer.Option(help="Only of this firm, by code.")]
Kind = Annotated[InputKind | None, typer.Option(help="Only this kind.")]
Period = Annotated[str | None, typer.Option(help="Only periods within this one: 2025-03, 2025Q1 or 2025.")]
Why = Annotated[str, typer.Option(help="Why, for whoever asks later.")]


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of one file.

    Attributes:
        rows: rows with something in them.
        new: versions that were stored.
        unchanged: rows that say what holds already, or were taken before.
        errors: rows that were refused, each with file, row, field and message.
    """

    file: str
    rows: int
    new: int
    unchanged: int
    errors: tuple[RowError, ...]


@app.command("import")
def import_files(
    park: ParkCode,
    files: Annotated[list[Path], typer.Argument(metavar="FILE…", help="CSV tables; `business template` prints one.")],
    author: Author = None,
    reason: Annotated[str, typer.Option(help="Why, for rows that replace frozen ones and give no reason.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Read and check, store nothing.")] = False,
    settings: SettingsFile = None,
    json_output: Json = False,
) -> None:
    """Enter tables. Good rows are stored, bad ones told by file, row and column; the same file twice changes nothing.

    Exits with status 1 if any row was refused. UTF-8 (with or without byte-order mark), UTF-16 and GBK are understood,
    Chinese and English headings, and thousands separators.
    """
    tables = [(file.name, _bytes(file)) for file in files]
    done = ask(
        settings, lambda connection: _import(connection, park, tables, author_or_user(author), reason, dry=dry_run)
    )
    lines = []
    for one in done:
        lines += [str(error) for error in one.errors]
        lines.append(
            f"{one.file}: {one.rows} rows, {one.new} new, {one.unchanged} unchanged, {len(one.errors)} refused"
        )
    emit({"dry_run": dry_run, "files": [asdict(one) for one in done]}, "\n".join(lines), as_json=json_output)
    if any(one.errors for one in done):
        raise typer.Exit(1)


async def _import(
    connection: Any, park: str, tables: Sequence[tuple[str, bytes]], author: str, reason: str, *, dry: bool
) -> list[Imported]:
    from park.business_csv import RowError, read_rows  # noqa: PLC0415
    from store.business import enter, reporting_firms  # noqa: PLC0415
    from store.registry import park_named  # noqa: PLC0415

    row = await park_named(connection, park)
    firms = {firm.code: firm for firm in await reporting_firms(connection, row.park_id)}
    now = datetime.now(UTC)
    today = _today(row, now)
    # All files are read before anything is stored: a file that cannot be read as a whole stores nothing.
    read = [
        (name, *read_rows(data, name, firms.values(), author=author, reason=reason, today=today))
        for name, data in tables
    ]
    done = []
    for name, rows, errors in read:
        found, new = list(errors), 0
        for code in dict.fromkeys(r.firm for r in rows):
            mine = [r for r in rows if r.firm == code]
            if dry:
                continue
            outcomes = await enter(connection, firms[code], [r.found for r in mine], now=now)
            for given, outcome in zip(mine, outcomes, strict=True):
                new += outcome.is_new
                if outcome.error is not None:
                    found.append(RowError(name, given.number, outcome.error.field, outcome.error.problem))
        refused = len(found) - len(errors)
        unchanged = 0 if dry else len(rows) - new - refused
        found.sort(key=lambda error: error.number)
        done.append(Imported(name, len(rows) + len(errors), new, unchanged, tuple(found)))
    return done


def _today(park: ParkRow, now: datetime) -> date:
    from zoneinfo import ZoneInfo  # noqa: PLC0415

    return now.astimezone(ZoneInfo(park.time_zone)).date()


def _bytes(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        msg = f"{file}: {error.strerror}"
        raise MissingError(msg) from None


@app.command("list")
def list_inputs(
    park: ParkCode,
    firm: Firm = None,
    kind: Kind = None,
    period: Period = None,
    status: Annotated[Status | None, typer.Option(help="Only this state.")] = None,
    history: Annotated[
        bool, typer.Option("--history", help="All versions, not only the newest of each input.")
    ] = False,
    settings: SettingsFile = None,
    json_output: Json = False,
) -> None:
    """List what was reported: the newest version of each input, or all; with who entered it, when and why."""
    found = ask(settings, lambda connection: _listed(connection, park, firm, kind, period, status, history=history))
    rows = [
        (
            row.found.input_id,
            row.firm,
            str(row.found.name),
            "withdrawn" if row.found.amount is None else f"{row.found.amount:,.6g}",
            row.found.unit,
            f"v{row.found.version}",
            row.found.status.value,
            row.found.finality.value,
            row.found.author,
            f"{row.found.entered:%F %H:%M}Z",
            row.found.reason or None,
        )
        for row in found
    ]
    emit([_document(row) for row in found], table(rows, "nothing was reported"), as_json=json_output)


def _document(row: InputRow) -> dict[str, Any]:
    found = row.found
    return {
        "input_id": found.input_id,
        "firm": row.firm,
        "kind": found.name.kind,
        "key": found.name.key,
        "period": str(found.name.period),
        "price_basis": found.name.price_basis,
        "price_year": found.name.price_year,
        "workshop": found.name.workshop,
        "amount": found.amount,
        "unit": found.unit,
        "finality": found.finality,
        "status": found.status,
        "version": found.version,
        "newest": row.newest,
        "author": found.author,
        "source": found.source,
        "reason": found.reason,
        "entered": found.entered,
    }


async def _listed(
    connection: Any,
    park: str,
    firm: str | None,
    kind: InputKind | None,
    period: str | None,
    status: Status | None,
    *,
    history: bool,
) -> list[InputRow]:
    from store.business import Filter, listed, reporting_firms  # noqa: PLC0415
    from store.errors import UnknownNameError  # noqa: PLC0415
    from store.registry import park_named  # noqa: PLC0415

    park_id = (await park_named(connection, park)).park_id
    firms: dict[str, ReportingFirm] = {found.code: found for found in await reporting_firms(connection, park_id)}
    if firm is not None and firm not in firms:
        raise UnknownNameError("firm", f"{park}/{firm}")
    within: ReportPeriod | None = None if period is None else parse_report_period(period)
    wanted = Filter(
        park_id=park_id,
        firm_id=None if firm is None else firms[firm].firm_id,
        kind=kind,
        first=None if within is None else within.start,
        end=None if within is None else within.end,
        status=status,
        history=history,
    )
    found = await listed(connection, wanted)
    return [row for row in found if within is None or row.found.name.period.end <= within.end]


Ids = Annotated[list[int] | None, typer.Argument(metavar="ID…", help="Versions, as `business list` numbers them.")]


@app.command()
def audit(
    park: ParkCode,
    reason: Why,
    ids: Ids = None,
    firm: Firm = None,
    kind: Kind = None,
    period: Period = None,
    author: Author = None,
    settings: SettingsFile = None,
    json_output: Json = False,
) -> None:
    """Mark newest versions as audited: then only audited ones count, and a correction waits for its own audit."""
    _move(Status.AUDITED, park, ids, (firm, kind, period), author, reason, settings, as_json=json_output)


@app.command()
def freeze(
    park: ParkCode,
    reason: Why,
    ids: Ids = None,
    firm: Firm = None,
    kind: Kind = None,
    period: Period = None,
    author: Author = None,
    settings: SettingsFile = None,
    json_output: Json = False,
) -> None:
    """Freeze newest versions: what is to replace one must give a reason. What was only submitted is audited by it."""
    _move(Status.FROZEN, park, ids, (firm, kind, period), author, reason, settings, as_json=json_output)


def _move(
    status: Status,
    park: str,
    ids: list[int] | None,
    wanted: tuple[str | None, InputKind | None, str | None],
    author: str | None,
    reason: str,
    settings: Path | None,
    *,
    as_json: bool,
) -> None:
    if not reason.strip():
        raise RefusedError("--reason: say why")
    if not ids and not any(wanted):
        raise RefusedError("say which: numbers, --firm, --kind or --period")

    async def question(connection: Any) -> list[int]:
        from store.business import set_status  # noqa: PLC0415

        # By number any version may be meant, by filter the newest of each input.
        rows = await _listed(connection, park, *wanted, None, history=bool(ids))
        if ids:
            unknown = sorted(set(ids) - {row.found.input_id for row in rows})
            if unknown:
                listed = ", ".join(map(str, unknown))
                raise MissingError(
                    f"no version {listed} among those asked for; `greenpark business list {park}` shows them"
                )
            rows = [row for row in rows if row.found.input_id in ids]
        who = author_or_user(author)
        return await set_status(connection, rows, status, author=who, reason=reason.strip(), now=datetime.now(UTC))

    changed = ask(settings, question)
    emit({"status": status, "changed": changed}, f"{len(changed)} versions are now {status}", as_json=as_json)


@app.command()
def template(
    lang: Annotated[Lang, typer.Option(help="Language of headings and words.")] = Lang.ZH,
    firm: Annotated[str, typer.Option(help="Code of the firm in the examples.")] = "f01",
    product: Annotated[str, typer.Option(help="Code of the product in the examples.")] = "product",
    out: Annotated[Path | None, typer.Option(help="Write it here, marked as UTF-8 for spreadsheets.")] = None,
    json_output: Json = False,
) -> None:
    """Print a CSV table to fill in, with one example row of each kind."""
    from park.business_template import template as filled  # noqa: PLC0415

    today = datetime.now(UTC).date()
    before = date(today.year - (today.month == 1), (today.month - 2) % 12 + 1, 1)
    text = filled(lang.value, firm=firm, product=product, period=f"{before:%Y-%m}")
    if out is None:
        emit({"template": text}, text.rstrip("\r\n"), as_json=json_output)
        return
    try:
        out.write_bytes(text.encode("utf-8-sig"))
    except OSError as error:
        msg = f"{out}: {error.strerror}"
        raise RefusedError(msg) from None
    emit({"written": str(out)}, f"written: {out}", as_json=json_output)


@app.command()
def deflators(
    park: ParkCode,
    file: Annotated[
        Path | None, typer.Argument(help="CSV: industry,base_year,year,value,source; * is any industry.")
    ] = None,
    author: Author = None,
    settings: SettingsFile = None,
    json_output: Json = False,
) -> None:
    """Enter or list a park's deflators: V_constant = V_current / value, prices of the base year being 1.

    Without a file it lists them. A changed value is a new version, and what it touches is computed again.
    """
    given = None if file is None else read_deflators(file.name, _bytes(file))

    async def question(connection: Any) -> tuple[int, list[Any]]:
        from store.business import add_deflators  # noqa: PLC0415
        from store.business import deflators as known  # noqa: PLC0415
        from store.registry import park_named  # noqa: PLC0415

        row = await park_named(connection, park)
        new = 0
        if given:
            who, now = author_or_user(author), datetime.now(UTC)
            new = await add_deflators(connection, row.park_id, row.time_zone, given, author=who, now=now)
        return new, await known(connection, row.park_id)

    new, found = ask(settings, question)
    rows = [(d.industry, d.base_year, d.year, f"{d.value:g}", f"v{d.version}", d.source) for d in found]
    text = table(rows, "no deflators: constant prices must be reported")
    if file is not None:
        text = f"{file.name}: {new} new\n{text}"
    emit({"new": new, "deflators": found}, text, as_json=json_output)


_DEFLATOR_COLUMNS = ("industry", "base_year", "year", "value", "source")
_DEFLATOR_WORDS = {"行业": "industry", "基年": "base_year", "年份": "year", "价格指数": "value", "来源": "source"}


def read_deflators(name: str, data: bytes) -> list[Any]:
    """Read a table of deflators, or raise `RefusedError` naming file, row and field: all of it is taken or nothing."""
    from park.business_csv import text_of  # noqa: PLC0415
    from park.figures import Deflator  # noqa: PLC0415

    lines = [line for line in csv.reader(io.StringIO(text_of(data, name), newline="")) if any(c.strip() for c in line)]
    heading = [_DEFLATOR_WORDS.get(cell.strip(), cell.strip().lower()) for cell in lines[0]] if lines else []
    if sorted(heading) != sorted(_DEFLATOR_COLUMNS):
        raise RefusedError(f"{name}: row 1: the columns are {','.join(_DEFLATOR_COLUMNS)}")
    found = []
    for number, cells in enumerate(lines[1:], start=2):
        row = dict(zip(heading, [*(c.strip() for c in cells), *[""] * len(heading)], strict=False))
        for field, form in (
            ("industry", ".+"),
            ("base_year", r"\d{4}"),
            ("year", r"\d{4}"),
            ("value", r"\d+(\.\d+)?"),
            ("source", ".+"),
        ):
            if not re.fullmatch(form, row[field]):
                raise RefusedError(f"{name}: row {number}: {field}: {row[field]!r} does not fit")
        if float(row["value"]) <= 0:
            raise RefusedError(f"{name}: row {number}: value: must be above 0")
        found.append(
            Deflator(row["industry"], int(row["base_year"]), int(row["year"]), float(row["value"]), row["source"])
        )
    return found
