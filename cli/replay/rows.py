"""Rows of a CSV file to readings, by a mapping. Pure but for reading lines; every complaint names line and column.

Cells that hold nothing are gaps, never zeros. A row that is wrong in one cell is wrong as a whole.
"""

from __future__ import annotations

import csv
import hashlib
import math
import re
from array import array
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import numpy as np

from cli.replay.dials import dialled
from cli.replay.errors import RowsError
from cli.replay.mapping import labelled_instants
from park.wire import Batch

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from zoneinfo import ZoneInfo

    from numpy.typing import NDArray

    from cli.replay.mapping import Mapping

CHUNK: Final = 2_000
"""Readings in a batch."""
_KEPT: Final = 100
_NUMBER: Final = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")
_FUTURE_MS: Final = 600_000
"""Ingest refuses readings further ahead of its clock."""


@dataclass(frozen=True, slots=True)
class Readings:
    """What a file says, as columns in the order of its rows.

    Attributes:
        points, units: by the index that `point` holds.
        t_ms: instants as the file labels them, Unix milliseconds.
        rows: rows that count.
        empty: cells without a reading.
        bad: what is wrong with rows that were left out, the first of them; `bad_count` is how many there are.
        repeated: rows that say again what an earlier row said.
        backwards: rows whose time is before that of the row above.
    """

    points: tuple[str, ...]
    units: tuple[str, ...]
    t_ms: NDArray[np.int64]
    point: NDArray[np.int16]
    value: NDArray[np.float64]
    rows: int
    empty: int
    bad: tuple[str, ...]
    bad_count: int
    repeated: int
    backwards: int

    def __len__(self) -> int:
        """Return how many readings there are."""
        return len(self.t_ms)

    @property
    def chunks(self) -> int:
        """Return how many batches they make."""
        return -(-len(self) // CHUNK)

    def shifted(self, shifts_s: Sequence[int]) -> Readings:
        """Return the readings with each point's times moved by so many seconds."""
        t_ms = self.t_ms + np.array(shifts_s, np.int64)[self.point] * 1_000
        return Readings(
            self.points,
            self.units,
            t_ms,
            self.point,
            self.value,
            self.rows,
            self.empty,
            self.bad,
            self.bad_count,
            self.repeated,
            self.backwards,
        )

    def size(self, chunk: int) -> int:
        """Return how many readings a batch holds."""
        return min(CHUNK, len(self) - chunk * CHUNK)

    def batch(self, chunk: int, boot: str, sent_ms: int) -> Batch:
        """Return one batch; the same chunk holds the same readings for ever."""
        part = slice(chunk * CHUNK, (chunk + 1) * CHUNK)
        return Batch(
            points=list(self.points),
            units=list(self.units),
            i=self.point[part].tolist(),
            t=self.t_ms[part].tolist(),
            v=self.value[part].tolist(),
            boot=boot,
            seq=chunk,
            sent=sent_ms,
        )


def boot_of(readings: Readings, edge: str) -> str:
    """Return the name under which these very readings are sent: with a chunk's number it names a batch for ever.

    It follows from what the mapping makes of the file, and from nothing else: a comment, a blank line or the place of
    the park document change nothing that is sent.
    """
    digest = hashlib.sha256(repr((CHUNK, edge, readings.points, readings.units)).encode())
    for column, kind in ((readings.t_ms, "<i8"), (readings.point, "<i2"), (readings.value, "<f8")):
        digest.update(column.astype(kind).tobytes())
    return f"replay-{digest.hexdigest()[:40]}"


class _WrongRowError(ValueError):
    """One row is wrong; the text names the column."""


class _Reader:
    """Cells to times and numbers."""

    def __init__(self, mapping: Mapping, latest_ms: int) -> None:
        self._time = mapping.time
        self._tz: ZoneInfo | None = mapping.tz
        self._interval = timedelta(seconds=mapping.time.interval_s)
        self._decimal = mapping.csv.decimal
        self._missing = frozenset(mapping.missing)
        self._latest_ms = latest_ms
        self._before_ms = -(2**62)

    def time(self, cell: str) -> int:
        """Return the instant that a cell names, or raise `_WrongRowError`."""
        t_ms = self._instant(cell)
        if t_ms < 0:
            raise _WrongRowError(f"{cell!r} is before 1970")
        if t_ms > self._latest_ms:
            raise _WrongRowError(f"{cell!r} lies in the future")
        self._before_ms = t_ms
        return t_ms

    def _instant(self, cell: str) -> int:
        form = self._time.format
        try:
            if form in {"unix_s", "unix_ms"}:
                return int(cell) * (1_000 if form == "unix_s" else 1)
            when = datetime.fromisoformat(cell) if form == "iso" else datetime.strptime(cell, form)  # noqa: DTZ007
        except ValueError:
            raise _WrongRowError(f"{cell!r} is no time of the form {form!r}") from None
        if self._time.midnight_closes_day and when.hour == when.minute == when.second == 0:
            when += timedelta(days=1)
        if when.tzinfo is not None:
            return (when - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
        if self._tz is None:
            raise _WrongRowError(f"{cell!r} has no offset, and the mapping no time.zone")
        found = labelled_instants(when, self._tz, self._time.label, self._interval)
        if len(found) == 1:
            return found[0]
        return self._chosen(cell, found)

    def _chosen(self, cell: str, found: list[int]) -> int:
        """Choose among instants by the declared rule."""
        zone = self._time.zone
        if not found:
            raise _WrongRowError(
                f"{cell!r} does not exist in {zone}, where clocks go forward; if the logger keeps standard time all"
                " year, declare a zone without summer time, such as Etc/GMT-1"
            )
        rule = self._time.fold
        if rule == "error":
            both = " or ".join(datetime.fromtimestamp(t / 1e3, UTC).strftime("%H:%M UTC") for t in found)
            raise _WrongRowError(
                f"{cell!r} occurs twice in {zone}, where clocks go back ({both}); declare time.fold: earlier, later"
                " or in_order"
            )
        if rule == "in_order":
            return next((t for t in found if t > self._before_ms), found[-1])
        return found[0] if rule == "earlier" else found[-1]

    def value(self, cell: str, scale: float) -> float:
        """Return the number in a cell, NaN for none, or raise `_WrongRowError`."""
        text = cell.strip()
        if text in self._missing:
            return math.nan
        number = text if self._decimal == "." else text.replace(",", ".") if "." not in text else ""
        if _NUMBER.fullmatch(number) is None:
            raise _WrongRowError(f"{cell!r} is no number with decimal {self._decimal!r}")
        value = float(number) * scale if scale != 1.0 else float(number)
        if not math.isfinite(value):
            raise _WrongRowError(f"{cell!r} is too large")
        return value


def read_rows(lines: Iterable[str], file: str, mapping: Mapping, now_ms: int) -> Readings:
    """Read all rows.

    Args:
        lines: the file as text, line ends kept.
        file: its name, for messages.
        mapping: what its columns mean.
        now_ms: our clock; readings ahead of it are wrong.

    Raises:
        RowsError: not to be read at all, or, unless the mapping says `skip_bad_rows`, rows that are wrong.
    """
    reader = csv.reader(lines, delimiter=mapping.csv.delimiter, strict=True)
    table = _Table(file, len(mapping.columns))
    try:
        header = [name.strip() for name in next(reader, [])]
        if header:
            header[0] = header[0].lstrip("\ufeff").strip()
        at = _columns(file, header, [mapping.time.column, *mapping.columns])
        for number, cells in _rows(reader):
            table.add(number, cells, len(header), at, mapping, now_ms)
    except UnicodeDecodeError as error:
        what = f"not {mapping.csv.encoding}: {error.reason}"
        raise RowsError(f"{file}: after line {reader.line_num}: {what}; set csv.encoding in the mapping") from None
    except csv.Error as error:
        raise RowsError(f"{file}: line {reader.line_num}: not CSV: {error}") from None
    readings = dialled(table.readings(mapping), mapping)
    if readings.bad_count and not mapping.skip_bad_rows:
        many = "1 row is" if readings.bad_count == 1 else f"{readings.bad_count} rows are"
        message = f"{file}: {many} wrong, nothing was sent; mend them, or allow skip_bad_rows in the mapping:"
        raise RowsError(message, readings.bad, readings.bad_count)
    if not len(readings):
        raise RowsError(f"{file}: holds no reading")
    return readings


def _rows(reader: Iterator[list[str]]) -> Iterator[tuple[int, list[str]]]:
    """Yield each row that holds anything, with the line at which it ends."""
    for cells in reader:
        if cells:
            yield reader.line_num, cells  # type: ignore[attr-defined]  # a csv reader


def _columns(file: str, header: list[str], wanted: list[str]) -> list[int]:
    found = []
    for name in wanted:
        if header.count(name) != 1:
            what = "stands twice" if name in header else f"is missing; there are {', '.join(map(repr, header))}"
            raise RowsError(f"{file}: line 1: column {name!r} {what}")
        found.append(header.index(name))
    return found


class _Table:
    """Rows as they are read: 16 bytes each, and 8 for each column of values."""

    def __init__(self, file: str, width: int) -> None:
        self._file = file
        self._lines = array("q")
        self._t_ms = array("q")
        self._values = [array("d") for _ in range(width)]
        self._bad: list[tuple[int, str]] = []
        self._bad_count = 0
        self._reader: _Reader | None = None

    def add(self, line: int, cells: list[str], width: int, at: list[int], mapping: Mapping, now_ms: int) -> None:
        """Keep a row, or what is wrong with it."""
        reader = self._reader
        if reader is None:
            reader = self._reader = _Reader(mapping, now_ms + _FUTURE_MS)
        column = mapping.time.column
        try:
            if len(cells) != width:
                self._complain(line, f"{len(cells)} cells where the header has {width}")
                return
            t_ms = reader.time(cells[at[0]].strip())
            values = []
            for k, (column, meaning) in zip(at[1:], mapping.columns.items(), strict=True):  # noqa: B007 - for except
                values.append(reader.value(cells[k], meaning.scale))
        except _WrongRowError as error:
            self._complain(line, f"{column}: {error}")
            return
        self._lines.append(line)
        self._t_ms.append(t_ms)
        for kept, value in zip(self._values, values, strict=True):
            kept.append(value)

    def _complain(self, line: int, message: str) -> None:
        self._bad_count += 1
        if len(self._bad) < _KEPT:
            self._bad.append((line, f"{self._file}: line {line}: {message}"))

    def readings(self, mapping: Mapping) -> Readings:
        """Return all good rows as readings; a time that stands twice is kept once."""
        lines = np.frombuffer(self._lines, np.int64) if self._lines else np.empty(0, np.int64)
        t_ms = np.frombuffer(self._t_ms, np.int64) if self._t_ms else np.empty(0, np.int64)
        values = np.array([np.frombuffer(kept) if kept else np.empty(0) for kept in self._values]).T
        keep, repeated = self._once(lines, t_ms, values, mapping.time.column)
        backwards = int((np.diff(t_ms) < 0).sum())
        t_ms, values = t_ms[keep], values[keep]
        held = ~np.isnan(values)
        row, point = np.nonzero(held)
        columns = mapping.columns.values()
        return Readings(
            points=tuple(column.point for column in columns),
            units=tuple(column.unit for column in columns),
            t_ms=t_ms[row],
            point=point.astype(np.int16),
            value=values[held],
            rows=len(t_ms),
            empty=int((~held).sum()),
            bad=tuple(text for _, text in sorted(self._bad)),
            bad_count=self._bad_count,
            repeated=repeated,
            backwards=backwards,
        )

    def _once(
        self, lines: NDArray[np.int64], t_ms: NDArray[np.int64], values: NDArray[np.float64], column: str
    ) -> tuple[NDArray[np.bool_], int]:
        """Return which rows to keep, and how many were left out because they only repeat another."""
        keep = np.ones(len(t_ms), bool)
        order = np.argsort(t_ms, kind="stable")
        repeated = 0
        first = 0
        for later in np.nonzero(np.diff(t_ms[order]) == 0)[0] + 1:
            if t_ms[order[first]] != t_ms[order[later]]:
                first = int(later) - 1
            a, b = order[first], order[later]
            keep[b] = False
            if np.array_equal(values[a], values[b], equal_nan=True):
                repeated += 1
            else:
                self._complain(int(lines[b]), f"{column}: the same time as line {lines[a]}, with other values")
        return keep, repeated
