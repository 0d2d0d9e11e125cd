"""An operation is returned as the workspace sent it, except for personal data."""

import json
from typing import Any, NoReturn

import pytest
from django.test import Client

from importmonitor.models import ImportOperation
from tests.api.helpers import PATH, RUNNING, sync
from tests.malformed_documents import MALFORMED_DOCUMENTS, expected_response


def reject_constant(name: str) -> NoReturn:
    raise AssertionError(f"{name} is not JSON")


@pytest.mark.thorough(one_in=3)
@pytest.mark.parametrize(
    "changes",
    [
        {"ts": 1_635_337_234_169},
        {"ts": "2021-10-27T12:20:34.169Z"},
        {"ts": "2021-10-27T14:20:34.169999+02:00"},
        {"_updatedAt": "2021-10-27T12:20:34Z"},
        {"_updatedAt": 1_635_337_234_169},
        {"messagesstatus": None},
        {"count": {}},
        {"count": {"total": 0, "completed": 0, "error": 0, "users": 1, "elephants": 2}},
        {"unknown": {"keys": ["this", 1, 1.5, True, None, {"or": "that"}]}},
        {"valid": False},
    ],
)
def test_document_is_unchanged(
    client: Client, headers: dict[str, str], changes: dict[str, Any]
) -> None:
    document = {**RUNNING, **changes}
    sync(document)
    assert client.get(PATH, headers=headers).json()["operation"] == document


@pytest.mark.parametrize(
    ("key", "sent", "expected"),
    [
        ("valid", "true", True),
        ("valid", "false", False),
        ("ts", "1635337234169", 1_635_337_234_169),
        ("ts", "0", 0),
    ],
)
def test_known_wrong_types_are_repaired(
    client: Client, headers: dict[str, str], key: str, sent: str, expected: object
) -> None:
    sync({**RUNNING, key: sent})
    value = client.get(PATH, headers=headers).json()["operation"][key]
    assert (type(value), value) == (type(expected), expected)


def test_file_data_is_removed(client: Client, headers: dict[str, str]) -> None:
    sync({**RUNNING, "fileData": {"users": [{"name": "Ada", "email": "ada@example.org"}]}})
    response = client.get(PATH, headers=headers)
    assert b"ada@example.org" not in response.content
    assert response.json()["operation"] == RUNNING
    assert "ada@example.org" not in str(ImportOperation.objects.values().get())


@pytest.mark.thorough(one_in=4)
@pytest.mark.parametrize("name", MALFORMED_DOCUMENTS)
def test_malformed_document_is_returned(client: Client, headers: dict[str, str], name: str) -> None:
    case = MALFORMED_DOCUMENTS[name]
    sync(case.document)
    operation = ImportOperation.objects.get()
    unreadable = set(operation.unreadable)
    assert unreadable - case.cut == case.unreadable
    assert bool(unreadable & case.cut) == bool(case.cut)
    if "_id" in case.unreadable:
        assert operation.remote_id.startswith("unidentified-")
    for field, value in case.stored.items():
        assert getattr(operation, field) == value, field
    response = client.get(PATH, headers=headers)
    assert response.status_code == 200
    body = json.loads(response.content.decode(), parse_constant=reject_constant)
    assert body.keys() == {"operation", "success"}
    document = {key: value for key, value in body["operation"].items() if key not in case.cut}
    assert document == expected_response(case)


@pytest.mark.thorough(one_in=3)
@pytest.mark.parametrize("name", MALFORMED_DOCUMENTS)
def test_malformed_document_is_no_change_the_second_time(db: None, name: str) -> None:
    """Otherwise every poll would write, and an operation without a time would start again."""
    case = MALFORMED_DOCUMENTS[name]
    sync(case.document)
    assert sync(case.document).changes == []
    assert ImportOperation.objects.count() == 1
