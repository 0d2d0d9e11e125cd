"""Imports in every state, each after six of its kind, with alerts, a note and a link to the log."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.utils import timezone

from importmonitor.models import Alert, ImportOperation
from importmonitor.models import Workspace as WorkspaceRow
from importmonitor.sync.poll import sync_workspace
from simulator.clock import Clock
from simulator.workspace import Workspace
from tests.fake_client import FakeClient

if TYPE_CHECKING:
    from simulator.writes import Ending

#: The ending of the last import of each workspace, and for how many minutes it is polled.
LAST: "dict[str, tuple[Ending, int]]" = {
    "done": ("done", 30),
    "running": ("done", 10),
    "failed": ("failed", 30),
    "waiting": ("waiting", 25),
}
_EARLIER = 6
_URL = "http://127.0.0.1:9"


def save_imports(settings: Any, *aliases: str) -> dict[str, ImportOperation]:
    """Save a history for each of these workspaces; return their last imports by workspace."""
    options = {
        "URL": _URL,
        "USER_ID": "u",
        "AUTH_TOKEN": "t" * 43,
        "LOG_URL": "https://logs.example.org/search?q={id}&from={from}&to={to}",
    }
    backend = "importmonitor.alerts.channels.EmailChannel"
    settings.IMPORTMONITOR = {
        "WORKSPACES": dict.fromkeys(aliases, options),
        "CHANNELS": {"operations": {"BACKEND": backend, "TO": ["ops@example.org"]}},
    }
    now = timezone.now()
    operations = {alias: _save_import(alias, now) for alias in aliases}
    # At last: a later poll of any workspace would deliver them.
    failures = Alert.objects.filter(event__in=("import.failed", "import.waiting"))
    failures.update(
        delivered_at=None, next_attempt_at=now, attempts=2, last_error="It answered 451."
    )
    return operations


def _save_import(alias: str, now: datetime) -> ImportOperation:
    ending, minutes = LAST[alias]
    clock = Clock(now - timedelta(minutes=minutes, hours=_EARLIER))
    chat = Workspace(clock, seed=3, rate_limit=None)
    client = FakeClient(chat)

    def poll(count: int) -> None:
        for _ in range(count):
            clock.advance(60)
            sync_workspace(alias, client=client, now=clock.now)  # type: ignore[arg-type]

    for number in range(_EARLIER):
        chat.start_import("slack", seconds=500 + 60 * number, file_name="acme-export.zip")
        poll(20)
        clock.advance(40 * 60)
    chat.start_import("slack", ending, seconds=840, file_name="acme-export.zip")
    poll(minutes)
    operation = WorkspaceRow.objects.get(alias=alias).current_operation
    assert operation is not None
    ImportOperation.objects.filter(pk=operation.pk).update(
        note="Asked the vendor for a new export.", note_by="ada", note_at=clock.now()
    )
    operation.refresh_from_db()
    return operation
