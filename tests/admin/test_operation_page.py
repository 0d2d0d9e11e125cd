"""The page of one operation: how it stands, what was seen, and what was received."""

import json
from datetime import timedelta
from typing import Any

import time_machine
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from importmonitor.models import ImportOperation, StatusTransition
from tests.admin.helpers import Page, change_url, make_row, page
from tests.api.helpers import NOON, RUNNING, sync


def show(client: Client) -> Page:
    """Open the page of the only operation; white space is not what these tests are about."""
    return page(client.get(change_url(ImportOperation.objects.get())))


def test_how_it_stands(root: Client) -> None:
    count = {"total": 2_000, "completed": 500, "error": 3, "users": 1_234, "messages": 0}
    with time_machine.travel(NOON, tick=False):
        sync({**RUNNING, "count": count}, at=NOON)
        found = show(root)
    words = found.words
    for each in ("importing", "25 %", "500 of 2,000", "3 errors", "1,234", "people.csv", "1 h 0 m"):
        assert each in words
    assert "d26x6zSkaPSe5gCyy" in words
    assert "03/25/2026 11 a.m." in words
    assert "25" in found.bars
    # What was not counted is not shown as if it had been.
    assert "Contacts" not in words


def test_how_it_ended(root: Client) -> None:
    sync(RUNNING, at=NOON)
    done = {
        **RUNNING,
        "status": "importer_done",
        "count": {"total": 10, "completed": 9},
        "_updatedAt": "2026-03-25T12:30:00.000Z",
    }
    sync(done, at=NOON + timedelta(minutes=30))
    words = show(root).words
    assert "Incomplete" in words
    assert "1 h 30 min" in words
    # Rocket.Chat's own word stays beside ours.
    assert "importer_done" in words


def test_the_timeline(root: Client) -> None:
    steps = [
        ("importer_new", True, "new"),
        ("importer_user_selection", True, "waiting"),
        ("importer_importing_users", True, "importing"),
        ("importer_importing_users", False, "error"),
    ]
    for number, (status, valid, _) in enumerate(steps):
        sync(
            {
                **RUNNING,
                "status": status,
                "valid": valid,
                "_updatedAt": f"2026-03-25T12:{number:02d}:00.000Z",
            },
            at=NOON + timedelta(minutes=number * 20),
        )
    assert StatusTransition.objects.count() == 4
    words = show(root).words
    timeline = words[words.index("Timeline") : words.index("Note")]
    position = 0
    for status, _, word in steps:
        position = timeline.index(f"{word} {status}", position) + 1
    assert timeline.count("after 20 min") == 3
    assert "Reported by Rocket.Chat" in timeline
    assert "Invalidated by Rocket.Chat" in timeline
    assert "Interrupted" in words


def test_without_anything_seen(root: Client) -> None:
    make_row().save()
    assert "Nothing was seen yet" in show(root).words


def test_the_payload_can_be_read(root: Client) -> None:
    document = {**RUNNING, "nobody": {"knows": ["this", 'a "quote" & <b>', "ümläut 🎉"]}}
    sync(document)
    html = root.get(change_url(ImportOperation.objects.get())).content.decode()
    words = Page(html).words
    start = words.index('{ "')
    shown, _ = json.JSONDecoder().raw_decode(words[start:])
    assert shown == document
    assert "<b>" not in html
    # On lines of its own, and not all on one.
    assert html.count("\n  &quot;") >= len(document)
    assert "ümläut 🎉" in html


def test_what_could_not_be_read(root: Client) -> None:
    sync({**RUNNING, "valid": "perhaps", "count": {"total": {}, "completed": 4}})
    words = show(root).words
    assert "valid, count.total" in words
    assert "4 of –" in words


def test_all_could_be_read(root: Client) -> None:
    sync(RUNNING)
    assert "every field could be read" in show(root).words


def test_no_personal_data_of_the_imported(root: Client) -> None:
    sync({**RUNNING, "fileData": {"users": [{"email": "ada@example.org"}]}})
    assert b"ada@example.org" not in root.get(change_url(ImportOperation.objects.get())).content


def test_a_long_timeline_costs_no_more_queries(root: Client) -> None:
    def cost() -> int:
        with CaptureQueriesContext(connection) as captured:
            show(root)
        return len(captured)

    sync(RUNNING)
    before = cost()
    operation = ImportOperation.objects.get()
    StatusTransition.objects.bulk_create(
        StatusTransition(
            operation=operation,
            to_status="importer_importing_users",
            to_state="importing",
            reason=StatusTransition.Reason.REMOTE,
            observed_at=NOON + timedelta(seconds=number),
        )
        for number in range(200)
    )
    assert cost() == before


def test_times_are_in_the_admins_zone(root: Client, settings: Any) -> None:
    settings.TIME_ZONE = "Europe/Berlin"
    sync(RUNNING, at=NOON)
    assert "03/25/2026 noon" in show(root).words
