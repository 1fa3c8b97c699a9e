"""A transition becomes messages: who hears of it is routed, what they read is composed, both go into the outbox.

All of it happens in the transaction that records the transition, so that one is never without the other.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from alerts import measure, message, oncall, routing
from alerts.engine import State
from alerts.rules import Severity
from park.calendar import zone
from park.errors import IndicatorError
from park.indicators import load_catalogue
from store import briefing, duty, outbox, recipients

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from alerts.engine import Transition
    from alerts.rules import Rule
    from alerts.settings import AlertsSettings
    from store.briefing import Value
    from store.pool import Connection
    from store.recipients import AreaRow, RecipientRow
    from store.samples import Subject

_CHARTED: Final = 48
"""How many values the chart of a message has: twelve hours of quarter hours, two days of hours."""


async def tell(
    connection: Connection,
    settings: AlertsSettings,
    rule: Rule,
    subject: Subject,
    transition: Transition,
    *,
    episode_id: int,
    transition_id: int,
    now: datetime,
) -> int:
    """Put the messages of one transition into the outbox, in the caller's transaction; return how many.

    The beginning goes to whoever it concerns now; the end to whoever was told of the episode before.
    """
    if not routing.is_told(transition):
        return 0
    severity, quiet = await outbox.about(connection, episode_id)
    everybody = await recipients.recipients(connection, subject.park_id)
    carrier, zones = await recipients.whereabouts(
        connection,
        subject.scope,
        subject.scope_id,
        subject.firm_id,
        now.astimezone(zone(subject.time_zone)).date(),
    )
    if routing.is_end(transition):
        told = await outbox.told(connection, episode_id)
        chosen = [one for one in everybody if one.recipient_id in told]
    elif quiet or not routing.is_news(transition, now, settings.news_s):
        chosen = []
    else:
        matter = _about(rule, subject, Severity(severity), carrier, zones)
        chosen = await _chosen(connection, subject, matter, everybody, now)
    if not chosen:
        return 0
    cause = message.cause_key(rule, subject)
    series, series_limit = await _series(connection, rule, subject, transition)
    bodies: dict[str, dict[str, Any]] = {}
    for recipient in chosen:
        if recipient.locale not in bodies:
            bodies[recipient.locale] = message.compose(
                rule,
                subject,
                transition,
                episode_id=episode_id,
                locale=recipient.locale,
                public_url=settings.public_url,
                severity=Severity(severity),
                carrier=carrier,
                series=series,
                series_limit=series_limit,
            )
        await outbox.enqueue(
            connection,
            episode_id=episode_id,
            transition_id=transition_id,
            recipient_id=recipient.recipient_id,
            dedupe_key=message.dedupe_key(cause, episode_id, transition, recipient.recipient_id),
            body=bodies[recipient.locale],
            due=now,
            expires=now + timedelta(seconds=settings.message_ttl_s),
        )
    return len(chosen)


def _about(
    rule: Rule, subject: Subject, severity: Severity, carrier: str | None, zones: Sequence[int]
) -> routing.Matter:
    carriers = frozenset(_carriers(rule) if carrier is None else [carrier])
    return routing.Matter(
        park_id=subject.park_id,
        firm_id=subject.firm_id,
        severity=severity,
        carriers=carriers,
        topics=routing.topics_of(measure.kind_of(rule), carriers, getattr(rule, "indicator", "")),
        zones=frozenset(zones),
    )


async def _chosen(
    connection: Connection,
    subject: Subject,
    matter: routing.Matter,
    everybody: Sequence[RecipientRow],
    now: datetime,
) -> list[RecipientRow]:
    if not everybody:
        return []
    areas: dict[int, list[AreaRow]] = {}
    for area in await recipients.areas(connection, subject.park_id):
        areas.setdefault(area.recipient_id, []).append(area)
    turns = oncall.all_on_duty(
        await duty.rotations(connection, subject.park_id),
        await duty.stand_ins(connection, subject.park_id, now),
        now,
        zone(subject.time_zone),
    )
    return routing.recipients_of(matter, everybody, areas, {turn.recipient_id for turn in turns.values()})


def _carriers(rule: Rule) -> set[str]:
    """Return the carriers that a rule's indicators read, or that it chooses its subjects by."""
    found = set(rule.where.carriers)
    named = getattr(rule, "indicator", None)
    for indicator in (*getattr(rule, "indicators", ()), *([named] if named else [])):
        try:
            of = load_catalogue().by_id(indicator)
        except IndicatorError:
            continue
        found |= {carrier for term in (*of.numerator, *of.denominator) for carrier in term.carriers}
    return found


async def _series(
    connection: Connection, rule: Rule, subject: Subject, transition: Transition
) -> tuple[list[Value], float | None]:
    """Return what the chart shows, and the limit where it is of the same scale.

    That is the values that were judged, else the indicator, or the flow through the point.
    """
    limit = rule.open.limit
    judged = message.charted(transition.after.evidence)
    if judged:
        return judged, limit
    if transition.to_state is not State.OPEN:
        return [], None
    indicator, grain = getattr(rule, "indicator", None), getattr(rule, "grain", "bucket")
    if indicator is not None:
        found = await briefing.recent_indicator(
            connection, subject.scope, subject.scope_id, indicator, grain, transition.at, _CHARTED
        )
        return found, limit if getattr(rule, "usual_days", None) is None else None
    if subject.scope == "point":
        found = await briefing.recent_use(connection, subject.scope_id, transition.at, _CHARTED)
        return found, limit if getattr(rule, "per", "") == "hour" else None
    return [], None
