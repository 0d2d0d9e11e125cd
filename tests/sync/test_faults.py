"""A poll that dies at any of its steps, and the one after it: together they do what one does.

A step is a statement, a commit, a question to Rocket.Chat or a message that is sent.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from itertools import count
from operator import itemgetter
from typing import Any, ClassVar, NamedTuple, TypeVar

import pytest
from django.db import connections, models

from importmonitor.alerts import outbox
from importmonitor.alerts.channels import Undelivered
from importmonitor.alerts.messages import Message
from importmonitor.events import Event
from importmonitor.models import (
    Alert,
    ImportOperation,
    ProgressSample,
    StatusTransition,
    SyncLease,
    SyncPeriod,
)
from importmonitor.rocketchat.errors import PermissionMissing, RocketChatError, Unreachable
from importmonitor.rocketchat.operation import Operation, parse_operation
from importmonitor.sync import SyncResult, sync_workspace
from project.simulator.workspace import Workspace
from tests.conftest import configure

pytestmark = pytest.mark.django_db(transaction=True)

T = TypeVar("T")

#: In the order in which they refer to each other.
MODELS: tuple[type[models.Model], ...] = (
    SyncLease,
    SyncPeriod,
    ImportOperation,
    StatusTransition,
    ProgressSample,
    Alert,
)
#: Channels and the events that they want.
CHANNELS = {"all": "*", "trouble": ["import.failed", "workspace.unreachable"]}
#: The lease, what is known, a question, the rows, a period, and the lease again.
FEWEST_STEPS = 5
#: When the next poll comes: a lease is over by then, and a dead process's claim to the alert that
#: it had in hand, and the pause after a third attempt to deliver.
LATER = outbox.CLAIM + timedelta(minutes=0.5)
#: Longer than all that is tried here: that a workspace cannot be looked at is no matter of steps.
GRACE = timedelta(minutes=30)
FEW_SAMPLES = 4
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


class Killed(BaseException):
    """The process is dead: no handler of the app is to see this."""


class Told(NamedTuple):
    """A message that arrived somewhere."""

    channel: str
    key: str


@dataclass
class Process:
    """What polls, and is dead before or after a step; the first one is number 1."""

    dies_at: int | None = None
    after: bool = False
    steps: int = 0
    dead: bool = False
    told: list[Told] = field(default_factory=list)
    #: Whether mail servers take what it sends.
    delivers: bool = True

    def step(self, do: Callable[[], T]) -> T:
        """Do something that outlives the process, unless it is dead by then."""
        if self.dead:
            # Nobody is left to clean up: a `finally` does not run in a killed process.
            raise Killed
        self.steps += 1
        self.dead = self.steps == self.dies_at
        if self.dead and not self.after:
            raise Killed
        done = do()
        if self.dead:
            raise Killed
        return done

    def poll(self, seen: "Seen", now: datetime) -> SyncResult | None:
        """Look at a workspace; return how that went, None if the process died of it."""
        with self._stepping():
            try:
                client: Any = Asking(self, seen)
                return sync_workspace("default", client=client, now=lambda: now)
            except Killed:
                return None

    @contextmanager
    def _stepping(self) -> Iterator[None]:
        connection: Any = connections["default"]
        commit, rollback = connection._commit, connection._rollback

        def commit_in_one_step() -> None:
            try:
                self.step(commit)
            except Killed:
                # Or Django would commit after all, as it turns SQLite's autocommit on again.
                rollback()
                raise

        def execute_in_one_step(execute: Callable[..., Any], *arguments: Any) -> Any:
            return self.step(partial(execute, *arguments))

        Telling.process = self
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(connection, "_commit", commit_in_one_step)
            with connection.execute_wrapper(execute_in_one_step):
                yield
        # A dead process's connection is closed, and forgets what it was about to do.
        rollback()
        connection.run_on_commit = []
        assert not connection.in_atomic_block


@dataclass(frozen=True)
class Seen:
    """What a workspace answers, or why it does not; `list_refused`: why not with its list."""

    current: Operation | None = None
    latest: tuple[Operation, ...] = ()
    error: RocketChatError | None = None
    list_refused: RocketChatError | None = None


class Asking:
    """A client of a workspace that a process has, without a network."""

    def __init__(self, process: Process, seen: Seen) -> None:
        self.process = process
        self.seen = seen

    def current_operation(self) -> Operation | None:
        return self.process.step(partial(self._answer, self.seen.current, self.seen.error))

    def latest_operations(self) -> tuple[Operation, ...]:
        return self.process.step(partial(self._answer, self.seen.latest, self.seen.list_refused))

    def _answer(self, answer: T, error: RocketChatError | None) -> T:
        if error is not None:
            raise error
        return answer


class Telling:
    """A channel that a process has, to wherever messages arrive: in its `told`."""

    process: ClassVar[Process]

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.channel = options["NAME"]

    def send(self, message: Message) -> None:
        process = self.process
        if not process.delivers:
            raise Undelivered("Nobody takes messages today.")
        told = Told(self.channel, message.body["idempotency_key"])
        process.step(lambda: process.told.append(told))


@dataclass
class Life:
    """A workspace and who looks at it, up to the poll that is to be tried."""

    workspace: Workspace
    error: RocketChatError | None = None
    list_refused: RocketChatError | None = None
    delivers: bool = True
    frozen: Seen | None = None

    @property
    def now(self) -> datetime:
        return self.workspace.clock.now()

    @property
    def seen(self) -> Seen:
        """The workspace as it is now, or was when it froze."""
        if self.frozen and not self.error:
            return self.frozen
        current = self.workspace.current()
        return Seen(
            parse_operation(current) if current else None,
            tuple(map(parse_operation, self.workspace.latest())),
            self.error,
            self.list_refused,
        )

    def go_on(self, *, minutes: float) -> None:
        """Let time pass, and nobody look."""
        self.workspace.clock.advance(minutes * 60)

    def look(self, *, minutes: float = 0, times: int = 1) -> None:
        """Look so many times, each so many minutes after the last."""
        for _ in range(times):
            self.go_on(minutes=minutes)
            result = Process(delivers=self.delivers).poll(self.seen, self.now)
            assert result is not None
            assert result.skipped is None

    def freeze(self) -> None:
        """Let the workspace go on as it is for a while."""
        self.frozen = self.seen


def first_look_at_an_empty_workspace(life: Life) -> None:
    """Nobody has ever looked, and there is nothing to be seen."""


def first_look_at_several(life: Life) -> None:
    """Of three that nobody knows, the last one runs."""
    life.workspace.start_import("csv", seconds=60)
    life.go_on(minutes=10)
    life.workspace.start_import("csv", "failed", seconds=60)
    life.go_on(minutes=10)
    life.workspace.start_import("slack", seconds=3600)
    life.go_on(minutes=20)


def a_first_import(life: Life) -> None:
    life.look()
    life.go_on(minutes=1)
    life.workspace.start_import("csv", seconds=600)
    life.go_on(minutes=2)


def progress(life: Life) -> None:
    life.look()
    life.workspace.start_import("slack", seconds=3600)
    life.look(minutes=5, times=5)
    life.go_on(minutes=5)


def one_that_supersedes_and_one_in_between(life: Life) -> None:
    """One is open, one came and went, one has begun."""
    life.look()
    life.workspace.start_import("slack", seconds=3600)
    life.look(minutes=5, times=2)
    life.go_on(minutes=1)
    life.workspace.start_import("csv", "failed", seconds=60)
    life.go_on(minutes=2)
    life.workspace.start_import("csv", seconds=600)
    life.go_on(minutes=2)


def a_new_import_where_the_list_is_refused(life: Life) -> None:
    life.look()
    life.workspace.start_import("slack", seconds=3600)
    life.list_refused = PermissionMissing("Not allowed.", permission="view-import-operations")
    life.go_on(minutes=5)


def an_end(life: Life) -> None:
    """With more samples on the way there than are kept."""
    life.look()
    life.workspace.start_import("csv", "done-with-errors", seconds=600)
    life.look(minutes=0.5, times=19)
    assert ProgressSample.objects.count() > FEW_SAMPLES
    life.go_on(minutes=1)


def an_interruption(life: Life) -> None:
    life.look()
    life.workspace.start_import("slack", seconds=3600)
    life.look(minutes=10, times=2)
    life.go_on(minutes=1)
    life.workspace.restart()
    life.go_on(minutes=1)


def a_reopening(life: Life) -> None:
    life.look()
    remote_id = life.workspace.start_import("csv", seconds=60)
    life.look(minutes=2)
    life.workspace.prepare(remote_id)
    life.go_on(minutes=1)


def a_wait(life: Life) -> None:
    life.look()
    life.workspace.start_import("csv", "waiting", seconds=60)
    life.look(minutes=5, times=2)
    life.go_on(minutes=61)


def a_stall(life: Life) -> None:
    life.look()
    life.workspace.start_import("slack", seconds=3600)
    life.look(minutes=20, times=2)
    life.freeze()
    life.look(minutes=5, times=2)
    life.go_on(minutes=5)


def a_resumption(life: Life) -> None:
    a_stall(life)
    life.look()
    assert ImportOperation.objects.exclude(stalled_since=None).exists()
    life.frozen = None
    life.go_on(minutes=1)


def a_stall_that_ends_in_an_interruption(life: Life) -> None:
    a_resumption(life)
    life.workspace.restart()
    life.go_on(minutes=1)


def a_first_failure(life: Life) -> None:
    life.look()
    life.error = Unreachable("Nobody answers.")
    life.go_on(minutes=1)


def failures_past_the_grace(life: Life) -> None:
    a_first_failure(life)
    life.look()
    life.look(minutes=14, times=2)
    life.go_on(minutes=14)


def a_recovery(life: Life) -> None:
    """At the same moment an import is found that failed, and one that runs."""
    failures_past_the_grace(life)
    life.look()
    life.workspace.start_import("csv", "failed", seconds=60)
    life.go_on(minutes=2)
    life.workspace.start_import("csv", seconds=600)
    life.error = None
    life.go_on(minutes=1)


def nothing_new(life: Life) -> None:
    a_first_import(life)
    life.look()
    life.freeze()
    life.go_on(minutes=1)


def alerts_that_are_due(life: Life) -> None:
    """What was to be told could not be delivered, and nothing else is new."""
    life.look()
    life.delivers = False
    life.workspace.start_import("csv", "failed", seconds=60)
    life.look(minutes=2)
    assert Alert.objects.filter(attempts=1, delivered_at=None).count() == len(CHANNELS)
    life.go_on(minutes=2)


def alerts_that_are_due_and_no_answer(life: Life) -> None:
    alerts_that_are_due(life)
    life.error = Unreachable("Nobody answers.")


#: Each with what its poll has to tell.
SCENES: tuple[tuple[Callable[[Life], None], set[Event]], ...] = (
    (one_that_supersedes_and_one_in_between, {Event.STARTED, Event.FAILED, Event.FINISHED}),
    (a_recovery, {Event.RECOVERED, Event.STARTED, Event.FAILED}),
    (first_look_at_several, set()),
    (a_first_import, {Event.STARTED}),
    (an_end, {Event.FINISHED}),
    (a_wait, {Event.WAITING}),
    (an_interruption, {Event.INTERRUPTED}),
    (alerts_that_are_due, set()),
    (a_resumption, {Event.RESUMED}),
    (failures_past_the_grace, {Event.UNREACHABLE}),
    (a_stall_that_ends_in_an_interruption, {Event.INTERRUPTED}),
    (a_stall, {Event.STALLED}),
    (alerts_that_are_due_and_no_answer, set()),
    (a_new_import_where_the_list_is_refused, {Event.STARTED}),
    (a_reopening, set()),
    (progress, set()),
    (a_first_failure, set()),
    (first_look_at_an_empty_workspace, set()),
    (nothing_new, set()),
)


@pytest.fixture(autouse=True)
def _configured(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    configure(settings, "http://127.0.0.1:9")
    settings.IMPORTMONITOR = settings.IMPORTMONITOR | {
        "UNREACHABLE_AFTER": GRACE,
        "CHANNELS": {
            name: {"BACKEND": f"{__name__}.Telling", "EVENTS": events, "NAME": name}
            for name, events in CHANNELS.items()
        },
    }
    monkeypatch.setattr(ProgressSample, "MOST", FEW_SAMPLES)


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
        told: list[Told] = []
        on_their_way: set[Told] = set()
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

    def alerts(self, *, delivered: bool | None = None) -> set[Told]:
        """Return what is to be told, or what of it has been delivered or not."""
        return {
            Told(row.channel, row.key)
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
