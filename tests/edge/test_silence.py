"""A silent meter is one event, and so is its return."""

from __future__ import annotations

from edge.drivers import Sample
from edge.silence import Change, Silence


def poll(**values: float | None) -> list[Sample]:
    return [Sample.absent(p, "timeout") if v is None else Sample(p, v) for p, v in values.items()]


def test_a_silent_meter_is_reported_once_and_once_when_it_is_back() -> None:
    """Not before the set number of polls, not again while it lasts, not point by point."""
    silence = Silence(3)
    assert silence.observe(poll(a=1.0, b=2.0)) == []
    changes = [silence.observe(poll(a=None, b=None)) for _ in range(6)]
    assert changes == [[], [], [Change(silent=True, point=None, reason="timeout")], [], [], []]
    assert silence.observe(poll(a=1.0, b=2.0)) == [Change(silent=False, point=None, reason="")]
    assert silence.observe(poll(a=None, b=None)) == []
    assert silence.observe(poll(a=1.0, b=1.0)) == []


def test_one_silent_point_is_named() -> None:
    """A point without value in a meter that answers is reported by its code."""
    silence = Silence(2)
    assert silence.observe(poll(a=1.0, b=None)) == []
    assert silence.observe(poll(a=1.0, b=None)) == [Change(silent=True, point="b", reason="timeout")]
    assert silence.observe(poll(a=1.0, b=3.0)) == [Change(silent=False, point="b", reason="")]
