"""Whether values may stand in one trend: the same bases, purposes and editions of factors, the same prices.

Equal and equivalent electricity differ by 2.46, two values for natural gas by 9.5 %, steam by table and by enthalpy by
40 %: a line through both shows nothing but the change of the book.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from park.indicators import load_catalogue
from park.reasons import Undefined

if TYPE_CHECKING:
    from collections.abc import Sequence

    from park.ratios import Ratio


@dataclass(frozen=True, slots=True)
class Refused:
    """Why values do not make a trend."""

    reason: Undefined
    detail: str


def refused(values: Sequence[Ratio], *, over_years: bool = True) -> Refused | None:
    """Return why these values may not be compared, None if they may.

    Args:
        values: in the order of time; undefined ones say nothing.
        over_years: they lie in several years, so that values at current prices are refused.
    """
    known = [value for value in values if value.reason is None]
    ids = {value.indicator_id for value in known}
    if len(ids) > 1:
        return Refused(Undefined.MIXED_SERIES, f"indicators {', '.join(sorted(ids))}")
    if over_years and ids and not load_catalogue().by_id(next(iter(ids))).trend:
        return Refused(Undefined.NOT_FOR_TREND, next(iter(ids)))
    seen: dict[tuple[str, str], tuple[tuple[str, ...], str]] = {}
    for value in known:
        for factor in value.factors:
            before = seen.setdefault((factor.kind, factor.carrier), (factor.series, factor.id))
            if before[0] != factor.series:
                return Refused(Undefined.MIXED_SERIES, f"{factor.carrier}: {before[1]} and {factor.id}")
    years = {value.price_year for value in known if value.price_year is not None}
    if len(years) > 1:
        named = " and ".join(map(str, sorted(years)))
        return Refused(Undefined.UNLIKE_PRICES, f"prices of {named}: chain the indices, do not splice the levels")
    return None


def chained(old: Sequence[float], new: Sequence[float]) -> list[float]:
    """Return an index over a change of the base year: 1 at the beginning, both series joined at their common period.

    Args:
        old: levels at the old prices; its last period is the first of `new`.
        new: levels at the new prices.

    Raises:
        ValueError: one of them is empty or begins at zero or below.
    """
    if not old or not new or old[0] <= 0 or new[0] <= 0:
        raise ValueError("both series need a positive first level")
    index = [level / old[0] for level in old]
    return index + [index[-1] * level / new[0] for level in new[1:]]
