"""Polls that deliver, and messages to deliver without any."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.test import TestCase

from importmonitor.alerts import outbox
from importmonitor.alerts.messages import draft_workspace_alert
from importmonitor.choices import Event
from importmonitor.models import Alert
from importmonitor.rocketchat.exceptions import RocketChatError, Unreachable
from importmonitor.sync.poll import SyncResult, sync_workspace
from simulator.clock import Clock
from simulator.workspace import Workspace
from tests.conftest import USER_ID
from tests.fake_client import FakeClient

BASE_URL = "https://imports.example.org"


def configure_channels(settings: Any, channels: Mapping[str, Any], **options: Any) -> None:
    """Configure channels, and further settings of the app's, beside the workspaces there are."""
    settings.IMPORTMONITOR = {**settings.IMPORTMONITOR, "CHANNELS": channels, **options}


@dataclass
class Watched:
    """A simulated workspace and how it is looked at: over HTTP, unless there is a client."""

    rocketchat: Workspace
    near: FakeClient | None = None

    @property
    def clock(self) -> Clock:
        return self.rocketchat.clock

    def fail(self, error: RocketChatError | None = None) -> None:
        """Let all looks fail, with no network between, until it is mended."""
        assert self.near is not None
        self.near.trouble = error or Unreachable("default: GET https://… was answered 503.")

    def mend(self) -> None:
        assert self.near is not None
        self.near.trouble = None

    def start(self, ending: Any = "done", **options: Any) -> str:
        """Start the import of people.csv, of ten minutes."""
        drawn: dict[str, Any] = {"seconds": 600, "user": USER_ID, "file_name": "people.csv"}
        return self.rocketchat.start_import("csv", ending, **drawn | options)

    def poll(self, after: float = 0.0, **options: Any) -> SyncResult:
        """Look by the simulator's clock, and do what is done on commit."""
        self.clock.advance(after)
        client: Any = self.near
        with TestCase.captureOnCommitCallbacks(execute=True):
            return sync_workspace("default", now=self.clock.now, client=client, **options)

    def live_through(self, seconds: int, every: int) -> None:
        for _ in range(0, seconds, every):
            self.poll(after=every)


def sync_documents(at: datetime, *documents: Mapping[str, Any] | None) -> None:
    """Look at one document after another, and do what is done on commit."""
    for document in documents:
        client: Any = FakeClient(document)
        with TestCase.captureOnCommitCallbacks(execute=True):
            assert sync_workspace("default", client=client, now=lambda: at).ok


def put_down(clock: Clock, *keys: str) -> None:
    """Write messages that a workspace cannot be looked at into the outbox."""
    now = clock.now()
    notice = draft_workspace_alert(
        Event.UNREACHABLE, "default", at=now, since=now, outcome="Unreachable", message="no answer"
    )
    bodies = {key: notice.body | {"idempotency_key": key} for key in keys}
    outbox.write([replace(notice, key=key, body=bodies[key]) for key in keys], now)


def deliver(clock: Clock, after: float = 0.0) -> int:
    """Deliver what is due, some seconds later."""
    clock.advance(after)
    return outbox.deliver(now=clock.now)


def alert(channel: str = "ops") -> Alert:
    """Return the one alert of a channel."""
    return Alert.objects.get(channel=channel)


def keys(messages: list[Any]) -> list[str]:
    return [message.body["idempotency_key"] for message in messages]
