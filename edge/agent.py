"""One edge agent: polls its meters, writes what they say to disk, lets the uplink carry it away."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, NamedTuple

import structlog

from edge import metrics
from edge.clock import Clock, look, next_tick
from edge.drivers import open_driver
from edge.errors import BufferFullError, PushRefusedError
from edge.pushed import keep, key_of, merged, opened
from edge.silence import Silence
from edge.uplink import Uplink, program_version
from edge.waiting import either, happens
from park.wire import Batch, Event

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from edge.buffer import Depth
    from edge.config import DeviceConfig, EdgeConfig
    from edge.disk import Disk
    from edge.drivers import Driver
    from edge.silence import Change

_MAX_BATCH_READINGS: Final = 5000
_LOOK_EVERY_S: Final = 1.0
_SUMMARY_EVERY_S: Final = 60.0
_FULL_AGAIN_S: Final = 600.0


class Reading(NamedTuple):
    """One value on its way into a batch."""

    point: str
    at_ms: int
    value: float
    quality: int


class Agent:
    """The agent of one `EdgeConfig`.

    Args:
        disk: its buffer, open; the caller closes it.
        drivers: by device name; those left out are opened from the configuration.
        version: of the pushed configuration that `config` holds already; 0: it is the file's.
    """

    def __init__(
        self,
        config: EdgeConfig,
        disk: Disk,
        *,
        drivers: dict[str, Driver] | None = None,
        clock: Clock | None = None,
        uplink: Uplink | None = None,
        version: int = 0,
    ) -> None:
        """Open the drivers; none connects before its first poll. Raises `ConfigError`."""
        self.version = version
        self._key = key_of(config)
        self._next: EdgeConfig | None = None
        self._changed = asyncio.Event()
        self.config = config
        self._disk = disk
        self._clock = clock or Clock()
        given = drivers or {}
        self._drivers = {d.name: given.get(d.name) or open_driver(d) for d in config.devices}
        takes = self.pushed if self._key is not None else None
        self.uplink = uplink or Uplink(config, disk, clock=self._clock, on_config=takes)
        self._collected: list[Reading] = []
        self._full_until_s = 0.0
        self._label = config.topic.user
        self._log = structlog.get_logger().bind(edge=self._label)
        self._readings = 0

    async def run(self, stop: asyncio.Event) -> None:
        """Run until `stop`: then finish the polls, write what is collected, say offline.

        Raises:
            DiskBufferError: in an exception group; the buffer's file failed.
        """
        body: dict[str, str | float | int | bool | None] = {
            "version": program_version(),
            "fresh": self._disk.buffer.fresh,
            "buffered_batches": self._disk.buffer.depth.batches,
            "config_version": self.version,
        }
        await self.uplink.report(self._event("started", body=body))
        unlink = asyncio.Event()
        try:
            async with asyncio.TaskGroup() as outer:
                outer.create_task(self.uplink.run(unlink), name=f"{self._label}: uplink")
                try:
                    await self._work(stop)
                    await self._flush()
                    await self.uplink.report(self._event("stopped"))
                finally:
                    unlink.set()
        finally:
            for driver in self._drivers.values():
                await driver.close()

    async def pushed(self, payload: bytes) -> None:
        """Take a pushed configuration: check it, keep it, and let polling begin anew with it.

        The buffer and the connection go on as they are. What is refused is reported and changes nothing.
        """
        assert self._key is not None
        try:
            push = opened(payload, self._label, self._key)
            if push.version <= self.version:
                # The broker hands the retained one out at every connection.
                self._log.debug("config_known", version=push.version, holds=self.version)
                return
            config = merged(self.config, push)
            await asyncio.to_thread(keep, config, payload)
        except (PushRefusedError, OSError) as error:
            body: dict[str, str | float | int | bool | None] = {"reason": str(error), "holds": self.version}
            await self.uplink.report(self._event("config_refused", body=body))
            return
        self.version, self._next = push.version, config
        self._changed.set()

    async def _work(self, stop: asyncio.Event) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._watch_clock(stop), name=f"{self._label}: clock")
            group.create_task(self._summarize(stop), name=f"{self._label}: summary")
            group.create_task(self._measure(stop), name=f"{self._label}: polling")

    async def _measure(self, stop: asyncio.Event) -> None:
        """Poll until `stop`, with the configuration that holds: a pushed one takes over between two polls."""
        while True:
            halt = asyncio.Event()
            async with asyncio.TaskGroup() as group:
                for device in self.config.devices:
                    group.create_task(self._poll(device, halt), name=f"{self._label}: poll {device.name}")
                if self.config.batch_s > 0:
                    group.create_task(self._collect(halt), name=f"{self._label}: collect")
                await either(stop, self._changed)
                halt.set()
            if stop.is_set():
                return
            await self._take_over()

    async def _take_over(self) -> None:
        self._changed.clear()
        if (config := self._next) is None:
            return
        await self._flush()
        for driver in self._drivers.values():
            await driver.close()
        self.config = config
        self._drivers = {device.name: open_driver(device) for device in config.devices}
        body: dict[str, str | float | int | bool | None] = {
            "version": self.version,
            "devices": len(config.devices),
            "points": sum(len(device.points) for device in config.devices),
        }
        await self.uplink.report(self._event("config_applied", body=body))

    async def _poll(self, device: DeviceConfig, stop: asyncio.Event) -> None:
        driver = self._drivers[device.name]
        silence = Silence(self.config.silent_after)
        last_s: float | None = None
        while True:
            now_s = self._clock.wall_s()
            tick_s = next_tick(now_s, device.poll_s, last_s)
            if last_s is not None and 1.5 * device.poll_s < tick_s - last_s < 100 * device.poll_s:
                metrics.TICKS_SKIPPED.labels(self._label).inc(round((tick_s - last_s) / device.poll_s) - 1)
            if await happens(stop, tick_s - now_s):
                return
            last_s = tick_s
            await self._read(device, driver, silence)

    async def _read(self, device: DeviceConfig, driver: Driver, silence: Silence) -> None:
        began_s, began_mono = self._clock.wall_s(), self._clock.monotonic_s()
        samples = await driver.read()
        took_s = self._clock.monotonic_s() - began_mono
        at_ms = round((began_s + took_s / 2) * 1000)
        readings = []
        for sample in samples:
            if sample.value is None:
                metrics.READINGS_ABSENT.labels(self._label, sample.reason).inc()
            else:
                own_ms = at_ms if sample.at_ms is None else sample.at_ms
                readings.append(Reading(sample.point, own_ms, sample.value, int(sample.quality)))
        outcome = "ok" if len(readings) == len(samples) else "partial" if readings else "silent"
        metrics.POLLS.labels(self._label, device.name, outcome).inc()
        metrics.POLL_SECONDS.labels(self._label).observe(took_s)
        self._log.debug("polled", device=device.name, readings=len(readings), outcome=outcome, took_s=round(took_s, 4))
        if self.config.batch_s > 0:
            self._collected += readings
            if len(self._collected) >= _MAX_BATCH_READINGS:
                await self._flush()
        else:
            await self._write(readings)
        for change in silence.observe(samples):
            await self.uplink.report(self._silence_event(device, change))

    async def _collect(self, stop: asyncio.Event) -> None:
        while not await happens(stop, self.config.batch_s):
            await self._flush()

    async def _flush(self) -> None:
        readings, self._collected = self._collected, []
        await self._write(readings)

    async def _write(self, readings: Sequence[Reading]) -> None:
        for batch in make_batches(readings):
            try:
                written = await self._disk.call(
                    self._disk.buffer.append, batch, self._clock.now_ms(), self.config.uplink.content_type
                )
            except BufferFullError as error:
                metrics.GIVEN_UP_READINGS.labels(self._label).inc(len(batch.t))
                await self._say_full(str(error), len(batch.t))
                continue
            self._readings += len(batch.t)
            metrics.READINGS.labels(self._label).inc(len(batch.t))
            self.uplink.wake()
            if written.given_up.batches:
                await self._count_given_up(written.given_up)

    async def _count_given_up(self, given_up: Depth) -> None:
        metrics.GIVEN_UP_BATCHES.labels(self._label).inc(given_up.batches)
        metrics.GIVEN_UP_READINGS.labels(self._label).inc(given_up.readings)
        await self._say_full("the oldest batches are given up", given_up.readings)

    async def _say_full(self, reason: str, readings: int) -> None:
        """Report a full buffer once, and again only after it has had room for a while."""
        now_s = self._clock.monotonic_s()
        is_news = now_s >= self._full_until_s
        self._full_until_s = now_s + _FULL_AGAIN_S
        if is_news:
            depth = self._disk.buffer.depth
            body: dict[str, str | float | int | bool | None] = {
                "reason": reason,
                "readings": readings,
                "buffered_batches": depth.batches,
                "buffered_bytes": depth.bytes,
            }
            await self.uplink.report(self._event("buffer_full", body=body))

    async def _watch_clock(self, stop: asyncio.Event) -> None:
        watch, _ = look(None, self._clock.wall_s(), self._clock.monotonic_s())
        while not await happens(stop, _LOOK_EVERY_S):
            watch, step_s = look(watch, self._clock.wall_s(), self._clock.monotonic_s())
            if step_s:
                metrics.CLOCK_STEPS.labels(self._label).inc()
                await self.uplink.report(self._event("clock_step", body={"step_ms": round(step_s * 1000)}))

    async def _summarize(self, stop: asyncio.Event) -> None:
        before = 0
        while not await happens(stop, _SUMMARY_EVERY_S):
            depth = self._disk.buffer.depth
            self._log.info(
                "edge_summary",
                readings=self._readings - before,
                buffered_batches=depth.batches,
                buffered_bytes=depth.bytes,
            )
            before = self._readings

    def _event(
        self, kind: str, point: str | None = None, body: dict[str, str | float | int | bool | None] | None = None
    ) -> Event:
        return Event(kind, self._disk.buffer.boot, self._clock.now_ms(), point=point, body=body or {})

    def _silence_event(self, device: DeviceConfig, change: Change) -> Event:
        body: dict[str, str | float | int | bool | None] = {"device": device.name}
        if change.silent:
            body["reason"] = change.reason
        return self._event("meter_silent" if change.silent else "meter_back", change.point, body)


def make_batches(readings: Sequence[Reading], most: int = _MAX_BATCH_READINGS) -> Iterator[Batch]:
    """Turn readings into batches of columns, at most `most` readings each, without number yet."""
    for start in range(0, len(readings), most):
        part = readings[start : start + most]
        index = {point: k for k, point in enumerate(dict.fromkeys(reading.point for reading in part))}
        yield Batch(
            points=list(index),
            t=[reading.at_ms for reading in part],
            v=[reading.value for reading in part],
            i=None if len(index) == len(part) else [index[reading.point] for reading in part],
            q=[reading.quality for reading in part] if any(reading.quality for reading in part) else None,
        )
