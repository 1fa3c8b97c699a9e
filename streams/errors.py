"""What can stop the processors.

StreamsError
└── DefinitionError     the database names something this program does not know (a unit, a target pack)
"""

from __future__ import annotations


class StreamsError(Exception):
    """Root of every error raised by the `streams` room."""


class DefinitionError(StreamsError):
    """The database names something that this program does not know; install a newer one or mend the park document."""
