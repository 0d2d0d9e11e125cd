"""Digests: a summary of a day or a week, sent once to each channel that has one."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from io import StringIO
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import time_machine
from django.core import mail
from django.core.management import CommandError, call_command
from django.utils import timezone

from importmonitor.alerts import outbox
from importmonitor.alerts.channels import Undelivered
from importmonitor.alerts.messages import Message, render_message
from importmonitor.choices import OK, DigestPeriod, IncidentKind
from importmonitor.models import Alert, ImportOperation, Incident, SyncPeriod, Viewer, Workspace
from importmonitor.sync.digests import draft_digests, last_period, send_digests
from importmonitor.sync.incidents import new_incident
from importmonitor.sync.prune import prune_operations
from importmonitor.sync.register import register_configured
from tests.admin.helpers import make_row
from tests.alerts.backends import Recorder, recording
from tests.alerts.helpers import BASE_URL, configure_channels
from tests.api.helpers import make_user, workspace_at
from tests.group_sets import store_groups

pytestmark = pytest.mark.django_db

#: A Wednesday.
NOW = datetime(2026, 3, 25, 12, tzinfo=ZoneInfo("UTC"))
YESTERDAY = datetime(2026, 3, 24, tzinfo=ZoneInfo("UTC"))
HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def _at_noon() -> Iterator[None]:
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def _workspaces(db: None, settings: Any, recorder: Recorder) -> None:
    """Two workspaces, and a channel that wants their daily digests and nothing else."""
    settings.IMPORTMONITOR = settings.IMPORTMONITOR | {
        "WORKSPACES": {alias: workspace_at("http://127.0.0.1:9") for alias in ("acme", "globex")},
        "CHANNELS": {"ops": recording(EVENTS=[], DIGEST="daily")},
        "BASE_URL": BASE_URL,
    }
    register_configured()


def add_import(
    number: int, *, workspace: str = "acme", outcome: str = "done", **fields: Any
) -> ImportOperation:
    ended = {"finished_at": YESTERDAY + 2 * HOUR, "outcome": outcome}
    ended["end_reason"] = "failed" if outcome == "failed" else "done"
    counters = {"count_total": 100, "count_completed": 100, "count_error": 0, "users_twice": False}
    values = ended | counters | {"status": "importer_done", "state": "done"} | fields
    started_at = values.pop("started_at", YESTERDAY + HOUR)
    row = make_row(number, workspace=workspace, started_at=started_at, **values)
    row.save()
    return row


def add_period(outcome: str, first_at: datetime, last_at: datetime) -> None:
    Workspace.objects.get_or_create(alias="acme")
    SyncPeriod.objects.create(workspace="acme", outcome=outcome, first_at=first_at, last_at=last_at)


def add_incident(kind: IncidentKind, since: datetime, **fields: Any) -> Incident:
    incident = new_incident(kind, fields.pop("workspace", "acme"), since, **fields)
    incident.save()
    return incident


def digest() -> Message:
    (draft,) = [draft for _channel, draft in draft_digests(timezone.now())]
    return render_message(draft.body)


@pytest.mark.parametrize(
    ("period", "zone", "now", "start", "end"),
    [
        ("daily", "UTC", "2026-03-25T00:00", "2026-03-24T00:00+00:00", "2026-03-25T00:00+00:00"),
        ("weekly", "UTC", "2026-03-25T12:00", "2026-03-16T00:00+00:00", "2026-03-23T00:00+00:00"),
        ("weekly", "UTC", "2026-03-23T00:00", "2026-03-16T00:00+00:00", "2026-03-23T00:00+00:00"),
        ("weekly", "UTC", "2026-03-22T23:59", "2026-03-09T00:00+00:00", "2026-03-16T00:00+00:00"),
        # The day with the change to summer time has 23 hours.
        (
            "daily",
            "Europe/Berlin",
            "2026-03-29T22:30",
            "2026-03-29T00:00+01:00",
            "2026-03-30T00:00+02:00",
        ),
    ],
)
def test_period_is_the_last_that_is_over_in_the_time_zone_of_the_site(
    settings: Any, period: str, zone: str, now: str, start: str, end: str
) -> None:
    settings.TIME_ZONE = zone
    at = datetime.fromisoformat(f"{now}+00:00")
    expected = (datetime.fromisoformat(start), datetime.fromisoformat(end))
    assert last_period(DigestPeriod(period), at) == expected


@pytest.mark.usefixtures("_workspaces")
def test_digest_counts_what_there_was_in_the_period() -> None:
    add_import(1)
    add_import(2, outcome="done_with_errors", count_completed=90, count_error=10)
    add_import(3, workspace="globex", outcome="failed", count_completed=5, count_error=None)
    add_import(4, finished_at=YESTERDAY - HOUR, started_at=YESTERDAY - 2 * HOUR)
    add_import(5, finished_at=YESTERDAY + 24 * HOUR)
    add_import(6, finished_at=None, outcome="", status="importer_importing_users")
    add_import(7, workspace="gone")
    add_period(OK, YESTERDAY - HOUR, YESTERDAY + 12 * HOUR)
    add_period("Unreachable", YESTERDAY + 12 * HOUR, YESTERDAY + 18 * HOUR)
    add_period(OK, YESTERDAY + 18 * HOUR, NOW)
    message = digest()
    figures = message.body["digest"]
    assert figures["imports"] == {
        "started": 5,
        "ended": 3,
        "running": 1,
        "outcomes": {"done": 1, "done_with_errors": 1, "failed": 1},
    }
    assert figures["records"] == {"handled": 205, "errors": 10}
    assert figures["availability"] == {
        "percent": 75.0,
        "worst": [
            {"workspace": "acme", "percent": 75.0, "seconds_unreachable": 6 * 3600},
            {"workspace": "globex", "percent": None, "seconds_unreachable": 0},
        ],
    }
    lines = message.text.splitlines()
    for line in ("Done with errors: 1", "Errors: 10", "globex: not polled"):
        assert line in lines
    assert "acme: 75.0 %, unreachable for 6 h 0 min" in lines


@pytest.mark.usefixtures("_workspaces")
def test_digest_begins_with_the_oldest_open_incidents_and_their_links() -> None:
    row = add_import(1, outcome="failed")
    add_incident(IncidentKind.FAILED, YESTERDAY - HOUR, operation=row)
    oldest = add_incident(IncidentKind.REFUSED, YESTERDAY - 2 * HOUR)
    Incident.objects.filter(pk=oldest.pk).acknowledge(by="ada", at=NOW)
    Incident.objects.close([add_incident(IncidentKind.UNREACHABLE, YESTERDAY)], NOW)
    message = digest()
    assert message.title == "Imports of 2026-03-24: 2 open incidents, 1 import"
    first, second = message.text.splitlines()[:2]
    assert first.startswith("acme: Credentials refused: since 2026-03-23 22:00:00 UTC")
    assert first.endswith("acknowledged")
    assert second.startswith("acme: Failed: CSV")
    url = f"{BASE_URL}/admin/importmonitor/importoperation/"
    assert f'href="{url}{row.pk}/change/"' in message.html
    assert f'href="{BASE_URL}/admin/importmonitor/incident/{oldest.pk}/change/"' in message.html
    assert message.text.splitlines()[-2:] == [
        url,
        f"Acknowledge or mute: {BASE_URL}/admin/importmonitor/incident/",
    ]


@pytest.mark.usefixtures("_workspaces")
def test_more_incidents_than_fit_are_counted() -> None:
    for number in range(23):
        add_incident(IncidentKind.STALLED, YESTERDAY, operation=add_import(number))
    message = digest()
    assert message.title.startswith("Imports of 2026-03-24: 23 open incidents")
    assert "and 3 more incidents" in message.text.splitlines()


@pytest.mark.usefixtures("_workspaces")
def test_quiet_day_is_a_digest_too() -> None:
    message = digest()
    assert message.title == "Imports of 2026-03-24: no open incidents, 0 imports"
    assert message.text.splitlines()[0] == (
        "Nothing to do: no import was started, ended or is running."
    )
    assert "No open incidents" in message.html


@pytest.mark.usefixtures("_workspaces")
def test_channel_gets_its_digest_once(recorder: Recorder) -> None:
    assert send_digests() == 1
    assert send_digests() == 0
    assert recorder.events == ["digest"]
    alert = Alert.objects.get()
    assert (
        alert.key == recorder.messages[0].body["idempotency_key"] == "digest:ops:daily:2026-03-24"
    )
    assert prune_operations(NOW + HOUR).alerts == 0, "it would be sent again"
    with time_machine.travel(NOW + timedelta(days=1), tick=False):
        assert send_digests() == 1
    assert [message.body["digest"]["from"] for message in recorder.messages] == [
        "2026-03-24T00:00:00+00:00",
        "2026-03-25T00:00:00+00:00",
    ]


def test_each_channel_gets_its_own_workspaces_and_period(settings: Any, recorder: Recorder) -> None:
    configure_channels(
        settings,
        {
            "crm": recording("crm", EVENTS=[], DIGEST="weekly", WORKSPACES=["other"]),
            "ops": recording(EVENTS=[], DIGEST="daily", SEVERITY="critical"),
            "none": recording("none"),
        },
    )
    register_configured()
    add_import(1, workspace="default")
    assert send_digests() == 2
    bodies = {name: message.body["digest"] for name, message in recorder.delivered}
    assert {name: (body["period"], body["workspaces"]) for name, body in bodies.items()} == {
        "crm": ("weekly", 0),
        "ops": ("daily", 1),
    }
    assert bodies["ops"]["imports"]["ended"] == 1


@pytest.mark.usefixtures("_workspaces")
def test_digest_is_retried_like_any_alert(recorder: Recorder) -> None:
    recorder.fail(Undelivered("no"))
    assert send_digests() == 1
    assert Alert.objects.get().last_error == "no"
    recorder.restore()
    with time_machine.travel(NOW + 2 * HOUR, tick=False):
        assert outbox.deliver() == 1
    assert recorder.events == ["digest"]


@pytest.mark.usefixtures("_workspaces")
def test_digest_is_an_email_with_html(settings: Any) -> None:
    email = {"BACKEND": "importmonitor.alerts.channels.EmailChannel", "TO": ["ops@example.org"]}
    configure_channels(settings, {"ops": email | {"EVENTS": [], "DIGEST": "weekly"}})
    assert send_digests() == 1
    (message,) = mail.outbox
    assert isinstance(message, mail.EmailMultiAlternatives)
    assert message.subject == (
        "[importmonitor] Imports from 2026-03-16 to 2026-03-22: no open incidents, 0 imports"
    )
    ((_html, content_type),) = message.alternatives
    assert content_type == "text/html"


@pytest.mark.usefixtures("_workspaces")
def test_digest_is_hidden_from_users_from_whom_a_workspace_is_hidden() -> None:
    send_digests()
    user = make_user("ada", "view_alert")
    assert Alert.objects.visible_to(Viewer(user)).exists()
    Workspace.objects.filter(alias="globex").update(groups=store_groups(["crm"]))
    assert not Alert.objects.visible_to(Viewer(user)).exists()
    root = make_user("root", is_superuser=True)
    assert Alert.objects.visible_to(Viewer(root)).exists()


# The command.


def run(*arguments: str) -> str:
    output = StringIO()
    call_command("send_import_digest", *arguments, stdout=output)
    return output.getvalue()


@pytest.mark.usefixtures("_workspaces")
def test_command_sends_the_digests_of_a_period(recorder: Recorder) -> None:
    assert run("--period", "weekly") == ""
    assert run("--period", "daily") == "ops: delivered\n"
    assert run() == ""
    assert recorder.events == ["digest"]


@pytest.mark.usefixtures("_workspaces")
def test_dry_run_shows_the_digests_and_sends_nothing(recorder: Recorder) -> None:
    output = run("--dry-run")
    assert output.startswith("ops: Imports of 2026-03-24: no open incidents, 0 imports\n\nNothing")
    assert not Alert.objects.exists()
    assert recorder.attempted == []


@pytest.mark.usefixtures("_workspaces")
def test_command_exits_with_1_if_a_digest_was_not_delivered(
    recorder: Recorder, capsys: pytest.CaptureFixture[str]
) -> None:
    recorder.fail(Undelivered("no"))
    with pytest.raises(SystemExit) as exit_:
        run()
    assert exit_.value.code == 1
    assert "ops: no" in capsys.readouterr().err


def test_command_needs_a_channel_with_a_digest(settings: Any) -> None:
    configure_channels(settings, {"ops": recording()})
    with pytest.raises(CommandError, match="No channel has a DIGEST") as error:
        run()
    assert error.value.returncode == 2
