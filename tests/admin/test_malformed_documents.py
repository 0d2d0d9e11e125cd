"""Any document that a workspace sends is shown as text and breaks no page."""

from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest
from django.test import Client
from django.urls import reverse

from importmonitor.models import ImportOperation
from tests.admin.helpers import HISTORY, change_url, page
from tests.api.helpers import sync
from tests.malformed_documents import MALFORMED_DOCUMENTS

if TYPE_CHECKING:
    from django.test.client import _MonkeyPatchedWSGIResponse as Response

TAGS = (b"<script>alert", b"<SCRIPT>alert", b"<img src=x")


def show(client: Client, url: str) -> "Response":
    response = client.get(url)
    assert response.status_code == 200
    assert not any(tag in response.content for tag in TAGS)
    return response


def search(client: Client, term: str) -> int:
    """Return the number of matches of a search."""
    count: int = show(client, f"{HISTORY}?{urlencode({'q': term})}").context["cl"].result_count
    return count


@pytest.mark.thorough(one_in=9)
@pytest.mark.parametrize("name", MALFORMED_DOCUMENTS)
def test_malformed_document_is_shown_and_can_be_searched_for(root: Client, name: str) -> None:
    sync(MALFORMED_DOCUMENTS[name].document)
    operation = ImportOperation.objects.get()
    history = page(show(root, HISTORY))
    [row] = history.rows
    assert change_url(operation) in history.links
    assert " ".join(operation.file_name.split()) in " ".join(row)
    show(root, change_url(operation))
    assert search(root, f"{operation.type} {operation.file}") == 1


@pytest.mark.thorough(one_in=3)
@pytest.mark.parametrize(
    "name", ["NUL", "lone surrogate", "no id", "script in every string", "emoji", "right to left"]
)
def test_operation_of_a_malformed_document_can_be_annotated(root: Client, name: str) -> None:
    """The admin's message and log name the operation; its history page shows both."""
    sync(MALFORMED_DOCUMENTS[name].document)
    operation = ImportOperation.objects.get()
    assert root.post(change_url(operation), {"note": "odd", "_save": "Save"}).status_code == 302
    assert ImportOperation.objects.get().note == "odd"
    show(root, reverse("admin:importmonitor_importoperation_history", args=[operation.pk]))
    assert search(root, operation.remote_id) == 1


def test_search_term_is_escaped(root: Client) -> None:
    response = root.get(f"{HISTORY}?{urlencode({'q': '<script>alert(1)</script>'})}")
    assert response.status_code == 200
    assert b"<script>alert" not in response.content
