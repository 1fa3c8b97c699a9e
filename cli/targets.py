"""`greenpark targets`: the target packs, what they ask, and what is odd in them. Needs no database."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from cli.errors import MissingError
from cli.options import Json, Lang, emit, table

if TYPE_CHECKING:
    from park.targets import Target, TargetPack

app = typer.Typer(
    help="Target packs: what each plan asks, where it says so, and what is odd in it.\n\nA park follows packs by its "
    "document (`target_packs`), and may bring its own and its own baselines; see docs/targets.md.",
    no_args_is_help=True,
)
PackId = Annotated[str, typer.Argument(help="Id of a pack, or a file: a pack (TOML) or a park document (YAML).")]
Language = Annotated[Lang, typer.Option("--lang", help="Language of names.", envvar="GREENPARK_LANG")]


@app.command("list")
def list_packs(json_output: Json = False, lang: Language = Lang.ZH) -> None:
    """List the packs that the package carries; as JSON with every target."""
    from park.oddities import odd  # noqa: PLC0415
    from park.targets import load_pack, pack_ids  # noqa: PLC0415

    packs = [load_pack(pack_id) for pack_id in pack_ids()]
    document = {"packs": [_document(pack) for pack in packs]}
    rows: list[tuple[str, ...]] = [("pack", "kind", "years", "targets", "numbers", "computed", "odd", "name")]
    rows += [
        (
            pack.id,
            pack.kind.value,
            f"{pack.base_year}-{pack.target_year}",
            str(len(pack.targets)),
            str(sum(target.numeric for target in pack.targets)),
            str(sum(target.indicator is not None for target in pack.targets)),
            str(len(odd(pack))),
            pack.name_zh if lang is Lang.ZH else pack.name_en,
        )
        for pack in packs
    ]
    emit(document, table(rows, ""), as_json=json_output)


@app.command()
def show(
    pack: PackId,
    target: Annotated[str | None, typer.Argument(help="Id of one target; without it all.")] = None,
    json_output: Json = False,
    lang: Language = Lang.ZH,
) -> None:
    """Show a pack's targets, or everything about one of them."""
    [found] = _packs(pack)[:1]
    if target is None:
        rows: list[tuple[str, ...]] = [("target", "theme", "wanted", "from", "indicator", "name")]
        rows += [_row(one, lang) for one in found.targets]
        emit(_document(found), table(rows, ""), as_json=json_output)
        return
    one = found.by_id(target)
    if one is None:
        raise MissingError(f"no target {target!r} in {found.id}; `greenpark targets show {found.id}` lists them")
    document = _target(one)
    text = "\n".join(f"{name}: {value}" for name, value in document.items() if value not in (None, "", [], False))
    emit(document, text, as_json=json_output)


@app.command()
def check(
    packs: Annotated[list[str] | None, typer.Argument(help="Ids or files; without them all packs carried.")] = None,
    json_output: Json = False,
) -> None:
    """Check packs, or a park document's own, and print what a person should look at. What is wrong ends it with 1."""
    from park.oddities import odd  # noqa: PLC0415
    from park.targets import pack_ids  # noqa: PLC0415

    found = [one for name in packs or pack_ids() for one in _packs(name)]
    odds = [odd(one) for one in found]
    document = {
        "packs": [{"id": one.id, "version": one.version, "odd": of} for one, of in zip(found, odds, strict=True)]
    }
    lines = [line for of in odds for line in of]
    text = "\n".join([*lines, f"{len(found)} packs are valid; {len(lines)} things are odd"])
    emit(document, text, as_json=json_output)


def _packs(name: str) -> list[TargetPack]:
    from park.definition import load_definition  # noqa: PLC0415
    from park.targets import load_pack, parse_pack  # noqa: PLC0415

    path = Path(name)
    if path.suffix == ".toml":
        return [parse_pack(_text(path), path.name)]
    if path.suffix in {".yaml", ".yml"}:
        return list(load_definition(_text(path), path.name).own_target_packs)
    return [load_pack(name)]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise MissingError(f"{path}: {error.strerror}") from None


def _document(pack: TargetPack) -> dict[str, Any]:
    """Return a pack for machines: `targets` counts them all, `without_number` those that print none."""
    return {
        "id": pack.id,
        "version": pack.version,
        "kind": pack.kind.value,
        "name_zh": pack.name_zh,
        "name_en": pack.name_en,
        "document": pack.document,
        "issuer": pack.issuer,
        "region": pack.region,
        "base_year": pack.base_year,
        "target_year": pack.target_year,
        "verified": pack.verified,
        "notes": pack.notes,
        "targets": len(pack.targets),
        "with_number": sum(target.numeric for target in pack.targets),
        "without_number": sum(not target.numeric for target in pack.targets),
        "green": sum(target.theme.value == "green" for target in pack.targets),
        "computed": sum(target.indicator is not None for target in pack.targets),
        "items": [_target(target) for target in pack.targets],
    }


def _target(target: Target) -> dict[str, Any]:
    fields = {name: getattr(target, name) for name in target.__struct_fields__}
    found: dict[str, Any] = msgspec.to_builtins(fields | {"source": msgspec.structs.asdict(target.source)})
    return found | {"numeric": target.numeric, "upward": target.upward}


def _row(target: Target, lang: Lang) -> tuple[str, ...]:
    from park.sentences import sign_of  # noqa: PLC0415

    wanted = target.comparator.value
    if target.value is not None:
        number = f"{target.value:g}" if target.upper is None else f"{target.value:g}-{target.upper:g}"
        words = {"cumulative_decline": "-", "cumulative": "Σ ", "per_year": "+"}
        wanted = f"{words.get(target.comparator.value, sign_of(target) + ' ')}{number} {target.unit}".rstrip()
        wanted += "/a" if target.comparator.value == "per_year" else ""
    base = "" if target.base_value is None else f"{target.base_value:g} ({target.base_year})"
    name = target.name_zh if lang is Lang.ZH else target.name_en
    return target.id, target.theme.value, wanted, base, target.indicator or "", name
