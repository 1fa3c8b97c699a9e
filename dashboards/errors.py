"""What can go wrong with dashboards.

DashboardError
├── MacroError       a macro that Grafana does not know, or arguments that it cannot read: the query would fail
├── VariableError    a variable that is not defined, or a form of it that Grafana does not quote
├── GrafanaError     Grafana refused a call, or does not answer
└── PeopleError      the list of Grafana's users cannot be read, or names nobody we know
"""

from __future__ import annotations


class DashboardError(Exception):
    """Root of every error raised by the `dashboards` room."""


class MacroError(DashboardError):
    """A macro that Grafana would refuse or cut wrongly."""


class VariableError(DashboardError):
    """A variable that is not defined, or a form of it that lets a value become SQL."""


class GrafanaError(DashboardError):
    """Grafana refused a call or does not answer.

    Attributes:
        status: of the answer; None: there was none.
    """

    def __init__(self, message: str, status: int | None = None) -> None:
        """Keep the status beside the message."""
        super().__init__(message)
        self.status = status


class PeopleError(DashboardError):
    """The list of Grafana's users is wrong, or asks for what was not given."""
