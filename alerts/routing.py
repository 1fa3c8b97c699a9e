"""Who is told of what. Pure, and the only place that decides it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from alerts.engine import State
from alerts.rules import Severity

if TYPE_CHECKING:
    from collections.abc import Iterable

    from alerts.engine import Transition
    from store.outbox import RecipientRow

TOLD: Final = frozenset({State.OPEN, State.RESOLVED, State.RETRACTED})


def is_told(transition: Transition) -> bool:
    """Tell whether a transition is news to anybody: what never opened was told to nobody, nor is its end."""
    return transition.to_state in TOLD and transition.after.opened is not None


def recipients_of(
    park_id: int, firm_id: int | None, severity: Severity, recipients: Iterable[RecipientRow]
) -> list[RecipientRow]:
    """Choose who hears of an episode: managers of its park of all, a firm only of itself, each from its severity on.

    An episode of the whole park (`firm_id` None) is no firm's business.
    """
    return [
        recipient
        for recipient in recipients
        if recipient.park_id == park_id
        and (recipient.firm_id is None or recipient.firm_id == firm_id)
        and severity.rank >= Severity(recipient.min_severity).rank
    ]
