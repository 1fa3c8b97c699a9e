"""What to send next: live batches first, then what is overdue, then the backlog at its pace.

Pure: it knows numbers and times, no broker and no disk. A batch is *in flight* from when it is sent until the
watermark covers it; the window bounds the flights, and so the broker's queue for an ingest that is away.

Three rules say what to send again; R is `resend_after_s`.

- *Overtaken*: a batch that was sent later is in the database and this one is not. A broker that was killed has lost it,
  or keeps it for a worker that is away. It is sent again after R/10, doubled with each attempt.
- *Overdue*: the watermark has moved since it was sent, and it is older than R.
- *Probe*: nothing at all has landed for R/10, doubled with each probe up to R: one batch is sent again, for its answer.
  Not all of them, which would fill the broker's queue for an ingest that is away with copies.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from park.wire import Committed

_SOON: Final = 0.1
"""Part of the usual wait after which there is reason enough to send again."""


class Kind(StrEnum):
    """Why a batch is sent."""

    LIVE = "live"
    RESEND = "resend"
    BACKLOG = "backlog"


class Choice(NamedTuple):
    """Send the first stored batch in `[start, stop)`."""

    kind: Kind
    start: int
    stop: int


@dataclass(slots=True)
class _Flight:
    sent_s: float
    taken: bool = False  # the broker has it
    attempts: int = 1
    overtaken_s: float | None = None  # since when a batch that was sent later is in the database


class Window:
    """The batches between the disk and the database. Times are monotonic seconds.

    Args:
        limit: flights at most; a quarter is kept free for live batches.
        backlog_per_s: pace of the backlog.
        settle_s: wait after connecting before the backlog starts.
        resend_after_s: see above.
    """

    def __init__(self, limit: int, backlog_per_s: float, settle_s: float, resend_after_s: float) -> None:
        self._limit = limit
        self._pace_s = 1 / backlog_per_s
        self._settle_s = settle_s
        self._resend_after_s = resend_after_s
        self._flights: dict[int, _Flight] = {}
        self._backlog: list[tuple[int, int]] = []
        self._live = 0
        self._next = 0
        self._backlog_due_s = 0.0
        self._probed_s = 0.0
        self._probes = 0
        self._progress_s = 0.0
        self._watermark: Committed | None = None

    @property
    def in_flight(self) -> int:
        """Return how many batches are sent and not covered."""
        return len(self._flights)

    def connect(self, oldest_seq: int, next_seq: int, now_s: float) -> None:
        """Start anew on a new connection: what the broker had not taken is backlog again."""
        self._flights = {seq: flight for seq, flight in self._flights.items() if flight.taken}
        self._live = self._next = next_seq
        self._backlog = []
        start = oldest_seq
        for seq in sorted(self._flights):
            if start < seq:
                self._backlog.append((start, seq))
            start = max(start, seq + 1)
        if start < next_seq:
            self._backlog.append((start, next_seq))
        self._backlog_due_s = now_s + self._settle_s
        self._probed_s = now_s
        self._probes = 0

    def forget(self) -> None:
        """Drop all flights: their numbers mean nothing any more."""
        self._flights.clear()

    def appended(self, next_seq: int) -> None:
        """Note that the disk now has batches up to `next_seq`, exclusive."""
        self._next = max(self._next, next_seq)
        if self._next - self._live > self._limit:
            # They wait already: let the newest through first.
            stop = self._next - self._limit // 4
            if self._backlog and self._backlog[-1][1] == self._live:
                self._backlog[-1] = (self._backlog[-1][0], stop)
            else:
                self._backlog.append((self._live, stop))
            self._live = stop

    def choose(self, now_s: float) -> Choice | None:
        """Return what to send now, if anything."""
        if self._live < self._next and len(self._flights) < self._limit:
            return Choice(Kind.LIVE, self._live, self._next)
        if (seq := self._overdue(now_s)) is not None:
            return Choice(Kind.RESEND, seq, seq + 1)
        if self._backlog_open() and now_s >= self._backlog_due_s:
            return Choice(Kind.BACKLOG, *self._backlog[0])
        return None

    def _backlog_open(self) -> bool:
        return bool(self._backlog) and len(self._flights) < self._limit - self._limit // 4

    def _overdue(self, now_s: float) -> int | None:
        if not self._flights:
            return None
        seq, flight = min(self._flights.items(), key=lambda item: (self._due_s(item[1]), item[1].sent_s))
        if now_s >= self._due_s(flight):
            return seq
        if now_s >= self._probe_due_s():
            return min(self._flights, key=lambda seq: self._flights[seq].sent_s)
        return None

    def _due_s(self, flight: _Flight) -> float:
        due_s = flight.sent_s + self._resend_after_s if self._progress_s > flight.sent_s else math.inf
        if flight.overtaken_s is not None:
            due_s = min(due_s, flight.overtaken_s + self._patience_s(flight.attempts - 1))
        return due_s

    def _probe_due_s(self) -> float:
        oldest_s = min(flight.sent_s for flight in self._flights.values())
        return max(oldest_s, self._progress_s, self._probed_s) + self._patience_s(self._probes)

    def _patience_s(self, doublings: int) -> float:
        return self._resend_after_s * min(_SOON * 2.0 ** min(doublings, 32), 1.0)

    def sent(self, choice: Choice, seq: int, now_s: float) -> None:
        """Note that the batch `seq`, found for `choice`, is on its way."""
        before = self._flights.get(seq)
        self._flights[seq] = _Flight(now_s, attempts=1 if before is None else before.attempts + 1)
        if choice.kind is Kind.LIVE:
            self._live = seq + 1
        elif choice.kind is Kind.BACKLOG:
            self._advance(seq + 1)
            self._backlog_due_s = max(self._backlog_due_s + self._pace_s, now_s - 10 * self._pace_s)
        else:
            self._probed_s = now_s
            self._probes += 1

    def missing(self, choice: Choice) -> None:
        """Note that the disk has nothing for `choice` any more."""
        if choice.kind is Kind.LIVE:
            self._live = max(self._live, choice.stop)
        elif choice.kind is Kind.BACKLOG:
            self._advance(choice.stop)
        else:
            self._flights.pop(choice.start, None)

    def _advance(self, start: int) -> None:
        if not self._backlog:
            return
        _, stop = self._backlog[0]
        if start < stop:
            self._backlog[0] = (start, stop)
        else:
            del self._backlog[0]

    def taken(self, seq: int) -> None:
        """Note that the broker has the batch."""
        if (flight := self._flights.get(seq)) is not None:
            flight.taken = True

    def cover(self, committed: Committed, now_s: float) -> int:
        """Note the watermark (of this boot); returns how many flights have landed."""
        if committed != self._watermark:
            self._watermark = committed
            self._progress_s = now_s
            self._probes = 0
        landed = [seq for seq in self._flights if committed.covers(committed.boot, seq)]
        if not landed:
            return 0
        # What was sent again may have landed by an earlier copy: it says nothing about those sent shortly before it.
        newest_s = max(
            flight.sent_s - (self._patience_s(0) / 2 if flight.attempts > 1 else 0.0)
            for flight in map(self._flights.__getitem__, landed)
        )
        for seq in landed:
            del self._flights[seq]
        for flight in self._flights.values():
            if flight.sent_s < newest_s and flight.overtaken_s is None:
                flight.overtaken_s = now_s
        return len(landed)

    def wait_s(self, now_s: float) -> float:
        """Return in how many seconds `choose` may say something new by itself (at most one minute)."""
        due = [60.0]
        if self._backlog_open():
            due.append(self._backlog_due_s - now_s)
        if self._flights:
            due += [min(map(self._due_s, self._flights.values())) - now_s, self._probe_due_s() - now_s]
        return max(min(due), 0.001)
