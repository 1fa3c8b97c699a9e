"""What the demonstration shows: the park, the time its meters began, and the fault that is played."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from park.calendar import bucket_start
from simulators.parks import demo_park

if TYPE_CHECKING:
    from pathlib import Path

    from simulators.parks import SimulatedPark

SEED: Final = 20251
HISTORY_DAYS: Final = 365
POLL_S: Final = 1.0
PARK: Final = "demo"
EDGE: Final = "gw1"
HISTORY: Final = "history"
"""Names the batches of the past, as an agent's boot names its own."""

FAULT_FIRM: Final = "f03"
FAULT_POINT: Final = "R-001"
FAULT_AFTER_S: Final = 10.0
FAULT_LASTS_S: Final = 180.0
FAULT_EVERY_S: Final = 600.0


@dataclass(frozen=True, slots=True)
class Scene:
    """A laid-out demonstration.

    Attributes:
        origin: when the meters began to count.
        until: up to where history reaches.
        laid: whether all of it has been laid down.
    """

    origin: datetime
    until: datetime
    laid: bool

    @property
    def park(self) -> SimulatedPark:
        """Return the simulated park."""
        return demo_park(SEED, origin=self.origin)


def new_scene(now: datetime) -> Scene:
    """Return a scene whose meters began a year before now."""
    until = bucket_start(now)
    return Scene(until - timedelta(days=HISTORY_DAYS), until, laid=False)


def load_scene(file: Path) -> Scene | None:
    """Return the scene of an earlier run; None: there was none, or its file cannot be read."""
    try:
        raw = json.loads(file.read_text(encoding="utf-8"))
        origin, until = (datetime.fromisoformat(raw[name]) for name in ("origin", "until"))
        return Scene(origin.astimezone(UTC), until.astimezone(UTC), laid=raw["laid"] is True)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def save_scene(file: Path, scene: Scene) -> None:
    """Remember a scene, so that an interrupted history goes on with the same meters."""
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_suffix(".new")
    raw = {"origin": scene.origin.isoformat(), "until": scene.until.isoformat(), "laid": scene.laid}
    temporary.write_text(json.dumps(raw), encoding="utf-8")
    temporary.replace(file)


def utc_now() -> datetime:
    """Return the present."""
    return datetime.now(UTC)
