"""Alert rules as data: what opens an episode, what clears it, and for how long either must hold.

A rule names its subject data by `kind`; the engine sees only samples. A new kind is one more struct here, one reader
in `alerts.readers`, and needs no change in the engine.
"""

from __future__ import annotations

import string
from datetime import datetime
from enum import StrEnum
from importlib import resources
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import msgspec

from park import datafile
from park.errors import DataFileError, IndicatorError
from park.indicators import load_catalogue
from park.units import CARRIERS

if TYPE_CHECKING:
    from pathlib import Path

FILE: Final = "rules.toml"
TITLE_FIELDS: Final = frozenset({"park", "firm", "subject", "limit", "unit"})

Instant = Annotated[datetime, msgspec.Meta(tz=True)]
Grain = Literal["bucket", "hour", "day", "month", "year"]


class Severity(StrEnum):
    """How bad it is, mildest first."""

    INFO = "info"
    WARNING = "warning"
    MAJOR = "major"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """Return the position on the ladder, 0 for the mildest."""
        return list(Severity).index(self)


class Condition(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """`value < below` or `value > above`; exactly one is given."""

    below: float | None = None
    above: float | None = None

    @property
    def limit(self) -> float:
        """Return the number that the value is held against."""
        limit = self.below if self.below is not None else self.above
        assert limit is not None
        return limit

    def met(self, value: float) -> bool:
        """Tell whether a known value meets the condition."""
        return value < self.below if self.below is not None else value > self.limit


class Where(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """To whom a rule applies; an empty list leaves the choice open.

    `carriers` chooses points; for the rules of firms, the firms that have a point of one of them.
    """

    parks: tuple[str, ...] = ()
    firms: tuple[str, ...] = ()
    industries: tuple[str, ...] = ()
    points: tuple[str, ...] = ()
    carriers: tuple[str, ...] = ()


class _Rule(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True, tag_field="kind"
):
    """What all rules share.

    Attributes:
        open, clear: when an episode begins and when it ends; between the two limits nothing changes (hysteresis).
        hold_open_s, hold_clear_s: how long, in event time, either must hold, counted from the first sample showing it.
        max_gap_s: two samples further apart than this say nothing about the time between them.
        min_coverage: a sample with less is unknown, which neither opens nor clears.
        source_zh, source_en: where the limit comes from, told to the reader.
        title_zh, title_en: templates with `{park}`, `{firm}`, `{subject}`, `{limit}` and `{unit}`.
        valid_from, valid_to: between which the rule holds, `valid_to` excluded; with a zone, such as +08:00.
    """

    id: str
    severity: Severity
    open: Condition
    clear: Condition
    title_zh: str
    title_en: str
    hold_open_s: float = 0.0
    hold_clear_s: float = 0.0
    max_gap_s: float = 3600.0
    min_coverage: float = 0.8
    source_zh: str = ""
    source_en: str = ""
    where: Where = Where()
    valid_from: Instant | None = None
    valid_to: Instant | None = None

    @property
    def provisional(self) -> bool:
        """Tell whether it reads numbers of periods that have not ended."""
        return False


class IndicatorThreshold(_Rule, frozen=True, tag="indicator_threshold", kw_only=True):
    """An indicator as the streams wrote it, of a firm or the park, per bucket, hour, day, month or year.

    `running_after_s`: read a period that has not ended once so much of it has passed; None: ended periods only.
    """

    indicator: str
    scope: Literal["firm", "park"] = "firm"
    grain: Grain = "bucket"
    running_after_s: float | None = None

    @property
    def provisional(self) -> bool:
        """Tell whether it reads numbers of periods that have not ended."""
        return self.running_after_s is not None


class IndicatorWindow(_Rule, frozen=True, tag="indicator_window", kw_only=True):
    """An indicator of a firm over the last `window_s` seconds, from the readings themselves, every `every_s`."""

    indicator: str
    window_s: float
    every_s: float = 5.0


class Rate(_Rule, frozen=True, tag="rate", kw_only=True):
    """What a point moves per hour, averaged over the last `window_s` seconds, every `every_s`.

    `per`: `hour` gives the point's unit per hour; `rate_limit` a percentage of the point's physical limit.
    """

    window_s: float
    every_s: float = 5.0
    per: Literal["hour", "rate_limit"] = "hour"


class Silence(_Rule, frozen=True, tag="silence", kw_only=True):
    """How many of its intervals a point's newest reading is old, while its edge is online.

    Age is measured against the newest that the edge itself reported, so that catching up is not silence.
    """


Rule = IndicatorThreshold | IndicatorWindow | Rate | Silence


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    rule: tuple[Rule, ...] = ()


class ActiveRule(msgspec.Struct, frozen=True):
    """A rule and the version under which it stands in the database."""

    rule: Rule
    version: int


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
    for name in ("title_zh", "title_en"):
        _check_title(getattr(rule, name), file, f"{at}.{name}")
    if isinstance(rule, IndicatorThreshold | IndicatorWindow):
        try:
            load_catalogue().by_id(rule.indicator)
        except IndicatorError as error:
            raise DataFileError(file, f"{at}.indicator", str(error)) from None
    if isinstance(rule, IndicatorWindow | Rate) and not 0 < rule.every_s <= rule.window_s:
        raise DataFileError(file, f"{at}.every_s", "more than 0 and at most window_s")


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
