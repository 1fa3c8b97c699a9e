"""What can go wrong between us and the database.

StoreError
├── UnreachableError     no server answers at the address, or it refuses the log-in
├── UnsuitableError      the server lacks something: version, extension, privilege; says what to install
├── SchemaError          the schema is older or newer than this program; says which command to run
└── UnknownNameError     a park, firm, point or edge that is not there
"""

from __future__ import annotations


class StoreError(Exception):
    """Root of every error raised by the `store` room."""


class UnreachableError(StoreError):
    """No server answers, or it refuses the log-in."""


class UnsuitableError(StoreError):
    """The server lacks something we need."""


class SchemaError(StoreError):
    """The schema is not the one this program was written for.

    Attributes:
        found: the newest applied migration, 0 for an empty database.
        wanted: the newest migration this program has.
    """

    def __init__(self, found: int, wanted: int) -> None:
        """Say which way the difference goes and what to do."""
        advice = "run `greenpark migrate`" if found < wanted else "install a newer greenpark"
        super().__init__(f"the database is at migration {found}, this program wants {wanted}: {advice}")
        self.found = found
        self.wanted = wanted


class UnknownNameError(StoreError):
    """A name that the database does not know.

    Attributes:
        kind: `park`, `firm`, `edge`, `point`.
        name: what was asked for.
    """

    def __init__(self, kind: str, name: str) -> None:
        """Name what is missing."""
        super().__init__(f"no {kind} {name!r} here; `greenpark park show` lists what there is")
        self.kind = kind
        self.name = name
