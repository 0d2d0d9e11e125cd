"""All pages write times in one way, and name the time zone once."""

import re
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client
from django.urls import reverse

from importmonitor.admin import times
from importmonitor.models import Alert, ApiToken, ImportOperation, Incident, Workspace
from tests.admin.helpers import make_row, page
from tests.admin.test_alerts_page import make_alert
from tests.admin.test_incidents_page import make_incident
from tests.admin.workspace_states import save_period
from tests.api.helpers import NOON, make_user

HOUR = timedelta(hours=1)
#: Django's own formats of times and dates, and ISO's.
OTHER_FORMAT = re.compile(r"[ap]\.m\.|\bnoon\b|midnight|\d/\d+/\d|\b2026\b")


@pytest.fixture
def paths(db: None) -> list[str]:
    """The lists and the pages of a row of each, all of which show times."""
    row = make_row(end_reason="failed", state="error", note="Why?", note_at=NOON, note_by="ada")
    row.save()
    save_period("default", "Unreachable", NOON - HOUR, row)
    incident = make_incident(since=NOON - 30 * HOUR, message="It answered 502.")
    Incident.objects.acknowledge(by="ada", at=NOON - HOUR, until=NOON + 40 * HOUR)
    make_incident("maintenance", since=NOON + HOUR, until=NOON + 3 * HOUR)
    make_alert("one", incident=incident, delivered_at=NOON - HOUR, operation=row)
    ApiToken.objects.issue(make_user("grace"), name="dashboard", expires_at=NOON + 40 * HOUR)
    paths = []
    for model in (ImportOperation, Incident, Workspace, Alert, ApiToken):
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        key = model._default_manager.order_by("pk").values_list("pk", flat=True)[0]
        paths += [reverse(f"{name}_changelist"), reverse(f"{name}_change", args=[key])]
    workspace = reverse("admin:importmonitor_workspace_change", args=[Workspace.objects.get().pk])
    return [*paths, f"{workspace}?day=2026-03-24"]


def test_every_page_has_the_one_format_and_names_the_zone_once(
    root: Client, paths: list[str]
) -> None:
    others: dict[str, Any] = {}
    for path in paths:
        with time_machine.travel(NOON, tick=False):
            shown = page(root.get(path)).words
        assert shown.count("Times are in UTC.") == 1, path
        # The document of an alert and the range of a log are for programs.
        shown = re.sub(r"\{ .* \}|\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "", shown)
        if texts := OTHER_FORMAT.findall(shown):
            others[path] = texts
    assert others == {}


def test_time_has_its_day_unless_it_is_that_of_another_time() -> None:
    with time_machine.travel(NOON, tick=False):
        assert ">25\N{NO-BREAK SPACE}Mar\N{NO-BREAK SPACE}12:00:00<" in times.format_time(NOON)
        assert ">12:00:00<" in times.format_time(NOON, NOON - HOUR)
        assert "24\N{NO-BREAK SPACE}Mar" in times.format_time(NOON - 24 * HOUR, NOON)
        assert "Mar\N{NO-BREAK SPACE}2025" in times.format_time(NOON - 365 * 24 * HOUR)
        assert 'title="March 25, 2026 12:00:00 UTC"' in times.format_time(NOON, NOON)


def test_list_says_how_long_ago_a_time_of_the_last_day_was() -> None:
    with time_machine.travel(NOON, tick=False):
        recent, future = times.compact_time(NOON - 23 * HOUR), times.compact_time(NOON + HOUR)
        assert "23\N{NO-BREAK SPACE}hours" in recent
        assert "(13:00:00)" in recent
        assert "ago" not in times.compact_time(NOON - 24 * HOUR)
        assert ">25\N{NO-BREAK SPACE}Mar\N{NO-BREAK SPACE}13:00:00<" in future
    assert times.compact_time(None) == "–"
