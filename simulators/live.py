"""The meters of a park as they stand this moment, and the faults that are put into them while they run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, get_args

from simulators.errors import UnknownName
from simulators.totals import Effect

if TYPE_CHECKING:
    from simulators.clocks import Clock
    from simulators.meters import Meter
    from simulators.parks import SimulatedFirm, SimulatedPark, SimulatedPoint

LiveFaultName = Literal["leak", "reuse_drop", "dead", "silent", "frozen", "waste"]
LIVE_FAULTS: Final[tuple[str, ...]] = get_args(LiveFaultName)


@dataclass(frozen=True, slots=True)
class LiveFault:
    """A fault that can be put into a running meter or its firm.

    `leak` and `waste` change what truly happens by `amount_per_h` (of the flow's unit, m³ or kWh); `reuse_drop` stops
    the pump of a recirculated or recycled water point, truth included. `dead` (an exception from the gateway),
    `silent` (no answer at all) and `frozen` (the value stands still) leave the truth alone.
    """

    name: LiveFaultName
    amount_per_h: float = 0.0


@dataclass(frozen=True, slots=True)
class ScheduledFault:
    """A fault for later: put in at `at_us`, taken away at `until_us`, if ever."""

    at_us: int
    firm: str
    point: str
    fault: LiveFault
    until_us: int | None = None


@dataclass(slots=True)
class _State:
    effects: list[Effect]
    frozen_at: dict[str, int]
    dead: dict[str, bool]


class SimulatedMeters:
    """All meters of a park, read at the time of a clock.

    Args:
        simulated: the park.
        clock: returns microseconds since 1970; simulated time may run faster than the wall clock.
    """

    def __init__(self, simulated: SimulatedPark, clock: Clock) -> None:
        self.simulated = simulated
        self.clock = clock
        self._states = {firm.code: _State([], {}, {}) for firm in simulated.firms}

    def effects(self, firm: str) -> tuple[Effect, ...]:
        """Return what has been changed about the truth of a firm so far."""
        return tuple(self._state(firm).effects)

    def read(self, firm: SimulatedFirm, point: SimulatedPoint) -> tuple[Meter, int]:
        """Return the meter and its dial in steps as a reader sees it now."""
        state = self._states[firm.code]
        t_us = state.frozen_at.get(point.code) or self.clock()
        return firm.ticks(point, t_us, state.effects)

    def silence(self, firm: str, point: str) -> Literal["dead", "silent"] | None:
        """Tell whether the meter answers (None), answers with an exception, or not at all."""
        silent = self._states[firm].dead.get(point)
        return None if silent is None else "silent" if silent else "dead"

    def inject(self, firm: str, point: str, fault: LiveFault, at_us: int | None = None) -> None:
        """Put a fault into a meter or its firm, from `at_us` (by default now) on.

        Raises:
            UnknownName: no such firm, point or fault, or a fault that does not fit the point.
        """
        state, where = self._state(firm), self.simulated.firm(firm).point(point)
        now = self.clock() if at_us is None else at_us
        if fault.name == "dead":
            state.dead[point] = False
        elif fault.name == "silent":
            state.dead[point] = True
        elif fault.name == "frozen":
            state.frozen_at.setdefault(point, now)
        elif fault.name == "reuse_drop":
            state.effects += stop_reuse(where.flow.name, now)
        elif fault.name == "leak":
            state.effects += leak(fault.amount_per_h, now)
        elif fault.name == "waste":
            state.effects += waste(where.flow.name, fault.amount_per_h, now)
        else:
            raise UnknownName("fault", fault.name, LIVE_FAULTS)

    def clear(self, firm: str, point: str, at_us: int | None = None) -> None:
        """Repair the meter, and end every change of the truth of its flow and of what goes with it."""
        state, where = self._state(firm), self.simulated.firm(firm).point(point)
        now = self.clock() if at_us is None else at_us
        state.dead.pop(point, None)
        state.frozen_at.pop(point, None)
        starts = {e.start_us for e in state.effects if e.flow == where.flow.name and e.end_us is None}
        state.effects = [e.ended(now) if e.start_us in starts and e.end_us is None else e for e in state.effects]

    def _state(self, firm: str) -> _State:
        try:
            return self._states[firm]
        except KeyError:
            raise UnknownName("firm", firm, self._states) from None


def leak(m3_per_h: float, start_us: int, end_us: int | None = None) -> list[Effect]:
    """Return a leak: fresh water that enters and is lost, so that the balance still closes."""
    return [Effect(flow, start_us, end_us, rate_per_h=m3_per_h) for flow in ("fresh_water", "water.leaked")]


def stop_reuse(flow: str, start_us: int, end_us: int | None = None) -> list[Effect]:
    """Return a stopped recirculation or recycling pump.

    What is no longer recycled is taken in fresh and discharged instead; passes of a cooling loop are replaced by
    nothing.

    Raises:
        UnknownName: `flow` is no reuse of water.
    """
    if flow not in {"recirculated_water", "recycled_water", "cascaded_water"}:
        raise UnknownName("flow of reused water", flow, ["recirculated_water", "recycled_water", "cascaded_water"])
    stopped = [Effect(flow, start_us, end_us, share=-1.0)]
    if flow == "recycled_water":
        instead = ("fresh_water", "water.process", "wastewater")
        stopped += [Effect(name, start_us, end_us, share=1.0, source=flow) for name in instead]
    return stopped


def waste(
    flow: str, per_h: float, start_us: int, end_us: int | None = None, hours: tuple[int, int] | None = None
) -> list[Effect]:
    """Return energy used for nothing, at a sub-meter and so at the main meter above it."""
    parents = {flow, flow.partition(".")[0]}
    return [Effect(name, start_us, end_us, rate_per_h=per_h, hours=hours) for name in sorted(parents)]
