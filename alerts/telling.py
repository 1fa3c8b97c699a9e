"""A transition becomes messages: who hears of it is routed, what they read is composed, both go into the outbox.

All of it happens in the transaction that records the transition, so that one is never without the other.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from alerts import message, routing
from store import outbox

if TYPE_CHECKING:
    from datetime import datetime

    from alerts.engine import Transition
    from alerts.rules import Rule
    from alerts.settings import AlertsSettings
    from store.pool import Connection
    from store.samples import Subject


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
    """Put the messages of one transition into the outbox, in the caller's transaction; return how many."""
    if not routing.is_told(transition):
        return 0
    everybody = await outbox.recipients(connection, subject.park_id)
    chosen = routing.recipients_of(subject.park_id, subject.firm_id, rule.severity, everybody)
    for recipient in chosen:
        body = message.compose(
            rule,
            subject,
            transition,
            episode_id=episode_id,
            locale=recipient.locale,
            public_url=settings.public_url,
        )
        await outbox.enqueue(
            connection,
            episode_id=episode_id,
            transition_id=transition_id,
            recipient_id=recipient.recipient_id,
            dedupe_key=message.dedupe_key(message.cause_key(rule, subject), transition, recipient.recipient_id),
            body=body,
            due=now,
            expires=now + timedelta(seconds=settings.message_ttl_s),
        )
    return len(chosen)
