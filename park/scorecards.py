"""Composite scorecards: green factory, green park, eco-industrial park, zero-carbon park, as data.

A card is scored as far as it is known. What a table that nobody has seen would say, or an indicator without a value,
leaves its item without points and with a reason; a total is given only where nothing is missing.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING, Annotated, Final

import msgspec

from park import datafile
from park.errors import DataFileError, IndicatorError
from park.indicators import Better, load_catalogue
from park.reasons import Undefined

if TYPE_CHECKING:
    from collections.abc import Mapping

BASE_SCORE: Final = 0.6
"""What the base value is worth, where a standard does not say how to score between base and lead."""


class Method(StrEnum):
    """How items make a card."""

    WEIGHTED = "weighted"
    """Points between a base and a lead value, by weight."""
    INDEX = "index"
    """Mean of value over reference (of a lower-is-better item: reference over value), times 100."""
    GATES = "gates"
    """Every item is met or is not; a veto decides alone."""


class Band(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A limit for subjects whose yearly energy, tce, lies in `[from_tce, to_tce)`."""

    from_tce: float
    to_tce: float | None = None
    limit: float


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A first-level heading with its weight, if it has one."""

    id: str
    name_zh: str
    name_en: str
    weight: float | None = None


class Item(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One line of a card.

    Attributes:
        indicator: id in the catalogue; None: entered by a person, or not computed.
        better: None: a yes or no, or a description.
        base, lead: base (基准值) and lead value (引领值); of an index the lead alone is the reference.
        limit: of gates; `bands` instead where it depends on the size.
        veto: without it the card fails whatever the rest.
        any_of: items of one such name are alternatives, of which `need` count.
        gap: why the card's own numbers for this item are not known; empty: they are.
    """

    id: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,63}\Z")]
    section: str
    name_zh: str
    name_en: str
    unit: str = ""
    weight: float | None = None
    indicator: str | None = None
    better: Better | None = None
    base: float | None = None
    lead: float | None = None
    limit: float | None = None
    bands: tuple[Band, ...] = ()
    veto: bool = False
    any_of: str = ""
    need: int = 1
    gap: str = ""


class Scorecard(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One card; `verified`: its numbers were compared with the text of its source."""

    id: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,63}\Z")]
    version: Annotated[int, msgspec.Meta(ge=1)]
    name_zh: str
    name_en: str
    source: str
    method: Method
    verified: bool
    scope: str
    notes: str = ""
    sections: tuple[Section, ...]
    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class Given:
    """What is known of an item's value: a number, or why there is none."""

    value: float | None
    reason: Undefined | None = None


@dataclass(frozen=True, slots=True)
class Scored:
    """One item as it was scored.

    Attributes:
        points: of a weighted card 0 to its weight, of an index the ratio, of gates 1 or 0; None: not known.
        reason: why there is no value; None where it is the card that is not known, which `gap` says.
    """

    item: Item
    value: float | None
    points: float | None
    reason: Undefined | None
    gap: str


@dataclass(frozen=True, slots=True)
class Result:
    """A card as far as it is known.

    Attributes:
        total: points, index, or 1 and 0 for passed and failed; None where something is missing.
        known: points (index: mean × 100) over what is known; None where nothing is.
        capped: an index with no term above 1, beside the open one: the standard does not say which.
        known_weight, weight: how much of the card is known, of how much.
        failed: vetoes that are known not to be met.
    """

    card: Scorecard
    items: tuple[Scored, ...]
    total: float | None
    known: float | None
    capped: float | None
    known_weight: float
    weight: float
    failed: tuple[str, ...]


def between(value: float, base: float, lead: float, *, base_score: float = BASE_SCORE) -> float:
    """Return the share of the points, 0 to 1: `base_score` at the base, 1 from the lead on, nothing below the base.

    Works for either direction: the lead lies on the better side of the base.
    """
    if base == lead:
        raise ValueError("base and lead value are the same")
    way = (value - base) / (lead - base)
    return 0.0 if way < 0 else min(base_score + (1 - base_score) * way, 1.0)


def score(card: Scorecard, values: Mapping[str, Given], *, energy_tce: float | None = None) -> Result:
    """Score a card.

    Args:
        card: which.
        values: by item id; an item without one is not known.
        energy_tce: the subject's yearly comprehensive energy, for limits that depend on it.
    """
    scored = tuple(_scored(card, item, values.get(item.id, Given(None)), energy_tce) for item in card.items)
    chosen = _chosen(scored)
    weights = {s.item.id: _weight(card, s.item) for s in chosen}
    known = [s for s in chosen if s.points is not None]
    weight, known_weight = _whole(card, weights), sum(weights[s.item.id] for s in known)
    complete = len(known) == len(chosen)
    failed = tuple(s.item.id for s in known if s.item.veto and not s.points)
    points = [s.points for s in known if s.points is not None]
    so_far: float | None = None
    capped: float | None = None
    if points and card.method is Method.INDEX:
        so_far = 100 * sum(points) / len(points)
        capped = 100 * sum(min(p, 1.0) for p in points) / len(points)
    elif points:
        so_far = sum(points)
    if card.method is Method.GATES:
        met = 1.0 if all(points) else 0.0
        # One veto that is not met decides, whatever else is unknown.
        total = 0.0 if failed else (met if complete else None)
    else:
        total = so_far if complete else None
    return Result(card, scored, total, so_far, capped, known_weight, weight, failed)


def _scored(card: Scorecard, item: Item, given: Given, energy_tce: float | None) -> Scored:
    def unknown(gap: str = "") -> Scored:
        return Scored(item, given.value, None, given.reason, gap or item.gap)

    if given.value is None:
        reason = given.reason or (Undefined.NO_INDICATOR if item.indicator is None else Undefined.NO_DATA)
        return Scored(item, None, None, reason, item.gap)
    if card.method is Method.WEIGHTED:
        if item.base is None or item.lead is None or item.weight is None:
            return unknown()
        return Scored(item, given.value, item.weight * between(given.value, item.base, item.lead), None, "")
    if card.method is Method.INDEX:
        if item.better is None:
            return Scored(item, given.value, given.value, None, "")  # 1: in place, 0: not
        if item.lead is None or (item.better is Better.LOWER and given.value <= 0):
            return unknown()
        ratio = item.lead / given.value if item.better is Better.LOWER else given.value / item.lead
        return Scored(item, given.value, ratio, None, "")
    limit = _limit(item, energy_tce)
    if limit is None:
        return unknown("no limit for this size" if item.bands and energy_tce is not None else "")
    met = given.value <= limit if item.better is Better.LOWER else given.value >= limit
    return Scored(item, given.value, float(met), None, "")


def _limit(item: Item, energy_tce: float | None) -> float | None:
    if not item.bands:
        return item.limit
    if energy_tce is None:
        return None
    for band in item.bands:
        if band.from_tce <= energy_tce and (band.to_tce is None or energy_tce < band.to_tce):
            return band.limit
    return None


def _chosen(scored: tuple[Scored, ...]) -> list[Scored]:
    """Return what counts: of alternatives the best that are needed, known ones first."""
    found = [s for s in scored if not s.item.any_of]
    groups: dict[str, list[Scored]] = {}
    for s in scored:
        if s.item.any_of:
            groups.setdefault(s.item.any_of, []).append(s)
    for alternatives in groups.values():
        ordered = sorted(alternatives, key=lambda s: -1.0 if s.points is None else s.points, reverse=True)
        found += ordered[: alternatives[0].item.need]
    return found


def _whole(card: Scorecard, weights: Mapping[str, float]) -> float:
    """Return the weight of the whole card: of its sections where the items' own is not known."""
    of_sections = [section.weight for section in card.sections if section.weight is not None]
    return sum(of_sections) if len(of_sections) == len(card.sections) else sum(weights.values())


def _weight(card: Scorecard, item: Item) -> float:
    return (item.weight or 0.0) if card.method is Method.WEIGHTED else 1.0


def with_levels(card: Scorecard, levels: Mapping[str, tuple[float, float]]) -> Scorecard:
    """Return the card with base and lead values of a sector put in, by item id; checked as a file is.

    Raises:
        DataFileError: an item does not exist, or base and lead are the wrong way round.
    """
    unknown = sorted(levels.keys() - {item.id for item in card.items})
    if unknown:
        raise DataFileError(card.id, "items", f"no item {', '.join(unknown)}")
    items = tuple(
        msgspec.structs.replace(item, base=levels[item.id][0], lead=levels[item.id][1], gap="")
        if item.id in levels
        else item
        for item in card.items
    )
    return _checked(msgspec.structs.replace(card, items=items), card.id)


def card_ids() -> tuple[str, ...]:
    """Return the ids of the cards that the package carries."""
    files = (datafile.folder() / "scorecards").iterdir()
    return tuple(sorted(file.name.removesuffix(".toml") for file in files if file.name.endswith(".toml")))


@cache
def load_card(card_id: str) -> Scorecard:
    """Read one of the package's cards, or raise `DataFileError` naming the known ones or the wrong field."""
    if card_id not in card_ids():
        raise DataFileError(f"{card_id}.toml", "", f"no such scorecard; known are {', '.join(card_ids())}")
    file = f"{card_id}.toml"
    return parse_card((datafile.folder() / "scorecards" / file).read_text(encoding="utf-8"), file)


def parse_card(text: str, file: str) -> Scorecard:
    """Parse and check a card, or raise `DataFileError` naming the field."""
    return _checked(datafile.parse(text, file, Scorecard), file)


def _checked(card: Scorecard, file: str) -> Scorecard:
    sections = {section.id for section in card.sections}
    ids = [item.id for item in card.items]
    for n, item in enumerate(card.items):
        at = f"items[{n}]"
        if ids.index(item.id) != n:
            raise DataFileError(file, f"{at}.id", f"{item.id!r} is used twice")
        if item.section not in sections:
            raise DataFileError(file, f"{at}.section", f"no section {item.section!r}")
        if item.indicator is not None:
            try:
                load_catalogue().by_id(item.indicator)
            except IndicatorError as error:
                raise DataFileError(file, f"{at}.indicator", str(error)) from None
        _check_levels(file, at, item)
        needed = {Method.WEIGHTED: (item.base, item.lead), Method.INDEX: (item.lead,)}.get(card.method)
        if needed is None:
            needed = (item.limit,) if not item.bands else ()
        if None in needed and not item.gap and item.better is not None:
            raise DataFileError(file, f"{at}.gap", "a number is missing: say why")
    return card


def _check_levels(file: str, at: str, item: Item) -> None:
    """Refuse a lead value on the worse side of its base: a table copied the wrong way round."""
    if item.base is None or item.lead is None:
        return
    wrong = item.lead >= item.base if item.better is Better.LOWER else item.lead <= item.base
    if wrong:
        way = "below" if item.better is Better.LOWER else "above"
        raise DataFileError(
            file,
            f"{at}.lead",
            f"{item.lead:g} is not {way} the base value {item.base:g}: are they the wrong way round?",
        )
