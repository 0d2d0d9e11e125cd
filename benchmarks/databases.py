"""Databases to measure on: empty, of their own, and gone afterwards."""

import importlib
import os
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

#: By name: the variable that holds the URL of a database in whose server others can be made, and
#: the module of its driver.
SERVERS = {
    "PostgreSQL": ("POSTGRES_URL", "psycopg"),
    "MariaDB": ("MARIADB_URL", "MySQLdb"),
}


def available() -> dict[str, str]:
    """Return the servers' URLs by their names, "" for SQLite; those that can be used."""
    found = {"SQLite": ""}
    for name, (variable, driver) in SERVERS.items():
        if os.environ.get(variable) and find_spec(driver):
            found[name] = os.environ[variable]
    return found


def left_out() -> list[str]:
    """Return why servers are left out, each in a sentence."""
    return [
        f"{name} left out: name a server by {variable}, and install {driver}."
        for name, (variable, driver) in SERVERS.items()
        if name not in available()
    ]


@contextmanager
def throw_away(server: str, folder: Path) -> Iterator[str]:
    """Make an empty database and give its DATABASE_URL.

    `server` is the URL of a database in whose server it is made, or "" for a file of SQLite in
    `folder`.
    """
    name = f"benchmark_{uuid.uuid4().hex[:12]}"
    if not server:
        yield f"sqlite:///{folder}/{name}.sqlite3"
        return
    with closing(_connect(server)) as connection, closing(connection.cursor()) as cursor:
        cursor.execute(f"CREATE DATABASE {name}")
        try:
            yield urlsplit(server)._replace(path=f"/{name}").geturl()
        finally:
            # A killed process's connection can outlive it for a moment.
            force = " WITH (FORCE)" if server.startswith("postgres") else ""
            cursor.execute(f"DROP DATABASE {name}{force}")


def _connect(server: str) -> Any:
    # Not installed everywhere, and nothing else here needs them.
    if server.startswith("postgres"):
        return importlib.import_module("psycopg").connect(server, autocommit=True)
    parts = urlsplit(server)
    return importlib.import_module("MySQLdb").connect(
        host=parts.hostname,
        port=parts.port or 3306,
        user=parts.username or "root",
        password=parts.password or "",
        autocommit=True,
    )
