"""Tables of business inputs as CSV: what spreadsheets write, in Chinese or English, row by row.

A wrong row is told by file, row and column, and stops no other.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from park.business import (
    FILE_SOURCE,
    KINDS,
    BusinessInput,
    Finality,
    InputKind,
    InputName,
    PriceBasis,
    check_input,
    check_known,
    parse_report_period,
)
from park.business_words import (
    COLUMNS,
    FINALITY_WORDS,
    KIND_WORDS,
    PRICE_WORDS,
    REQUIRED,
    UNIT_WORDS,
    WITHDRAWN_WORDS,
    key_of,
)
from park.errors import BusinessInputError, DataFileError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from datetime import date

MAX_BYTES: Final = 10_000_000
_PLAIN: Final = re.compile(r"[+-]?\d+(\.\d*)?([eE][+-]?\d+)?|[+-]?\.\d+")
_GROUPED: Final = re.compile(r"[+-]?\d{1,3}([, ]\d{3})+(\.\d+)?")


class Reporter(Protocol):
    """A firm that rows may name."""

    @property
    def code(self) -> str:
        """Return its code."""

    @property
    def uscc(self) -> str | None:
        """Return its unified social credit code, if it is known."""

    @property
    def products(self) -> Collection[str]:
        """Return the products it makes; empty: any."""

    @property
    def workshops(self) -> Collection[str]:
        """Return its units."""


@dataclass(frozen=True, slots=True)
class Row:
    """One good row: its number in the file (the heading is 1), the firm's code, and what it says."""

    number: int
    firm: str
    found: BusinessInput


@dataclass(frozen=True, slots=True)
class RowError:
    """What is wrong with one row."""

    file: str
    number: int
    field: str
    message: str

    def __str__(self) -> str:
        """Return `FILE: row N: FIELD: message`."""
        return f"{self.file}: row {self.number}: {self.field}: {self.message}"


def read_rows(
    data: bytes, file: str, firms: Iterable[Reporter], *, author: str, reason: str, today: date
) -> tuple[list[Row], list[RowError]]:
    """Read a table.

    Args:
        data: the file as it is: UTF-8 with or without a byte-order mark, UTF-16 with one, or GB 18030 (GBK); columns
            parted by comma, semicolon or tab.
        file: its name, for messages and as the source of what it says.
        firms: those of the park; rows name them by code or by unified social credit code.
        author: who enters it.
        reason: why, for rows that give no reason of their own.
        today: in the park's zone.

    Raises:
        DataFileError: the file as a whole cannot be read: encoding, heading, size.
    """
    if len(data) > MAX_BYTES:
        raise DataFileError(file, "", f"{len(data)} bytes; at most {MAX_BYTES}, so send it in pieces")
    lines = _lines(text_of(data, file), file)
    heading = _heading(lines, file)
    by_name = {name: firm for firm in firms for name in (firm.code, firm.uscc) if name}
    origin = f"{FILE_SOURCE}{file} {hashlib.sha256(data).hexdigest()[:12]} row "
    rows: list[Row] = []
    errors: list[RowError] = []
    seen: dict[tuple[str, InputName], Row] = {}
    for number, cells in enumerate(lines[1:], start=2):
        if not any(cell.strip() for cell in cells):
            continue
        try:
            row = _row(number, _fields(cells, heading), by_name, (author, f"{origin}{number}", reason), today)
            _check_agrees(seen.setdefault((row.firm, row.found.name), row), row)
        except BusinessInputError as error:
            errors.append(RowError(file, number, heading.get(error.field, error.field), error.problem))
        else:
            rows.append(row)
    return rows, errors


def _check_agrees(first: Row, row: Row) -> None:
    if not first.found.says_the_same(row.found):
        raise BusinessInputError("amount", f"row {first.number} says otherwise about {row.found.name}")


def text_of(data: bytes, file: str) -> str:
    """Return a table as text, or raise `DataFileError`: UTF-8, UTF-16 with a mark, or GB 18030."""
    marks = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
    marked = [encoding for mark, encoding in marks.items() if data.startswith(mark)]
    for encoding in marked or ["utf-8", "gb18030"]:
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise DataFileError(file, "", "neither UTF-8 nor GB 18030 (GBK): save it as CSV UTF-8")


def _lines(text: str, file: str) -> list[list[str]]:
    if "\0" in text:
        raise DataFileError(file, "", "this is no text: save it as CSV")
    first = text.partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    try:
        return list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
    except csv.Error as error:
        raise DataFileError(file, "", f"not CSV: {error}") from None


def _heading(lines: Sequence[Sequence[str]], file: str) -> dict[str, str]:
    """Return column name to the word that the file uses for it, in the order of the columns."""
    names = {word: column for column, words in COLUMNS.items() for word in (column, *words)}
    found: dict[str, str] = {}
    for k, cell in enumerate(lines[0] if lines else ()):
        word = unicodedata.normalize("NFKC", cell).strip()
        column = names.get(word.lower())
        if column is None:
            known = ", ".join(f"{c} ({words[0]})" for c, words in COLUMNS.items())
            raise DataFileError(file, f"column {k + 1}", f"unknown heading {word!r}; known are {known}")
        if column in found:
            raise DataFileError(file, f"column {k + 1}", f"{word!r} stands beside {found[column]!r}: the same column")
        found[column] = word
    missing = [f"{column} ({COLUMNS[column][0]})" for column in REQUIRED if column not in found]
    if missing:
        raise DataFileError(file, "heading", f"columns are missing: {', '.join(missing)}")
    return found


def _fields(cells: Sequence[str], heading: Mapping[str, str]) -> dict[str, str]:
    if any(cell.strip() for cell in cells[len(heading) :]):
        raise BusinessInputError("row", f"{len(cells)} cells under {len(heading)} headings")
    padded = [*cells, *[""] * len(heading)]
    return {c: unicodedata.normalize("NFKC", text).strip() for c, text in zip(heading, padded, strict=False)}


def _row(
    number: int,
    fields: Mapping[str, str],
    firms: Mapping[str, Reporter],
    entry: tuple[str, str, str],
    today: date,
) -> Row:
    code = fields["firm"]
    firm = firms.get(code)
    if firm is None:
        raise BusinessInputError("firm", f"no firm {code!r} in this park; `greenpark park show` lists them")
    author, source, reason = entry
    kind = _word(fields["kind"], "kind", KIND_WORDS, [kind.value for kind in InputKind])
    spec = KINDS[InputKind(kind)]
    basis, year = fields.get("price_basis", ""), fields.get("price_year", "")
    finality = _word(fields.get("finality") or "final", "finality", FINALITY_WORDS, list(Finality))
    unit = fields.get("unit") or spec.default_unit
    if not unit:
        raise BusinessInputError("unit", f"{kind} needs a unit")
    if year and not re.fullmatch(r"\d{4}", year):
        raise BusinessInputError("price_year", f"{year!r}: a year such as 2020 is expected")
    name = InputName(
        InputKind(kind),
        parse_report_period(fields["period"]),
        key_of(fields.get("key", "")) if spec.key != "product" else fields.get("key", ""),
        PriceBasis(_word(basis, "price_basis", PRICE_WORDS, list(PriceBasis))) if basis else None,
        int(year) if year else None,
        fields.get("workshop") or None,
    )
    found = BusinessInput(
        name,
        _amount(fields["amount"]),
        UNIT_WORDS.get(unit, unit),
        Finality(finality),
        author=author,
        source=source,
        reason=fields.get("reason") or reason,
    )
    check_input(found, today=today)
    check_known(found, products=firm.products, workshops=firm.workshops)
    return Row(number, firm.code, found)


def _word(text: str, field: str, words: Mapping[str, str], known: Sequence[str]) -> str:
    found = words.get(text, text.lower())
    if found not in known:
        raise BusinessInputError(field, f"{text!r} is unknown; known are {', '.join(known)}")
    return str(found)


def _amount(text: str) -> float | None:
    if text.lower() in WITHDRAWN_WORDS:
        return None
    if not text:
        raise BusinessInputError("amount", "is empty; write 0 for nothing, or withdrawn (撤回) to take it back")
    if _GROUPED.fullmatch(text):
        text = text.replace(",", "").replace(" ", "")
    if not _PLAIN.fullmatch(text):
        hint = "; a comma parts thousands, decimals follow a point" if "," in text else ""
        raise BusinessInputError("amount", f"{text!r} is no number{hint}")
    return float(text)
