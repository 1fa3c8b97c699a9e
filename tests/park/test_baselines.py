"""A baseline is ordinary least squares, is used only if it passes its gates, and says how sure its savings are."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import numpy as np
import pytest

from park.baselines import Fit, Gates, choose, expected, extrapolated, fit
from park.errors import BaselineError
from park.observations import Observations, degree_days, grouped, left_out, production_floors
from park.performance import normalised_change, savings, track
from park.student import quantile

NAN = math.nan
LOOSE = Gates(base_days=0, per_coefficient=0, r_squared=0.0, t=0.0, p=2.0, cv_rmse_percent=1e9)
DAY_US = 86_400_000_000


def observed(energy: Any, grain: Any = "day", days: Any = 1.0, **values: Any) -> Observations:
    """Periods that follow each other."""
    y = np.array(energy, float)
    columns = {name.replace("__", ":"): np.array(column, float) for name, column in values.items()}
    lengths = np.full(len(y), days, float) if np.isscalar(days) else np.array(days, float)
    start = (np.cumsum(lengths) - lengths) * DAY_US
    return Observations(grain, "kWh", start.astype(np.int64), lengths, y, columns, dict.fromkeys(columns, "t"))


def year(seed: int = 1, days: int = 365, *, heating: float = 30.0, noise: float = 20.0) -> Observations:
    """A plant with 500 kWh of base load a day, 4 kWh per tonne, and heating, to be found again."""
    random = np.random.default_rng(seed)
    production = random.uniform(80, 240, days)
    mean_c = 17 - 11 * np.cos(2 * np.pi * np.arange(days) / 365) + random.normal(0, 2, days)
    hdd, cdd = degree_days(mean_c)
    energy = 500 + 4 * production + heating * hdd + random.normal(0, noise, days)
    return observed(energy, production=production, hdd18=hdd, cdd26=cdd)


def test_one_variable_by_the_closed_form() -> None:
    """Anscombe's first set: slope 0.5001, base 3.0001, R² 0.6665, t 4.24, p 0.0022; slope is Sxy / Sxx."""
    x = [10, 8, 13, 9, 11, 14, 6, 4, 12, 7, 5]
    y = [8.04, 6.95, 7.58, 8.81, 8.33, 9.96, 7.24, 4.26, 10.84, 4.82, 5.68]
    found = fit(observed(y, production=x), ["production"], LOOSE)
    base, slope = found.coefficients
    mx, my = sum(x) / 11, sum(y) / 11
    by_hand = sum((a - mx) * (b - my) for a, b in zip(x, y, strict=True)) / sum((a - mx) ** 2 for a in x)
    assert slope.value == pytest.approx(by_hand, rel=1e-12)
    assert base.value == pytest.approx(my - by_hand * mx, rel=1e-12)
    assert (round(slope.value, 4), round(base.value, 4)) == (0.5001, 3.0001)
    assert (round(slope.t, 2), round(slope.p, 5)) == (4.24, 0.00217)
    assert (round(base.standard_error, 4), round(slope.standard_error, 4)) == (1.1247, 0.1179)
    assert found.r_squared == pytest.approx(0.6665, abs=5e-5)
    assert found.sigma == pytest.approx(1.2366, abs=5e-5)
    assert found.f_p == pytest.approx(slope.p, rel=1e-9), "with one variable F says what t says"
    assert found.adjusted_r_squared == pytest.approx(0.6295, abs=5e-5)


def test_two_variables_by_the_normal_equations_in_plain_python() -> None:
    """The three equations solved by Cramer's rule with whole numbers give the same coefficients."""
    a, b, y = [1, 2, 3, 4, 5, 7], [2, 1, 5, 3, 8, 4], [10, 12, 29, 25, 44, 38]
    n = len(y)
    rows = [[1, p, q] for p, q in zip(a, b, strict=True)]
    m = [[sum(r[i] * r[j] for r in rows) for j in range(3)] for i in range(3)]
    v = [sum(r[i] * t for r, t in zip(rows, y, strict=True)) for i in range(3)]

    def det(q: list[list[int]]) -> int:
        return sum(
            q[0][i] * (q[1][(i + 1) % 3] * q[2][(i + 2) % 3] - q[1][(i + 2) % 3] * q[2][(i + 1) % 3]) for i in range(3)
        )

    by_hand = [det([[v[i] if j == k else m[i][j] for j in range(3)] for i in range(3)]) / det(m) for k in range(3)]
    found = fit(observed(y, production=a, hdd18=b), ["production", "hdd18"], LOOSE)
    assert [c.value for c in found.coefficients] == pytest.approx(by_hand, rel=1e-11)
    square = sum((t - sum(c * x for c, x in zip(by_hand, r, strict=True))) ** 2 for t, r in zip(y, rows, strict=True))
    assert found.sigma == pytest.approx(math.sqrt(square / (n - 3)), rel=1e-9)
    assert found.cv_rmse_percent == pytest.approx(100 * math.sqrt(square / (n - 3)) / (sum(y) / n), rel=1e-9)
    # The error of a coefficient is sigma times the root of the inverse's diagonal, a minor over the determinant.
    minor = m[0][0] * m[2][2] - m[0][2] * m[2][0]
    assert found.coefficients[1].standard_error == pytest.approx(found.sigma * math.sqrt(minor / det(m)), rel=1e-9)


def test_large_and_small_variables_stand_beside_each_other() -> None:
    """Pieces by the million and tenths of a degree day: the coefficients are numpy's, to nine digits."""
    random = np.random.default_rng(3)
    pieces, hdd = random.uniform(2e6, 9e6, 60), random.uniform(0, 0.4, 60)
    y = 1e4 + 2e-3 * pieces + 900 * hdd + random.normal(0, 5, 60)
    found = fit(observed(y, production=pieces, hdd18=hdd), ["production", "hdd18"], LOOSE)
    plain = np.linalg.lstsq(np.column_stack([np.ones(60), pieces, hdd]), y, rcond=None)[0]
    assert [c.value for c in found.coefficients] == pytest.approx(plain.tolist(), rel=1e-9)


def test_a_year_that_fits_is_usable_and_finds_what_it_was_made_of() -> None:
    """Base load, slope and heating come back within three of their own standard errors."""
    found = fit(year(), ["production", "hdd18"])
    assert found.usable
    assert found.failed == ()
    for term, truth in zip(found.coefficients, (500, 4, 30), strict=True):
        assert abs(term.value - truth) < 3 * term.standard_error
    assert found.sigma == pytest.approx(20, rel=0.1)
    assert found.nmbe_percent == pytest.approx(0, abs=1e-9)
    assert 4 < found.h < 6
    assert msgspec.json.decode(msgspec.json.encode(found), type=Fit) == found, "a fit can be stored"


@pytest.mark.parametrize(
    ("made", "gate"),
    [
        (lambda: year(days=300), "base_days"),
        (lambda: year(noise=260), "r_squared"),
        (lambda: year(heating=0.0), "t:hdd18"),
        (lambda: year(seed=3, heating=0.0), "p:hdd18"),
    ],
)
def test_a_gate_that_fails_is_named_and_forbids_the_use(made: Any, gate: str) -> None:
    """Too short, too little explained, a variable without weight: reported, and neither tracked nor saved against."""
    found = fit(made(), ["production", "hdd18"])
    assert gate in found.failed
    assert not found.usable
    for use in (track, savings):
        with pytest.raises(BaselineError, match=gate):
            use(found, made())


def test_scatter_and_gaps_fail_their_gates() -> None:
    """A CV(RMSE) of a quarter is too much for days; a fifth of the days unknown is too much for any."""
    random = np.random.default_rng(5)
    production = random.uniform(0.1, 10, 365)
    found = fit(observed(1000 * production + random.normal(0, 1300, 365), production=production), ["production"])
    assert found.failed == ("cv_rmse_percent",)
    holes = year()
    holes.energy[:73] = NAN
    assert fit(holes, ["production", "hdd18"]).failed == ("complete",)


def test_monthly_models_meet_the_stricter_scatter_limit() -> None:
    """18 % passes for days and fails for months."""
    random = np.random.default_rng(11)
    x = random.uniform(100, 1000, 36)
    y = 10 * x
    scatter = random.normal(0, 1, 36)
    y += scatter * 0.175 * y.mean() / scatter.std()
    monthly = fit(observed(y, "month", days=30.0, production=x), ["production"])
    assert 15 < (monthly.cv_rmse_percent or 0) < 20
    assert "cv_rmse_percent" in monthly.failed
    daily = fit(observed(y, "day", production=x), ["production"], Gates(cv_rmse_percent=20))
    assert "cv_rmse_percent" not in daily.failed


def test_too_little_is_said_and_not_computed() -> None:
    """Three months cannot carry three coefficients; nothing divides by zero."""
    few = fit(observed([1, 2, 3], "month", days=30, production=[1, 2, 3], hdd18=[3, 1, 2]), ["production", "hdd18"])
    assert "periods" in few.failed
    assert few.coefficients == ()
    with pytest.raises(BaselineError, match="too little"):
        expected(few, year())
    with pytest.raises(BaselineError, match="no data of production"):
        fit(observed([1, 2]), ["production"])
    assert set(fit(observed([], production=[]), ["production"]).failed) == {"base_days", "complete", "periods"}


def test_a_variable_that_never_varies_or_follows_from_another_is_dropped_by_name() -> None:
    """A winter without cooling, and production counted twice, do not break the fit."""
    base = year()
    twice = observed(
        base.energy,
        production=base.values["production"],
        production__b=2 * base.values["production"] + 7,
        cdd26=np.zeros(365),
        hdd18=base.values["hdd18"],
    )
    found = fit(twice, ["production", "production:b", "cdd26", "hdd18"])
    assert found.dropped == ("production:b", "cdd26")
    assert found.variables == ("production", "hdd18")
    assert found.usable


def test_choosing_leaves_out_what_does_not_matter() -> None:
    """Cooling explains nothing in a plant that is only heated: it goes, and is named."""
    found = choose(year(), ["production", "hdd18", "cdd26"])
    assert found.variables == ("production", "hdd18")
    assert found.dropped == ("cdd26",)
    assert found.usable


def test_shut_downs_and_declared_days_are_no_points_of_the_model() -> None:
    """Two weeks at a twentieth of the load and a declared test day would bend the line; they are counted apart."""
    base = year()
    clean = fit(base, ["production", "hdd18"])
    energy, production = base.energy.copy(), base.values["production"].copy()
    energy[40:54], production[40:54] = 60.0, 1.0
    energy[200] = 99_999.0
    declared = np.zeros(365, bool)
    declared[200] = True
    stopped = Observations(
        "day", "kWh", base.start_us, base.days, energy, dict(base.values) | {"production": production}, {}, declared
    )
    found = fit(stopped, ["production", "hdd18"])
    assert found.left_out == {"shut_down": 14, "declared": 1}
    assert found.usable
    for a, b in zip(found.coefficients, clean.coefficients, strict=True):
        assert a.value == pytest.approx(b.value, abs=2 * b.standard_error)
    held = track(found, stopped)
    assert held.left_out[45] == "shut_down"
    assert held.cusum[53] == held.cusum[39], "a shut-down moves no sum"
    assert np.isnan(held.residual[200])


def test_missing_production_is_no_shut_down() -> None:
    """Unknown is not zero: the period lacks a variable, it did not stand still; two products must both stand still."""
    some = observed([5, 5, 5, 5], production__a=[10, NAN, 0, 0], production__b=[10, 10, 10, 0])
    floors = production_floors(some)
    assert floors == {"production:a": 0.5, "production:b": 0.5}
    assert left_out(some, ["production:a", "production:b"], floors) == [None, "no_variables", None, "shut_down"]
    assert left_out(observed([NAN], hdd18=[1]), ["hdd18"], {}) == ["no_data"]


def test_energy_beyond_a_tenth_of_the_range_is_flagged_and_raises_no_alarm() -> None:
    """Range 80 to 240: 255 is within a tenth of the width, 260 and 60 are not."""
    base = year()
    production = base.values["production"]
    production[:2] = 80, 240
    model = fit(base, ["production", "hdd18"])
    low, high = production.min(), production.max()
    reach = (high - low) / 10
    values = [high + 0.9 * reach, high + 1.1 * reach, low - 0.9 * reach, low - 1.1 * reach]
    now = observed(np.full(4, 9_999.0), production=values, hdd18=np.full(4, 3.0))
    assert extrapolated(model, now) == [(), ("production",), (), ("production",)]
    held = track(model, now)
    assert np.isnan(held.z).tolist() == [False, True, False, True]
    assert not np.isnan(held.residual).any(), "the running sum still counts them"


def test_a_leak_raises_the_alarm_and_bends_the_running_sum() -> None:
    """60 kWh a day more (three sigmas): no alarm before, one within a week, and the sum's slope is the leak."""
    model = fit(year(), ["production", "hdd18"])
    after = year(seed=2, days=120)
    after.energy[60:] += 60
    held = track(model, after)
    assert set(held.alarm[:60]) == {None}
    first = held.alarm.index("over")
    assert 60 <= first < 67
    slope = (held.cusum[119] - held.cusum[59]) / 60
    assert slope == pytest.approx(60, abs=10)
    assert held.cusum[119] == pytest.approx(np.sum(after.energy - expected(model, after)), rel=1e-9)


def test_savings_are_what_was_expected_less_what_was_used_with_their_uncertainty() -> None:
    """A plant that uses 8 % less: the savings lie within their interval of the truth and are significant."""
    model = fit(year(), ["production", "hdd18"])
    after = year(seed=9)
    truth = 0.08 * after.energy.sum()
    after.energy[:] *= 0.92
    found = savings(model, after)
    assert found.savings == pytest.approx(float(expected(model, after).sum() - after.energy.sum()), rel=1e-12)
    assert abs(found.savings - truth) < 2 * found.uncertainty
    assert found.significant
    assert found.share == pytest.approx(0.08, abs=0.01)
    assert found.periods == 365


def test_the_uncertainty_by_hand_and_its_growth_with_autocorrelation() -> None:
    """One day: t·σ·√(1 + xᵀ(XᵀX)⁻¹x); residuals that resemble each other widen it."""
    model = msgspec.structs.replace(fit(year(), ["production"], LOOSE), autocorrelation=0.0)
    day = observed([1000.0], production=[150.0])
    c = np.array(model.covariance)
    s = np.array([1.0, 150.0])
    wide = quantile(0.9, 363) * (model.sigma or 0) * math.sqrt(1 + s @ c @ s)
    assert savings(model, day).uncertainty == pytest.approx(wide, rel=1e-9)
    alike = msgspec.structs.replace(model, autocorrelation=0.5)
    assert savings(alike, day).uncertainty > 1.7 * wide
    assert not savings(alike, day).significant


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    """Of 200 plants without any saving, about nine in ten have nought inside their 90 % interval."""
    inside = 0
    for seed in range(200):
        model = fit(year(seed), ["production", "hdd18"], LOOSE)
        found = savings(msgspec.structs.replace(model, autocorrelation=0.0), year(1000 + seed, days=60))
        inside += abs(found.savings) <= found.uncertainty
    assert 165 <= inside <= 195


def test_normalised_change_compares_two_models_under_the_same_conditions() -> None:
    """A plant that makes more and wastes less: its use rises, its normalised performance improves by a tenth."""
    base = fit(year(), ["production", "hdd18"])
    later = year(seed=4)
    later.energy[:] *= 0.9
    report = fit(later, ["production", "hdd18"])
    assert normalised_change(base, report, year(seed=8)) == pytest.approx(0.1, abs=0.005)
    with pytest.raises(BaselineError, match="not known"):
        normalised_change(base, report, observed([1.0], production=[NAN], hdd18=[1.0]))
    with pytest.raises(BaselineError, match="base_days"):
        normalised_change(fit(year(days=200), ["production"]), report, year())


def test_months_of_unlike_length_weigh_by_their_days() -> None:
    """A base load of 24 kWh a day and 2 kWh per tonne is found exactly from months of 28 to 31 days."""
    days = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
    tonnes = [100, 90, 130, 80, 150, 120, 60, 70, 140, 110, 95, 125]
    y = [24 * d + 2 * p for d, p in zip(days, tonnes, strict=True)]
    found = fit(observed(y, "month", days=days, production=tonnes), ["production"])
    assert [c.value for c in found.coefficients] == pytest.approx([24, 2], rel=1e-9)
    assert found.usable
    held = track(found, observed([24 * 28 + 2 * 100], "month", days=28, production=[100]))
    assert held.alarm == [None], "rounding of a perfect fit is no alarm"


def test_days_are_summed_to_whole_groups_only() -> None:
    """A month that lacks a day, or one day's value, is unknown and not small."""
    values = np.arange(6.0)
    daily = observed(values, production=[1, 1, 1, NAN, 1, 1])
    group = np.array([0, 0, 3, 3, 9, 9]) * DAY_US
    found = grouped(daily, "month", group, {0: 2.0, 3 * DAY_US: 2.0, 9 * DAY_US: 3.0})
    assert found.energy[:2].tolist() == [1.0, 5.0]
    assert np.isnan(found.energy[2])
    assert found.values["production"][0] == 2
    assert np.isnan(found.values["production"][1])


def test_degree_days_are_those_of_18_and_26_degrees() -> None:
    """10 °C heats by 8, 20 °C by none, 30 °C cools by 4; an unknown temperature gives none of both."""
    hdd, cdd = degree_days(np.array([10.0, 20.0, 30.0, NAN]))
    assert hdd[:3].tolist() == [8, 0, 0]
    assert cdd[:3].tolist() == [0, 0, 4]
    assert np.isnan(hdd[3])
    assert np.isnan(cdd[3])
