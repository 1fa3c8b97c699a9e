"""`greenpark simulate quiet`: a park in which nothing goes wrong, through the whole platform; every alert is false."""

from __future__ import annotations

import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from cli.score.running import run_score
from simulators.firms import profiles

if TYPE_CHECKING:
    from datetime import date


@dataclass(frozen=True, slots=True)
class QuietResult:
    """Alerts of a quiet park.

    Attributes:
        false: episodes that stand; retracted: those that were taken back before the end.
        per_firm: episodes that stand, by firm.
        worst_firm: the most of one firm; the promise is at most 1.
        by_rule: the same by rule.
    """

    firms: int
    days: int
    false: int
    retracted: int
    per_firm: float
    worst_firm: int
    by_rule: dict[str, int]
    episodes: list[str]


def scenario_text(firms: int, days: int, start: date) -> dict[str, Any]:
    """Return a scenario without faults: the shipped trades in turn, each a little larger or smaller."""
    trades = profiles()
    return {
        "name": "quiet-park",
        "description": f"{firms} firms, {days} days, nothing goes wrong.",
        "description_zh": f"{firms} 家企业，{days} 天，无任何故障",
        "firms": [
            {
                "code": f"q{k + 1:03}",
                "name_zh": f"企业{k + 1}",
                "name_en": f"Firm {k + 1}",
                "profile": trades[k % len(trades)],
                "scale": round(0.6 + 0.07 * (k // len(trades)), 3),
            }
            for k in range(firms)
        ],
        "start": f"{start.isoformat()}T00:00:00+08:00",
        "days": days,
        "takes_s": max(60, 3 * firms * days // 10),
        "faults": [],
    }


async def run_quiet(firms: int, days: int, start: date, var: Path, *, seed: int | None = None) -> QuietResult:
    """Run a quiet park against a stack of its own below `var/score`."""
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "quiet-park.yaml"
        # JSON is YAML.
        file.write_bytes(msgspec.json.encode(scenario_text(firms, days, start)))
        score = await run_score(str(file), var, seed=seed)
    lines = list(score.alerts.false_episodes)
    of_firm = Counter(line.split()[1] for line in lines)
    return QuietResult(
        firms=firms,
        days=days,
        false=len(lines),
        retracted=score.alerts.retracted,
        per_firm=round(len(lines) / firms, 3),
        worst_firm=max(of_firm.values(), default=0),
        by_rule=dict(Counter(line.split()[0] for line in lines)),
        episodes=lines[:100],
    )
