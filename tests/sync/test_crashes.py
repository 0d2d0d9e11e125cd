"""A poll that is killed at any of its steps and the next one do together what one poll does.

A step is a statement, a commit, a request to Rocket.Chat or a delivered message.
"""

import json
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import timedelta
from itertools import count
from operator import itemgetter
from typing import Any

import pytest
from django.db import models

from importmonitor.alerts import subscriptions
from importmonitor.choices import Event
from importmonitor.models import (
    Alert,
    ImportOperation,
    Incident,
    ProgressSample,
    StatusTransition,
    SyncPeriod,
    Workspace,
    alerts,
)
from simulator.workspace import Workspace as RocketChat
from tests.conftest import configure
from tests.sync.crash_scenarios import SCENARIOS
from tests.sync.poll_driver import (
    CHANNELS,
    CLAIM_DURATION,
    FEW_SAMPLES,
    LATER,
    UNREACHABLE_AFTER,
    AlertRecord,
    PollDriver,
    Process,
)

pytestmark = pytest.mark.django_db(transaction=True)

#: Each after the ones that it refers to.
MODELS: tuple[type[models.Model], ...] = (
    SyncPeriod,
    ImportOperation,
    Workspace,
    StatusTransition,
    ProgressSample,
    Incident,
    Alert,
)
#: The lease, the state, a request, and the result.
MIN_STEPS = 4
#: The columns that depend on when something was polled.
OBSERVED: Mapping[type[models.Model], tuple[str, ...]] = {
    ImportOperation: (
        "started_at",
        "first_seen_at",
        "last_seen_at",
        "last_progress_at",
        "watched_at_progress",
        "stalled_since",
        "waiting_since",
        "invalidated_at",
        "gone_at",
        "finished_at",
        "forecast_at",
        "modified_at",
    ),
    Workspace: (
        "changed_at",
        "last_polled_at",
        "first_synced_at",
        "last_synced_at",
        "failing_since",
        "period_started_at",
        "list_due_at",
    ),
    StatusTransition: ("observed_at",),
    ProgressSample: ("observed_at",),
}
#: What is computed from the samples, and so from when something was polled.
ESTIMATES = ("rate", "seconds_left", "seconds_left_low", "seconds_left_high", "speeds")
#: The other columns, and the keys of an alert, that can differ between two runs.
VARYING_COLUMNS = (
    *("id", "operation", "holder", "expires_at", "period", "period_polls", "watched"),
    *ESTIMATES,
)
VARYING_KEYS = (
    "id",
    "idempotency_key",
    "occurred_at",
    "last_progress_at",
    "finished_at",
    "seconds_left",
    "duration_seconds",
    "from",
    "to",
    "since",
    "until",
)


@pytest.fixture(autouse=True)
def _configured(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    configure(settings, "http://127.0.0.1:9")
    settings.IMPORTMONITOR = settings.IMPORTMONITOR | {
        "UNREACHABLE_AFTER": UNREACHABLE_AFTER,
        "CHANNELS": {
            name: {
                "BACKEND": "tests.sync.poll_driver.KillableChannel",
                "EVENTS": events,
                "NAME": name,
            }
            for name, events in CHANNELS.items()
        },
    }
    monkeypatch.setattr(subscriptions, "EMAIL_BACKEND", "tests.sync.poll_driver.KillableEmail")
    monkeypatch.setattr(ProgressSample, "MAX", FEW_SAMPLES)
    # Three polls fit into the time after which an import is stalled.
    monkeypatch.setattr(alerts, "CLAIM_DURATION", CLAIM_DURATION)


@pytest.mark.thorough(one_in=112)
@pytest.mark.parametrize(
    ("deaths", "after"), [(1, False), (1, True), (2, True)], ids=["before", "after", "after, twice"]
)
@pytest.mark.parametrize(
    ("scenario", "events"), SCENARIOS, ids=[scenario.__name__ for scenario, _events in SCENARIOS]
)
def test_killed_poll_and_the_next_equal_one_clean_poll(
    workspace: RocketChat,
    scenario: Callable[[PollDriver], None],
    events: set[Event],
    after: bool,
    deaths: int,
) -> None:
    """After a clean poll, the rows are as if no process had died, and every alert was sent."""
    driver = PollDriver(workspace)
    scenario(driver)
    responses, now = driver.responses, driver.now
    before = Store.load()
    sent_before = before.alerts(delivered=True)

    undisturbed = Process()
    assert undisturbed.poll(responses, now)
    after_one_poll = Store.load()
    assert undisturbed.poll(responses, now + LATER)
    expected = Store.load()
    assert sorted(undisturbed.sent) == sorted(expected.alerts() - sent_before)
    assert expected.events() - before.events() == Counter(events)
    consistent = [store.facts() for store in (before, after_one_poll, expected)]

    for step in count(1):
        before.restore()
        sent: list[AlertRecord] = []
        sent_unrecorded: set[AlertRecord] = set()
        at = now
        for _ in range(deaths):
            process = Process(dies_at=step, after=after)
            process.poll(responses, at)
            store = Store.load()
            # All of it was stored, or nothing.
            assert store.facts() in consistent, step
            sent += process.sent
            sent_unrecorded |= set(process.sent) & store.alerts(delivered=False)
            at += LATER
        clean = Process()
        result = clean.poll(responses, at)
        assert result is not None
        assert result.skipped is None
        sent += clean.sent

        store = Store.load()
        assert store.facts() == expected.facts(), step
        assert_not_earlier(store.times(), expected.times(), at - now)
        assert store.alerts(delivered=False) == set()
        assert set(sent) == store.alerts() - sent_before, step
        assert {record for record, times in Counter(sent).items() if times > 1} == sent_unrecorded
        if not process.dead:
            break
    assert step > MIN_STEPS


class Store:
    """All rows at a time."""

    def __init__(self, rows: Mapping[type[models.Model], list[Any]]) -> None:
        self.rows = rows
        self.remote_ids = {row.pk: row.remote_id for row in rows[ImportOperation]}

    @classmethod
    def load(cls) -> "Store":
        return cls({model: list(model._default_manager.order_by("pk")) for model in MODELS})

    def restore(self) -> None:
        """Replace the rows of the database by these."""
        for model in reversed(MODELS):
            rows = model._default_manager.all()
            rows._raw_delete(rows.db)
        for model in MODELS:
            model._default_manager.bulk_create(self.rows[model])

    def facts(self) -> dict[str, Any]:
        """Return the contents without what depends on the time and number of polls."""
        facts: dict[str, Any] = {
            "periods": [(row.outcome, row.message) for row in self.rows[SyncPeriod]],
            "estimated": {
                (row.remote_id, name)
                for row in self.rows[ImportOperation]
                for name in ESTIMATES
                if getattr(row, name) is not None
            },
            "alerts": Counter(
                (row.event, row.workspace, row.channel, json.dumps(without_varying_keys(row.body)))
                for row in self.rows[Alert]
            ),
        }
        facts["incidents"] = Counter(
            (
                row.kind,
                row.message,
                self.remote_ids.get(row.operation_id),
                row.is_open,
                row.open_key is not None,
                row.first_alert_at is not None,
            )
            for row in self.rows[Incident]
        )
        for model, observed in OBSERVED.items():
            varying = {*VARYING_COLUMNS, *observed}
            names = [field.name for field in model._meta.concrete_fields]
            columns = [name for name in names if name not in varying]
            facts[model.__name__] = [
                (remote_id, [self._fact(row, column) for column in columns])
                for remote_id, row in self._by_operation(model)
            ]
        return facts

    def times(self) -> list[tuple[str, Any]]:
        """Return the columns that depend on when something was polled."""
        return [
            (f"{model.__name__}.{column} of {remote_id}", getattr(row, column))
            for model, observed in OBSERVED.items()
            for remote_id, row in self._by_operation(model)
            for column in observed
        ]

    def alerts(self, *, delivered: bool | None = None) -> set[AlertRecord]:
        """Return the alerts, all or those that were delivered or not."""
        return {
            AlertRecord(row.channel, row.key)
            for row in self.rows[Alert]
            if delivered is None or delivered is (row.delivered_at is not None)
        }

    def events(self) -> Counter[str]:
        """Return the events of the channel that gets all of them."""
        return Counter(row.event for row in self.rows[Alert] if row.channel == "all")

    def _fact(self, row: Any, column: str) -> Any:
        """Return a value; of a workspace's current operation, the remote id."""
        if column == "current_operation":
            return self.remote_ids.get(row.current_operation_id)
        return getattr(row, column)

    def _by_operation(self, model: type[models.Model]) -> list[tuple[str, Any]]:
        """Return rows with their operation's remote id, in order for each operation.

        A workspace comes with its alias, unless nothing but its lease was stored.
        """
        if model is Workspace:
            return [(row.alias, row) for row in self.rows[Workspace] if row.was_polled]
        key = "pk" if model is ImportOperation else "operation_id"
        owned = [(self.remote_ids[getattr(row, key)], row) for row in self.rows[model]]
        return sorted(owned, key=itemgetter(0))


def assert_not_earlier(
    times: list[tuple[str, Any]], expected: list[tuple[str, Any]], max_delay: timedelta
) -> None:
    """Assert that all times are the expected ones or later, at most by a delay."""
    for (name, at), (_, expected_at) in zip(times, expected, strict=True):
        if expected_at is None:
            assert at is None, name
        else:
            assert timedelta(0) <= at - expected_at <= max_delay, name


def without_varying_keys(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return an alert's contents without what depends on when it was written."""
    return {
        key: without_varying_keys(value) if isinstance(value, dict) else value
        for key, value in body.items()
        if key not in VARYING_KEYS
    }
