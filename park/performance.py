"""Energy performance against a baseline: residuals, running sums, alarms, and savings with their uncertainty."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from park.baselines import expected, extrapolated
from park.cusum import alarm_form, running_sum
from park.errors import BaselineError
from park.observations import design, left_out
from park.student import quantile

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from park.baselines import Fit
    from park.observations import LeftOut, Observations

    Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Tracked:
    """Periods held against a model, shape (n,); what is left out has no residual and moves no sum.

    Attributes:
        residual: actual minus expected; positive is more than the baseline.
        z: residual in standard errors; NaN too where the model is extrapolated, which raises no alarm.
        alarm: `over`, `under` or None.
    """

    expected: Floats
    residual: Floats
    cusum: Floats
    z: Floats
    plus: Floats
    minus: Floats
    alarm: list[str | None]
    extrapolated: list[tuple[str, ...]]
    left_out: list[LeftOut | None]


def track(model: Fit, observed: Observations) -> Tracked:
    """Hold periods, in order from the first in which the model is in force, against it.

    Raises:
        BaselineError: a gate failed: the model may not be used.
    """
    if not model.usable or model.sigma is None:
        raise BaselineError(f"the model may not be used: {', '.join(model.failed)} failed")
    why = left_out(observed, model.variables, model.floors)
    foreseen = expected(model, observed)
    residual = observed.energy - foreseen
    residual[[reason is not None for reason in why]] = np.nan
    far = extrapolated(model, observed)
    # A perfect fit has no spread; then the smallest deviation is a large one, and only rounding is forgiven.
    sigma = max(model.sigma, 1e-9 * abs(model.mean or 1.0))
    z = np.where([bool(names) for names in far], np.nan, residual / observed.days / sigma)
    form = alarm_form(z, h=model.h, k=model.k)
    return Tracked(foreseen, residual, running_sum(residual), z, form.plus, form.minus, form.state(model.h), far, why)


@dataclass(frozen=True, slots=True)
class Savings:
    """What was saved against a baseline under the conditions of the reporting period; negative: used more.

    Attributes:
        uncertainty: half-width of the interval at `confidence`, of the model and of chance.
        share: of what was expected.
        significant: the uncertainty is less than half of the savings (IPMVP).
        periods: how many were counted; `extrapolated` of them beyond the model's range.
    """

    expected: float
    actual: float
    savings: float
    uncertainty: float
    confidence: float
    share: float | None
    significant: bool
    unit: str
    periods: int
    extrapolated: int
    left_out: dict[str, int]


def savings(model: Fit, observed: Observations, *, confidence: float = 0.9) -> Savings:
    """Return the savings of the periods: `Σ(Ê − E)`, with what the model's and the data's spread make of it.

    The variance is `σ²·v·(Σd² + sᵀ(XᵀX)⁻¹s)`: chance of each period of d days, and the uncertain coefficients, with s
    the summed design; `v = (1 + ρ) / (1 − ρ)` because residuals that resemble each other carry less information.

    Raises:
        BaselineError: a gate of the model failed, or no period can be counted.
    """
    held = track(model, observed)
    inside = ~np.isnan(held.residual)
    if not inside.any():
        raise BaselineError("no period can be held against the baseline")
    used = observed.where(inside)
    total = design(used, model.variables).T @ used.days
    rho = min(max(model.autocorrelation, 0.0), 0.9)
    inflation = (1 + rho) / (1 - rho)
    spread = float(used.days @ used.days + total @ np.array(model.covariance) @ total)
    sigma = model.sigma or 0.0
    degrees = max(model.periods / inflation - len(model.coefficients), 1.0)
    half = quantile(confidence, degrees) * sigma * math.sqrt(inflation * spread)
    foreseen, saved = float(held.expected[inside].sum()), float(-held.residual[inside].sum())
    why = [reason for reason in held.left_out if reason is not None]
    return Savings(
        expected=foreseen,
        actual=float(used.energy.sum()),
        savings=saved,
        uncertainty=half,
        confidence=confidence,
        share=saved / foreseen if foreseen else None,
        significant=half < abs(saved) / 2,
        unit=model.unit,
        periods=int(inside.sum()),
        extrapolated=sum(bool(names) for names, k in zip(held.extrapolated, inside, strict=True) if k),
        left_out={reason: why.count(reason) for reason in dict.fromkeys(why)},
    )


def normalised_change(base: Fit, report: Fit, reference: Observations) -> float:
    """Return `(EnPI_base − EnPI_report) / EnPI_base`, both models under the same reference conditions.

    Raises:
        BaselineError: a gate of either model failed, or a reference condition is unknown.
    """
    for model in (base, report):
        if not model.usable:
            raise BaselineError(f"a model may not be used: {', '.join(model.failed)} failed")
    before, after = float(expected(base, reference).sum()), float(expected(report, reference).sum())
    if math.isnan(before + after) or before == 0:
        raise BaselineError("the reference conditions are not known for every period")
    return (before - after) / before
