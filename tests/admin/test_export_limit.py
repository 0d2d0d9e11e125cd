"""Each user has one export at a time, however it ends."""

import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
import time_machine
from django.contrib.auth.models import User
from django.core.cache import cache
from django.core.cache.backends.base import BaseCache
from django.core.cache.backends.locmem import LocMemCache
from django.db import connection
from django.test import Client

from importmonitor.admin import export, export_limit
from importmonitor.admin.export_limit import ExportLock
from tests.admin.helpers import HISTORY, save_rows
from tests.admin.test_export import lose_the_database
from tests.api.helpers import NOON

if TYPE_CHECKING:
    from django.test.client import _MonkeyPatchedWSGIResponse as Response

CSV = f"{HISTORY}export/csv/"
JSON = f"{HISTORY}export/json/"


class BrokenCache(BaseCache):
    """A cache whose server is down."""

    def __init__(self, *args: Any) -> None:
        super().__init__({})

    def _fail(self, *args: Any, **kwargs: Any) -> Any:
        raise ConnectionError("password of the cache")

    add = get = set = delete = touch = _fail


class FullCache(LocMemCache):
    """A cache that refuses every entry and raises nothing, as memcached does."""

    def add(self, *args: Any, **kwargs: Any) -> bool:
        return False

    def set(self, *args: Any, **kwargs: Any) -> None:
        return None


@pytest.fixture(autouse=True)
def _rows(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "_LINES_CHUNK_SIZE", 1)
    save_rows(3)


@pytest.fixture(autouse=True)
def _kept_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the test's connection when a response is closed, as at the end of a request."""
    monkeypatch.setattr(connection, "close_if_unusable_or_obsolete", lambda: None)


@pytest.fixture
def lock(root: Client) -> ExportLock:
    """A lock of the user of `root`, as another process would have it."""
    return lock_of_another_process()


def lock_of_another_process() -> ExportLock:
    lock = ExportLock(User.objects.get(username="root"))
    assert lock.acquire()
    export_limit._locks.clear()
    return lock


def status(client: Client) -> int:
    """Return the status of an export, which is ended at once."""
    response = client.get(CSV)
    response.close()
    return response.status_code


def begin(client: Client) -> "Response":
    """Begin an export and read one of its chunks."""
    response = client.get(CSV)
    assert response.status_code == 200
    next(iter(response))
    return response


def test_second_export_is_refused_with_a_message(root: Client, hers: Client) -> None:
    running = begin(root)
    for url in (CSV, JSON, f"{CSV}?state=done"):
        response = root.get(url)
        assert response.status_code == 429
        assert response["Retry-After"] == "60"
        assert response["Content-Type"].startswith("text/plain")
        assert "Wait until that export ends" in response.content.decode()
        assert "Content-Disposition" not in response
    assert status(hers) == 200
    assert not running.closed


def test_next_export_begins_when_the_first_was_read(root: Client) -> None:
    for _ in range(3):
        assert len(list(root.get(CSV))) == 4


def test_client_that_leaves_ends_its_export(root: Client) -> None:
    """The server closes the response, whether it has begun or not."""
    unread = root.get(CSV)
    assert status(root) == 429
    unread.close()
    begun = begin(root)
    assert status(root) == 429
    begun.close()
    assert status(root) == 200


def test_unread_export_is_never_forgotten_by_its_process(root: Client) -> None:
    with time_machine.travel(NOON, tick=False):
        running = begin(root)
    with time_machine.travel(NOON + timedelta(days=1), tick=False):
        assert status(root) == 429
        running.close()
        assert status(root) == 200


def test_response_that_is_gone_without_being_closed_ends_its_export(root: Client) -> None:
    lock = ExportLock(User.objects.get(username="root"))
    with time_machine.travel(NOON, tick=False):
        assert lock.acquire()
        assert status(root) == 429
    del lock
    with time_machine.travel(NOON + timedelta(seconds=61), tick=False):
        assert status(root) == 200


def test_error_page_does_not_hold_the_lock(root: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    root.raise_request_exception = False
    with monkeypatch.context() as patch:
        lose_the_database(patch, after=0)
        assert root.get(CSV).status_code == 500
    assert root.get(f"{CSV}?nonsense=1").status_code == 400
    assert status(root) == 200


def test_head_requests_are_not_counted(root: Client) -> None:
    running = begin(root)
    for _ in range(2):
        assert root.head(CSV).status_code == 200
    assert status(root) == 429
    running.close()
    root.head(CSV)
    assert status(root) == 200


class TestOtherProcesses:
    """They know of an export by the cache."""

    def test_export_of_another_process_counts(self, root: Client, lock: ExportLock) -> None:
        assert status(root) == 429
        lock.release()
        assert status(root) == 200

    def test_killed_process_is_forgotten_after_a_minute(self, root: Client) -> None:
        with time_machine.travel(NOON, tick=False):
            lock_of_another_process()
        for seconds, expected in ((59, 429), (61, 200)):
            with time_machine.travel(NOON + timedelta(seconds=seconds), tick=False):
                assert status(root) == expected

    def test_export_that_progresses_is_not_forgotten(
        self, root: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(export_limit, "RENEW_EVERY", 0)
        with time_machine.travel(NOON, tick=False) as clock:
            lock = lock_of_another_process()
            for _chunk in lock.renew_during(iter("abc")):
                clock.shift(59)
                assert status(root) == 429
            clock.shift(2)
            assert status(root) == 200

    def test_renewal_is_rare(self, lock: ExportLock, monkeypatch: pytest.MonkeyPatch) -> None:
        """Not a request to the cache for each chunk."""
        renewals = []
        monkeypatch.setattr(cache, "set", lambda *args: renewals.append(args))
        assert len(list(lock.renew_during(iter("x" * 1_000)))) == 1_000
        assert renewals == []

    def test_forgotten_export_does_not_end_another(self, root: Client, lock: ExportLock) -> None:
        cache.clear()
        later = lock_of_another_process()
        lock.release()
        assert status(root) == 429
        later.release()
        assert status(root) == 200


@pytest.mark.parametrize("backend", ["BrokenCache", "FullCache", "DummyCache"])
def test_cache_that_does_not_work_leaves_the_limit_of_the_process(
    root: Client,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    backend: str,
) -> None:
    module = "django.core.cache.backends.dummy" if backend == "DummyCache" else __name__
    settings.CACHES = {"default": {"BACKEND": f"{module}.{backend}"}}
    monkeypatch.setattr(export_limit, "RENEW_EVERY", 0)
    with caplog.at_level(logging.WARNING, "importmonitor"):
        lock_of_another_process()
        running = begin(root)
        assert status(root) == 429
        assert len(list(running)) == 3
        assert status(root) == 200
    assert ("ConnectionError" in caplog.text) == (backend == "BrokenCache")
    assert "password" not in caplog.text


def test_lock_is_of_the_user_whatever_their_key(root: Client) -> None:
    class Account:
        def __init__(self, pk: Any) -> None:
            self.pk = pk

    keys = {ExportLock(Account(pk)).key for pk in (1, "1 2\n", "ü" * 300, (1, 2))}
    assert len(keys) == 4
    assert all(key.isascii() and key.isprintable() and len(key) < 100 for key in keys)
