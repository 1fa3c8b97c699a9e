"""Grafana's organisations kept in step with the tenants: one for each park and firm, with its own database role.

Every viewer of an organisation may send any SQL to its data sources, so the data source's role decides what is seen,
and each organisation has a role of its own. Passwords of roles are derived from one secret: nothing has to be kept
beside it, and a new secret changes them all.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Final
from urllib.parse import urlsplit

import msgspec

from dashboards.build import PARK_ONLY, documents
from dashboards.errors import PeopleError
from dashboards.query import SOURCE_TYPE, SOURCE_UID
from dashboards.words import LANG, LOCALES, Locale, Text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from dashboards.grafana import Did, Grafana
    from store.tenants import TenantHome

FOLDERS: Final[Mapping[Locale, Text]] = {"zh-CN": Text("绿园", "绿园"), "en": Text("GreenPark", "GreenPark")}


class Person(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Somebody who looks at dashboards. `firm` None: the whole park. Whoever edits dashboards is an Editor."""

    login: Annotated[str, msgspec.Meta(min_length=1)]
    name: str
    park: str
    firm: str | None = None
    email: str = ""
    role: str = "Viewer"


class People(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The document that lists them."""

    user: tuple[Person, ...] = ()


@dataclass(frozen=True, slots=True)
class Database:
    """The database as Grafana reaches it."""

    host: str
    port: int
    name: str
    sslmode: str = "require"
    timescaledb: bool = True


@dataclass(slots=True)
class Synced:
    """What a run did, by kind of thing (created, changed, unchanged, removed), and the organisations' ids."""

    counts: dict[str, Counter[str]] = field(default_factory=dict)
    organisations: dict[str, int] = field(default_factory=dict)

    def note(self, kind: str, did: Did | str, number: int = 1) -> None:
        """Count one thing."""
        self.counts.setdefault(kind, Counter())[did] += number

    @property
    def changes(self) -> int:
        """Return how much was created, changed or removed."""
        return sum(number for kind in self.counts.values() for did, number in kind.items() if did != "unchanged")


def organisation_name(park: str, firm: str | None) -> str:
    """Return the name of a tenant's organisation; codes hold no blank, so that no two are the same."""
    return " ".join(["GreenPark", park, *([] if firm is None else [firm])])


def role_password(secret: bytes, role: str) -> str:
    """Return the password of a tenant's role, derived from the secret."""
    digest = hmac.new(secret, f"greenpark grafana {role}".encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def database_of(url: str, *, sslmode: str, at: str | None = None) -> Database:
    """Return where Grafana finds the database of this address, or `at` host:port where that differs for it."""
    parts, other = urlsplit(url), urlsplit(f"//{at or ''}")
    host, port = (other.hostname, other.port) if at else (parts.hostname, parts.port)
    return Database(host or "127.0.0.1", port or 5432, parts.path.lstrip("/"), sslmode)


def source_of(database: Database, role: str, password: str) -> dict[str, Any]:
    """Return the data source of an organisation, as Grafana's interface takes it."""
    return {
        "name": "GreenPark",
        "uid": SOURCE_UID,
        "type": SOURCE_TYPE,
        "access": "proxy",
        "url": f"{database.host}:{database.port}",
        "user": role,
        "isDefault": True,
        "jsonData": {
            "database": database.name,
            "sslmode": database.sslmode,
            "postgresVersion": 1500,
            "timescaledb": database.timescaledb,
            "timeInterval": "1m",
            "maxOpenConns": 10,
            "maxIdleConns": 5,
            "connMaxLifetime": 14400,
            # Tells a changed password without telling the password.
            "greenparkSecret": hashlib.sha256(password.encode()).hexdigest()[:16],
        },
        "secureJsonData": {"password": password},
    }


def read_people(document: Mapping[str, Any], homes: Sequence[TenantHome]) -> tuple[Person, ...]:
    """Check the list of users against the tenants.

    Raises:
        PeopleError: a field is wrong, or a park or firm is not known.
    """
    try:
        people = msgspec.convert(document, People).user
    except msgspec.ValidationError as error:
        raise PeopleError(f"users: {error}") from None
    known = {(home.park, home.firm) for home in homes}
    for number, person in enumerate(people):
        at = f"user[{number}] {person.login!r}"
        if (person.park, person.firm) not in known:
            raise PeopleError(f"{at}: no park {person.park!r} with firm {person.firm!r}; see `greenpark park show`")
        if person.role not in {"Viewer", "Editor"}:
            raise PeopleError(
                f"{at}: role {person.role!r}; Viewer or Editor, an administrator could change the data source"
            )
    return people


def sync(
    grafana: Grafana,
    homes: Sequence[TenantHome],
    people: Sequence[Person],
    database: Database,
    secret: bytes,
    *,
    home_locale: Locale = "zh-CN",
    keep_password: Callable[[str, str], None] | None = None,
) -> Synced:
    """Bring organisations, data sources, folders, dashboards and users to what they should be.

    Args:
        grafana: the server.
        homes: the tenants, whose roles can log in with `role_password` already.
        people: who looks.
        database: as Grafana reaches it.
        secret: that passwords of roles are derived from.
        home_locale: language of the page that is shown first.
        keep_password: gets log-in and first password of a user before it is made; without it a user who is missing is
            an error.

    Raises:
        GrafanaError: a call was refused; what was done until then stays, and another run goes on.
        PeopleError: a user has to be made and nobody would learn the password.
    """
    done = Synced()
    boards = {path: json.loads(text) for path, text in documents().items()}
    for home in homes:
        name = organisation_name(home.park, home.firm)
        number, did = grafana.ensure_organisation(name)
        done.organisations[name] = number
        done.note("organisations", did)
        password = role_password(secret, home.role)
        done.note("data_sources", grafana.ensure_source(number, source_of(database, home.role, password)))
        for locale in LOCALES:
            _folder(grafana, number, locale, boards, done, whole=home.firm is None)
        wanted = {"homeDashboardUID": f"greenpark-today-{LANG[home_locale]}", "timezone": home.time_zone}
        done.note("preferences", grafana.ensure_preferences(number, wanted))
        _people(
            grafana,
            number,
            [p for p in people if (p.park, p.firm) == (home.park, home.firm)],
            done,
            keep_password,
        )
    return done


def _folder(
    grafana: Grafana,
    organisation: int,
    locale: Locale,
    boards: Mapping[str, Any],
    done: Synced,
    *,
    whole: bool,
) -> None:
    uid = f"greenpark-{LANG[locale]}"
    done.note("folders", grafana.ensure_folder(organisation, uid, FOLDERS[locale].of(locale)))
    wanted = set()
    for path, document in boards.items():
        language, _, file = path.partition("/")
        if language == locale and (whole or file.removesuffix(".json") not in PARK_ONLY):
            wanted.add(document["uid"])
            done.note("dashboards", grafana.ensure_dashboard(organisation, uid, document))
    gone = grafana.forget_dashboards(organisation, uid, frozenset(wanted))
    if gone:
        done.note("dashboards", "removed", len(gone))


def _people(
    grafana: Grafana,
    organisation: int,
    people: Sequence[Person],
    done: Synced,
    keep_password: Callable[[str, str], None] | None,
) -> None:
    for person in people:
        password = secrets.token_urlsafe(18)
        if not grafana.knows_user(person.login):
            if keep_password is None:
                raise PeopleError(f"{person.login!r} is new: name a file for first passwords with --passwords")
            # Before the user is made: a run that stops in between must not leave one whose password nobody knows.
            keep_password(person.login, password)
        did = grafana.ensure_user(person.login, person.name, person.email, organisation=organisation, password=password)
        done.note("users", did)
        done.note("members", grafana.ensure_member(organisation, person.login, person.role))
