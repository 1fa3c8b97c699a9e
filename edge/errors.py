"""What can go wrong at an edge.

EdgeError
├── ConfigError          the configuration is wrong; names file, field and what was expected
├── PushRefusedError     a pushed configuration is not applied; the one before it holds
└── DiskBufferError      the buffer on disk
    ├── BufferUnusableError   the file cannot be opened or written: rights, directory, disk
    ├── BufferInUseError      another agent holds the file, or it belongs to another edge
    ├── BufferCorruptError    the file is damaged; the agent moves it aside and starts a new one
    └── BufferFullError       not even one more batch fits, with everything else given up
"""

from __future__ import annotations


class EdgeError(Exception):
    """Root of every error raised by the `edge` room."""


class ConfigError(EdgeError):
    """The configuration is wrong.

    Attributes:
        file: where it was read.
        field: path of the offending field, such as `edges[0].devices[1].port`.
        expected: what should stand there.
    """

    def __init__(self, file: str, field: str, expected: str) -> None:
        """Name the place first, so that the line can be found at once."""
        super().__init__(f"{file}: {field}: {expected}" if field else f"{file}: {expected}")
        self.file = file
        self.field = field
        self.expected = expected


class PushRefusedError(EdgeError):
    """A pushed configuration is not applied; the one before it holds.

    Attributes:
        version: of the push, 0 where it could not be read.
        reason: why.
    """

    def __init__(self, version: int, reason: str) -> None:
        """Say why."""
        super().__init__(f"pushed configuration {version or '?'} is refused: {reason}")
        self.version = version
        self.reason = reason


class DiskBufferError(EdgeError):
    """Something about the buffer's file.

    Attributes:
        path: the file.
    """

    def __init__(self, path: str, message: str) -> None:
        """Name the file first."""
        super().__init__(f"{path}: {message}")
        self.path = path


class BufferUnusableError(DiskBufferError):
    """The file cannot be opened or written."""


class BufferInUseError(DiskBufferError):
    """Another agent holds the file, or the file belongs to another edge."""


class BufferCorruptError(DiskBufferError):
    """The file is damaged."""


class BufferFullError(DiskBufferError):
    """Not even one more batch fits."""
