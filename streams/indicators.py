"""Indicators of points, firms and parks, from the ledger, for the periods that a change touched.

Firms are evaluated many at a time: what they moved is read with one query a grain, each firm's indicators are a few
matrix products (`park.evaluation`), and what says something new is written with one merge.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from park.calendar import BUCKET_S, GRAINS, Grain, Period
from park.evaluation import PointSource, Quantities, run
from park.factors import load_factors
from park.indicators import Scope, load_catalogue
from park.points import Direction
from park.ratios import LeftOut, Product, Ratio
from park.reasons import Undefined
from store import indicators as store
from streams import compliance, demand, lines, reported
from streams.metrics import stage
from streams.programs import BUCKET, firm_program
from streams.table import Span, Table, span_at, table_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from datetime import datetime
    from zoneinfo import ZoneInfo

    from numpy.typing import NDArray

    from store.pool import Connection

__all__ = ["Span", "Work", "evaluate_firms", "evaluate_park", "span_at", "spans_of", "stored_ratio"]

READING: Final = "reading"
"""The cause of a mark that is a reading and nothing else."""


@dataclass(frozen=True, slots=True)
class Work:
    """A firm and the periods in which its indicators are computed again.

    Attributes:
        causes: why; what only a change of the registry or of what was reported can move is passed over otherwise.
    """

    firm_id: int
    park_id: int
    tz: ZoneInfo
    spans: tuple[Span, ...]
    causes: frozenset[str]
    run_id: int


def spans_of(
    touched: Mapping[Grain, Sequence[Period]], buckets: Iterable[datetime], *, now: datetime, fine_hours: int
) -> list[Span]:
    """Return what must be evaluated: all touched days, months and years; hours and buckets of the last days only."""
    oldest = now - timedelta(hours=fine_hours)
    width = timedelta(seconds=BUCKET_S)
    spans = [Span(BUCKET, start, start + width) for start in buckets if start + width > oldest]
    for grain in GRAINS:
        spans += [
            Span(grain, found.start, found.end)
            for found in touched.get(grain, ())
            if grain != "hour" or found.end > oldest
        ]
    return spans


async def evaluate_firms(connection: Connection, work: Sequence[Work], *, now: datetime) -> dict[int, list[Span]]:
    """Evaluate and write the values of firms and their points in the caller's transaction.

    Returns the spans of each firm in which one of its own values changed.
    """
    sources: dict[int, list[PointSource]] = {each.firm_id: [] for each in work}
    with stage("indicators.read"):
        for row in await store.sources(connection, list(sources)):
            made_of = (row.point_id,) if row.handed_on else ()
            sources[row.firm_id].append(
                PointSource(row.point_id, row.carrier, Direction(row.direction), row.unit, row.product, made_of)
            )
        keys = sorted({(span.grain, span.start) for each in work for span in each.spans})
        ids = [source.point_id for found in sources.values() for source in found]
        table = await table_of(connection, keys, ids)
        fresh = await _fresh(connection, work)
        kinds = await store.reporting(connection, [each.firm_id for each in work])
    with stage("indicators.demand"):
        demands = await _demands(connection, work, sources)
        outlets = await compliance.find(connection, [(each.firm_id, each.tz, each.spans) for each in work])
    out: list[str] = []
    with stage("indicators.evaluate"):
        for each in work:
            told = each.causes == {READING} and each.firm_id not in fresh
            derived = _Derived(demands[each.firm_id], outlets[each.firm_id])
            own, of_year = tuple(sources[each.firm_id]), kinds.get(each.firm_id, {})
            out += _of_firm(each, own, table, derived, now, told=told, of_year=of_year)
    with stage("indicators.reported"):
        wanted = [(each, _reported(each, fresh, now)) for each in work]
        some = [(each, spans) for each, spans in wanted if spans]
        out += await reported.evaluate_reported(connection, some, sources, table, kinds, now=now) if some else []
    with stage("indicators.write"):
        changed = await store.write_staged(connection, out)
    spans = {(each.firm_id, span.grain, span.start): span for each in work for span in each.spans}
    moved: dict[int, list[Span]] = {}
    for _, firm_id, grain, start in changed:
        if firm_id is not None and (firm_id, grain, start) in spans:
            moved.setdefault(firm_id, []).append(spans[firm_id, grain, start])
    return moved


async def _fresh(connection: Connection, work: Sequence[Work]) -> set[int]:
    """Return the firms of which not everything that stands once a year is written yet."""
    years = [(each.firm_id, span.start) for each in work for span in each.spans if span.grain == "year"]
    return await store.lacking(connection, years, reported.SENTINEL, load_catalogue().version) if years else set()


def _reported(work: Work, fresh: set[int], now: datetime) -> list[Span]:
    """Return the months and years whose reported indicators can have changed.

    Readings of a month that is still running cannot: it is not reported yet.
    """
    spans = [span for span in work.spans if span.grain in reported.GRAINS]
    past = any(span.grain == "month" and span.end <= now for span in spans)
    return spans if past or work.firm_id in fresh or work.causes != {READING} else []


async def _demands(
    connection: Connection, work: Sequence[Work], sources: Mapping[int, Sequence[PointSource]]
) -> dict[int, demand.Wanted]:
    wanted = {
        each.firm_id: demand.Wanted(
            each.firm_id,
            each.tz,
            demand.mains(sources[each.firm_id]),
            [(span.grain, span.start, span.end) for span in each.spans if span.grain in demand.GRAINS],
        )
        for each in work
    }
    await demand.find(connection, list(wanted.values()))
    return wanted


@dataclass(frozen=True, slots=True)
class _Derived:
    """What is worked out for a firm beside what its points moved."""

    demand: demand.Wanted
    outlets: compliance.Outlets

    @property
    def sources(self) -> tuple[PointSource, ...]:
        """Return it as sources, in the order of `rows`."""
        return (*self.demand.sources, *self.outlets.sources)

    def rows(self, spans: Sequence[Span], elapsed_s: NDArray[np.float64]) -> list[tuple[NDArray[np.float64], ...]]:
        """Return quantity and measured seconds of each source, by span."""
        out: list[tuple[NDArray[np.float64], ...]] = []
        if self.demand.sources:
            found = [self.demand.found.get((span.grain, span.start)) for span in spans]
            kw = np.array([np.nan if one is None else one.kw for one in found])
            covered = np.array([0.0 if one is None else one.covered_s for one in found])
            out += [(kw, covered), (kw * elapsed_s / 3600, covered)]
        if self.outlets.sources:
            counts = [self.outlets.found.get((span.grain, span.start)) for span in spans]
            valid = np.array([np.nan if one is None else one.valid for one in counts])
            compliant = np.array([np.nan if one is None else one.compliant for one in counts])
            out += [(valid, elapsed_s), (compliant, elapsed_s)]
        return out


def _of_firm(
    work: Work,
    sources: tuple[PointSource, ...],
    table: Table,
    derived: _Derived,
    now: datetime,
    *,
    told: bool,
    of_year: Mapping[int, Collection[str]],
) -> list[str]:
    """Return the lines to write of one firm; `told`: what it has no points for was said before."""
    factors = load_factors()
    eras: dict[int, list[Span]] = {}
    for span in work.spans:
        eras.setdefault(factors.era(span.start.astimezone(work.tz).date()), []).append(span)
    out: list[str] = []
    for spans in eras.values():
        ready = firm_program((*sources, *derived.sources), spans[0].start.astimezone(work.tz).date())
        moved = _quantities(sources, table, spans, derived, now)
        keys = [(span.grain, span.start, span.end <= now) for span in spans]
        out += lines.lines(work, ready, run(ready.program, moved), moved, keys, told=told, reported=of_year)
    return out


def _quantities(
    sources: Sequence[PointSource], table: Table, spans: Sequence[Span], derived: _Derived, now: datetime
) -> Quantities:
    place = np.ix_(
        [table.row[source.point_id] for source in sources],
        [table.column[span.grain, span.start] for span in spans],
    )
    elapsed = np.array([span.elapsed_s(now) for span in spans])
    quantity, measured, estimated = table.quantity[place], table.measured_s[place], table.estimated_s[place]
    more = derived.rows(spans, elapsed)
    if more:
        quantity = np.vstack([quantity, *(row[0] for row in more)])
        measured = np.vstack([measured, *(row[1] for row in more)])
        estimated = np.vstack([estimated, np.zeros((len(more), len(spans)))])
    return Quantities(quantity, measured, estimated, elapsed)


async def evaluate_park(
    connection: Connection, park_id: int, spans: Sequence[Span], tz: ZoneInfo, *, now: datetime, run_id: int
) -> int:
    """Evaluate and write a park's values as ratios of sums; return how many spans changed."""
    by_key = {(span.grain, span.start): span for span in spans}
    rows = await store.park_sums(connection, park_id, list(by_key))
    there: dict[tuple[str, datetime], set[int]] = {}
    for row in rows:
        there.setdefault((row["grain"], row["period"]), set()).update(row["inside_ids"] or (), row["outside_ids"] or ())
    out = []
    for row in rows:
        indicator = load_catalogue().by_id(row["indicator_id"])
        if Scope.PARK not in indicator.scopes:
            continue
        key = (row["grain"], row["period"])
        ratio = lines.park_ratio_of(indicator, row, there[key], park_id, key[1].astimezone(tz).year)
        closed = by_key[key].end <= now
        out.append(lines.ratio_line(ratio, (park_id, None), ("park", park_id), key, run_id, closed=closed))
    await store.write_staged(connection, out)
    return len(out)


def stored_ratio(row: Mapping[str, Any]) -> Ratio:
    """Read a value back as the ratio it was written from."""
    indicator = load_catalogue().by_id(row["indicator_id"])
    lineage = row["lineage"]
    product = lineage["product"]
    factors = {factor.id: factor for factor in load_factors().factors}
    return Ratio(
        indicator_id=indicator.id,
        subject_id=row["firm_id"],
        numerator=row["numerator"],
        denominator=row["denominator"],
        divides=bool(indicator.denominator),
        scale=indicator.scale,
        unit=row["unit"],
        reason=None if row["reason"] is None else Undefined(row["reason"]),
        coverage=row["coverage"],
        estimated_share=lineage["estimated_share"],
        factors=tuple(factors[f["id"]] for f in lineage["factors"] if f["id"] in factors),
        points=tuple(lineage["points"]),
        ignored=tuple(lineage["ignored_points"]),
        product=None if product is None else Product(product["unit"], product["code"]),
        left_out=tuple(LeftOut(left["id"], Undefined(left["reason"])) for left in lineage["left_out"]),
        detail=lineage["detail"],
        form=indicator.form,
        price_year=lineage.get("price_year"),
        unreported=tuple(lineage.get("unreported", ())),
    )
