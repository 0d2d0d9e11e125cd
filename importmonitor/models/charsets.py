"""What the database's text columns can store: not every database is Unicode."""

import codecs
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from django.apps import apps
from django.db import connections

from importmonitor.tenancy import store_alias

#: MySQL's character sets that hold every character.
_FULL = ("utf8mb4", "utf16", "utf16le", "utf32")
#: Those that hold characters of up to three bytes.
_THREE_BYTES = frozenset({"utf8", "utf8mb3", "ucs2"})
#: MySQL's `latin1` is Windows's. Python knows almost all others by the same name.
_CODECS = {"latin1": "cp1252", "koi8r": "koi8-r", "koi8u": "koi8-u", "eucjpms": "euc-jp"}

# Databases whose columns are all Unicode. That is not undone, and so not asked again.
_unicode_databases: set[str] = set()


@dataclass(frozen=True)
class Storage:
    """The character sets of the app's columns that cannot hold every character.

    `text` are those of text columns, `json` those of JSON columns; both are empty in a database
    that is set up as documented.
    """

    text: frozenset[str] = frozenset()
    json: frozenset[str] = frozenset()


class Column(NamedTuple):
    """A text column on MySQL or MariaDB; `definition` is that of a full Unicode column instead."""

    table: str
    name: str
    charset: str
    definition: str


def find_limited_columns(using: str) -> list[Column]:
    """Return the app's text columns on MySQL or MariaDB that are not full Unicode.

    Without generated columns, which hold no text but ours.
    """
    connection = connections[using]
    if connection.vendor != "mysql":
        return []
    models = apps.get_app_config("importmonitor").get_models()
    tables = [model._meta.db_table for model in models]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT table_name, column_name, character_set_name, "
            "CONCAT(column_type, ' CHARACTER SET utf8mb4', "
            "IF(is_nullable = 'YES', ' NULL', ' NOT NULL')) "
            "FROM information_schema.columns "
            "WHERE table_schema = database() AND table_name IN %s "
            "AND character_set_name NOT IN %s AND COALESCE(generation_expression, '') = '' "
            "ORDER BY table_name, ordinal_position",
            [tables, _FULL],
        )
        return [Column(*row) for row in cursor.fetchall()]


def find_encoding(using: str) -> str | None:
    """Return the encoding of a PostgreSQL database that is not UTF8, by Python's name, or None."""
    connection = connections[using]
    if connection.vendor != "postgresql":
        return None
    with connection.cursor() as cursor:
        cursor.execute("SHOW server_encoding")
        (encoding,) = cursor.fetchone()
    return None if encoding == "UTF8" else str(encoding).lower().replace("win", "cp")


def find_storage(texts: Iterable[str]) -> Storage:
    """Return what the database can store of texts; without a query if all are plain ASCII."""
    using = store_alias()
    if connections[using].vendor not in {"mysql", "postgresql"} or using in _unicode_databases:
        return Storage()
    if all(map(str.isascii, texts)):
        return Storage()
    encoding = find_encoding(using)
    if encoding is not None:
        # In PostgreSQL, JSON has the encoding of the database. In MySQL and MariaDB it is Unicode.
        return Storage(frozenset({encoding}), frozenset({encoding}))
    charsets = {
        _CODECS.get(column.charset, column.charset) for column in find_limited_columns(using)
    }
    if not charsets:
        _unicode_databases.add(using)
    return Storage(text=frozenset(charsets))


def can_store(text: str, charsets: Iterable[str]) -> bool:
    """Return whether a text can be stored in columns of all these character sets."""
    return all(to_charset(text, charset) == text for charset in charsets)


def to_charset(text: str, charset: str) -> str:
    """Return a text with a "?" in place of what a character set does not have."""
    if text.isascii():
        return text
    if charset in _THREE_BYTES:
        return "".join(char if char <= "\uffff" else "?" for char in text)
    try:
        codecs.lookup(charset)
    except LookupError:
        charset = "ascii"
    return text.encode(charset, "replace").decode(charset)


def storable_message(message: str) -> str:
    """Return a message with a "?" in place of what a text column cannot store."""
    for charset in find_storage([message]).text:
        message = to_charset(message, charset)
    return message
