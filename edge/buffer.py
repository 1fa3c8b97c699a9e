"""The store-and-forward buffer: one SQLite file that holds every batch until the database has it.

What `append` has returned for survives a kill of the process and a loss of power. WAL with `synchronous=FULL`: one
sync per batch. `NORMAL` would not sync on commit, and after a loss of power the file could be older than what was
already sent: sequence numbers would be given out twice, and ingest would drop the second batch of that number as a
duplicate. At one batch per poll a sync costs a gateway nothing that it would notice. Releases do not sync: a batch
that comes back after a loss of power is sent once more and deduplicated.

When the buffer is full the *oldest* batches are given up: counted, remembered as ranges until the watermark covers
them, and reported. New data is worth more, because an outage that long has already cost the old window its report.

The file belongs to one agent: it is held with an exclusive lock, also against a second agent by mistake.
"""

from __future__ import annotations

import os
import re
import sqlite3
from contextlib import contextmanager
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from edge.errors import BufferCorruptError, BufferFullError, BufferInUseError, BufferUnusableError
from park.wire import MSGPACK, decode_batch, encode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from park.wire import Batch, Committed

_PAGE_BYTES: Final = 4096
_SLACK_PAGES: Final = 256
# With a nearly full disk the buffer still uses this much, or live data could not pass through at all.
# File and log have this size from the start: in WAL mode not even a release works without room for the log.
_LEAST_BYTES: Final = 4 * 1024 * 1024
_MAX_EVENTS: Final = 1000
_DELETED_AT_ONCE: Final = 256
_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


class Stored(NamedTuple):
    """A batch on disk, ready for the wire."""

    seq: int
    content_type: str
    payload: bytes


class Depth(NamedTuple):
    """What is waiting."""

    batches: int = 0
    bytes: int = 0
    readings: int = 0

    def plus(self, other: Depth, sign: int = 1) -> Depth:
        """Return the sum (or, with `sign=-1`, the difference)."""
        return Depth(*(a + sign * b for a, b in zip(self, other, strict=True)))


class GivenUp(NamedTuple):
    """Batches `[first, after)` that were given up."""

    first: int
    after: int
    batches: int
    readings: int


class Appended(NamedTuple):
    """The batch's number, and what had to go for it."""

    seq: int
    given_up: Depth


class Released(NamedTuple):
    """What a watermark took out.

    `jumped_over` > 0: the watermark was ahead of every number this file knew, so the disk had lost commits; that many
    numbers were skipped, and batches written since the start were numbered anew.
    """

    depth: Depth
    jumped_over: int = 0


def new_boot(now_ms: int, randomness: bytes) -> str:
    """Return a ULID: 48 bits of time and 80 random bits in Crockford's base 32, 26 characters."""
    number = ((now_ms & (1 << 48) - 1) << 80) | int.from_bytes(randomness[:10], "big")
    return "".join(_ALPHABET[number >> shift & 31] for shift in range(125, -1, -5))


@cache
def _sql() -> dict[str, str]:
    text = files("edge").joinpath("sql", "buffer.sql").read_text("utf-8")
    parts = re.split(r"^-- name: (\w+)\s*$", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def _free_bytes(path: str) -> int:
    stat = os.statvfs(Path(path).parent)
    return stat.f_bavail * stat.f_frsize


class Buffer:
    """The buffer of one edge. Blocking, and for one thread at a time: the agent gives it a thread of its own.

    Args:
        path: the file; its directory must exist.
        owner: `{park}/{firm}/{edge}`; a file of another edge is refused.
        boot: makes the boot id of a new file.
        max_bytes: size of the file at most, its write-ahead log (up to about 8 MiB) not counted.
        min_free_bytes: below this much free disk the buffer grows no more (but always may use 4 MiB).
        free_bytes: free disk at a path.

    Raises:
        BufferInUseError, BufferCorruptError, BufferUnusableError
    """

    def __init__(
        self,
        path: str,
        owner: str,
        boot: Callable[[], str],
        *,
        max_bytes: int,
        min_free_bytes: int = 0,
        free_bytes: Callable[[str], int] = _free_bytes,
    ) -> None:
        self.path = path
        self._max_bytes = max_bytes
        self._min_free_bytes = min_free_bytes
        self._free_bytes = free_bytes
        with self._errors():
            self._db = sqlite3.connect(path, timeout=0.5, isolation_level=None, check_same_thread=False)
        try:
            with self._errors():
                self.fresh = self._prepare(owner, boot)
                self._load(owner)
                self._reserve()
        except BaseException:
            self._db.close()
            raise

    def _prepare(self, owner: str, boot: Callable[[], str]) -> bool:
        execute = self._db.execute
        execute("PRAGMA locking_mode = EXCLUSIVE")
        execute(f"PRAGMA page_size = {_PAGE_BYTES}")
        execute("PRAGMA journal_mode = WAL")
        execute("PRAGMA synchronous = FULL")
        execute(f"PRAGMA journal_size_limit = {_LEAST_BYTES}")
        execute(f"PRAGMA wal_autocheckpoint = {_LEAST_BYTES // _PAGE_BYTES // 3}")
        execute("PRAGMA cache_size = -512")  # KiB: batches go in and out once, a cache gains nothing
        execute(f"PRAGMA max_page_count = {self._max_bytes // _PAGE_BYTES + _SLACK_PAGES}")
        found = execute("PRAGMA quick_check(1)").fetchone()[0]
        if found != "ok":
            raise BufferCorruptError(self.path, found)
        version = execute("PRAGMA user_version").fetchone()[0]
        if version > 1:
            raise BufferUnusableError(self.path, f"format {version} is of a newer greenpark; install that one")
        if version == 1:
            return False
        # One transaction: a kill in between leaves an empty file, which is made anew.
        with self._transaction():
            for statement in _statements(_sql()["schema"]):
                execute(statement)
            execute(_sql()["insert_state"], (owner, boot()))
        return True

    def _load(self, owner: str) -> None:
        row = self._db.execute(_sql()["select_state"]).fetchone()
        if row is None:
            raise BufferCorruptError(self.path, "its state is gone")
        if row[0] != owner:
            raise BufferInUseError(self.path, f"belongs to {row[0]}; give {owner} a file of its own")
        self.boot: str = row[1]
        self.next_seq: int = row[2]
        self._opened_at_seq: int = self.next_seq
        self.depth = Depth(*self._db.execute(_sql()["select_totals"]).fetchone())

    def _reserve(self) -> None:
        """Write the file and its log to their least size once, so that both work on when others fill the disk."""
        try:
            with self._transaction():
                self._db.execute(_sql()["insert_reserve"], (min(_LEAST_BYTES, self._max_bytes) - self.used_bytes,))
            self._db.execute("PRAGMA wal_checkpoint(PASSIVE)")
            self._db.execute(_sql()["delete_reserve"])
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_FULL:
                raise

    # -- batches

    def append(self, batch: Batch, now_ms: int, content_type: str = MSGPACK) -> Appended:
        """Number a batch and write it to disk; on return it is durable.

        Raises:
            BufferFullError: there is no room even with everything else given up; nothing has changed.
        """
        seq = self.next_seq
        payload = encode(msgspec.structs.replace(batch, boot=self.boot, seq=seq, sent=now_ms), content_type)
        row = (seq, content_type, len(batch.t), payload)
        given_up = Depth()
        with self._errors():
            try:
                given_up = self._insert(row)
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_FULL:
                    raise
                # The disk is fuller than it said: make room by a good measure, then try once more.
                with self._transaction():
                    freed = self._give_up(16 * len(payload))
                self.depth = self.depth.plus(freed, -1)
                given_up = freed.plus(self._insert(row))
        return Appended(seq, given_up)

    def _insert(self, row: tuple[int, str, int, bytes]) -> Depth:
        seq, _, readings, payload = row
        with self._transaction():
            given_up = self._make_room(len(payload))
            self._db.execute(_sql()["insert_batch"], row)
            self._db.execute(_sql()["update_next_seq"], (seq + 1,))
        self.next_seq = seq + 1
        self.depth = self.depth.plus(Depth(1, len(payload), readings)).plus(given_up, -1)
        return given_up

    def first(self, start: int, stop: int) -> Stored | None:
        """Return the first batch whose number is in `[start, stop)`."""
        with self._errors():
            row = self._db.execute(_sql()["select_first"], (start, stop)).fetchone()
        return Stored(*row) if row is not None else None

    def oldest_seq(self) -> int:
        """Return the number of the oldest batch, or the next number if there is none."""
        with self._errors():
            row = self._db.execute(_sql()["select_oldest_seq"]).fetchone()
        return self.next_seq if row[0] is None else int(row[0])

    def release(self, committed: Committed) -> Released:
        """Let go of what the watermark covers. A watermark of another boot does nothing."""
        if committed.boot != self.boot:
            return Released(Depth())
        stretches = [(0, committed.floor), *committed.ranges]
        jumped_over = 0
        gone = Depth()
        with self._errors():
            if (highest := max(after for _, after in stretches)) > self.next_seq:
                jumped_over = self._jump(highest)
            self._db.execute("PRAGMA synchronous = NORMAL")
            try:
                for first, after in stretches:
                    gone = gone.plus(self._release(first, after))
            finally:
                self._db.execute("PRAGMA synchronous = FULL")
        return Released(gone, jumped_over)

    def _release(self, first: int, after: int) -> Depth:
        """Delete in small transactions, which the log always has room for."""
        gone = Depth()
        while True:
            with self._transaction():
                part = self._delete(first, after)
                self._db.execute(_sql()["delete_given_up"], (first, after))
            self.depth = self.depth.plus(part, -1)
            gone = gone.plus(part)
            if part.batches < _DELETED_AT_ONCE:
                return gone

    def _delete(self, first: int, after: int) -> Depth:
        batches = size = readings = 0
        for row_size, row_readings in self._db.execute(_sql()["delete_range"], (first, after, _DELETED_AT_ONCE)):
            batches, size, readings = batches + 1, size + row_size, readings + row_readings
        return Depth(batches, size, readings)

    def _jump(self, highest: int) -> int:
        """Continue above `highest`; batches of this run get new numbers, theirs were given out before."""
        opened_at, lost = self._opened_at_seq, highest - self._opened_at_seq
        with self._transaction():
            mine = self._db.execute(_sql()["select_from"], (opened_at,)).fetchall()
            while self._delete(opened_at, self.next_seq).batches:
                pass
            size = 0
            for seq, (_, content_type, readings, payload) in enumerate(mine, highest):
                anew = encode(msgspec.structs.replace(decode_batch(payload, content_type), seq=seq), content_type)
                self._db.execute(_sql()["insert_batch"], (seq, content_type, readings, anew))
                size += len(anew) - len(payload)
            self._db.execute(_sql()["update_next_seq"], (highest + len(mine),))
        self.next_seq = highest + len(mine)
        self._opened_at_seq = highest
        self.depth = self.depth.plus(Depth(0, size, 0))
        return lost

    # -- limits

    @property
    def used_bytes(self) -> int:
        """Bytes of the file that hold something."""
        free: int = self._db.execute("PRAGMA freelist_count").fetchone()[0]
        return self._file_bytes - free * _PAGE_BYTES

    @property
    def _file_bytes(self) -> int:
        pages: int = self._db.execute("PRAGMA page_count").fetchone()[0]
        return pages * _PAGE_BYTES

    def _make_room(self, size: int) -> Depth:
        limit = self._max_bytes
        used = self.used_bytes
        need = size + 2 * _PAGE_BYTES
        if self._free_bytes(self.path) < self._min_free_bytes:
            limit = min(limit, max(self._file_bytes, _LEAST_BYTES))
        given_up = Depth()
        while used + need > limit and given_up.batches < self.depth.batches:
            given_up = given_up.plus(self._give_up(used + need - limit))
            used = self.used_bytes
        if used + need > limit:
            raise BufferFullError(self.path, f"a batch of {size} bytes does not fit into {limit}; raise max_bytes")
        return given_up

    def _give_up(self, size: int) -> Depth:
        rows, freed = 0, 0
        first = last = -1
        for seq, row_size, _ in self._db.execute(_sql()["select_oldest"], (_DELETED_AT_ONCE,)):
            first, last = (seq if first < 0 else first), seq
            rows, freed = rows + 1, freed + row_size
            if freed >= size:
                break
        if not rows:
            return Depth()
        gone = self._delete(first, last + 1)
        # Numbers between may be released already; a given-up range over them says nothing false about the floor.
        counts = (last + 1, gone.batches, gone.readings)
        if self._db.execute(_sql()["extend_given_up"], (*counts, first)).rowcount == 0:
            self._db.execute(_sql()["insert_given_up"], (first, *counts))
        return gone

    def given_up(self) -> list[GivenUp]:
        """Return the ranges that were given up and that the watermark does not cover yet."""
        with self._errors():
            return [GivenUp(*row) for row in self._db.execute(_sql()["select_given_up"])]

    # -- events

    def add_event(self, payload: bytes) -> None:
        """Keep an event until the broker has it; of more than 1000 the oldest go."""
        with self._errors(), self._transaction():
            self._db.execute(_sql()["insert_event"], (payload,))
            self._db.execute(_sql()["trim_events"], (_MAX_EVENTS,))

    def events(self, limit: int = 20) -> list[tuple[int, bytes]]:
        """Return the oldest events with their ids."""
        with self._errors():
            return [(event_id, payload) for event_id, payload in self._db.execute(_sql()["select_events"], (limit,))]

    def drop_event(self, event_id: int) -> None:
        """Forget an event: the broker has it."""
        with self._errors():
            self._db.execute(_sql()["delete_event"], (event_id,))

    def close(self) -> None:
        """Close the file; the write-ahead log is folded in."""
        self._db.close()

    # -- machinery

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF
            if code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}:
                raise BufferCorruptError(self.path, str(error)) from error
            if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
                raise BufferInUseError(self.path, "another agent uses this file") from error
            if code == sqlite3.SQLITE_FULL:
                raise BufferFullError(self.path, "the disk is full") from error
            raise BufferUnusableError(self.path, f"{error}; check that the directory exists and is writable") from error


def _statements(script: str) -> Iterator[str]:
    text = ""
    for line in script.splitlines():
        text += line + "\n"
        if sqlite3.complete_statement(text):
            yield text
            text = ""


def move_aside(path: str, tag: str) -> str:
    """Rename a damaged file and its log, for people to look at, and return the new name."""
    target = f"{path}.corrupt-{tag}"
    for suffix in ("", "-wal", "-shm"):
        source = Path(path + suffix)
        if source.exists():
            source.rename(target + suffix)
    return target
