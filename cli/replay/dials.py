"""Amounts of a file as the dial of a meter would have shown them: to try registers with a year that really was.

A dial starts somewhere, counts the amounts on, rolls over at its modulus, and is exchanged for another one.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime  # noqa: TC003  (msgspec resolves annotations at run time)
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec
import numpy as np

if TYPE_CHECKING:
    from cli.replay.mapping import Mapping
    from cli.replay.rows import Readings


class Exchange(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """From `at` on another meter counts, whose dial then shows `start`."""

    at: datetime
    start: float


class Dial(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the dial showed when the first interval began, where it rolls over, and when it was exchanged."""

    start: float
    modulus: float
    exchanges: tuple[Exchange, ...] = ()


def complaint(dial: Dial) -> tuple[str, str] | None:
    """Return the field that is wrong and why, or None."""
    if not dial.modulus > 0:
        return "modulus", f"{dial.modulus}: expected a positive number"
    if not 0 <= dial.start < dial.modulus:
        return "start", f"{dial.start}: expected 0 up to below the modulus"
    for n, exchange in enumerate(dial.exchanges):
        if exchange.at.tzinfo is None:
            return f"exchanges[{n}].at", f"{exchange.at}: expected a time with an offset"
        if n and exchange.at <= dial.exchanges[n - 1].at:
            return f"exchanges[{n}].at", f"{exchange.at}: expected exchanges in order of time"
        if not 0 <= exchange.start < dial.modulus:
            return f"exchanges[{n}].start", f"{exchange.start}: expected 0 up to below the modulus"
    return None


def shown(t_ms: np.ndarray, amount: np.ndarray, dial: Dial, interval_ms: int) -> tuple[np.ndarray, np.ndarray]:
    """Return what a dial shows at the ends of intervals, and once before the first.

    Decimal arithmetic, so that a dial of two places shows two places after a year.

    Args:
        t_ms: ends of intervals, rising, Unix milliseconds.
        amount: what passed in each, same shape.
        dial: the dial.
        interval_ms: how long an interval is.
    """
    modulus, at = Decimal(repr(dial.modulus)), Decimal(repr(dial.start))
    waiting = list(dial.exchanges)
    values = [dial.start]
    for t, passed in zip(t_ms.tolist(), amount.tolist(), strict=True):
        at = (at + Decimal(repr(passed))) % modulus
        if waiting and t >= waiting[0].at.timestamp() * 1_000:
            # What passed up to here is what the old meter's last reading says, in the park document.
            at = Decimal(repr(waiting.pop(0).start))
        values.append(float(at))
    return np.concatenate([t_ms[:1] - interval_ms, t_ms]), np.array(values)


def dialled(readings: Readings, mapping: Mapping) -> Readings:
    """Return the readings with those columns that have a dial as the dial shows them."""
    columns = list(mapping.columns.values())
    if all(column.dial is None for column in columns):
        return readings
    t_ms, point, value = [], [], []
    for k, column in enumerate(columns):
        mine = readings.point == k
        t, v = readings.t_ms[mine], readings.value[mine]
        if column.dial is not None and len(t):
            order = np.argsort(t, kind="stable")
            t, v = shown(t[order], v[order], column.dial, mapping.time.interval_s * 1_000)
        t_ms.append(t)
        value.append(v)
        point.append(np.full(len(t), k, np.int16))
    every = np.concatenate(t_ms)
    order = np.argsort(every, kind="stable")
    return replace(readings, t_ms=every[order], point=np.concatenate(point)[order], value=np.concatenate(value)[order])
