"""Simulated meters behind Modbus TCP: one gateway per firm, each meter a unit behind it.

All of pymodbus that the simulators use is in this module. Registers are worked out when they are read; nothing runs
between two polls. Parent and child, dial and history agree because all come from the same totals.
"""

from __future__ import annotations

import logging
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pymodbus.constants import ExcCodes
from pymodbus.exceptions import NoSuchIdException
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from park.points import Kind
from simulators.errors import SimulatorError

if TYPE_CHECKING:
    from simulators.firms import MeterModel
    from simulators.live import SimulatedMeters
    from simulators.meters import Meter
    from simulators.parks import SimulatedFirm, SimulatedPark, SimulatedPoint

# Its own words about every lost connection are of no use to anyone here.
logging.getLogger("pymodbus.logging").setLevel(logging.CRITICAL)

_FORMATS: Final = {"u16": ">H", "u32": ">I", "i32": ">i", "u64": ">Q", "f32": ">f", "f64": ">d"}
_FUNCTIONS: Final = {"holding": 3, "input": 4}


@dataclass(frozen=True, slots=True)
class Slot:
    """Where one point stands in its unit's registers."""

    point: SimulatedPoint
    model: MeterModel
    address: int

    @property
    def width(self) -> int:
        """Return how many registers the value takes."""
        return struct.calcsize(_FORMATS[self.model.type]) // 2


@dataclass(frozen=True, slots=True)
class Unit:
    """One Modbus unit behind a firm's gateway: a meter, or a collector of several."""

    unit_id: int
    name: str
    slots: tuple[Slot, ...]


def units(firm: SimulatedFirm, edge: str | None = None) -> list[Unit]:
    """Return the units behind a firm's gateway; with `edge` only those that this edge reads."""
    found, collectors = list[Unit](), dict[str, list[Slot]]()
    registers = [point for point in firm.points if point.kind is Kind.REGISTER]
    for point in registers:
        model = point.meters[-1].model
        if not model.collector:
            found.append(Unit(len(found) + 1, f"meter-{point.code}", (Slot(point, model, model.address),)))
            continue
        kind = f"collector-{model.address}"
        slots = collectors.setdefault(kind, [])
        slots.append(Slot(point, model, model.address + model.stride * len(slots)))
    for name, slots in collectors.items():
        found.append(Unit(len(found) + 1, name, tuple(slots)))
    if edge is None:
        return found
    kept = [(unit, tuple(s for s in unit.slots if firm.edge_of(s.point) == edge)) for unit in found]
    return [Unit(unit.unit_id, unit.name, slots) for unit, slots in kept if slots]


def edge_devices(
    simulated: SimulatedPark,
    firm_code: str,
    port: int,
    *,
    poll_s: float = 1.0,
    host: str = "127.0.0.1",
    edge: str | None = None,
) -> list[dict[str, Any]]:
    """Return what an edge's configuration says about the firm's meters, in the shape of `edge.config.DeviceConfig`."""
    return [
        {
            "name": unit.name,
            "protocol": "modbus-tcp",
            "host": host,
            "port": port,
            "unit_id": unit.unit_id,
            "poll_s": poll_s,
            "points": [
                {
                    "code": slot.point.code,
                    "address": slot.address,
                    "type": slot.model.type,
                    "word_order": slot.model.word_order,
                    "scale": 1.0 if slot.model.type in {"f32", "f64"} else slot.model.resolution,
                    "function": slot.model.function,
                }
                for slot in unit.slots
            ],
        }
        for unit in units(simulated.firm(firm_code), edge)
    ]


def registers_of(meter: Meter, ticks: int) -> list[int]:
    """Return a dial as the meter's registers, in the order in which they are addressed."""
    kind = meter.model.type
    value: float = meter.dial(ticks) if kind in {"f32", "f64"} else ticks
    packed = struct.pack(_FORMATS[kind], value)
    words = list(struct.unpack(f">{len(packed) // 2}H", packed))
    return words if meter.model.word_order == "big" else words[::-1]


class Gateway:
    """A firm's Modbus TCP gateway. `start` listens, `stop` closes every connection."""

    def __init__(self, meters: SimulatedMeters, firm_code: str, port: int, host: str = "127.0.0.1") -> None:
        self._meters = meters
        self._firm = meters.simulated.firm(firm_code)
        self.host, self.port = host, port
        self._server: Any = None

    async def start(self) -> None:
        """Listen, or raise `SimulatorError` where the port is taken."""
        devices = [self._device(unit) for unit in units(self._firm)]
        server = ModbusTcpServer(devices, address=(self.host, self.port), ignore_missing_devices=True)
        try:
            await server.serve_forever(background=True)
        except RuntimeError:
            msg = f"{self._firm.code}: {self.host}:{self.port} is taken; choose another port for its meters"
            raise SimulatorError(msg) from None
        self._server = server

    async def stop(self) -> None:
        """Stop listening and close the connections."""
        if self._server is not None:
            await self._server.shutdown()
            self._server = None

    def _device(self, unit: Unit) -> SimDevice:
        first = min(slot.address for slot in unit.slots)
        after = max(slot.address + slot.width for slot in unit.slots)
        shared = len(unit.slots) > 1
        firm, meters = self._firm, self._meters

        async def answer(
            function_code: int,
            start_address: int,
            address: int,
            count: int,
            current_registers: list[int],
            set_values: list[int] | list[bool] | None,
        ) -> ExcCodes | None:
            """Refresh the registers that are asked for; pymodbus sends what then stands in them."""
            if set_values is not None or function_code != _FUNCTIONS[unit.slots[0].model.function]:
                return ExcCodes.ILLEGAL_FUNCTION
            for slot in unit.slots:
                if slot.address + slot.width <= address or address + count <= slot.address:
                    continue
                silence = meters.silence(firm.code, slot.point.code)
                if silence == "silent":
                    raise NoSuchIdException
                if silence == "dead":
                    return ExcCodes.ILLEGAL_ADDRESS if shared else ExcCodes.GATEWAY_NO_RESPONSE
                at = slot.address - start_address
                current_registers[at : at + slot.width] = registers_of(*meters.read(firm, slot.point))
            return None

        data = SimData(first, count=after - first, values=0, datatype=DataType.REGISTERS)
        return SimDevice(unit.unit_id, simdata=[data], action=answer)
