"""What is told of imports, as polls of the simulator find them: each event, once."""

import json
import re
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from importmonitor.alerts.messages import OPENED_SETTINGS, Message
from importmonitor.models import Alert, ImportOperation, StatusTransition
from simulator.workspace import Workspace
from tests.alerts.backends import Post
from tests.alerts.helpers import Watched
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


def only(post: Post, event: str) -> Message:
    """Return the one message of an event."""
    (message,) = [each for each in post.messages if each.body["event"] == event]
    return message


def moved(watched: Watched, status: str) -> datetime:
    """Return when an import came to a step, by the simulator's log."""
    return next(entry.at for entry in watched.rocketchat.log if entry.status == status)


def test_an_import_that_ends_well(served: Watched, post: Post) -> None:
    remote_id = served.start()
    served.live_through(900, 150)
    assert post.events == ["import.started", "import.finished"]
    started, finished = post.messages
    operation = ImportOperation.objects.get()
    assert started.title == "default: Import started (CSV, people.csv)"
    assert finished.title == "default: Import finished: Done (CSV, people.csv)"
    assert {
        "Workspace: default",
        "Import: CSV",
        "File: people.csv",
        f"Started by: {USER_ID}",
        "Started: 2026-01-05 09:00:01 UTC",
        "Duration: 2 min",
    } <= set(started.text.splitlines())
    counted = f"{operation.count_total:,}"
    assert {
        "Workspace: default",
        "File: people.csv",
        f"Started by: {USER_ID}",
        f"Ended: {operation.finished_at:%Y-%m-%d %H:%M:%S} UTC",
        "Outcome: Done",
        "In Rocket.Chat: done, importer_done",
        f"Counted: {counted} of {counted} (100 %)",
        f"Users: {operation.count_users:,}",
        f"Channels: {operation.count_channels:,}",
        f"Messages: {operation.count_messages:,}",
    } <= set(finished.text.splitlines())
    assert "server log" not in finished.text
    assert (started.body["old_state"], started.body["new_state"]) == (None, "loading")
    assert (finished.body["old_state"], finished.body["new_state"]) == ("importing", "done")
    assert finished.body["operation"]["remote_id"] == remote_id


def test_the_json_form_is_stable(watched: Watched, post: Post) -> None:
    """A hook relies on these keys: others may come, but one that goes is a new version."""
    watched.start()
    watched.live_through(750, 150)
    watched.fail()
    watched.live_through(600, 300)
    _, finished, unreachable = (json.loads(json.dumps(each.body)) for each in post.messages)
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
def test_every_other_ending(
    watched: Watched, post: Post, ending: str, event: str, outcome: str, title: str
) -> None:
    watched.start(ending)
    watched.live_through(700, 350)
    assert post.events == ["import.started", event]
    message = only(post, event)
    assert message.title == f"default: Import {title} (CSV, people.csv)"
    assert message.body["operation"]["outcome"] == outcome
    in_trouble = {"done_with_errors", "incomplete", "failed"}
    assert ("Rocket.Chat's server log" in message.text) == (outcome in in_trouble)
    assert not any(name in message.text for name, _ in OPENED_SETTINGS)


def looked_for(message: Message) -> tuple[str, str, str]:
    """Return from when to when, and at which step, to look into the server's log."""
    time = r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) UTC"
    found = re.search(rf"from {time} to {time}(?:, at the step (\w+))?", message.text)
    assert found is not None
    return found[1], found[2], found[3] or ""


def test_a_failure_says_when_and_at_which_step_to_look_for_its_reason(
    served: Watched, post: Post
) -> None:
    served.start("failed", step="importer_importing_messages")
    served.live_through(770, 170)
    failed_at = f"{moved(served, 'importer_import_failed'):%Y-%m-%d %H:%M:%S}"
    began, ended, step = looked_for(only(post, "import.failed"))
    assert began < failed_at <= ended
    assert step == "importer_importing_messages"


def test_errors_are_to_be_looked_for_in_all_of_the_import(watched: Watched, post: Post) -> None:
    watched.start("done-with-errors")
    watched.live_through(750, 150)
    began, ended, _ = looked_for(only(post, "import.finished"))
    errors_at = next(
        entry.at for entry in watched.rocketchat.log if (entry.count or {}).get("error")
    )
    assert began < f"{errors_at:%Y-%m-%d %H:%M:%S}" <= ended


def test_a_restart_interrupts(served: Watched, post: Post) -> None:
    served.start(seconds=3600)
    served.live_through(1800, 600)
    served.clock.advance(30)
    status = ImportOperation.objects.get().status
    served.rocketchat.restart()
    served.live_through(1200, 600)
    assert post.events == ["import.started", "import.interrupted"]
    message = only(post, "import.interrupted")
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
    assert looked_for(message) == ("2026-01-05 09:30:01", "2026-01-05 09:30:31", status)


def test_a_newer_import_ends_an_open_one(watched: Watched, post: Post) -> None:
    watched.start(seconds=3600)
    watched.live_through(600, 300)
    watched.start(seconds=3600)
    watched.live_through(600, 300)
    assert post.events == ["import.started", "import.finished", "import.started"]
    assert only(post, "import.finished").body["operation"]["outcome"] == "superseded"


def test_an_import_that_is_not_seen_to_run_is_told_when_it_is_found(
    watched: Watched, post: Post
) -> None:
    watched.start(seconds=60)
    watched.clock.advance(120)
    watched.start("failed", seconds=60)
    watched.clock.advance(120)
    watched.poll()
    watched.live_through(600, 300)
    assert sorted(post.events) == ["import.failed", "import.finished"]


def test_waiting_for_somebody_is_told_once(watched: Watched, post: Post) -> None:
    remote_id = watched.start("waiting", seconds=60)
    watched.live_through(3600, 1800)
    assert post.events == ["import.started"]
    watched.live_through(7200, 2400)
    assert post.events == ["import.started", "import.waiting"]
    message = only(post, "import.waiting")
    assert message.title == "default: Import waiting for input (CSV, people.csv)"
    assert "Somebody has to choose in Rocket.Chat what to import." in message.text
    assert message.body["old_state"] == message.body["new_state"] == "ready"
    assert Alert.objects.get(event="import.waiting").transition is None
    watched.rocketchat.select(remote_id)
    watched.live_through(600, 300)
    assert post.events[2:] == ["import.finished"]


def test_stalled_and_resumed_are_told_once_each(watched: Watched, post: Post) -> None:
    watched.start("stuck", seconds=600, stuck_for=3600)
    watched.live_through(4500, 450)
    assert post.events == ["import.started", "import.stalled", "import.resumed", "import.finished"]
    stalled = only(post, "import.stalled")
    assert stalled.title == "default: Import stalled (CSV, people.csv)"
    began, _, step = looked_for(stalled)
    since = datetime.fromisoformat(stalled.body["operation"]["last_progress_at"])
    assert began == f"{since:%Y-%m-%d %H:%M:%S}"
    assert step == stalled.body["operation"]["status"]
    told_at = datetime.fromisoformat(stalled.body["occurred_at"])
    assert timedelta(minutes=15) <= told_at - since <= timedelta(minutes=23)
    assert only(post, "import.resumed").title == "default: Import resumed (CSV, people.csv)"


def test_an_import_that_stalls_for_good_and_is_interrupted(watched: Watched, post: Post) -> None:
    watched.start("stuck", seconds=600, stuck_for=86_400)
    watched.live_through(2250, 450)
    watched.rocketchat.restart()
    watched.live_through(800, 400)
    assert post.events == ["import.started", "import.stalled", "import.interrupted"]


def running(watched: Watched) -> None:
    watched.start(seconds=3600)


def waiting(watched: Watched) -> None:
    watched.start("waiting", seconds=60)
    watched.clock.advance(86_400)


def over(watched: Watched) -> None:
    watched.start("failed", seconds=60)
    watched.clock.advance(60)
    watched.start(seconds=60)
    watched.clock.advance(60)


def interrupted(watched: Watched) -> None:
    watched.start(seconds=3600)
    watched.clock.advance(1800)
    watched.rocketchat.restart()


@pytest.mark.parametrize("past", [running, waiting, over, interrupted])
def test_the_first_contact_is_quiet(
    workspace: Workspace, post: Post, past: Callable[[Watched], None]
) -> None:
    watched = Watched(workspace, FakeClient(workspace))
    past(watched)
    watched.poll(after=300)
    watched.poll()
    assert ImportOperation.objects.exists()
    assert not Alert.objects.exists()
    assert post.events == []


def test_the_end_of_what_ran_at_the_first_contact_is_told(workspace: Workspace, post: Post) -> None:
    watched = Watched(workspace, FakeClient(workspace))
    watched.start()
    watched.live_through(900, 300)
    assert post.events == ["import.finished"]


def test_a_restart_after_the_end_is_not_told(watched: Watched, post: Post) -> None:
    watched.start(seconds=60)
    watched.live_through(120, 120)
    watched.rocketchat.restart()
    watched.live_through(120, 120)
    assert post.events == ["import.finished"]


def test_a_dry_run_tells_nobody(watched: Watched, post: Post) -> None:
    watched.start()
    watched.poll(dry_run=True)
    assert not Alert.objects.exists()
    assert post.attempted == []
