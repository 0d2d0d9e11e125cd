"""Polls that deliver alerts, and alerts to deliver without a poll."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.test import TestCase

from importmonitor.alerts import outbox
from importmonitor.alerts.drafts import draft_workspace_alert
from importmonitor.choices import Event
from importmonitor.models import Alert
from importmonitor.models import Workspace as WorkspaceRow
from importmonitor.rocketchat.exceptions import RocketChatError, Unreachable
from importmonitor.sync.poll import SyncResult, sync_workspace
from simulator.clock import Clock
from simulator.workspace import Workspace
from tests.conftest import USER_ID
from tests.fake_client import FakeClient

BASE_URL = "https://imports.example.org"


def configure_channels(settings: Any, channels: Mapping[str, Any], **options: Any) -> None:
    """Configure channels and other settings of the app; the workspaces stay."""
    settings.IMPORTMONITOR = {**settings.IMPORTMONITOR, "CHANNELS": channels, **options}


@dataclass
class PolledWorkspace:
    """A simulated workspace, polled by a fake client or over HTTP."""

    rocketchat: Workspace
    client: FakeClient | None = None

    @property
    def clock(self) -> Clock:
        return self.rocketchat.clock

    def fail(self, error: RocketChatError | None = None) -> None:
        """Let all polls by the fake client fail until `restore`."""
        assert self.client is not None
        self.client.error = error or Unreachable("default: GET https://… was answered 503.")

    def restore(self) -> None:
        assert self.client is not None
        self.client.error = None

    def start_import(self, ending: Any = "done", **options: Any) -> str:
        """Start an import of people.csv that takes ten minutes."""
        defaults: dict[str, Any] = {"seconds": 600, "user": USER_ID, "file_name": "people.csv"}
        return self.rocketchat.start_import("csv", ending, **defaults | options)

    def poll(self, after: float = 0.0, **options: Any) -> SyncResult:
        """Poll by the simulator's clock, some seconds later, and run the commit hooks."""
        self.clock.advance(after)
        client: Any = self.client
        with TestCase.captureOnCommitCallbacks(execute=True):
            return sync_workspace("default", now=self.clock.now, client=client, **options)

    def poll_for(self, seconds: int, every: int) -> None:
        """Poll in intervals for some seconds of the simulator's time."""
        for _ in range(0, seconds, every):
            self.poll(after=every)


def sync_documents(at: datetime, *documents: Mapping[str, Any] | None) -> None:
    """Poll a workspace with each document in turn, and run the commit hooks."""
    for document in documents:
        client: Any = FakeClient(document)
        with TestCase.captureOnCommitCallbacks(execute=True):
            assert sync_workspace("default", client=client, now=lambda: at).ok


def write_alerts(clock: Clock, *keys: str, workspace: str = "default") -> None:
    """Write alerts about an unreachable workspace into the outbox."""
    now = clock.now()
    draft = draft_workspace_alert(
        Event.UNREACHABLE,
        WorkspaceRow(alias=workspace),
        at=now,
        since=now,
        outcome="Unreachable",
        message="no answer",
    )
    bodies = {key: draft.body | {"idempotency_key": key} for key in keys}
    outbox.write([replace(draft, key=key, body=bodies[key]) for key in keys], now)


def deliver(clock: Clock, after: float = 0.0) -> int:
    """Deliver the alerts that are due some seconds later."""
    clock.advance(after)
    return outbox.deliver(now=clock.now)


def get_alert(channel: str = "ops") -> Alert:
    """Return the only alert of a channel."""
    return Alert.objects.get(channel=channel)


def idempotency_keys(messages: list[Any]) -> list[str]:
    return [message.body["idempotency_key"] for message in messages]
