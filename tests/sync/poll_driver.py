"""A workspace, the processes that look at it, and the moment at which one is killed."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any, ClassVar, NamedTuple, TypeVar

import pytest
from django.db import connections

from importmonitor.alerts import outbox
from importmonitor.alerts.channels import Undelivered
from importmonitor.alerts.messages import Message
from importmonitor.rocketchat.exceptions import RocketChatError
from importmonitor.rocketchat.operation import Operation, parse_operation
from importmonitor.sync.poll import SyncResult, sync_workspace
from simulator.workspace import Workspace

FEW_SAMPLES = 4

T = TypeVar("T")

#: Channels and the events that they want.
CHANNELS = {"all": "*", "trouble": ["import.failed", "workspace.unreachable"]}

#: When the next poll comes: a lease is over by then, and a dead process's claim to the alert that
#: it had in hand, and the pause after a third attempt to deliver.
LATER = outbox.CLAIM + timedelta(minutes=0.5)
#: Longer than all that is tried here: that a workspace cannot be looked at is no matter of steps.
GRACE = timedelta(minutes=30)


class Killed(BaseException):
    """The process is dead: no handler of the app is to see this."""


class AlertRecord(NamedTuple):
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
    told: list[AlertRecord] = field(default_factory=list)
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
        told = AlertRecord(self.channel, message.body["idempotency_key"])
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
