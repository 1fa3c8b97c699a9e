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
        laid_to: up to where history was laid down; None: it was not finished.
    """

    origin: datetime
    laid_to: datetime | None

    @property
    def park(self) -> SimulatedPark:
        """Return the simulated park."""
        return demo_park(SEED, origin=self.origin)


def load_scene(file: Path, now: datetime) -> Scene:
    """Return the scene of an earlier run, or a new one that begins a year before now."""
    try:
        raw = json.loads(file.read_text(encoding="utf-8"))
        return Scene(datetime.fromisoformat(raw["origin"]), datetime.fromisoformat(raw["laid_to"]))
    except (OSError, ValueError, KeyError, TypeError):
        return Scene(bucket_start(now) - timedelta(days=HISTORY_DAYS), None)


def save_scene(file: Path, scene: Scene) -> None:
    """Remember a scene whose history is complete."""
    assert scene.laid_to is not None
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_suffix(".new")
    temporary.write_text(json.dumps({"origin": scene.origin.isoformat(), "laid_to": scene.laid_to.isoformat()}))
    temporary.replace(file)


def utc_now() -> datetime:
    """Return the present."""
    return datetime.now(UTC)
