"""The metrics of a fleet: its totals, the limit of series, and scraping it in shards."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families
from pytest_django import DjangoAssertNumQueries

from importmonitor.contrib.prometheus import totals
from importmonitor.contrib.prometheus.families import POLL_OUTCOMES
from importmonitor.models import Alert, ApiToken, ImportOperation, StoredTotals, Workspace, viewers
from importmonitor.sync import totals as sync_totals
from importmonitor.sync.totals import store_totals
from tests.api.helpers import NOON, credentials, make_user, workspace_at
from tests.api.metrics import MINUTE, metric_values
from tests.group_sets import store_groups

pytestmark = [pytest.mark.django_db, pytest.mark.urls("importmonitor.contrib.prometheus.urls")]

HOUR = timedelta(hours=1)

TOTALS = ("workspaces", "workspaces_late", "operations", "operations_ended", "workspaces_left_out")

#: Of an operation: an import that runs, stalls, has failed, is done.
OPERATIONS: dict[str, dict[str, Any]] = {
    "active": {"status": "importer_importing_users", "state": "importing"},
    "stalled": {
        "status": "importer_importing_users",
        "state": "importing",
        "stalled_since": NOON,
    },
    "failed": {
        "status": "importer_import_failed",
        "state": "error",
        "outcome": "failed",
        "end_reason": "failed",
        "finished_at": NOON,
    },
    "done": {
        "status": "importer_done",
        "state": "done",
        "outcome": "done",
        "end_reason": "done",
        "finished_at": NOON,
    },
}


def add_workspace(alias: str, operation: str = "", at: datetime = NOON, **fields: Any) -> Workspace:
    """Create a workspace that was polled at a time, with a current operation."""
    workspace = Workspace(alias=alias)
    if operation:
        times = dict.fromkeys(("started_at", "first_seen_at", "last_seen_at"), at)
        workspace.current_operation = ImportOperation.objects.create(
            workspace=alias, remote_id="1", last_progress_at=at, **times, **OPERATIONS[operation]
        )
    values = {"sync_status": "ok", "last_polled_at": at, "last_synced_at": at, "period_polls": 7}
    for name, value in (values | fields).items():
        setattr(workspace, name, value)
    workspace.summarize()
    workspace.save()
    return workspace


def limit_to(settings: Any, limit: int, *names: str) -> None:
    settings.IMPORTMONITOR = settings.IMPORTMONITOR | {
        "METRICS_LIMIT": limit,
        "METRICS_WORKSPACES": list(names),
    }


def with_series(now: datetime = NOON) -> list[str]:
    """Return the workspaces with metrics of their own, in their order."""
    return [alias for (alias,) in metric_values("workspace_up", now)]


def store_at(now: datetime) -> None:
    """Store the totals, as a watch does for many workspaces."""
    assert store_totals(lambda: now)


def left_out(now: datetime = NOON) -> float:
    return metric_values("workspaces_left_out", now)[()]


def scraped(
    client: Client, headers: dict[str, str], query: str = ""
) -> dict[str, dict[str, float]]:
    """Return the values of each metric by the value of its last label."""
    response = client.get(f"/metrics{query}", headers=headers)
    assert response.status_code == 200
    values: dict[str, dict[str, float]] = {}
    for family in text_string_to_metric_families(response.content.decode()):
        for sample in family.samples:
            label = "".join(list(sample.labels.values())[-1:])
            values.setdefault(sample.name.removeprefix("importmonitor_"), {})[label] = sample.value
    return values


# Totals.


def test_totals_count_every_workspace_once() -> None:
    add_workspace("a", "active")
    add_workspace("b", "done")
    add_workspace("c", "failed", sync_status="Unreachable")
    add_workspace("d", "done", at=NOON - HOUR)
    add_workspace("e", sync_status="empty")
    add_workspace("f", sync_status="of tomorrow", at=NOON - 2 * HOUR)
    add_workspace("g", sync_status="", last_polled_at=None, last_synced_at=None)
    add_workspace("gone", "failed", is_configured=False, at=NOON - 9 * HOUR)
    ImportOperation.objects.filter(workspace="e").update(state="of tomorrow")
    statuses = metric_values("workspaces")
    assert {status: number for (status,), number in statuses.items() if number} == {
        "ok": 3,
        "empty": 1,
        "Unreachable": 1,
        "other": 1,
        "never": 1,
    }
    assert len(statuses) == len(POLL_OUTCOMES) + 1
    assert metric_values("workspaces_late") == {(): 2}
    assert metric_values("oldest_poll_age_seconds") == {(): 7200}
    states = metric_values("operations")
    assert {state: number for (state,), number in states.items() if number} == {
        "importing": 1,
        "done": 2,
        "error": 1,
    }
    outcomes = metric_values("operations_ended")
    assert {outcome: number for (outcome,), number in outcomes.items() if number} == {
        "done": 2,
        "failed": 1,
    }
    assert len(outcomes) == 7
    assert left_out() == 0


def test_unknown_state_is_counted_as_unknown() -> None:
    workspace = add_workspace("a", "active")
    Workspace.objects.filter(pk=workspace.pk).update(import_state="of tomorrow")
    assert metric_values("operations")["unknown",] == 1


def test_totals_without_a_row_are_0_and_ages_absent() -> None:
    assert set(metric_values("workspaces").values()) == {0}
    assert set(metric_values("operations").values()) == {0}
    assert metric_values("oldest_poll_age_seconds") == {}
    assert left_out() == 0


@pytest.fixture
def few_are_many(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for module in (totals, sync_totals):
        monkeypatch.setattr(module, "MANY", 1)
    cache.clear()
    yield
    cache.clear()


@pytest.mark.usefixtures("few_are_many")
def test_totals_of_many_workspaces_are_kept_for_each_viewer(
    client: Client, headers: dict[str, str]
) -> None:
    for alias in ("a", "b"):
        add_workspace(alias, "done")
    add_workspace("hush", "failed", groups=store_groups(["ops"]), at=NOON - HOUR)
    assert metric_values("operations_ended")["failed",] == 1
    assert metric_values("totals_age_seconds") == {(): 0}
    add_workspace("c", "done")
    # Those of a viewer from whom nothing is hidden.
    assert metric_values("operations_ended")["failed",] == 1
    assert metric_values("operations_ended")["done",] == 2
    assert metric_values("workspaces_late") == {(): 1}
    assert metric_values("totals_age_seconds", NOON + timedelta(seconds=9)) == {(): 9}
    # Those of another one.
    assert scraped(client, headers)["operations_ended"]["failed"] == 0
    assert scraped(client, headers)["operations_ended"]["done"] == 3
    cache.clear()
    assert metric_values("operations_ended")["done",] == 3


@pytest.mark.usefixtures("few_are_many")
def test_totals_of_many_workspaces_are_those_that_a_watch_has_stored(
    client: Client, headers: dict[str, str]
) -> None:
    for alias in ("a", "b"):
        add_workspace(alias, "done", at=NOON - HOUR)
    add_workspace("c", "failed", sync_status="Unreachable")
    add_workspace("gone", "failed", is_configured=False)
    store_at(NOON)
    counted = {name: metric_values(name) for name in TOTALS}
    StoredTotals.objects.all().delete()
    cache.clear()
    assert {name: metric_values(name) for name in TOTALS} == counted
    cache.clear()

    store_at(NOON)
    Workspace.objects.update(import_outcome="done", sync_status="ok")
    for seconds, done, age in ((-1, 2, 0), (0, 2, 0), (15, 2, 15), (16, 3, 0), (-2, 3, 0)):
        now = NOON + timedelta(seconds=seconds)
        assert metric_values("operations_ended", now)["done",] == done
        assert metric_values("totals_age_seconds", now) == {(): age}
        cache.clear()
    # Now, for a viewer who is no superuser.
    assert store_totals()
    Workspace.objects.update(import_outcome="failed")
    assert scraped(client, headers)["operations_ended"]["done"] == 3


@pytest.mark.usefixtures("few_are_many")
def test_stored_totals_are_not_for_viewers_from_whom_a_workspace_is_hidden(
    client: Client, headers: dict[str, str]
) -> None:
    for alias in ("a", "b"):
        add_workspace(alias, "done")
    add_workspace("hush", "failed", groups=store_groups(["ops"]))
    superuser = make_user("root", is_superuser=True)
    token, text = ApiToken.objects.issue(superuser)
    ApiToken.objects.filter(pk=token.pk).update(workspaces=["a"])
    assert store_totals()
    add_workspace("c", "done")
    limited = {"Authorization": f"Bearer {text}"}
    for viewer, done, failed in (
        (headers, 3, 0),
        (credentials(superuser), 2, 1),
        (limited, 1, 0),
    ):
        ended = scraped(client, viewer)["operations_ended"]
        assert (ended["done"], ended["failed"]) == (done, failed)


@pytest.mark.usefixtures("few_are_many")
@pytest.mark.parametrize("few", [0, 1, 100])
@pytest.mark.parametrize("is_watched", [False, True])
def test_workspace_that_was_just_limited_is_not_counted(
    client: Client,
    headers: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    few: int,
    is_watched: bool,
) -> None:
    """Neither from what a watch has stored, nor from the cache."""
    monkeypatch.setattr(viewers, "_FEW", few)
    for alias in ("a", "b", "hush", "ops"):
        add_workspace(alias, "done")
    Workspace.objects.filter(alias="ops").update(groups=store_groups(["ops"]))
    for aliases, number in ((["ops"], 3), (["ops", "hush"], 2), (["ops", "hush", "a"], 1)):
        Workspace.objects.filter(alias__in=aliases).update(groups=store_groups(["ops"]))
        for _scrape in range(2):
            if is_watched:
                StoredTotals.objects.all().delete()
                assert store_totals()
            assert scraped(client, headers)["operations_ended"]["done"] == number
    Workspace.objects.update(groups=None)
    assert scraped(client, headers)["operations_ended"]["done"] == 4
    Workspace.objects.filter(alias="hush").update(groups=store_groups(["ops"]))
    assert scraped(client, headers)["operations_ended"]["done"] == 3


def test_totals_of_few_workspaces_are_counted_anew() -> None:
    add_workspace("a", "done")
    assert metric_values("operations_ended")["done",] == 1
    add_workspace("b", "done")
    assert metric_values("operations_ended")["done",] == 2


# Which workspaces have series.


def test_attention_comes_first_then_late_then_the_order_of_the_settings(settings: Any) -> None:
    add_workspace("calm", "done")
    add_workspace("late", "done", at=NOON - HOUR)
    add_workspace("later", "done", at=NOON - 2 * HOUR)
    add_workspace("active", "active")
    add_workspace("another", "done")
    add_workspace("unreachable", "done", sync_status="Unreachable")
    add_workspace("failed", "failed")
    add_workspace("gone", "failed", is_configured=False)
    add_workspace("stalled", "stalled")
    order = ["failed", "stalled", "unreachable", "active", "later", "late", "calm", "another"]
    for limit in range(1, 10):
        limit_to(settings, limit)
        assert with_series() == order[:limit]
        assert left_out() == max(0, 8 - limit)


def test_named_workspaces_come_before_all_others(settings: Any) -> None:
    add_workspace("failed", "failed")
    for alias in ("acme-2", "acme-1", "acme_x", "zeta", "acme-3"):
        add_workspace(alias, "done")
    add_workspace("acme-0", "done", is_configured=False)
    limit_to(settings, 4, "zeta", "acme-*", "nowhere")
    assert with_series() == ["acme-1", "acme-2", "acme-3", "zeta"]
    limit_to(settings, 2, "zeta", "nowhere")
    assert with_series() == ["zeta", "failed"]
    # An underscore is no wildcard.
    limit_to(settings, 2, "acme_*")
    assert with_series() == ["acme_x", "failed"]


def test_workspace_that_recovers_keeps_its_series_within_the_limit() -> None:
    add_workspace("a", "done")
    workspace = add_workspace("b", "done", sync_status="Unreachable")
    assert set(with_series()) == {"a", "b"}
    workspace.sync_status = "ok"
    workspace.summarize()
    workspace.save()
    assert set(with_series()) == {"a", "b"}


def test_default_limit_keeps_a_scrape_below_200_kb(client: Client, headers: dict[str, str]) -> None:
    now = timezone.now()
    for number in range(65):
        workspace = add_workspace(f"tenant-{number:06d}", "active", at=now)
        ImportOperation.objects.filter(workspace=workspace.alias).update(
            count_total=400_000,
            count_completed=100_000,
            count_error=4,
            count_users=50_000,
            count_channels=20_000,
            count_messages=330_000,
            count_contacts=0,
            rate=12.345678901,
            finished_at=now,
        )
    body = client.get("/metrics", headers=headers).content
    assert body.count(b"importmonitor_workspace_up{") == 60
    assert b"importmonitor_workspaces_left_out 5.0" in body
    assert 100_000 < len(body) <= 200_000


# Shards.


def test_shard_has_its_workspaces_and_no_totals(client: Client, headers: dict[str, str]) -> None:
    for alias in ("a", "b", "c"):
        add_workspace(alias, "done")
    add_workspace("gone", "done", is_configured=False)
    shard = scraped(client, headers, "?workspace=a,b,gone,nowhere")
    assert set(shard["workspace_up"]) == set(shard["operation_active"]) == {"a", "b"}
    names = {name for name in shard if name.startswith(("workspaces", "operations", "alerts"))}
    assert names == set()
    assert "build_info" in shard
    repeated = scraped(client, headers, "?workspace=a&workspace=c,a")
    assert set(repeated["workspace_up"]) == {"a", "c"}


def test_shard_has_configured_workspaces_without_a_row(
    client: Client, headers: dict[str, str]
) -> None:
    assert scraped(client, headers, "?workspace=default")["workspace_up"] == {"default": 0}


@pytest.mark.parametrize("value", ["", "a,", "a,,b", "A", "a b", "a*", "a" * 64, "a\0", "a;b"])
def test_malformed_shard_is_refused(client: Client, headers: dict[str, str], value: str) -> None:
    response = client.get("/metrics", {"workspace": value}, headers=headers)
    assert response.status_code == 400
    assert set(response.json()["errors"]) == {"workspace"}


def test_shard_of_more_than_the_limit_is_refused(
    client: Client, headers: dict[str, str], settings: Any
) -> None:
    limit_to(settings, 2)
    assert client.get("/metrics?workspace=a,b,a", headers=headers).status_code == 200
    response = client.get("/metrics?workspace=a,b,c", headers=headers)
    assert response.status_code == 400
    assert "at most 2" in response.json()["detail"]


# Access.


def test_viewers_get_totals_and_series_of_what_they_may_see(
    client: Client, headers: dict[str, str], settings: Any
) -> None:
    now = timezone.now()
    add_workspace("open", "done", at=now)
    add_workspace("hush", "failed", groups=store_groups(["ops"]), at=now - HOUR)
    add_workspace("secret", "active", groups=store_groups([]), at=now - 2 * HOUR)
    settings.IMPORTMONITOR = {
        "WORKSPACES": {
            "open": workspace_at("http://127.0.0.1:9"),
            "hush": workspace_at("http://127.0.0.1:9") | {"GROUPS": ["ops"]},
            # Not polled since it was limited.
            "new": workspace_at("http://127.0.0.1:9") | {"GROUPS": ["ops"]},
        }
    }
    member = make_user("member", "view-import-operations")
    member.groups.add(Group.objects.create(name="ops"))
    superuser = make_user("root", is_superuser=True)
    token, text = ApiToken.objects.issue(superuser)
    ApiToken.objects.filter(pk=token.pk).update(workspaces=["hush"])
    limited = {"Authorization": f"Bearer {text}"}
    query = "?workspace=open,hush,secret,new"
    for viewer, visible, shard in (
        (headers, ["open"], ["open"]),
        (credentials(member), ["hush", "open"], ["hush", "new", "open"]),
        (credentials(superuser), ["hush", "open", "secret"], ["hush", "new", "open", "secret"]),
        (limited, ["hush"], ["hush"]),
    ):
        values = scraped(client, viewer)
        assert sorted(values["workspace_up"]) == visible
        assert values["workspaces"]["ok"] == len(visible)
        assert values["workspaces_late"][""] == len(set(visible) - {"open"})
        assert values["operations_ended"]["failed"] == ("hush" in visible)
        assert values["operations"]["importing"] == ("secret" in visible)
        assert values["workspaces_left_out"][""] == 0
        oldest = 2 if "secret" in visible else 1 if "hush" in visible else 0
        assert values["oldest_poll_age_seconds"][""] // 3600 == oldest
        assert sorted(scraped(client, viewer, query)["workspace_up"]) == shard


# Queries.


@pytest.mark.parametrize("number", [3, 300])
def test_queries_do_not_depend_on_the_number_of_workspaces(
    number: int,
    client: Client,
    headers: dict[str, str],
    settings: Any,
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    now = timezone.now()
    times = dict.fromkeys(
        ("started_at", "first_seen_at", "last_seen_at", "last_progress_at"), now - MINUTE
    )
    aliases = [f"workspace-{i}" for i in range(number)]
    ImportOperation.objects.bulk_create(
        ImportOperation(
            workspace=alias, remote_id=str(i), status="importer_done", state="done", **times
        )
        for i in range(3)
        for alias in aliases
    )
    Workspace.objects.bulk_create(
        Workspace(
            alias=operation.workspace,
            current_operation=operation,
            sync_status="ok",
            last_polled_at=now,
            last_synced_at=now,
            period_polls=7,
        )
        for operation in ImportOperation.objects.filter(remote_id="2")
    )
    Alert.objects.bulk_create(
        Alert(
            event="import.failed",
            workspace=alias,
            channel="ops",
            key=alias,
            body={},
            created_at=now,
            next_attempt_at=now,
        )
        for alias in aliases
    )
    # Two for the series, four for totals, two for alerts.
    with django_assert_num_queries(8):
        assert len(metric_values("workspace_up", now)) == min(number, 60)
    client.get("/metrics", headers=headers)
    # The view adds the token and two for permissions, and for a viewer who is no superuser the
    # names of the groups and of the workspaces that are hidden.
    with django_assert_num_queries(13):
        body = client.get("/metrics", headers=headers).content.decode()
    assert body.count("importmonitor_operation_info{") == min(number, 60)
    assert f'importmonitor_workspaces{{sync_status="ok"}} {number}.0' in body
    assert f'importmonitor_alerts_undelivered{{channel="ops",delivery="due"}} {number}.0' in body
    shard = ",".join(aliases[:60])
    with django_assert_num_queries(6):
        client.get(f"/metrics?workspace={shard}", headers=headers)
    limit_to(settings, 60, "workspace-*")
    with django_assert_num_queries(14):
        client.get("/metrics", headers=headers)


@pytest.mark.skipif(connection.vendor != "sqlite", reason="reads the plans of SQLite")
def test_no_query_reads_every_row_of_the_workspaces(settings: Any) -> None:
    limit_to(settings, 60, "acme", "globex-*")
    add_workspace("acme", "active")
    with CaptureQueriesContext(connection) as queries:
        metric_values("workspace_up")
    plans = []
    for query in queries.captured_queries:
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN QUERY PLAN {query['sql']}")
            plans += [row[3] for row in cursor.fetchall()]
    of_workspaces = [plan for plan in plans if "importmonitor_workspace" in plan]
    assert len(of_workspaces) >= 6
    for plan in of_workspaces:
        assert "INDEX" in plan, plan
