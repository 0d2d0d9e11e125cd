"""Replays a recording: polls it by a schedule, and collects what is stored and sent."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from django.db import connection
from django.db.models import Model
from django.test import TestCase

from importmonitor.models import Alert, ImportOperation
from importmonitor.rocketchat.exceptions import PermissionMissing
from importmonitor.rocketchat.operation import Operation, parse_operation
from importmonitor.sync import sync_workspace
from tests.recordings import Recording, State

if TYPE_CHECKING:
    from importmonitor.alerts.messages import Message

ALIAS = "recorded"

CONFIGURATION = {
    "WORKSPACES": {
        ALIAS: {"URL": "http://127.0.0.1:9", "USER_ID": "user", "AUTH_TOKEN": "token"},
    },
    "CHANNELS": {"all": {"BACKEND": "tests.recordings.replay.RecordingChannel", "EVENTS": "*"}},
}


class RecordingChannel:
    """A channel that keeps its messages."""

    sent: ClassVar[list["Message"]] = []

    def __init__(self, options: Mapping[str, Any]) -> None:
        pass

    def send(self, message: "Message") -> None:
        self.sent.append(message)


@dataclass
class RecordedClient:
    """A client of a recorded workspace; its list of operations can be refused."""

    state: State | None = None
    is_list_refused: bool = False

    def current_operation(self) -> Operation | None:
        current = self.state.current if self.state else None
        return None if current is None else parse_operation(dict(current))

    def latest_operations(self) -> list[Operation]:
        if self.is_list_refused:
            message = "recorded: the list of operations is refused."
            raise PermissionMissing(message, permission="view-import-operations")
        documents = self.state.latest if self.state else []
        return [parse_operation(dict(document)) for document in documents]


@dataclass(frozen=True)
class Observation:
    """What a poll left behind: the rows by their ids in Rocket.Chat, and what is new.

    `messages` were sent, `bodies` were written: what is written can be out of date, and dropped,
    before it is sent.
    """

    at: datetime
    state: State | None
    rows: Mapping[str, ImportOperation]
    messages: Sequence["Message"]
    bodies: Sequence[Mapping[str, Any]]


def replay(
    recording: Recording, times: Sequence[datetime], *, is_list_refused: bool = False
) -> Iterator[Observation]:
    """Poll a recording at these times; yield what each poll leaves behind.

    Run it in a transaction that is rolled back, with CONFIGURATION as the setting.
    """
    client: Any = RecordedClient(is_list_refused=is_list_refused)
    stored = _Stored()
    for at in times:
        client.state = recording.state(at)
        RecordingChannel.sent.clear()
        with TestCase.captureOnCommitCallbacks(execute=True):
            result = sync_workspace(ALIAS, client=client, now=partial(_same, at))
        assert result.ok, result.error
        assert result.skipped is None, result.skipped
        yield Observation(
            at=at,
            state=client.state,
            rows=stored.read_rows(),
            messages=tuple(RecordingChannel.sent),
            bodies=stored.read_new_bodies(),
        )


def _same(at: datetime) -> datetime:
    return at


@dataclass
class _Stored:
    """What is stored, read anew only if it has changed: most polls change nothing."""

    values: list[tuple[Any, ...]] = field(default_factory=list)
    rows: Mapping[str, ImportOperation] = field(default_factory=dict)
    last_alert: int = 0

    def read_rows(self) -> Mapping[str, ImportOperation]:
        values = _select("*", ImportOperation)
        if values != self.values:
            self.values = values
            self.rows = {row.remote_id: row for row in ImportOperation.objects.all()}
        return self.rows

    def read_new_bodies(self) -> list[Mapping[str, Any]]:
        [(newest,)] = _select("MAX(id)", Alert)
        if (newest or 0) <= self.last_alert:
            return []
        alerts = Alert.objects.filter(pk__gt=self.last_alert).order_by("pk")
        self.last_alert = newest
        return [alert.body for alert in alerts]


def _select(columns: str, model: type[Model]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {columns} FROM {model._meta.db_table}")
        return list(cursor.fetchall())
