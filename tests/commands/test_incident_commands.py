"""`mute_import_alerts` and `acknowledge_incidents`."""

from datetime import datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.core.management import CommandError, call_command

from importmonitor.models import ImportOperation, Incident
from tests.admin.helpers import make_row
from tests.admin.test_incidents_page import make_incident
from tests.api.helpers import NOON

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def _noon() -> Any:
    with time_machine.travel(NOON, tick=False):
        yield


@pytest.fixture
def operation() -> ImportOperation:
    row = make_row()
    row.save()
    return row


def mute(*words: str) -> None:
    call_command("mute_import_alerts", "--workspace", "default", *words)


def refused(*words: str) -> str:
    """Return the error of a use that exits with 2."""
    with pytest.raises(CommandError) as error:
        call_command(*words)
    # argparse's own errors have no status when a command is called.
    assert error.value.returncode == 2 or str(error.value).startswith("Error: ")
    return str(error.value)


@pytest.mark.parametrize(
    ("words", "since", "until"),
    [
        (["--hours", "2"], NOON, NOON + 2 * HOUR),
        (["--hours", "0.5"], NOON, NOON + HOUR / 2),
        (["--until", "2026-03-25T15:00"], NOON, NOON + 3 * HOUR),
        (["--until", "2026-03-25T15:00+01:00"], NOON, NOON + 2 * HOUR),
        (["--since", "22:00", "--hours", "2"], NOON + 10 * HOUR, NOON + 12 * HOUR),
        # Ten o'clock is over today.
        (["--since", "10:00", "--until", "2026-03-26T11:00"], NOON + 22 * HOUR, NOON + 23 * HOUR),
        # Over midnight, the end is after the beginning, not after now.
        (["--since", "22:00", "--until", "06:00"], NOON + 10 * HOUR, NOON + 18 * HOUR),
        (["--since", "22:00", "--until", "13:00"], NOON + 10 * HOUR, NOON + 25 * HOUR),
        (["--until-over"], NOON, None),
    ],
)
def test_workspace_is_muted(words: list[str], since: datetime, until: datetime | None) -> None:
    mute(*words, "--note", "restart", "--by", "ada")
    incident = Incident.objects.get()
    assert (incident.workspace, incident.operation) == ("default", None)
    assert (incident.since, incident.until) == (since, until)
    assert (incident.acknowledged_by, incident.note) == ("ada", "restart")


def test_times_are_in_the_zone_of_the_site(settings: Any) -> None:
    settings.TIME_ZONE = "Europe/Berlin"
    mute("--since", "22:00", "--hours", "1")
    assert Incident.objects.get().since == NOON + 9 * HOUR


@pytest.mark.parametrize("since", ["2026-03-29T01:00", "2026-10-25T01:00"])
def test_hours_are_not_changed_by_a_change_of_the_clocks(settings: Any, since: str) -> None:
    settings.TIME_ZONE = "Europe/Berlin"
    mute("--since", since, "--hours", "3")
    incident = Incident.objects.get()
    assert incident.until is not None
    assert incident.until - incident.since == 3 * HOUR


@pytest.mark.parametrize("by_key", [True, False])
def test_import_is_muted_until_it_ends(
    operation: ImportOperation, capsys: pytest.CaptureFixture[str], by_key: bool
) -> None:
    name = str(operation.pk) if by_key else operation.remote_id
    mute("--operation", name, "--until-over")
    assert Incident.objects.get().operation == operation
    assert capsys.readouterr().out == f"default, {operation}: muted from now until it is over.\n"
    mute("--operation", name, "--end")
    assert Incident.objects.get().until == NOON


def test_end_ends_and_cancels(capsys: pytest.CaptureFixture[str]) -> None:
    mute("--hours", "2", "--verbosity", "0")
    mute("--since", "22:00", "--hours", "2", "--verbosity", "0")
    mute("--end")
    mute("--end")
    assert capsys.readouterr().out == "default: ended 2.\ndefault: was not muted.\n"
    assert Incident.objects.get().until == NOON


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ([], "one of the arguments --hours --until --until-over --end is required"),
        (["--hours", "1", "--end"], "not allowed with argument"),
        (["--hours", "nan"], "not a number of hours"),
        (["--hours", "9000"], "not a number of hours"),
        (["--until", "soon"], "no time, such as"),
        (["--until", "2026-03-25T11:00"], "It would end before it begins."),
        (["--since", "2030-01-01T00:00", "--hours", "1"], "more than a year away"),
        (["--since", "22:00", "--end"], "leave out --since"),
        (["--since", "22:00", "--until-over"], "leave out --since"),
        (["--operation", "nonsense", "--hours", "1"], "default has no import 'nonsense'."),
        (["--hours", "1", "--note", "x" * 1001], "at most 1000 characters"),
    ],
)
def test_misuse_is_refused(words: list[str], error: str) -> None:
    assert error in refused("mute_import_alerts", "--workspace", "default", *words)
    assert not Incident.objects.exists()


def test_unknown_workspace_and_ended_import_are_refused() -> None:
    assert "no workspace 'x'" in refused("mute_import_alerts", "--workspace", "x", "--hours", "1")
    assert "no workspace 'x'" in refused("acknowledge_incidents", "--workspace", "x")
    make_row(end_reason="done", state="done", status="importer_done").save()
    operation = ImportOperation.objects.get()
    words = ["--operation", operation.remote_id, "--until-over"]
    assert "has ended" in refused("mute_import_alerts", "--workspace", "default", *words)


def test_incidents_are_acknowledged(capsys: pytest.CaptureFixture[str]) -> None:
    first, second = make_incident(), make_incident(workspace="other")
    third = make_incident("workspace.refused")
    words = ["--incident", str(first.pk), "--hours", "2", "--note", "IT knows", "--by", "ada"]
    call_command("acknowledge_incidents", *words)
    first.refresh_from_db()
    assert first.acknowledged_until == NOON + 2 * HOUR
    assert (first.acknowledged_by, first.note) == ("ada", "IT knows")
    call_command("acknowledge_incidents", "--workspace", "default")
    third.refresh_from_db()
    assert third.is_acknowledged(NOON)
    second.refresh_from_db()
    assert second.acknowledged_at is None
    call_command("acknowledge_incidents", "--until", "15:00", "--verbosity", "0")
    second.refresh_from_db()
    assert second.acknowledged_until == NOON + 3 * HOUR
    assert capsys.readouterr().out == "Acknowledged: 1.\nAcknowledged: 2.\n"


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["--incident", "7"], "There is no incident 7."),
        (["--incident", "x"], "not the id of an incident"),
        (["--until", "2026-03-25T11:00"], "This time is in the past."),
        (["--until", "15:00", "--hours", "1"], "not allowed with argument"),
    ],
)
def test_misuse_of_acknowledging_is_refused(words: list[str], error: str) -> None:
    assert error in refused("acknowledge_incidents", *words)
