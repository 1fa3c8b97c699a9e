"""Many indicators over many periods at once give what one indicator over one period gives."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from park.evaluation import REASONS, PointSource, Program, Quantities, Values, compile_lines, run, silent_points
from park.factors import FactorRegistry, load_factors
from park.indicators import DERIVED, Scope, load_catalogue
from park.points import Direction
from park.ratios import Amount, Ratio, evaluate, evaluate_point
from park.reasons import Undefined
from park.units import CARRIERS

ON = date(2024, 6, 1)
DAY_S = 86_400.0
CATALOGUE = load_catalogue()
METERED = tuple(i for i in CATALOGUE.indicators if not i.reports or i.free)
UNITS = {
    "energy": "MWh",
    "volume": "m3",
    "mass": "t",
    "*": "piece",
    "reactive energy": "kvarh",
    "power": "kW",
    "count": "piece",
    "temperature": "degC",
}


def source(k: int, carrier: str, direction: Direction, unit: str | None = None) -> PointSource:
    own = unit or UNITS[(CARRIERS | DERIVED)[carrier]]
    return PointSource(k + 1, carrier, direction, own, "steel" if carrier == "product" else None)


def amounts_at(program: Program, moved: Quantities, n: int) -> list[Amount]:
    return [
        Amount(
            s.point_id,
            s.carrier,
            s.direction,
            s.unit,
            None if np.isnan(moved.quantity[k, n]) else float(moved.quantity[k, n]),
            float(moved.measured_s[k, n]),
            float(moved.estimated_s[k, n]),
            float(moved.elapsed_s[n]),
            s.product,
        )
        for k, s in enumerate(program.sources)
    ]


def same(values: Values, i: int, n: int, ratio: Ratio) -> None:
    assert REASONS[values.reason[i, n]] is ratio.reason, ratio
    for name in ("numerator", "denominator", "value"):
        mine, theirs = getattr(values, name)[i, n], getattr(ratio, name)
        assert np.isnan(mine) if theirs is None else mine == pytest.approx(theirs, rel=1e-12, abs=1e-12), (name, ratio)
    assert values.coverage[i, n] == pytest.approx(ratio.coverage)
    assert values.estimated_share[i, n] == pytest.approx(ratio.estimated_share)


@st.composite
def firms(draw: st.DrawFn) -> tuple[tuple[PointSource, ...], Quantities]:
    """A firm with some points, one of them perhaps in a wrong unit, and what they moved in some periods."""
    carriers = draw(st.lists(st.sampled_from(sorted({*CARRIERS, *DERIVED})), min_size=0, max_size=8))
    common = draw(st.lists(st.sampled_from(["electricity", "fresh_water", "natural_gas", "product"]), max_size=4))
    sources = tuple(
        source(k, carrier, draw(st.sampled_from(list(Direction))), draw(st.sampled_from([None, None, None, "degC"])))
        for k, carrier in enumerate(carriers + common)
    )
    s, n = len(sources), draw(st.integers(1, 3))
    number = st.one_of(st.just(float("nan")), st.just(0.0), st.floats(-10, 1e6))
    seconds = st.sampled_from([0.0, 0.3, 0.5, 1.0])

    def grid(values: st.SearchStrategy[float]) -> np.ndarray:
        return np.array([[draw(values) for _ in range(n)] for _ in range(s)]).reshape(s, n)

    elapsed = np.array([draw(st.sampled_from([DAY_S, DAY_S / 2, 0.0])) for _ in range(n)])
    return sources, Quantities(grid(number), DAY_S * grid(seconds), DAY_S * grid(seconds), elapsed)


@given(firms())
def test_arrays_and_single_values_agree(firm: tuple[tuple[PointSource, ...], Quantities]) -> None:
    """Value, sums, coverage, estimated share and reason of every indicator are those of the careful way."""
    sources, moved = firm
    program = compile_lines(METERED, sources, load_factors(), on=ON, points=True)
    values = run(program, moved)
    assert {line.indicator.id for line in program.lines if line.subject_id is None} == {i.id for i in METERED}
    for i, line in enumerate(program.lines):
        for n in range(len(moved.elapsed_s)):
            amounts = amounts_at(program, moved, n)
            if line.subject_id is None:
                ratio = evaluate(line.indicator, amounts, load_factors(), on=ON)
            else:
                [amount] = [a for a in amounts if a.point_id == line.subject_id]
                ratio = evaluate_point(line.indicator, amount, load_factors(), on=ON)
            same(values, i, n, ratio)
            assert (line.factors, line.points, line.ignored) == (ratio.factors, ratio.points, ratio.ignored)
            assert (line.product, line.unit) == (ratio.product, ratio.unit)


def test_a_long_history_is_cut_into_blocks_without_a_seam() -> None:
    """Nine thousand hours at once are the same as each of them alone."""
    sources = (source(0, "electricity", Direction.IN, "kWh"), source(1, "product", Direction.OUT, "t"))
    n = 9000
    rng = np.random.default_rng(1)
    full = np.full((2, n), 3600.0)
    moved = Quantities(rng.uniform(0, 100, (2, n)), full, 0 * full, full[0])
    program = compile_lines(METERED, sources, load_factors(), on=ON)
    values = run(program, moved)
    i = [line.indicator.id for line in program.lines].index("energy_per_product")
    assert values.value[i] == pytest.approx(moved.quantity[0] * 0.1229 / moved.quantity[1])


def test_an_indicator_of_points_has_a_line_for_each_point() -> None:
    """The energy of every energy point stands beside the firm's, whatever its direction."""
    sources = tuple(source(k, "electricity", d, "kWh") for k, d in enumerate(Direction))
    program = compile_lines(METERED, sources, load_factors(), on=ON, points=True)
    wanted = [i for i in METERED if Scope.POINT in i.scopes]
    lines = [line for line in program.lines if line.subject_id is not None]
    assert len(lines) == len(wanted) * len(sources)
    values = run(program, Quantities(*(np.full((3, 1), v) for v in (10.0, DAY_S, 0.0)), np.array([DAY_S])))
    of_points = [k for k, line in enumerate(program.lines) if line.subject_id is not None]
    assert (values.value[of_points, 0] > 0).all()


def test_a_silent_point_is_named() -> None:
    """The detail of a sum that lacks a part says which point it lacks."""
    sources = (source(0, "electricity", Direction.IN, "kWh"), source(21, "natural_gas", Direction.IN))
    program = compile_lines(METERED, sources, load_factors(), on=ON)
    assert silent_points(program, 0, np.array([True, False])) == "no data from point 22"
    assert silent_points(program, 0, np.array([True, True])) == ""


def test_a_program_without_factors_says_so() -> None:
    """A carrier that cannot be converted makes its sums undefined, with the message in the detail."""
    program = compile_lines(METERED, (source(0, "electricity", Direction.IN, "kWh"),), FactorRegistry(1, ()), on=ON)
    values = run(program, Quantities(np.ones((1, 1)), np.ones((1, 1)), np.zeros((1, 1)), np.ones(1)))
    assert REASONS[values.reason[0, 0]] is Undefined.NO_FACTOR
    assert "electricity" in program.lines[0].detail
