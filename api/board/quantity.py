"""Numbers as the board's page gets them: with unit, state, and the way to their explanation."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime  # noqa: TC003  (dataclass fields are read at run time)
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from park.errors import FactorError, UnitError
from park.factors import Basis, FactorKind, FactorRegistry, choose, load_factors

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from store.board import BoardAmount, BoardPoint

REGION: Final = "CN-CQ"
"""Where the firms stand, for factors: the same as in streams."""
WHOLE: Final = 0.98
"""From this covered share of the elapsed time on, a quantity is not said to be partial."""
MOST_POINTS: Final = 100
"""Points that one request for consumption may name."""


@dataclass(frozen=True, slots=True)
class Span:
    """The running day or month: `[start, end)`, and where in it we are."""

    grain: str
    start: datetime
    end: datetime
    now: datetime

    @property
    def elapsed_s(self) -> float:
        """Return the seconds that have passed of it."""
        return max((min(self.now, self.end) - self.start).total_seconds(), 0.0)


@dataclass(frozen=True, slots=True)
class Sum:
    """A sum over points of one carrier; `known` of `points` are in it.

    Attributes:
        quantity: None: nothing is known.
        estimated: the part of it that is estimated.
        partial: a point is unknown, or covered for too little of the elapsed time.
    """

    quantity: float | None
    estimated: float
    known: int
    points: int
    partial: bool
    ids: tuple[int, ...]

    @property
    def estimated_share(self) -> float:
        """Return the estimated part as a share, 0 to 1."""
        return self.estimated / self.quantity if self.quantity else 0.0


def total(
    points: Iterable[BoardPoint], amounts: Mapping[int, BoardAmount], span: Span, worth: Mapping[int, float]
) -> Sum:
    """Add up what points moved, each times its worth; a point without worth is unknown."""
    quantity = estimated = 0.0
    known, partial, ids = 0, False, []
    for point in points:
        ids.append(point.point_id)
        amount, factor = amounts.get(point.point_id), worth.get(point.point_id)
        if amount is None or factor is None or (amount.measured is None and amount.estimated is None):
            partial = True
            continue
        known += 1
        quantity += factor * ((amount.measured or 0.0) + (amount.estimated or 0.0))
        estimated += factor * (amount.estimated or 0.0)
        partial |= amount.measured_s + amount.estimated_s < WHOLE * span.elapsed_s - point.interval_s
    return Sum(quantity if known else None, estimated, known, len(ids), partial, tuple(ids))


def coal_worth(points: Iterable[BoardPoint], on: date, registry: FactorRegistry | None = None) -> dict[int, float]:
    """Return how many kgce (equivalent value, 当量值) one unit of each energy point is; others are left out."""
    registry = registry or load_factors()
    found: dict[int, float] = {}
    for point in points:
        try:
            factor = choose(
                registry, FactorKind.TO_STANDARD_COAL, point.carrier, Basis.EQUIVALENT, "general", REGION, on
            )
            found[point.point_id] = factor.convert(1.0, point.unit)
        except (FactorError, UnitError):
            continue
    return found


def tidy(value: float | None) -> float | None:
    """Return six significant digits: more would make a section look changed that nobody sees change."""
    return None if value is None else float(f"{value:.6g}")


def number(found: Sum, unit: str, href: str | None) -> dict[str, Any]:
    """Return a sum as the page gets it."""
    return {
        "v": tidy(found.quantity),
        "unit": unit,
        "est": tidy(found.estimated_share),
        "partial": found.partial,
        "known": found.known,
        "of": found.points,
        "href": href,
    }


def consumption_href(ids: Sequence[int], span: Span) -> str | None:
    """Return where the ledger rows behind a sum are read; None: none, or too many for one request."""
    if not 0 < len(ids) <= MOST_POINTS:
        return None
    pairs = [("point_id", str(point_id)) for point_id in ids]
    return f"/v1/consumption?{urlencode([*pairs, *_range(span.grain, span.start, span.end)])}"


def indicator_href(indicator_id: str, scope: str, scope_id: int, grain: str, start: datetime, end: datetime) -> str:
    """Return where a value is read with numerator, denominator, factors, points and revision."""
    query = urlencode([("scope", scope), ("scope_id", str(scope_id)), *_range(grain, start, end)])
    return f"/v1/indicators/{indicator_id}/values?{query}"


def _range(grain: str, start: datetime, end: datetime) -> list[tuple[str, str]]:
    return [("grain", grain), ("from", _z(start)), ("to", _z(end))]


def _z(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


def names(row: Any) -> dict[str, str]:
    """Return the two names of a row."""
    return {"zh": row.name_zh, "en": row.name_en}
