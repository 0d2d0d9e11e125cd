"""The page of the workspaces: the state and the availability of each."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from importmonitor.admin import workspace_page
from importmonitor.choices import OK
from importmonitor.models import Incident, SyncPeriod
from tests.admin.helpers import page
from tests.admin.workspace_states import WORKSPACES, configure, save_period


def test_list_shows_state_availability_and_open_incidents(root: Client, settings: Any) -> None:
    aliases = [f"w{number:02d}" for number in range(23)]
    configure(settings, *aliases)
    now = timezone.now()
    save_period("w01", last_at=now)
    save_period("w02", "Unreachable", last_at=now)
    for kind, until in (
        ("workspace.unreachable", None),
        ("import.failed", None),
        ("import.failed", None),
        ("import.stalled", now),
        ("maintenance", None),
    ):
        Incident.objects.create(workspace="w02", kind=kind, since=now, until=until)
    shown = page(root.get(WORKSPACES))
    good, failing = shown.rows
    assert good[1:3] == ["✓ OK", "Open incidents: –"]
    assert [cell.split(": ")[1] for cell in good[5:]] == ["100 %"] * 4
    assert failing[1] == "✕ Unreachable for 1 h 0 min"
    assert failing[2] == "Open incidents: Failed × 2 , Unreachable"
    assert [cell.split(": ")[1] for cell in failing[5:]] == ["0 %"] * 4
    assert "w00 , w03 , w04" in shown.words
    assert "and 11 more workspaces. Run manage.py sync_import_status" in shown.words


def test_workspace_that_was_not_polled_for_days_has_no_availability(
    root: Client, settings: Any
) -> None:
    configure(settings, "a")
    save_period("a", last_at=timezone.now() - timedelta(days=20))
    [row] = page(root.get(WORKSPACES)).rows
    assert [cell.split(": ")[1] for cell in row[5:]] == ["–", "–", "100 %", "100 %"]


def test_spans_with_too_many_periods_have_no_availability(
    root: Client, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(settings, "a")
    monkeypatch.setattr(workspace_page, "MAX_PERIODS", 3)
    now = timezone.now()
    save_period("b", last_at=now)
    SyncPeriod.objects.update(first_at=now - timedelta(days=80))
    for days in (60, 20, 5):
        save_period_of("a", now - timedelta(days=days))
    save_period("a", last_at=now)
    rows = page(root.get(WORKSPACES)).rows
    for row in rows:
        assert [cell.split(": ")[1] for cell in row[5:]] == ["100 %", "100 %", "–", "–"]
    assert len(rows) == 2


def save_period_of(alias: str, at: datetime) -> None:
    """Save a closed period of an hour."""
    SyncPeriod.objects.create(
        workspace=alias, outcome=OK, first_at=at, last_at=at + timedelta(hours=1)
    )


def test_empty_list_says_what_to_configure(root: Client, settings: Any) -> None:
    configure(settings)
    assert "No Rocket.Chat workspace is configured." in page(root.get(WORKSPACES)).words


def test_workspaces_can_be_filtered_by_sync_status_and_searched(
    root: Client, settings: Any
) -> None:
    configure(settings, "a", "b")
    for alias, outcome in (("a", OK), ("b", "Unreachable"), ("c", "BadAnswer")):
        save_period(alias, outcome)

    def rows(query: str) -> set[str]:
        workspaces = root.get(f"{WORKSPACES}?{query}").context["cl"].queryset
        return set(workspaces.values_list("sync_status", flat=True))

    assert rows("sync_status=failing") == {"Unreachable", "BadAnswer"}
    assert rows("sync_status=BadAnswer") == {"BadAnswer"}
    assert rows("sync_status=nonsense") == set()
    assert rows("q=b") == {"Unreachable"}
    assert rows("") == {OK, "Unreachable", "BadAnswer"}
