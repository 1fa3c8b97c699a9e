"""Modbus TCP meters: few block reads, numbers decoded by type, word order and scale.

All of pymodbus that the edge uses is in this module: it changes its interface in minor releases and is pinned.
"""

from __future__ import annotations

import logging
import math
import random
import struct
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pymodbus.client import AsyncModbusTcpClient
from pymodbus.exceptions import ModbusException

from edge.backoff import Backoff
from edge.drivers import Quality, Sample
from edge.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edge.config import DeviceConfig, PointConfig

# The driver reports every failure itself, once and in its own words.
logging.getLogger("pymodbus.logging").setLevel(logging.CRITICAL)

MAX_REGISTERS: Final = 125
_FORMATS: Final = {"u16": ">H", "i16": ">h", "u32": ">I", "i32": ">i", "u64": ">Q", "f32": ">f", "f64": ">d"}
# Illegal data address, illegal data value: one point of the block may be at fault, not the meter.
_SPLIT_ON: Final = frozenset({2, 3})


@dataclass(frozen=True, slots=True)
class Block:
    """One request: `count` registers from `address`, and the points within."""

    function: str
    address: int
    count: int
    points: tuple[PointConfig, ...]

    def halves(self) -> tuple[Block, Block]:
        """Split between the points, to find the one that the meter refuses."""
        middle = len(self.points) // 2
        return _block(self.points[:middle]), _block(self.points[middle:])


def width(point: PointConfig) -> int:
    """Return how many registers a point takes."""
    return struct.calcsize(_FORMATS[point.type]) // 2


def plan_blocks(points: Sequence[PointConfig], max_gap: int = 0) -> tuple[Block, ...]:
    """Group points into as few requests as contiguous registers allow, each of at most 125 registers."""
    blocks: list[Block] = []
    group: list[PointConfig] = []
    start = end = 0
    for point in sorted(points, key=lambda p: (p.function, p.address, width(p))):
        after = point.address + width(point)
        joins = bool(group) and point.function == group[0].function and point.address <= end + max_gap
        if joins and max(end, after) - start <= MAX_REGISTERS:
            group.append(point)
            end = max(end, after)
            continue
        if group:
            blocks.append(_block(group))
        group, start, end = [point], point.address, after
    if group:
        blocks.append(_block(group))
    return tuple(blocks)


def _block(points: Sequence[PointConfig]) -> Block:
    start = min(point.address for point in points)
    end = max(point.address + width(point) for point in points)
    return Block(points[0].function, start, end - start, tuple(points))


def decode(point: PointConfig, registers: Sequence[int]) -> float | None:
    """Return the value of a point from its own registers; None if they hold no finite number."""
    words = registers if point.word_order == "big" else registers[::-1]
    (raw,) = struct.unpack(_FORMATS[point.type], struct.pack(f">{len(words)}H", *words))
    value = _scaled(raw, point.scale)
    return value if math.isfinite(value) else None


def _scaled(raw: float, scale: float) -> float:
    # 12345 × 0.001 is 12.345000000000001; dividing by 1000 gives the nearest number to 12.345.
    if abs(scale) < 1 and 1 / (inverse := round(1 / scale)) == scale:
        return raw / inverse
    return float(raw * scale)


class _NoAnswerError(Exception):
    """The connection gave nothing usable; the text is the reason code."""


class _RefusedError(Exception):
    """The meter answered with an exception."""

    def __init__(self, code: int) -> None:
        super().__init__(f"exception_{code}")
        self.code = code


class ModbusDriver:
    """One Modbus TCP meter; see `edge.drivers.Driver`.

    One connection per device, one request at a time. After a time-out the connection is closed, because a late answer
    must not be taken for the answer to a later question.
    """

    def __init__(
        self,
        device: DeviceConfig,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        """Plan the requests; raises `ConfigError`, with the field's path below the device."""
        _check(device)
        self._device = device
        self._planned = plan_blocks(device.points, device.max_gap_registers)
        self._blocks = list(self._planned)
        self._client: AsyncModbusTcpClient | None = None
        self._monotonic = monotonic
        self._backoff = Backoff(min(1.0, device.poll_s), 30.0, uniform)
        self._not_before = 0.0

    async def read(self) -> list[Sample]:
        """Read all points once."""
        samples: list[Sample] = []
        try:
            client = await self._connected()
        except _NoAnswerError as error:
            return [Sample.absent(point.code, str(error)) for point in self._device.points]
        pending, kept = self._blocks[::-1], list[Block]()
        while pending:
            block = pending.pop()
            try:
                registers = await self._request(client, block)
            except _RefusedError as error:
                if error.code in _SPLIT_ON and len(block.points) > 1:
                    pending.extend(reversed(block.halves()))
                    continue
                kept.append(block)
                samples += [Sample.absent(point.code, str(error)) for point in block.points]
            except _NoAnswerError as error:
                await self.close()
                left = [block, *pending]
                return samples + [Sample.absent(point.code, str(error)) for b in left for point in b.points]
            else:
                kept.append(block)
                samples += [_sample(point, block, registers) for point in block.points]
        self._blocks = kept
        return samples

    async def close(self) -> None:
        """Close the connection."""
        if self._client is not None:
            self._client.close()
            self._client = None

    async def _connected(self) -> AsyncModbusTcpClient:
        if self._client is not None and self._client.connected:
            return self._client
        await self.close()
        if self._monotonic() < self._not_before:
            raise _NoAnswerError("no_connection")
        device = self._device
        client = AsyncModbusTcpClient(
            device.host, port=device.port, timeout=device.timeout_s, retries=0, reconnect_delay=0, name=device.name
        )
        self._client = client
        if not await client.connect():
            await self.close()
            self._not_before = self._monotonic() + self._backoff.next()
            raise _NoAnswerError("no_connection")
        self._backoff.reset()
        self._blocks = list(self._planned)
        return client

    async def _request(self, client: AsyncModbusTcpClient, block: Block) -> list[int]:
        ask = client.read_holding_registers if block.function == "holding" else client.read_input_registers
        try:
            answer = await ask(block.address, count=block.count, device_id=self._device.unit_id)
        except ModbusException:
            raise _NoAnswerError("timeout" if client.connected else "connection_lost") from None
        if answer.isError():
            raise _RefusedError(answer.exception_code)
        if len(answer.registers) != block.count:
            raise _NoAnswerError("short_answer")
        return list(answer.registers)


def _check(device: DeviceConfig) -> None:
    if device.options:
        raise ConfigError("", "options", f"modbus-tcp knows none, got {', '.join(device.options)}")
    for k, point in enumerate(device.points):
        if point.options:
            raise ConfigError("", f"points[{k}].options", f"modbus-tcp knows none, got {', '.join(point.options)}")
        if point.address + width(point) > 65_536:
            raise ConfigError("", f"points[{k}].address", f"a {point.type} from {point.address} ends above 65535")


def _sample(point: PointConfig, block: Block, registers: Sequence[int]) -> Sample:
    at = point.address - block.address
    value = decode(point, registers[at : at + width(point)])
    return Sample.absent(point.code, "not_a_number") if value is None else Sample(point.code, value, Quality.GOOD)
