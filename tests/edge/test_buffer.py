"""The disk buffer loses nothing that it said it has, and says what it gave up."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from edge.buffer import Buffer, Depth, GivenUp, Stored, move_aside, new_boot
from edge.config import BufferConfig, EdgeConfig
from edge.errors import BufferCorruptError, BufferFullError, BufferInUseError, BufferUnusableError
from edge.process import open_buffer
from park.wire import JSON, Batch, Committed, decode_batch

if TYPE_CHECKING:
    from collections.abc import Callable

NOW = 1_763_625_600_000
OWNER = "park/firm/edge"
PLENTY = 1 << 30


def batch(readings: int = 2, value: float = 1.0) -> Batch:
    points = [f"E-{k}" for k in range(readings)]
    return Batch(points=points, t=[NOW] * readings, v=[value] * readings)


def open_at(
    path: Path | str,
    *,
    owner: str = OWNER,
    max_bytes: int = 1 << 20,
    min_free_bytes: int = 0,
    free_bytes: Callable[[str], int] = lambda _: PLENTY,
) -> Buffer:
    return Buffer(
        str(path),
        owner,
        lambda: new_boot(NOW, os.urandom(10)),
        max_bytes=max_bytes,
        min_free_bytes=min_free_bytes,
        free_bytes=free_bytes,
    )


def stored(buffer: Buffer) -> list[Stored]:
    found, start = [], 0
    while (row := buffer.first(start, buffer.next_seq)) is not None:
        found.append(row)
        start = row.seq + 1
    return found


def test_a_batch_reads_back_as_it_goes_over_the_wire(tmp_path: Path) -> None:
    """What is stored is the payload itself, with boot, number and time, in its own encoding."""
    buffer = open_at(tmp_path / "b")
    assert buffer.append(batch(value=1.5), NOW).seq == 0
    assert buffer.append(batch(value=2.5), NOW + 1, JSON).seq == 1
    rows = stored(buffer)
    batches = [decode_batch(row.payload, row.content_type) for row in rows]
    assert [(b.boot, b.seq, b.sent, b.values[0]) for b in batches] == [
        (buffer.boot, 0, NOW, 1.5),
        (buffer.boot, 1, NOW + 1, 2.5),
    ]
    assert rows[1].payload.startswith(b"{")
    buffer.close()


def test_boot_and_numbers_outlive_a_restart(tmp_path: Path) -> None:
    """A reopened buffer has its boot and goes on counting, also when everything had been released."""
    buffer = open_at(tmp_path / "b")
    boot = buffer.boot
    assert buffer.fresh
    assert len(boot) == 26
    for _ in range(3):
        buffer.append(batch(), NOW)
    buffer.release(Committed(boot, 3))
    buffer.close()
    buffer = open_at(tmp_path / "b")
    assert (buffer.fresh, buffer.boot, buffer.next_seq, buffer.depth) == (False, boot, 3, Depth())
    buffer.close()


def test_boot_ids_sort_by_time() -> None:
    """A later boot has the greater id, and equal times differ by randomness."""
    early, late = new_boot(NOW, b"\xff" * 10), new_boot(NOW + 1, b"\x00" * 10)
    assert early < late
    assert new_boot(NOW, b"\x00" * 10) < early


def test_only_what_the_watermark_covers_leaves(tmp_path: Path) -> None:
    """Floor and ranges take out exactly their batches; another boot's watermark takes out none."""
    buffer = open_at(tmp_path / "b")
    for _ in range(10):
        buffer.append(batch(3), NOW)
    assert buffer.release(Committed("another", 10)).depth.batches == 0
    released = buffer.release(Committed(buffer.boot, 2, [(4, 6), (8, 9)]))
    assert (released.depth.batches, released.depth.readings) == (5, 15)
    assert [row.seq for row in stored(buffer)] == [2, 3, 6, 7, 9]
    assert buffer.oldest_seq() == 2
    assert buffer.release(Committed(buffer.boot, 2, [(4, 6), (8, 9)])).depth == Depth()
    buffer.close()


def test_a_full_buffer_gives_up_the_oldest_and_remembers_until_the_watermark_covers_it(tmp_path: Path) -> None:
    """The newest stay; the rest is counted as one range, kept over a restart, forgotten once covered."""
    buffer = open_at(tmp_path / "b", max_bytes=256 * 1024)
    given_up = Depth()
    for _ in range(500):
        given_up = given_up.plus(buffer.append(batch(100), NOW).given_up)
    kept = [row.seq for row in stored(buffer)]
    assert given_up.batches > 100
    assert kept == list(range(given_up.batches, 500))
    assert buffer.depth.readings == 100 * len(kept)
    assert buffer.given_up() == [GivenUp(0, kept[0], kept[0], 100 * kept[0])]
    buffer.close()
    assert (tmp_path / "b").stat().st_size <= 256 * 1024
    buffer = open_at(tmp_path / "b", max_bytes=256 * 1024)
    buffer.release(Committed(buffer.boot, kept[0] - 1))
    assert len(buffer.given_up()) == 1
    buffer.release(Committed(buffer.boot, kept[0]))
    assert buffer.given_up() == []
    buffer.close()


def test_a_nearly_full_disk_stops_growth(tmp_path: Path) -> None:
    """Below the free-disk limit the file keeps its size: the oldest make room for the newest."""
    free = [PLENTY]
    buffer = open_at(tmp_path / "b", max_bytes=PLENTY, min_free_bytes=1000, free_bytes=lambda _: free[0])
    for _ in range(300):
        buffer.append(batch(1000), NOW)
    size = buffer._file_bytes
    assert size > 4 * 1024 * 1024
    free[0] = 999
    assert sum(buffer.append(batch(1000), NOW).given_up.batches for _ in range(100)) > 50
    assert buffer._file_bytes == size
    free[0] = PLENTY
    assert buffer.append(batch(1000), NOW).given_up == Depth()
    buffer.close()


def test_a_full_disk_under_way_gives_up_the_oldest(tmp_path: Path) -> None:
    """When SQLite itself finds no room, the oldest go and the new batch is stored."""
    buffer = open_at(tmp_path / "b", max_bytes=PLENTY)
    buffer._db.execute("PRAGMA max_page_count = 1")  # SQLite takes the present size instead
    results = [buffer.append(batch(1000), NOW) for _ in range(300)]
    assert results[-1].seq == 299
    assert sum(result.given_up.batches for result in results) > 50
    assert stored(buffer)[-1].seq == 299
    assert len(stored(buffer)) == buffer.depth.batches
    buffer.close()


def test_a_batch_larger_than_the_buffer_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    """The others are not given up for a batch that can never fit."""
    buffer = open_at(tmp_path / "b", max_bytes=128 * 1024)
    buffer.append(batch(), NOW)
    with pytest.raises(BufferFullError, match="raise max_bytes"):
        buffer.append(batch(20_000), NOW)
    assert [row.seq for row in stored(buffer)] == [0]
    assert buffer.depth.batches == 1
    assert buffer.append(batch(), NOW).seq == 1
    buffer.close()


def test_a_watermark_ahead_of_the_file_moves_new_batches_out_of_its_way(tmp_path: Path) -> None:
    """A disk that lost confirmed commits would number new batches as old ones: they are numbered above instead."""
    buffer = open_at(tmp_path / "b")
    for _ in range(5):
        buffer.append(batch(value=1.0), NOW)
    buffer.close()
    buffer = open_at(tmp_path / "b")
    buffer.append(batch(value=2.0), NOW)
    buffer.append(batch(value=3.0), NOW)
    released = buffer.release(Committed(buffer.boot, 4, [(5, 9)]))
    assert released.jumped_over == 4
    rows = [(row.seq, decode_batch(row.payload, row.content_type)) for row in stored(buffer)]
    assert [(seq, b.seq, b.values[0]) for seq, b in rows] == [(4, 4, 1.0), (9, 9, 2.0), (10, 10, 3.0)]
    assert buffer.append(batch(), NOW).seq == 11
    assert buffer.depth == Depth(4, sum(len(row.payload) for row in stored(buffer)), sum(len(b.t) for _, b in rows) + 2)
    buffer.close()


def test_a_second_agent_and_another_edge_are_refused(tmp_path: Path) -> None:
    """A file is held by one agent, and belongs to one edge for ever."""
    buffer = open_at(tmp_path / "b")
    with pytest.raises(BufferInUseError, match="another agent"):
        open_at(tmp_path / "b")
    buffer.append(batch(), NOW)
    buffer.close()
    with pytest.raises(BufferInUseError, match="belongs to park/firm/edge"):
        open_at(tmp_path / "b", owner="park/firm/other")


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    """A file that cannot be made is a clear error with its path."""
    with pytest.raises(BufferUnusableError, match="nowhere"):
        open_at(tmp_path / "nowhere" / "b")


@pytest.mark.parametrize("damage", ["header", "middle"])
def test_a_damaged_file_is_moved_aside_and_a_new_boot_begins(tmp_path: Path, damage: str) -> None:
    """Damage is found at opening; the file is kept for people under another name."""
    path = tmp_path / "b"
    config = EdgeConfig(park="park", firm="firm", edge="edge", buffer=BufferConfig(path=str(path)))
    buffer = open_at(path)
    boot = buffer.boot
    for _ in range(50):
        buffer.append(batch(100), NOW)
    buffer.close()
    content = bytearray(path.read_bytes())
    at = 0 if damage == "header" else 3 * 4096
    content[at : at + 4096] = b"\xa5" * 4096
    path.write_bytes(content)
    with pytest.raises(BufferCorruptError):
        open_at(path)
    disk, kept_as = open_buffer(config)
    assert kept_as is not None
    assert Path(kept_as).read_bytes() == bytes(content)
    assert disk.buffer.fresh
    assert disk.buffer.boot != boot
    disk.buffer.close()


def test_moving_aside_takes_the_log_along(tmp_path: Path) -> None:
    """A left-over write-ahead log must not be replayed into the new file."""
    for suffix in ("", "-wal"):
        (tmp_path / f"b{suffix}").write_text("x")
    target = move_aside(str(tmp_path / "b"), "1")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["b.corrupt-1", "b.corrupt-1-wal"]
    assert target.endswith("b.corrupt-1")


def test_events_wait_on_disk_and_their_number_is_bounded(tmp_path: Path) -> None:
    """Events outlive a restart until they are dropped; of too many the oldest go."""
    buffer = open_at(tmp_path / "b", max_bytes=8 << 20)
    for k in range(1003):
        buffer.add_event(b"%d" % k)
    buffer.close()
    buffer = open_at(tmp_path / "b", max_bytes=8 << 20)
    (first, payload), *_ = buffer.events()
    assert payload == b"3"
    buffer.drop_event(first)
    assert buffer.events(1)[0][1] == b"4"
    buffer.close()


_WRITER = """
import os, sys
from edge.buffer import Buffer, new_boot
from park.wire import Batch, Committed
buffer = Buffer(sys.argv[1], "park/firm/edge", lambda: new_boot(1, os.urandom(10)), max_bytes=1 << 26)
print("boot", buffer.boot, flush=True)
while True:
    seq = buffer.append(Batch(points=["A"] * 50, t=[1] * 50, v=[float(buffer.next_seq)] * 50), 1).seq
    print("has", seq, flush=True)
    if seq % 7 == 3:
        buffer.release(Committed(buffer.boot, seq - 20 if seq > 20 else 0))
        print("released", seq - 20, flush=True)
"""


def test_no_batch_is_lost_when_the_process_is_killed(tmp_path: Path) -> None:
    """After each kill -9 at a random instant, every batch that `append` returned for and nobody released is there."""
    rng = random.Random(7)
    boots, known = set(), -1
    for _ in range(8):
        process = subprocess.Popen(
            [sys.executable, "-c", _WRITER, str(tmp_path / "b")], stdout=subprocess.PIPE, text=True, cwd=Path.cwd()
        )
        assert process.stdout is not None
        boots.add(process.stdout.readline())
        lines = [process.stdout.readline() for _ in range(rng.randrange(1, 200))]
        process.send_signal(signal.SIGKILL)
        lines += process.communicate()[0].splitlines(keepends=True)
        # A line that the kill cut off says nothing.
        known = max([known, *(int(line.split()[1]) for line in lines if line.startswith("has") and line[-1] == "\n")])
        buffer = open_at(tmp_path / "b", max_bytes=1 << 26)
        rows = stored(buffer)
        numbers = [row.seq for row in rows]
        assert buffer.next_seq > known
        assert numbers == list(range(numbers[0], buffer.next_seq))
        assert numbers[0] <= max(known + 1 - 20, 0)
        assert all(decode_batch(row.payload, row.content_type).values[0] == row.seq for row in rows)
        buffer.close()
    assert len(boots) == 1
    assert known > 100


class BufferModel(RuleBasedStateMachine):
    """A buffer next to the sets of numbers it must hold."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = tempfile.TemporaryDirectory()
        self.path = Path(self.directory.name) / "b"
        self.full = False
        self.held: set[int] = set()
        self.released: set[int] = set()
        self.gone: set[int] = set()
        self.buffer = self.open()
        self.boot = self.buffer.boot

    def open(self) -> Buffer:
        return open_at(self.path, max_bytes=160 * 1024)

    def teardown(self) -> None:
        self.buffer.close()
        self.directory.cleanup()

    @rule(readings=st.integers(1, 600), count=st.integers(1, 5))
    def append(self, readings: int, count: int) -> None:
        for _ in range(count):
            result = self.buffer.append(batch(readings), NOW)
            self.held.add(result.seq)
            oldest = set(sorted(self.held)[: result.given_up.batches])
            self.held -= oldest
            self.gone |= oldest

    @precondition(lambda self: self.buffer.next_seq > 0)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        after = self.buffer.next_seq
        floor = data.draw(st.integers(0, after))
        a = data.draw(st.integers(floor, after))
        b = data.draw(st.integers(a, after))
        self.buffer.release(Committed(self.boot, floor, [(a, b)] if a < b else []))
        covered = set(range(floor)) | set(range(a, b))
        self.released |= self.held & covered
        self.held -= covered

    @rule()
    def reopen(self) -> None:
        self.buffer.close()
        self.buffer = self.open()

    @invariant()
    def holds_what_it_must(self) -> None:
        assert {row.seq for row in stored(self.buffer)} == self.held
        assert self.buffer.boot == self.boot
        assert self.held | self.released | self.gone == set(range(self.buffer.next_seq))
        assert self.buffer.depth.batches == len(self.held)
        assert self.buffer.depth.bytes == sum(len(row.payload) for row in stored(self.buffer))
        reported = {seq for gone in self.buffer.given_up() for seq in range(gone.first, gone.after)}
        assert reported <= self.gone | self.released


BufferModel.TestCase.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
TestBufferModel = BufferModel.TestCase
