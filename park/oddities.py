"""What a person should look at in a target pack, one line per finding. The pack is used as it is all the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

from park.indicators import Better, load_catalogue
from park.targets import ASSIGNED, NUMBERLESS, Comparator, Theme

if TYPE_CHECKING:
    from park.targets import Target, TargetPack

_UP = frozenset({Comparator.GE, Comparator.GT})
_DOWN = frozenset({Comparator.LE, Comparator.LT})
_RELATIVE = frozenset({Comparator.CUMULATIVE_DECLINE, Comparator.PER_YEAR})


def odd(pack: TargetPack) -> list[str]:
    """Return the findings, each `pack: target: what is odd`."""
    found: list[str] = []
    if not pack.verified:
        found.append(f"{pack.id}: not read from the document itself: {pack.document}")
    for target in pack.targets:
        lines = [*_numbers(target), *_against_base(target), *_direction(target), *_by_hand(pack, target)]
        found.extend(f"{pack.id}: {target.id}: {line}" for line in lines)
    return found


def _numbers(target: Target) -> list[str]:
    lines: list[str] = []
    value = target.value
    if value is None:
        if target.comparator in ASSIGNED:
            whose = target.reference or "a higher level"
            lines.append(f"no number in the plan: {whose} sets it, and it must be entered before it can be judged")
        elif target.comparator not in NUMBERLESS:
            lines.append("no number in the plan: it can only be tracked")
        if target.binding:
            lines.append("binding, but the plan gives no number")
    elif target.implied:
        lines.append(f"{value:g} is said in words ({target.source.as_printed}), not printed as a number")
    if target.indicator is None and value is not None and target.theme is Theme.GREEN:
        lines.append("no indicator computes it yet")
    if target.unit == "%" and value is not None and abs(value) > 100 and target.comparator not in _RELATIVE:
        lines.append(f"{value:g} % is more than the whole")
    if value is not None and target.ceiling is not None and value >= target.ceiling:
        lines.append(f"impossible as written: {value:g} where the plan's own totals leave {target.ceiling:g} at most")
    return lines


def _against_base(target: Target) -> list[str]:
    lines: list[str] = []
    value, base = target.value, target.base_value
    if base == 0 and (target.comparator in _RELATIVE or value == 0 or target.unit == "%"):
        lines.append("the base value is zero: nothing can be relative to it")
    if target.comparator is Comparator.CUMULATIVE_DECLINE:
        if base is None:
            lines.append(f"no baseline: the level of {target.base_year} must be entered before it can be judged")
        if value is not None and value < 0:
            lines.append(f"a decline of {value:g} % is a rise: the sign is in the word, store {-value:g}")
        elif value is not None and value >= 100:
            lines.append(f"a decline of {value:g} % leaves nothing")
    elif value is not None and base is not None:
        if target.comparator in _UP | {Comparator.HOLD, Comparator.BETWEEN} and target.upward and value < base:
            lines.append(f"the target {value:g} is below the baseline {base:g} of {target.base_year}")
        if target.comparator in _DOWN | {Comparator.HOLD} and not target.upward and value > base:
            lines.append(f"the limit {value:g} is above the baseline {base:g} of {target.base_year}")
        if value == base and value != 0:
            lines.append(f"the target equals the baseline {base:g} of {target.base_year}: nothing is to change")
    return lines


def _direction(target: Target) -> list[str]:
    if target.indicator is None:
        return []
    lines = []
    indicator = load_catalogue().by_id(target.indicator)
    if target.computed_in is None:
        lines.append(f"its unit {target.unit or '(none)'} does not convert to {indicator.id}'s {indicator.unit}")
    if (indicator.better is Better.LOWER and target.comparator in _UP) or (
        indicator.better is Better.HIGHER and target.comparator in _DOWN | {Comparator.CUMULATIVE_DECLINE}
    ):
        lines.append(f"the direction is reversed: of {indicator.id}, {indicator.better.value} is better")
    return lines


def _by_hand(pack: TargetPack, target: Target) -> list[str]:
    lines = [target.oddity] if target.oddity else []
    for other_id in target.conflicts_with:
        other = pack.by_id(other_id)
        # Told once, at the first of the two.
        if other is not None and pack.targets.index(target) < pack.targets.index(other):
            lines.append(f"the plan contradicts itself: {_said(target)} here, {_said(other)} in {other_id}")
    if target.target_year > pack.target_year:
        lines.append(f"its year {target.target_year} lies outside the plan, which ends with {pack.target_year}")
    return lines


def _said(target: Target) -> str:
    what = target.comparator.value if target.value is None else f"{target.comparator.value} {target.value:g}"
    where = ", ".join(f"line {line}" for line in target.source.lines)
    return f"{what} {target.unit} ({target.source.chapter}{', ' if where else ''}{where})".replace("  ", " ")
