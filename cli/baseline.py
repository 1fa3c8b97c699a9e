"""`greenpark baseline`: energy baselines after ISO 50006, fitted, listed and held against what was used."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from cli.baseline_text import heading, outcome, told
from cli.errors import MissingError, RefusedError
from cli.ledger import Author, author_or_user
from cli.options import Json, Lang, OfPark, SettingsFile, ask, emit, table

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

app = typer.Typer(
    help="Energy baselines (ISO 50006): energy explained by production and weather, its gates, running sums, savings."
    "\n\nA baseline is dated: a later one ends the earlier, nothing is overwritten. One that fails a gate is not used.",
    no_args_is_help=True,
)

FirmName = Annotated[str, typer.Argument(metavar="PARK/FIRM", help="Codes, as `park show` lists them.")]
Energy = Annotated[str, typer.Option(help="Which energy: an indicator of the firm without a denominator.")]
Language = Annotated[Lang, typer.Option(help="Language of what people read.", envvar="GREENPARK_LANG")]
_ENERGY: Final = "comprehensive_energy_equivalent"


class Grain(StrEnum):
    """Spacing of a baseline's periods."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"


@app.command()
def fit(
    firm: FirmName,
    base: Annotated[
        str | None,
        typer.Option(metavar="FROM..TO", help="Base period, both days included; without it the last twelve months."),
    ] = None,
    on: Annotated[
        list[str] | None,
        typer.Option(help="Variable: production:CODE, hdd18, cdd26; again for more. Without it, the significant ones."),
    ] = None,
    start: Annotated[
        str | None, typer.Option("--from", help="First day in force; without it the day after the base period.")
    ] = None,
    leave_out: Annotated[
        list[str] | None, typer.Option(metavar="FROM..TO", help="Days that are not typical; again for more.")
    ] = None,
    because: Annotated[str, typer.Option(help="Why: the first one, a static change such as a new line.")] = "baseline",
    energy: Energy = _ENERGY,
    grain: Annotated[Grain, typer.Option(help="Spacing of the periods.")] = Grain.DAY,
    try_only: Annotated[bool, typer.Option("--try", help="Show the fit and its gates, and keep nothing.")] = False,
    author: Author = None,
    settings: SettingsFile = None,
    lang: Language = Lang.EN,
    json_output: Json = False,
) -> None:
    """Fit a baseline and, if every gate passes, put it in force; an earlier one ends there and stays on record.

    Exit status 1 if a gate failed: then nothing is kept.
    """
    from store.baselines import NewBaseline  # noqa: PLC0415

    async def question(connection: Any) -> dict[str, Any]:
        firm_id, time_zone = await _firm(connection, firm)
        first, last = _span(base) if base else _last_year(datetime.now(UTC).astimezone(time_zone).date())
        wanted = NewBaseline(
            firm_id=firm_id,
            indicator_id=energy,
            grain=grain.value,
            variables=tuple(on or ()),
            base_from=first,
            base_to=last,
            valid_from=_day(start) if start else last,
            left_out=tuple(_span(each) for each in leave_out or ()),
            reason=because,
            author=author_or_user(author),
        )
        return await _fit(connection, wanted, time_zone, try_only=try_only)

    found = ask(settings, question)
    found["firm"] = firm
    emit(found, told(found["fit"], lang, kept=found["kept"]), as_json=json_output)
    if not found["fit"].usable:
        raise typer.Exit(1)


async def _fit(connection: Any, wanted: Any, tz: ZoneInfo, *, try_only: bool) -> dict[str, Any]:
    """Keep the baseline, compute it and its residuals; take all of it back if it may not be used."""
    from store import baselines as store  # noqa: PLC0415
    from store.ledger import finish_run, new_run  # noqa: PLC0415
    from streams.baselines import days, evaluate, known_variables, midnight  # noqa: PLC0415
    from streams.ledgers import CODE_VERSION  # noqa: PLC0415

    now = datetime.now(UTC)
    transaction = connection.transaction()
    await transaction.start()
    try:
        await store.wait_for_firm(connection, wanted.firm_id)
        daily = await days(connection, wanted.firm_id, wanted.indicator_id, midnight(wanted.base_from, tz), tz, now=now)
        known_variables(daily, wanted.variables)
        baseline_id = await store.add(connection, wanted)
        row = next(row for row in await store.of_firm(connection, wanted.firm_id) if row.baseline_id == baseline_id)
        cause = f"baseline {baseline_id} by {wanted.author}: {wanted.reason}"
        run_id = await new_run(connection, row.park_id, row.firm_id, cause, CODE_VERSION, now)
        done = await evaluate(connection, wanted.firm_id, tz, now=now, run_id=run_id)
        await finish_run(connection, run_id, None)
        model = (await store.fits(connection, wanted.firm_id))[baseline_id].fit
    except BaseException:
        await transaction.rollback()
        raise
    kept = model.usable and not try_only
    await (transaction.commit() if kept else transaction.rollback())
    document = {"baseline_id": baseline_id if kept else None, "kept": kept, "usable": model.usable}
    return document | {
        "failed": model.failed,
        "variables": model.variables,
        "base": [wanted.base_from, wanted.base_to],
        "valid_from": wanted.valid_from,
        "residuals": done.residuals if kept else 0,
        "fit": model,
    }


@app.command()
def show(
    firm: FirmName,
    energy: Energy = _ENERGY,
    grain: Annotated[Grain, typer.Option(help="Spacing of the periods.")] = Grain.DAY,
    since: Annotated[str | None, typer.Option(help="Savings from this day on.")] = None,
    until: Annotated[str | None, typer.Option(help="Savings up to this day, included.")] = None,
    confidence: Annotated[float, typer.Option(min=0.5, max=0.999, help="Of the savings' interval.")] = 0.9,
    settings: SettingsFile = None,
    lang: Language = Lang.EN,
    json_output: Json = False,
) -> None:
    """Show a firm's baselines, superseded ones too: model, gates, fits, the running sum, and savings."""

    async def question(connection: Any) -> dict[str, Any]:
        firm_id, tz = await _firm(connection, firm)
        first = _day(since) if since else None
        last = _day(until) + timedelta(days=1) if until else None
        return await _show(connection, firm_id, (energy, grain.value), tz, (first, last), confidence)

    found = ask(settings, question)
    if not found["baselines"]:
        msg = f"{firm} has no {grain.value} baseline of {energy}: `greenpark baseline fit {firm}`"
        raise MissingError(msg)
    lines = []
    for each in found["baselines"]:
        lines += [heading(each["baseline"], lang), told(each["fit"], lang), *outcome(each, lang), ""]
    emit({"firm": firm} | found, "\n".join(lines).rstrip(), as_json=json_output)


async def _show(
    connection: Any,
    firm_id: int,
    of: tuple[str, str],
    tz: ZoneInfo,
    span: tuple[date | None, date | None],
    confidence: float,
) -> dict[str, Any]:
    from park.errors import BaselineError  # noqa: PLC0415
    from park.performance import savings  # noqa: PLC0415
    from store import baselines as store  # noqa: PLC0415
    from streams.baselines import between, days, midnight, spaced  # noqa: PLC0415

    rows = [row for row in await store.of_firm(connection, firm_id) if (row.indicator_id, row.grain) == of]
    models = await store.fits(connection, firm_id)
    held = await store.residuals(connection, firm_id, *of)
    shown = []
    for row in rows:
        if row.baseline_id not in models:
            continue
        model = models[row.baseline_id].fit
        first = max(filter(None, (row.valid_from, span[0])))
        last = min(filter(None, (row.valid_to, span[1])), default=None)
        saved, why = None, None
        start = midnight(min(first, row.valid_from), tz)
        daily = await days(connection, firm_id, row.indicator_id, start, tz, now=datetime.now(UTC))
        try:
            saved = savings(model, between(spaced(daily, row.grain, row, tz), first, last, tz), confidence=confidence)
        except BaselineError as error:
            why = str(error)
        mine = [period for period in held if period.baseline_id == row.baseline_id]
        shown.append(
            {
                "baseline": row,
                "usable": model.usable,
                "fits": await store.fits_of(connection, row.baseline_id),
                "fit": model,
                "periods": len(mine),
                "newest": mine[-1] if mine else None,
                "alarms": sum(period.alarm is not None for period in mine),
                "savings": saved,
                "no_savings": why,
            }
        )
    return {"energy": of[0], "grain": of[1], "baselines": shown}


@app.command("list")
def list_all(park: OfPark = None, settings: SettingsFile = None, json_output: Json = False) -> None:
    """List all baselines with their fit, what ended them, and where the running sum stands."""
    from store.baselines import listed  # noqa: PLC0415

    async def question(connection: Any) -> list[dict[str, Any]]:
        return await listed(connection, park)

    found = ask(settings, question)
    rows: list[tuple[object, ...]] = [
        (
            row["baseline_id"],
            row["firm"],
            row["indicator_id"],
            row["grain"],
            f"{row['valid_from']}..{'' if row['valid_to'] is None else row['valid_to'] - timedelta(days=1)}",
            "no fit" if row["usable"] is None else "usable" if row["usable"] else f"not: {' '.join(row['failed'])}",
            None if row["r_squared"] is None else f"R2 {row['r_squared']:.3f}",
            None if row["cusum"] is None else f"{row['cusum']:+,.0f} {row['unit']}",
            row["alarm"],
            row["reason"],
        )
        for row in found
    ]
    emit({"baselines": found}, table(rows, "no baselines yet: `greenpark baseline fit PARK/FIRM`"), as_json=json_output)


@app.command()
def end(
    firm: FirmName,
    day: Annotated[str, typer.Option("--from", help="First day on which it is not in force any more.")],
    because: Annotated[str, typer.Option(help="The static change that it does not describe.")],
    energy: Energy = _ENERGY,
    grain: Annotated[Grain, typer.Option(help="Spacing of the periods.")] = Grain.DAY,
    author: Author = None,
    settings: SettingsFile = None,
    json_output: Json = False,
) -> None:
    """End a baseline where the plant changed and there is not a year of data yet to fit the next one."""

    async def question(connection: Any) -> int:
        from store import baselines as store  # noqa: PLC0415

        firm_id, tz = await _firm(connection, firm)
        rows = [r for r in await store.of_firm(connection, firm_id) if (r.indicator_id, r.grain) == (energy, grain)]
        if not rows or not await store.end(
            connection, rows[-1].baseline_id, _day(day), because, author_or_user(author)
        ):
            msg = f"{firm} has no {grain.value} baseline of {energy} in force on {day}; see `greenpark baseline list`"
            raise RefusedError(msg)
        await store.mark(connection, firm_id, [datetime.combine(_day(day), datetime.min.time(), tz)])
        return rows[-1].baseline_id

    found = ask(settings, question)
    emit({"baseline_id": found, "valid_to": day}, f"baseline {found} is in force until {day}", as_json=json_output)


async def _firm(connection: Any, name: str) -> tuple[int, ZoneInfo]:
    from park.calendar import zone  # noqa: PLC0415
    from store.errors import UnknownNameError  # noqa: PLC0415
    from store.registry import firms, park_named  # noqa: PLC0415

    park_code, _, firm_code = name.partition("/")
    park = await park_named(connection, park_code)
    for row in await firms(connection, park.park_id):
        if row.code == firm_code:
            return row.firm_id, zone(park.time_zone)
    raise UnknownNameError("firm", name)


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        msg = f"{text!r} is no day: write it as 2026-04-22"
        raise MissingError(msg) from None


def _span(text: str) -> tuple[date, date]:
    """Read FROM..TO, both included, as a half-open span of days."""
    first, dots, last = text.partition("..")
    if not dots:
        msg = f"{text!r} is no stretch of days: write it as 2025-01-01..2025-12-31"
        raise MissingError(msg)
    found = _day(first), _day(last) + timedelta(days=1)
    if found[0] >= found[1]:
        msg = f"{text}: the last day lies before the first"
        raise MissingError(msg)
    return found


def _last_year(today: date) -> tuple[date, date]:
    last = today.replace(day=1)
    return last.replace(year=last.year - 1), last
