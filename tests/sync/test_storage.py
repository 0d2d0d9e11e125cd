"""What is left out of a document where the database is not Unicode."""

from typing import Any

import pytest

from importmonitor.models.charsets import Storage, can_store, to_charset
from importmonitor.rocketchat.operation import parse_operation
from importmonitor.sync.storage import storable_operation

DOCUMENT: dict[str, Any] = {
    "_id": "7PbvsnKJD9ZAqw38C",
    "type": "CSV",
    "importerKey": "csv",
    "status": "importer_done",
    "file": "Отчёт 😀.zip",
    "contentType": "application/zip; name=ä",
    "weiß": "ß",
    "count": {"total": 5},
}


@pytest.mark.parametrize(
    ("charset", "stored"),
    [
        ("utf8mb3", "ä € Ж ?"),
        ("ucs2", "ä € Ж ?"),
        ("cp1252", "ä € ? ?"),
        ("latin1", "ä ? ? ?"),
        ("koi8-r", "? ? Ж ?"),
        ("ascii", "? ? ? ?"),
        ("swe7", "? ? ? ?"),
    ],
)
def test_unstorable_characters_become_question_marks(charset: str, stored: str) -> None:
    assert to_charset("ä € Ж 😀", charset) == stored
    assert can_store(stored, [charset])
    assert not can_store("😀", [charset])


@pytest.mark.parametrize("charset", ["utf8mb3", "cp1252", "ascii"])
def test_unstorable_text_is_left_out_and_named(charset: str) -> None:
    operation = parse_operation(DOCUMENT)
    stored = storable_operation(operation, Storage(text=frozenset({charset})))
    names = ["file", "contentType"] if charset == "ascii" else ["file"]
    assert stored.unreadable == names
    assert stored.file == ""
    # On MySQL and MariaDB, JSON is Unicode whatever the tables are.
    assert stored.payload == operation.payload
    assert (stored.remote_id, stored.status, stored.count_total) == (
        operation.remote_id,
        "importer_done",
        5,
    )


def test_unstorable_json_is_left_out_of_the_document() -> None:
    """On PostgreSQL, JSON has the encoding of the database."""
    charsets = frozenset({"ascii"})
    stored = storable_operation(parse_operation(DOCUMENT), Storage(charsets, charsets))
    assert stored.payload.keys() == DOCUMENT.keys() - {"file", "contentType", "weiß"}
    assert stored.unreadable == ["file", "contentType"]


def test_unstorable_id_is_replaced_by_one_that_stays_the_same() -> None:
    storage = Storage(text=frozenset({"ascii"}))
    first, second = (
        storable_operation(parse_operation(DOCUMENT | {"_id": id_}), storage).remote_id
        for id_ in ("Ж", "Я")
    )
    assert first.startswith("unidentified-")
    assert first != second
    again = storable_operation(parse_operation(DOCUMENT | {"_id": "Ж", "valid": False}), storage)
    assert again.remote_id == first
