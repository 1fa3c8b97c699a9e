"""Who is told of what. Pure, and the only place that decides it; the database refuses what it may never decide."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from alerts.engine import State
from alerts.rules import Severity

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from datetime import datetime

    from alerts.engine import Transition
    from store.recipients import AreaRow, RecipientRow

TOLD: Final = frozenset({State.OPEN, State.RESOLVED, State.RETRACTED})
TOPICS: Final = ("energy", "water", "emissions", "data")

_ENERGY: Final = frozenset(
    {"electricity", "reactive_energy", "natural_gas", "diesel", "coal", "steam", "heat", "compressed_air"}
)
_EMISSIONS: Final = frozenset(
    {"wastewater", "solid_waste", "so2", "nox", "particulate", "cod", "ammonia_nitrogen", "stack_gas"}
)
_ABOUT_MEASURING: Final = frozenset({"silence", "frozen", "held", "completeness", "occurrence", "edge"})
"""Kinds of rules about meters and gateways, not about what they measure."""


@dataclass(frozen=True, slots=True)
class Matter:
    """What an episode is about, as far as it matters for who hears of it.

    Attributes:
        firm_id: None: the whole park, which is no firm's business.
        carriers: what is measured at the point, or what the indicator reads.
        topics: of `TOPICS`.
        zones: those that the firm is in at the time.
    """

    park_id: int
    firm_id: int | None
    severity: Severity
    carriers: frozenset[str] = frozenset()
    topics: frozenset[str] = frozenset()
    zones: frozenset[int] = frozenset()


def is_told(transition: Transition) -> bool:
    """Tell whether a transition is news to anybody: what never opened was told to nobody, nor is its end."""
    return transition.to_state in TOLD and transition.after.opened is not None


def is_news(transition: Transition, now: datetime, news_s: float) -> bool:
    """Tell whether an episode's beginning is still worth waking anybody: it lasted, or was seen, not long ago.

    What is found in data that came in late by days, or in a history that was laid down, is on record and in digests.
    """
    last = transition.after.ended or transition.after.seen
    return (now - last).total_seconds() <= news_s


def is_end(transition: Transition) -> bool:
    """Tell whether a transition ends an episode: that is told to whoever was told of it, and to nobody else."""
    return transition.to_state in {State.RESOLVED, State.RETRACTED}


def topics_of(kind: str, carriers: Iterable[str], indicator: str = "") -> frozenset[str]:
    """Return the topics of a rule of this kind about these carriers, or about this indicator."""
    if kind in _ABOUT_MEASURING:
        return frozenset({"data"})
    found = {"data"} if kind == "balance" else set()
    for carrier in carriers:
        if carrier in _ENERGY:
            found.add("energy")
        if carrier in _EMISSIONS:
            found.add("emissions")
        if "water" in carrier:
            found.add("water")
    if any(word in indicator for word in ("co2", "carbon", "emission", "ghg")):
        found.add("emissions")
    return frozenset(found)


def recipients_of(
    matter: Matter,
    recipients: Iterable[RecipientRow],
    areas: Mapping[int, Sequence[AreaRow]] | None = None,
    on_duty: Collection[int] = (),
) -> list[RecipientRow]:
    """Choose who hears of an episode.

    The park's managers and the firm's own people are chosen apart, each from its severity on: those whose area of duty
    it is in (without one, everything is), and of those that are told on duty only, who is on duty. Where that leaves
    nobody, it falls to all of them: a gap between two areas or turns must not swallow an alert.
    """
    concerned = [
        recipient
        for recipient in recipients
        if recipient.park_id == matter.park_id
        and (recipient.firm_id is None or recipient.firm_id == matter.firm_id)
        and matter.severity.rank >= Severity(recipient.min_severity).rank
    ]
    chosen: set[int] = set()
    for group in (
        [one for one in concerned if one.firm_id is None],
        [one for one in concerned if one.firm_id is not None],
    ):
        present = [one for one in group if not one.on_call_only or one.recipient_id in on_duty]
        heard = [one for one in present if _in_area(matter, (areas or {}).get(one.recipient_id, ()))]
        chosen |= {one.recipient_id for one in heard or present or group}
    return [one for one in concerned if one.recipient_id in chosen]


def _in_area(matter: Matter, areas: Sequence[AreaRow]) -> bool:
    return not areas or any(
        (area.carrier is None or area.carrier in matter.carriers)
        and (area.topic is None or area.topic in matter.topics)
        and (area.zone_id is None or area.zone_id in matter.zones)
        and (area.firm_id is None or area.firm_id == matter.firm_id)
        for area in areas
    )
