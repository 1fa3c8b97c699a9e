"""What can go wrong in the HTTP interface.

ApiError
├── ListenError     the address is taken or not ours to listen on
└── ProblemError    a request that cannot be answered as asked; becomes an RFC 9457 problem
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class ApiError(Exception):
    """Root of every error raised by the `api` room."""


class ListenError(ApiError):
    """The address is taken or not ours to listen on.

    Attributes:
        host, port: where we were to listen.
    """

    def __init__(self, host: str, port: int, cause: OSError) -> None:
        """Name the address and the way out."""
        super().__init__(f"cannot listen on {host}:{port}: {cause.strerror or cause}; choose another port or stop it")
        self.host = host
        self.port = port


class ProblemError(ApiError):
    """A request that cannot be answered as asked.

    Attributes:
        kind: key of `api.problems.KINDS`, which gives status and title.
        detail: what is wrong and what to do.
        errors: one `{where, what, do}` for each wrong part of the request.
        headers: extra response headers.
    """

    def __init__(
        self,
        kind: str,
        detail: str,
        *,
        errors: Sequence[Mapping[str, str]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Keep the parts; the exception handler builds the document."""
        super().__init__(detail)
        self.kind = kind
        self.detail = detail
        self.errors = [dict(error) for error in errors]
        self.headers = dict(headers or {})
