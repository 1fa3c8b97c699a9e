"""A scenario gives one stream, bit for bit, and a truth that the platform's own ledger agrees with."""

from __future__ import annotations

from collections import Counter
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

import simulators
from park.buckets import Buckets, consumption
from park.definition import check_definition
from park.points import Installation, Kind, Point
from park.registers import Step
from park.wire import JSON, MSGPACK, Batch, Event, Status, decode_batch, decode_event, decode_status, parse_topic
from simulators.catalogue import document, listing
from simulators.errors import DataError, UnknownName
from simulators.faults import catalogue, fault, load_catalogue
from simulators.firms import profile, profiles
from simulators.play import play
from simulators.scenarios import load_scenario, scenario, scenarios
from simulators.stream import Delivery, Stream, build, load, write
from simulators.transforms import CLOCK, COUNTER, DIAL, METER, TRUTH, WIRE
from simulators.truth import Expected
from simulators.truth import load as load_truth

if TYPE_CHECKING:
    from park.definition import PointDefinition
    from simulators.truth import FaultTruth, Truth

HEAD = """
name: t
description: A test.
description_zh: 测试
firms:
  - {code: f01, name_zh: 厂, name_en: F, profile: pcb, points: all}
  - {code: f02, name_zh: 厂, name_en: G, profile: auto-parts}
start: 2026-03-18T00:00:00+08:00
days: 1
step_s: 900
"""


@cache
def shipped(name: str) -> Stream:
    """A shipped scenario's stream, built once."""
    return build(scenario(name))


def small(*faults: str, head: str = HEAD) -> Stream:
    """A day of two firms with some faults."""
    listed = "".join(f"\n  - {{{given}}}" for given in faults) or " []"
    return build(load_scenario(f"{head}faults:{listed}\n", "t.yaml"))


def batches(stream: Stream, firm: str) -> list[tuple[int, Batch]]:
    """Arrival and batch of each data message of a firm."""
    return [
        (d.at_us, d.message)
        for d in stream.deliveries
        if isinstance(d.message, Batch) and parse_topic(d.topic).firm == firm
    ]


def ledger(truth: Truth, row: int) -> Buckets:
    """What the platform's own ledger makes of the readings of a row."""
    about = truth.points[row]
    point: PointDefinition = next(
        p for f in truth.park.firms if f.code == about.firm for p in f.points if p.code == about.code
    )
    subject = Point(
        1, 1, point.code, Kind.REGISTER, point.carrier, point.direction, point.unit, point.interval_s,
        rate_limit_per_h=point.rate_limit_per_h,
    )  # fmt: skip
    meters = [
        Installation(
            k, m.serial, m.modulus, m.multiplier, m.valid_from, m.valid_to, m.first_reading, m.last_reading
        )
        for k, m in enumerate(point.installations)
    ]  # fmt: skip
    own = truth.reading_point == row
    quality = truth.reading_quality[own].astype(np.int16)
    return consumption(
        subject, meters, truth.reading_t_us[own], truth.reading_value[own], quality,
        first_us=int(truth.bucket_us[0]), count=len(truth.bucket_us),
    )  # fmt: skip


def faults_at(truth: Truth, row: int) -> list[FaultTruth]:
    """The faults that touch a row."""
    about = truth.points[row]
    return [f for f in truth.faults if f.firm == about.firm and f.point in {None, about.code}]


@pytest.mark.parametrize("name", ["everyday", "network"])
def test_one_seed_gives_one_stream_and_another_seed_another(name: str):
    """Two runs with one seed are identical to the last byte, truth included."""
    again = build(scenario(name))
    assert again.digest() == shipped(name).digest()
    np.testing.assert_array_equal(again.truth.micro, shipped(name).truth.micro)
    np.testing.assert_array_equal(again.truth.reading_value, shipped(name).truth.reading_value)
    assert build(scenario(name, seed=99)).digest() != again.digest()


def test_enough_is_shipped_and_each_has_a_description():
    """At least ten profiles, thirty faults and twelve scenarios, each described in two languages."""
    assert len(profiles()) >= 10
    assert len(catalogue()) >= 30
    assert len(scenarios()) >= 12
    assert {"everyday", "catalogue", "quiet"} <= set(scenarios())
    for name in profiles():
        assert profile(name).name == name
        assert profile(name).description
        assert profile(name).description_zh
    for name in scenarios():
        assert scenario(name).name == name
        assert scenario(name).description
        assert scenario(name).description_zh
    assert all(kind.description and kind.description_zh and kind.platform for kind in catalogue().values())
    for entries in listing().values():
        assert len({entry["name"] for entry in entries}) == len(entries)
        assert all(entry["description"] and entry["description_zh"] for entry in entries)


def test_the_readme_says_what_is_shipped():
    """The tables of profiles, faults and scenarios are those of the data files."""
    readme = (Path(simulators.__file__).parent / "README.md").read_text("utf-8")
    assert readme.endswith(document()), "write it again with simulators.catalogue.document()"


def test_every_fault_is_built_and_the_catalogue_scenario_has_them_all():
    """Each fault of the catalogue has exactly one transformation, on the layer that it says, and is played once."""
    tables = {"truth": TRUTH, "counter": COUNTER, "meter": METER, "dial": DIAL, "clock": CLOCK, "wire": WIRE}
    for kind in catalogue().values():
        assert [layer for layer, known in tables.items() if kind.name in known] == [kind.layer]
    assert sum(len(known) for known in tables.values()) == len(catalogue())
    played = Counter(f.fault for f in shipped("catalogue").truth.faults)
    assert set(played) == set(catalogue())
    assert set(played.values()) == {1}


@pytest.mark.parametrize("name", scenarios())
def test_every_scenario_gives_valid_messages_in_order_of_arrival(name: str):
    """Everything in a stream decodes under the wire contract, and the park document is valid."""
    stream = shipped(name)
    check_definition(stream.truth.park, name)
    at_us = [d.at_us for d in stream.deliveries]
    assert at_us == sorted(at_us)
    known = {(f.code, p.edge, p.code) for f in stream.truth.park.firms for p in f.points}
    for k, delivery in enumerate(stream.deliveries):
        address = parse_topic(delivery.topic)
        if isinstance(delivery.message, Batch):
            if k % 7 == 0:
                assert decode_batch(delivery.payload(JSON), JSON) == delivery.message
                assert decode_batch(delivery.payload(MSGPACK), MSGPACK) == delivery.message
            assert all((address.firm, address.edge, code) in known for code in delivery.message.points)
        elif isinstance(delivery.message, Event):
            assert decode_event(delivery.payload()) == delivery.message
        else:
            assert isinstance(delivery.message, Status)
            assert decode_status(delivery.payload(MSGPACK)) == delivery.message


# A register that was frozen for more than a week and then catches up is held for a person.
UNSETTLED = {"frozen-value"}


@pytest.mark.parametrize("name", scenarios())
def test_the_ledger_finds_the_truth_wherever_it_can(name: str):
    """From the stream's readings the platform's ledger gets every expected bucket right to a step of the dial."""
    truth = shipped(name).truth
    for row, about in enumerate(truth.points):
        touching = faults_at(truth, row)
        if about.kind != "register" or {f.fault for f in touching} & UNSETTLED:
            continue
        found = ledger(truth, row)
        covered = np.where(found.measured_s > 899.9, 0, np.where(found.measured_s + found.estimated_s > 899.9, 1, 2))
        expected, place = truth.expected[row], (about.firm, about.code, [f.fault for f in touching])
        assert np.all(covered[expected == Expected.MEASURED] == 0), place
        assert np.all(covered[expected == Expected.ESTIMATED] == 1), place
        assert np.all(covered[expected == Expected.MISSING] == 2), place
        assert np.all(covered[expected == Expected.KNOWN] < 2), place
        value = np.nan_to_num(found.measured) + np.nan_to_num(found.estimated)
        near = expected == Expected.MEASURED
        assert np.abs(value - truth.quantity[row])[near].max() < 2.5 * about.step + 1e-9, place
        if about.conserved:
            assert about.with_held or not found.held.any(), place
            assert abs(value.sum() + found.held.sum() - truth.quantity[row].sum()) < 4 * about.step, place


STEPS = {
    "rollover": Step.ROLLOVER,
    "held_reset": Step.HELD_RESET,
    "held": Step.HELD_RESET | Step.HELD_IMPLAUSIBLE,
    "glitch": Step.GLITCH,
    "gap": Step.GAP,
    "swap": Step.SWAP,
}


@pytest.mark.parametrize("name", ["glitches", "meter-exchange", "network"])
def test_register_faults_are_of_the_class_that_the_catalogue_says(name: str):
    """A rollover is a rollover, a reset is held, a gap is a gap: at the fault's own buckets."""
    truth = shipped(name).truth
    seen = 0
    for row in range(len(truth.points)):
        for placed in faults_at(truth, row):
            # A spike is passed over in silence: nothing in a bucket tells of it but the gap that it leaves.
            if placed.step not in STEPS or placed.fault == "spike" or not truth.quantity[row].any():
                continue
            found = ledger(truth, row)
            near = (truth.bucket_us > placed.start_us - 2_700_000_000) & (truth.bucket_us < placed.end_us + 900_000_000)
            flags = int(np.bitwise_or.reduce(found.flags[near]))
            assert flags & STEPS[placed.step], (placed, flags)
            seen += 1
    assert seen >= 3


def test_the_truth_of_a_leak_is_in_the_truth_file():
    """Leak, drift and pump stop change the truth beside the stream, and every firm's water still closes."""
    truth = shipped("water").truth
    for firm in {point.firm for point in truth.points}:
        fresh, out = truth.flow(firm, "fresh_water"), truth.flow(firm, "wastewater")
        gap = fresh - out - truth.flow(firm, "water.consumed") - truth.flow(firm, "water.leaked")
        # Each of the flows is rounded by itself while a share of another flow is added to it.
        assert np.abs(gap).max() <= 2
    calm = build(scenario("quiet")).truth
    assert truth.flow("f06", "water.leaked").max() > 10 * calm.flow("f06", "water.leaked").max()
    assert truth.flow("f01", "recirculated_water").min() == 0


@pytest.mark.parametrize(
    ("given", "firm"),
    [
        ("fault: night-time-waste, firm: f01, point: E-003, after_h: 2, lasts_h: 20", "f01"),
        ("fault: compressed-air-leak, firm: f02, point: E-002, after_h: 2, lasts_h: 20", "f02"),
        ("fault: efficiency-loss, firm: f01, point: E-002, after_h: 2, lasts_h: 20", "f01"),
    ],
)
def test_parent_equals_children_and_loss_under_every_waste(given: str, firm: str):
    """What is wasted below a sub-meter passes the main meter too."""
    truth = small(given).truth
    parts = [name for who, name in truth.flows if who == firm and name.startswith("electricity.")]
    total = sum(truth.flow(firm, name) for name in parts)
    assert np.abs(truth.flow(firm, "electricity") - total).max() <= 2
    plain = small().truth
    assert truth.flow(firm, "electricity").sum() > plain.flow(firm, "electricity").sum()


def test_duplicates_arrive_twice_and_count_once():
    """More messages, the same readings."""
    plain = small()
    twice = small("fault: duplicates, firm: f01, after_h: 2, lasts_h: 10, values: {share: 1.0}")
    names = Counter((b.boot, b.seq) for _, b in batches(twice, "f01"))
    assert sorted(set(names.values())) == [1, 2]
    assert twice.truth.messages == plain.truth.messages + sum(n == 2 for n in names.values())
    np.testing.assert_array_equal(twice.truth.reading_value, plain.truth.reading_value)
    assert twice.truth.conflicts == 0


def test_disorder_and_lateness_change_only_the_arrival():
    """Hours late, thirty days late, out of order, offline: the same readings at other times."""
    plain = small()
    for given in (
        "fault: out-of-order, firm: f01, after_h: 2, lasts_h: 10",
        "fault: hours-late, firm: f01, after_h: 2, lasts_h: 10",
        "fault: thirty-days-late, firm: f01, after_h: 2, lasts_h: 10",
        "fault: edge-offline, firm: f01, after_h: 2, lasts_h: 10",
        "fault: broker-restart, firm: f01, after_h: 2, lasts_h: 1",
    ):
        other = small(given)
        assert [b.t for _, b in batches(other, "f01")] != [b.t for _, b in batches(plain, "f01")] or (
            [at for at, _ in batches(other, "f01")] != [at for at, _ in batches(plain, "f01")]
        )
        np.testing.assert_array_equal(other.truth.reading_value, plain.truth.reading_value)
        np.testing.assert_array_equal(other.truth.reading_t_us, plain.truth.reading_t_us)
    late = small("fault: thirty-days-late, firm: f01, after_h: 2, lasts_h: 10")
    after_ms = max(at / 1000 - max(b.t) for at, b in batches(late, "f01"))
    assert after_ms > 30 * 86_400_000


def test_an_offline_edge_is_silent_and_then_sends_in_order():
    """Nothing arrives while the uplink is away; the backlog comes in the order of its numbers."""
    stream = small("fault: edge-offline, firm: f01, after_h: 2, lasts_h: 10")
    start, end = stream.truth.faults[0].start_us, stream.truth.faults[0].end_us
    arrived = batches(stream, "f01")
    assert not [at for at, _ in arrived if start + 1_000_000 < at < end]
    backlog = [b.seq for _, b in arrived if start < min(b.t) * 1000 < end]
    assert len(backlog) == 39
    assert backlog == sorted(backlog, key=lambda seq: seq or 0)
    online = [d.message.online for d in stream.deliveries if isinstance(d.message, Status) and "/f01/" in d.topic]
    assert online == [True, False, True]


def test_a_gateway_that_lost_its_state_starts_again_under_a_new_boot():
    """The lost hours are absent, numbering starts at zero under a later boot, and an event says so."""
    stream = small("fault: edge-restart-state-lost, firm: f01, after_h: 6.1, lasts_h: 3")
    start, end = stream.truth.faults[0].start_us, stream.truth.faults[0].end_us
    boots: dict[str | None, list[int]] = {}
    for _, batch in batches(stream, "f01"):
        boots.setdefault(batch.boot, []).append(batch.seq or 0)
        assert not any(start < t * 1000 < end for t in batch.t)
    assert len(boots) == 2
    assert all(numbers == list(range(len(numbers))) for numbers in boots.values())
    first, second = (boot or "" for boot in boots)
    assert first < second
    events = [d.message for d in stream.deliveries if isinstance(d.message, Event) and d.message.kind == "state_lost"]
    assert [event.boot for event in events] == [second]


def test_second_values_and_future_times_are_counted():
    """Conflicts and quarantine are known beforehand, and the first value stays the true one."""
    plain = small()
    both = small(
        "fault: duplicates-with-another-value, firm: f01, point: W-001, after_h: 3, lasts_h: 2",
        "fault: future-times, firm: f01, point: E-001, after_h: 12, lasts_h: 1",
        "fault: production-revised, firm: f02, point: P-001, after_h: 9, lasts_h: 5",
    )
    revised = both.truth.conflicts - 8
    assert 15 <= revised <= 20
    assert both.truth.quarantined == 3
    assert len(plain.truth.reading_t_us) - len(both.truth.reading_t_us) == 3
    row = both.truth.row("f01", "W-001")
    np.testing.assert_array_equal(
        both.truth.reading_value[both.truth.reading_point == row],
        plain.truth.reading_value[plain.truth.reading_point == row],
    )


def test_production_is_reported_on_the_next_morning():
    """Late output travels in a batch of its own, at ten o'clock."""
    stream = small("fault: production-late, firm: f02, point: P-001, after_h: 1, lasts_h: 20")
    reports = [(at, b) for at, b in batches(stream, "f02") if b.points == ["P-001"]]
    assert [len(b.t) for _, b in reports] == [80]
    assert (reports[0][0] + 8 * 3_600_000_000) % 86_400_000_000 // 3_600_000_000 == 10


def test_a_clock_that_jumps_is_announced_and_shifts_the_times():
    """A step back repeats times that were used, which are conflicts, and an event tells of both steps."""
    stream = small("fault: clock-step-back, firm: f01, after_h: 6, lasts_h: 3")
    events = [d.message for d in stream.deliveries if isinstance(d.message, Event)]
    assert [e.body["step_ms"] for e in events if e.kind == "clock_step"] == [-1_800_000, 1_800_000]
    assert stream.truth.conflicts > 0
    drift = small("fault: clock-drift, firm: f01, after_h: 6, lasts_h: 10, values: {ppm: -500}")
    odd = [t for _, b in batches(drift, "f01") for t in b.t if t % 900_000]
    assert odd
    assert max(900_000 - t % 900_000 for t in odd) <= 10 * 3600 * 1000 * 500e-6


def test_an_exchange_is_in_the_park_document_and_announced():
    """With an event the platform knows both meters, and last and first dial."""
    stream = small("fault: swap-with-event, firm: f02, point: E-001, after_h: 10.3")
    (point,) = [p for f in stream.truth.park.firms if f.code == "f02" for p in f.points if p.code == "E-001"]
    old, new = point.installations
    assert old.valid_to == new.valid_from
    (event,) = [d.message for d in stream.deliveries if isinstance(d.message, Event) and d.message.kind == "meter_swap"]
    assert event.body["last_reading"] == old.last_reading
    assert event.body["first_reading"] == new.first_reading == 0.0


def test_emissions_exceed_truly_and_marked_values_do_not_count():
    """An exceedance is in the truth and in the concentration; calibration values are marked bad, the truth is not."""
    stream, calm = (
        small("fault: emission-exceedance, firm: f01, point: A-011, after_h: 5, lasts_h: 4"),
        small("fault: emission-marked-invalid, firm: f01, point: A-001, after_h: 5, lasts_h: 4"),
    )
    row = stream.truth.row("f01", "A-011")
    values = stream.truth.reading_value[stream.truth.reading_point == row]
    assert values.max() > 2.5 * np.median(values)
    assert stream.truth.flow("f01", "emission.cod").sum() > 1.2 * calm.truth.flow("f01", "emission.cod").sum()
    row = calm.truth.row("f01", "A-001")
    quality = calm.truth.reading_quality[calm.truth.reading_point == row]
    assert np.count_nonzero(quality == 2) == 4
    assert np.count_nonzero(calm.truth.expected[row] == Expected.MISSING) == 16


def test_the_park_falls_below_ninety_percent_when_its_pumps_stop():
    """The water scenario brings the industrial firms' reuse rate below the target while the pumps stand."""
    truth = shipped("water").truth
    stop = next(f for f in truth.faults if f.fault == "reuse-pump-stop")
    before = reuse(truth, stop.start_us - (stop.end_us - stop.start_us), stop.start_us)
    while_it_stands = reuse(truth, stop.start_us, stop.end_us)
    assert while_it_stands < 0.89
    assert while_it_stands < before - 0.01


def reuse(truth: Truth, start_us: int, end_us: int) -> float:
    """Reuse rate of the industrial firms over a time, from the truth's indicator inputs."""
    fresh = again = 0.0
    for firm in truth.park.firms:
        if firm.industrial:
            for (carrier, direction, _), amount in truth.inputs(firm.code, start_us, end_us).items():
                fresh += amount if (carrier, direction) == ("fresh_water", "in") else 0.0
                again += amount if carrier in {"recirculated_water", "recycled_water", "cascaded_water"} else 0.0
    return again / (again + fresh)


def test_stream_and_truth_survive_a_file(tmp_path: Path):
    """What is written is read back equal, message by message and column by column."""
    stream = small("fault: clock-step-back, firm: f01, after_h: 6, lasts_h: 3")
    write(stream.deliveries, tmp_path / "s.jsonl")
    assert tuple(load(tmp_path / "s.jsonl")) == stream.deliveries
    stream.truth.save(tmp_path / "s.truth.npz")
    again = load_truth(tmp_path / "s.truth.npz")
    assert again.points == stream.truth.points
    assert again.faults == stream.truth.faults
    assert again.park == stream.truth.park
    for column in ("micro", "quantity", "expected", "flow_micro", "reading_t_us", "reading_value", "bucket_us"):
        np.testing.assert_array_equal(getattr(again, column), getattr(stream.truth, column))
    assert (again.conflicts, again.messages) == (stream.truth.conflicts, stream.truth.messages)


def test_a_damaged_file_is_said_with_its_line(tmp_path: Path):
    """A stream cut in the middle, a file of something else: one line says which file and where."""
    write(small().deliveries[:5], tmp_path / "s.jsonl")
    cut = (tmp_path / "s.jsonl").read_bytes()[:-20]
    (tmp_path / "s.jsonl").write_bytes(cut)
    with pytest.raises(DataError, match=r"s\.jsonl: line 6: not a message of a stream"):
        list(load(tmp_path / "s.jsonl"))
    (tmp_path / "t.npz").write_bytes(b"tea")
    with pytest.raises(DataError, match=r"t\.npz: not a truth file"):
        load_truth(tmp_path / "t.npz")
    with pytest.raises(DataError, match=r"none\.npz: not a truth file"):
        load_truth(tmp_path / "none.npz")


async def test_a_stream_is_played_in_order_and_at_its_pace():
    """As fast as the other side takes it, or N times as fast as life."""
    deliveries = [Delivery(k * 1_000_000, "t", Status(online=True, boot="b", at=k)) for k in range(20)]
    seen: list[Delivery] = []

    async def send(delivery: Delivery) -> None:
        seen.append(delivery)

    assert await play(deliveries, send) == 20
    assert seen == deliveries
    clock = iter(np.arange(0, 1000, 1e-4).tolist())
    seen.clear()
    assert await play(deliveries, send, speed=10_000, monotonic=lambda: next(clock)) == 20
    assert seen == deliveries


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("fault: tea, firm: f01, after_h: 1", r"\.fault: expected one of dead-meter, .*got 'tea'"),
        ("fault: gap, firm: f09, point: E-001, after_h: 1, lasts_h: 1", r"\.firm: no firm 'f09'; known are f01, f02"),
        ("fault: gap, firm: f01, point: X, after_h: 1, lasts_h: 1", r"\.point: no point 'X'; known are"),
        ("fault: gap, firm: f01, after_h: 1, lasts_h: 1", r"\.point: expected one of E-001"),
        ("fault: gap, firm: f01, point: E-001, after_h: 1", r"\.lasts_h: expected hours"),
        ("fault: spike, firm: f01, point: E-001, after_h: 1, lasts_h: 2", r"\.lasts_h: expected none"),
        ("fault: spike, firm: f01, point: E-001, after_h: 90", r"\.after_h: expected to lie within"),
        ("fault: gap, firm: f01, point: E-001, after_h: 23, lasts_h: 3", r"\.after_h: expected to lie within"),
        ("fault: spike, firm: f01, point: E-001, after_h: -1", r"\.after_h: Expected `float` >= 0"),
        ("fault: spike, firm: f01, point: E-001, after_h: 1, values: {tea: 1}", r"\.values\.tea: spike has no such"),
        ("fault: duplicates, firm: f01, point: E-001, after_h: 1, lasts_h: 2", r"\.point: expected none"),
        ("fault: spike, firm: f01, point: A-001, after_h: 1", r"\.point: expected a register; A-001 is of kind"),
        (
            "fault: reuse-pump-stop, firm: f01, point: E-001, after_h: 1, lasts_h: 1",
            r"\.point: expected a point of recirculated_water, .*E-001 is electricity",
        ),
        ("fault: spike, firm: f01, point: E-001, after_h: 1, colour: red", r": .* contains unknown field `colour`"),
    ],
)
def test_a_bad_scenario_gives_one_line_that_names_file_and_field(given: str, said: str):
    """Whoever writes a scenario is told where it is wrong and what was expected."""
    with pytest.raises(DataError, match=said) as caught:
        small(given)
    assert str(caught.value).startswith("t.yaml: faults[0]")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("line", "wrong", "said"),
    [
        ("start: 2026-03-18T00:00:00+08:00", "start: 2026-03-18T00:00:00", "start: expected a time with a zone"),
        ("start: 2026-03-18T00:00:00+08:00", "start: 2026-03-18T00:07:00+08:00", "start: expected a whole quarter"),
        ("start: 2026-03-18T00:00:00+08:00", "start: soon", "start: "),
        ("days: 1", "days: 0", "days: Expected `float` > 0"),
        ("days: 1", "days: 0.001", "days: expected whole quarters"),
        ("step_s: 900", "step_s: 7", "step_s: expected a divisor or multiple of 900"),
        ("profile: pcb", "profile: brewery", r"firms\[0\]\.profile: expected one of"),
        ("days: 1", "days: 1\npark: demo", "park: expected either"),
        ("days: 1", "days: 1\nonly: [f07]", r"only\[0\]: expected one of f01, f02, got 'f07'"),
        ("description: A test.", "", "Object missing required field `description`"),
    ],
)
def test_a_bad_head_gives_one_line_too(line: str, wrong: str, said: str):
    """Start, length, step and park are checked as well."""
    spike = "fault: spike, firm: f01, point: E-001, after_h: 1"
    with pytest.raises(DataError, match=said) as caught:
        small(spike, head=HEAD.replace(line, wrong))
    assert "\n" not in str(caught.value)


def test_a_meter_cannot_be_exchanged_while_its_truth_is_changed():
    """The last dial in the exchange's record would be another; the scenario is refused."""
    with pytest.raises(DataError, match="expected a point that water-leak-slow leaves alone"):
        small(
            "fault: water-leak-slow, firm: f01, after_h: 1, lasts_h: 5",
            "fault: swap-with-event, firm: f01, point: W-001, after_h: 12",
        )


def test_unknown_names_are_answered_with_the_known_ones():
    """Scenarios, faults and profiles by a wrong name."""
    with pytest.raises(UnknownName, match="no scenario 'tea'; known are bad-wiring"):
        scenario("tea")
    assert scenario("quiet", park_code="other").park.definition.code == "other"
    with pytest.raises(UnknownName, match="no fault 'tea'"):
        fault("tea")
    with pytest.raises(UnknownName, match="no profile 'tea'"):
        profile("tea")
    with pytest.raises(DataError, match=r"f\.yaml: \[1\]\.name: 'a' is used twice"):
        load_catalogue(TWICE, "f.yaml")


TWICE = "".join(
    """
- name: a
  name_zh: 甲
  description: d
  description_zh: 丁
  layer: dial
  acts_on: point
  span: instant
  truth: t
  platform: p
  expect: {step: none, buckets: any, conserved: true, wire: once, alert: null}
"""
    for _ in range(2)
)
