#!/usr/bin/env python3
"""Makes what deploy/compose.yaml must not contain: passwords, and addresses that hold them. Needs Python only.

    python3 deploy/make_secrets.py init                  every secret that is missing; none is ever replaced
    python3 deploy/make_secrets.py edge PARK FIRM EDGE   a gateway's password, printed once; the broker keeps its hash

The directory is closed to other users; the files in it are readable, because containers read them under their own ids.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import re
import secrets
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent / "secrets"
_PLAIN = ("postgres_password", "owner_db_password", "app_db_password", "grafana_db_password", "grafana_admin_password")
_CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_ROUNDS = 101


def mosquitto_line(user: str, password: str, salt: bytes) -> str:
    """Return a line of mosquitto's password file (PBKDF2, SHA-512)."""
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, _ROUNDS)
    return f"{user}:$7${_ROUNDS}${base64.b64encode(salt).decode()}${base64.b64encode(digest).decode()}\n"


def init(folder: Path) -> list[str]:
    """Make every secret that is missing and return the names."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    made = [name for name in _PLAIN if _write(folder / name, secrets.token_urlsafe(24))]
    for user, password, name in (
        ("greenpark_owner", "owner_db_password", "owner_database_url"),
        ("greenpark_app", "app_db_password", "app_database_url"),
    ):
        url = f"postgresql://{user}:{(folder / password).read_text()}@db:5432/greenpark"
        made += [name] if _write(folder / name, url) else []
    if not (folder / "broker_url").exists():
        password = secrets.token_urlsafe(24)
        _write(folder / "broker_url", f"mqtt://ingest:{password}@broker:1883")
        set_user(folder, "ingest", password)
        made += ["broker_url", "mosquitto_passwords"]
    return made


def add_edge(folder: Path, park: str, firm: str, edge: str) -> str:
    """Make (or replace) a gateway's password and return it."""
    for code in (park, firm, edge):
        if not _CODE.fullmatch(code):
            sys.exit(f"{code!r}: use letters, digits, '.', '_' and '-', at most 64")
    password = secrets.token_urlsafe(24)
    set_user(folder, f"{park}/{firm}/{edge}", password)
    return password


def set_user(folder: Path, user: str, password: str) -> None:
    """Put one user into the broker's password file."""
    file = folder / "mosquitto_passwords"
    lines = file.read_text().splitlines(keepends=True) if file.exists() else []
    others = [line for line in lines if not line.startswith(f"{user}:")]
    # Written in place: a bind mount follows the file, not its name.
    file.write_text("".join([*others, mosquitto_line(user, password, secrets.token_bytes(12))]))
    file.chmod(0o644)


def _write(file: Path, text: str) -> bool:
    if file.exists():
        return False
    file.write_text(text)
    file.chmod(0o644)
    return True


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("init")
    edge = commands.add_parser("edge")
    for name in ("park", "firm", "edge"):
        edge.add_argument(name)
    given = parser.parse_args()
    if given.command == "init":
        made = init(FOLDER)
        print(f"{FOLDER}: made {', '.join(made) or 'nothing, all is there'}")
    else:
        print(add_edge(FOLDER, given.park, given.firm, given.edge))
        print("now let the broker read it: docker compose -f deploy/compose.yaml kill -s HUP broker", file=sys.stderr)


if __name__ == "__main__":
    main()
