"""Energy baselines after ISO 50006: what a firm's energy is explained by, and whether the model may be used.

`Ê = β0 + β1·production + β2·HDD18 + β3·CDD26 + …` by ordinary least squares over a base period, in averages per day,
so that months of 28 and of 31 days, and days of 23 hours, weigh alike. A model that fails one of its gates is
reported and not used. Pure: observations come in as arrays, NaN being unknown, which is never zero.

Sources: ISO 50006:2023 (GB/T 36713) for models and gates; ASHRAE Guideline 14 for CV(RMSE), NMBE and uncertainty.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from park.cusum import K, lag_one, threshold
from park.errors import BaselineError
from park.observations import Observations, Spacing, design, left_out, production_floors
from park.student import f_tail, two_sided_p

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

INTERCEPT: Final = "base_load"
BEYOND: Final = 0.10
"""A variable further than this share of its range outside of it is extrapolated."""


class Gates(msgspec.Struct, frozen=True):
    """What a model must pass; the values of a grain stand in `GATES`.

    Attributes:
        base_days: least length of the base period: a whole year of seasons.
        complete: least share of the periods, shut-downs and declared ones aside, whose data are known.
        per_coefficient: least number of periods for each coefficient.
        r_squared, t, p: of ISO 50006 and IPMVP, t and p for every variable.
        cv_rmse_percent, nmbe_percent: of ASHRAE Guideline 14.
    """

    base_days: float = 364.0
    complete: float = 0.9
    per_coefficient: float = 3.0
    r_squared: float = 0.75
    t: float = 2.0
    p: float = 0.1
    cv_rmse_percent: float = 15.0
    nmbe_percent: float = 5.0


GATES: Final[Mapping[str, Gates]] = {
    "month": Gates(),
    # A calendar year may hold 51 whole weeks only.
    "week": Gates(base_days=51 * 7.0),
    # The guideline has monthly and hourly limits (15 and 30 %) only; days lie between them.
    "day": Gates(cv_rmse_percent=20.0),
}


class Gate(msgspec.Struct, frozen=True):
    """One test: what was found, what is asked, and whether it passed. A value of None could not be computed."""

    name: str
    value: float | None
    asked: str
    passed: bool


class Coefficient(msgspec.Struct, frozen=True):
    """One term. `low` and `high` are the range of the variable in the base period, per day; None of the base load."""

    name: str
    unit: str
    value: float
    standard_error: float
    t: float
    p: float
    low: float | None = None
    high: float | None = None


class Fit(msgspec.Struct, frozen=True):
    """A fitted model with everything that its use needs.

    Attributes:
        coefficients: base load first; empty where there was too little to fit.
        covariance: `(XᵀX)⁻¹`, of the coefficients' order; times sigma squared it is their covariance.
        sigma: standard error of the model, energy per day.
        autocorrelation: of residuals that follow each other.
        k, h: of the alarm form, `h` for this autocorrelation.
        dropped: variables that do not vary, or follow from the others; those not significant, where it could choose.
        floors: production per day below which a period is a shut-down, by variable.
        f_p: probability of an F this large by chance.
    """

    grain: Spacing
    unit: str
    coefficients: tuple[Coefficient, ...]
    gates: tuple[Gate, ...]
    periods: int
    left_out: dict[str, int]
    floors: dict[str, float]
    dropped: tuple[str, ...] = ()
    covariance: tuple[tuple[float, ...], ...] = ()
    df: int = 0
    mean: float | None = None
    r_squared: float | None = None
    adjusted_r_squared: float | None = None
    f_p: float | None = None
    sigma: float | None = None
    cv_rmse_percent: float | None = None
    nmbe_percent: float | None = None
    autocorrelation: float = 0.0
    k: float = K
    h: float = 0.0

    @property
    def usable(self) -> bool:
        """Tell whether every gate passed: only then it may say what would have been used."""
        return all(gate.passed for gate in self.gates)

    @property
    def failed(self) -> tuple[str, ...]:
        """Return the names of the gates that did not pass."""
        return tuple(gate.name for gate in self.gates if not gate.passed)

    @property
    def variables(self) -> tuple[str, ...]:
        """Return the variables of the model, without the base load."""
        return tuple(c.name for c in self.coefficients[1:])


def fit(observed: Observations, variables: Sequence[str], gates: Gates | None = None) -> Fit:
    """Fit the model with these variables, and hold it against the gates of its grain.

    Raises:
        BaselineError: one of the variables is not among the observations.
    """
    gates = gates or GATES[observed.grain]
    missing = [name for name in variables if name not in observed.values]
    if missing:
        known = ", ".join(observed.values) or "none"
        raise BaselineError(f"no data of {', '.join(missing)}; there are {known}")
    floors = production_floors(observed)
    why = left_out(observed, variables, floors)
    inside = np.array([reason is None for reason in why], bool)
    used = observed.where(inside)
    counts = {str(r): sum(1 for reason in why if reason == r) for r in dict.fromkeys(why) if r is not None}
    lost = counts.get("no_data", 0) + counts.get("no_variables", 0)
    complete = len(used) / (len(used) + lost) if len(used) + lost else 0.0
    kept, dropped = _independent(used, variables)
    wanted = gates.per_coefficient * (len(kept) + 1)
    tests = [
        _gate("base_days", float(observed.days.sum()), ">=", gates.base_days),
        _gate("complete", complete, ">=", gates.complete),
        _gate("periods", float(len(used)), ">=", wanted),
    ]
    bare = Fit(
        grain=observed.grain,
        unit=observed.unit,
        coefficients=(),
        gates=tuple(tests),
        periods=len(used),
        left_out=counts,
        floors=floors,
        dropped=dropped,
    )
    if len(used) <= len(kept) + 1:
        missing_tests = (_gate("periods", float(len(used)), ">=", max(wanted, len(kept) + 2)),)
        return msgspec.structs.replace(bare, gates=(*tests[:2], *missing_tests))
    return _fitted(bare, used, kept, gates, np.flatnonzero(inside))


def choose(observed: Observations, variables: Sequence[str], gates: Gates | None = None) -> Fit:
    """Fit all variables, then leave out the least significant one until all that stay are.

    What is left out is named in `dropped`. Where nothing is significant the model keeps its last variable, and fails.
    """
    gates = gates or GATES[observed.grain]
    rest, out = [name for name in variables if name in observed.values], list[str]()
    while True:
        found = fit(observed, rest, gates)
        weak = [c for c in found.coefficients[1:] if abs(c.t) <= gates.t or c.p >= gates.p]
        if not weak or len(found.coefficients) <= 2:
            return msgspec.structs.replace(found, dropped=(*found.dropped, *out))
        worst = max(weak, key=lambda c: (c.p, -abs(c.t)))
        rest.remove(worst.name)
        out.append(worst.name)


def expected(model: Fit, observed: Observations) -> Floats:
    """Return what the model expects each period to use, shape (n,); NaN where a variable is unknown.

    Raises:
        BaselineError: the model was not fitted.
    """
    if not model.coefficients:
        raise BaselineError("there was too little to fit: the model says nothing")
    beta = np.array([c.value for c in model.coefficients])
    foreseen: Floats = design(observed, model.variables) @ beta * observed.days
    return foreseen


def extrapolated(model: Fit, observed: Observations) -> list[tuple[str, ...]]:
    """Return for each period the variables that lie more than a tenth of their range beyond the base period's."""
    beyond = {}
    for c in model.coefficients[1:]:
        if c.low is not None and c.high is not None:
            per_day = observed.values.get(c.name, np.full(len(observed), np.nan)) / observed.days
            reach = BEYOND * (c.high - c.low)
            beyond[c.name] = (per_day < c.low - reach - 1e-12) | (per_day > c.high + reach + 1e-12)
    return [tuple(name for name, far in beyond.items() if far[k]) for k in range(len(observed))]


def _independent(used: Observations, variables: Sequence[str]) -> tuple[list[str], tuple[str, ...]]:
    """Part variables into those that can be fitted, and those that do not vary or follow from the ones before."""
    kept, dropped = list[str](), list[str]()
    for name in variables:
        x = design(used, [*kept, name])
        n, columns = x.shape
        if n >= columns:  # with fewer periods than terms nothing can be told, and nothing is fitted
            scale = np.abs(x).max(axis=0)
            rank = np.linalg.matrix_rank(x / np.where(scale > 0, scale, 1), tol=1e-8 * math.sqrt(n))
            (kept if rank == columns else dropped).append(name)
        else:
            kept.append(name)
    return kept, tuple(dropped)


def _fitted(bare: Fit, used: Observations, variables: Sequence[str], gates: Gates, places: NDArray[np.intp]) -> Fit:
    x, y = design(used, variables), used.energy / used.days
    n, p = x.shape
    scale = np.abs(x).max(axis=0)
    scaled = np.where(scale > 0, scale, 1.0)
    beta = np.linalg.lstsq(x / scaled, y, rcond=None)[0] / scaled
    _, upper = np.linalg.qr(x / scaled)
    inverse = np.linalg.inv(upper) / scaled[:, np.newaxis]
    covariance = inverse @ inverse.T
    residual = y - x @ beta
    mean = float(y.mean())
    square, total = float(residual @ residual), float((y - mean) @ (y - mean))
    df = n - p
    sigma = math.sqrt(square / df)
    errors = sigma * np.sqrt(np.diag(covariance))
    r_squared = 1 - square / total if total > 0 else None
    cv = 100 * sigma / mean if mean > 0 else None
    nmbe = 100 * float(residual.sum()) / (df * mean) if mean > 0 else None
    units = [used.unit + "/d", *(f"{used.unit}/{used.units.get(name, 'unit')}" for name in variables)]
    terms = []
    for k, name in enumerate((INTERCEPT, *variables)):
        t = float(beta[k] / errors[k]) if errors[k] > 0 else math.copysign(1e9, beta[k])
        low, high = (None, None) if k == 0 else (float(x[:, k].min()), float(x[:, k].max()))
        terms.append(Coefficient(name, units[k], float(beta[k]), float(errors[k]), t, two_sided_p(t, df), low, high))
    tests = [*bare.gates, _gate("r_squared", r_squared, ">", gates.r_squared)]
    for term in terms[1:]:
        tests.append(_gate(f"t:{term.name}", abs(term.t), ">", gates.t))
        tests.append(_gate(f"p:{term.name}", term.p, "<", gates.p))
    tests.append(_gate("cv_rmse_percent", cv, "<=", gates.cv_rmse_percent))
    tests.append(_gate("nmbe_percent", None if nmbe is None else abs(nmbe), "<=", gates.nmbe_percent))
    spaced = np.full(int(places[-1]) + 1, np.nan)
    spaced[places] = residual
    rho = lag_one(spaced)
    explained = (total - square) / max(p - 1, 1)
    return msgspec.structs.replace(
        bare,
        coefficients=tuple(terms),
        gates=tuple(tests),
        covariance=tuple(tuple(map(float, row)) for row in covariance),
        df=df,
        mean=mean,
        r_squared=r_squared,
        adjusted_r_squared=None if r_squared is None else 1 - (1 - r_squared) * (n - 1) / df,
        f_p=None if p < 2 else f_tail(explained / (square / df) if square > 0 else math.inf, p - 1, df),
        sigma=sigma,
        cv_rmse_percent=cv,
        nmbe_percent=nmbe,
        autocorrelation=rho,
        h=threshold(rho),
    )


def _gate(name: str, value: float | None, sign: str, limit: float) -> Gate:
    # What is asked for inclusively is not failed by rounding.
    slack = 1e-9 if sign in {">=", "<="} else 0.0
    passed = value is not None and (value > limit - slack if sign.startswith(">") else value < limit + slack)
    return Gate(name, value, f"{sign} {limit:g}", passed)
