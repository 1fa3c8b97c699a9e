"""What can be wrong with the language of a park.

ParkError
├── UnitError          a unit is unknown, or two units do not measure the same thing
├── WireError          a payload or topic does not follow the wire contract
│   ├── TopicError
│   └── PayloadError
├── CalendarError      a time without a zone, an unknown zone or grain
├── FactorError        a conversion that cannot be chosen
│   ├── NoFactorError
│   └── AmbiguousFactorError
├── FormulaError       a virtual point's formula that cannot be read, or does not fit its units; names the column
├── GraphError         meters that cannot stand under each other; names the points
├── MeterError         a meter that cannot have stood there, or a multiplier that cannot be
├── BusinessInputError a reported amount that cannot be; names the field
├── IndicatorError     an unknown indicator, a scope it does not have, or ratios that may not be added
├── BaselineError      a baseline that cannot be fitted, or one that failed a gate and is to be used all the same
└── DataFileError      a factor, indicator, target or rule file is wrong; names file, field and what was expected
"""

from __future__ import annotations


class ParkError(Exception):
    """Root of every error raised by the `park` room."""


class UnitError(ParkError):
    """A unit is unknown, or two units do not measure the same thing."""


class WireError(ParkError):
    """A message does not follow the wire contract.

    Attributes:
        reason: one of `park.wire.Reason`, the code under which the message is quarantined.
    """

    def __init__(self, reason: str, message: str) -> None:
        """Keep the reason code beside the message for people."""
        super().__init__(message)
        self.reason = reason


class TopicError(WireError):
    """A topic outside `greenpark/1/{park}/{firm}/{edge}/{channel}`."""


class PayloadError(WireError):
    """A payload that cannot be decoded, or whose columns do not fit together."""


class CalendarError(ParkError):
    """A time without a zone, an unknown zone, or an unknown grain."""


class FactorError(ParkError):
    """A factor cannot be chosen.

    Attributes:
        carrier: what was to be converted.
    """

    def __init__(self, carrier: str, message: str) -> None:
        """Keep the carrier beside the message for people."""
        super().__init__(message)
        self.carrier = carrier


class NoFactorError(FactorError):
    """No factor of this kind, carrier, basis, purpose and region holds on this day."""


class AmbiguousFactorError(FactorError):
    """Several factors hold at once; one of them must be superseded or limited in time."""


class FormulaError(ParkError):
    """A formula of a virtual point cannot be read or does not fit.

    Attributes:
        column: where in the text, from 1; None: the formula as a whole.
    """

    def __init__(self, message: str, column: int | None = None) -> None:
        """Name the column first."""
        super().__init__(message if column is None else f"column {column}: {message}")
        self.column = column


class GraphError(ParkError):
    """Meters cannot stand under each other like this.

    Attributes:
        point: the child at which it was noticed, as `firm/code`.
    """

    def __init__(self, point: str, message: str) -> None:
        """Name the point first."""
        super().__init__(f"{point}: {message}")
        self.point = point


class MeterError(ParkError):
    """A meter cannot have stood there, or cannot have had this multiplier; the message says why."""


class BusinessInputError(ParkError):
    """A reported production, value or other business input cannot be what it says.

    Attributes:
        field: which part of it is wrong: `kind`, `key`, `amount`, `unit`, `price_basis`, `price_year`, `period` …
    """

    def __init__(self, field: str, message: str) -> None:
        """Name the field first."""
        super().__init__(f"{field}: {message}")
        self.field = field
        self.problem = message


class IndicatorError(ParkError):
    """An unknown indicator, a scope it does not have, or ratios of unlike indicators put together."""


class BaselineError(ParkError):
    """A baseline cannot be fitted, or failed a gate and may not be used; the message says which."""


class DataFileError(ParkError):
    """A data file is wrong.

    Attributes:
        file: the file's name.
        field: the path of the offending field, such as `factors[3].value`.
    """

    def __init__(self, file: str, field: str, message: str) -> None:
        """Name the place first, so that the line can be found at once."""
        super().__init__(f"{file}: {field}: {message}" if field else f"{file}: {message}")
        self.file = file
        self.field = field
