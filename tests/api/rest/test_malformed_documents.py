"""Malformed documents are sent as valid JSON."""

import json
from typing import NoReturn

import pytest
import time_machine

from importmonitor.models import ImportOperation
from tests.api.helpers import NOON, RUNNING, poll, sync
from tests.api.rest.api_client import OPERATIONS, WORKSPACES, ApiClient, all_urls, detail_url
from tests.malformed_documents import MALFORMED_DOCUMENTS, SCRIPT, expected_response


def reject_constant(name: str) -> NoReturn:
    raise AssertionError(f"{name} is not JSON")


@pytest.mark.thorough(one_in=9)
@pytest.mark.parametrize("name", MALFORMED_DOCUMENTS)
def test_malformed_document_is_valid_json(api: ApiClient, name: str) -> None:
    case = MALFORMED_DOCUMENTS[name]
    sync(case.document)
    operation = ImportOperation.objects.get()
    for url in all_urls(operation.pk):
        response = api.get(url)
        assert response.status_code == 200
        json.loads(response.content.decode(), parse_constant=reject_constant)
    payload = api.body(detail_url(operation.pk))["payload"]
    assert isinstance(payload, dict)
    if not case.cut:
        assert (
            payload.keys() == case.document.keys() - {"fileData"}
            or expected_response(case) != case.document
        )
    (row,) = api.rows(OPERATIONS, {"remote_id": operation.remote_id})
    assert row["unreadable"] == operation.unreadable


@pytest.mark.thorough(one_in=4)
@pytest.mark.parametrize(
    "text",
    [SCRIPT, "'; DROP TABLE x; --", "a\u2028b\u2029c", "\u202e", "🎉" * 50, '"\\"', "a\tb\r\nc"],
)
def test_texts_are_unchanged(api: ApiClient, text: str) -> None:
    sync({**RUNNING, "type": text, "importerKey": text, "user": text, "status": text}, at=NOON)
    with time_machine.travel(NOON, tick=False):
        assert_text_is_unchanged(api, text)


def assert_text_is_unchanged(api: ApiClient, text: str) -> None:
    (row,) = api.rows(OPERATIONS)
    assert row["type"] == row["importer_key"] == row["remote_user_id"] == text
    assert (row["status"], row["state"]) == (text, "unknown")
    assert api.rows(OPERATIONS, {"importer_key": text}) == [row]
    response = api.get(OPERATIONS)
    # A browser must not render it.
    assert response["Content-Type"] == "application/json"
    assert response["X-Content-Type-Options"] == "nosniff"


def test_workspace_sending_html_is_reported(api: ApiClient) -> None:
    poll(f"<html>{SCRIPT}</html>".encode(), content_type="text/html")
    (row,) = api.rows(WORKSPACES)
    assert row["outcome"] == "NotRocketChat"
    assert row["operation"] is None
    assert row["sync"] == {"state": "failing", "synced_at": None, "age_seconds": None}


def test_workspace_credentials_are_never_sent(api: ApiClient) -> None:
    sync(RUNNING)
    poll(b'{"status": "error"}', status=401)
    for url in all_urls(ImportOperation.objects.get().pk):
        assert b"1Dd4iN_ClKn5jl-xPC36snQ4s9Zd5GZnXCQuCNSKcVE" not in api.get(url).content
