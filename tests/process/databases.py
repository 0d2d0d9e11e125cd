"""Databases for real processes: created for a test run, and queried without Django."""

import importlib
import os
import sqlite3
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import environ

_TABLES = {
    "sqlite": "SELECT name FROM sqlite_master WHERE type = 'table'",
    "postgres": "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'",
    "mysql": "SELECT table_name FROM information_schema.tables WHERE table_schema = database()",
}


@dataclass(frozen=True)
class Database:
    """A database, its DATABASE_URL, and a connection that shares no code with the app."""

    kind: str
    url: str
    connect: Callable[[], Any]

    def execute(self, statement: str) -> list[tuple[Any, ...]]:
        """Run one statement and commit; return the rows, if it has any."""
        with closing(self.connect()) as connection:
            cursor = connection.cursor()
            cursor.execute(statement)
            rows = [tuple(row) for row in cursor.fetchall()] if cursor.description else []
            connection.commit()
            return rows

    def contents(self) -> dict[str, list[tuple[Any, ...]]]:
        """Return all rows of all tables."""
        quote = "`" if self.kind == "mysql" else '"'
        return {
            table: self.execute(f"SELECT * FROM {quote}{table}{quote}")
            for (table,) in self.execute(_TABLES[self.kind])
        }


@contextmanager
def new_database(folder: Path, charset: str = "utf8mb4") -> Iterator[Database]:
    """Create an empty database, on the server of TEST_DATABASE_URL or in a file.

    `charset` is its character set on MySQL or MariaDB.
    """
    url = os.environ.get("TEST_DATABASE_URL", "")
    name = f"process_{uuid.uuid4().hex[:12]}"
    if url.startswith("postgres"):
        yield from _on_postgres(url, name)
    elif url.startswith("mysql"):
        yield from _on_mysql(url, name, charset)
    else:
        path = folder / f"{name}.sqlite3"
        yield Database("sqlite", f"sqlite:///{path}", lambda: sqlite3.connect(path))


def _on_postgres(url: str, name: str) -> Iterator[Database]:
    driver = importlib.import_module("psycopg")
    parts = _parts(url)

    def connect(database: str = name) -> Any:
        return driver.connect(dbname=database, autocommit=True, **parts)

    with closing(connect("postgres")) as admin:
        admin.execute(f"CREATE DATABASE {name}")
        try:
            yield Database("postgres", _renamed(url, name), connect)
        finally:
            # A killed process's connection can outlive it for a moment.
            admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


def _on_mysql(url: str, name: str, charset: str) -> Iterator[Database]:
    driver = importlib.import_module("MySQLdb")
    parts = _parts(url)

    def connect(database: str = name) -> Any:
        return driver.connect(database=database, charset="utf8mb4", **parts)

    with closing(connect("information_schema")) as admin:
        admin.cursor().execute(f"CREATE DATABASE {name} CHARACTER SET {charset}")
        try:
            yield Database("mysql", _renamed(url, name), connect)
        finally:
            admin.cursor().execute(f"DROP DATABASE {name}")


def _parts(url: str) -> dict[str, Any]:
    """Return the server and the credentials, by the names that both drivers use."""
    config = environ.Env.db_url_config(url)
    parts = {key: config[key.upper()] for key in ("host", "port", "user", "password")}
    return {key: int(value) if key == "port" else value for key, value in parts.items() if value}


def _renamed(url: str, name: str) -> str:
    return f"{url.rpartition('/')[0]}/{name}"
