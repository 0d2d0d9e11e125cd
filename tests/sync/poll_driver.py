"""A workspace, and processes that poll it and can be killed at any step."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any, ClassVar, NamedTuple, TypeVar

import pytest
from django.db import connections

from importmonitor.alerts.channels import Undelivered
from importmonitor.alerts.messages import Message
from importmonitor.rocketchat.exceptions import RocketChatError
from importmonitor.rocketchat.operation import Operation, parse_operation
from importmonitor.sync.poll import SyncResult, sync_workspace
from simulator.workspace import Workspace

FEW_SAMPLES = 4

T = TypeVar("T")

#: Channels and their events.
CHANNELS = {"all": "*", "failures": ["import.failed", "workspace.unreachable"]}

#: The time until the next poll: a killed process's lease and its claim of an alert have expired,
#: and so has the back-off after a third attempt to deliver.
CLAIM_DURATION = timedelta(minutes=5)
LATER = CLAIM_DURATION + timedelta(minutes=0.5)
#: UNREACHABLE_AFTER: longer than a scenario, so that it does not depend on the step.
UNREACHABLE_AFTER = timedelta(minutes=30)


class Killed(BaseException):
    """The process is dead. A BaseException, so that no handler of the app catches it."""


class AlertRecord(NamedTuple):
    """A delivered message."""

    channel: str
    key: str


@dataclass
class Process:
    """A process that polls, and is killed before or after a step; the first one is number 1."""

    dies_at: int | None = None
    after: bool = False
    steps: int = 0
    dead: bool = False
    sent: list[AlertRecord] = field(default_factory=list)
    #: Whether the channels accept messages.
    delivers: bool = True

    def step(self, do: Callable[[], T]) -> T:
        """Run something whose effect outlives the process, unless it is dead."""
        if self.dead:
            # A `finally` does not run in a killed process.
            raise Killed
        self.steps += 1
        self.dead = self.steps == self.dies_at
        if self.dead and not self.after:
            raise Killed
        result = do()
        if self.dead:
            raise Killed
        return result

    def poll(self, responses: "Responses", now: datetime) -> SyncResult | None:
        """Poll a workspace; return the result, None if the process was killed."""
        with self._stepping():
            try:
                client: Any = KillableClient(self, responses)
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
                # Otherwise Django commits when it turns SQLite's autocommit on again.
                rollback()
                raise

        def execute_in_one_step(execute: Callable[..., Any], *arguments: Any) -> Any:
            return self.step(partial(execute, *arguments))

        KillableChannel.process = self
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(connection, "_commit", commit_in_one_step)
            with connection.execute_wrapper(execute_in_one_step):
                yield
        # As if the dead process's connection were closed.
        rollback()
        connection.run_on_commit = []
        assert not connection.in_atomic_block


@dataclass(frozen=True)
class Responses:
    """A workspace's responses, or why it has none; `list_refused`: why it has none to the list."""

    current: Operation | None = None
    latest: tuple[Operation, ...] = ()
    error: RocketChatError | None = None
    list_refused: RocketChatError | None = None


class KillableClient:
    """A client without a network whose requests are steps of a process."""

    def __init__(self, process: Process, responses: Responses) -> None:
        self.process = process
        self.responses = responses

    def current_operation(self) -> Operation | None:
        responses = self.responses
        return self.process.step(partial(self._request, responses.current, responses.error))

    def latest_operations(self) -> tuple[Operation, ...]:
        responses = self.responses
        return self.process.step(partial(self._request, responses.latest, responses.list_refused))

    def _request(self, response: T, error: RocketChatError | None) -> T:
        if error is not None:
            raise error
        return response


class KillableChannel:
    """A channel whose deliveries are steps of a process, recorded in its `sent`."""

    process: ClassVar[Process]

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.channel = options["NAME"]

    def send(self, message: Message) -> None:
        process = self.process
        if not process.delivers:
            raise Undelivered("No message is accepted.")
        record = AlertRecord(self.channel, message.body["idempotency_key"])
        process.step(lambda: process.sent.append(record))


class KillableEmail(KillableChannel):
    """The same to a user whose address begins with their key."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.channel = "@" + options["TO"][0].partition("@")[0]


@dataclass
class PollDriver:
    """Polls a workspace up to the poll that is tested."""

    workspace: Workspace
    error: RocketChatError | None = None
    list_refused: RocketChatError | None = None
    delivers: bool = True
    frozen: Responses | None = None

    @property
    def now(self) -> datetime:
        return self.workspace.clock.now()

    @property
    def responses(self) -> Responses:
        """The workspace's responses now, or at the time of `freeze`."""
        if self.frozen and not self.error:
            return self.frozen
        current = self.workspace.current()
        return Responses(
            parse_operation(current) if current else None,
            tuple(map(parse_operation, self.workspace.latest())),
            self.error,
            self.list_refused,
        )

    def advance(self, *, minutes: float) -> None:
        """Let time pass without polls."""
        self.workspace.clock.advance(minutes * 60)

    def poll(self, *, minutes: float = 0, times: int = 1) -> None:
        """Poll some times, each some minutes after the last."""
        for _ in range(times):
            self.advance(minutes=minutes)
            result = Process(delivers=self.delivers).poll(self.responses, self.now)
            assert result is not None
            assert result.skipped is None

    def freeze(self) -> None:
        """Keep the present responses for the next polls."""
        self.frozen = self.responses
