"""The page of one workspace, and the list of all."""

from datetime import timedelta
from typing import Any

import time_machine
from django.test import Client
from django.urls import reverse

from importmonitor.models import SyncPeriod, Workspace
from tests.admin.conftest import LogIn
from tests.admin.helpers import make_row, page
from tests.api.helpers import NOON, workspace_at

LIST = reverse("admin:importmonitor_workspace_changelist")


def save_workspace(alias: str = "default", **fields: Any) -> Workspace:
    """Save a workspace that has been polled for ten days without a failure."""
    since = NOON - timedelta(days=10)
    period = SyncPeriod.objects.create(workspace=alias, outcome="ok", first_at=since, last_at=since)
    defaults: dict[str, Any] = {
        "sync_status": "ok",
        "last_polled_at": NOON,
        "last_synced_at": NOON,
        "first_synced_at": since,
        "period": period,
        "period_started_at": since,
        "period_polls": 14_400,
        "watched": timedelta(days=9, hours=23),
    }
    return Workspace.objects.create(alias=alias, **defaults | fields)


def words(client: Client, workspace: Workspace) -> str:
    url = reverse("admin:importmonitor_workspace_change", args=[workspace.pk])
    with time_machine.travel(NOON, tick=False):
        return page(client.get(url)).words


def test_page_shows_the_open_period_and_durations_as_people_write_them(root: Client) -> None:
    shown = words(root, save_workspace())
    assert "10 d 0 h · 14,400 polls" in shown
    assert "10 d 0 h so far 14,400" in shown
    assert "9 d 23 h since the first sync" in shown
    assert "Nothing was ever imported into this workspace." in shown


def test_page_shows_the_current_import_and_others_that_have_not_ended(root: Client) -> None:
    current = make_row(1, status="importer_file_loaded", state="loading")
    hidden = make_row(2, type="Pending Files", importer_key="pending-files")
    ended = make_row(3, type="Slack", end_reason="done")
    for row in (current, hidden, ended):
        row.save()
    shown = words(root, save_workspace(current_operation=current))
    assert "‖ Waiting CSV" in shown
    assert "open the import's prepare page" in shown
    assert "Other open imports: ▶ Running Pending Files" in shown
    assert "Slack" not in shown


def test_page_shows_a_clock_that_is_wrong_by_more_than_a_minute(root: Client) -> None:
    workspace = save_workspace()
    for offset, text in (
        (None, "Not measured"),
        (timedelta(seconds=-60), "Right, within a minute"),
        (timedelta(hours=1), "Rocket.Chat's clock is 1 h 0 min ahead of this server's."),
        (timedelta(minutes=-5), "Rocket.Chat's clock is 5 min behind this server's."),
    ):
        workspace.clock_offset = offset
        workspace.save()
        assert text in words(root, workspace)


def test_page_says_what_a_refused_list_means(root: Client) -> None:
    assert "Readable" in words(root, save_workspace())
    shown = words(root, save_workspace("other", list_refused="Grant the permission."))
    assert "Refused. Grant the permission." in shown
    assert "imports that start and end between two polls are missed" in shown


def test_list_names_workspaces_that_were_never_polled(root: Client, settings: Any) -> None:
    options = workspace_at("http://127.0.0.1:9")
    settings.IMPORTMONITOR = {"WORKSPACES": dict.fromkeys(("default", "unpolled"), options)}
    save_workspace()
    shown = page(root.get(LIST))
    assert "unpolled · Never synced" in shown.words
    assert "default · Never synced" not in shown.words
    assert len(shown.rows) == 1


def test_workspaces_can_be_seen_with_the_permission_to_view_them(log_in: LogIn) -> None:
    workspace = save_workspace()
    client = log_in("view_workspace")
    assert "default" in page(client.get(LIST)).words
    assert "Save" not in words(client, workspace)
