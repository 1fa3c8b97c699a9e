"""What a replay did and what came of it, for people and for machines."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


@dataclass(frozen=True, slots=True)
class PointResult:
    """One point.

    Attributes:
        readings: in the file.
        stored: of these, in the database with the file's value; None: there was no database to look into.
        differing: of these, in the database with another value; the file's is kept aside as a conflict.
        total: sum of the stored readings of an interval point, in its unit; None for others.
        months: the ledger's consumption, measured and estimated, by month of the park's zone; empty if not computed.
    """

    code: str
    unit: str
    readings: int
    stored: int | None = None
    differing: int = 0
    total: float | None = None
    months: dict[str, float] = field(default_factory=dict)

    @property
    def missing(self) -> int:
        """Return how many of the file's readings the database lacks."""
        return 0 if self.stored is None else self.readings - self.stored - self.differing


@dataclass(frozen=True, slots=True)
class Result:
    """One replay.

    Attributes:
        boot: the name of these readings on the wire.
        rows, empty_cells, bad_rows: of the file; bad rows were left out.
        readings: in the file.
        sent: published in this run.
        already: not published, because they were known to be stored.
        stored: new in the database through this run; None: there was no database to look into.
        time_zone: of the months.
        computed: whether the months hold all that was sent.
        notes: what is odd.
    """

    file: str
    edge: str
    boot: str
    rows: int
    empty_cells: int
    bad_rows: int
    readings: int
    sent: int
    already: int
    stored: int | None
    points: tuple[PointResult, ...]
    time_zone: str | None
    computed: bool
    notes: tuple[str, ...]
    took_s: float

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        return asdict(self)

    def as_text(self) -> str:
        """Return it for people."""
        what = f"{self.readings:,} readings in {self.rows:,} rows of {self.file}, for {self.edge}"
        done = f"{self.sent:,} sent, {self.already:,} already there"
        if self.stored is not None:
            done += f", {self.stored:,} newly stored"
        lines = [what, f"{done}, in {self.took_s:.1f} s", ""]
        rows = [["point", "unit", "readings", "stored once", "differing", "total"]]
        for point in self.points:
            stored = "?" if point.stored is None else f"{point.stored:,}"
            total = "" if point.total is None else _number(point.total)
            rows.append([point.code, point.unit, f"{point.readings:,}", stored, f"{point.differing:,}", total])
        lines += table(rows, left=2)
        if any(point.months for point in self.points):
            lines += ["", f"consumption by month ({self.time_zone})"]
            lines += table(self._months(), left=1)
        lines += [f"note: {note}" for note in self.notes]
        return "\n".join(lines)

    def _months(self) -> list[list[str]]:
        points = [point for point in self.points if point.months]
        rows = [["month", *(f"{point.code} {point.unit}" for point in points)]]
        names = sorted({month for point in points for month in point.months})
        rows += [[month, *(_number(point.months.get(month)) for point in points)] for month in names]
        return [*rows, ["all", *(_number(sum(point.months.values())) for point in points)]]


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:,.2f}"


def table(rows: Sequence[Sequence[str]], *, left: int) -> Iterable[str]:
    """Return lines of a table; the first `left` columns are text, the others numbers."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (
            cell.ljust(width) if k < left else cell.rjust(width)
            for k, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        yield "  ".join(cells).rstrip()
