"""From values over event time to episodes: a pure fold over many subjects at once.

The same as `alerts.engine.step` taken over each row from nothing, on arrays: rows in which nothing meets the open
condition cost one comparison. The fold knows no clock and no former result, so folding again over a past that was
corrected gives what folding it in order would have given.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from alerts.engine import State

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from alerts.kinds import Rule

    Instants = NDArray[np.int64]
    Amounts = NDArray[np.float64]

_US_PER_S = 1_000_000


@dataclass(frozen=True, slots=True)
class Values:
    """What a rule sees of many subjects at the same instants.

    Attributes:
        scope_ids: whose each row is, shape (s,).
        t_us: instants of the samples, rising, shape (n,).
        value: shape (s, n); NaN: unknown.
        span_us: how far back from its instant a sample speaks; 0: of the instant alone.
        coverage: share of that time that readings cover, shape (s, n); None: all of it.
        limit: a subject's own limit where the rule's is relative to it, shape (s,); None: the rule's own.
        detail: of (row, column), plain data for the evidence.
    """

    scope_ids: NDArray[np.int64]
    t_us: Instants
    value: Amounts
    span_us: int = 0
    coverage: Amounts | None = None
    detail: Callable[[int, int], Mapping[str, Any]] = field(default=lambda _row, _column: {})


@dataclass(frozen=True, slots=True)
class Folded:
    """One episode of one row, as columns of its values; `opened` and `ended` are None where it has not come so far."""

    row: int
    state: State
    first: int
    last: int
    worst: int
    opened: int | None = None
    ended: int | None = None
    carried: bool = False


def fold(
    rule: Rule, values: Values, *, starts: Instants | None = None, carried: frozenset[int] = frozenset()
) -> list[Folded]:
    """Return the episodes of all rows, by row and time; lapsed ones are left out.

    Args:
        rule: when they open and clear.
        values: what is folded.
        starts: the column at which each row begins, shape (s,); None: the first.
        carried: rows that are open already where they begin; their first episode says so, and its `first` and
            `opened` are that column.
    """
    known = np.isfinite(values.value)
    if values.coverage is not None:
        known &= values.coverage >= rule.min_coverage
    opens, clears = _met(rule.open, values.value) & known, _met(rule.clear, values.value) & known
    found = []
    for row in sorted(carried | set(np.flatnonzero(opens.any(axis=1)).tolist())):
        start = 0 if starts is None else int(starts[row])
        if start < len(values.t_us):
            found += _fold_row(rule, values, row, known[row], opens[row], clears[row], start, carried=row in carried)
    return found


def _met(condition: Any, value: Amounts) -> NDArray[np.bool_]:
    with np.errstate(invalid="ignore"):
        met: NDArray[np.bool_] = value < condition.below if condition.below is not None else value > condition.above
    return met


def _fold_row(
    rule: Rule,
    values: Values,
    row: int,
    known: NDArray[np.bool_],
    opens: NDArray[np.bool_],
    clears: NDArray[np.bool_],
    start: int,
    *,
    carried: bool,
) -> list[Folded]:
    """Walk one row. Unknown samples stop the count of a hold; the time around them does not count."""
    t, value = values.t_us, values.value[row]
    lower = rule.open.below is not None
    open_us, clear_us = rule.hold_open_s * _US_PER_S, rule.hold_clear_s * _US_PER_S
    gap_us = rule.max_gap_s * _US_PER_S
    found: list[Folded] = []
    state: State | None = State.OPEN if carried else None
    first = last = worst = opened = start
    held, counting = 0, False
    k = start if carried else _next(opens, start)
    while k < len(t):
        if not known[k]:
            counting = False
            k += 1
            continue
        passed = int(t[k] - t[last]) if state is not None else 0
        if state is State.PENDING:
            if passed > gap_us or not opens[k]:
                state = None
            else:
                held += passed if counting else 0
                last, counting = k, True
                worst = k if _worse(value, k, worst, lower=lower) else worst
        elif state is State.OPEN:
            more = passed if counting and passed <= gap_us else 0
            held = held + more if clears[k] else 0
            counting, last = bool(clears[k]), k
            worst = k if _worse(value, k, worst, lower=lower) else worst
            if counting and held >= clear_us:
                found.append(Folded(row, State.RESOLVED, first, k, worst, opened, k, carried))
                state, carried = None, False
                k = _next(opens, k + 1)
                continue
        if state is None and opens[k]:
            state, first, last, worst, held, counting = State.PENDING, k, k, k, 0, True
        if state is State.PENDING and held >= open_us:
            state, opened, held, counting = State.OPEN, k, 0, False
        k = k + 1 if state is not None else _next(opens, k + 1)
    if state is not None:
        found.append(Folded(row, state, first, last, worst, None if state is State.PENDING else opened, None, carried))
    return found


def _worse(value: Amounts, k: int, worst: int, *, lower: bool) -> bool:
    # A row that is carried begins with whatever is there, perhaps with nothing known.
    return bool(np.isnan(value[worst]) or (value[k] < value[worst] if lower else value[k] > value[worst]))


def _next(opens: NDArray[np.bool_], k: int) -> int:
    """Return the next column that can begin an episode, or the end."""
    ahead = opens[k:]
    return k + int(np.argmax(ahead)) if ahead.any() else len(opens)
