"""The page of one workspace, and the list of all."""

import re
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
import time_machine
from django.test import Client
from django.urls import reverse

from importmonitor.models import Alert, Incident, SyncPeriod, Workspace
from importmonitor.sync.register import register_configured
from tests.admin.conftest import LogIn
from tests.admin.helpers import Page, make_row, page
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


def show(client: Client, workspace: Workspace, query: str = "") -> Page:
    url = reverse("admin:importmonitor_workspace_change", args=[workspace.pk])
    with time_machine.travel(NOON, tick=False):
        return page(client.get(url + query))


def words(client: Client, workspace: Workspace, query: str = "") -> str:
    return show(client, workspace, query).words


def save_outages(workspace: Workspace, *hours_ago: int) -> None:
    """Save outages of an hour, each with its incident; the latest of all is the open one."""
    for hours in hours_ago:
        began = NOON - timedelta(hours=hours)
        period = SyncPeriod.objects.create(
            workspace=workspace.alias,
            outcome="Unreachable",
            message=f"The server did not answer {hours} h ago.",
            first_at=began,
            last_at=began + timedelta(minutes=55),
            polls=12,
        )
        is_open = hours == 1
        Incident.objects.create(
            workspace=workspace.alias,
            kind="workspace.unreachable",
            since=began,
            until=None if is_open else began + timedelta(hours=1),
            message=period.message,
        )


def test_page_shows_the_open_period_and_durations_as_people_write_them(root: Client) -> None:
    shown = words(root, save_workspace())
    assert "10 d 0 h · 14,400 polls" in shown
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
    assert "Other open imports ▶ Running Pending Files" in shown
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
    assert "view-import-operations ○ not checked" in words(root, save_workspace())
    listed = save_workspace("listed", list_due_at=NOON)
    assert "run-import ✓ granted view-import-operations ✓ granted" in words(root, listed)
    shown = words(root, save_workspace("other", list_refused="Grant the permission."))
    assert "view-import-operations ✕ missing Grant the permission." in shown
    assert "imports that start and end between two polls are missed" in shown
    unpermitted = save_workspace("unpermitted", sync_status="PermissionMissing")
    assert "run-import ✕ missing" in words(root, unpermitted)


def test_list_names_workspaces_that_were_never_polled(root: Client, settings: Any) -> None:
    options = workspace_at("http://127.0.0.1:9")
    settings.IMPORTMONITOR = {"WORKSPACES": dict.fromkeys(("default", "unpolled"), options)}
    save_workspace()
    shown = page(root.get(LIST))
    assert "Never synced: unpolled ." in shown.words
    assert len(shown.rows) == 1


def test_workspace_that_was_never_polled_says_how_to_poll_it(root: Client) -> None:
    shown = words(root, Workspace.objects.create(alias="default"))
    assert "○ Never synced Run manage.py sync_import_status, or press Sync now." in shown
    assert "Current import" not in shown
    assert "There has been no incident." in shown


def test_workspace_that_is_no_longer_configured_says_so(root: Client) -> None:
    removed = save_workspace("removed")
    register_configured()
    shown = show(root, removed)
    assert "This workspace is no longer configured." in shown.words
    assert not [action for action in shown.actions if "/workspace/" in action]
    [row] = [row for row in page(root.get(LIST)).rows if "removed" in row[0]]
    assert "No longer configured" in row[1]


def test_page_shows_causes_of_outages_in_full_and_the_open_one_first(root: Client) -> None:
    workspace = save_workspace()
    save_outages(workspace, 1, 30, 60)
    cause = "It answered 502: " + "the proxy is down. " * 30
    Incident.objects.filter(until=None).update(message=cause)
    shown = words(root, workspace)
    assert f"✕ Unreachable {clock(-1)} · 1 h 0 min so far {cause.strip()}" in shown
    assert shown.index("so far") < shown.index("30 h ago") < shown.index("60 h ago")
    assert "✓ Unreachable" in shown


def clock(hours: float) -> str:
    """Return a time some hours after noon, as the admin writes it."""
    moment = NOON + timedelta(hours=hours)
    return f"{moment.day} Mar {moment:%H:%M:%S}"


def test_page_shows_who_was_alerted_and_whether_it_was_delivered(log_in: LogIn) -> None:
    workspace = save_workspace()
    save_outages(workspace, 1)
    outcomes: dict[str, dict[str, Any]] = {
        "mail": {"delivered_at": NOON, "attempts": 1},
        "chat": {"delivered_at": NOON, "attempts": 2},
        "pager": {"given_up_at": NOON, "attempts": 60, "last_error": "It answered 451."},
        "phone": {"next_attempt_at": NOON},
    }
    for channel, fields in outcomes.items():
        Alert.objects.create(
            event="workspace.unreachable",
            workspace="default",
            incident=Incident.objects.get(),
            channel=channel,
            key=channel,
            body={},
            created_at=NOON,
            **fields,
        )
    runner = log_in("run-import")
    shown = words(runner, workspace)
    noon = f"Workspace unreachable · {clock(0)}"
    assert (
        f"✓ Delivered mail · {noon} ✓ Delivered chat · {noon} · 2 attempts "
        f"✕ Given up pager · {noon} · 60 attempts It answered 451. ○ Pending phone · {noon}"
    ) in shown
    Alert.objects.all().delete()
    assert "No channel was alerted." in words(runner, workspace)


def test_alerts_are_hidden_from_users_who_may_only_see_workspaces(log_in: LogIn) -> None:
    workspace = save_workspace()
    save_outages(workspace, 1)
    shown = words(log_in("view_workspace"), workspace)
    assert "1 h ago" in shown
    assert "No channel was alerted." not in shown


def test_day_shows_its_own_incidents_and_polls(root: Client) -> None:
    workspace = save_workspace()
    save_outages(workspace, 6, 60)
    overview = show(root, workspace)
    assert [link for link in overview.links if link.startswith("?day=")][:8] == [
        f"?day=2026-03-{day}" for day in range(18, 26)
    ]
    shown = show(root, workspace, "?day=2026-03-23")
    assert "60 h ago" in shown.words
    assert "6 h ago" not in shown.words
    assert "1 outage, 55 min" in shown.words
    assert {"?day=2026-03-22", "?", "?day=2026-03-24"} <= set(shown.links)
    # Today has no next day, and the outage is in its table of polls too.
    today = show(root, workspace, "?day=2026-03-25")
    assert today.words.count("6 h ago") == 2
    assert "?day=2026-03-26" not in today.links


@pytest.mark.thorough(one_in=4)
@pytest.mark.parametrize("day", ["", "x", "2026-02-30", "0001-01-01", "9999-12-31", "2026-03-26"])
def test_day_that_cannot_be_shown_is_the_overview(root: Client, day: str) -> None:
    assert "Last polled" in words(root, save_workspace(), f"?day={day}")
    assert "Incidents of this day" not in words(root, Workspace.objects.get(), f"?day={day}")


def test_maintenance_is_listed_and_marked_in_the_strip(root: Client) -> None:
    workspace = save_workspace()
    past, planned = NOON - timedelta(hours=20), NOON + timedelta(hours=20)
    for since in (past, planned):
        Incident.objects.mute(
            "default",
            since=since,
            until=since + timedelta(hours=2),
            by="ada",
            at=past,
            note="An upgrade",
        )
    shown = words(root, workspace)
    assert f"⚙ Maintenance {clock(20)} – 10:00:00 · planned Entered by ada" in shown
    assert f"⚙ Maintenance {clock(-20)} – 18:00:00 · 2 h 0 min Entered by ada" in shown
    # What is still to come is not in the strip.
    assert "Maintenance for 2 h 0 min" in shown
    assert "There has been no incident." in shown


def test_page_shows_when_the_next_poll_is_expected(root: Client) -> None:
    pause = timedelta(minutes=5)
    workspace = save_workspace(period_started_at=NOON - 10 * pause, period_polls=11)
    assert "Next poll: in 5 min · about every 5 min" in words(root, workspace)
    for last, text in (
        (NOON - pause, "now · about every 4 min"),
        (NOON - 9 * pause, "Overdue · Is sync_import_status running? · about every 30 s"),
    ):
        workspace.last_polled_at = last
        workspace.save()
        assert f"Next poll: {text}" in words(root, workspace)
    workspace.not_before = NOON + timedelta(minutes=1)
    workspace.save()
    assert "Next poll: Rate limited until" in words(root, workspace)


def test_page_shows_what_the_last_response_said(root: Client) -> None:
    workspace = save_workspace(
        response_time=timedelta(milliseconds=124.4),
        rate_limit=10,
        rate_remaining=7,
        rate_resets_at=NOON + timedelta(seconds=31),
    )
    shown = words(root, workspace)
    assert "Response time: 124 ms" in shown
    assert "7 of 10 requests per minute left at the last poll · resets in 31 s" in shown
    assert "No rate limit" in words(root, save_workspace("other"))


def test_figures_agree_with_the_strip(root: Client) -> None:
    """Outages of an hour after which polling paused: that is neither good nor bad time."""
    workspace, began = save_workspace(), NOON - timedelta(days=10)
    SyncPeriod.objects.all().delete()
    hours = [0, 100, 101, 150, 151, 160, 230, 231]
    for number, (first, last) in enumerate(pairwise([*hours, 240])):
        period = SyncPeriod.objects.create(
            workspace="default",
            outcome="Unreachable" if first in {100, 150, 230} else "ok",
            first_at=began + timedelta(hours=first),
            last_at=began + timedelta(hours=min(last, first + 40 if number == 5 else last)),
        )
    Workspace.objects.update(period=period, period_started_at=period.first_at)
    shown = show(root, workspace)
    week = re.search(r"Reachable [^(]+\(([0-9.]+ %)\)", shown.words)
    assert week is not None
    assert "Not polled for 1 d 6 h" in shown.words
    figures = re.search(r"24 h ([0-9.]+ %) 7 d ([0-9.]+ %) 30 d ([0-9.]+ %) 90 d", shown.words)
    assert figures is not None
    assert [figures[1], figures[2]] == ["90.0 %", week[1]]
    # All of ten days but three hours, and but the pause.
    assert figures[3] == "98.5 %"
    with time_machine.travel(NOON, tick=False):
        [row] = page(root.get(LIST)).rows
    spans = ("24 h", "7 d", "30 d")
    assert row[5:8] == [f"{span}: {figures[n]}" for n, span in enumerate(spans, 1)]


def test_workspaces_can_be_seen_with_the_permission_to_view_them(log_in: LogIn) -> None:
    workspace = save_workspace()
    client = log_in("view_workspace")
    assert "default" in page(client.get(LIST)).words
    assert "Save" not in words(client, workspace)
