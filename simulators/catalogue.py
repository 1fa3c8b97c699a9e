"""What the simulators ship, for people and machines: profiles, faults and scenarios with their descriptions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulators.faults import catalogue
from simulators.firms import profile, profiles
from simulators.scenarios import scenario, scenarios

if TYPE_CHECKING:
    from collections.abc import Sequence

Entry = dict[str, str]


def listing() -> dict[str, list[Entry]]:
    """Return `profiles`, `faults` and `scenarios`, each a list of name and description in both languages."""
    found_profiles = [profile(name) for name in profiles()]
    found_scenarios = [scenario(name) for name in scenarios()]
    return {
        "profiles": [_entry(p.name, p.description, p.description_zh) for p in found_profiles],
        "faults": [_entry(f.name, f.description, f.description_zh) for f in catalogue().values()],
        "scenarios": [_entry(s.name, s.description, s.description_zh) for s in found_scenarios],
    }


def _entry(name: str, description: str, description_zh: str) -> Entry:
    return {"name": name, "description": description, "description_zh": description_zh}


def fault_table() -> str:
    """Return the fault catalogue as a Markdown table."""
    rows = [
        (f"`{k.name}` {k.name_zh}", k.description, k.truth, k.platform, k.expect.buckets, k.expect.alert or "none")
        for k in catalogue().values()
    ]
    return _table(("fault", "what happens", "truth", "expected of the platform", "buckets", "alert"), rows)


def scenario_table() -> str:
    """Return the shipped scenarios as a Markdown table."""
    rows = []
    for name in scenarios():
        found = scenario(name)
        days = (found.end_us - found.start_us) / 86_400_000_000
        firms, points = len(found.park.firms), sum(len(firm.points) for firm in found.park.firms)
        size = f"{firms} firms, {points} points, {days:g} d every {found.step_s} s"
        rows.append((f"`{name}`", f"{found.description} {found.description_zh}", size, str(len(found.faults))))
    return _table(("scenario", "what it is", "size", "faults"), rows)


def profile_table() -> str:
    """Return the shipped firm profiles as a Markdown table."""
    rows = []
    for name in profiles():
        found = profile(name)
        products = ", ".join(f"{p.name_en} ({p.unit})" for p in found.products) or "none"
        rows.append((f"`{name}`", found.industry, f"{found.description} {found.description_zh}", products))
    return _table(("profile", "industry", "what it is", "products"), rows)


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def document() -> str:
    """Return the text of the simulators' README below its introduction."""
    parts = (("Profiles", profile_table()), ("Faults", fault_table()), ("Scenarios", scenario_table()))
    return "".join(f"\n## {title}\n\n{table}" for title, table in parts)
