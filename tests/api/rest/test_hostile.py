"""Whatever a workspace sends comes out as JSON that every client can read."""

import json
from typing import NoReturn

import pytest
import time_machine

from importmonitor.models import ImportOperation
from tests.api.helpers import NOON, RUNNING, poll, sync
from tests.api.rest.asking import OPERATIONS, WORKSPACES, Asking, detail, five
from tests.malformed_documents import ODD, SCRIPT, told


def no_constant(name: str) -> NoReturn:
    raise AssertionError(f"{name} is not JSON")


@pytest.mark.thorough(one_in=3)
@pytest.mark.parametrize("name", ODD)
def test_odd(asking: Asking, name: str) -> None:
    case = ODD[name]
    sync(case.document)
    operation = ImportOperation.objects.get()
    for url in five(operation.pk):
        response = asking.get(url)
        assert response.status_code == 200
        json.loads(response.content.decode(), parse_constant=no_constant)
    payload = asking.body(detail(operation.pk))["payload"]
    assert isinstance(payload, dict)
    if not case.cut:
        assert payload.keys() == case.document.keys() - {"fileData"} or told(case) != case.document
    (found,) = asking.rows(OPERATIONS, {"remote_id": operation.remote_id})
    assert found["unreadable"] == operation.unreadable


@pytest.mark.parametrize(
    "text",
    [SCRIPT, "'; DROP TABLE x; --", "a\u2028b\u2029c", "\u202e", "🎉" * 50, '"\\"', "a\tb\r\nc"],
)
def test_texts_come_out_as_they_are(asking: Asking, text: str) -> None:
    sync({**RUNNING, "type": text, "importerKey": text, "user": text, "status": text}, at=NOON)
    with time_machine.travel(NOON, tick=False):
        came_out(asking, text)


def came_out(asking: Asking, text: str) -> None:
    (found,) = asking.rows(OPERATIONS)
    assert found["type"] == found["importer_key"] == found["remote_user_id"] == text
    assert (found["status"], found["state"]) == (text, "unknown")
    assert asking.rows(OPERATIONS, {"importer_key": text}) == [found]
    response = asking.get(OPERATIONS)
    # Nothing that a browser would take for a page.
    assert response["Content-Type"] == "application/json"
    assert response["X-Content-Type-Options"] == "nosniff"


def test_a_workspace_that_answers_nonsense(asking: Asking) -> None:
    poll(f"<html>{SCRIPT}</html>".encode(), content_type="text/html")
    (found,) = asking.rows(WORKSPACES)
    assert found["outcome"] == "NotRocketChat"
    assert found["operation"] is None
    assert found["sync"] == {"state": "failing", "synced_at": None, "age_seconds": None}


def test_credentials_of_the_workspace_are_told_nowhere(asking: Asking) -> None:
    sync(RUNNING)
    poll(b'{"status": "error"}', status=401)
    for url in five(ImportOperation.objects.get().pk):
        assert b"1Dd4iN_ClKn5jl-xPC36snQ4s9Zd5GZnXCQuCNSKcVE" not in asking.get(url).content
