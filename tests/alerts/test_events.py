"""The alerts about imports: every event of the simulator's imports, once."""

import json
import re
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from importmonitor.alerts.advice import OPENED_SETTINGS
from importmonitor.alerts.messages import Message
from importmonitor.models import Alert, ImportOperation, StatusTransition
from simulator.workspace import Workspace
from tests.alerts.backends import Recorder
from tests.alerts.helpers import PolledWorkspace
from tests.conftest import USER_ID
from tests.fake_client import FakeClient

pytestmark = pytest.mark.django_db

BODY = {
    "schema_version",
    "event",
    "idempotency_key",
    "occurred_at",
    "workspace",
    "old_state",
    "new_state",
    "operation",
    "sync",
    "url",
}


def only_message(recorder: Recorder, event: str) -> Message:
    """Return the only message about an event."""
    (message,) = [message for message in recorder.messages if message.body["event"] == event]
    return message


def reached_at(polled: PolledWorkspace, status: str) -> datetime:
    """Return when an import reached a step, by the simulator's log."""
    return next(entry.at for entry in polled.rocketchat.log if entry.status == status)


def test_start_and_successful_end_are_alerted(
    polled_over_http: PolledWorkspace, recorder: Recorder
) -> None:
    remote_id = polled_over_http.start_import()
    polled_over_http.poll_for(900, 150)
    assert recorder.events == ["import.started", "import.finished"]
    started, finished = recorder.messages
    operation = ImportOperation.objects.get()
    assert started.title == "default: Import started (CSV, people.csv)"
    assert finished.title == "default: Import finished: Done (CSV, people.csv)"
    assert {
        "Workspace: default",
        "Import: CSV",
        "File: people.csv",
        "Started by: Ada Lovelace",
        "Started: 2026-01-05 09:00:01 UTC",
        "Duration: 2 min",
    } <= set(started.text.splitlines())
    total = f"{operation.count_total:,}"
    assert {
        "Workspace: default",
        "File: people.csv",
        "Started by: Ada Lovelace",
        f"Ended: {operation.finished_at:%Y-%m-%d %H:%M:%S} UTC",
        "Outcome: Done",
        "Status in Rocket.Chat: done, importer_done",
        f"Progress: {total} of {total} (100 %)",
        f"Users: {operation.count_users:,}",
        f"Channels: {operation.count_channels:,}",
        f"Messages: {operation.count_messages:,}",
    } <= set(finished.text.splitlines())
    assert "server log" not in finished.text
    assert (started.body["old_state"], started.body["new_state"]) == (None, "loading")
    assert (finished.body["old_state"], finished.body["new_state"]) == ("importing", "done")
    assert finished.body["operation"]["remote_id"] == remote_id


def test_json_form_has_its_documented_keys(polled: PolledWorkspace, recorder: Recorder) -> None:
    """Webhooks rely on these keys: one can be added, but removing one needs a new version."""
    polled.start_import()
    polled.poll_for(750, 150)
    polled.fail()
    polled.poll_for(600, 300)
    _, finished, unreachable = (
        json.loads(json.dumps(message.body)) for message in recorder.messages
    )
    operation = ImportOperation.objects.get()
    assert finished.keys() == unreachable.keys()
    assert finished.keys() >= BODY
    assert finished["schema_version"] == 1
    assert finished["sync"] is None
    assert unreachable["operation"] is None
    assert unreachable["sync"].keys() >= {"outcome", "message", "since"}
    counts = ("total", "completed", "error", "users", "channels", "messages", "contacts")
    assert operation.finished_at is not None
    expected = {
        "id": operation.pk,
        "remote_id": operation.remote_id,
        "type": "CSV",
        "importer_key": "csv",
        "file": "people.csv",
        "started_by": USER_ID,
        "started_by_name": "",
        "status": "importer_done",
        "state": "done",
        "valid": True,
        "outcome": "done",
        "counters": {name: getattr(operation, f"count_{name}") for name in counts},
        "percent": 100,
        "seconds_left": None,
        "started_at": "2026-01-05T09:00:01+00:00",
        "last_progress_at": operation.last_progress_at.isoformat(),
        "finished_at": operation.finished_at.isoformat(),
        "duration_seconds": 600,
    }
    assert {key: finished["operation"][key] for key in expected} == expected
    row = Alert.objects.get(event="import.finished")
    assert row.key == finished["idempotency_key"]
    assert (row.operation, row.workspace, row.created_at.isoformat()) == (
        operation,
        "default",
        finished["occurred_at"],
    )
    assert row.transition == StatusTransition.objects.get(to_state="done")


@pytest.mark.parametrize(
    ("ending", "event", "outcome", "title"),
    [
        ("done-with-errors", "import.finished", "done_with_errors", "finished: Done with errors"),
        ("done-short", "import.finished", "incomplete", "finished: Incomplete"),
        ("failed", "import.failed", "failed", "failed"),
        ("cancelled", "import.finished", "canceled", "finished: Canceled"),
        ("overshoot", "import.finished", "done", "finished: Done"),
    ],
)
def test_other_outcomes_are_alerted(
    polled: PolledWorkspace, recorder: Recorder, ending: str, event: str, outcome: str, title: str
) -> None:
    polled.start_import(ending)
    polled.poll_for(700, 350)
    assert recorder.events == ["import.started", event]
    message = only_message(recorder, event)
    assert message.title == f"default: Import {title} (CSV, people.csv)"
    assert message.body["operation"]["outcome"] == outcome
    has_reason = outcome in {"done_with_errors", "failed"}
    assert ("Rocket.Chat's server log" in message.text) == has_reason
    assert not any(name in message.text for name, _ in OPENED_SETTINGS)


def log_span(message: Message) -> tuple[str, str, str]:
    """Return the start, end and step of the part of the server log that has the reason."""
    time = r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) UTC"
    match = re.search(rf"between {time} and {time} \(step (\w+)\)", message.text)
    assert match is not None
    return match[1], match[2], match[3]


def test_failure_names_the_time_span_and_step_in_the_server_log(
    polled_over_http: PolledWorkspace, recorder: Recorder
) -> None:
    polled_over_http.start_import("failed", step="importer_importing_messages")
    polled_over_http.poll_for(770, 170)
    failed_at = f"{reached_at(polled_over_http, 'importer_import_failed'):%Y-%m-%d %H:%M:%S}"
    start, end, step = log_span(only_message(recorder, "import.failed"))
    assert start < failed_at <= end
    assert step == "importer_importing_messages"


def test_done_with_errors_names_the_whole_import_in_the_server_log(
    polled: PolledWorkspace, recorder: Recorder
) -> None:
    polled.start_import("done-with-errors")
    polled.poll_for(750, 150)
    start, end, _ = log_span(only_message(recorder, "import.finished"))
    errors_at = next(
        entry.at for entry in polled.rocketchat.log if (entry.count or {}).get("error")
    )
    assert start < f"{errors_at:%Y-%m-%d %H:%M:%S}" <= end


def test_restart_interrupts_running_import(
    polled_over_http: PolledWorkspace, recorder: Recorder
) -> None:
    polled_over_http.start_import(seconds=3600)
    polled_over_http.poll_for(1800, 600)
    polled_over_http.clock.advance(30)
    status = ImportOperation.objects.get().status
    polled_over_http.rocketchat.restart()
    polled_over_http.poll_for(1200, 600)
    assert recorder.events == ["import.started", "import.interrupted"]
    message = only_message(recorder, "import.interrupted")
    assert message.title == "default: Import interrupted (CSV, people.csv)"
    assert message.body["operation"]["outcome"] == "interrupted"
    assert (message.body["old_state"], message.body["new_state"]) == ("importing", "error")
    for name in (
        "Accounts_AllowUsernameChange",
        "FileUpload_MaxFileSize",
        "FileUpload_MediaTypeWhiteList",
        "FileUpload_MediaTypeBlackList",
    ):
        assert name in message.text
    assert log_span(message) == ("2026-01-05 09:30:01", "2026-01-05 09:30:31", status)


def test_newer_import_supersedes_running_one(polled: PolledWorkspace, recorder: Recorder) -> None:
    polled.start_import(seconds=3600)
    polled.poll_for(600, 300)
    polled.start_import(seconds=3600)
    polled.poll_for(600, 300)
    assert recorder.events == ["import.started", "import.finished", "import.started"]
    assert only_message(recorder, "import.finished").body["operation"]["outcome"] == "superseded"


def test_import_missed_between_polls_is_alerted_with_its_outcome(
    polled: PolledWorkspace, recorder: Recorder
) -> None:
    polled.start_import(seconds=60)
    polled.clock.advance(120)
    polled.start_import("failed", seconds=60)
    polled.clock.advance(120)
    polled.poll()
    polled.poll_for(600, 300)
    assert sorted(recorder.events) == ["import.failed", "import.finished"]


def test_waiting_import_is_alerted_once(polled: PolledWorkspace, recorder: Recorder) -> None:
    remote_id = polled.start_import("waiting", seconds=60)
    polled.poll_for(3600, 1800)
    assert recorder.events == ["import.started"]
    polled.poll_for(7200, 2400)
    assert recorder.events == ["import.started", "import.waiting"]
    message = only_message(recorder, "import.waiting")
    assert message.title == "default: Import waiting for input (CSV, people.csv)"
    assert "Choose in Rocket.Chat what to import." in message.text
    assert message.body["old_state"] == message.body["new_state"] == "ready"
    assert Alert.objects.get(event="import.waiting").transition is None
    polled.rocketchat.select(remote_id)
    polled.poll_for(600, 300)
    assert recorder.events[2:] == ["import.finished"]


def test_stall_and_resumption_are_alerted_once_each(
    polled: PolledWorkspace, recorder: Recorder
) -> None:
    polled.start_import("stuck", seconds=600, stuck_for=2 * 3600)
    polled.poll_for(8100, 450)
    assert recorder.events == [
        "import.started",
        "import.stalled",
        "import.resumed",
        "import.finished",
    ]
    stalled = only_message(recorder, "import.stalled")
    assert stalled.title == "default: Import stalled (CSV, people.csv)"
    start, _, step = log_span(stalled)
    since = datetime.fromisoformat(stalled.body["operation"]["last_progress_at"])
    assert start == f"{since:%Y-%m-%d %H:%M:%S}"
    assert step == stalled.body["operation"]["status"]
    occurred_at = datetime.fromisoformat(stalled.body["occurred_at"])
    # Four times STALLED_AFTER, since messages are counted by the 500.
    assert timedelta(minutes=60) <= occurred_at - since <= timedelta(minutes=68)
    assert (
        only_message(recorder, "import.resumed").title
        == "default: Import resumed (CSV, people.csv)"
    )


def test_interrupted_after_stall_has_not_resumed(
    polled: PolledWorkspace, recorder: Recorder
) -> None:
    polled.start_import("stuck", seconds=600, stuck_for=86_400)
    polled.poll_for(4500, 450)
    polled.rocketchat.restart()
    polled.poll_for(800, 400)
    assert recorder.events == ["import.started", "import.stalled", "import.interrupted"]


def running_import(polled: PolledWorkspace) -> None:
    polled.start_import(seconds=3600)


def waiting_import(polled: PolledWorkspace) -> None:
    polled.start_import("waiting", seconds=60)
    polled.clock.advance(86_400)


def finished_imports(polled: PolledWorkspace) -> None:
    polled.start_import("failed", seconds=60)
    polled.clock.advance(60)
    polled.start_import(seconds=60)
    polled.clock.advance(60)


def interrupted_import(polled: PolledWorkspace) -> None:
    polled.start_import(seconds=3600)
    polled.clock.advance(1800)
    polled.rocketchat.restart()


@pytest.mark.parametrize(
    "past", [running_import, waiting_import, finished_imports, interrupted_import]
)
def test_first_poll_alerts_nothing(
    workspace: Workspace, recorder: Recorder, past: Callable[[PolledWorkspace], None]
) -> None:
    polled = PolledWorkspace(workspace, FakeClient(workspace))
    past(polled)
    polled.poll(after=300)
    polled.poll()
    assert ImportOperation.objects.exists()
    assert not Alert.objects.exists()
    assert recorder.events == []


def test_end_of_import_running_at_first_poll_is_alerted(
    workspace: Workspace, recorder: Recorder
) -> None:
    polled = PolledWorkspace(workspace, FakeClient(workspace))
    polled.start_import()
    polled.poll_for(900, 300)
    assert recorder.events == ["import.finished"]


def test_restart_after_the_end_is_not_alerted(polled: PolledWorkspace, recorder: Recorder) -> None:
    polled.start_import(seconds=60)
    polled.poll_for(120, 120)
    polled.rocketchat.restart()
    polled.poll_for(120, 120)
    assert recorder.events == ["import.finished"]


def test_dry_run_alerts_nothing(polled: PolledWorkspace, recorder: Recorder) -> None:
    polled.start_import()
    polled.poll(dry_run=True)
    assert not Alert.objects.exists()
    assert recorder.attempted == []
