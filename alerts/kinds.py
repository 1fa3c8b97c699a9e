"""The kinds of rules as data: what each one's value is. How a value opens and clears an episode is the same for all."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Final, Literal

import msgspec

Instant = Annotated[datetime, msgspec.Meta(tz=True)]
Grain = Literal["bucket", "hour", "day", "month", "year"]
Scope = Literal["point", "unit", "edge", "firm", "zone", "park"]
Clock = Annotated[str, msgspec.Meta(pattern=r"^([01]\d|2[0-3]):[0-5]\d\Z")]
QUARTER_S: Final = 900


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


class Rung(Condition, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """A step of the ladder: an episode whose worst value meets this is at least so severe."""

    severity: Severity


class Hours(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, rename={"from_": "from"}):
    """Hours of the park's own clock, `from` included and `to` not; they may pass midnight. Days: 1 is Monday."""

    from_: Clock = "00:00"
    to: Clock = "00:00"
    days: tuple[Annotated[int, msgspec.Meta(ge=1, le=7)], ...] = (1, 2, 3, 4, 5, 6, 7)


class Where(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """To whom a rule applies; an empty list leaves the choice open.

    `carriers` chooses points; for the rules of firms, the firms that have a point of one of them. A zone or a unit is
    named by its code; a firm is in a zone at the time that is evaluated.
    """

    parks: tuple[str, ...] = ()
    zones: tuple[str, ...] = ()
    firms: tuple[str, ...] = ()
    industries: tuple[str, ...] = ()
    units: tuple[str, ...] = ()
    points: tuple[str, ...] = ()
    carriers: tuple[str, ...] = ()
    not_carriers: tuple[str, ...] = ()


class BaseRule(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True, tag_field="kind"
):
    """What all rules share.

    Attributes:
        open, clear: when an episode begins and when it ends; between the two limits nothing changes (hysteresis).
        hold_open_s, hold_clear_s: how long, in event time, either must hold, counted from the first sample showing it.
        max_gap_s: two samples further apart than this say nothing about the time between them.
        min_coverage: a sample with less is unknown, which neither opens nor clears.
        ladder: values that make it worse than `severity`, mildest first.
        schedule: outside these hours a sample is unknown; empty: always.
        escalate_after_s: open and acknowledged by nobody for so long: those above hear of it; None: never.
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
    ladder: tuple[Rung, ...] = ()
    schedule: tuple[Hours, ...] = ()
    escalate_after_s: float | None = None
    source_zh: str = ""
    source_en: str = ""
    where: Where = Where()
    valid_from: Instant | None = None
    valid_to: Instant | None = None

    @property
    def provisional(self) -> bool:
        """Tell whether it reads numbers of periods that have not ended."""
        return False

    @property
    def subject(self) -> Scope:
        """Return what an episode of the rule is about."""
        return "point"


# Read as time passes ------------------------------------------------------------------------------------------------


class IndicatorWindow(BaseRule, frozen=True, tag="indicator_window", kw_only=True):
    """An indicator of a firm over the last `window_s` seconds, from the readings themselves, every `every_s`."""

    indicator: str
    window_s: float
    every_s: float = 5.0

    @property
    def subject(self) -> Scope:
        """Return what an episode of the rule is about."""
        return "firm"


class Rate(BaseRule, frozen=True, tag="rate", kw_only=True):
    """What a point moves per hour, averaged over the last `window_s` seconds, every `every_s`.

    `per`: `hour` gives the point's unit per hour; `rate_limit` a percentage of the point's physical limit.
    """

    window_s: float
    every_s: float = 5.0
    per: Literal["hour", "rate_limit"] = "hour"


class Demand(BaseRule, frozen=True, tag="demand", kw_only=True):
    """Where the running quarter hour will end, as a percentage of the contracted demand of an electricity meter.

    With E used in t seconds and the power P of the last `power_s`: (E + P·(T-t))/T over the limit; it passes 100 %
    exactly when P passes what may still be drawn, P_need = (D·T - E)/(T-t). The contract is the point's limit
    `demand`, or `contract_kw` for all points of the rule.
    """

    contract_kw: float | None = None
    power_s: float = 120.0
    every_s: float = 60.0
    after_s: float = 300.0


# Folded over event time ---------------------------------------------------------------------------------------------


class IndicatorThreshold(BaseRule, frozen=True, tag="indicator_threshold", kw_only=True):
    """An indicator as the streams wrote it, of a point, unit, firm, zone or park, per bucket, hour, day, month or year.

    `running_after_s`: read a period that has not ended once so much of it has passed; None: ended periods only.
    `usual_days`: the value is the difference to what the subject's own last so many days have hardly ever passed, the
    worst twentieth of them (a day of them must be known); None: the indicator's own value.
    """

    indicator: str
    scope: Literal["point", "unit", "firm", "zone", "park"] = "firm"
    grain: Grain = "bucket"
    running_after_s: float | None = None
    usual_days: int | None = None

    @property
    def provisional(self) -> bool:
        """Tell whether it reads numbers of periods that have not ended."""
        return self.running_after_s is not None

    @property
    def subject(self) -> Scope:
        """Return what an episode of the rule is about."""
        return self.scope


class StandingRule(BaseRule, frozen=True, tag="standing", kw_only=True):
    """How an indicator stands against its target: 0 ahead, 1 on pace, 2 at risk, 3 off; undefined is unknown."""

    scope: Literal["firm", "park"] = "firm"
    indicators: tuple[str, ...] = ()

    @property
    def subject(self) -> Scope:
        """Return what an episode of the rule is about."""
        return self.scope


class Quantity(BaseRule, frozen=True, tag="quantity", kw_only=True):
    """What a point moves per hour, by the ledger, over the last `buckets` quarter hours.

    `per`: `hour` in the point's unit per hour; `rate_limit` in percent of its physical limit; `limit_high` and
    `limit_low` in percent of the limit registered for the point; `usual` in percent of what is usual for it (the
    `quantile` over the same weekday class and hour, `history_days` back). `change`: the difference to the window before
    instead of the level.
    """

    buckets: int = 1
    per: Literal["hour", "rate_limit", "limit_high", "limit_low", "usual"] = "hour"
    change: bool = False
    history_days: int = 28
    at_least_per_h: float = 0.0
    quantile: float = 0.95


class ReadingThreshold(BaseRule, frozen=True, tag="reading", kw_only=True):
    """A gauge's own valid readings, as they come; `change`: per hour against the reading before."""

    change: bool = False


class Silence(BaseRule, frozen=True, tag="silence", kw_only=True):
    """For how many of its intervals a point had told nothing, by its edge's clock, each quarter hour.

    What arrives later does not undo that nothing was there. Where most points of an edge are silent together, that is
    the edge's episode and not theirs; where a point's readings were turned away, it has not been silent.
    """

    share_of_edge: float = 0.8


class Frozen(BaseRule, frozen=True, tag="frozen", kw_only=True):
    """For how many hours a point has read one and the same value while it should have moved.

    A point should have moved when it hardly ever stands still: less than `still_share` of its hours of the last
    `history_days`. A standstill that ends without a leap to make up for it was none of the value: then nothing was
    counted, which the balance tells.
    """

    still_share: float = 0.02
    history_days: int = 14


class Held(BaseRule, frozen=True, tag="held", kw_only=True):
    """Steps of a register that the ledger holds for a person, counted per quarter hour: a reset, an impossible leap."""

    steps: tuple[Literal["reset", "implausible"], ...] = ("reset", "implausible")


class Completeness(BaseRule, frozen=True, tag="completeness", kw_only=True):
    """The share of a day that is measured, in percent, of a firm's points together."""

    @property
    def subject(self) -> Scope:
        """Return what an episode of the rule is about."""
        return "firm"


class NightMinimum(BaseRule, frozen=True, tag="night_minimum", kw_only=True):
    """How far a night's least hourly flow lies above what is usual for the point, once a night, in percent of it.

    `hours` are the park's; usual is the `quantile` of the least flows of the nights before, of the last `history_days`,
    at least `nights` of them. A difference below `at_least_per_h` (in the point's unit) counts as none. For points that
    a `deviation` rule judges better, because a driver explains their flow, `unless_driven` leaves it to that rule.
    """

    hours: Hours = Hours("02:00", "05:00")
    history_days: int = 28
    nights: int = 7
    quantile: float = 0.25
    at_least_per_h: float = 0.0
    unless_driven: tuple[str, ...] = ()


class Deviation(BaseRule, frozen=True, tag="deviation", kw_only=True):
    """How much more a point moves than its drivers explain: mean residual of the last hours, in standard errors.

    E = a + b·x + …, least squares on the drivers over earlier hours (ISO 50006); drivers are carriers metered at the
    same firm. The fit takes the first half, at least `fit_hours`, of what is known between `lag_hours` and
    `history_days` ago, so that a fault that goes on does not soon become what is usual. Unknown where a driver lies
    outside what the fit has seen. The standard error is at least `floor_share` of the mean flow.

    A point with points under it is left to the balance; one under another needs that other to rise as well, otherwise
    its meter is wrong and not the flow. The standard error is also held against how well the fit has done since.

    Attributes:
        hours: hours of the park's clock in which it must show; for `night` the only ones that count.
        side: more (`over`) or less (`under`) than expected.
        place: `leaf`: points with none under them; `loose`: those inside a firm that stand under no other, so that no
            balance holds them.
        every_hours: how often it has a sample, at hours of UTC that this divides: it looks back over weeks.
        while_running: whether only hours with output count, in the fit too.
        pattern: `any`; `night`: only in these hours and not in the `after_hours` after them, told once a night;
            `constant`: the same amount whatever the second driver does; `driven`: in proportion to it.
    """

    drivers: tuple[str, ...]
    hours: Hours = Hours()
    mean_hours: int = 6
    after_hours: int = 4
    side: Literal["over", "under"] = "over"
    place: Literal["leaf", "loose"] = "leaf"
    every_hours: Literal[1, 2, 3, 4, 6, 12, 24] = 1
    while_running: bool = False
    pattern: Literal["any", "night", "constant", "driven"] = "any"
    fit_hours: int = 24
    lag_hours: int = 6
    history_days: int = 14
    floor_share: float = 0.01
    at_least_share: float = 0.0


class BaselineDeviation(BaseRule, frozen=True, tag="baseline", kw_only=True):
    """The CUSUM of a firm's energy against its baseline in force, as a multiple of the threshold h of that baseline."""

    indicators: tuple[str, ...] = ()
    grain: Literal["day", "week", "month"] = "day"
    side: Literal["over", "under"] = "over"

    @property
    def subject(self) -> Scope:
        """Return what an episode of the rule is about."""
        return "firm"


class BalanceMismatch(BaseRule, frozen=True, tag="balance", kw_only=True):
    """What a meter and those under it disagree by, in percent of the supply, over the last `mean_hours` hours.

    The supply less the children and their loss is held against what has been left before, as far as the firm's output
    explains it (fitted as in `deviation`): no unmetered load is taken for a fault, only a change of it. Hours in which
    one of the meters is not measured, stands still before it catches up, or has a held step in the last `settle_hours`,
    are unknown. A mean below half of `sigmas` standard errors of one hour is none; between that and all it is unknown.
    """

    mean_hours: int = 6
    every_hours: Literal[1, 2, 3, 4, 6, 12, 24] = 6
    sigmas: float = 5.0
    fit_hours: int = 24
    lag_hours: int = 6
    history_days: int = 14
    settle_hours: int = 48
    floor_share: float = 0.01


class Emission(BaseRule, frozen=True, tag="emission_hourly", kw_only=True):
    """A valid hourly mean as a percentage of the outlet's permitted hourly mean.

    Hours with less than `valid_minutes` of valid readings are unknown; what was marked as invalid, or substituted, is
    not valid and never opens an episode (HJ 75-2017, HJ 356-2019).
    """

    valid_minutes: int = 45


class Occurrence(BaseRule, frozen=True, tag="occurrence", kw_only=True):
    """How often something happened in a quarter hour that needs a person's eye.

    `value_conflict`: second values kept aside. `future_time`: readings turned away as of the future. `late_data`: hours
    by which batches came behind later ones of the same edge. `edge_event`: events of the kinds in `events`.
    """

    what: Literal["value_conflict", "future_time", "late_data", "edge_event"]
    events: tuple[str, ...] = ()
    scope: Literal["point", "edge", "firm"] = "point"

    @property
    def subject(self) -> Scope:
        """Return what an episode of the rule is about."""
        return self.scope


class EdgeState(BaseRule, frozen=True, tag="edge", kw_only=True):
    """What an edge says of itself. `offline`: for how many minutes it has been away, or all its points silent.

    `buffer`: batches waiting on its disk. `clock`: seconds by which its clock is off, as it reports or as a step shows.
    """

    what: Literal["offline", "buffer", "clock"]
    share_of_edge: float = 0.8

    @property
    def subject(self) -> Scope:
        """Return what an episode of the rule is about."""
        return "edge"


Rule = (
    IndicatorThreshold
    | IndicatorWindow
    | Rate
    | Demand
    | StandingRule
    | Quantity
    | ReadingThreshold
    | Silence
    | Frozen
    | Held
    | Completeness
    | NightMinimum
    | Deviation
    | BaselineDeviation
    | BalanceMismatch
    | Emission
    | Occurrence
    | EdgeState
)


def is_live(rule: Rule) -> bool:
    """Tell whether a rule reads what is still going on, as time passes, and is not folded over the ledger."""
    return isinstance(rule, IndicatorWindow | Rate | Demand) or rule.provisional
