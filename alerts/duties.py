"""What is due by the clock and not by a number: summaries, escalations, digests, word of channels that fail."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from alerts.digest import send_digests
from alerts.escalation import escalate
from alerts.notices import tell_of_failing_channels
from alerts.summary import send_summaries

if TYPE_CHECKING:
    from datetime import datetime

    from alerts.settings import AlertsSettings
    from store.pool import Connection

_log = structlog.get_logger()


async def attend(connection: Connection, settings: AlertsSettings, now: datetime) -> bool:
    """Do all that is due at `now`; any number of workers may. Return whether there may be new messages.

    Args:
        connection: not inside a transaction.
        settings: limits and times.
        now: wall clock.
    """
    escalated = await escalate(connection, settings, now)
    digests = await send_digests(connection, settings, now)
    summaries = await send_summaries(connection, settings, now)
    failing = await tell_of_failing_channels(connection, settings, now)
    if escalated or digests or summaries:
        _log.debug("duties_done", escalated=escalated, digests=digests, summaries=summaries, failing=failing)
    return bool(escalated or digests or summaries or failing)
