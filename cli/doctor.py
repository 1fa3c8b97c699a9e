"""`greenpark doctor`: look at everything, say what is wrong, and what to do about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cli.checks.alerting import examine_alerting
from cli.checks.broker import examine_broker
from cli.checks.database import examine_database
from cli.checks.finding import Finding, bad, look, ok
from cli.checks.machine import examine_machine
from cli.errors import CliError, MissingError
from cli.running import runner
from cli.settings import ROOMS

if TYPE_CHECKING:
    from cli.settings import Settings

__all__ = ["Finding", "examine", "show"]

_SIGNS = {"ok": "✓", "warn": "!", "bad": "✗"}


async def examine(settings: Settings) -> list[Finding]:
    """Look at this machine, the settings, the database and the broker; what fails hides nothing else."""
    return [
        *await examine_machine(),
        *await look("settings", check_settings, settings),
        *await look("database", examine_database, settings),
        *await look("who is told", examine_alerting, settings),
        *await look("broker", examine_broker, settings),
    ]


def check_settings(settings: Settings) -> list[Finding]:
    """Every process would accept its settings; missing addresses are told where they are used."""
    findings = []
    for room in ROOMS:
        try:
            runner(room, settings)
        except MissingError:
            continue
        except CliError as error:
            findings.append(bad("settings", str(error), "mend it there; `greenpark run --help` tells of the processes"))
    return findings or [ok("settings", f"from {settings.origin}")]


def show(findings: list[Finding]) -> str:
    """Return the findings for people: one line each, what to do below it, a summary last."""
    width = max((len(finding.what) for finding in findings), default=0)
    lines = []
    for finding in findings:
        lines.append(f"{_SIGNS[finding.level]} {finding.what:<{width}}  {finding.found}")
        if finding.do:
            lines.append(f"  {'':<{width}}  → {finding.do}")
    count = {level: sum(finding.level == level for finding in findings) for level in _SIGNS}
    verdict = (
        "all is well" if not count["bad"] and not count["warn"] else f"{count['bad']} bad, {count['warn']} to heed"
    )
    return "\n".join([*lines, "", f"{len(findings)} looked at: {verdict}"])
