"""`greenpark indicators` and `greenpark scorecard`: what is computed, with which factors, and what cards make of it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from cli.errors import MissingError
from cli.options import Json, Lang, SettingsFile, ask, emit, table

if TYPE_CHECKING:
    from park.scorecards import Result, Scorecard

app = typer.Typer(
    help="The catalogue of indicators, and the factors behind them. Needs no database; see docs/indicators.md.",
    no_args_is_help=True,
)
cards = typer.Typer(
    help="Composite scorecards: green factory, green park, zero-carbon park; scored as far as they are known.",
    no_args_is_help=True,
)
Language = Annotated[Lang, typer.Option("--lang", help="Language of names.", envvar="GREENPARK_LANG")]


@app.command("list")
def list_indicators(json_output: Json = False, lang: Language = Lang.ZH) -> None:
    """List the indicators: formula, unit, grains, scopes, source; as JSON with their terms."""
    from park.indicators import load_catalogue  # noqa: PLC0415

    catalogue = load_catalogue()
    rows: list[tuple[str, ...]] = [("indicator", "unit", "better", "formula", "name")]
    rows += [
        (i.id, i.unit, i.better.value, i.formula, i.name_zh if lang is Lang.ZH else i.name_en)
        for i in catalogue.indicators
    ]
    document = {"version": catalogue.version, "indicators": msgspec.to_builtins(catalogue.indicators)}
    emit(document, table(rows, ""), as_json=json_output)


@app.command()
def factors(
    carrier: Annotated[str | None, typer.Argument(help="Only of this carrier, such as natural_gas.")] = None,
    json_output: Json = False,
) -> None:
    """List the conversion factors: value, basis, purpose, edition, region, days, source, verified or not."""
    from park.factors import load_factors  # noqa: PLC0415

    registry = load_factors()
    found = [factor for factor in registry.factors if carrier in {None, factor.carrier}]
    if not found:
        known = ", ".join(sorted({factor.carrier for factor in registry.factors}))
        raise MissingError(f"no factor for {carrier!r}; there are some for {known}")
    rows: list[tuple[str, ...]] = [("factor", "value", "per", "basis", "purpose", "edition", "region", "verified")]
    rows += [
        (
            f.id,
            f"{f.value:g} {f.result_unit}",
            f.unit,
            f.basis.value,
            f.purpose,
            f.edition,
            f.region,
            "yes" if f.verified else "no",
        )
        for f in found
    ]
    document = {"version": registry.version, "factors": msgspec.to_builtins(found)}
    emit(document, table(rows, ""), as_json=json_output)


@cards.command("list")
def list_cards(json_output: Json = False, lang: Language = Lang.ZH) -> None:
    """List the scorecards, and how much of each our own catalogue and tables know."""
    from park.scorecards import card_ids, load_card  # noqa: PLC0415

    found = [load_card(card_id) for card_id in card_ids()]
    rows: list[tuple[str, ...]] = [("card", "for", "items", "computed", "gaps", "name")]
    rows += [
        (
            card.id,
            card.scope,
            str(len(card.items)),
            str(sum(item.indicator is not None for item in card.items)),
            str(sum(bool(item.gap) for item in card.items)),
            card.name_zh if lang is Lang.ZH else card.name_en,
        )
        for card in found
    ]
    emit({"cards": msgspec.to_builtins(found)}, table(rows, ""), as_json=json_output)


@cards.command()
def show(
    subject: Annotated[str, typer.Argument(metavar="PARK[/FIRM]", help="Codes, as `park show` lists them.")],
    card: Annotated[str, typer.Argument(help="Id of a card, as `scorecard list` prints it.")],
    year: Annotated[int | None, typer.Option(help="Calendar year; the present one by default.")] = None,
    value: Annotated[
        list[str] | None, typer.Option(help="ITEM=NUMBER: what a person says of an item that is not computed.")
    ] = None,
    level: Annotated[
        list[str] | None, typer.Option(help="ITEM=BASE:LEAD: base and lead value of the sector's table.")
    ] = None,
    settings: SettingsFile = None,
    json_output: Json = False,
    lang: Language = Lang.ZH,
) -> None:
    """Score a park or firm by a card, from its values of a year; what is not known stays open, with the reason."""
    from park.scorecards import load_card, score, with_levels  # noqa: PLC0415

    levels = {item: _pair(item, text) for item, text in map(_split, level or ())}
    chosen = with_levels(load_card(card), levels)
    said = {item: _number(item, text) for item, text in map(_split, value or ())}
    wanted = {item.id for item in chosen.items}
    for item in said:
        if item not in wanted:
            raise MissingError(f"{card} has no item {item!r}; it has {', '.join(sorted(wanted))}")

    async def question(connection: Any) -> dict[str, tuple[float | None, str | None]]:
        from store.indicators import year_values  # noqa: PLC0415

        return await year_values(connection, subject, year or datetime.now(UTC).year)

    known = ask(settings, question)
    result = score(chosen, _given(chosen, known, said), energy_tce=_energy_tce(known))
    emit(_document(result, subject), _text(result, lang), as_json=json_output)


def _given(card: Scorecard, known: dict[str, tuple[float | None, str | None]], said: dict[str, float]) -> Any:
    from park.reasons import Undefined  # noqa: PLC0415
    from park.scorecards import Given  # noqa: PLC0415

    found = {}
    for item in card.items:
        if item.id in said:
            found[item.id] = Given(said[item.id])
        elif item.indicator is not None:
            number, reason = known.get(item.indicator, (None, Undefined.NO_DATA.value))
            found[item.id] = Given(number, None if reason is None else Undefined(reason))
    return found


def _energy_tce(known: dict[str, tuple[float | None, str | None]]) -> float | None:
    kgce, _ = known.get("comprehensive_energy_equivalent", (None, None))
    return None if kgce is None else kgce / 1000


def _split(text: str) -> tuple[str, str]:
    item, equals, rest = text.partition("=")
    if not equals:
        raise MissingError(f"{text!r}: write ITEM=…")
    return item, rest


def _number(item: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise MissingError(f"{item}: {text!r} is no number") from None


def _pair(item: str, text: str) -> tuple[float, float]:
    base, colon, lead = text.partition(":")
    if not colon:
        raise MissingError(f"{item}: {text!r}: write BASE:LEAD, such as 80:95")
    return _number(item, base), _number(item, lead)


def _document(result: Result, subject: str) -> dict[str, Any]:
    return {
        "subject": subject,
        "card": result.card.id,
        "version": result.card.version,
        "verified": result.card.verified,
        "total": result.total,
        "known": result.known,
        "capped": result.capped,
        "known_weight": result.known_weight,
        "weight": result.weight,
        "failed": result.failed,
        "items": [
            {
                "id": one.item.id,
                "indicator": one.item.indicator,
                "value": one.value,
                "unit": one.item.unit,
                "points": one.points,
                "reason": one.reason,
                "gap": one.gap,
            }
            for one in result.items
        ],
    }


def _text(result: Result, lang: Lang) -> str:
    from park.reasons import SENTENCES  # noqa: PLC0415

    k = 0 if lang is Lang.ZH else 1
    rows: list[tuple[str, ...]] = [("item", "value", "points", "name", "why not")]
    for one in result.items:
        why = one.gap if one.reason is None else SENTENCES[one.reason][k]
        rows.append(
            (
                one.item.id,
                "-" if one.value is None else f"{one.value:.4g} {one.item.unit}",
                "-" if one.points is None else f"{one.points:.3g}",
                (one.item.name_zh, one.item.name_en)[k],
                "" if one.points is not None else why,
            )
        )
    total = "-" if result.total is None else f"{result.total:.4g}"
    known = "-" if result.known is None else f"{result.known:.4g}"
    tail = f"total {total}; known {known} from {result.known_weight:g} of {result.weight:g}"
    if result.capped is not None:
        tail += f"; {result.capped:.4g} with every term capped at 1"
    if result.failed:
        tail += f"; fails by {', '.join(result.failed)}"
    return table(rows, "") + "\n" + tail
