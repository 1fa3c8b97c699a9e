"""The seam to meters.

A new protocol is one module here that has a class with `read` and `close`, and one line in `DRIVERS`. A driver reads
what `DeviceConfig` names, turns raw registers into numbers and says which points gave none. It never makes a value up,
keeps its own connection and comes back by itself; it knows no batches, buffers or brokers. What it needs beyond the
fields of `DeviceConfig` and `PointConfig` stands in their `options`; its constructor checks them, connects to nothing,
and raises `ConfigError` with the field's path below the device.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge.config import DeviceConfig


class Quality(IntEnum):
    """How far a value may be trusted, as OPC UA puts it."""

    GOOD = 0
    UNCERTAIN = 1
    BAD = 2


class Sample(NamedTuple):
    """What one point gave.

    Attributes:
        point: its code.
        value: the number, finite; None: there is none, and `reason` says why.
        quality: BAD when there is no value.
        reason: short code for logs and metrics: `timeout`, `exception_2`, `not_a_number` …
        at_ms: Unix ms by the meter's own clock; None: the agent takes the time of the read.
    """

    point: str
    value: float | None
    quality: Quality = Quality.GOOD
    reason: str = ""
    at_ms: int | None = None

    @staticmethod
    def absent(point: str, reason: str) -> Sample:
        """Return the sample of a point that gave no value."""
        return Sample(point, None, Quality.BAD, reason)


class Driver(Protocol):
    """One meter."""

    async def read(self) -> list[Sample]:
        """Read all points once; one sample for each, in any order.

        Does not raise for a meter that is away, slow or refuses: its points come back absent.
        """
        ...

    async def close(self) -> None:
        """Let go of the meter. `read` may be called again afterwards."""
        ...


def _modbus_tcp(device: DeviceConfig) -> Driver:
    from edge.drivers.modbus import ModbusDriver  # noqa: PLC0415 - a protocol not used costs no memory

    return ModbusDriver(device)


DRIVERS: Final[dict[str, Callable[[DeviceConfig], Driver]]] = {
    "modbus-tcp": _modbus_tcp,
}


def open_driver(device: DeviceConfig) -> Driver:
    """Return the driver of a device; it connects when it is first read."""
    return DRIVERS[device.protocol](device)
