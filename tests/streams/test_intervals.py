"""Amounts per interval come out whole: the first reading ever, the last, and whatever order they come in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

pytestmark = pytest.mark.stack

T0 = datetime(2025, 3, 3, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize("label", ["start", "end"])
@pytest.mark.parametrize("interval_s", [900, 3600])
@pytest.mark.parametrize("order", ["at once", "one by one", "newest first"])
async def test_no_interval_is_cut_off_at_either_end(world, label: str, interval_s: int, order: str) -> None:
    """The ledger's buckets cover exactly the readings' intervals, and their sum is the sum of the amounts."""
    await world.connection.execute(
        "UPDATE point SET kind = 'interval', label = $2, interval_s = $3 WHERE point_id = $1",
        world.points["a", "F"],
        label,
        interval_s,
    )
    interval = timedelta(seconds=interval_s)
    times = [T0 + k * interval for k in range(4)]
    amounts = [1.0, 2.0, 4.0, 8.0]
    portions = {
        "at once": [range(4)],
        "one by one": [[0], [1], [2], [3]],
        "newest first": [[3], [2], [1], [0]],
    }[order]
    for portion in portions:
        await world.read("a", "F", [times[k] for k in portion], [amounts[k] for k in portion])
        await world.compute()
    rows = await world.ledger("bucket", "measured", "measured_s")
    assert sum(measured for _, measured, _ in rows) == pytest.approx(15.0)
    begins = T0 if label == "start" else T0 - interval
    assert [bucket for bucket, _, _ in rows] == [
        begins + timedelta(minutes=15 * k) for k in range(4 * interval_s // 900)
    ]
    assert {measured_s for _, _, measured_s in rows} == {900.0}
