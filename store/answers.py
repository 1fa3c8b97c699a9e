"""What `store.browse` answers: one frozen row per thing. Times are aware; null is unknown, which is not zero."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime  # noqa: TC003  (dataclass fields are read at run time)
from typing import Any


@dataclass(frozen=True, slots=True)
class ParkItem:
    """One park."""

    park_id: int
    code: str
    name_zh: str
    name_en: str
    time_zone: str


@dataclass(frozen=True, slots=True)
class FirmItem:
    """One firm."""

    firm_id: int
    park_id: int
    code: str
    name_zh: str
    name_en: str
    uscc: str | None
    industry: str
    industrial: bool
    status: str


@dataclass(frozen=True, slots=True)
class Newest:
    """The newest reading of a point by its own time."""

    t: datetime
    value: float
    quality: int
    stored: datetime


@dataclass(frozen=True, slots=True)
class PointItem:
    """One point with its newest reading."""

    point_id: int
    park_id: int
    firm_id: int
    unit_id: int | None
    edge_id: int
    code: str
    name_zh: str
    name_en: str
    kind: str
    carrier: str
    direction: str
    unit: str
    interval_s: int
    product: str | None
    newest: Newest | None


@dataclass(frozen=True, slots=True)
class ReadingItem:
    """One raw reading."""

    t: datetime
    value: float
    quality: int
    batch_id: int


@dataclass(frozen=True, slots=True)
class ConsumptionItem:
    """What a point moved in one period, in `unit`; null is unknown, which is not zero.

    Attributes:
        seconds: true length of the period.
        missing_s: seconds that have passed and are covered by nothing.
        provisional: the period had not ended when the answer was made.
        revision: how often a closed bucket changed afterwards; None for roll-ups, which follow their buckets.
    """

    point_id: int
    period: datetime
    seconds: float
    unit: str
    measured: float | None
    estimated: float | None
    measured_s: float
    estimated_s: float
    missing_s: float
    held: float
    flags: int
    provisional: bool
    revision: int | None
    run_id: int


@dataclass(frozen=True, slots=True)
class IndicatorItem:
    """One value of an indicator, or what was published before (`superseded` tells when it ceased to hold)."""

    indicator_id: str
    scope: str
    scope_id: int
    park_id: int
    firm_id: int | None
    grain: str
    period: datetime
    numerator: float | None
    denominator: float | None
    value: float | None
    unit: str
    coverage: float
    reason: str | None
    closed: bool
    revision: int
    lineage: dict[str, Any]
    run_id: int
    code_version: str | None
    computed: datetime | None
    superseded: datetime | None


@dataclass(frozen=True, slots=True)
class StandingItem:
    """An indicator held against a target."""

    standing_id: int
    park_id: int
    firm_id: int | None
    scope: str
    scope_id: int
    pack_id: str
    pack_version: int
    target_id: str
    as_of: datetime
    state: str
    reason: str | None
    sentence_zh: str
    sentence_en: str
    value: float | None
    target_value: float | None
    required: float | None
    projection: float | None
    current: bool
    run_id: int
    indicator_id: str | None
    unit: str | None
    coverage: float | None
    progress: float | None
    projection_low: float | None
    projection_high: float | None
    projected_for: datetime | None
    confidence: float | None
    method: str | None
    needed_rate: float | None
    needed_rest: float | None
    miss_week: date | None
    revision: int
    superseded: datetime | None


@dataclass(frozen=True, slots=True)
class EpisodeItem:
    """One alert from start to end."""

    episode_id: int
    park_id: int
    firm_id: int | None
    rule_id: str
    rule_version: int
    cause_key: str
    scope: str
    scope_id: int
    state: str
    severity: str
    began: datetime
    opened: datetime | None
    ended: datetime | None
    title_zh: str
    title_en: str
    evidence: Any
    changed: datetime


@dataclass(frozen=True, slots=True)
class TransitionItem:
    """One step of an episode."""

    transition_id: int
    episode_id: int
    from_state: str | None
    to_state: str
    at: datetime
    recorded: datetime
    by: str
    note: str | None


@dataclass(frozen=True, slots=True)
class EdgeItem:
    """One edge and what it last said of itself; all None if it never reported."""

    edge_id: int
    park_id: int
    firm_id: int
    code: str
    online: bool | None
    boot: str | None
    at: datetime | None
    version: str | None
    buffered_batches: int | None
    buffered_bytes: int | None
    clock_offset_ms: int | None
    received: datetime | None
    newest_reading: datetime | None
