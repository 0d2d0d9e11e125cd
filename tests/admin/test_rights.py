"""Who may see, sync and write what in the admin."""

from typing import Any

import pytest
from django.db.models.signals import pre_save
from django.test import Client
from django.urls import reverse

from importmonitor.models import ImportOperation
from tests.admin.conftest import LogIn
from tests.admin.helpers import HISTORY, SYNC, change_url, page
from tests.api.helpers import RUNNING, sync


@pytest.fixture
def operation(db: None) -> ImportOperation:
    sync(RUNNING)
    return ImportOperation.objects.get()


def everything(operation: ImportOperation) -> dict[str, Any]:
    return dict(ImportOperation.objects.values().get(pk=operation.pk))


@pytest.mark.parametrize("method", ["get", "post"])
def test_anonymous_people_are_sent_to_the_login(operation: ImportOperation, method: str) -> None:
    for url in (HISTORY, change_url(operation), SYNC):
        response = getattr(Client(), method)(url)
        assert response.status_code == 302
        assert response["Location"].startswith(reverse("admin:login"))


def test_who_is_not_staff_is_sent_to_the_login(log_in: LogIn, operation: ImportOperation) -> None:
    client = log_in("run-import", "view_importoperation", is_staff=False)
    for url in (HISTORY, change_url(operation)):
        assert client.get(url).status_code == 302
    assert client.post(SYNC).status_code == 302


@pytest.mark.parametrize("codenames", [[], ["view-import-operations"]])
def test_staff_without_rights(
    log_in: LogIn, operation: ImportOperation, codenames: list[str]
) -> None:
    client = log_in(*codenames)
    for url in (HISTORY, change_url(operation)):
        response = client.get(url)
        assert response.status_code == 403
        assert b"people.csv" not in response.content
    assert client.post(SYNC).status_code == 403
    assert client.post(change_url(operation), {"note": "mine"}).status_code == 403
    assert everything(operation)["note"] == ""


def test_who_may_view_sees_and_cannot_sync(log_in: LogIn, operation: ImportOperation) -> None:
    client = log_in("view_importoperation")
    history = page(client.get(HISTORY))
    assert len(history.rows) == 1
    assert SYNC not in history.actions
    assert "Sync now" not in history.words.replace("press Sync now", "")
    assert "people.csv" in page(client.get(change_url(operation))).words
    assert client.post(SYNC).status_code == 403


def test_who_may_run_imports_sees_and_syncs(log_in: LogIn, operation: ImportOperation) -> None:
    client = log_in("run-import")
    index = page(client.get(reverse("admin:index")))
    assert HISTORY in index.links
    history = page(client.get(HISTORY))
    assert len(history.rows) == 1
    assert SYNC in history.actions
    assert "Sync now" in history.words
    assert "people.csv" in page(client.get(change_url(operation))).words


@pytest.mark.parametrize("codename", ["view_importoperation", "run-import"])
def test_who_only_sees_cannot_write_a_note(
    log_in: LogIn, operation: ImportOperation, codename: str
) -> None:
    client = log_in(codename)
    assert "note" not in page(client.get(change_url(operation))).fields
    before = everything(operation)
    assert client.post(change_url(operation), {"note": "mine"}).status_code == 403
    assert everything(operation) == before


def test_who_may_change_writes_the_note_and_nothing_else(
    log_in: LogIn, operation: ImportOperation
) -> None:
    client = log_in("change_importoperation")
    shown = page(client.get(change_url(operation)))
    own = {name for name in shown.fields if name and not name.startswith(("_", "csrf"))}
    assert own == {"note"}
    before = everything(operation)
    lies = {name: "0" for name in before if name != "note"} | {
        "status": "importer_done",
        "payload": "{}",
        "finished_at": "2026-01-01",
        "finished_at_0": "2026-01-01",
        "finished_at_1": "00:00",
    }
    response = client.post(change_url(operation), lies | {"note": "asked IT 🎉", "_save": "Save"})
    assert response.status_code == 302
    assert everything(operation) == before | {"note": "asked IT 🎉"}


def test_who_may_change_cannot_sync(log_in: LogIn) -> None:
    client = log_in("change_importoperation")
    assert SYNC not in page(client.get(HISTORY)).actions
    assert client.post(SYNC).status_code == 403


def test_a_sync_meanwhile_survives_the_saving_of_a_note(
    root: Client, operation: ImportOperation
) -> None:
    """It is stored between the form's reading of the row and its writing."""
    done = {**RUNNING, "status": "importer_done", "_updatedAt": "2026-03-25T11:45:00.000Z"}

    def meanwhile(**_kwargs: Any) -> None:
        pre_save.disconnect(meanwhile, sender=ImportOperation)
        sync(done)

    pre_save.connect(meanwhile, sender=ImportOperation)
    try:
        response = root.post(change_url(operation), {"note": "nearly there", "_save": "Save"})
    finally:
        pre_save.disconnect(meanwhile, sender=ImportOperation)
    assert response.status_code == 302
    found = ImportOperation.objects.get()
    assert (found.note, found.status, found.end_reason) == ("nearly there", "importer_done", "done")
    assert found.finished_at is not None
    assert found.payload == done


def test_a_note_survives_the_next_sync(root: Client, operation: ImportOperation) -> None:
    root.post(change_url(operation), {"note": "wait for it", "_save": "Save"})
    sync({**RUNNING, "status": "importer_done", "_updatedAt": "2026-03-25T11:45:00.000Z"})
    assert ImportOperation.objects.get().note == "wait for it"


def test_a_note_is_only_text(root: Client, operation: ImportOperation) -> None:
    script = "<script>alert(1)</script>"
    response = root.post(change_url(operation), {"note": script, "_save": "Save"}, follow=True)
    assert ImportOperation.objects.get().note == script
    assert b"<script>alert" not in response.content
    assert b"<script>alert" not in root.get(change_url(operation)).content


@pytest.mark.parametrize("who", ["root", "permitted"])
def test_nobody_adds_or_deletes(log_in: LogIn, operation: ImportOperation, who: str) -> None:
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


def test_what_is_not_there(root: Client) -> None:
    for key in ("999999", "nonsense", "_00", "99999999999999999999999"):
        response = root.get(f"{HISTORY}{key}/change/", follow=True)
        assert response.status_code == 200
        assert page(response).rows == []
