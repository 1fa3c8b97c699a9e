"""A small double of Grafana's HTTP interface, built from its documentation: what `greenpark grafana sync` speaks to.

It answers as Grafana 12 documents: 404 where a name or uid is not there, 409 for an organisation, member or data source
that is there already, 412 for a user or folder, 403 for what a file has provisioned, fields of its own in every answer.
It is no Grafana: nothing was tried on a real server.
"""

from __future__ import annotations

import base64
import json
import re
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import httpx


@dataclass
class Organisation:
    """What belongs to one organisation."""

    name: str
    members: dict[str, str] = field(default_factory=dict)
    sources: dict[str, dict[str, Any]] = field(default_factory=dict)
    folders: dict[str, dict[str, Any]] = field(default_factory=dict)
    boards: dict[str, dict[str, Any]] = field(default_factory=dict)
    preferences: dict[str, Any] = field(default_factory=dict)


class Double:
    """The server: `calls` keeps every call that could change something."""

    def __init__(self, admin: str = "admin", password: str = "secret") -> None:
        self.log_in = (admin, password)
        self.orgs: dict[int, Organisation] = {1: Organisation("Main Org.", {admin: "Admin"})}
        self.users: dict[str, dict[str, Any]] = {
            admin: {"id": 1, "login": admin, "name": "", "email": "admin@localhost"}
        }
        self.passwords: dict[str, str] = {admin: password}
        self.provisioned: set[str] = set()
        self.calls: list[tuple[str, str]] = []

    def transport(self) -> httpx.MockTransport:
        """Answers a client in this process."""

        def handle(request: httpx.Request) -> httpx.Response:
            status, body = self.answer(
                request.method, str(request.url), dict(request.headers), request.content.decode() or "null"
            )
            return httpx.Response(status, json=body)

        return httpx.MockTransport(handle)

    def answer(self, method: str, url: str, headers: dict[str, str], text: str) -> tuple[int, Any]:
        """Answer one call."""
        parts = urlsplit(url)
        given = {name.lower(): value for name, value in headers.items()}
        if parts.path == "/api/health":
            return 200, {"database": "ok", "version": "12.2.0", "commit": "none"}
        if self._who(given.get("authorization", "")) is None:
            return 401, {"message": "Invalid username or password"}
        if method != "GET":
            self.calls.append((method, parts.path))
        number = int(given.get("x-grafana-org-id", "1"))
        org = self.orgs.get(number)
        if org is None or self.log_in[0] not in org.members:
            return 403, {"message": "You'll need additional permissions to perform this action."}
        return self._routed(method, parts.path, parse_qs(parts.query), json.loads(text), org)

    def _who(self, header: str) -> str | None:
        login, _, password = base64.b64decode(header.removeprefix("Basic ")).decode().partition(":")
        return login if (login, password) == self.log_in else None

    def _routed(
        self, method: str, path: str, query: dict[str, list[str]], body: Any, org: Organisation
    ) -> tuple[int, Any]:
        routes = {
            ("GET", "/api/user"): self._me,
            ("GET", "/api/orgs/name/(.+)"): self._org_by_name,
            ("POST", "/api/orgs"): self._make_org,
            ("GET", r"/api/orgs/(\d+)/users"): self._members,
            ("POST", r"/api/orgs/(\d+)/users"): self._add_member,
            ("PATCH", r"/api/orgs/(\d+)/users/(\d+)"): self._change_member,
            ("GET", "/api/users/lookup"): lambda _b: self._lookup(query["loginOrEmail"][0]),
            ("POST", "/api/admin/users"): self._make_user,
            ("PUT", r"/api/users/(\d+)"): self._change_user,
            ("GET", r"/api/datasources/uid/(\w+)"): lambda _b, uid: self._source(org, uid),
            ("POST", "/api/datasources"): lambda b: self._make_source(org, b),
            ("PUT", r"/api/datasources/uid/(\w+)"): lambda b, uid: self._change_source(org, b, uid),
            ("GET", r"/api/folders/([\w-]+)"): lambda _b, uid: self._found(org.folders, uid, "folder not found"),
            ("POST", "/api/folders"): lambda b: self._make_folder(org, b),
            ("PUT", r"/api/folders/([\w-]+)"): lambda b, uid: self._change_folder(org, b, uid),
            ("GET", r"/api/dashboards/uid/([\w-]+)"): lambda _b, uid: self._found(
                org.boards, uid, "Dashboard not found"
            ),
            ("DELETE", r"/api/dashboards/uid/([\w-]+)"): lambda _b, uid: self._forget_board(org, uid),
            ("POST", "/api/dashboards/db"): lambda b: self._make_board(org, b),
            ("GET", "/api/search"): lambda _b: self._search(org, query["folderUIDs"][0]),
            ("GET", "/api/org/preferences"): lambda _b: (200, {"theme": "", **org.preferences}),
            ("PATCH", "/api/org/preferences"): lambda b: self._prefer(org, b),
        }
        for (wanted, pattern), route in routes.items():
            match = re.fullmatch(pattern, path)
            if wanted == method and match:
                return route(body, *map(unquote, match.groups()))
        return 404, {"message": "Not found"}

    def _found(self, things: dict[str, dict[str, Any]], uid: str, missing: str) -> tuple[int, Any]:
        return (200, deepcopy(things[uid])) if uid in things else (404, {"message": missing})

    def _me(self, _body: Any) -> tuple[int, Any]:
        return 200, {**self.users[self.log_in[0]], "isGrafanaAdmin": True}

    def _org_by_name(self, _body: Any, name: str) -> tuple[int, Any]:
        for number, org in self.orgs.items():
            if org.name == name:
                return 200, {"id": number, "name": name, "address": {}}
        return 404, {"message": "Organization not found"}

    def _make_org(self, body: Any) -> tuple[int, Any]:
        if any(org.name == body["name"] for org in self.orgs.values()):
            return 409, {"message": "Organization name taken"}
        number = max(self.orgs) + 1
        self.orgs[number] = Organisation(body["name"], {self.log_in[0]: "Admin"})
        return 200, {"orgId": number, "message": "Organization created"}

    def _members(self, _body: Any, number: str) -> tuple[int, Any]:
        members = self.orgs[int(number)].members
        return 200, [{"userId": self.users[m]["id"], "login": m, "role": role} for m, role in members.items()]

    def _add_member(self, body: Any, number: str) -> tuple[int, Any]:
        members = self.orgs[int(number)].members
        if body["loginOrEmail"] not in self.users:
            return 404, {"message": "User not found"}
        if body["loginOrEmail"] in members:
            return 409, {"message": "User is already member of this organization"}
        members[body["loginOrEmail"]] = body["role"]
        return 200, {"message": "User added to organization", "userId": self.users[body["loginOrEmail"]]["id"]}

    def _change_member(self, body: Any, number: str, user: str) -> tuple[int, Any]:
        login = next(u["login"] for u in self.users.values() if u["id"] == int(user))
        self.orgs[int(number)].members[login] = body["role"]
        return 200, {"message": "Organization user updated"}

    def _lookup(self, login: str) -> tuple[int, Any]:
        for user in self.users.values():
            if login in {user["login"], user["email"]}:
                return 200, {**user, "orgId": 1, "isGrafanaAdmin": False}
        return 404, {"message": "user not found"}

    def _make_user(self, body: Any) -> tuple[int, Any]:
        if body["login"] in self.users:
            return 412, {"message": f"User with email '' or username '{body['login']}' already exists"}
        number = len(self.users) + 1
        self.users[body["login"]] = {
            "id": number,
            "login": body["login"],
            "name": body["name"],
            "email": body.get("email", ""),
        }
        self.passwords[body["login"]] = body["password"]
        # As Grafana: into the organisation that is named, with the role that new users get.
        self.orgs[body["OrgId"]].members[body["login"]] = "Viewer"
        return 200, {"id": number, "message": "User created"}

    def _change_user(self, body: Any, number: str) -> tuple[int, Any]:
        user = next(u for u in self.users.values() if u["id"] == int(number))
        user.update(body)
        return 200, {"message": "User updated"}

    def _source(self, org: Organisation, uid: str) -> tuple[int, Any]:
        status, found = self._found(org.sources, uid, "Data source not found")
        if status == 200:
            found["secureJsonFields"] = dict.fromkeys(found.pop("secureJsonData"), True)
        return status, found

    def _make_source(self, org: Organisation, body: Any) -> tuple[int, Any]:
        if body["uid"] in org.sources or any(s["name"] == body["name"] for s in org.sources.values()):
            return 409, {"message": "data source with the same name already exists"}
        org.sources[body["uid"]] = {**body, "id": 1, "orgId": 1, "version": 1, "readOnly": False}
        return 200, {"message": "Datasource added", "id": 1, "name": body["name"]}

    def _change_source(self, org: Organisation, body: Any, uid: str) -> tuple[int, Any]:
        if uid in self.provisioned:
            return 403, {"message": "Cannot update read-only data source"}
        org.sources[uid] |= body
        org.sources[uid]["version"] += 1
        return 200, {"message": "Datasource updated"}

    def _make_folder(self, org: Organisation, body: Any) -> tuple[int, Any]:
        if body["uid"] in org.folders:
            return 412, {"message": "the folder has been changed by someone else"}
        org.folders[body["uid"]] = {**body, "id": 1, "version": 1, "canSave": True}
        return 200, org.folders[body["uid"]]

    def _change_folder(self, org: Organisation, body: Any, uid: str) -> tuple[int, Any]:
        if not body.get("overwrite"):
            return 412, {"message": "the folder has been changed by someone else"}
        org.folders[uid]["title"] = body["title"]
        return 200, org.folders[uid]

    def _make_board(self, org: Organisation, body: Any) -> tuple[int, Any]:
        board, uid = body["dashboard"], body["dashboard"]["uid"]
        if not board.get("title"):
            return 400, {"message": "Dashboard title cannot be empty"}
        if body["folderUid"] not in org.folders:
            return 404, {"message": "folder not found"}
        if uid in self.provisioned:
            return 400, {"message": "Cannot save provisioned dashboard"}
        if uid in org.boards and not body["overwrite"]:
            return 412, {"message": "A dashboard with the same uid already exists", "status": "version-mismatch"}
        version = org.boards[uid]["dashboard"]["version"] + 1 if uid in org.boards else 1
        org.boards[uid] = {
            "meta": {"folderUid": body["folderUid"], "provisioned": False, "version": version},
            "dashboard": {**board, "id": 1000 + len(org.boards), "version": version},
        }
        return 200, {"uid": uid, "status": "success", "version": version, "url": f"/d/{uid}/x"}

    def _forget_board(self, org: Organisation, uid: str) -> tuple[int, Any]:
        del org.boards[uid]
        return 200, {"message": f"Dashboard {uid} deleted"}

    def _search(self, org: Organisation, folder: str) -> tuple[int, Any]:
        return 200, [
            {
                "uid": uid,
                "type": "dash-db",
                "folderUid": board["meta"]["folderUid"],
                "title": board["dashboard"]["title"],
            }
            for uid, board in org.boards.items()
            if board["meta"]["folderUid"] == folder
        ]

    def _prefer(self, org: Organisation, body: Any) -> tuple[int, Any]:
        org.preferences |= body
        return 200, {"message": "Preferences updated"}
