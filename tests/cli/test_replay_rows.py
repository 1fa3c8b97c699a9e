"""Mappings and rows: what a file means is said once, checked strictly, and every complaint names its place."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest
import yaml

from cli.parks import read_definition
from cli.replay.errors import RowsError
from cli.replay.mapping import RegisteredPoint, labelled_instants, load_mapping, points_of, shifts_s
from cli.replay.rows import CHUNK, boot_of, read_rows
from park.calendar import zone
from park.errors import DataFileError
from park.points import Kind, Label
from park.wire import decode_batch, encode

if TYPE_CHECKING:
    from typing import Any

    from cli.replay.mapping import Mapping
    from cli.replay.rows import Readings

EXAMPLES = Path(__file__).parents[2] / "examples" / "steel"
NOW_MS = 1_763_625_600_000


def document(**changes: Any) -> dict[str, Any]:
    time = {"column": "date", "format": "%d/%m/%Y %H:%M", "zone": "Asia/Seoul", "label": "end", "interval_s": 900}
    base: dict[str, Any] = {
        "edge": "p/f/e",
        "time": time | changes.pop("time", {}),
        "columns": {"kWh": {"point": "E-001", "unit": "kWh"}},
    }
    return base | changes


def mapping(**changes: Any) -> Mapping:
    return load_mapping(yaml.safe_dump(document(**changes)), "m.yaml")


def rows(text: str, found: Mapping | None = None) -> Readings:
    return read_rows(text.splitlines(keepends=True), "f.csv", found or mapping(), NOW_MS)


def times(readings: Readings) -> list[str]:
    return [f"{datetime.fromtimestamp(t / 1e3, UTC):%d %H:%M}" for t in readings.t_ms]


def test_the_example_fits_its_park() -> None:
    """The steel plant's mapping and park document are valid and agree on points, units, labels and intervals."""
    found = load_mapping((EXAMPLES / "mapping.yaml").read_text(), "mapping.yaml")
    registered = points_of(read_definition(EXAMPLES / str(found.park)), found, "mapping.yaml")
    assert shifts_s(found, registered, "mapping.yaml") == [0, 0, 0]
    assert found.topic.user == "gwangyang/steel/archive"


def test_the_example_of_a_register_fits_its_park() -> None:
    """The same year as a dial: the exchange of its mapping is that of its park document."""
    found = load_mapping((EXAMPLES / "register-mapping.yaml").read_text(), "register-mapping.yaml")
    definition = read_definition(EXAMPLES / str(found.park))
    assert shifts_s(found, points_of(definition, found, "m.yaml"), "m.yaml") == [0]
    old, new = definition.firms[0].points[0].installations
    dial = found.columns["Usage_kWh"].dial
    assert dial is not None
    assert [(e.at, e.start) for e in dial.exchanges] == [(new.valid_from, new.first_reading)]
    assert old.valid_to == new.valid_from
    assert {old.modulus, new.modulus} == {dial.modulus}


def test_amounts_become_what_a_dial_shows() -> None:
    """It starts where it is said to, rolls over, and begins again where it is exchanged; to the last place."""
    dial = {
        "start": 99.9,
        "modulus": 100,
        "exchanges": [{"at": "2018-01-01T01:00:00+09:00", "start": 5.5}],
    }
    columns = {"kWh": {"point": "E-001", "unit": "kWh", "dial": dial}}
    found = rows(
        "date,kWh\n" + "".join(f"1/1/2018 {k // 4}:{k % 4 * 15:02},0.1\n" for k in range(1, 6)),
        mapping(columns=columns),
    )
    assert found.value.tolist() == [99.9, 0.0, 0.1, 0.2, 5.5, 5.6]
    assert np.diff(found.t_ms).tolist() == [900_000] * 5
    assert found.rows == 5


@pytest.mark.parametrize(
    ("dial", "field", "says"),
    [
        ({"start": 1.0, "modulus": 0}, "modulus", "positive"),
        ({"start": 10.0, "modulus": 10}, "start", "below the modulus"),
        ({"start": 0, "modulus": 10, "exchanges": [{"at": "2018-01-01T01:00:00", "start": 0}]}, "at", "offset"),
        ({"start": 0, "modulus": 10, "exchanges": [{"at": "2018-01-01T01:00:00Z", "start": 11}]}, "start", "below"),
    ],
)
def test_a_dial_that_cannot_be_is_refused(dial: dict[str, Any], field: str, says: str) -> None:
    """The complaint names the field."""
    with pytest.raises(DataFileError, match=says) as refused:
        mapping(columns={"kWh": {"point": "E-001", "unit": "kWh", "dial": dial}})
    assert field in str(refused.value)


def test_only_a_register_has_a_dial() -> None:
    """A dial for a point of intervals is refused before anything is sent."""
    columns = {"kWh": {"point": "E-001", "unit": "kWh", "dial": {"start": 0, "modulus": 10}}}
    with pytest.raises(DataFileError, match="no register"):
        shifts_s(mapping(columns=columns), {"E-001": RegisteredPoint("kWh", Kind.INTERVAL, Label.END, 900)}, "m.yaml")


@pytest.mark.parametrize(
    ("changes", "field", "says"),
    [
        ({"edge": "only/two"}, "edge", "park/firm/edge"),
        ({"colour": "red"}, "", "unknown field `colour`"),
        ({"csv": {"encoding": "utf-9"}}, "csv.encoding", "unknown encoding"),
        ({"csv": {"delimiter": ",", "decimal": ","}}, "csv.delimiter", "decimal sign"),
        ({"csv": {"delimiter": ";;"}}, "csv.delimiter", "one character"),
        ({"time": {"zone": "Asia/Atlantis"}}, "time.zone", "IANA"),
        ({"time": {"zone": None}}, "time.zone", "expected an IANA zone"),
        ({"time": {"format": "%H:%M"}}, "time.format", "expected iso"),
        ({"time": {"format": "%d/%m/%Y %I:%M"}}, "time.format", "expected iso"),
        ({"time": {"interval_s": 0}}, "time.interval_s", "at least 1"),
        ({"time": {"label": "middle"}}, "time.label", "middle"),
        ({"time": {"label": "start", "midnight_closes_day": True}}, "time.midnight_closes_day", "end of their"),
        ({"columns": {}}, "columns", "at least one"),
        ({"columns": {"date": {"point": "E", "unit": "kWh"}}}, "columns[date]", "time column"),
        ({"columns": {"a": {"point": "E", "unit": "kWx"}}}, "columns[a].unit", "unknown unit"),
        ({"columns": {"a": {"point": 7, "unit": "kWh"}}}, "columns[a].point", "Expected `str`"),
        ({"columns": {"a": {"point": "E", "unit": "kWh", "scale": 0}}}, "columns[a].scale", "other than 0"),
        (
            {"columns": {"a": {"point": "E", "unit": "kWh"}, "b": {"point": "E", "unit": "kWh"}}},
            "columns[b].point",
            "column 'a' already",
        ),
    ],
)
def test_a_wrong_mapping_is_one_line_with_file_field_and_what_was_expected(
    changes: dict[str, Any], field: str, says: str
) -> None:
    """Whatever is wrong, the message is one line: file, field, expectation."""
    with pytest.raises(DataFileError) as caught:
        mapping(**changes)
    message = str(caught.value)
    assert message.startswith(f"m.yaml: {field}: " if field else "m.yaml: ")
    assert says in message
    assert "\n" not in message


@pytest.mark.parametrize("text", ["a: [", "edge: x\nedge: y\n", "- 1\n", ""])
def test_what_is_no_mapping_at_all_is_said_in_one_line(text: str) -> None:
    """Broken YAML, a key that stands twice, a list, nothing: one line each."""
    with pytest.raises(DataFileError) as caught:
        load_mapping(text, "m.yaml")
    assert "\n" not in str(caught.value)


def test_a_byte_order_mark_hides_no_column_whatever_the_encoding() -> None:
    """The mark before the first column's name is no part of it."""
    assert len(rows("\ufeffdate,kWh\n1/1/2018 0:15,3.5\n")) == 1


def test_midnight_rows_that_close_their_day_belong_to_the_next_midnight() -> None:
    """00:15 … 23:45, 00:00 of one date: the last is the first instant of the next day, across the year's end too."""
    text = "date,kWh\n31/12/2018 23:45,1\n31/12/2018 00:00,2\n1/1/2019 0:15,3\n"
    readings = rows(text, mapping(time={"midnight_closes_day": True}))
    assert times(readings) == ["31 14:45", "31 15:00", "31 15:15"]
    assert readings.backwards == 0
    assert rows(text).backwards == 1


def test_values_are_scaled_and_decimal_commas_read() -> None:
    """Semicolons, decimal commas and a factor give the reading in the point's unit."""
    found = mapping(csv={"delimiter": ";", "decimal": ","}, columns={"L": {"point": "W", "unit": "m3", "scale": 0.001}})
    assert rows("date;L\n1/1/2018 0:15;1250,5\n", found).value.tolist() == [1250.5 * 0.001]


def test_empty_cells_are_gaps_and_never_zeros() -> None:
    """A missing cell gives no reading; its neighbours are kept, and it is counted."""
    found = mapping(
        columns={"a": {"point": "A", "unit": "kWh"}, "b": {"point": "B", "unit": "kWh"}}, missing=["", "n/a"]
    )
    readings = rows("date,a,b\n1/1/2018 0:15,,2\n1/1/2018 0:30,3,n/a\n", found)
    assert (readings.value.tolist(), readings.point.tolist(), readings.empty) == ([2.0, 3.0], [1, 0], 2)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("1/1/2018 0:30,abc", "line 3: kWh: 'abc' is no number"),
        ("1/1/2018 0:30,1_000", "line 3: kWh: '1_000' is no number"),
        ("1/1/2018 0:30,nan", "line 3: kWh: 'nan' is no number"),
        ("1/1/2018 0:30,1e999", "line 3: kWh: '1e999' is too large"),
        ("32/1/2018 0:30,1", "line 3: date: '32/1/2018 0:30' is no time"),
        ("1/1/2088 0:30,1", "line 3: date: '1/1/2088 0:30' lies in the future"),
        ("1/1/1968 0:30,1", "line 3: date: '1/1/1968 0:30' is before 1970"),
        ("1/1/2018 0:30,1,2", "line 3: 3 cells where the header has 2"),
        ("1/1/2018 0:15,9", "line 3: date: the same time as line 2, with other values"),
    ],
)
def test_a_wrong_row_stops_everything_before_it_begins_or_is_left_out_where_allowed(line: str, says: str) -> None:
    """By default one wrong row stops the replay with its line and column; `skip_bad_rows` leaves just that row out."""
    text = f"date,kWh\n1/1/2018 0:15,1\n{line}\n1/1/2018 0:45,4\n"
    with pytest.raises(RowsError, match="1 row is wrong, nothing was sent") as caught:
        rows(text)
    assert says in str(caught.value)
    assert "f.csv" in str(caught.value)
    kept = rows(text, mapping(skip_bad_rows=True))
    assert kept.value.tolist() == [1.0, 4.0]
    assert kept.bad_count == 1
    assert says in kept.bad[0]


def test_many_wrong_rows_are_counted_and_the_first_shown() -> None:
    """A thousand wrong rows are one count and five lines, not a thousand."""
    text = "date,kWh\n" + "".join(f"x{k},1\n" for k in range(1000))
    with pytest.raises(RowsError) as caught:
        rows(text)
    assert caught.value.count == 1000
    assert len(str(caught.value).splitlines()) == 7
    assert "and 995 more" in str(caught.value)


def test_rows_that_repeat_word_for_word_count_once() -> None:
    """An overlapping export says some rows twice: taken once, and told."""
    readings = rows("date,kWh\n1/1/2018 0:15,1\n1/1/2018 0:30,2\n1/1/2018 0:30,2\n1/1/2018 0:30,2\n")
    assert (readings.value.tolist(), readings.repeated, readings.bad_count) == ([1.0, 2.0], 2, 0)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("time,kWh\n", "line 1: column 'date' is missing; there are 'time', 'kWh'"),
        ("date,kWh,kWh\n", "column 'kWh' stands twice"),
        ("", "column 'date' is missing"),
        ("date,kWh\n", "holds no reading"),
        ('date,kWh\n1/1/2018 0:15,"1"x\n', "line 2: not CSV"),
    ],
)
def test_a_file_of_another_shape_is_refused(text: str, says: str) -> None:
    """Missing or doubled columns, no rows, broken quotes: said with the place."""
    with pytest.raises(RowsError, match=r"^f\.csv") as caught:
        rows(text)
    assert says in str(caught.value)


def test_bytes_of_another_encoding_are_told(tmp_path: Path) -> None:
    """A file that is not in the declared encoding names the setting to change."""
    file = tmp_path / "f.csv"
    file.write_bytes("date,kWh\n1/1/2018 0:15,1\n电,2\n".encode("gb18030"))
    with file.open(encoding="utf-8-sig") as lines, pytest.raises(RowsError, match=r"csv\.encoding"):
        read_rows(lines, "f.csv", mapping(), NOW_MS)


BERLIN = {"zone": "Europe/Berlin", "format": "%Y-%m-%d %H:%M"}


def test_a_time_that_does_not_exist_is_wrong_and_says_what_to_do() -> None:
    """Where clocks go forward, half past two does not exist."""
    with pytest.raises(RowsError, match=r"does not exist in Europe/Berlin.*Etc/GMT-1"):
        rows("date,kWh\n2025-03-30 02:30,1\n", mapping(time=BERLIN))


def test_a_time_that_occurs_twice_is_wrong_unless_a_rule_is_declared() -> None:
    """Where clocks go back, half past two is two instants: an error by default, one of both by the declared rule."""
    text = "date,kWh\n2025-10-26 02:30,1\n"
    with pytest.raises(RowsError, match=r"occurs twice.*00:30 UTC or 01:30 UTC.*fold"):
        rows(text, mapping(time=BERLIN))
    assert times(rows(text, mapping(time=BERLIN | {"fold": "earlier"}))) == ["26 00:30"]
    assert times(rows(text, mapping(time=BERLIN | {"fold": "later"}))) == ["26 01:30"]


@pytest.mark.parametrize("style", ["end's own time", "start plus interval"])
@pytest.mark.parametrize("label", ["start", "end"])
@pytest.mark.parametrize("day", [datetime.fromisoformat("2025-03-30"), datetime.fromisoformat("2025-10-26")])
def test_a_day_of_changing_clocks_in_order_is_read_exactly(label: str, style: str, day: datetime) -> None:
    """All quarters of a day with 23 or 25 hours come out as they were, however the logger writes ends."""
    tz = zone("Europe/Berlin")
    begin = day.replace(tzinfo=tz).astimezone(UTC)
    end = (day + timedelta(days=1)).replace(tzinfo=tz).astimezone(UTC)
    quarter = timedelta(minutes=15)
    starts = [begin + k * quarter for k in range((end - begin) // quarter)]
    wanted = starts if label == "start" else [start + quarter for start in starts]
    if label == "end" and style == "start plus interval":
        written = [start.astimezone(tz).replace(tzinfo=None) + quarter for start in starts]
    else:
        written = [instant.astimezone(tz).replace(tzinfo=None) for instant in wanted]
    text = "date,kWh\n" + "".join(f"{t:%Y-%m-%d %H:%M},1\n" for t in written)
    readings = rows(text, mapping(time=BERLIN | {"fold": "in_order", "label": label}))
    assert readings.t_ms.tolist() == [int(t.timestamp() * 1e3) for t in wanted]


def test_without_a_change_of_clocks_a_label_means_one_instant() -> None:
    """On an ordinary day both ways to write an end agree."""
    found = labelled_instants(
        datetime.fromisoformat("2025-06-01T00:15"), zone("Europe/Berlin"), Label.END, timedelta(minutes=15)
    )
    assert found == [int(datetime(2025, 5, 31, 22, 15, tzinfo=UTC).timestamp() * 1e3)]


@pytest.mark.parametrize(
    ("form", "cell"),
    [
        ("iso", "2018-01-01T00:15:00+09:00"),
        ("iso", "2017-12-31T15:15:00Z"),
        ("unix_s", "1514733300"),
        ("unix_ms", "1514733300000"),
        ("%Y-%m-%d %H:%M%z", "2018-01-01 00:15+0900"),
    ],
)
def test_times_with_an_offset_need_no_zone(form: str, cell: str) -> None:
    """ISO, Unix time and formats with an offset name the same instant."""
    readings = rows(f"date,kWh\n{cell},1\n", mapping(time={"format": form, "zone": None}))
    assert readings.t_ms.tolist() == [1_514_733_300_000]


def registered(**changes: Any) -> dict[str, RegisteredPoint]:
    fields: dict[str, Any] = {"unit": "kWh", "kind": Kind.INTERVAL, "label": Label.END, "interval_s": 900}
    return {"E-001": RegisteredPoint(**(fields | changes))}


def test_labels_are_brought_to_the_registered_end_of_the_interval() -> None:
    """A file of starts for a point of ends moves by one interval, the reverse back, and a register not at all."""
    starts, ends = mapping(time={"label": "start"}), mapping()
    assert shifts_s(starts, registered(), "m.yaml") == [900]
    assert shifts_s(ends, registered(label=Label.START), "m.yaml") == [-900]
    assert shifts_s(starts, registered(kind=Kind.REGISTER), "m.yaml") == [0]
    moved = rows("date,kWh\n1/1/2018 0:15,1\n").shifted([900])
    assert times(moved) == ["31 15:30"]


@pytest.mark.parametrize(
    ("points", "says"),
    [
        (registered(unit="MWh"), r"columns\[kWh\]\.unit: 'kWh': point E-001 is registered in 'MWh'"),
        (registered(interval_s=3600), r"time\.interval_s: 900: point E-001 is registered with 3600"),
        ({}, r"columns\[kWh\]\.point: edge p/f/e has no 'E-001'; it has none"),
    ],
)
def test_what_the_park_registers_differently_is_refused(points: dict[str, RegisteredPoint], says: str) -> None:
    """Unit, interval and point must be those of the park."""
    with pytest.raises(DataFileError, match=says):
        shifts_s(mapping(), points, "m.yaml")


def test_readings_have_one_name_and_other_readings_another() -> None:
    """The boot follows from the readings: blank lines change nothing; a value, a time, a unit or an edge does."""
    text = "date,kWh\n1/1/2018 0:15,1\n1/1/2018 0:30,2\n"
    name = boot_of(rows(text), "p/f/e")
    assert name == boot_of(rows(text + "\n\n"), "p/f/e")
    assert len(name) <= 64
    wh = mapping(columns={"kWh": {"point": "E-001", "unit": "Wh"}})
    others = [
        boot_of(rows(text), "p/f/x"),
        boot_of(rows(text).shifted([900]), "p/f/e"),
        boot_of(rows(text.replace(",2", ",3")), "p/f/e"),
        boot_of(rows(text, wh), "p/f/e"),
        boot_of(rows(text + "1/1/2018 0:45,3\n"), "p/f/e"),
    ]
    assert len({name, *others}) == 6


def test_columns_in_another_order_are_other_batches() -> None:
    """A chunk's content depends on the order of the columns, so its name does too."""
    a, b = {"a": {"point": "A", "unit": "kWh"}}, {"b": {"point": "B", "unit": "kWh"}}
    text = "date,a,b\n1/1/2018 0:15,1,2\n"
    found = [
        read_rows(text.splitlines(keepends=True), "f", msgspec.structs.replace(mapping(), columns=columns), NOW_MS)
        for columns in (
            mapping(columns=a).columns | mapping(columns=b).columns,
            mapping(columns=b).columns | mapping(columns=a).columns,
        )
    ]
    assert boot_of(found[0], "p/f/e") != boot_of(found[1], "p/f/e")


def test_chunks_hold_every_reading_once_and_pass_the_wire() -> None:
    """All chunks together are all readings in order, each a valid batch with units."""
    begin = datetime.fromisoformat("2018-01-01T00:15")
    text = "date,kWh\n" + "".join(f"{begin + k * timedelta(minutes=15):%d/%m/%Y %H:%M},{k}\n" for k in range(4_500))
    readings = rows(text)
    batches = [decode_batch(encode(readings.batch(k, "boot", NOW_MS))) for k in range(readings.chunks)]
    assert [len(batch.t) for batch in batches] == [CHUNK, CHUNK, 500]
    assert [readings.size(k) for k in range(3)] == [CHUNK, CHUNK, 500]
    assert np.concatenate([batch.values for batch in batches]).tolist() == list(range(4_500))
    assert {batch.seq for batch in batches} == {0, 1, 2}
    assert msgspec.to_builtins(batches[0])["units"] == ["kWh"]
