"""Empty databases to measure with, dropped afterwards."""

import importlib
import os
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

#: By name: the variable with the URL of a database on the server, and the driver's module.
_SERVERS = {"PostgreSQL": ("POSTGRES_URL", "psycopg"), "MariaDB": ("MARIADB_URL", "MySQLdb")}


def available(*names: str) -> dict[str, str]:
    """Return the servers' URLs by name, of these or of all; SQLite's is ""."""
    urls = {"SQLite": ""} | {
        name: os.environ[variable]
        for name, (variable, driver) in _SERVERS.items()
        if os.environ.get(variable) and find_spec(driver)
    }
    return {name: url for name, url in urls.items() if not names or name in names}


def unavailable() -> list[str]:
    """Return a line for each database that is not measured, and why."""
    return [
        f"{name} is not measured: set {variable} and install {driver}."
        for name, (variable, driver) in _SERVERS.items()
        if name not in available()
    ]


@contextmanager
def temporary_database(server: str, folder: Path) -> Iterator[str]:
    """Create a database on a server, or in `folder` if it is SQLite ("")."""
    name = f"benchmark_{uuid.uuid4().hex[:12]}"
    if not server:
        yield f"sqlite:///{folder}/{name}.sqlite3"
        return
    with closing(_connect(server)) as connection, closing(connection.cursor()) as cursor:
        cursor.execute(f"CREATE DATABASE {name}")
        try:
            yield urlsplit(server)._replace(path=f"/{name}").geturl()
        finally:
            # The connection of a killed process can outlive it for a moment.
            force = " WITH (FORCE)" if server.startswith("postgres") else ""
            cursor.execute(f"DROP DATABASE {name}{force}")


def _connect(server: str) -> Any:
    # The drivers are optional.
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
