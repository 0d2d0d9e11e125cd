"""What a client has already is not made again: 304, decided before anything is serialised."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client
from rest_framework import serializers

from importmonitor.models import ImportOperation, ProgressSample, StatusTransition
from tests.admin.helpers import make_row
from tests.api.helpers import NOON, RUNNING, sync, sync_nothing, sync_refused, workspace_at
from tests.api.rest.asking import (
    OPERATIONS,
    WORKSPACES,
    Asking,
    detail,
    five,
    samples,
    transitions,
)

MINUTE = timedelta(minutes=1)
MOVED = {**RUNNING, "count": {"total": 10, "completed": 7}}
DONE = {**RUNNING, "status": "importer_done", "_updatedAt": "2026-03-25T11:40:00.000Z"}


@pytest.fixture
def operation(asking: Asking) -> Iterator[ImportOperation]:
    """An operation that was seen at noon, which it still is."""
    with time_machine.travel(NOON, tick=False):
        sync(RUNNING, at=NOON)
        yield ImportOperation.objects.get()


def etags(asking: Asking, key: int, at: Any = NOON) -> dict[str, str]:
    """Return the ETag of each of the five."""
    with time_machine.travel(at, tick=False):
        return {url: asking.get(url)["ETag"] for url in five(key)}


def changed(asking: Asking, key: int, what: Callable[[], Any], at: Any = NOON) -> set[str]:
    """Do something; return which of the five have another ETag then, and so another answer."""
    before = etags(asking, key)
    what()
    after = etags(asking, key, at)
    for url, etag in before.items():
        with time_machine.travel(at, tick=False):
            status = asking.get(url, If_None_Match=etag).status_code
        assert status == (304 if after[url] == etag else 200)
    return {url for url in before if before[url] != after[url]}


def test_unchanged(
    asking: Asking, operation: ImportOperation, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = etags(asking, operation.pk)

    def broken(*_args: object) -> None:
        raise AssertionError("something was serialised")

    for each in (serializers.Serializer, serializers.ListSerializer, serializers.ModelSerializer):
        monkeypatch.setattr(each, "to_representation", broken)
    for url, etag in before.items():
        with pytest.raises(AssertionError, match="serialised"):
            asking.get(url)
        assert etag.startswith('W/"')
        for told in (etag, f'"other", {etag}', etag.removeprefix("W/"), "*"):
            response = asking.get(url, If_None_Match=told)
            assert (response.status_code, response.content) == (304, b"")
            assert response["ETag"] == etag
            assert response["Cache-Control"] == "private, no-cache"
            assert "Authorization" in response["Vary"]
            assert "Content-Type" not in response


def test_head(asking: Asking, operation: ImportOperation) -> None:
    for url, etag in etags(asking, operation.pk).items():
        response = Client().head(url, headers=asking.headers)
        assert (response.status_code, response["ETag"]) == (200, etag)
        again = Client().head(url, headers=asking.headers | {"If-None-Match": etag})
        assert again.status_code == 304


def test_time_alone_changes_nothing(asking: Asking, operation: ImportOperation) -> None:
    assert changed(asking, operation.pk, lambda: None, at=NOON + 4 * MINUTE) == set()


def test_what_is_no_longer_fresh(asking: Asking, operation: ImportOperation) -> None:
    found = changed(asking, operation.pk, lambda: None, at=NOON + 11 * MINUTE)
    assert found == {OPERATIONS, WORKSPACES, detail(operation.pk)}


def test_a_new_look(asking: Asking, operation: ImportOperation) -> None:
    found = changed(asking, operation.pk, lambda: sync(RUNNING, at=NOON + MINUTE))
    assert found == {OPERATIONS, WORKSPACES, detail(operation.pk)}


def test_a_look_that_fails(asking: Asking, operation: ImportOperation) -> None:
    found = changed(asking, operation.pk, lambda: sync_refused(at=NOON + MINUTE))
    assert found == {OPERATIONS, WORKSPACES, detail(operation.pk)}


def test_a_workspace_that_says_that_there_is_none(
    asking: Asking, operation: ImportOperation
) -> None:
    found = changed(asking, operation.pk, lambda: sync_nothing(at=NOON + MINUTE))
    assert WORKSPACES in found


def test_a_new_note(asking: Asking, operation: ImportOperation) -> None:
    def write() -> None:
        operation.note = "asked IT"
        operation.save(update_fields=["note"])

    # The note is in all that tells of the operation.
    found = changed(asking, operation.pk, write)
    assert found == {OPERATIONS, WORKSPACES, detail(operation.pk)}


def test_counters_that_moved(asking: Asking, operation: ImportOperation) -> None:
    found = changed(asking, operation.pk, lambda: sync(MOVED, at=NOON + MINUTE))
    assert found == {OPERATIONS, WORKSPACES, detail(operation.pk), samples(operation.pk)}


def test_a_change_of_state(asking: Asking, operation: ImportOperation) -> None:
    found = changed(asking, operation.pk, lambda: sync(DONE, at=NOON + MINUTE))
    assert found >= {OPERATIONS, WORKSPACES, detail(operation.pk), transitions(operation.pk)}


def test_another_operation(asking: Asking, operation: ImportOperation) -> None:
    found = changed(asking, operation.pk, lambda: make_row(99).save())
    assert found == {OPERATIONS}


def test_parts_that_were_thinned_out(asking: Asking, operation: ImportOperation) -> None:
    def prune() -> None:
        ProgressSample.objects.all().delete()
        StatusTransition.objects.all().delete()

    found = changed(asking, operation.pk, prune)
    assert found == {samples(operation.pk), transitions(operation.pk)}


def test_the_next_page(asking: Asking, operation: ImportOperation) -> None:
    """A link to one is part of a page, and so is how many there are."""
    page = {"page_size": 1}
    before = asking.get(OPERATIONS, page)["ETag"]
    make_row(99).save()
    assert asking.get(OPERATIONS, page, If_None_Match=before).status_code == 200


def test_how_many_workspaces(asking: Asking, settings: Any) -> None:
    def configure(count: int) -> None:
        made = {f"w{number}": workspace_at("http://127.0.0.1:9") for number in range(count)}
        settings.IMPORTMONITOR = {"WORKSPACES": made}

    configure(3)
    before = asking.get(WORKSPACES, {"page_size": 1})["ETag"]
    assert asking.get(WORKSPACES, {"page_size": 1}, If_None_Match=before).status_code == 304
    configure(4)
    response = asking.get(WORKSPACES, {"page_size": 1}, If_None_Match=before)
    assert response.status_code == 200
    assert response.json()["count"] == 4


def test_another_release_answers_otherwise(
    asking: Asking, operation: ImportOperation, monkeypatch: pytest.MonkeyPatch
) -> None:
    def upgrade() -> None:
        monkeypatch.setattr("importmonitor.__version__", "99")

    assert changed(asking, operation.pk, upgrade) == set(five(operation.pk))


def test_last_modified(asking: Asking, operation: ImportOperation) -> None:
    at = "Wed, 25 Mar 2026 12:0{}:00 GMT"
    for url in five(operation.pk):
        response = asking.get(url)
        assert response["Last-Modified"] == at.format(0)
        # By it alone nothing is decided: a row that has gone leaves no time.
        again = asking.get(url, If_Modified_Since=at.format(0))
        assert again.status_code == 200
    with time_machine.travel(NOON + MINUTE, tick=False):
        sync(RUNNING, at=NOON + MINUTE)
        found = {url: asking.get(url)["Last-Modified"] for url in five(operation.pk)}
    # A look is news of what tells of looks.
    parts = {samples(operation.pk), transitions(operation.pk)}
    assert found == {url: at.format(0 if url in parts else 1) for url in found}
    ProgressSample.objects.all().delete()
    assert "Last-Modified" not in asking.get(samples(operation.pk))


@pytest.mark.parametrize("told", ['""', "nonsense", 'W/"0"', "", '"' + "x" * 10_000 + '"'])
def test_etags_that_nobody_was_given(asking: Asking, operation: ImportOperation, told: str) -> None:
    for url in five(operation.pk):
        assert asking.get(url, If_None_Match=told).status_code == 200


def test_a_304_is_for_those_who_may_see(asking: Asking, operation: ImportOperation) -> None:
    for url, etag in etags(asking, operation.pk).items():
        assert Client().get(url, headers={"If-None-Match": etag}).status_code == 401
        assert Client().get(url, headers={"If-None-Match": "*"}).status_code == 401
