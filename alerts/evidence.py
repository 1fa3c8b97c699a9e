"""What an episode keeps to convince whoever reads it: plain data, rendered by `alerts.message`. Pure.

first, opened, worst, last   samples: {t, value, coverage, final, and what the value was made of}
limit, comparator            what opens it: a number in the value's unit, and "above" or "below"
kind                         of the rule; unit: of the value
excess                       how much beyond the limit or the usual, where it can be told: {quantity, unit}
chart                        {t0, step_s, values, limit}: the samples around it, null where unknown
covered                      how many points a storm's episode stands for
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from park.calendar import from_us

if TYPE_CHECKING:
    from collections.abc import Mapping

    from alerts.fold import Folded, Values
    from alerts.kinds import Rule

_BEFORE: Final = 16
_LONGEST: Final = 96


def evidence(rule: Rule, values: Values, found: Folded, kept: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return an episode's evidence.

    Args:
        rule: what found it.
        values: what was folded.
        found: where in them it lies.
        kept: evidence of the part that lies before the values; None: all of it lies within.
    """
    last = _sample(values, found.row, found.last)
    worst = _sample(values, found.row, found.worst)
    out: dict[str, Any] = {
        "kind": str(type(rule).__struct_config__.tag),
        "limit": rule.open.limit,
        "comparator": "below" if rule.open.below is not None else "above",
        "first": _sample(values, found.row, found.first),
        "worst": worst,
        "last": last,
        "chart": _chart(rule, values, found),
    }
    if found.opened is not None:
        out["opened"] = _sample(values, found.row, found.opened)
    if kept is not None:
        out["first"] = kept.get("first", out["first"])
        out["opened"] = kept.get("opened", out.get("opened", last))
        before = kept.get("worst")
        if before is not None and before.get("value") is not None and not _worse(rule, worst, before):
            out["worst"] = before
    for name in ("excess", "covered", "points"):
        if name in out["worst"]:
            out[name] = out["worst"][name]
    return out


def _worse(rule: Rule, a: Mapping[str, Any], b: Mapping[str, Any]) -> bool:
    return bool(a["value"] < b["value"] if rule.open.below is not None else a["value"] > b["value"])


def _sample(values: Values, row: int, column: int) -> dict[str, Any]:
    value = float(values.value[row, column])
    coverage = 1.0 if values.coverage is None else float(values.coverage[row, column])
    return {
        "t": from_us(int(values.t_us[column])).isoformat(),
        "value": value,
        "coverage": round(coverage, 4),
        "final": True,
    } | dict(values.detail(row, column))


def _chart(rule: Rule, values: Values, found: Folded) -> dict[str, Any]:
    """Return the samples from a little before it to its end, thinned out to at most 96."""
    first, last = max(found.first - _BEFORE, 0), min(found.last + _BEFORE // 4, len(values.t_us) - 1)
    stride = max(1, -(-(last - first + 1) // _LONGEST))
    columns = np.arange(first, last + 1, stride)
    series = values.value[found.row, columns]
    step_us = int(np.median(np.diff(values.t_us[columns]))) if len(columns) > 1 else 0
    return {
        "t0": from_us(int(values.t_us[first])).isoformat(),
        "step_s": step_us / 1e6,
        "values": [float(f"{v:.6g}") if np.isfinite(v) else None for v in series.tolist()],
        "limit": rule.open.limit,
    }
