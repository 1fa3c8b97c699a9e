"""Telling edges what the database has."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

from ingest.errors import NotConnectedError
from ingest.watermarks import MAX_RANGES, Watermarks, message_of
from park.wire import decode_committed
from store.edge_states import Watermark


class Publisher:
    """Keeps what is published; refuses while `broken`."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, bytes, bool]] = []
        self.broken = False

    async def __call__(self, topic: str, payload: bytes, *, retain: bool) -> None:
        await asyncio.sleep(0)
        if self.broken:
            raise NotConnectedError("away")
        self.sent.append((topic, payload, retain))

    def floors(self) -> list[int]:
        return [decode_committed(payload).floor for _, payload, _ in self.sent]


@asynccontextmanager
async def telling(publisher: Publisher, interval_s: float = 0.02):
    marks = Watermarks(publisher, lambda edge_id: None if edge_id == 404 else ("p", "f", f"e{edge_id}"), interval_s)
    task = asyncio.create_task(marks.run(), name="watermarks")
    yield marks
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def mark(floor: int, boot: str = "b", edge: int = 1, *, newest: bool = True) -> Watermark:
    return Watermark(edge, boot, floor, (), newest)


async def test_many_commits_are_told_once() -> None:
    """Within an interval only the widest of a boot goes out, whatever the order in which lanes finish."""
    publisher = Publisher()
    async with telling(publisher) as marks:
        marks.note([mark(1)])
        marks.note([mark(9), mark(5)])
        await asyncio.sleep(0.01)
        for floor in range(10, 50):
            marks.note([mark(floor)])
        await asyncio.sleep(0.05)
    assert publisher.floors() == [9, 49]
    assert publisher.sent[0][0] == "greenpark/1/p/f/e1/committed"


async def test_less_is_never_told_after_more() -> None:
    """A lane that finishes late does not take back what another has told, but the same may be told again."""
    publisher = Publisher()
    async with telling(publisher) as marks:
        for floor in (9, 5, 9, 10):
            marks.note([mark(floor)])
            await asyncio.sleep(0.04)
    assert publisher.floors() == [9, 9, 10]


async def test_only_the_newest_boot_is_retained() -> None:
    """An older boot is told to whoever listens now; the retained message is the newest boot's."""
    publisher = Publisher()
    async with telling(publisher) as marks:
        marks.note([mark(3, "new"), mark(7, "old", newest=False)])
        await asyncio.sleep(0.02)
    assert [(decode_committed(payload).boot, retain) for _, payload, retain in publisher.sent] == [
        ("old", False),
        ("new", True),
    ]


async def test_what_could_not_be_told_is_told_later() -> None:
    """A broker that is away costs time; newer news replaces older meanwhile."""
    publisher = Publisher()
    publisher.broken = True
    async with telling(publisher) as marks:
        marks.note([mark(3), mark(2, edge=2), mark(1, edge=404)])
        await asyncio.sleep(0.05)
        assert marks.pending >= 0
        marks.note([mark(4)])
        publisher.broken = False
        await asyncio.sleep(0.08)
        assert marks.pending == 0
    assert sorted(publisher.floors()) == [2, 4]


def test_a_message_has_a_bounded_number_of_ranges() -> None:
    """An edge with a thousand gaps is told of the first five hundred stretches; all it is told is true."""
    ranges = tuple((2 * n, 2 * n + 1) for n in range(1, 1_001))
    message = message_of(Watermark(1, "b", 1, ranges, newest=True))
    assert message.ranges == list(ranges[:MAX_RANGES])
