"""No document that a workspace sends breaks a page, or gets to say anything but text on it."""

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
    """Search for a term; return how many operations were found."""
    found: int = show(client, f"{HISTORY}?{urlencode({'q': term})}").context["cl"].result_count
    return found


@pytest.mark.thorough(one_in=4)
@pytest.mark.parametrize("name", MALFORMED_DOCUMENTS)
def test_odd(root: Client, name: str) -> None:
    sync(MALFORMED_DOCUMENTS[name].document)
    operation = ImportOperation.objects.get()
    history = page(show(root, HISTORY))
    [row] = history.rows
    assert change_url(operation) in history.links
    assert " ".join(operation.file_name.split()) in " ".join(row)
    show(root, change_url(operation))
    assert search(root, f"{operation.type} {operation.file}") == 1


@pytest.mark.parametrize(
    "name", ["NUL", "lone surrogate", "no id", "script in every string", "emoji", "right to left"]
)
def test_odd_with_a_note(root: Client, name: str) -> None:
    """The admin's log and its message name the operation; its own history shows both."""
    sync(MALFORMED_DOCUMENTS[name].document)
    operation = ImportOperation.objects.get()
    assert root.post(change_url(operation), {"note": "odd", "_save": "Save"}).status_code == 302
    assert ImportOperation.objects.get().note == "odd"
    show(root, reverse("admin:importmonitor_importoperation_history", args=[operation.pk]))
    assert search(root, operation.remote_id) == 1


def test_no_script_in_a_search_term(root: Client) -> None:
    response = root.get(f"{HISTORY}?{urlencode({'q': '<script>alert(1)</script>'})}")
    assert response.status_code == 200
    assert b"<script>alert" not in response.content
