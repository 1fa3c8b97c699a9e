"""What the SDK lacks: a PostgreSQL query, and the one data source that everything refers to."""

from __future__ import annotations

from typing import Any, Final, Literal

from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models.dashboard import DataSourceRef

SOURCE_TYPE: Final = "grafana-postgresql-datasource"
SOURCE_UID: Final = "tsdb"
SOURCE: Final = DataSourceRef(type_val=SOURCE_TYPE, uid=SOURCE_UID)

Format = Literal["time_series", "table"]


class SqlQuery(Dataquery, Builder[Dataquery]):
    """One target: SQL as it stands in the editor, and the form of its result."""

    def __init__(self, sql: str, form: Format, ref_id: str = "A") -> None:
        self._sql, self._form, self._ref_id = sql, form, ref_id

    def build(self) -> Dataquery:
        """Return itself: it is its own builder."""
        return self

    def to_json(self) -> dict[str, Any]:
        """Return the target; `format` must stand on each, Grafana fails without it."""
        return {
            "refId": self._ref_id,
            "datasource": SOURCE,
            "editorMode": "code",
            "rawQuery": True,
            "format": self._form,
            "rawSql": self._sql,
        }
