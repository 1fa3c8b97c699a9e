"""Writes the dashboards as the JSON that Grafana is provisioned with: `python -m dashboards.build [--check]`."""

from __future__ import annotations

import json
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from dashboards.page import Page
from dashboards.pages import alerts, carbon, energy, firm, platform, quality, targets, today, waste, water
from dashboards.query import SOURCE_TYPE, SOURCE_UID
from dashboards.words import BAD, LOCALES, PROVISIONAL, Locale, Text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import ModuleType

FOLDER: Final = Path(__file__).resolve().parent.parent / "deploy" / "grafana" / "dashboards"

# In the order in which a reader meets them. A new dashboard is one line here.
DASHBOARDS: Final[dict[str, ModuleType]] = {
    "park-today": today,
    "targets": targets,
    "firm": firm,
    "energy": energy,
    "water": water,
    "carbon": carbon,
    "waste": waste,
    "alerts": alerts,
    "quality": quality,
    "platform": platform,
}
ONE_FIRM: Final = frozenset({"firm"})
PARK_ONLY: Final = frozenset({"platform"})
"""Pages about the whole platform: a firm has no use for them."""
WITHOUT_ANNOTATIONS: Final = frozenset({"alerts", "platform"})


@cache
def documents() -> Mapping[str, str]:
    """Return every dashboard as JSON text by its path below `FOLDER`."""
    return {f"{locale}/{name}.json": _text(name, locale) for name in DASHBOARDS for locale in LOCALES}


def parsed() -> dict[str, dict[str, Any]]:
    """Return every dashboard as Grafana reads it, by its path."""
    return {path: json.loads(text) for path, text in documents().items()}


def _text(name: str, locale: Locale) -> str:
    document = json.loads(JSONEncoder().encode(DASHBOARDS[name].build(locale)))
    x = y = height = 0
    for number, panel in enumerate(document["panels"], start=1):
        panel["id"] = number
        place = panel["gridPos"]
        if x + place["w"] > 24:
            x, y, height = 0, y + height, 0
        place |= {"x": x, "y": y}
        x, height = x + place["w"], max(height, place["h"])
    lines = [] if name in WITHOUT_ANNOTATIONS else _annotations(Page(locale, "today"), one_firm=name in ONE_FIRM)
    document["annotations"] = {"list": lines}
    return json.dumps(document, ensure_ascii=False, indent=1) + "\n"


def _annotations(page: Page, *, one_firm: bool) -> list[dict[str, Any]]:
    """Return what is drawn over every curve: alerts as spans, changes of meters as lines.

    The SDK has no target of a SQL source for them.
    """
    kinds = (
        ("annotation_episodes", Text("重要告警", "Major alerts"), BAD, True),
        ("annotation_meters", Text("换表与修正", "Meter changes"), PROVISIONAL, True),
    )
    found = []
    for query, name, colour, shown in kinds:
        sql = page.sql(query)
        if one_firm:
            sql = sql.replace("IN ($firm)", "= '$firm'")
        found.append(
            {
                "name": page.say(name),
                "datasource": {"type": SOURCE_TYPE, "uid": SOURCE_UID},
                "enable": shown,
                "hide": False,
                "iconColor": colour,
                "target": {
                    "refId": "Anno",
                    "datasource": {"type": SOURCE_TYPE, "uid": SOURCE_UID},
                    "editorMode": "code",
                    "rawQuery": True,
                    "format": "table",
                    "rawSql": sql,
                },
            }
        )
    return found


def stale(folder: Path = FOLDER) -> list[str]:
    """Return the paths whose file is missing or differs, and files that no dashboard makes any more."""
    wanted = documents()
    found = {str(path.relative_to(folder)) for path in folder.glob("*/*.json")}
    changed = {path for path, text in wanted.items() if path not in found or (folder / path).read_text("utf-8") != text}
    return sorted(changed | (found - set(wanted)))


def write(folder: Path = FOLDER) -> list[str]:
    """Write what differs, remove what nothing makes, and return the paths."""
    changed, wanted = stale(folder), documents()
    for path in changed:
        file = folder / path
        if path in wanted:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(wanted[path], "utf-8")
        else:
            file.unlink()
    return changed


if __name__ == "__main__":
    differing = stale() if "--check" in sys.argv[1:] else write()
    for name in differing:
        print(name)
    sys.exit(1 if "--check" in sys.argv[1:] and differing else 0)
