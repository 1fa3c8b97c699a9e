"""Meters that are exchanged, or whose multiplier was wrong: the installations of a point before and after."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from park.errors import MeterError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from park.points import Installation


def installed_at(meters: Sequence[Installation], at: datetime) -> Installation | None:
    """Return the meter that stood there at `at`."""
    for meter in meters:
        if meter.valid_from <= at and (meter.valid_to is None or at < meter.valid_to):
            return meter
    return None


def replaced(meters: Sequence[Installation], fresh: Installation, last_reading: float | None) -> list[Installation]:
    """Return the installations after `fresh` was put up at its `valid_from`.

    The meter that stood there then ends with `last_reading`; a meter that was to follow it follows the fresh one.

    Raises:
        MeterError: a meter began at this very instant, or a number is not possible.
    """
    at = fresh.valid_from
    _possible(fresh)
    if any(meter.valid_from == at for meter in meters):
        raise MeterError(f"a meter begins at {at:%Y-%m-%dT%H:%M:%SZ} already; nothing was changed")
    old = installed_at(meters, at)
    later = [meter.valid_from for meter in meters if meter.valid_from > at]
    fresh = replace(fresh, valid_to=min(later, default=None))
    kept = [replace(meter, valid_to=at, last_reading=last_reading) if meter is old else meter for meter in meters]
    return sorted([*kept, fresh], key=lambda meter: meter.valid_from)


def corrected(
    meters: Sequence[Installation], multiplier: float, since: datetime | None, dial: float | None = None
) -> list[Installation]:
    """Return the installations with another multiplier, from `since` on (None: all of the newest meter's time).

    Where `since` lies within a meter's time, that meter is listed twice, joined at `dial`, what it showed at `since`.
    Meters that follow it keep their own multipliers.

    Raises:
        MeterError: there is no meter then, it has this multiplier already, or the multiplier is not positive.
    """
    meter = (meters[-1] if meters else None) if since is None else installed_at(meters, since)
    if meter is None:
        raise MeterError("no meter stands there then; `greenpark meter list` shows when")
    if not 0 < multiplier < float("inf"):
        raise MeterError("a multiplier is positive")
    if multiplier == meter.multiplier:
        raise MeterError(f"meter {meter.serial} has the multiplier {multiplier:g} already")
    if since is None or since == meter.valid_from:
        parts = [replace(meter, multiplier=multiplier)]
    else:
        parts = [
            replace(meter, valid_to=since, last_reading=dial),
            replace(meter, valid_from=since, first_reading=dial, multiplier=multiplier),
        ]
    return [part for each in meters for part in (parts if each is meter else [each])]


def _possible(meter: Installation) -> None:
    if not meter.serial.strip():
        raise MeterError("a meter has a serial number")
    for name in ("multiplier", "modulus", "resolution"):
        number = getattr(meter, name)
        if number is not None and not 0 < number < float("inf"):
            raise MeterError(f"{name} is positive, not {number:g}")
    if meter.first_reading is not None and meter.modulus is not None and meter.first_reading >= meter.modulus:
        raise MeterError(f"a dial of {meter.modulus:g} cannot show {meter.first_reading:g}")
