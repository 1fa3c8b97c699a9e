"""A scenario as the stream of messages that reach the broker, in order of arrival, and the truth beside it.

Deterministic: the same scenario and seed give the same bytes. A stream is written to and read from a file of JSON
lines, one message each.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np

from edge.buffer import new_boot
from park.calendar import BUCKET_US
from park.wire import JSON, MAX_READINGS, Batch, Channel, Event, Status, Topic, encode, parse_topic
from simulators.business import Report, reports
from simulators.errors import DataError
from simulators.noise import key, raw, uniform
from simulators.quantities import MICRO
from simulators.series import Series, counted, readings
from simulators.transforms import CLOCK, COUNTER, DIAL, METER, TRUTH, WIRE, Parcel
from simulators.truth import Expected, FaultTruth, PointTruth, Truth, mark

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from simulators.faults import Expectation, Placed
    from simulators.parks import SimulatedFirm, SimulatedPark, SimulatedPoint
    from simulators.scenarios import Scenario
    from simulators.totals import Effect

_FORMAT: Final = 1
_LATENCY_US: Final = (80_000, 250_000)
_FUTURE_US: Final = 86_400_000_000
_HOUR_US: Final = 3_600_000_000
Message = Batch | Event | Status


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message as it reaches the broker.

    Attributes:
        at_us: when, microseconds since 1970.
        topic: where.
        message: what.
    """

    at_us: int
    topic: str
    message: Message

    def payload(self, content_type: str = JSON) -> bytes:
        """Return the message as bytes; only data travel as MessagePack."""
        return encode(self.message, content_type if isinstance(self.message, Batch) else JSON)


@dataclass(frozen=True, slots=True)
class Stream:
    """Everything that a scenario sends, by time of arrival, and what truly happened."""

    deliveries: tuple[Delivery, ...]
    truth: Truth

    def digest(self) -> str:
        """Return a hash of every byte of the stream: same scenario and seed, same digest."""
        digest = hashlib.sha256()
        for line in lines(self.deliveries):
            digest.update(line)
        return digest.hexdigest()


def build(scenario: Scenario) -> Stream:
    """Work out a scenario's stream and truth."""
    firms = [_exchanged(firm, scenario) for firm in scenario.park.firms]
    works = [_FirmWork(scenario, firm) for firm in firms]
    deliveries = [delivery for work in works for delivery in work.deliveries()]
    deliveries.sort(key=attrgetter("at_us"))
    park = replace(scenario.park, seed=scenario.seed, firms=tuple(firms))
    return Stream(tuple(deliveries), _truth(scenario, park, works, deliveries))


def _exchanged(firm: SimulatedFirm, scenario: Scenario) -> SimulatedFirm:
    """Return the firm with the meters that the scenario's faults of the layer `meter` put up."""
    points = {point.code: point for point in firm.points}
    for placed in scenario.faults:
        if placed.firm == firm.code and placed.point is not None and placed.kind.name in METER:
            points[placed.point] = METER[placed.kind.name](placed, firm, points[placed.point])
    return replace(firm, points=tuple(points.values()))


class _FirmWork:
    """The readings and batches of one firm."""

    def __init__(self, scenario: Scenario, firm: SimulatedFirm) -> None:
        self.scenario, self.firm = scenario, firm
        self.faults = [placed for placed in scenario.faults if placed.firm == firm.code]
        self.effects = self._effects()
        self.clocks = [placed for placed in self.faults if placed.kind.name in CLOCK]

    def _effects(self) -> list[Effect]:
        found = list[Any]()
        for placed in self.faults:
            if placed.kind.name in TRUTH:
                flow = self.firm.point(placed.point).flow.name if placed.point is not None else ""
                found += TRUTH[placed.kind.name](placed, flow)
        return found

    def series(self, point: SimulatedPoint) -> Series:
        """Return what a point's meter gives, with what is wrong with it, by the edge's clock."""
        scenario, own = self.scenario, [placed for placed in self.faults if placed.point == point.code]
        count = counted(self.firm, point, self.effects)
        for placed in own:
            if placed.kind.name in COUNTER:
                count = COUNTER[placed.kind.name](count, placed)
        found = readings(self.firm, point, count, scenario.start_us, scenario.end_us, scenario.step_s, self.effects)
        for placed in own:
            if placed.kind.name in DIAL:
                found = DIAL[placed.kind.name](found, placed, point)
        if self.clocks:
            t_us = found.t_us + self.clock_ahead(found.sent_us)
            found = Series(t_us, found.value, found.quality, found.sent_us, found.lane)
        return found

    def clock_ahead(self, t_us: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return how far the edge's clock is ahead at true times."""
        ahead = np.zeros(t_us.shape, np.int64)
        for placed in self.clocks:
            ahead = ahead + CLOCK[placed.kind.name](placed, t_us)
        return ahead

    def deliveries(self) -> Iterator[Delivery]:
        """Yield everything that the firm's edges send."""
        for edge in self.firm.edges:
            points = [point for point in self.firm.points if self.firm.edge_of(point) == edge]
            if points:
                yield from self._edge(edge, points)

    def _edge(self, edge: str, points: list[SimulatedPoint]) -> Iterator[Delivery]:
        found = [self.series(point) for point in points]
        index = np.repeat(np.arange(len(found), dtype=np.int32), [len(s.t_us) for s in found])
        whole = found[0]
        for more in found[1:]:
            whole = whole.and_then(more)
        order = np.asarray(np.lexsort((index, whole.t_us, whole.lane, whole.sent_us)), np.int64)
        index, whole = index[order], whole.keep(order)
        topic = Topic(self.scenario.park.code, self.firm.code, edge, Channel.DATA)
        parcels = self._parcels(whole, edge)
        boots = [self._boot(edge, g) for g in range(1 + max((p.generation for p in parcels), default=0))]
        yield from self._announcements(topic, boots)
        codes = [point.code for point in points]
        ahead_ms = self.clock_ahead(np.array([p.sent_us for p in parcels], np.int64)) // 1000
        for parcel, ahead in zip(parcels, ahead_ms.tolist(), strict=True):
            rows = slice(parcel.first, parcel.after)
            batch = _batch(codes, index, whole, rows, boots[parcel.generation], parcel.seq)
            sent_ms = min(parcel.at_us, max(parcel.sent_us, 0) + _LATENCY_US[0]) // 1000 + ahead
            yield Delivery(parcel.at_us, str(topic), msgspec.structs.replace(batch, sent=sent_ms))

    def _parcels(self, whole: Series, edge: str) -> list[Parcel]:
        """Cut the sorted readings into batches and send them on their way."""
        n = len(whole.t_us)
        if n == 0:
            return []
        new = (np.diff(whole.sent_us) != 0) | (np.diff(whole.lane) != 0)
        starts = [0, *(np.flatnonzero(new) + 1).tolist()]
        cuts = list[int]()
        for a, b in zip(starts, [*starts[1:], n], strict=True):
            cuts += range(a, b, MAX_READINGS)
        low, high = _LATENCY_US
        luck = uniform(key(self.scenario.seed, self.firm.code, edge, "latency"), 0, len(cuts))
        sent = whole.sent_us[cuts].tolist()
        parcels = [
            Parcel(sent[k] + low + int((high - low) * luck[k]), sent[k], 0, k, a, b)
            for k, (a, b) in enumerate(zip(cuts, [*cuts[1:], n], strict=True))
        ]
        wire = [placed for placed in self.faults if placed.kind.name in WIRE]
        # What was lost with a disk cannot arrive twice or late, so that comes first.
        wire.sort(key=lambda placed: placed.kind.name != "edge-restart-state-lost")
        for placed in wire:
            parcels = WIRE[placed.kind.name](parcels, placed, self.scenario.seed)
        return parcels

    def _boot(self, edge: str, generation: int) -> str:
        lost = [p for p in self.faults if p.kind.name == "edge-restart-state-lost"]
        at_us = self.scenario.start_us if generation == 0 else lost[generation - 1].end_us
        bits = raw(key(self.scenario.seed, self.firm.code, edge, "boot"), 2 * generation, 2)
        return new_boot(at_us // 1000, bits.tobytes()[:10])

    def _announcements(self, topic: Topic, boots: list[str]) -> Iterator[Delivery]:
        """Yield the status and events of an edge."""
        start_us = self.scenario.start_us
        status = str(Topic(topic.park, topic.firm, topic.edge, Channel.STATUS))
        event = str(Topic(topic.park, topic.firm, topic.edge, Channel.EVENT))
        yield Delivery(start_us, status, Status(online=True, boot=boots[0], at=start_us // 1000))
        yield Delivery(start_us, event, Event(kind="started", boot=boots[0], at=start_us // 1000))
        generation = 0
        for placed in self.faults:
            at_ms, boot = placed.start_us // 1000, boots[min(generation, len(boots) - 1)]
            name = placed.kind.name
            if name == "edge-restart-state-lost":
                generation += 1
                after_ms, boot = placed.end_us // 1000, boots[min(generation, len(boots) - 1)]
                yield Delivery(placed.end_us, event, Event(kind="state_lost", boot=boot, at=after_ms))
            elif name == "edge-offline":
                yield Delivery(placed.start_us, status, Status(online=False, boot=boot, at=at_ms))
                yield Delivery(placed.end_us, status, Status(online=True, boot=boot, at=placed.end_us // 1000))
            elif name == "clock-drift":
                yield from self._reported(status, placed, boot)
            elif name in {"clock-step-back", "clock-step-forward"}:
                sign = -1 if name == "clock-step-back" else 1
                for when_us, way in ((placed.start_us, sign), (placed.end_us, -sign)):
                    body: dict[str, str | float | int | bool | None] = {
                        "step_ms": round(way * placed["seconds"] * 1000)
                    }
                    yield Delivery(when_us, event, Event(kind="clock_step", boot=boot, at=when_us // 1000, body=body))
            elif name == "swap-with-event" and placed.point is not None:
                point = self.firm.point(placed.point)
                yield Delivery(
                    placed.start_us,
                    event,
                    Event(kind="meter_swap", boot=boot, at=at_ms, point=point.code, body=_swap(self.firm, point)),
                )

    def _reported(self, status: str, placed: Placed, boot: str) -> Iterator[Delivery]:
        """Yield the states in which a gateway that asks the time reports how far its clock is off, hour by hour."""
        hours = np.arange(placed.start_us + _HOUR_US, placed.end_us, _HOUR_US, dtype=np.int64)
        for at_us, ahead_us in zip(hours.tolist(), self.clock_ahead(hours).tolist(), strict=True):
            at_ms, offset_ms = (at_us + ahead_us) // 1000, ahead_us // 1000
            yield Delivery(at_us, status, Status(online=True, boot=boot, at=at_ms, clock_offset_ms=offset_ms))
        yield Delivery(
            placed.end_us, status, Status(online=True, boot=boot, at=placed.end_us // 1000, clock_offset_ms=0)
        )


def _swap(firm: SimulatedFirm, point: SimulatedPoint) -> dict[str, str | float | int | bool | None]:
    old, new = point.meters[-2], point.meters[-1]
    name, totals = point.flow.name, firm.totals
    passed = totals.now(name, new.from_us) - totals.now(name, max(old.from_us, totals.origin_us))
    return {
        "old_serial": old.serial,
        "last_reading": old.dial(old.ticks(passed)),
        "new_serial": new.serial,
        "first_reading": new.dial(new.start_ticks),
        "modulus": new.model.modulus,
        "multiplier": new.multiplier,
    }


def _batch(codes: list[str], index: NDArray[np.int32], whole: Series, rows: slice, boot: str, seq: int) -> Batch:
    used, where = np.unique(index[rows], return_inverse=True)
    once = len(used) == len(where) and bool(np.all(np.diff(where) > 0))
    quality = whole.quality[rows]
    return Batch(
        points=[codes[k] for k in used],
        t=(whole.t_us[rows] // 1000).tolist(),
        v=whole.value[rows].tolist(),
        i=None if once else where.tolist(),
        q=quality.tolist() if quality.any() else None,
        boot=boot,
        seq=seq,
    )


def _truth(
    scenario: Scenario, park: SimulatedPark, works: Sequence[_FirmWork], deliveries: Sequence[Delivery]
) -> Truth:
    first, last = scenario.start_us // BUCKET_US, scenario.end_us // BUCKET_US
    bucket_us = np.arange(first, last, dtype=np.int64) * BUCKET_US
    points: list[PointTruth] = []
    micro: list[NDArray[np.int64]] = []
    quantity: list[NDArray[np.float64]] = []
    expected: list[NDArray[np.uint8]] = []
    flows: list[tuple[str, str]] = []
    flow_micro: list[NDArray[np.int64]] = []
    for work in works:
        firm = work.firm
        for name in firm.totals.flows:
            flows.append((firm.code, name))
            flow_micro.append(firm.totals.buckets(name, first, last - first, work.effects))
        for point in firm.points:
            touching = [p for p in work.faults if p.point == point.code or p.kind.acts_on == "firm"]
            row = firm.totals.buckets(point.flow.name, first, last - first, work.effects)
            micro.append(row)
            quantity.append(row / (MICRO * point.base_per_unit))
            expected.append(_expected(point, touching, bucket_us, scenario))
            points.append(_point_truth(firm, point, [p.kind.expect for p in touching]))
    held = _held(deliveries, points, scenario.end_us)
    return Truth(
        scenario=scenario.name,
        seed=scenario.seed,
        park=park.definition,
        points=tuple(points),
        bucket_us=bucket_us,
        micro=np.array(micro),
        quantity=np.array(quantity),
        expected=np.array(expected),
        flows=tuple(flows),
        flow_micro=np.array(flow_micro),
        faults=tuple(_fault_truth(placed) for placed in scenario.faults),
        reports=tuple(_reports(scenario, park, works)),
        deflators=park.deflators,
        messages=sum(isinstance(d.message, Batch) for d in deliveries),
        **held,
    )


def _reports(scenario: Scenario, park: SimulatedPark, works: Sequence[_FirmWork]) -> list[Report]:
    effects = {work.firm.code: work.effects for work in works}
    return reports(park, scenario.start_us, scenario.end_us, effects=effects)


def _point_truth(firm: SimulatedFirm, point: SimulatedPoint, touching: Sequence[Expectation]) -> PointTruth:
    step = point.meters[-1].model.resolution * point.meters[-1].multiplier if point.meters else 0.0
    return PointTruth(
        firm=firm.code,
        code=point.code,
        kind=str(point.kind),
        carrier=point.flow.carrier,
        direction=str(point.flow.direction),
        unit=point.unit,
        flow=point.flow.name,
        product=point.flow.product,
        interval_s=point.interval_s,
        conserved=all(expect.conserved for expect in touching),
        with_held=any(expect.with_held for expect in touching),
        step=step,
    )


def _fault_truth(placed: Placed) -> FaultTruth:
    expect = placed.kind.expect
    return FaultTruth(
        fault=placed.kind.name,
        firm=placed.firm,
        point=placed.point,
        start_us=placed.start_us,
        end_us=placed.end_us,
        values=placed.values,
        alert=expect.alert,
        buckets=expect.buckets,
        step=expect.step,
        wire=expect.wire,
        conserved=expect.conserved,
    )


def _expected(
    point: SimulatedPoint, touching: Sequence[Placed], bucket_us: NDArray[np.int64], scenario: Scenario
) -> NDArray[np.uint8]:
    """Return what the ledger should hold in each bucket of a point."""
    row = np.zeros(len(bucket_us), np.uint8)
    step_us = (scenario.step_s if point.meters else point.interval_s) * 1_000_000
    for placed in touching:
        state = Expected[placed.kind.expect.buckets.upper()]
        if state is Expected.MEASURED:
            continue
        if (placed.kind.marks or placed.kind.span) == "instant":
            # The odd reading and its neighbours: from the one before it to the one after it.
            first_us = (placed.start_us - 1) // step_us * step_us
            last_us = first_us + 2 * step_us + (step_us if state is Expected.ANY else 0)
        else:
            first_us = placed.start_us // step_us * step_us
            last_us = -(-placed.end_us // step_us) * step_us
            if placed.kind.layer == "clock":
                # A clock that is put right leaves its last reading in a neighbour's place.
                shift_us = round(abs(placed.values.get("seconds", 0.0))) * 1_000_000
                first_us, last_us = first_us - step_us - shift_us, last_us + step_us + shift_us
            elif state is Expected.ANY:
                last_us += step_us
        mark(row, bucket_us, first_us, last_us, state)
    return row


def _held(deliveries: Sequence[Delivery], points: Sequence[PointTruth], end_us: int) -> dict[str, Any]:
    """Return what the database should hold: of each point and instant the value that came first."""
    rows = {(point.firm, point.code): k for k, point in enumerate(points)}
    point, t_ms, value, quality = list[int](), list[int](), list[float](), list[int]()
    topics = dict[str, str]()
    for delivery in deliveries:
        batch = delivery.message
        if isinstance(batch, Batch):
            firm = topics.setdefault(delivery.topic, parse_topic(delivery.topic).firm)
            known = [rows[firm, code] for code in batch.points]
            point += [known[i] for i in batch.indices]
            t_ms += batch.t
            value += batch.values
            quality += batch.q or [0] * len(batch.t)
    p, t = np.array(point, np.int32), np.array(t_ms, np.int64)
    v, q = np.array(value, np.float64), np.array(quality, np.uint8)
    future = t * 1000 > end_us + _FUTURE_US
    order = np.lexsort((np.arange(len(p)), t, p))
    order = order[~future[order]]
    p, t, v, q = p[order], t[order], v[order], q[order]
    first = np.ones(len(p), bool)
    first[1:] = (np.diff(p) != 0) | (np.diff(t) != 0)
    leader = np.maximum.accumulate(np.where(first, np.arange(len(p)), 0))
    other = ~first & ((v != v[leader]) | (q != q[leader]))
    # One second value that comes twice is one conflict.
    where = np.flatnonzero(other)
    conflicts = len(set(zip(leader[where].tolist(), v[where].tolist(), q[where].tolist(), strict=True)))
    return {
        "reading_point": p[first],
        "reading_t_us": t[first] * 1000,
        "reading_value": v[first],
        "reading_quality": q[first],
        "conflicts": conflicts,
        "quarantined": len(set(zip(np.array(point)[future].tolist(), np.array(t_ms)[future].tolist(), strict=True))),
    }


def lines(deliveries: Sequence[Delivery]) -> Iterator[bytes]:
    """Yield a stream as JSON lines, the first of which names the format."""
    encoder = msgspec.json.Encoder()
    yield encoder.encode({"format": "greenpark stream", "version": _FORMAT}) + b"\n"
    for delivery in deliveries:
        entry = {"at_us": delivery.at_us, "topic": delivery.topic, "message": delivery.message}
        yield encoder.encode(entry) + b"\n"


def write(deliveries: Sequence[Delivery], path: str | os.PathLike[str]) -> None:
    """Write a stream to a file."""
    with open(path, "wb") as file:  # noqa: PTH123
        file.writelines(lines(deliveries))


class _Line(msgspec.Struct, frozen=True):
    at_us: int
    topic: str
    message: msgspec.Raw


_KINDS: Final = {Channel.DATA: Batch, Channel.STATUS: Status, Channel.EVENT: Event}


def load(path: str | os.PathLike[str]) -> Iterator[Delivery]:
    """Read a stream from a file, line by line, or raise `DataError` naming the line."""
    with open(path, "rb") as file:  # noqa: PTH123
        for number, line in enumerate(file, 1):
            try:
                if number == 1:
                    head = msgspec.json.decode(line)
                    if head != {"format": "greenpark stream", "version": _FORMAT}:
                        raise DataError(str(path), "line 1", f"expected a stream of version {_FORMAT}")
                    continue
                entry = msgspec.json.decode(line, type=_Line)
                kind: Any = _KINDS[parse_topic(entry.topic).channel]
                yield Delivery(entry.at_us, entry.topic, msgspec.json.decode(entry.message, type=kind))
            except (msgspec.DecodeError, KeyError, UnicodeDecodeError) as error:
                raise DataError(str(path), f"line {number}", f"not a message of a stream: {error}") from None
