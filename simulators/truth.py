"""The truth beside a stream: what every point moved in every bucket, what was sent, and what was done to it.

Kept as one `.npz` file with its description as JSON inside, so that a score needs numpy alone:

    truth = load("everyday.truth.npz")
    truth.quantity[truth.row("f01", "E-001")]   # per bucket, in the point's unit
"""

from __future__ import annotations

import json
import zipfile
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np

from park.calendar import BUCKET_US
from park.definition import ParkDefinition
from park.figures import Deflator
from simulators.business import Report
from simulators.errors import DataError, UnknownName
from simulators.quantities import MICRO, quantities

if TYPE_CHECKING:
    import os

    from numpy.typing import NDArray

__all__ = ["MICRO", "Expected", "FaultTruth", "PointTruth", "Truth", "load", "quantities"]

_FORMAT: Final = 1
_GRAVITY: Final = np.array([0, 1, 3, 2, 4])
"""By `Expected`: which mark stays where two faults meet."""


class Expected(IntEnum):
    """What the ledger should hold for a point and bucket once everything has arrived."""

    MEASURED = 0
    ESTIMATED = 1
    MISSING = 2
    KNOWN = 3
    """Measured or estimated; over the fault's buckets the sum is right."""
    ANY = 4
    """The platform cannot know better; not marked."""


class PointTruth(msgspec.Struct, frozen=True):
    """One row: whose it is, and what the platform knows it as."""

    firm: str
    code: str
    kind: str
    carrier: str
    direction: str
    unit: str
    flow: str
    product: str | None
    interval_s: int
    """Of interval and gauge points; a ledger knows the sum of each interval, not its course."""
    conserved: bool
    """Whether the sum over the whole time must equal the truth although something happened to the meter."""
    with_held: bool
    """Whether it does so only together with what is held for a person."""
    step: float
    """One step of the dial in the point's unit: no ledger can be closer."""


class FaultTruth(msgspec.Struct, frozen=True):
    """One fault: what, where, when (microseconds since 1970, `[start_us, end_us)`), and what is expected."""

    fault: str
    firm: str
    point: str | None
    start_us: int
    end_us: int
    values: dict[str, float]
    alert: str | None
    buckets: str
    step: str
    wire: str
    conserved: bool


@dataclass(frozen=True, slots=True)
class Truth:
    """What a stream should leave behind. Rows are points (p), flows (f) or readings (r); n buckets.

    Attributes:
        scenario, seed: which stream.
        park: the park document that the platform is set up with.
        points: description of each row.
        bucket_us: start of each bucket, int64 (n,).
        micro: true quantity in millionths of the flow's unit, int64 (p, n).
        quantity: the same in the point's unit, float64 (p, n).
        expected: `Expected`, uint8 (p, n).
        flows: (firm, flow) of each flow row; includes what no meter sees.
        flow_micro: int64 (f, n).
        reading_point, reading_t_us, reading_value, reading_quality: what the database should hold, each point and
            instant once, with the value that came first; (r,).
        conflicts: second values at an instant that was taken, to be kept aside.
        quarantined: readings that should be in quarantine.
        messages: data messages delivered, redeliveries included.
        faults: what was done.
        reports: what firms report of the whole months inside, in the order in which they enter it; what counts in the
            end is the last of each name (`simulators.business.counted`).
        deflators: the park's prices relative to base years.
    """

    scenario: str
    seed: int
    park: ParkDefinition
    points: tuple[PointTruth, ...]
    bucket_us: NDArray[np.int64]
    micro: NDArray[np.int64]
    quantity: NDArray[np.float64]
    expected: NDArray[np.uint8]
    flows: tuple[tuple[str, str], ...]
    flow_micro: NDArray[np.int64]
    reading_point: NDArray[np.int32]
    reading_t_us: NDArray[np.int64]
    reading_value: NDArray[np.float64]
    reading_quality: NDArray[np.uint8]
    conflicts: int
    quarantined: int
    messages: int
    faults: tuple[FaultTruth, ...]
    reports: tuple[Report, ...] = ()
    deflators: tuple[Deflator, ...] = ()

    def row(self, firm: str, code: str) -> int:
        """Return the row of a point, or raise `UnknownName`."""
        for k, point in enumerate(self.points):
            if point.firm == firm and point.code == code:
                return k
        raise UnknownName("point", f"{firm}/{code}", [f"{p.firm}/{p.code}" for p in self.points])

    def flow(self, firm: str, name: str) -> NDArray[np.int64]:
        """Return the true quantity per bucket of any flow, millionths of its unit, shape (n,)."""
        try:
            found: NDArray[np.int64] = self.flow_micro[self.flows.index((firm, name))]
        except ValueError:
            raise UnknownName("flow", name, {flow for who, flow in self.flows if who == firm}) from None
        return found

    def inputs(self, firm: str, start_us: int, end_us: int) -> dict[tuple[str, str, str], float]:
        """Return what an indicator of a firm should be made of.

        Args:
            firm: its code.
            start_us: start of the first bucket.
            end_us: end of the last bucket.

        Returns:
            (carrier, direction, unit) to the true sum over the firm's metered points.
        """
        inside = (self.bucket_us >= start_us) & (self.bucket_us < end_us)
        sums = dict[tuple[str, str, str], float]()
        for k, point in enumerate(self.points):
            if point.firm == firm and point.kind != "gauge":
                place = (point.carrier, point.direction, point.unit)
                sums[place] = sums.get(place, 0.0) + float(self.quantity[k, inside].sum())
        return sums

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the truth to one file."""
        about = {
            "format": _FORMAT,
            "scenario": self.scenario,
            "seed": self.seed,
            "park": msgspec.to_builtins(self.park),
            "points": msgspec.to_builtins(self.points),
            "flows": self.flows,
            "faults": msgspec.to_builtins(self.faults),
            "reports": msgspec.to_builtins(self.reports),
            "deflators": msgspec.to_builtins(self.deflators),
            "conflicts": self.conflicts,
            "quarantined": self.quarantined,
            "messages": self.messages,
        }
        text = json.dumps(about, ensure_ascii=False, sort_keys=True).encode()
        columns = {name: getattr(self, name) for name in _COLUMNS}
        with open(path, "wb") as file:  # noqa: PTH123  (numpy would add a suffix to a path)
            np.savez_compressed(file, about=np.frombuffer(text, np.uint8), **columns)


_COLUMNS: Final = (
    "bucket_us",
    "micro",
    "quantity",
    "expected",
    "flow_micro",
    "reading_point",
    "reading_t_us",
    "reading_value",
    "reading_quality",
)


def load(path: str | os.PathLike[str]) -> Truth:
    """Read a truth file, or raise `DataError`."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            about: dict[str, Any] = json.loads(archive["about"].tobytes())
            columns = {name: archive[name] for name in _COLUMNS}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(str(path), "", f"not a truth file of a simulation: {error}") from None
    if about.get("format") != _FORMAT:
        raise DataError(str(path), "format", f"expected {_FORMAT}, got {about.get('format')}: write it again")
    return Truth(
        scenario=about["scenario"],
        seed=about["seed"],
        park=msgspec.convert(about["park"], ParkDefinition),
        points=msgspec.convert(about["points"], tuple[PointTruth, ...]),
        flows=tuple((firm, flow) for firm, flow in about["flows"]),
        faults=msgspec.convert(about["faults"], tuple[FaultTruth, ...]),
        reports=msgspec.convert(about.get("reports", []), tuple[Report, ...]),
        deflators=msgspec.convert(about.get("deflators", []), tuple[Deflator, ...]),
        conflicts=about["conflicts"],
        quarantined=about["quarantined"],
        messages=about["messages"],
        **columns,
    )


def mark(
    expected: NDArray[np.uint8], bucket_us: NDArray[np.int64], first_us: int, last_us: int, state: Expected
) -> None:
    """Mark, in place, the buckets of a row that `[first_us, last_us)` touches; the graver mark stays."""
    touched = (bucket_us + BUCKET_US > first_us) & (bucket_us < last_us)
    expected[touched & (_GRAVITY[expected] < _GRAVITY[state])] = state
