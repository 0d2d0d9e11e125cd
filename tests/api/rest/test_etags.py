"""ETags change exactly with the body, and a 304 serializes nothing."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client
from rest_framework import serializers

from importmonitor.models import ImportOperation, ProgressSample, StatusTransition
from importmonitor.sync.register import register_configured
from tests.admin.helpers import make_row
from tests.api.helpers import NOON, RUNNING, sync, sync_nothing, sync_refused, workspace_at
from tests.api.rest.api_client import (
    OPERATIONS,
    WORKSPACES,
    ApiClient,
    all_urls,
    detail_url,
    samples_url,
    transitions_url,
)

MINUTE = timedelta(minutes=1)
MOVED = {**RUNNING, "count": {"total": 10, "completed": 7}}
DONE = {**RUNNING, "status": "importer_done", "_updatedAt": "2026-03-25T11:40:00.000Z"}


@pytest.fixture
def operation(api: ApiClient) -> Iterator[ImportOperation]:
    """An operation that was polled at noon, at noon."""
    with time_machine.travel(NOON, tick=False):
        sync(RUNNING, at=NOON)
        yield ImportOperation.objects.get()


def etags(api: ApiClient, key: int, at: Any = NOON) -> dict[str, str]:
    """Return the ETag of each endpoint."""
    with time_machine.travel(at, tick=False):
        return {url: api.get(url)["ETag"] for url in all_urls(key)}


def changed(api: ApiClient, key: int, action: Callable[[], Any], at: Any = NOON) -> set[str]:
    """Call `action`, and return the URLs whose ETag and response are different then."""
    before = etags(api, key)
    action()
    after = etags(api, key, at)
    for url, etag in before.items():
        with time_machine.travel(at, tick=False):
            status = api.get(url, If_None_Match=etag).status_code
        assert status == (304 if after[url] == etag else 200)
    return {url for url in before if before[url] != after[url]}


def test_304_serializes_nothing(
    api: ApiClient, operation: ImportOperation, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = etags(api, operation.pk)

    def broken(*_args: object) -> None:
        raise AssertionError("something was serialized")

    for serializer in (
        serializers.Serializer,
        serializers.ListSerializer,
        serializers.ModelSerializer,
    ):
        monkeypatch.setattr(serializer, "to_representation", broken)
    for url, etag in before.items():
        with pytest.raises(AssertionError, match="serialized"):
            api.get(url)
        assert etag.startswith('W/"')
        for condition in (etag, f'"other", {etag}', etag.removeprefix("W/"), "*"):
            response = api.get(url, If_None_Match=condition)
            assert (response.status_code, response.content) == (304, b"")
            assert response["ETag"] == etag
            assert response["Cache-Control"] == "private, no-cache"
            assert "Authorization" in response["Vary"]
            assert "Content-Type" not in response


def test_head_has_the_same_etag(api: ApiClient, operation: ImportOperation) -> None:
    for url, etag in etags(api, operation.pk).items():
        response = Client().head(url, headers=api.headers)
        assert (response.status_code, response["ETag"]) == (200, etag)
        again = Client().head(url, headers=api.headers | {"If-None-Match": etag})
        assert again.status_code == 304


def test_time_alone_changes_no_etag(api: ApiClient, operation: ImportOperation) -> None:
    assert changed(api, operation.pk, lambda: None, at=NOON + 4 * MINUTE) == set()


def test_staleness_changes_etags(api: ApiClient, operation: ImportOperation) -> None:
    changed_urls = changed(api, operation.pk, lambda: None, at=NOON + 11 * MINUTE)
    assert changed_urls == {OPERATIONS, WORKSPACES, detail_url(operation.pk)}


def test_poll_changes_etags(api: ApiClient, operation: ImportOperation) -> None:
    changed_urls = changed(api, operation.pk, lambda: sync(RUNNING, at=NOON + MINUTE))
    assert changed_urls == {OPERATIONS, WORKSPACES, detail_url(operation.pk)}


def test_failed_poll_changes_etags(api: ApiClient, operation: ImportOperation) -> None:
    changed_urls = changed(api, operation.pk, lambda: sync_refused(at=NOON + MINUTE))
    assert changed_urls == {OPERATIONS, WORKSPACES, detail_url(operation.pk)}


def test_disappeared_operation_changes_etag(api: ApiClient, operation: ImportOperation) -> None:
    changed_urls = changed(api, operation.pk, lambda: sync_nothing(at=NOON + MINUTE))
    assert WORKSPACES in changed_urls


def test_note_changes_etags(api: ApiClient, operation: ImportOperation) -> None:
    def write() -> None:
        operation.note = "IT informed"
        operation.save(update_fields=["note"])

    # The note is in all bodies with the operation.
    changed_urls = changed(api, operation.pk, write)
    assert changed_urls == {OPERATIONS, WORKSPACES, detail_url(operation.pk)}

    def write_again() -> None:
        operation.note_by, operation.note_at = "ada", NOON
        operation.save(update_fields=["note_by", "note_at"])

    assert changed(api, operation.pk, write_again) == changed_urls


def test_counters_change_etags(api: ApiClient, operation: ImportOperation) -> None:
    changed_urls = changed(api, operation.pk, lambda: sync(MOVED, at=NOON + MINUTE))
    assert changed_urls == {
        OPERATIONS,
        WORKSPACES,
        detail_url(operation.pk),
        samples_url(operation.pk),
    }


def test_state_changes_etags(api: ApiClient, operation: ImportOperation) -> None:
    changed_urls = changed(api, operation.pk, lambda: sync(DONE, at=NOON + MINUTE))
    assert changed_urls >= {
        OPERATIONS,
        WORKSPACES,
        detail_url(operation.pk),
        transitions_url(operation.pk),
    }


def test_another_operation_changes_list_etag(api: ApiClient, operation: ImportOperation) -> None:
    changed_urls = changed(api, operation.pk, lambda: make_row(99).save())
    assert changed_urls == {OPERATIONS}


def test_pruning_changes_etags(api: ApiClient, operation: ImportOperation) -> None:
    def prune() -> None:
        ProgressSample.objects.all().delete()
        StatusTransition.objects.all().delete()

    changed_urls = changed(api, operation.pk, prune)
    assert changed_urls == {samples_url(operation.pk), transitions_url(operation.pk)}


def test_next_link_changes_etag(api: ApiClient, operation: ImportOperation) -> None:
    """The links are part of a page."""
    page = {"page_size": 1}
    before = api.get(OPERATIONS, page)["ETag"]
    make_row(99).save()
    assert api.get(OPERATIONS, page, If_None_Match=before).status_code == 200


def test_page_after_this_one_changes_etag(api: ApiClient, settings: Any) -> None:
    def configure(count: int) -> None:
        made = {f"w{number}": workspace_at("http://127.0.0.1:9") for number in range(count)}
        settings.IMPORTMONITOR = {"WORKSPACES": made}
        register_configured()

    configure(1)
    before = api.get(WORKSPACES, {"page_size": 1})["ETag"]
    assert api.get(WORKSPACES, {"page_size": 1}, If_None_Match=before).status_code == 304
    configure(2)
    response = api.get(WORKSPACES, {"page_size": 1}, If_None_Match=before)
    assert response.status_code == 200
    assert response.json()["next"]


def test_another_version_changes_etags(
    api: ApiClient, operation: ImportOperation, monkeypatch: pytest.MonkeyPatch
) -> None:
    def upgrade() -> None:
        monkeypatch.setattr("importmonitor.__version__", "99")

    assert changed(api, operation.pk, upgrade) == set(all_urls(operation.pk))


def test_last_modified_is_the_latest_change(api: ApiClient, operation: ImportOperation) -> None:
    at = "Wed, 25 Mar 2026 12:0{}:00 GMT"
    for url in all_urls(operation.pk):
        response = api.get(url)
        assert response["Last-Modified"] == at.format(0)
        # It does not decide on a 304: a deleted row leaves no time.
        again = api.get(url, If_Modified_Since=at.format(0))
        assert again.status_code == 200
    with time_machine.travel(NOON + MINUTE, tick=False):
        sync(RUNNING, at=NOON + MINUTE)
        dates = {url: api.get(url)["Last-Modified"] for url in all_urls(operation.pk)}
    # A poll changes the bodies with a sync status.
    parts = {samples_url(operation.pk), transitions_url(operation.pk)}
    assert dates == {url: at.format(0 if url in parts else 1) for url in dates}
    ProgressSample.objects.all().delete()
    assert "Last-Modified" not in api.get(samples_url(operation.pk))


@pytest.mark.thorough(one_in=3)
@pytest.mark.parametrize("condition", ['""', "nonsense", 'W/"0"', "", '"' + "x" * 10_000 + '"'])
def test_other_etags_get_200(api: ApiClient, operation: ImportOperation, condition: str) -> None:
    for url in all_urls(operation.pk):
        assert api.get(url, If_None_Match=condition).status_code == 200


def test_304_needs_credentials(api: ApiClient, operation: ImportOperation) -> None:
    for url, etag in etags(api, operation.pk).items():
        assert Client().get(url, headers={"If-None-Match": etag}).status_code == 401
        assert Client().get(url, headers={"If-None-Match": "*"}).status_code == 401
