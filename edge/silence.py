"""When a meter, or one of its points, has fallen silent and when it is back. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edge.drivers import Sample


class Change(NamedTuple):
    """A meter (`point` None) or a point fell silent, or came back."""

    silent: bool
    point: str | None
    reason: str


class Silence:
    """Counts polls without a value for one device.

    A silent device is reported as one, not point by point. Reported once per silence, after `after` polls in a row.
    """

    def __init__(self, after: int) -> None:
        self._after = after
        self._misses: dict[str | None, int] = {}

    def observe(self, samples: Iterable[Sample]) -> list[Change]:
        """Take the samples of one poll; return what changed."""
        samples = list(samples)
        answered = any(sample.value is not None for sample in samples)
        reason = next((sample.reason for sample in samples if sample.reason), "")
        changes = self._count(None, reason, missed=not answered)
        if answered:
            for sample in samples:
                changes += self._count(sample.point, sample.reason, missed=sample.value is None)
        return changes

    def _count(self, point: str | None, reason: str, *, missed: bool) -> list[Change]:
        before = self._misses.get(point, 0)
        if missed:
            self._misses[point] = before + 1
            return [Change(silent=True, point=point, reason=reason)] if before + 1 == self._after else []
        self._misses.pop(point, None)
        return [Change(silent=False, point=point, reason="")] if before >= self._after else []
