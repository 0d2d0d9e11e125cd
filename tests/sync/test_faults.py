"""A poll that dies at any of its steps, and the one after it: together they do what one does.

A step is a statement, a commit, a question to Rocket.Chat or a message that is sent.
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

from importmonitor.choices import Event
from importmonitor.models import (
    Alert,
    ImportOperation,
    ProgressSample,
    StatusTransition,
    SyncLease,
    SyncPeriod,
)
from simulator.workspace import Workspace
from tests.conftest import configure
from tests.sync.crash_scenarios import SCENES
from tests.sync.poll_driver import CHANNELS, FEW_SAMPLES, GRACE, LATER, AlertRecord, Life, Process

pytestmark = pytest.mark.django_db(transaction=True)

#: In the order in which they refer to each other.
MODELS: tuple[type[models.Model], ...] = (
    SyncLease,
    SyncPeriod,
    ImportOperation,
    StatusTransition,
    ProgressSample,
    Alert,
)
#: The lease, what is known, a question, the rows, a period, and the lease again.
FEWEST_STEPS = 5
#: When something was seen, of what is the same whenever that was.
OBSERVED: Mapping[type[models.Model], tuple[str, ...]] = {
    ImportOperation: (
        "started_at",
        "first_seen_at",
        "last_seen_at",
        "last_progress_at",
        "watched_at_progress",
        "stalled_since",
        "waiting_since",
        "finished_at",
        "modified_at",
    ),
    StatusTransition: ("observed_at",),
    ProgressSample: ("observed_at",),
}
#: What else the rows of two runs need not have in common.
OWN = ("id", "operation", "rate")
OWN_IN_BODY = (
    "id",
    "idempotency_key",
    "occurred_at",
    "last_progress_at",
    "finished_at",
    "seconds_left",
    "duration_seconds",
    "from",
    "to",
)


@pytest.fixture(autouse=True)
def _configured(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    configure(settings, "http://127.0.0.1:9")
    settings.IMPORTMONITOR = settings.IMPORTMONITOR | {
        "UNREACHABLE_AFTER": GRACE,
        "CHANNELS": {
            name: {"BACKEND": "tests.sync.poll_driver.Telling", "EVENTS": events, "NAME": name}
            for name, events in CHANNELS.items()
        },
    }
    monkeypatch.setattr(ProgressSample, "MAX", FEW_SAMPLES)


@pytest.mark.thorough(one_in=14)
@pytest.mark.parametrize(
    ("deaths", "after"), [(1, False), (1, True), (2, True)], ids=["before", "after", "after, twice"]
)
@pytest.mark.parametrize(
    ("scene", "events"), SCENES, ids=[scene.__name__ for scene, _events in SCENES]
)
def test_killed_at_every_step(
    workspace: Workspace,
    scene: Callable[[Life], None],
    events: set[Event],
    after: bool,
    deaths: int,
) -> None:
    """After one clean poll all is as if nobody had died, and everything has been told."""
    life = Life(workspace)
    scene(life)
    seen, now = life.seen, life.now
    beginning = Store.read()
    told_before = beginning.alerts(delivered=True)

    undisturbed = Process()
    assert undisturbed.poll(seen, now)
    after_one = Store.read()
    assert undisturbed.poll(seen, now + LATER)
    expected = Store.read()
    assert sorted(undisturbed.told) == sorted(expected.alerts() - told_before)
    assert expected.events() - beginning.events() == Counter(events)
    true_at_all_times = [each.facts() for each in (beginning, after_one, expected)]

    for step in count(1):
        beginning.put_back()
        told: list[AlertRecord] = []
        on_their_way: set[AlertRecord] = set()
        at = now
        for _ in range(deaths):
            process = Process(dies_at=step, after=after)
            process.poll(seen, at)
            left = Store.read()
            # All of it was stored, or nothing.
            assert left.facts() in true_at_all_times, step
            told += process.told
            on_their_way |= set(process.told) & left.alerts(delivered=False)
            at += LATER
        clean = Process()
        result = clean.poll(seen, at)
        assert result is not None
        assert result.skipped is None
        told += clean.told

        found = Store.read()
        assert found.facts() == expected.facts(), step
        assert_not_earlier(found.times(), expected.times(), at - now)
        assert found.alerts(delivered=False) == set()
        assert set(told) == found.alerts() - told_before, step
        assert {each for each, often in Counter(told).items() if often > 1} == on_their_way
        if not process.dead:
            break
    assert step > FEWEST_STEPS


class Store:
    """All rows as they were at one time."""

    def __init__(self, rows: Mapping[type[models.Model], list[Any]]) -> None:
        self.rows = rows
        self.remote_ids = {row.pk: row.remote_id for row in rows[ImportOperation]}

    @classmethod
    def read(cls) -> "Store":
        return cls({model: list(model._default_manager.order_by("pk")) for model in MODELS})

    def put_back(self) -> None:
        """Let there be these rows, and no others."""
        for model in reversed(MODELS):
            every = model._default_manager.all()
            every._raw_delete(every.db)
        for model in MODELS:
            model._default_manager.bulk_create(self.rows[model])

    def facts(self) -> dict[str, Any]:
        """Return what is stored, less what depends on when and how often somebody looked."""
        found: dict[str, Any] = {
            "periods": [(row.outcome, row.message) for row in self.rows[SyncPeriod]],
            "rated": {row.remote_id for row in self.rows[ImportOperation] if row.rate is not None},
            "alerts": Counter(
                (row.event, row.workspace, row.channel, json.dumps(lasting(row.body)))
                for row in self.rows[Alert]
            ),
        }
        for model, observed in OBSERVED.items():
            own = {*OWN, *observed}
            columns = [each.name for each in model._meta.concrete_fields if each.name not in own]
            found[model.__name__] = [
                (remote_id, [getattr(row, column) for column in columns])
                for remote_id, row in self._by_operation(model)
            ]
        return found

    def times(self) -> list[tuple[str, Any]]:
        """Return when each thing was seen, and for how long we had looked by then."""
        return [
            (f"{model.__name__}.{column} of {remote_id}", getattr(row, column))
            for model, observed in OBSERVED.items()
            for remote_id, row in self._by_operation(model)
            for column in observed
        ]

    def alerts(self, *, delivered: bool | None = None) -> set[AlertRecord]:
        """Return what is to be told, or what of it has been delivered or not."""
        return {
            AlertRecord(row.channel, row.key)
            for row in self.rows[Alert]
            if delivered is None or delivered is (row.delivered_at is not None)
        }

    def events(self) -> Counter[str]:
        """Return the events of which everybody is to be told who wants to be told of all."""
        return Counter(row.event for row in self.rows[Alert] if row.channel == "all")

    def _by_operation(self, model: type[models.Model]) -> list[tuple[str, Any]]:
        """Return rows with their operation's id, each operation's in their order."""
        key = "pk" if model is ImportOperation else "operation_id"
        owned = [(self.remote_ids[getattr(row, key)], row) for row in self.rows[model]]
        return sorted(owned, key=itemgetter(0))


def assert_not_earlier(
    seen: list[tuple[str, Any]], expected: list[tuple[str, Any]], late: timedelta
) -> None:
    """Assert that all was seen at the same time or later, but not by more than so much."""
    for (name, at), (_, expected_at) in zip(seen, expected, strict=True):
        if expected_at is None:
            assert at is None, name
        else:
            assert timedelta(0) <= at - expected_at <= late, name


def lasting(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an alert says, less what depends on when it was written."""
    return {
        key: lasting(value) if isinstance(value, dict) else value
        for key, value in body.items()
        if key not in OWN_IN_BODY
    }
