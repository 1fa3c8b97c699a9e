"""The simulated meters answer a real Modbus client with what their dials show."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

import msgspec
import pytest
from pymodbus.client import AsyncModbusTcpClient

from edge.config import DeviceConfig
from edge.drivers.modbus import ModbusDriver
from park.calendar import to_us
from simulators.clocks import fast_clock
from simulators.errors import SimulatorError, UnknownName
from simulators.live import LiveFault, ScheduledFault, SimulatedMeters
from simulators.modbus import Gateway, edge_devices, units
from simulators.parks import SimulatedPark, demo_park
from simulators.process import serve

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ORIGIN = datetime(2025, 11, 21, tzinfo=timezone(timedelta(hours=8)))
NOON = to_us(ORIGIN + timedelta(days=200, hours=12))


class HandClock:
    """A clock that a test moves."""

    def __init__(self, t_us: int) -> None:
        self.t_us = t_us

    def __call__(self) -> int:
        return self.t_us


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def demo() -> SimulatedPark:
    """The demonstration's park."""
    return demo_park(7, origin=ORIGIN)


@contextlib.asynccontextmanager
async def running(meters: SimulatedMeters, *firms: str) -> AsyncIterator[dict[str, int]]:
    """Serve some firms' meters."""
    ports = {firm: free_port() for firm in firms}
    ready = asyncio.Event()
    task = asyncio.create_task(serve(meters.simulated, ports, clock=meters.clock, meters=meters, ready=ready))
    waiting = asyncio.create_task(ready.wait())
    await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
    try:
        yield ports
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def drivers(demo: SimulatedPark, firm: str, port: int) -> list[ModbusDriver]:
    """The edge's own drivers for a firm's devices."""
    devices = edge_devices(demo, firm, port, poll_s=1.0)
    return [ModbusDriver(msgspec.convert({**d, "timeout_s": 0.4}, DeviceConfig)) for d in devices]


async def read_all(found: list[ModbusDriver]) -> dict[str, float | None]:
    """One poll of every device."""
    return {sample.point: sample.value for driver in found for sample in await driver.read()}


async def close_all(found: list[ModbusDriver]) -> None:
    """Let go of the devices."""
    for driver in found:
        await driver.close()


async def test_the_edge_reads_every_dial_exactly(demo: SimulatedPark):
    """Through register, word order and scale the edge gets every meter's dial value to the last bit."""
    meters = SimulatedMeters(demo, HandClock(NOON))
    async with running(meters, *(firm.code for firm in demo.firms)) as ports:
        seen = 0
        for firm in demo.firms:
            found = drivers(demo, firm.code, ports[firm.code])
            for code, value in (await read_all(found)).items():
                assert value == firm.dial(code, NOON), (firm.code, code)
                seen += 1
            await close_all(found)
        assert seen == sum(len(firm.points) for firm in demo.firms)


async def test_a_plain_client_finds_the_words_where_the_map_says(demo: SimulatedPark):
    """A stranger's Modbus client reads a 32-bit counter, high word first, from the documented register."""
    meters = SimulatedMeters(demo, HandClock(NOON))
    async with running(meters, "f06") as ports:
        device = next(d for d in edge_devices(demo, "f06", ports["f06"]) if d["points"][0]["code"] == "E-001")
        point = device["points"][0]
        client = AsyncModbusTcpClient("127.0.0.1", port=ports["f06"], timeout=1)
        assert await client.connect()
        answer = await client.read_holding_registers(point["address"], count=2, device_id=device["unit_id"])
        high, low = answer.registers
        assert (high * 65_536 + low) / 100 == demo.firm("f06").dial("E-001", NOON)
        wrong = await client.read_input_registers(point["address"], count=2, device_id=device["unit_id"])
        assert wrong.isError()
        written = await client.write_register(point["address"], 1, device_id=device["unit_id"])
        assert written.isError()
        client.close()


async def test_faults_show_at_the_meter_while_it_runs(demo: SimulatedPark):
    """Dead gives an exception, silent gives nothing, frozen stands still; the neighbours go on, and repair mends."""
    clock = HandClock(NOON)
    meters = SimulatedMeters(demo, clock)
    async with running(meters, "f01") as ports:
        found = drivers(demo, "f01", ports["f01"])
        before = await read_all(found)
        meters.inject("f01", "E-001", LiveFault("dead"))
        meters.inject("f01", "E-002", LiveFault("silent"))
        meters.inject("f01", "W-001", LiveFault("frozen"))
        clock.t_us += 3_600_000_000
        during = await read_all(found)
        assert during["E-001"] is None
        assert during["E-002"] is None
        assert during["W-001"] == before["W-001"]
        assert during["G-001"] != before["G-001"]
        for point in ("E-001", "E-002", "W-001"):
            meters.clear("f01", point)
        assert await read_all(found) == {
            p.code: demo.firm("f01").dial(p.code, clock.t_us) for p in demo.firm("f01").points
        }
        await close_all(found)


async def test_a_dead_meter_behind_a_collector_leaves_its_neighbours(demo: SimulatedPark):
    """One dead channel of a collector is refused alone; the edge still gets the others."""
    meters = SimulatedMeters(demo, HandClock(NOON))
    shared = [unit for unit in units(demo.firm("f02")) if len(unit.slots) > 1]
    assert shared
    first, *others = (slot.point.code for slot in shared[0].slots)
    async with running(meters, "f02") as ports:
        found = drivers(demo, "f02", ports["f02"])
        meters.inject("f02", first, LiveFault("dead"))
        values = await read_all(found)
        assert values[first] is None
        assert all(values[code] is not None for code in others)
        await close_all(found)


def test_a_leak_and_a_stopped_pump_change_the_truth_from_now_on(demo: SimulatedPark):
    """The truth follows what is put in: ten m³/h more from now, or a register that stands still for a reason."""
    clock = HandClock(NOON)
    meters = SimulatedMeters(demo, clock)
    firm = demo.firm("f01")
    meters.inject("f01", "W-001", LiveFault("leak", 10.0))
    meters.inject("f01", "R-001", LiveFault("reuse_drop"))
    still = firm.dial("R-001", NOON)
    clock.t_us += 5 * 3_600_000_000
    meter, ticks = meters.read(firm, firm.point("W-001"))
    assert meter.dial(ticks) - firm.dial("W-001", clock.t_us) == pytest.approx(50.0, abs=0.02)
    meter, ticks = meters.read(firm, firm.point("R-001"))
    assert meter.dial(ticks) == still
    meters.clear("f01", "W-001")
    meters.clear("f01", "R-001")
    later = clock.t_us + 3_600_000_000
    effects = meters.effects("f01")
    gained = firm.dial("W-001", later, effects) - firm.dial("W-001", later)
    assert gained == pytest.approx(50.0, abs=0.02)
    assert firm.dial("R-001", later, effects) > still
    leaked = firm.totals.now("water.leaked", later, effects) - firm.totals.now("water.leaked", later)
    assert leaked == 50_000_000


def test_a_fault_that_does_not_fit_is_refused(demo: SimulatedPark):
    """Unknown firms, points and faults are named, and an electricity meter has no pump to stop."""
    meters = SimulatedMeters(demo, HandClock(NOON))
    for firm, point, fault in (
        ("f99", "E-001", LiveFault("dead")),
        ("f01", "X", LiveFault("dead")),
        ("f01", "E-001", LiveFault("reuse_drop")),
        ("f01", "E-001", LiveFault("tea")),  # type: ignore[arg-type]
    ):
        with pytest.raises(UnknownName):
            meters.inject(firm, point, fault)


async def test_scheduled_faults_come_when_they_are_due_and_go(demo: SimulatedPark):
    """A fault takes effect at exactly its own time, however late it is looked at, and ends at its end."""
    clock = HandClock(NOON)
    meters = SimulatedMeters(demo, clock)
    hour = 3_600_000_000
    plan = [ScheduledFault(NOON + hour, "f04", "W-001", LiveFault("leak", 6.0), NOON + 3 * hour)]
    ready = asyncio.Event()
    ports = {"f04": free_port()}
    task = asyncio.create_task(serve(demo, ports, clock=clock, faults_at=plan, meters=meters, ready=ready))
    await ready.wait()
    assert meters.effects("f04") == ()
    clock.t_us = NOON + 10 * hour
    await asyncio.sleep(0.4)
    assert meters.effects("f04")[0].end_us == NOON + 3 * hour
    firm = demo.firm("f04")
    gained = firm.totals.now("fresh_water", clock.t_us, meters.effects("f04")) - firm.totals.now(
        "fresh_water", clock.t_us
    )
    assert gained == 12_000_000
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def test_a_taken_port_is_said(demo: SimulatedPark):
    """Two gateways cannot have one port; the second says which, and what to do."""
    meters = SimulatedMeters(demo, HandClock(NOON))
    async with running(meters, "f01") as ports:
        with pytest.raises(SimulatorError, match=f"f02: 127.0.0.1:{ports['f01']} is taken"):
            await Gateway(meters, "f02", ports["f01"]).start()


def test_simulated_time_may_run_faster():
    """A clock of factor 60 passes a minute in a second."""
    ticks = iter([0, 1_000_000_000, 2_500_000_000])
    clock = fast_clock(NOON, 60.0, lambda: next(ticks))
    assert clock() == NOON + 60_000_000
    assert clock() == NOON + 150_000_000
