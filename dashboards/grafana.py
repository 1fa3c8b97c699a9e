"""Grafana's HTTP interface, as far as it is needed to keep organisations in step: one method for each thing.

Every `ensure_…` looks first and writes only what differs, so that a second run changes nothing; it returns what it did.
Organisations are chosen by the header X-Grafana-Org-Id, which needs a log-in (not a token) of a server administrator.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import quote

import httpx

from dashboards.errors import GrafanaError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Did = Literal["created", "changed", "unchanged"]
_TAKEN: Final = frozenset({409, 412})
"""Somebody else was faster: an organisation, data source or member answers 409, a user or folder 412."""


class Grafana:
    """One server, spoken to as its administrator.

    Args:
        client: with the server's address and the administrator's log-in.
    """

    def __init__(self, client: httpx.Client) -> None:
        self._client = client
        self._login = ""

    def version(self) -> str:
        """Return the server's version, having learnt who we are there."""
        health = self._call("GET", "/api/health")
        self._login = self._call("GET", "/api/user")["login"]
        return str(health.get("version", "?"))

    def ensure_organisation(self, name: str) -> tuple[int, Did]:
        """Return the id of the organisation with this name; whoever makes one becomes its administrator."""
        path = f"/api/orgs/name/{quote(name, safe='')}"
        found = self._find(path)
        did: Did = "unchanged"
        if found is None:
            made = self._make("/api/orgs", {"name": name})
            did = "created" if made is not None else "unchanged"
            found = {"id": made["orgId"]} if made is not None else self._call("GET", path)
        number = int(found["id"])
        if did == "unchanged":
            self.ensure_member(number, self._login, "Admin")
        return number, did

    def ensure_user(self, login: str, name: str, email: str, *, organisation: int, password: str) -> Did:
        """See that a user is there; the password is only for one who is made now. `email` may be empty."""
        found = self._find(f"/api/users/lookup?loginOrEmail={quote(login, safe='')}")
        if found is None:
            user = {"name": name, "login": login, "password": password, "OrgId": organisation}
            made = self._make("/api/admin/users", user | ({"email": email} if email else {}))
            return "unchanged" if made is None else "created"
        wanted = {"login": login, "name": name, "email": email or found["email"]}
        if all(found.get(key) == value for key, value in wanted.items()):
            return "unchanged"
        self._call("PUT", f"/api/users/{found['id']}", wanted)
        return "changed"

    def knows_user(self, login: str) -> bool:
        """Tell whether there is such a user."""
        return self._find(f"/api/users/lookup?loginOrEmail={quote(login, safe='')}") is not None

    def ensure_member(self, organisation: int, login: str, role: str) -> Did:
        """See that a user belongs to an organisation with this role."""
        path = f"/api/orgs/{organisation}/users"
        member = next((m for m in self._call("GET", path) if m["login"] == login), None)
        if member is None:
            made = self._make(path, {"loginOrEmail": login, "role": role})
            return "unchanged" if made is None else "created"
        if member["role"] == role:
            return "unchanged"
        self._call("PATCH", f"{path}/{member['userId']}", {"role": role})
        return "changed"

    def ensure_source(self, organisation: int, source: Mapping[str, Any]) -> Did:
        """See that a data source is as described; its secret is compared by the fingerprint in its `jsonData`."""
        path = f"/api/datasources/uid/{source['uid']}"
        found = self._find(path, organisation)
        if found is None:
            made = self._make("/api/datasources", source, organisation)
            return "unchanged" if made is None else "created"
        # Grafana does not give secrets back.
        if _within({k: v for k, v in source.items() if k != "secureJsonData"}, found):
            return "unchanged"
        self._call("PUT", path, source, organisation)
        return "changed"

    def ensure_folder(self, organisation: int, uid: str, title: str) -> Did:
        """See that a folder is there with this title."""
        found = self._find(f"/api/folders/{uid}", organisation)
        if found is None:
            made = self._make("/api/folders", {"uid": uid, "title": title}, organisation)
            return "unchanged" if made is None else "created"
        if found["title"] == title:
            return "unchanged"
        self._call("PUT", f"/api/folders/{uid}", {"title": title, "overwrite": True}, organisation)
        return "changed"

    def ensure_dashboard(self, organisation: int, folder: str, dashboard: Mapping[str, Any]) -> Did:
        """See that a dashboard is as described, in its folder."""
        found = self._find(f"/api/dashboards/uid/{dashboard['uid']}", organisation)
        if (
            found is not None
            and found.get("meta", {}).get("folderUid") == folder
            and _within(dashboard, found["dashboard"])
        ):
            return "unchanged"
        body = {"dashboard": {**dashboard, "id": None}, "folderUid": folder, "overwrite": True, "message": "greenpark"}
        self._call("POST", "/api/dashboards/db", body, organisation)
        return "created" if found is None else "changed"

    def forget_dashboards(self, organisation: int, folder: str, wanted: frozenset[str]) -> list[str]:
        """Remove what stands in a folder of ours and is not wanted there; return the uids."""
        rows = self._call("GET", f"/api/search?type=dash-db&folderUIDs={folder}&limit=1000", None, organisation)
        gone = [row["uid"] for row in rows if row.get("folderUid") == folder and row["uid"] not in wanted]
        for uid in gone:
            self._call("DELETE", f"/api/dashboards/uid/{uid}", None, organisation)
        return gone

    def ensure_preferences(self, organisation: int, preferences: Mapping[str, str]) -> Did:
        """See that an organisation has these preferences, such as its time zone."""
        found = self._call("GET", "/api/org/preferences", None, organisation)
        if _within(preferences, found):
            return "unchanged"
        self._call("PATCH", "/api/org/preferences", preferences, organisation)
        return "changed"

    def _find(self, path: str, organisation: int | None = None) -> Any:
        try:
            return self._call("GET", path, None, organisation)
        except GrafanaError as error:
            if error.status == 404:
                return None
            raise

    def _make(self, path: str, body: Mapping[str, Any], organisation: int | None = None) -> Any:
        """Post something new; None if it is there already, made by somebody else a moment ago."""
        try:
            return self._call("POST", path, body, organisation)
        except GrafanaError as error:
            if error.status in _TAKEN:
                return None
            raise

    def _call(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, organisation: int | None = None
    ) -> Any:
        headers = {} if organisation is None else {"X-Grafana-Org-Id": str(organisation)}
        try:
            answer = self._client.request(method, path, json=body, headers=headers)
        except httpx.HTTPError as error:
            raise GrafanaError(f"Grafana does not answer at {self._client.base_url}: {error}") from error
        if answer.is_success:
            return answer.json()
        hint = {
            401: "; is the log-in that of a server administrator?",
            403: "; a server administrator is needed, and what a file provisions must be changed in the file",
        }.get(answer.status_code, "")
        raise GrafanaError(
            f"Grafana: {method} {path.partition('?')[0]}: {answer.status_code} {_message(answer)}{hint}",
            answer.status_code,
        )


@contextmanager
def grafana_at(url: str, user: str, password: str, transport: httpx.BaseTransport | None = None) -> Iterator[Grafana]:
    """Speak to the server at `url` as its administrator."""
    with httpx.Client(base_url=url, auth=(user, password), timeout=30, transport=transport) as client:
        yield Grafana(client)


def _message(answer: httpx.Response) -> str:
    try:
        return str(answer.json().get("message", ""))
    except (ValueError, AttributeError):
        return answer.text[:200]


def _within(wanted: Any, found: Any) -> bool:
    """Tell whether all that is wanted is found; Grafana adds fields of its own."""
    if isinstance(wanted, dict):
        return isinstance(found, dict) and all(
            key in found and _within(value, found[key]) for key, value in wanted.items()
        )
    if isinstance(wanted, list):
        return (
            isinstance(found, list)
            and len(wanted) == len(found)
            and all(_within(a, b) for a, b in zip(wanted, found, strict=True))
        )
    return bool(wanted == found)
