"""What the interface answers, as OpenAPI shows it. Instants are RFC 3339 in UTC; null is unknown, which is not zero."""

from datetime import date, datetime
from typing import Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

T = TypeVar("T")

Grain = Literal["hour", "day", "month", "year"]
LedgerGrain = Literal["bucket", "hour", "day", "month", "year"]
ScopeName = Literal["point", "unit", "firm", "zone", "industry", "chain", "panel", "park"]
StandingState = Literal["ahead", "on_pace", "at_risk", "off", "undefined"]
EpisodeState = Literal["open", "acknowledged", "resolved", "retracted"]
StepState = Literal["pending", "open", "acknowledged", "resolved", "retracted"]
Severity = Literal["info", "warning", "major", "critical"]


class Model(BaseModel):
    """Base: made from the store's rows, refuses fields it does not know."""

    model_config = ConfigDict(from_attributes=True, extra="forbid", frozen=True)


class Page(Model, Generic[T]):
    """One page of a list. Ask again with `cursor` = `next` until `next` is null."""

    items: list[T]
    next: str | None = Field(description="Cursor of the next page; null on the last one.", examples=[None])


class WrongPart(Model):
    """One wrong part of a request."""

    where: str = Field(examples=["query.from"])
    what: str = Field(examples=["2025-11-20T08:00:00 has no offset"])
    do: str = Field(examples=["add one, such as +08:00 (write + as %2B in a URL) or Z"])


class Problem(Model):
    """An error (RFC 9457): what is wrong, where, and what to do."""

    type: str = Field(description="Sort of problem, described at this address.", examples=["/docs#problem-invalid"])
    title: str = Field(examples=["The request is wrong"])
    status: int = Field(examples=[422])
    detail: str = Field(examples=["query.from: 2025-11-20T08:00:00 has no offset; add one, such as +08:00 or Z"])
    instance: str = Field(description="Path of the request.", examples=["/v1/readings"])
    errors: list[WrongPart] | None = Field(None, description="Each wrong part of the request.")


class Park(Model):
    """One park."""

    park_id: int = Field(examples=[1])
    code: str = Field(description="As it stands in topics.", examples=["tongliang"])
    name_zh: str = Field(examples=["铜梁高新区"])
    name_en: str = Field(examples=["Tongliang High-tech Zone"])
    time_zone: str = Field(description="Days, months and years are cut in this zone.", examples=["Asia/Shanghai"])


class Firm(Model):
    """One firm of a park."""

    firm_id: int = Field(examples=[3])
    park_id: int = Field(examples=[1])
    code: str = Field(examples=["steel"])
    name_zh: str = Field(examples=["示例钢铁"])
    name_en: str = Field(examples=["Example Steel"])
    uscc: str | None = Field(description="Unified social credit code.", examples=[None])
    industry: str = Field(examples=["steel"])
    industrial: bool = Field(description="False: stays out of industrial intensity.", examples=[True])
    status: Literal["active", "stopped", "closed"]


class Newest(Model):
    """The newest reading of a point by its own time, not by arrival."""

    t: datetime
    value: float = Field(examples=[1234.5])
    quality: int = Field(description="0 good, 1 uncertain, 2 bad.", examples=[0])
    stored: datetime = Field(description="When the database had it.")


class Point(Model):
    """One measured series."""

    point_id: int = Field(examples=[17])
    park_id: int = Field(examples=[1])
    firm_id: int = Field(examples=[3])
    unit_id: int | None = Field(description="Workshop or line.", examples=[None])
    edge_id: int | None = Field(description="Null: a virtual point, which nobody sends.", examples=[3])
    code: str = Field(examples=["E-001"])
    name_zh: str = Field(examples=["总电表"])
    name_en: str = Field(examples=["Main electricity meter"])
    kind: Literal["register", "interval", "gauge", "virtual"]
    carrier: str = Field(examples=["electricity"])
    direction: Literal["in", "out", "internal"]
    unit: str = Field(description="Unit of the readings.", examples=["kWh"])
    interval_s: int = Field(description="Expected seconds between readings.", examples=[900])
    product: str | None = Field(description="What a product counter counts.", examples=[None])
    newest: Newest | None = Field(description="Null: never read.")


class Reading(Model):
    """One raw reading, exactly as it arrived; the meter's multiplier is not applied."""

    t: datetime = Field(description="Device time.")
    value: float = Field(examples=[1234.5])
    quality: int = Field(description="0 good, 1 uncertain, 2 bad.", examples=[0])
    batch_id: int = Field(description="The message that brought it.", examples=[4711])


class Consumption(Model):
    """What a point moved in one period. Measured, estimated and missing are kept apart; null is unknown, not zero."""

    point_id: int = Field(examples=[17])
    period: datetime = Field(description="Start of the period.")
    seconds: float = Field(description="True length of the period; a day may have 23 or 25 hours.", examples=[3600])
    unit: str = Field(examples=["kWh"])
    measured: float | None = Field(description="Null: no second of it was measured.", examples=[812.25])
    estimated: float | None = Field(
        description="Known in sum, shared out over a gap by time; null: none.", examples=[None]
    )
    measured_s: float = Field(examples=[3600])
    estimated_s: float = Field(examples=[0])
    missing_s: float = Field(description="Seconds that have passed and nothing covers.", examples=[0])
    held: float = Field(description="Waits for a person's decision; counted nowhere.", examples=[0])
    flags: int = Field(description="Bits that name what happened: rollover, gap, swap, reset.", examples=[0])
    provisional: bool = Field(description="The period had not ended yet.", examples=[False])
    revision: int | None = Field(description="Changes after the bucket had closed; null for roll-ups.", examples=[None])
    run_id: int = Field(description="The computation that wrote it.", examples=[99])


class IndicatorDefinition(Model):
    """One indicator of the catalogue."""

    id: str = Field(examples=["water_reuse_rate"])
    name_zh: str = Field(examples=["工业用水重复利用率"])
    name_en: str = Field(examples=["Industrial water reuse rate"])
    formula: str = Field(examples=["R = V_r / (V_i + V_r) × 100 %"])
    unit: str = Field(examples=["%"])
    better: Literal["lower", "higher"]
    grains: list[Grain]
    scopes: list[ScopeName]
    source: str = Field(examples=["GB/T 7119"])
    notes: str


class IndicatorValue(Model):
    """One value of an indicator: a ratio of sums, with what it was made of."""

    indicator_id: str = Field(examples=["water_reuse_rate"])
    scope: ScopeName
    scope_id: int = Field(description="Id of the point, firm or park.", examples=[3])
    park_id: int = Field(examples=[1])
    firm_id: int | None = Field(description="Null: the whole park.", examples=[3])
    grain: LedgerGrain
    period: datetime = Field(description="Start of the period.")
    numerator: float | None = Field(examples=[905.0])
    denominator: float | None = Field(examples=[1000.0])
    value: float | None = Field(description="Null: undefined, `reason` says why.", examples=[90.5])
    unit: str = Field(examples=["%"])
    coverage: float = Field(description="Share of the needed seconds that data cover, 0 to 1.", examples=[1.0])
    reason: str | None = Field(examples=[None])
    closed: bool = Field(description="Computed after the period had ended.", examples=[True])
    revision: int = Field(examples=[0])
    lineage: dict[str, Any] = Field(description="Factors, points, firms left out, catalogue version.")
    run_id: int = Field(examples=[99])
    code_version: str | None = Field(description="Null: the run is not this tenant's to see.", examples=["0.1.0"])
    computed: datetime | None = Field(description="When the run finished.")
    superseded: datetime | None = Field(description="Null: it holds now.", examples=[None])


class Standing(Model):
    """An indicator held against a target of a plan."""

    standing_id: int = Field(examples=[5])
    park_id: int = Field(examples=[1])
    firm_id: int | None = Field(examples=[None])
    scope: ScopeName
    scope_id: int = Field(examples=[1])
    pack_id: str = Field(examples=["tongliang-2025"])
    pack_version: int = Field(examples=[1])
    target_id: str = Field(examples=["water-reuse"])
    as_of: datetime
    state: StandingState
    reason: str | None = Field(description="Why it is undefined.", examples=[None])
    sentence_zh: str = Field(examples=["重复利用率 90.5 %，达到目标 90 %。"])
    sentence_en: str = Field(examples=["The reuse rate is 90.5 %, the target is 90 %."])
    value: float | None = Field(examples=[90.5])
    target_value: float | None = Field(examples=[90.0])
    required: float | None = Field(description="What the path asks for now.", examples=[90.0])
    projection: float | None = Field(description="Where it ends if it goes on like this.", examples=[90.5])
    current: bool = Field(examples=[True])
    run_id: int = Field(examples=[99])
    indicator_id: str | None = Field(description="What was judged.", examples=["water_reuse_rate"])
    unit: str | None = Field(description="Of value, target and projection.", examples=["%"])
    coverage: float | None = Field(description="Of the value, 0 to 1.", examples=[0.99])
    progress: float | None = Field(description="Share of the way done; 1 is all of it.", examples=[0.8])
    projection_low: float | None = Field(description="Lower end of the projection's interval.", examples=[89.9])
    projection_high: float | None = Field(examples=[91.1])
    projected_for: datetime | None = Field(description="End of the period that the projection is for.")
    confidence: float | None = Field(description="Of the interval.", examples=[0.8])
    method: str | None = Field(description="Of the projection; see docs/targets.md.", examples=["year_to_date"])
    needed_rate: float | None = Field(description="% a year by which it must change from here on.", examples=[3.1])
    needed_rest: float | None = Field(description="What the rest of the year must average.", examples=[91.2])
    miss_week: date | None = Field(description="Monday of the week in which the target is or will be missed for good.")
    revision: int = Field(description="Counts the standings of one subject and target.", examples=[0])
    superseded: datetime | None = Field(description="When the next one replaced it; null while it holds.")


class Episode(Model):
    """One alert from start to end; one cause has one."""

    episode_id: int = Field(examples=[8])
    park_id: int = Field(examples=[1])
    firm_id: int | None = Field(examples=[3])
    rule_id: str = Field(examples=["night-water"])
    rule_version: int = Field(examples=[1])
    cause_key: str = Field(examples=["night-water:point:17"])
    scope: ScopeName
    scope_id: int = Field(description="Id of the point, firm or park.", examples=[17])
    state: EpisodeState
    severity: Severity
    began: datetime = Field(description="When the condition began to hold.")
    opened: datetime | None = Field(description="When it had held long enough.")
    ended: datetime | None = Field(examples=[None])
    title_zh: str = Field(examples=["夜间用水异常"])
    title_en: str = Field(examples=["Unusual water use at night"])
    evidence: Any = Field(description="The numbers that the rule saw.", examples=[{"value": 12.5}])
    changed: datetime


class Transition(Model):
    """One step of an episode."""

    transition_id: int = Field(examples=[21])
    episode_id: int = Field(examples=[8])
    from_state: StepState | None = Field(examples=["pending"])
    to_state: StepState
    at: datetime = Field(description="When it happened.")
    recorded: datetime = Field(description="When it was written down.")
    by: str = Field(description="`engine` or a person.", examples=["engine"])
    note: str | None = Field(examples=[None])


class Acknowledgement(Model):
    """What a person says when taking an alert on."""

    note: str | None = Field(
        None,
        max_length=1000,
        pattern=r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*$",
        description="For the record.",
        examples=["Maintenance is on its way."],
    )


class EdgeStatus(Model):
    """One gateway and what it last said of itself; all null if it never reported."""

    edge_id: int = Field(examples=[3])
    park_id: int = Field(examples=[1])
    firm_id: int = Field(examples=[3])
    code: str = Field(examples=["gw1"])
    online: bool | None = Field(examples=[True])
    boot: str | None = Field(examples=["01JD0000000000000000000000"])
    at: datetime | None = Field(description="When it said so, by its own clock.")
    version: str | None = Field(examples=["0.1.0"])
    buffered_batches: int | None = Field(description="Waiting on its disk.", examples=[0])
    buffered_bytes: int | None = Field(examples=[0])
    clock_offset_ms: int | None = Field(examples=[12])
    received: datetime | None
    newest_reading: datetime | None = Field(description="Newest of its points' readings.")


class Health(Model):
    """Whether the process, or what it needs, is well."""

    status: Literal["ok"]
