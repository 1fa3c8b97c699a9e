"""Alert rules as data: read, checked, written to the database and back.

A rule names its data by `kind` (`alerts.kinds`); the engine sees only samples. A new kind is one more struct there, one
function in `alerts.values`, and needs no change in the engine.
"""

from __future__ import annotations

import string
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

import msgspec

from alerts.kinds import (
    Condition,
    Demand,
    IndicatorThreshold,
    IndicatorWindow,
    NightMinimum,
    Quantity,
    Rate,
    Rule,
    Rung,
    Severity,
    Silence,
    Where,
)
from park import datafile
from park.errors import DataFileError, IndicatorError
from park.indicators import load_catalogue
from park.units import CARRIERS

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

FILE: Final = "rules.toml"
TITLE_FIELDS: Final = frozenset({"park", "firm", "subject", "limit", "unit"})

__all__ = [
    "ActiveRule",
    "Condition",
    "IndicatorThreshold",
    "IndicatorWindow",
    "Rate",
    "Rule",
    "Severity",
    "Silence",
    "Where",
    "from_body",
    "load",
    "parse",
    "to_body",
]


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    rule: tuple[Rule, ...] = ()


class ActiveRule(msgspec.Struct, frozen=True):
    """A rule and the version under which it stands in the database; `valid_from` None: it holds for all the past."""

    rule: Rule
    version: int
    valid_from: datetime | None = None


def load(path: Path | None = None) -> tuple[Rule, ...]:
    """Read the rules of a file, or those of the package, or raise `DataFileError` naming the field."""
    if path is None:
        return parse((resources.files("alerts") / "data" / FILE).read_text(encoding="utf-8"), FILE)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataFileError(str(path), "", f"cannot be read: {error}") from None
    return parse(text, str(path))


def parse(text: str, file: str) -> tuple[Rule, ...]:
    """Parse and check rules, or raise `DataFileError` naming the field."""
    rules = datafile.parse(text, file, _File).rule
    for n, rule in enumerate(rules):
        _check(rule, file, f"rule[{n}]")
        if any(other.id == rule.id for other in rules[:n]):
            raise DataFileError(file, f"rule[{n}].id", f"{rule.id!r} is used twice")
    return rules


def to_body(rule: Rule) -> dict[str, Any]:
    """Return a rule as plain data that can be stored as JSON."""
    body: dict[str, Any] = msgspec.to_builtins(rule)
    return body


def from_body(body: object) -> Rule:
    """Return the rule that `to_body` wrote; raises `msgspec.ValidationError` if another program wrote it."""
    rule: Rule = msgspec.convert(body, Rule)
    return rule


def _check(rule: Rule, file: str, at: str) -> None:
    if not rule.id or not rule.id.isascii() or not rule.id.replace("_", "").isalnum() or len(rule.id) > 64:
        raise DataFileError(file, f"{at}.id", f"{rule.id!r}: use ASCII letters, digits and '_', at most 64")
    for name, condition in (("open", rule.open), ("clear", rule.clear)):
        if (condition.below is None) == (condition.above is None):
            raise DataFileError(file, f"{at}.{name}", "give either below or above")
    _check_pair(rule, file, at)
    for name in ("hold_open_s", "hold_clear_s"):
        if getattr(rule, name) < 0:
            raise DataFileError(file, f"{at}.{name}", "seconds, at least 0")
    if rule.max_gap_s <= 0:
        raise DataFileError(file, f"{at}.max_gap_s", "seconds, more than 0")
    if not 0 <= rule.min_coverage <= 1:
        raise DataFileError(file, f"{at}.min_coverage", "a share from 0 to 1")
    if rule.valid_from is not None and rule.valid_to is not None and rule.valid_to <= rule.valid_from:
        raise DataFileError(file, f"{at}.valid_to", "must be after valid_from")
    for carrier in rule.where.carriers:
        if carrier not in CARRIERS:
            raise DataFileError(file, f"{at}.where.carriers", f"unknown carrier {carrier!r}; see park/units.py")
    for n, rung in enumerate(rule.ladder):
        _check_rung(rule, rung, file, f"{at}.ladder[{n}]")
    for name in ("title_zh", "title_en"):
        _check_title(getattr(rule, name), file, f"{at}.{name}")
    if isinstance(rule, IndicatorThreshold | IndicatorWindow):
        try:
            load_catalogue().by_id(rule.indicator)
        except IndicatorError as error:
            raise DataFileError(file, f"{at}.indicator", str(error)) from None
    if isinstance(rule, IndicatorWindow | Rate) and not 0 < rule.every_s <= rule.window_s:
        raise DataFileError(file, f"{at}.every_s", "more than 0 and at most window_s")
    if isinstance(rule, Demand) and not 0 < rule.every_s <= 900:
        raise DataFileError(file, f"{at}.every_s", "more than 0 and at most 900")
    if isinstance(rule, Quantity) and rule.buckets < 1:
        raise DataFileError(file, f"{at}.buckets", "at least 1")
    if isinstance(rule, NightMinimum | Quantity) and not 0 <= rule.quantile <= 1:
        raise DataFileError(file, f"{at}.quantile", "a share from 0 to 1")


def _check_rung(rule: Rule, rung: Rung, file: str, at: str) -> None:
    if (rung.below is None) == (rung.above is None) or (rung.below is None) != (rule.open.below is None):
        raise DataFileError(file, at, "give below or above, the same as in open")
    if rung.severity.rank <= rule.severity.rank:
        raise DataFileError(file, f"{at}.severity", f"must be worse than the rule's own, {rule.severity}")


def _check_pair(rule: Rule, file: str, at: str) -> None:
    """An open and a clear condition that a value could meet at once would make the episode chatter."""
    if rule.open.below is not None and rule.clear.above is not None:
        apart = rule.clear.above >= rule.open.below
    elif rule.open.above is not None and rule.clear.below is not None:
        apart = rule.clear.below <= rule.open.above
    else:
        raise DataFileError(file, f"{at}.clear", "must look the other way than open")
    if not apart:
        raise DataFileError(file, f"{at}.clear", "overlaps with open: no value may meet both")


def _check_title(template: str, file: str, at: str) -> None:
    try:
        parts = list(string.Formatter().parse(template))
    except ValueError as error:
        raise DataFileError(file, at, str(error)) from None
    for _, name, spec, conversion in parts:
        if name is not None and (name not in TITLE_FIELDS or spec or conversion):
            known = ", ".join("{" + field + "}" for field in sorted(TITLE_FIELDS))
            raise DataFileError(file, at, f"{{{name}}} is not known here; use {known}")
