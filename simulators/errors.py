"""What can be wrong with a simulation.

SimulatorError
├── DataError        a profile, park, fault or scenario file is wrong; names file, field and what was expected
├── UnknownName      no such firm, point, profile, fault or scenario; names the known ones
├── SimulatedTime    a time before the simulated meters were installed
└── LoadError        the load generator could not reach, or was refused by, the broker
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class SimulatorError(Exception):
    """Root of every error raised by the `simulators` room."""


class DataError(SimulatorError):
    """A data file of the simulators is wrong.

    Attributes:
        file: the file's name.
        field: path of the offending field, such as `points[2].meter`; empty for the file as a whole.
    """

    def __init__(self, file: str, field: str, message: str) -> None:
        """Name the place first, so that the line can be found at once."""
        line = " ".join(message.split())
        super().__init__(f"{file}: {field}: {line}" if field else f"{file}: {line}")
        self.file = file
        self.field = field


class UnknownName(SimulatorError):  # noqa: N818  (reads better where it is raised)
    """A name that is not in the simulation."""

    def __init__(self, what: str, name: str, known: Iterable[str]) -> None:
        """List the known names, so that the right one can be chosen."""
        super().__init__(f"no {what} {name!r}; known are {', '.join(sorted(known))}")
        self.what = what
        self.name = name


class SimulatedTime(SimulatorError):  # noqa: N818
    """A time before the simulated meters were installed."""


class LoadError(SimulatorError):
    """The load generator could not reach, or was refused by, the broker."""
