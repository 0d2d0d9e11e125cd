"""Permissions to see, sync and annotate imports in the admin."""

from typing import Any

import pytest
from django.db.models.signals import pre_save
from django.test import Client
from django.urls import reverse

from importmonitor.models import ImportOperation
from tests.admin.conftest import LogIn
from tests.admin.helpers import HISTORY, SYNC, change_url, page
from tests.admin.workspace_states import WORKSPACES, configure
from tests.api.helpers import RUNNING, sync


@pytest.fixture
def operation(db: None) -> ImportOperation:
    sync(RUNNING)
    return ImportOperation.objects.get()


def all_fields(operation: ImportOperation) -> dict[str, Any]:
    return dict(ImportOperation.objects.values().get(pk=operation.pk))


@pytest.mark.parametrize("method", ["get", "post"])
def test_anonymous_users_are_redirected_to_the_login(
    operation: ImportOperation, method: str
) -> None:
    for url in (HISTORY, change_url(operation), SYNC):
        response = getattr(Client(), method)(url)
        assert response.status_code == 302
        assert response["Location"].startswith(reverse("admin:login"))


def test_users_who_are_not_staff_are_redirected_to_the_login(
    log_in: LogIn, operation: ImportOperation
) -> None:
    client = log_in("run-import", "view_importoperation", is_staff=False)
    for url in (HISTORY, change_url(operation)):
        assert client.get(url).status_code == 302
    assert client.post(SYNC).status_code == 302


@pytest.mark.parametrize("codenames", [[], ["view-import-operations"]])
def test_staff_without_permission_see_nothing(
    log_in: LogIn, operation: ImportOperation, codenames: list[str]
) -> None:
    client = log_in(*codenames)
    for url in (HISTORY, change_url(operation)):
        response = client.get(url)
        assert response.status_code == 403
        assert b"people.csv" not in response.content
    assert client.post(SYNC).status_code == 403
    assert client.post(change_url(operation), {"note": "mine"}).status_code == 403
    assert all_fields(operation)["note"] == ""


def test_view_permission_allows_viewing_but_not_syncing(
    log_in: LogIn, operation: ImportOperation
) -> None:
    client = log_in("view_importoperation")
    history = page(client.get(HISTORY))
    assert len(history.rows) == 1
    assert SYNC not in history.actions
    assert "Sync now" not in history.words.replace("press Sync now", "")
    assert "people.csv" in page(client.get(change_url(operation))).words
    assert client.post(SYNC).status_code == 403


def test_run_import_permission_allows_viewing_and_syncing(
    log_in: LogIn, operation: ImportOperation
) -> None:
    client = log_in("run-import")
    index = page(client.get(reverse("admin:index")))
    assert HISTORY in index.links
    history = page(client.get(HISTORY))
    assert len(history.rows) == 1
    assert SYNC in history.actions
    assert "Sync now" in history.words
    assert "people.csv" in page(client.get(change_url(operation))).words


@pytest.mark.parametrize("codename", ["view_importoperation", "run-import"])
def test_viewers_cannot_write_a_note(
    log_in: LogIn, operation: ImportOperation, codename: str
) -> None:
    client = log_in(codename)
    assert "note" not in page(client.get(change_url(operation))).fields
    before = all_fields(operation)
    assert client.post(change_url(operation), {"note": "mine"}).status_code == 403
    assert all_fields(operation) == before


def test_change_permission_allows_writing_the_note_alone(
    log_in: LogIn, operation: ImportOperation
) -> None:
    client = log_in("change_importoperation")
    shown = page(client.get(change_url(operation)))
    own = {name for name in shown.fields if name and not name.startswith(("_", "csrf"))}
    assert own == {"note"}
    before = all_fields(operation)
    other_fields = {name: "0" for name in before if name != "note"} | {
        "status": "importer_done",
        "payload": "{}",
        "finished_at": "2026-01-01",
        "finished_at_0": "2026-01-01",
        "finished_at_1": "00:00",
    }
    response = client.post(
        change_url(operation), other_fields | {"note": "asked IT 🎉", "_save": "Save"}
    )
    assert response.status_code == 302
    after = all_fields(operation)
    assert after.pop("note_at") is not None
    assert after.items() >= {"note": "asked IT 🎉", "note_by": "someone"}.items()
    changed = {"note", "note_by", "note_at"}
    assert {name for name in after if after[name] != before[name]} <= changed


def test_change_permission_does_not_allow_syncing(log_in: LogIn) -> None:
    client = log_in("change_importoperation")
    assert SYNC not in page(client.get(HISTORY)).actions
    assert client.post(SYNC).status_code == 403


def test_saving_a_note_keeps_what_a_concurrent_sync_wrote(
    root: Client, operation: ImportOperation
) -> None:
    """The sync runs after the form has read the row and before it writes it."""
    done = {**RUNNING, "status": "importer_done", "_updatedAt": "2026-03-25T11:45:00.000Z"}

    def sync_meanwhile(**_kwargs: Any) -> None:
        pre_save.disconnect(sync_meanwhile, sender=ImportOperation)
        sync(done)

    pre_save.connect(sync_meanwhile, sender=ImportOperation)
    try:
        response = root.post(change_url(operation), {"note": "nearly there", "_save": "Save"})
    finally:
        pre_save.disconnect(sync_meanwhile, sender=ImportOperation)
    assert response.status_code == 302
    saved = ImportOperation.objects.get()
    assert (saved.note, saved.status, saved.end_reason) == ("nearly there", "importer_done", "done")
    assert saved.finished_at is not None
    assert saved.payload == done


def test_sync_keeps_the_note(root: Client, operation: ImportOperation) -> None:
    root.post(change_url(operation), {"note": "wait for it", "_save": "Save"})
    sync({**RUNNING, "status": "importer_done", "_updatedAt": "2026-03-25T11:45:00.000Z"})
    assert ImportOperation.objects.get().note == "wait for it"


def test_note_is_escaped(root: Client, operation: ImportOperation) -> None:
    script = "<script>alert(1)</script>"
    response = root.post(change_url(operation), {"note": script, "_save": "Save"}, follow=True)
    assert ImportOperation.objects.get().note == script
    assert b"<script>alert" not in response.content
    assert b"<script>alert" not in root.get(change_url(operation)).content


@pytest.mark.parametrize("who", ["root", "permitted"])
def test_operations_cannot_be_added_or_deleted(
    log_in: LogIn, operation: ImportOperation, who: str
) -> None:
    if who == "root":
        client = log_in(is_superuser=True)
    else:
        client = log_in("run-import", "view_importoperation", "change_importoperation")
    add = f"{HISTORY}add/"
    delete = reverse("admin:importmonitor_importoperation_delete", args=[operation.pk])
    for url in (HISTORY, change_url(operation), reverse("admin:index")):
        links = page(client.get(url)).links
        assert not [link for link in links if link.startswith((add, delete))]
    for url in (add, delete):
        assert client.get(url).status_code == 403
        assert client.post(url, {"post": "yes", "note": "x"}).status_code == 403
    client.post(HISTORY, {"action": "delete_selected", "_selected_action": operation.pk})
    assert ImportOperation.objects.get() == operation
    shown = page(client.get(HISTORY)).fields
    assert "_selected_action" not in shown


def test_unknown_operation_redirects_to_the_index(root: Client) -> None:
    for key in ("999999", "nonsense", "_00", "99999999999999999999999"):
        response = root.get(f"{HISTORY}{key}/change/", follow=True)
        assert response.status_code == 200
        assert page(response).rows == []


@pytest.mark.parametrize(
    ("codename", "is_linked"), [("view_workspace", True), ("view_alert", False)]
)
def test_link_to_the_workspaces_is_for_those_who_may_see_them(
    log_in: LogIn, settings: Any, codename: str, is_linked: bool
) -> None:
    # More than the dashboard has cards for.
    configure(settings, *[f"w{number:02d}" for number in range(13)])
    links = page(log_in("view_importoperation", codename).get(HISTORY)).links
    assert (WORKSPACES in links) is is_linked
