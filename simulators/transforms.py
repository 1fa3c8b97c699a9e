"""How each fault of the catalogue changes the truth, the count, the dial, the clock, or the way on the wire.

Pure functions, one table per layer, keyed by the fault's name in `faults.yaml`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from simulators.live import leak, stop_reuse, waste
from simulators.noise import key, uniform
from simulators.parks import swap
from simulators.series import Series
from simulators.totals import Effect

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from simulators.faults import Placed
    from simulators.parks import SimulatedFirm, SimulatedPoint
    from simulators.series import Count

    Instants = NDArray[np.int64]

_S: Final = 1_000_000
_H: Final = 3600 * _S
_DAY: Final = 24 * _H
_LOCAL: Final = 8 * _H
_BACKLOG_US: Final = 20_000
"""Pace at which an edge empties its buffer."""


@dataclass(frozen=True, slots=True)
class Parcel:
    """One batch on its way.

    Attributes:
        at_us: true time at which it reaches the broker.
        sent_us: true time at which it was first ready to be sent.
        boot, seq: its name; transforms of the wire may renumber.
        generation: how often the edge had lost its state before this batch.
        first, after: rows of the firm's sorted columns.
    """

    at_us: int
    sent_us: int
    generation: int
    seq: int
    first: int
    after: int


def reading_before(series: Series, at_us: int) -> int:
    """Return the index of the last reading before an instant, 0 if there is none."""
    return max(0, int(np.searchsorted(series.t_us, at_us, "left")) - 1)


def _within(series: Series, placed: Placed) -> NDArray[np.bool_]:
    return (series.t_us >= placed.start_us) & (series.t_us < placed.end_us)


# Truth -------------------------------------------------------------------------------------------------------------


def _leak(placed: Placed, _flow: str) -> list[Effect]:
    return leak(placed["m3_per_h"], placed.start_us, placed.end_us)


def _night_waste(placed: Placed, flow: str) -> list[Effect]:
    hours = (int(placed["from_hour"]), int(placed["to_hour"]))
    return waste(flow, placed["kw"], placed.start_us, placed.end_us, hours)


def _air_leak(placed: Placed, flow: str) -> list[Effect]:
    return waste(flow, placed["kw"], placed.start_us, placed.end_us)


def _tower_drift(placed: Placed, _flow: str) -> list[Effect]:
    lost = ("fresh_water", "water.makeup", "water.consumed")
    source = "recirculated_water"
    return [Effect(f, placed.start_us, placed.end_us, share=placed["share"], source=source) for f in lost]


def _efficiency_loss(placed: Placed, flow: str) -> list[Effect]:
    parents = sorted({flow, flow.partition(".")[0]})
    return [Effect(f, placed.start_us, placed.end_us, share=placed["share"], source=flow) for f in parents]


def _pump_stop(placed: Placed, flow: str) -> list[Effect]:
    return stop_reuse(flow, placed.start_us, placed.end_us)


def _exceedance(placed: Placed, flow: str) -> list[Effect]:
    return [Effect(flow, placed.start_us, placed.end_us, share=placed["times"] - 1.0)]


TRUTH: Final[dict[str, Callable[[Placed, str], list[Effect]]]] = {
    "water-leak-slow": _leak,
    "water-leak-burst": _leak,
    "night-time-waste": _night_waste,
    "cooling-tower-drift": _tower_drift,
    "compressed-air-leak": _air_leak,
    "efficiency-loss": _efficiency_loss,
    "reuse-pump-stop": _pump_stop,
    "emission-exceedance": _exceedance,
}
"""(fault, flow of its point) to what it changes about the truth."""


# Count -------------------------------------------------------------------------------------------------------------


def _miscount(count: Count, placed: Placed, factor: float) -> Count:
    """Count `factor` times what passes while the fault lasts."""

    def wrong(t_us: Instants) -> NDArray[np.int64]:
        until = np.clip(t_us, placed.start_us, placed.end_us)
        passed = count(until) - count(np.array([placed.start_us], np.int64))
        more: Instants = np.rint(passed * (factor - 1.0)).astype(np.int64)
        return count(t_us) + more

    return wrong


COUNTER: Final[dict[str, Callable[[Count, Placed], Count]]] = {
    "ct-ratio-high": lambda count, placed: _miscount(count, placed, placed["factor"]),
    "ct-ratio-low": lambda count, placed: _miscount(count, placed, 1.0 / placed["factor"]),
    "swapped-phase": lambda count, placed: _miscount(count, placed, 1.0 / 3.0),
    "swapped-direction": lambda count, placed: _miscount(count, placed, 0.0),
    "parent-not-sum-of-children": lambda count, placed: _miscount(count, placed, 1.0 - placed["share"]),
}
"""(what the meter counts, fault) to what it counts instead."""


# Meter -------------------------------------------------------------------------------------------------------------


def _roll_over(placed: Placed, firm: SimulatedFirm, point: SimulatedPoint) -> SimulatedPoint:
    """Let the dial pass its modulus when the fault begins."""
    meter = point.meters[0]
    name, totals = point.flow.name, firm.totals
    moved = totals.now(name, placed.start_us) - totals.now(name, max(meter.from_us, totals.origin_us))
    start = -(moved // meter.step) % meter.modulus_ticks
    return replace(point, meters=(replace(meter, start_ticks=start), *point.meters[1:]))


def _exchange(placed: Placed, _firm: SimulatedFirm, point: SimulatedPoint) -> SimulatedPoint:
    return swap(point, placed.start_us, serial=f"{point.meters[-1].serial}-{len(point.meters) + 1}")


METER: Final[dict[str, Callable[[Placed, SimulatedFirm, SimulatedPoint], SimulatedPoint]]] = {
    "rollover": _roll_over,
    "swap-with-event": _exchange,
}
"""(fault, firm, point) to the point with other meters; the park document knows them."""


# Dial --------------------------------------------------------------------------------------------------------------


def _drop(series: Series, placed: Placed, _point: SimulatedPoint) -> Series:
    return series.keep((series.t_us <= placed.start_us) | (series.t_us >= placed.end_us))


def _frozen(series: Series, placed: Placed, _point: SimulatedPoint) -> Series:
    still = series.value[reading_before(series, placed.start_us + 1)]
    return series.valued(np.where(_within(series, placed), still, series.value))


def _one(series: Series, placed: Placed, value: Callable[[int], float]) -> Series:
    """Replace the first reading at or after the fault's start."""
    k = reading_before(series, placed.start_us) + 1
    if k >= len(series.value):
        return series
    changed = series.value.copy()
    changed[k] = value(k)
    return series.valued(changed)


def _spike(series: Series, placed: Placed, point: SimulatedPoint) -> Series:
    far = placed["hours"] * point.rate_limit_per_h / _multiplier(point)
    return _one(series, placed, lambda k: float(np.round(series.value[k] + far, 3)))


def _zero(series: Series, placed: Placed, _point: SimulatedPoint) -> Series:
    return _one(series, placed, lambda _k: 0.0)


def _dip(series: Series, placed: Placed, point: SimulatedPoint) -> Series:
    step = _resolution(point)
    return _one(series, placed, lambda k: float(np.round(max(0.0, series.value[k - 1] - step), 3)))


def _fall(series: Series, placed: Placed, point: SimulatedPoint) -> Series:
    now = reading_before(series, placed.start_us + 1)
    then = reading_before(series, placed.start_us + 1 - int(placed["hours"] * _H))
    back = (series.value[now] - series.value[then]) % _modulus(point)
    return _moved_from(series, placed, point, -back)


def _reset(series: Series, placed: Placed, point: SimulatedPoint) -> Series:
    return _moved_from(series, placed, point, -series.value[reading_before(series, placed.start_us + 1)])


def _another_meter(series: Series, placed: Placed, point: SimulatedPoint) -> Series:
    now = series.value[reading_before(series, placed.start_us + 1)]
    return _moved_from(series, placed, point, placed["start_share"] * _modulus(point) - now)


def _moved_from(series: Series, placed: Placed, point: SimulatedPoint, by: float) -> Series:
    """Shift the dial from the fault's start on, to the end."""
    moved = np.round((series.value + by) % _modulus(point), 3)
    return series.valued(np.where(series.t_us > placed.start_us, moved, series.value))


def _other_unit(series: Series, placed: Placed, _point: SimulatedPoint) -> Series:
    return series.valued(np.where(_within(series, placed), np.round(series.value / placed["divisor"], 3), series.value))


def _caught_up(series: Series, placed: Placed, _point: SimulatedPoint) -> Series:
    held = (series.t_us > placed.start_us) & (series.t_us < placed.end_us)
    return replace(
        series,
        sent_us=np.where(held, placed.end_us, series.sent_us),
        lane=np.where(held, np.int16(100 + placed.number), series.lane),
    )


def _again(series: Series, placed: Placed, value: NDArray[np.float64], delay_us: int) -> Series:
    """Send the readings of the fault's time a second time, with other values."""
    chosen = _within(series, placed)
    n = int(chosen.sum())
    lane = np.full(n, 100 + placed.number, np.int16)
    copies = Series(series.t_us[chosen], value[chosen], series.quality[chosen], series.sent_us[chosen] + delay_us, lane)
    return series.and_then(copies)


def _another_value(series: Series, placed: Placed, point: SimulatedPoint) -> Series:
    value = np.round(series.value + placed["steps"] * _resolution(point), 3)
    return _again(series, placed, value, int(placed["delay_s"] * _S))


def _revised(series: Series, placed: Placed, point: SimulatedPoint) -> Series:
    start = series.value[reading_before(series, placed.start_us + 1)]
    made = series.value - start
    revised = start + np.round(made * (1 + placed["share"]) / _resolution(point)) * _resolution(point)
    # The first reading of the time is the level that both reports start from.
    higher = np.where(made > 0, np.maximum(revised, series.value + _resolution(point)), series.value)
    rounded: NDArray[np.float64] = np.round(higher, 3).astype(np.float64)
    return _again(series, placed, rounded, int(placed["days"] * _DAY))


def _reported_late(series: Series, placed: Placed, _point: SimulatedPoint) -> Series:
    chosen = _within(series, placed)
    morning = ((series.t_us + _LOCAL) // _DAY + 1) * _DAY - _LOCAL + int(placed["hour"] * _H)
    return replace(
        series,
        sent_us=np.where(chosen, morning, series.sent_us),
        lane=np.where(chosen, np.int16(100 + placed.number), series.lane),
    )


def _future(series: Series, placed: Placed, _point: SimulatedPoint) -> Series:
    chosen = (series.t_us > placed.start_us) & (series.t_us < placed.end_us)
    ahead = series.t_us + int(placed["days"] * _DAY)
    return replace(series, t_us=np.where(chosen, ahead, series.t_us))


def _marked(series: Series, placed: Placed, _point: SimulatedPoint) -> Series:
    chosen = (series.t_us > placed.start_us) & (series.t_us <= placed.end_us)
    return replace(
        series,
        value=np.where(chosen, np.round(series.value * placed["times"] + 1.0, 3), series.value),
        quality=np.where(chosen, np.uint8(2), series.quality),
    )


def _resolution(point: SimulatedPoint) -> float:
    return point.meters[-1].model.resolution if point.meters else 0.001


def _modulus(point: SimulatedPoint) -> float:
    return point.meters[-1].model.modulus


def _multiplier(point: SimulatedPoint) -> float:
    return point.meters[-1].multiplier


DIAL: Final[dict[str, Callable[[Series, Placed, SimulatedPoint], Series]]] = {
    "dead-meter": _drop,
    "gap": _drop,
    "frozen-value": _frozen,
    "spike": _spike,
    "momentary-zero": _zero,
    "one-unit-dip": _dip,
    "negative-step": _fall,
    "reset-without-event": _reset,
    "swap-without-event": _another_meter,
    "unit-change": _other_unit,
    "gap-with-catch-up": _caught_up,
    "duplicates-with-another-value": _another_value,
    "future-times": _future,
    "production-late": _reported_late,
    "production-revised": _revised,
    "emission-marked-invalid": _marked,
}
"""(readings of a point, fault, point) to the readings that are sent."""


# Clock -------------------------------------------------------------------------------------------------------------


def _drift(placed: Placed, t_us: Instants) -> Instants:
    while_it_lasts = (t_us >= placed.start_us) & (t_us < placed.end_us)
    ms = np.rint((t_us - placed.start_us) * (placed["ppm"] * 1e-6) / 1000).astype(np.int64)
    return np.where(while_it_lasts, ms * 1000, 0)


def _step(placed: Placed, t_us: Instants, sign: int) -> Instants:
    while_it_lasts = (t_us >= placed.start_us) & (t_us < placed.end_us)
    return np.where(while_it_lasts, sign * int(placed["seconds"] * _S), 0)


CLOCK: Final[dict[str, Callable[[Placed, Instants], Instants]]] = {
    "clock-drift": _drift,
    "clock-step-back": lambda placed, t_us: _step(placed, t_us, -1),
    "clock-step-forward": lambda placed, t_us: _step(placed, t_us, 1),
}
"""(fault, true times) to how far the edge's clock is ahead, in microseconds."""


# Wire --------------------------------------------------------------------------------------------------------------


def _affected(parcels: list[Parcel], placed: Placed) -> list[bool]:
    return [placed.start_us <= p.sent_us < placed.end_us for p in parcels]


def _luck(placed: Placed, seed: int, count: int) -> list[float]:
    luck: list[float] = uniform(key(seed, placed.firm, "fault", str(placed.number)), 0, count).tolist()
    return luck


def _twice(parcels: list[Parcel], placed: Placed, seed: int) -> list[Parcel]:
    luck = _luck(placed, seed, len(parcels))
    chosen = zip(parcels, _affected(parcels, placed), luck, strict=True)
    delays = _luck(replace(placed, number=placed.number + 1000), seed, len(parcels))
    copies = [
        replace(p, at_us=p.at_us + int(_S * (0.5 + 240 * delays[k])))
        for k, (p, hit, chance) in enumerate(chosen)
        if hit and chance < placed["share"]
    ]
    return parcels + copies


def _shuffled(parcels: list[Parcel], placed: Placed, seed: int) -> list[Parcel]:
    luck = _luck(placed, seed, len(parcels))
    spread_us = placed["spread_s"] * _S
    return [
        replace(p, at_us=p.at_us + int(spread_us * chance)) if hit else p
        for p, hit, chance in zip(parcels, _affected(parcels, placed), luck, strict=True)
    ]


def _late(parcels: list[Parcel], placed: Placed, by_us: int) -> list[Parcel]:
    return [
        replace(p, at_us=p.at_us + by_us) if hit else p
        for p, hit in zip(parcels, _affected(parcels, placed), strict=True)
    ]


def _offline(parcels: list[Parcel], placed: Placed, _seed: int) -> list[Parcel]:
    """Hold back what falls into the time without uplink, then send it in order."""
    held, found = 0, list[Parcel]()
    for p, hit in zip(parcels, _affected(parcels, placed), strict=True):
        found.append(replace(p, at_us=placed.end_us + held * _BACKLOG_US) if hit else p)
        held += hit
    return found


def _state_lost(parcels: list[Parcel], placed: Placed, _seed: int) -> list[Parcel]:
    """Lose what had not been sent, and start numbering again under a new boot."""
    found, seq = list[Parcel](), 0
    for p, hit in zip(parcels, _affected(parcels, placed), strict=True):
        if hit:
            continue
        if p.sent_us < placed.end_us:
            found.append(p)
        else:
            found.append(replace(p, generation=p.generation + 1, seq=seq))
            seq += 1
    return found


def _broker_restart(parcels: list[Parcel], placed: Placed, seed: int) -> list[Parcel]:
    """Send again what was in flight when the broker went away, and hold what came while it was."""
    since = placed.start_us - int(placed["in_flight_s"] * _S)
    again = [
        replace(p, at_us=placed.end_us + k * _BACKLOG_US)
        for k, p in enumerate(p for p in parcels if since <= p.sent_us < placed.start_us)
    ]
    return _offline(parcels, placed, seed) + again


WIRE: Final[dict[str, Callable[[list[Parcel], Placed, int], list[Parcel]]]] = {
    "duplicates": _twice,
    "out-of-order": _shuffled,
    "hours-late": lambda parcels, placed, _seed: _late(parcels, placed, int(placed["hours"] * _H)),
    "thirty-days-late": lambda parcels, placed, _seed: _late(parcels, placed, int(placed["days"] * _DAY)),
    "edge-offline": _offline,
    "edge-restart-state-lost": _state_lost,
    "broker-restart": _broker_restart,
}
"""(batches of an edge by time, fault, seed) to the batches that arrive."""
