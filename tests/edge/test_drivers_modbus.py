"""The Modbus driver reads real registers right, or says that it could not."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymodbus.constants import ExcCodes

from edge.config import DeviceConfig, PointConfig
from edge.drivers import Quality, Sample
from edge.drivers.modbus import MAX_REGISTERS, ModbusDriver, decode, plan_blocks, width

if TYPE_CHECKING:
    from tests.edge.conftest import Meter


def point(code: str, address: int, kind: str = "u16", **more: object) -> PointConfig:
    return PointConfig(code=code, address=address, type=kind, **more)  # type: ignore[arg-type]


def driver_for(meter: Meter, *points: PointConfig, **more: object) -> ModbusDriver:
    device = DeviceConfig(name="m", port=meter.port, timeout_s=0.3, points=list(points), **more)  # type: ignore[arg-type]
    return ModbusDriver(device, uniform=lambda low, _: low)


def by_point(samples: list[Sample]) -> dict[str, float | str]:
    return {s.point: s.reason if s.value is None else s.value for s in samples}


@pytest.mark.parametrize("order", ["big", "little"])
@pytest.mark.parametrize(
    ("kind", "layout", "raw", "scale", "value"),
    [
        ("u16", ">H", 65_535, 1.0, 65_535.0),
        ("i16", ">h", -2, 0.1, -0.2),
        ("u32", ">I", 4_000_000_001, 0.01, 40_000_000.01),
        ("i32", ">i", -123_456, 0.001, -123.456),
        ("u64", ">Q", 2**52 + 1, 1.0, float(2**52 + 1)),
        ("f32", ">f", 1.5, 1000.0, 1500.0),
        ("f64", ">d", 959_636.71, 1.0, 959_636.71),
    ],
)
async def test_every_type_and_word_order_reads_its_true_value(
    meter: Meter, kind: str, layout: str, raw: float, scale: float, value: float, order: str
) -> None:
    """Integers, floats, either order of words, from holding and from input registers."""
    packed = struct.pack(layout, raw)
    words = list(struct.unpack(f">{len(packed) // 2}H", packed))
    if order == "little":
        words.reverse()
    meter.holding |= dict(enumerate(words, 10))
    meter.input |= dict(enumerate(words, 20))
    driver = driver_for(
        meter,
        point("H", 10, kind, scale=scale, word_order=order),
        point("I", 20, kind, scale=scale, word_order=order, function="input"),
    )
    assert by_point(await driver.read()) == {"H": value, "I": value}
    await driver.close()


async def test_a_value_that_is_no_number_is_absent(meter: Meter) -> None:
    """A NaN or infinity in a float register is reported bad; its neighbour is read."""
    meter.holding |= {0: 0x7FC0, 2: 0x7F80, 4: 0x3FC0}
    driver = driver_for(meter, point("N", 0, "f32"), point("I", 2, "f32"), point("G", 4, "f32"))
    samples = await driver.read()
    assert by_point(samples) == {"N": "not_a_number", "I": "not_a_number", "G": 1.5}
    assert {s.point: s.quality for s in samples} == {"N": Quality.BAD, "I": Quality.BAD, "G": Quality.GOOD}
    await driver.close()


async def test_contiguous_points_take_one_request(meter: Meter) -> None:
    """Sixty 2-register points side by side are one request; a gap makes another, unless it may be read over."""
    points = [point(f"P{k}", 2 * k, "u32") for k in range(60)]
    driver = driver_for(meter, *points, point("far", 130))
    await driver.read()
    assert meter.requests == [(3, 0, 120), (3, 130, 1)]
    await driver.close()
    meter.requests.clear()
    driver = driver_for(meter, point("A", 0), point("B", 5), max_gap_registers=4)
    await driver.read()
    assert meter.requests == [(3, 0, 6)]
    await driver.close()


@given(
    spots=st.lists(
        st.tuples(st.integers(0, 600), st.sampled_from(["u16", "u32", "f64"]), st.sampled_from(["holding", "input"])),
        min_size=1,
        max_size=80,
    ),
    gap=st.integers(0, 10),
)
def test_blocks_hold_every_point_once_and_fit_a_request(spots: list[tuple[int, str, str]], gap: int) -> None:
    """Whatever the map of registers: no block over 125, each point inside exactly one block of its function."""
    points = [point(f"P{k}", address, kind, function=f) for k, (address, kind, f) in enumerate(spots)]
    blocks = plan_blocks(points, gap)
    assert sorted(p.code for block in blocks for p in block.points) == sorted(p.code for p in points)
    for block in blocks:
        assert 0 < block.count <= MAX_REGISTERS
        for p in block.points:
            assert p.function == block.function
            assert block.address <= p.address
            assert p.address + width(p) <= block.address + block.count


@given(raw=st.integers(0, 2**32 - 1), digits=st.integers(0, 6))
def test_decimal_scales_give_the_nearest_number(raw: int, digits: int) -> None:
    """A scale of 0.001 is a division by 1000: the value prints as the meter shows it."""
    scale = float(f"1e-{digits}")
    value = decode(point("P", 0, "u32", scale=scale), [raw >> 16, raw & 0xFFFF])
    assert value == float(f"{raw}e-{digits}")


async def test_a_refused_point_does_not_take_its_neighbours_along(meter: Meter) -> None:
    """An illegal address within a block makes that point absent alone, and the split is remembered."""
    meter.refused[3] = ExcCodes.ILLEGAL_ADDRESS
    meter.holding |= {k: 100 + k for k in range(8)}
    driver = driver_for(meter, *(point(f"P{k}", k) for k in range(8)))
    expected: dict[str, float | str] = {f"P{k}": 100.0 + k for k in range(8)} | {"P3": "exception_2"}
    assert by_point(await driver.read()) == expected
    first = len(meter.requests)
    assert by_point(await driver.read()) == expected
    assert len(meter.requests) - first == 4
    await driver.close()


async def test_a_failing_device_makes_its_points_absent(meter: Meter) -> None:
    """Any other exception makes the whole block absent, with its code."""
    meter.refused[0] = ExcCodes.DEVICE_FAILURE
    driver = driver_for(meter, point("A", 0), point("B", 1), point("C", 50))
    assert by_point(await driver.read()) == {"A": "exception_4", "B": "exception_4", "C": 0.0}
    await driver.close()


async def test_no_answer_is_absent_and_a_late_one_is_not_taken_for_the_next(meter: Meter) -> None:
    """A meter that answers too late gives no value for that poll, and the right value for the next."""
    meter.holding[0] = 1
    driver = driver_for(meter, point("A", 0), point("B", 9))
    meter.speaks.clear()
    assert by_point(await driver.read()) == {"A": "timeout", "B": "timeout"}
    meter.holding |= {0: 2, 9: 3}
    meter.speaks.set()
    assert by_point(await driver.read()) == {"A": 2.0, "B": 3.0}
    await driver.close()


async def test_the_driver_comes_back_after_the_meter_was_away(meter: Meter) -> None:
    """A meter that goes away and returns is read again, without a restart."""
    meter.holding[0] = 5
    driver = driver_for(meter, point("A", 0))
    assert by_point(await driver.read()) == {"A": 5.0}
    await meter.stop()
    assert by_point(await driver.read())["A"] in {"connection_lost", "no_connection", "timeout"}
    assert by_point(await driver.read()) == {"A": "no_connection"}
    await meter.start()
    assert by_point(await driver.read()) == {"A": 5.0}
    await driver.close()


async def test_a_meter_that_is_away_is_not_hammered(meter: Meter) -> None:
    """After a failed attempt the driver waits its back-off before it knocks again."""
    await meter.stop()
    now = [100.0]
    device = DeviceConfig(name="m", port=meter.port, points=[point("A", 0)])
    driver = ModbusDriver(device, monotonic=lambda: now[0], uniform=lambda _, high: high)
    assert by_point(await driver.read()) == {"A": "no_connection"}
    await meter.start()
    assert by_point(await driver.read()) == {"A": "no_connection"}
    now[0] += 1.0
    assert by_point(await driver.read()) == {"A": 0.0}
    await driver.close()
