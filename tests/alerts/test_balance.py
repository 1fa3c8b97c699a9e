"""A meter against those under it, over weeks of hours. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from alerts import rules
from alerts.engine import Sample, State, step
from alerts.frame import HOUR_US, NEVER, Child, FirmInfo, Frame, Ledger, ParkInfo, Points
from alerts.kinds import BalanceMismatch
from alerts.values.usual import balance
from park.calendar import BUCKET_US, from_us, to_us

START_US = to_us(datetime(2026, 3, 2, tzinfo=UTC))
HOURS = 24 * 14
RULE = next(rule for rule in rules.load() if isinstance(rule, BalanceMismatch))


def park(share: float, since: int, until: int, *, gap: tuple[int, int] = (0, 0)) -> Frame:
    """Return a firm whose sub-meter, half of the supply, counts `share` too little between two hours."""
    random = np.random.default_rng(7)
    product = 50.0 + 40.0 * np.sin(np.arange(HOURS) * 2 * np.pi / 24) + random.normal(0, 3, HOURS)
    child = 100.0 + 4.0 * product
    rest = 80.0 + 4.5 * product + random.normal(0, 12, HOURS)
    counted = child.copy()
    counted[since:until] *= 1.0 - share
    quantity = np.stack([child + rest, counted, product])
    measured = np.full(quantity.shape, 3600.0, np.float32)
    measured[1, slice(*gap)] = 0.0
    hours = Ledger(START_US, HOUR_US, quantity, measured, np.zeros_like(measured), flags=np.zeros((3, HOURS), np.int16))
    end_us = START_US + HOURS * HOUR_US
    ids, one = np.array([1, 2, 3], np.int64), np.ones(3, np.int64)
    points = Points(
        point_id=ids,
        firm_id=one,
        edge_id=one,
        code=["E-001", "E-002", "P-001"],
        name_zh=["总表", "分表", "产量"],
        name_en=["main", "sub", "output"],
        kind=np.array(["register"] * 3),
        carrier=np.array(["electricity", "electricity", "product"]),
        direction=np.array(["in", "internal", "out"]),
        unit=["kWh", "kWh", "t"],
        unit_code=[None] * 3,
        product=[None, None, "goods"],
        interval_s=900 * one,
        rate_limit_per_h=np.full(3, np.nan),
        newest_us=np.full(3, end_us, np.int64),
    )
    nothing = np.zeros((3, 0))
    return Frame(
        park=ParkInfo(1, "p", "园区", "park", "Asia/Shanghai"),
        firms={1: FirmInfo(1, 1, "f", "企业", "firm", "C39", active=True, zones=())},
        points=points,
        edges={1: (1, "e")},
        clock_us=np.full(3, end_us, np.int64),
        tz=ZoneInfo("Asia/Shanghai"),
        since_us=START_US,
        ledger=Ledger(START_US, BUCKET_US, nothing, nothing.astype(np.float32), nothing.astype(np.float32)),
        ticks_us=np.zeros(0, np.int64),
        before_us=np.full(3, NEVER),
        hours=hours,
        children=[Child(2, 1, 0.0, "load")],
    )


def told(frame: Frame) -> list[tuple[State, float]]:
    """Return what the default rule makes of it: openings and endings, with the hour."""
    found = balance(RULE, frame)
    samples = [
        Sample(from_us(int(t)), float(v)) for t, v in zip(found.t_us, found.value[0], strict=True) if np.isfinite(v)
    ]
    assert samples
    made = step(RULE, None, samples).transitions
    return [
        (t.to_state, (to_us(t.at) - START_US) / HOUR_US) for t in made if t.to_state in {State.OPEN, State.RESOLVED}
    ]


def test_a_sub_meter_that_ages_is_told_within_ten_hours_and_over_when_it_is_mended() -> None:
    """A fifth of half the supply that is not counted opens one episode soon, and its end ends it."""
    found = told(park(0.2, 200, 260))
    assert [state for state, _ in found] == [State.OPEN, State.RESOLVED]
    assert 200 < found[0][1] <= 200 + RULE.mean_hours + RULE.every_hours
    assert 260 < found[1][1] <= 260 + RULE.mean_hours + 2 * RULE.every_hours + RULE.hold_clear_s / 3600


@pytest.mark.parametrize("share", [0.0, 0.02])
def test_what_is_not_metered_and_follows_output_is_no_mismatch(share: float) -> None:
    """Half the supply passes no sub-meter, as always: nothing opens, nor where a meter is two percent off."""
    assert told(park(share, 200, 260)) == []


def test_hours_that_were_not_measured_open_nothing() -> None:
    """A sub-meter without readings is silent, not wrong."""
    assert told(park(0.0, 200, 260, gap=(200, 260))) == []
