"""The window sends live batches first, paces the backlog, and bounds what is under way."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edge.window import Choice, Kind, Window
from park.wire import Committed


def window(limit: int = 8, pace: float = 1.0, settle_s: float = 0.0, resend_after_s: float = 30.0) -> Window:
    return Window(limit, pace, settle_s, resend_after_s)


def send(w: Window, now_s: float) -> tuple[Kind, int] | None:
    """Send what the window chooses, from a disk that has every batch."""
    choice = w.choose(now_s)
    if choice is None:
        return None
    w.sent(choice, choice.start, now_s)
    return choice.kind, choice.start


def test_live_batches_go_before_the_backlog() -> None:
    """A batch written during the connection overtakes all that was waiting."""
    w = window()
    w.connect(0, 100, 0.0)
    assert send(w, 0.0) == (Kind.BACKLOG, 0)
    w.appended(101)
    assert send(w, 0.0) == (Kind.LIVE, 100)


def test_the_backlog_keeps_its_pace_and_leaves_room_for_live_batches() -> None:
    """One backlog batch per pace, at most three quarters of the window; live may use all of it."""
    w = window(limit=8, pace=2.0, settle_s=1.0)
    w.connect(0, 100, 0.0)
    assert w.choose(0.9) is None
    assert w.wait_s(0.9) <= 0.1001
    sent = [send(w, 1.0 + k / 10) for k in range(21)]
    assert [s for s in sent if s] == [(Kind.BACKLOG, k) for k in range(5)]
    assert [send(w, 100.0) for _ in range(3)].count(None) > 0
    assert w.in_flight == 6
    w.appended(103)
    assert [s for s in (send(w, 10.0) for _ in range(5)) if s] == [(Kind.LIVE, 100), (Kind.LIVE, 101)]
    assert w.in_flight == 8


def test_the_watermark_makes_room() -> None:
    """What the watermark covers is no longer in flight, from floor and ranges."""
    w = window(limit=4, pace=1e9)
    w.connect(0, 0, 0.0)
    w.appended(4)
    for _ in range(4):
        send(w, 0.0)
    assert w.choose(0.0) is None
    assert w.cover(Committed("b", 1, [(2, 3)]), 1.0) == 2
    assert w.in_flight == 2


def test_while_the_watermark_stands_still_one_probe_at_a_time_is_sent_again() -> None:
    """An ingest that is away gets no flood of copies; when it is back, everything overdue follows."""
    w = window(limit=4, resend_after_s=10.0)
    w.connect(0, 0, 0.0)
    w.appended(3)
    assert [send(w, 0.0) for _ in range(4)] == [(Kind.LIVE, 0), (Kind.LIVE, 1), (Kind.LIVE, 2), None]
    sent = [(now_s, s[1]) for now_s in range(40) if (s := send(w, float(now_s))) is not None]
    assert sent == [(1, 0), (3, 1), (7, 2), (15, 0), (25, 1), (35, 2)]
    w.cover(Committed("b", 1), 36.0)
    assert [send(w, 36.1) for _ in range(2)] == [(Kind.RESEND, 1), None]


def test_the_last_batch_of_all_does_not_wait_long_for_a_lost_answer() -> None:
    """Nothing comes after it that could overtake it: it is its own probe, and what fell with it follows soon."""
    w = window(resend_after_s=30.0)
    w.connect(0, 0, 0.0)
    w.appended(3)
    for _ in range(3):
        send(w, 0.0)
    assert send(w, 2.9) is None
    assert send(w, 3.0) == (Kind.RESEND, 0)
    w.cover(Committed("b", 1), 3.2)
    assert send(w, 6.1) is None
    assert [send(w, 6.2) for _ in range(2)] == [(Kind.RESEND, 1), (Kind.RESEND, 2)]


def test_what_later_batches_have_overtaken_is_sent_again_soon() -> None:
    """A batch that the broker lost does not wait for the whole time, and each attempt waits twice as long."""
    w = window(resend_after_s=30.0)
    w.connect(0, 0, 0.0)
    for seq in range(3):
        w.appended(seq + 1)
        assert send(w, seq / 10) == (Kind.LIVE, seq)
    w.cover(Committed("b", 0, [(1, 2)]), 1.0)
    assert w.wait_s(1.0) == 3.0
    assert send(w, 3.9) is None
    assert [send(w, 4.0) for _ in range(2)] == [(Kind.RESEND, 0), None]
    for seq in range(3, 10):
        w.appended(seq + 1)
        assert send(w, 2.0 + seq) == (Kind.LIVE, seq)
        w.cover(Committed("b", 0, [(1, seq + 1)]), 3.0 + seq)  # the second copy is overtaken at 6.0
    assert send(w, 11.9) is None
    assert [send(w, 12.0) for _ in range(2)] == [(Kind.RESEND, 0), None]


def test_a_copy_that_lands_overtakes_nobody() -> None:
    """What was sent again may have landed by its first copy: batches sent between the two are not all late."""
    w = window(resend_after_s=10.0)
    w.connect(0, 0, 0.0)
    for seq, at_s in enumerate((0.0, 0.8, 0.9)):
        w.appended(seq + 1)
        send(w, at_s)
    assert send(w, 1.0) == (Kind.RESEND, 0)
    w.cover(Committed("b", 1), 1.2)
    assert [send(w, 2.2) for _ in range(2)] == [(Kind.RESEND, 1), None]


def test_a_new_connection_sends_again_what_the_broker_had_not_taken() -> None:
    """Only batches that the old broker acknowledged keep waiting for the watermark."""
    w = window(pace=1e9)
    w.connect(0, 0, 0.0)
    w.appended(4)
    for _ in range(4):
        send(w, 0.0)
    w.taken(1)
    w.connect(0, 4, 1.0)
    assert [s for s in (send(w, 2.0 + k / 10) for k in range(5)) if s] == [(Kind.BACKLOG, k) for k in (0, 2, 3)]


def test_live_batches_that_pile_up_become_backlog_and_the_newest_go_first() -> None:
    """After a long wait for room the newest pass first, and nothing is forgotten."""
    w = window(limit=8, pace=1e9)
    w.connect(0, 0, 0.0)
    for after in range(1, 101):
        w.appended(after)
    order = []
    for tick in range(300):
        if (s := send(w, float(tick))) is not None:
            order.append(s)
            w.cover(Committed("b", 0, [(k, k + 1) for _, k in order]), float(tick))
    assert order[0][0] is Kind.LIVE
    assert order[0][1] > 90
    assert sorted(seq for _, seq in order) == list(range(100))


@given(
    steps=st.lists(
        st.one_of(
            st.tuples(st.just("append"), st.integers(1, 30)),
            st.tuples(st.just("send"), st.integers(1, 20)),
            st.tuples(st.just("land"), st.integers(0, 20)),
            st.tuples(st.just("drop"), st.integers(0, 20)),
            st.tuples(st.just("reconnect"), st.just(0)),
        ),
        max_size=60,
    )
)
def test_everything_is_sent_in_the_end_whatever_happens_on_the_way(steps: list[tuple[str, int]]) -> None:
    """Losses at the broker, batches given up, reconnects: the window never overflows and all that is stored lands."""
    w = Window(8, 1e6, 0.0, 5.0)
    disk: set[int] = set()
    under_way: list[int] = []
    top, now_s = 0, 0.0
    w.connect(0, 0, now_s)

    def pump(most: int) -> None:
        nonlocal now_s
        for _ in range(most):
            now_s += 0.1
            choice = w.choose(now_s)
            if choice is None:
                return
            seq = min((s for s in disk if choice.start <= s < choice.stop), default=None)
            if seq is None:
                w.missing(choice)
                continue
            w.sent(choice, seq, now_s)
            under_way.append(seq)
            assert w.in_flight <= 8

    def land(count: int) -> None:
        for _ in range(min(count, len(under_way))):
            disk.discard(under_way.pop(0))
        covered = [(s, s + 1) for s in range(top) if s not in disk]
        w.cover(Committed("b", 0, covered), now_s)

    for step, count in steps:
        if step == "append":
            disk |= set(range(top, top + count))
            top += count
            w.appended(top)
        elif step == "send":
            pump(count)
        elif step == "land":
            land(count)
        elif step == "drop":  # the broker loses what it had, or the buffer gives up its oldest
            del under_way[:count]
            disk -= set(sorted(disk)[: count // 4])
        else:
            under_way.clear()
            w.connect(min(disk, default=top), top, now_s)
    for _ in range(2000):
        if not disk:
            break
        now_s += w.wait_s(now_s)
        pump(5)
        land(5)
    assert not disk


def test_a_missing_batch_is_passed_over() -> None:
    """What the disk no longer has is not waited for."""
    w = window(pace=1e9)
    w.connect(0, 3, 0.0)
    w.missing(Choice(Kind.BACKLOG, 0, 3))
    assert w.choose(1.0) is None
