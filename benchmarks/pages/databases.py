"""Databases to measure on: empty, of their own, and gone afterwards."""

import importlib
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import urlsplit


@contextmanager
def throw_away(server: str, folder: Path) -> Iterator[str]:
    """Make an empty database and give its DATABASE_URL.

    `server` is the URL of a PostgreSQL database in whose server it is made, or "" for a file of
    SQLite in `folder`.
    """
    name = f"benchmark_{uuid.uuid4().hex[:12]}"
    if not server:
        yield f"sqlite:///{folder}/{name}.sqlite3"
        return
    # Not installed everywhere, and nothing else here needs it.
    driver = importlib.import_module("psycopg")
    with closing(driver.connect(server, autocommit=True)) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        try:
            yield urlsplit(server)._replace(path=f"/{name}").geturl()
        finally:
            # A killed process's connection can outlive it for a moment.
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
