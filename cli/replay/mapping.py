"""What the columns and times of a CSV file mean: a YAML document, checked strictly before a row is read.

park: park.yaml                       # applied first, when a database is given; relative to this file
edge: gwangyang/steel/archive         # park/firm/edge: whose readings these are, and the broker's user name
csv: {encoding: utf-8-sig, delimiter: ",", decimal: "."}
time:
  column: date
  format: "%d/%m/%Y %H:%M"            # or iso, unix_s, unix_ms
  zone: Asia/Seoul
  label: end                          # which end of its interval a time names
  interval_s: 900
  midnight_closes_day: true           # a row 00:00 carries the date of the day that it ends
  fold: error                         # clocks going back: error, earlier, later, in_order
columns:
  Usage_kWh: {point: E-001, unit: kWh, scale: 1.0}
  # as a register's dial would have shown it: {…, dial: {start: 98000, modulus: 100000, exchanges: [{at: …, start: 0}]}}
missing: ["", "NA"]                   # cells that hold no reading
skip_bad_rows: false
"""

from __future__ import annotations

import codecs
import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec
import yaml

from cli.replay.dials import Dial, complaint
from park.calendar import zone
from park.errors import CalendarError, DataFileError, UnitError
from park.points import Kind, Label
from park.units import unit
from park.wire import Channel, Topic, is_code

if TYPE_CHECKING:
    from collections.abc import Mapping as Dictionary
    from zoneinfo import ZoneInfo

    from park.definition import ParkDefinition

Fold = Literal["error", "earlier", "later", "in_order"]
_NAMED_FORMATS: Final = frozenset({"iso", "unix_s", "unix_ms"})


class CsvForm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the file is written; `utf-8-sig` reads UTF-8 with and without a byte-order mark."""

    encoding: str = "utf-8-sig"
    delimiter: str = ","
    decimal: Literal[".", ","] = "."


class TimeColumn(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which column holds the times, and what they mean.

    Attributes:
        format: as `datetime.strptime`, or `iso`, `unix_s`, `unix_ms`.
        zone: IANA zone of times without an offset.
        label: which end of its interval a time names.
        midnight_closes_day: a row 00:00 carries the date of the day that it ends.
        fold: what a local time means that occurs twice: `error`; the `earlier` or `later` instant; or, where the rows
            stand `in_order` of time, the first instant after the row before.
    """

    column: str
    format: str
    label: Label
    interval_s: int
    zone: str | None = None
    midnight_closes_day: bool = False
    fold: Fold = "error"


class ValueColumn(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A column of values: `value × scale` is a reading of `point` in `unit`, which must be the registered unit.

    With a `dial`, the values are amounts, and the readings are what the dial showed at the end of each.
    """

    point: str
    unit: str
    scale: float = 1.0
    dial: Dial | None = None


class Mapping(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a file of readings means; see the module."""

    edge: str
    time: TimeColumn
    columns: dict[str, ValueColumn]
    park: str | None = None
    csv: CsvForm = CsvForm()
    missing: tuple[str, ...] = ("",)
    skip_bad_rows: bool = False

    @property
    def topic(self) -> Topic:
        """Return where the readings are published."""
        park, firm, edge = self.edge.split("/")
        return Topic(park, firm, edge, Channel.DATA)

    @property
    def tz(self) -> ZoneInfo | None:
        """Return the zone of the times."""
        return None if self.time.zone is None else zone(self.time.zone)


class _StrictLoader(yaml.SafeLoader):
    """YAML in which a key that stands twice is an error instead of the last one winning."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(None, None, f"{key!r} stands twice", node.start_mark)
        return super().construct_mapping(node, deep)


def load_mapping(text: str, file: str) -> Mapping:
    """Parse and check a mapping, or raise `DataFileError` naming file, field and what was expected."""
    try:
        raw = yaml.load(text, _StrictLoader)  # noqa: S506 - a SafeLoader
    except yaml.YAMLError as error:
        problem = " ".join(str(error).split())
        raise DataFileError(file, "", f"not YAML: {problem}") from None
    try:
        mapping = msgspec.convert(raw, Mapping)
    except msgspec.ValidationError as error:
        message, _, place = str(error).partition(" - at ")
        raise DataFileError(file, _field(place, raw), message) from None
    _check(mapping, file)
    return mapping


def _field(place: str, raw: Any) -> str:
    """Return the path of a field; msgspec does not say which key of a dictionary it means."""
    field = place.strip("`").removeprefix("$").removeprefix(".")
    if field.startswith("columns[...]") and isinstance(raw, dict):
        for name, column in raw["columns"].items():
            try:
                msgspec.convert(column, ValueColumn)
            except msgspec.ValidationError:
                return field.replace("[...]", f"[{name}]", 1)
    return field


def _check(mapping: Mapping, file: str) -> None:
    codes = mapping.edge.split("/")
    if len(codes) != 3 or not all(map(is_code, codes)):
        raise DataFileError(
            file, "edge", f"{mapping.edge!r}: expected park/firm/edge, each of letters, digits, '.', '_' and '-'"
        )
    try:
        codecs.lookup(mapping.csv.encoding)
    except LookupError:
        expected = "expected a codec such as utf-8-sig or gb18030"
        raise DataFileError(file, "csv.encoding", f"unknown encoding {mapping.csv.encoding!r}; {expected}") from None
    if len(mapping.csv.delimiter) != 1 or mapping.csv.delimiter in {mapping.csv.decimal, '"', "\n", "\r"}:
        message = f"{mapping.csv.delimiter!r}: expected one character that is neither a quote nor the decimal sign"
        raise DataFileError(file, "csv.delimiter", message)
    _check_time(mapping.time, file)
    if not mapping.columns:
        raise DataFileError(file, "columns", "expected at least one column of values")
    points: dict[str, str] = {}
    for name, column in mapping.columns.items():
        at = f"columns[{name}]"
        if name == mapping.time.column:
            raise DataFileError(file, at, "is the time column")
        if not 1 <= len(column.point) <= 128 or not column.point.isprintable():
            raise DataFileError(file, f"{at}.point", "expected 1 to 128 printable characters")
        if column.point in points:
            raise DataFileError(file, f"{at}.point", f"{column.point} is column {points[column.point]!r} already")
        points[column.point] = name
        if not math.isfinite(column.scale) or column.scale == 0:
            raise DataFileError(file, f"{at}.scale", f"{column.scale}: expected a finite number other than 0")
        if column.dial is not None:
            if mapping.time.label is not Label.END:
                raise DataFileError(file, f"{at}.dial", "a dial is read when an interval ends: time.label must be end")
            if (wrong := complaint(column.dial)) is not None:
                raise DataFileError(file, f"{at}.dial.{wrong[0]}", wrong[1])
        try:
            unit(column.unit)
        except UnitError as error:
            raise DataFileError(file, f"{at}.unit", str(error)) from None


def _check_time(time: TimeColumn, file: str) -> None:
    if time.interval_s < 1:
        raise DataFileError(file, "time.interval_s", f"{time.interval_s}: expected at least 1 second")
    if time.zone is not None:
        try:
            zone(time.zone)
        except CalendarError as error:
            raise DataFileError(file, "time.zone", str(error)) from None
    elif time.format in _NAMED_FORMATS - {"iso"} or "%z" in time.format:
        pass
    elif time.format != "iso":
        raise DataFileError(file, "time.zone", "expected an IANA zone such as Asia/Shanghai: the format has no offset")
    if time.format not in _NAMED_FORMATS and not _is_sound(time.format, time.interval_s):
        message = f"{time.format!r}: expected iso, unix_s, unix_ms, or day, month, year and time of day such as"
        raise DataFileError(file, "time.format", f"{message} '%d/%m/%Y %H:%M'")
    if time.midnight_closes_day and (time.label is not Label.END or time.format.startswith("unix")):
        message = "a row 00:00 can only close its day where times are local and name the end of their interval"
        raise DataFileError(file, "time.midnight_closes_day", message)


def _is_sound(form: str, interval_s: int) -> bool:
    """Tell whether a format brings back the day, and the hour unless there is one row a day."""
    probe = datetime(2018, 12, 31, 23, 45, tzinfo=UTC)
    try:
        found = datetime.strptime(probe.strftime(form), form).replace(tzinfo=UTC)
    except ValueError:
        return False
    return found.date() == probe.date() and (found.hour == probe.hour or interval_s >= 86_400)


@dataclass(frozen=True, slots=True)
class RegisteredPoint:
    """What the park says of a point."""

    unit: str
    kind: Kind
    label: Label
    interval_s: int


def points_of(definition: ParkDefinition, mapping: Mapping, file: str) -> dict[str, RegisteredPoint]:
    """Return the points of the mapping's edge in a park document, or raise `DataFileError` if there is no such edge."""
    park, firm_code, edge = mapping.edge.split("/")
    if definition.code != park:
        raise DataFileError(file, "edge", f"park {park!r}: the document {mapping.park} is of park {definition.code!r}")
    for firm in definition.firms:
        if firm.code == firm_code and edge in firm.edges:
            return {
                point.code: RegisteredPoint(point.unit, point.kind, point.label, point.interval_s)
                for point in firm.points
                if point.edge == edge
            }
    raise DataFileError(file, "edge", f"the document {mapping.park} has no edge {edge!r} at a firm {firm_code!r}")


def shifts_s(mapping: Mapping, registered: Dictionary[str, RegisteredPoint], file: str) -> list[int]:
    """Hold each column against its registered point; return what brings the file's times to the point's label.

    Raises:
        DataFileError: no such point at this edge, another unit, or intervals of another length.
    """
    shifts = []
    for name, column in mapping.columns.items():
        at = f"columns[{name}]"
        point = registered.get(column.point)
        if point is None:
            known = ", ".join(sorted(registered)) or "none"
            raise DataFileError(file, f"{at}.point", f"edge {mapping.edge} has no {column.point!r}; it has {known}")
        if point.unit != column.unit:
            message = f"{column.unit!r}: point {column.point} is registered in {point.unit!r}; convert with scale"
            raise DataFileError(file, f"{at}.unit", message)
        if column.dial is not None and point.kind is not Kind.REGISTER:
            raise DataFileError(file, f"{at}.dial", f"point {column.point} is no register: only a register has a dial")
        if point.kind is not Kind.INTERVAL:
            shifts.append(0)
            continue
        if point.interval_s != mapping.time.interval_s:
            message = f"{mapping.time.interval_s}: point {column.point} is registered with {point.interval_s}"
            raise DataFileError(file, "time.interval_s", message)
        shifts.append(((point.label is Label.END) - (mapping.time.label is Label.END)) * mapping.time.interval_s)
    return shifts


def instants(local: datetime, tz: ZoneInfo) -> list[datetime]:
    """Return when a local time occurs: once, twice (clocks go back) or never (clocks go forward); UTC offsets kept."""
    first, second = local.replace(tzinfo=tz, fold=0), local.replace(tzinfo=tz, fold=1)
    before, after = first.utcoffset(), second.utcoffset()
    assert before is not None
    assert after is not None
    if before == after:
        return [first]
    return [first, second] if before > after else []


def labelled_instants(local: datetime, tz: ZoneInfo, label: Label, interval: timedelta) -> list[int]:
    """Return, in order, the instants (ms since 1970) that a local time of a row can mean.

    Loggers that name the end of an interval write it either as local time at that end or as the local time of its
    start plus the interval; around a change of clocks the two differ, so both count.
    """
    found = {_ms(instant) for instant in instants(local, tz)}
    if label is Label.END:
        # Adding to an aware datetime of one zone would move the clock's hands, not the instant.
        length_ms = interval // timedelta(milliseconds=1)
        found |= {_ms(start) + length_ms for start in instants(local - interval, tz)}
    return sorted(found)


def _ms(instant: datetime) -> int:
    offset = instant.utcoffset()
    assert offset is not None
    since = instant.replace(tzinfo=None) - offset - datetime(1970, 1, 1)  # noqa: DTZ001 - both are UTC
    return since // timedelta(milliseconds=1)
