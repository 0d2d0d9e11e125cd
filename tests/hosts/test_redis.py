"""Hosts whose default cache is Redis: with another serializer than pickle, or down."""

import logging
import os
import uuid
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import User
from django.core.cache import caches
from django.test import Client

from importmonitor import shared_cache
from importmonitor.admin import export_limit
from importmonitor.admin.export_limit import ExportLock
from importmonitor.admin.weeks import recent_weeks
from importmonitor.models import ImportOperation
from tests.admin.helpers import HISTORY, make_row
from tests.api.helpers import EVERYTHING, NOON, PATH, RUNNING, credentials, make_user, sync
from tests.hosts.servers import need

pytestmark = [
    pytest.mark.django_db,
    need(package="django_redis", variable="BROKER_URL"),
    need(package="msgpack"),
]

DJANGO_REDIS = "django_redis.cache.RedisCache"
SERIALIZERS = {
    "json": "django_redis.serializers.json.JSONSerializer",
    "msgpack": "django_redis.serializers.msgpack.MSGPackSerializer",
    "pickle": "django_redis.serializers.pickle.PickleSerializer",
}
#: Nothing listens there.
DOWN = "redis://:hush@127.0.0.1:9/0"


@pytest.fixture(autouse=True)
def _warnings_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "importmonitor")


def use_cache(settings: Any, location: str, backend: str = DJANGO_REDIS, **options: Any) -> None:
    settings.CACHES = {
        "default": {
            "BACKEND": backend,
            "LOCATION": location,
            # The server is shared with others.
            "KEY_PREFIX": uuid.uuid4().hex,
            "OPTIONS": options,
        }
    }


@pytest.fixture(params=SERIALIZERS)
def redis(request: pytest.FixtureRequest, settings: Any) -> Iterator[Any]:
    """The cache of a host with this serializer."""
    use_cache(settings, os.environ["BROKER_URL"], SERIALIZER=SERIALIZERS[request.param])
    cache = caches["default"]
    yield cache
    cache.delete_pattern("*")  # type: ignore[attr-defined] # django-redis's own


@pytest.fixture(params=["django-redis", "ignoring errors", "Django's"])
def down(request: pytest.FixtureRequest, settings: Any) -> None:
    """A host whose Redis server is down."""
    if request.param == "Django's":
        use_cache(settings, DOWN, "django.core.cache.backends.redis.RedisCache")
    else:
        use_cache(settings, DOWN, IGNORE_EXCEPTIONS=request.param == "ignoring errors")


def use_everything(root: Client) -> None:
    """Use all that is cached, across two weeks and more than once."""
    sync(RUNNING)
    headers = credentials(make_user("tool", "run-import", "view-import-operations"))
    ImportOperation.objects.bulk_create(
        make_row(number, workspace="other", started_at=NOON - timedelta(weeks=number))
        for number in range(20)
    )
    for moment in (NOON, NOON + timedelta(weeks=1)):
        with time_machine.travel(moment, tick=False):
            for path in (HISTORY, f"{HISTORY}?workspace=other", HISTORY):
                response = root.get(path)
                assert response.status_code == 200
                assert "Imports per week" in response.text
            for path in (PATH, "/api/v1/getLatestImportOperations", "/api/import-operations/"):
                assert Client().get(path, headers=headers).status_code == 200
                assert Client().get(path, headers=headers).status_code == 200
            wrong = headers | {"X-Auth-Token": "wrong"}
            assert Client().get(PATH, headers=wrong).status_code == 401
            for kind in ("csv", "json"):
                assert b"".join(root.get(f"{HISTORY}export/{kind}/"))


@pytest.fixture
def root(db: None) -> Client:
    # Of another test's user with the same key.
    export_limit._locks.clear()
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    return client


def test_cache_with_any_serializer_works(
    root: Client, redis: Any, caplog: pytest.LogCaptureFixture
) -> None:
    use_everything(root)
    assert "cache failed" not in caplog.text
    names = {key.split(":")[1] for key in redis.keys("importmonitor:*")}
    assert names == {"weeks", "importmonitor", "importmonitor_wrong_tokens"}


def test_cached_weeks_are_equal_with_any_serializer(
    root: Client, redis: Any, django_assert_num_queries: Any
) -> None:
    ImportOperation.objects.bulk_create(
        make_row(number, started_at=NOON - timedelta(weeks=number), end_reason="done")
        for number in range(12)
    )
    first = recent_weeks(EVERYTHING, "", NOON.date())
    with django_assert_num_queries(1):
        assert recent_weeks(EVERYTHING, "", NOON.date()) == first
    assert [sum(week.counts.values()) for week in first] == [1] * 12


def test_limits_apply_with_any_serializer(root: Client, redis: Any, settings: Any) -> None:
    settings.REST_FRAMEWORK = {"DEFAULT_THROTTLE_RATES": {"importmonitor": "2/min"}}
    sync(RUNNING)
    headers = credentials(make_user("tool", "run-import"))
    with time_machine.travel(NOON, tick=False):
        statuses = [Client().get(PATH, headers=headers).status_code for _ in range(3)]
    assert statuses == [200, 200, 429]
    user = User.objects.get(username="root")
    lock, other = ExportLock(user), ExportLock(user)
    assert lock.acquire()
    assert not other.acquire()
    lock.release()
    assert other.acquire()


def test_everything_works_while_redis_is_down(
    root: Client, down: None, caplog: pytest.LogCaptureFixture
) -> None:
    use_everything(root)
    records = [record for record in caplog.records if "cache failed" in record.message]
    assert len(records) == 1
    assert "hush" not in caplog.text


def test_limits_do_not_apply_while_redis_is_down(
    root: Client, down: None, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    rates = {"importmonitor": "1/min", "importmonitor_wrong_tokens": "1/min"}
    settings.REST_FRAMEWORK = {"DEFAULT_THROTTLE_RATES": rates}
    sync(RUNNING)
    headers = credentials(make_user("tool", "run-import"))
    assert [Client().get(PATH, headers=headers).status_code for _ in range(3)] == [200] * 3
    headers["X-Auth-Token"] = "wrong"
    assert [Client().get(PATH, headers=headers).status_code for _ in range(3)] == [401] * 3
    assert caplog.text.count("rate limits do not apply") == 1


def test_failures_are_logged_again_after_a_minute(
    down: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    now = [0.0]
    monkeypatch.setattr("importmonitor.shared_cache.time.monotonic", lambda: now[0])
    for seconds, count in ((1_000, 1), (1_059, 1), (1_060, 2)):
        now[0] = seconds
        shared_cache.increment("key", 60)
        assert caplog.text.count("cache failed") == count
