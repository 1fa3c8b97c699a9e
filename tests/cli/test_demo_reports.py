"""The demonstration's firms have reported their business, once, and only what they would have by now."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from cli.demo.reports import enter_deflators, enter_reports
from park.business import InputKind
from park.reasons import Undefined
from simulators.parks import demo_park
from store.business import Filter, book_of, listed
from store.pool import connected
from store.registry import apply_definition, firms, park_named

pytestmark = pytest.mark.stack

ORIGIN = datetime(2025, 12, 20, tzinfo=UTC)
UNTIL = datetime(2026, 4, 25, tzinfo=UTC)


async def test_intensity_per_value_added_has_its_denominator(database_url: str) -> None:
    """Each month is reported by the 21st of the next; who is late is late, who never tells its value added has none."""
    park = demo_park(1, origin=ORIGIN)
    async with connected(database_url) as connection:
        await apply_definition(connection, park.definition)
        row = await park_named(connection, "demo")
        assert await enter_deflators(connection, park, row, now=UNTIL) > 0
        for code in ("f01", "f05", "f06", "f08", "f09"):
            assert await enter_reports(connection, park, row, code, ORIGIN, UNTIL) > 0
            assert await enter_reports(connection, park, row, code, ORIGIN, UNTIL) == 0
        ids = {firm.code: firm.firm_id for firm in await firms(connection, row.park_id)}
        found = {}
        for code in ("f01", "f05", "f06", "f08"):
            book = await book_of(connection, ids[code], date(2026, 1, 1), date(2027, 1, 1))
            found[code] = book.figure(
                InputKind.VALUE_ADDED, "year", date(2026, 1, 1), "10^4CNY", as_of=UNTIL.date(), price_year=2025
            )
        assert (found["f01"].until, found["f06"].until) == (date(2026, 4, 1), date(2026, 3, 1))
        assert found["f01"].amount is not None
        assert found["f01"].deflators, "constant prices come from the park's deflators"
        assert found["f08"].reason is Undefined.NOT_REPORTED
        history = await listed(connection, Filter(firm_id=ids["f05"], kind=InputKind.VALUE_ADDED, history=True))
        assert {row.found.version for row in history} == {1, 2}, "provisional, then final"
        last = max(row.found.name.period.end for row in history)
        assert last <= (UNTIL + timedelta(days=1)).date()
