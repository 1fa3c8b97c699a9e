"""Standings as the board shows them, and the tiles of today's numbers. Pure."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from api.board.quantity import indicator_href, names, tidy
from park.errors import IndicatorError
from park.indicators import load_catalogue
from park.reasons import SENTENCES, Undefined

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from api.board.quantity import Span
    from park.indicators import Indicator
    from store.board import BoardFirm, BoardStanding, BoardValue

ORDER: Final = ("off", "at_risk", "undefined", "on_pace", "ahead")
"""What needs somebody comes first."""
TILES: Final = ("comprehensive_energy_equivalent", "water_reuse_rate")


def standings(
    rows: Sequence[BoardStanding], firms: Sequence[BoardFirm], *, firm_id: int | None, year: Span
) -> dict[str, Any]:
    """Return the standings of the board's subject, each with how its firms stand, and how many there are of each state.

    A park that has none of its own (a role that sees only firms) shows nothing; its firms have boards of their own.
    """
    scope = "park" if firm_id is None else "firm"
    below: dict[tuple[str, str], dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        if row.scope == "firm" and row.firm_id is not None:
            below[row.pack_id, row.target_id][row.state].append(row.firm_id)
    mine = [row for row in rows if row.scope == scope]
    mine.sort(key=lambda row: (ORDER.index(row.state), row.pack_id, row.target_id))
    counts = {state: sum(row.state == state for row in mine) for state in ORDER}
    items = [_standing(row, below[row.pack_id, row.target_id] if firm_id is None else {}, year) for row in mine]
    return {"counts": counts, "items": items, "firms": len(firms) if firm_id is None else 0}


def _standing(row: BoardStanding, below: Mapping[str, Sequence[int]], year: Span) -> dict[str, Any]:
    target = row.target
    indicator = _indicator(target.get("indicator"))
    decline = target.get("comparator") == "cumulative_decline"
    # A decline's numbers are levels of the indicator; the target's own unit is that of the decline.
    unit = row.unit or ((indicator.unit if indicator is not None else "") if decline else target.get("unit", ""))
    query = [("scope", row.scope), ("scope_id", str(row.scope_id)), ("pack_id", row.pack_id)]
    href = None
    if indicator is not None:
        href = indicator_href(indicator.id, row.scope, row.scope_id, "year", year.start, year.end)
    return {
        "id": row.standing_id,
        "zh": target.get("name_zh") or row.target_id,
        "en": target.get("name_en") or row.target_id,
        "pack": {"zh": row.pack_zh or row.pack_id, "en": row.pack_en or row.pack_id},
        "state": row.state,
        "reason": explained(row.reason),
        "sentence": {"zh": row.sentence_zh, "en": row.sentence_en},
        "indicator": None if indicator is None else indicator.id,
        "better": None if indicator is None else indicator.better.value,
        "comparator": target.get("comparator"),
        "stated": target.get("value"),
        "stated_unit": target.get("unit", ""),
        "year": target.get("target_year"),
        "binding": target.get("binding"),
        "unit": unit,
        "value": tidy(row.value),
        "goal": tidy(row.target_value),
        "required": tidy(row.required),
        "projection": tidy(row.projection),
        "low": tidy(row.projection_low),
        "high": tidy(row.projection_high),
        "needed_rate": tidy(row.needed_rate) if row.state in {"at_risk", "off"} else None,
        "miss_week": row.miss_week,
        # To the minute: a standing is computed again every few seconds, and nobody reads its seconds.
        "as_of": row.as_of.replace(second=0, microsecond=0),
        "firms": {state: sorted(below[state]) for state in ORDER if below.get(state)},
        "href": f"/v1/standings?{urlencode(query)}",
        "value_href": href,
    }


def tiles(
    rows: Sequence[BoardValue], scope: str, scope_id: int, day: Span, yesterday: datetime
) -> list[dict[str, Any]]:
    """Return today's values of the indicators that the board shows large, each with yesterday's."""
    by = {(row.indicator_id, row.grain, row.period): row for row in rows}
    found = []
    for name in TILES:
        row, before = by.get((name, "day", day.start)), by.get((name, "day", yesterday))
        indicator = _indicator(name)
        if indicator is None:
            continue
        found.append(
            {
                "id": name,
                **names(indicator),
                "v": None if row is None else tidy(row.value),
                "unit": indicator.unit if row is None else row.unit,
                "reason": explained("no_data" if row is None else row.reason),
                "cov": None if row is None else round(row.coverage, 4),
                "est": None if row is None else tidy(row.estimated_share),
                "provisional": row is None or not row.closed,
                "before": None if before is None else tidy(before.value),
                "href": indicator_href(name, scope, scope_id, "day", day.start, day.end),
            }
        )
    return found


def explained(reason: str | None) -> dict[str, str] | None:
    """Return why something is undefined, for machines and in both languages."""
    if reason is None:
        return None
    try:
        zh, en = SENTENCES[Undefined(reason)]
    except (KeyError, ValueError):  # a newer program's reason: its code is better than nothing
        zh = en = reason
    return {"code": reason, "zh": zh, "en": en}


def _indicator(indicator_id: str | None) -> Indicator | None:
    if indicator_id is None:
        return None
    try:
        return load_catalogue().by_id(indicator_id)
    except IndicatorError:
        return None
