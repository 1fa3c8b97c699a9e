"""What can go wrong with dashboards.

DashboardError
├── MacroError       a macro that Grafana does not know, or arguments that it cannot read: the query would fail
└── VariableError    a variable that is not defined, or a form of it that Grafana does not quote
"""

from __future__ import annotations


class DashboardError(Exception):
    """Root of every error raised by the `dashboards` room."""


class MacroError(DashboardError):
    """A macro that Grafana would refuse or cut wrongly."""


class VariableError(DashboardError):
    """A variable that is not defined, or a form of it that lets a value become SQL."""
