"""What can go wrong between us and the database.

StoreError
├── UnreachableError     no server answers at the address, or it refuses the log-in
├── UnsuitableError      the server lacks something: version, extension, privilege; says what to install
├── SchemaError          the schema is older or newer than this program; says which command to run
├── OccupiedError        history is to be laid down where there are readings already
├── UnknownNameError     a park, firm, point, edge, episode, recipient or token that is not there
├── EditError            a person's decision about the ledger that cannot be made, or a meter that cannot stand there
├── ConflictingPackError a target pack's version that is kept with other contents, or an id that is somebody else's
└── EpisodeStateError    an episode is not in the state that a person's action needs
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


class OccupiedError(StoreError):
    """History is to be laid down where there are readings already, or it holds a point and time twice.

    Attributes:
        point_id: the first such point, None if it is not known which.
    """

    def __init__(self, point_id: int | None) -> None:
        """Say what to do instead."""
        what = "a point and time stands twice" if point_id is None else f"point {point_id} has readings in this time"
        super().__init__(f"{what}: send these readings through ingest, which takes each once")
        self.point_id = point_id


_LISTED_BY = {
    "episode": "greenpark alerts list",
    "recipient": "greenpark recipient list",
    "token": "greenpark token list",
    "calendar": "greenpark oncall list",
    "step": "greenpark escalation list",
}


class UnknownNameError(StoreError):
    """A name that the database does not know.

    Attributes:
        kind: `park`, `firm`, `zone`, `edge`, `point`, `episode`, `recipient`, `token`, `calendar`, `step`.
        name: what was asked for.
    """

    def __init__(self, kind: str, name: str) -> None:
        """Name what is missing."""
        listed_by = _LISTED_BY.get(kind, "greenpark park show")
        super().__init__(f"no {kind} {name!r} here; `{listed_by}` lists what there is")
        self.kind = kind
        self.name = name


class EditError(StoreError):
    """A decision about the ledger, or a change of meters, that cannot be made; the message says why."""


class ConflictingPackError(StoreError):
    """A target pack that cannot be kept: its version has other contents, or its id is somebody else's."""


class EpisodeStateError(StoreError):
    """An episode that is pending or over cannot be acknowledged.

    Attributes:
        state: the state it is in.
    """

    def __init__(self, episode_id: int, state: str) -> None:
        """Say what it is and what it would have to be."""
        super().__init__(f"episode {episode_id} is {state}; only an open one can be acknowledged")
        self.episode_id = episode_id
        self.state = state
