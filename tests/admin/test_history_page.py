"""The history page: what it shows, and what that costs."""

import re
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from importmonitor.models import EndReason, ImportOperation, Outcome
from importmonitor.rocketchat.states import STEPS, ImportState, state_of
from tests.admin.conftest import LogIn
from tests.admin.helpers import HISTORY, Page, change_url, make_row, page, save_rows
from tests.api.helpers import (
    NOON,
    RUNNING,
    poll,
    sync,
    sync_nothing,
    sync_refused,
    workspace_at,
)


def has_word(row: list[str], word: str) -> bool:
    """Tell whether a cell says this and nothing else, but for a shape before it."""
    return any(re.sub(r"^\W+", "", cell) == word for cell in row)


def history(client: Client, query: str = "") -> Page:
    return page(client.get(HISTORY + query))


def test_a_row(root: Client) -> None:
    with time_machine.travel(NOON, tick=False):
        sync(RUNNING, at=NOON - timedelta(minutes=12))
        found = history(root)
    [row] = found.rows
    told = " | ".join(row)
    assert has_word(row, "importing")
    for words in ("CSV", "people.csv", "default", "1 hour ago", "12 minutes ago"):
        assert words in told.replace("\N{NO-BREAK SPACE}", " ")
    assert "5 of 10" in told
    assert "50 %" in told
    # Rocket.Chat's prefix is nobody's.
    assert "20260225" not in told
    assert "50" in found.bars
    assert change_url(ImportOperation.objects.get()) in [link.split("?")[0] for link in found.links]


def test_newest_first(root: Client) -> None:
    ImportOperation.objects.bulk_create(
        make_row(number, type=name, started_at=NOON - timedelta(days=days))
        for number, (name, days) in enumerate({"old": 9, "new": 1, "middle": 5}.items())
    )
    order = [
        name for row in history(root).rows for name in ("old", "middle", "new") if name in str(row)
    ]
    assert order == ["new", "middle", "old"]


STATE_WORDS = {
    "new": "new",
    "loading": "loading",
    "ready": "waiting",
    "importing": "importing",
    "done": "done",
    "error": "error",
    "canceled": "canceled",
    "unknown": "unknown step",
}


def test_every_state_has_a_word() -> None:
    assert STATE_WORDS.keys() == {*ImportState} - {ImportState.NONE}
    assert {state_of(step, True) for step in STEPS} <= STATE_WORDS.keys()


def test_the_state_of_what_has_not_ended(root: Client) -> None:
    expected = list((STATE_WORDS | {"nonsense": "unknown step"}).items())
    ImportOperation.objects.bulk_create(
        make_row(number, state=state) for number, (state, _) in enumerate(expected)
    )
    for row, (_, word) in zip(history(root).rows, expected, strict=True):
        assert has_word(row, word)


STATES = {"superseded": "importing", "done": "done", "canceled": "canceled"}
OUTCOMES = [
    ("done", "Done", {}),
    ("done", "Done", {"count_total": 10, "count_completed": 10, "count_error": 0}),
    ("done", "Done with errors", {"count_total": 10, "count_completed": 10, "count_error": 1}),
    ("done", "Done with errors", {"count_total": 10, "count_completed": 9, "count_error": 1}),
    ("done", "Incomplete", {"count_total": 10, "count_completed": 9}),
    ("failed", "Failed", {"count_total": 10, "count_completed": 9}),
    ("interrupted", "Interrupted", {"count_error": 3}),
    ("superseded", "Superseded", {}),
    ("canceled", "Canceled", {}),
]


def test_every_outcome_is_there() -> None:
    assert {reason for reason, _, _ in OUTCOMES} == set(EndReason.values)
    assert {word for _, word, _ in OUTCOMES} == {str(label) for label in Outcome.labels}


def test_the_outcome_of_what_has_ended(root: Client) -> None:
    ImportOperation.objects.bulk_create(
        # Of what was hidden or broken off, Rocket.Chat's own word is what was last seen.
        make_row(number, end_reason=end_reason, state=STATES.get(end_reason, "error"), **counts)
        for number, (end_reason, _, counts) in enumerate(OUTCOMES)
    )
    for row, (_, word, _) in zip(history(root).rows, OUTCOMES, strict=True):
        assert has_word(row, word)
        assert not has_word(row, "importing")


def test_what_was_opened_again_and_runs_is_not_shown_as_done(root: Client) -> None:
    make_row(1, end_reason="done", state="importing", status="importer_importing_users").save()
    [row] = history(root).rows
    assert has_word(row, "importing")
    assert not has_word(row, "done")


def test_what_has_stalled_is_shown_as_that(root: Client) -> None:
    make_row(1, state="importing", stalled_since=NOON).save()
    [row] = history(root).rows
    assert has_word(row, "stalled")


@pytest.mark.parametrize(
    ("file", "user", "shown"),
    [
        ("20260225110000_u1_my_file.csv", "u1", "my_file.csv"),
        ("20260225110000_u1_a_u1_b.csv", "u1", "a_u1_b.csv"),
        ("plain.csv", "u1", "plain.csv"),
        ("20260225110000_u1_my.csv", "", "20260225110000_u1_my.csv"),
        ("20260225110000_u1_", "u1", "20260225110000_u1_"),
    ],
)
def test_a_files_own_name(root: Client, file: str, user: str, shown: str) -> None:
    make_row(file=file, remote_user_id=user).save()
    [row] = history(root).rows
    assert f"CSV {shown}" in row


def test_without_a_type(root: Client) -> None:
    """There is always something to click on."""
    make_row(1, type="").save()
    make_row(2, type="", importer_key="").save()
    first, second = history(root).rows
    assert "csv" in first
    assert "remote00000000002" in second


@pytest.mark.parametrize(
    ("counts", "percent", "told"),
    [
        ((135, 179, None), "100", "179 of 135"),
        ((10, 0, 0), "0", "0 of 10"),
        ((1_000, 999, None), "99", "999 of 1,000"),
        ((3, -1, None), "0", "-1 of 3"),
        ((10, 10, 1), "100", "1 error"),
        ((2_000, 1_500, 1_500), "75", "1,500 errors"),
        ((2**63 - 1, 2**63 - 1, 2**63 - 1), "100", "9,223,372,036,854,775,807"),
        ((0, 0, None), None, "0 of 0"),
        ((-5, 3, None), None, "3 of -5"),
        ((None, 7, None), None, "7 of"),
        ((7, None, None), None, "7 in all"),
        ((None, None, None), None, "–"),
    ],
)
def test_progress(
    root: Client, counts: tuple[int | None, ...], percent: str | None, told: str
) -> None:
    total, completed, error = counts
    make_row(count_total=total, count_completed=completed, count_error=error).save()
    found = history(root)
    assert told in " | ".join(found.rows[0])
    assert found.bars == ([] if percent is None else [percent])
    assert (f"{percent} %" in found.words) == (percent is not None)


def test_many_rows_come_on_pages(root: Client) -> None:
    save_rows(120)
    first, second = history(root), history(root, "?p=2")
    assert 0 < len(first.rows) < 120
    assert "?p=2" in first.links
    assert first.rows != second.rows


@pytest.mark.parametrize("query", ["?p=99999", "?p=x", "?o=99", "?o=1.2.3", "?started_at__gte=x"])
def test_nonsense_in_the_address(root: Client, query: str) -> None:
    save_rows(3)
    assert "Import history" in page(root.get(HISTORY + query, follow=True)).words


# What it costs.


def queries(client: Client, query: str = "") -> list[str]:
    """Return what a page asks the database, with nothing remembered."""
    cache.clear()
    with CaptureQueriesContext(connection) as captured:
        assert client.get(HISTORY + query).status_code == 200
    return [each["sql"] for each in captured]


QUERIES = ["", "?p=2", "?q=remote00000000003", "?q=CSV", "?outcome=done", "?o=4"]


def test_a_page_costs_as_much_whatever_there_is(root: Client) -> None:
    sync(RUNNING)
    save_rows(10)
    few = {query: len(queries(root, query.replace("?p=2", ""))) for query in QUERIES}
    ImportOperation.objects.exclude(remote_id=RUNNING["_id"]).delete()
    save_rows(1_000)
    assert {query: len(queries(root, query)) for query in QUERIES} == few
    # The session, the user; three for the cards, two for the weeks and one for who started them;
    # and four for the list, at most.
    assert max(few.values()) <= 12


def test_no_query_grows_with_the_table(root: Client) -> None:
    sync(RUNNING)
    save_rows(600)
    for sql in [sql for query in QUERIES for sql in queries(root, query)]:
        assert "DISTINCT" not in sql.upper()
        assert re.search(r"DATE_TRUNC|django_datetime|CONVERT_TZ", sql) is None
        if re.search(r"FROM .?importmonitor_importoperation", sql) and "COUNT(" not in sql:
            assert re.search(r"LIMIT \d|.id. IN \(|.id. = ", sql), sql


# When there is nothing to show.


def test_nothing_is_configured(root: Client, settings: Any) -> None:
    settings.IMPORTMONITOR = {"WORKSPACES": {}}
    found = history(root)
    assert "No Rocket.Chat workspace is configured" in found.words
    assert "ROCKETCHAT_URL" in found.words
    assert found.rows == []


@pytest.mark.parametrize("wrong", [None, 7, [], {"WORKSPACES": 7}, {"WORKSPACES": "no.such.path"}])
def test_the_settings_are_nonsense(root: Client, settings: Any, wrong: object) -> None:
    save_rows(3)
    settings.IMPORTMONITOR = wrong
    assert len(history(root).rows) == 3


def test_never_synced(root: Client) -> None:
    found = history(root)
    assert "default" in found.words
    assert "never looked at" in found.words
    assert "sync_import_status" in found.words


def test_synced_and_empty(root: Client) -> None:
    sync_nothing()
    found = history(root)
    assert "Nothing was ever imported" in found.words
    assert "never looked at" not in found.words
    assert "just now" in found.words


def test_failing(root: Client) -> None:
    sync(RUNNING)
    result = sync_refused()
    found = history(root)
    assert "Credentials refused" in found.words
    assert "Check USER_ID and AUTH_TOKEN" in found.words
    assert str(result.error) in found.words
    # What is known is still there, as what it is.
    assert "As it was last seen: " in found.words
    assert "people.csv" in found.words
    assert len(found.rows) == 1


def test_failing_from_the_first_look_on(root: Client) -> None:
    """That nothing was seen is not that there is nothing."""
    sync_refused()
    words = history(root).words
    assert "Nothing has been seen of its imports" in words
    assert "Nothing was ever imported" not in words


def test_failing_for_long(root: Client) -> None:
    for hours in range(4):
        sync_refused(at=NOON + timedelta(hours=hours))
    with time_machine.travel(NOON + timedelta(hours=3), tick=False):
        words = history(root).words
    assert "3 h" in words
    assert "4 looks" in words


def test_a_failing_workspace_that_nobody_looks_at_any_more(root: Client) -> None:
    sync_refused(at=NOON)
    with time_machine.travel(NOON + timedelta(minutes=1), tick=False):
        assert "is sync_import_status running?" not in history(root).words
    with time_machine.travel(NOON + timedelta(days=2), tick=False):
        words = history(root).words
    assert "last looked" in words
    assert "is sync_import_status running?" in words


def test_only_who_may_see_sync_health_is_led_to_it(root: Client, log_in: LogIn) -> None:
    health = "/admin/importmonitor/syncperiod/"
    for client, leads in (
        (root, True),
        (log_in("view_importoperation"), False),
    ):
        assert any(link.startswith(health) for link in history(client).links) == leads
        assert (client.get(health).status_code == 200) == leads


def test_a_message_of_a_workspace_is_only_text(root: Client) -> None:
    body = {"success": False, "error": "<script>alert(1)</script>"}
    assert not poll(body, status=400).ok
    response = root.get(HISTORY)
    assert "<script>alert(1)</script>" in page(response).words
    assert b"<script>alert" not in response.content


def test_stale(root: Client) -> None:
    sync(RUNNING, at=NOON)
    with time_machine.travel(NOON + timedelta(minutes=10), tick=False):
        assert "is sync_import_status running?" not in history(root).words
    with time_machine.travel(NOON + timedelta(minutes=11), tick=False):
        words = history(root).words.replace("\N{NO-BREAK SPACE}", " ")
    assert "is sync_import_status running?" in words
    assert "11 minutes ago" in words


def test_a_card_for_each_workspace(root: Client, settings: Any) -> None:
    settings.IMPORTMONITOR = {
        "WORKSPACES": {
            alias: workspace_at(f"http://127.0.0.1:9/{alias}")
            for alias in ("default", "acme", "globex")
        }
    }
    sync(RUNNING)
    sync({**RUNNING, "file": "theirs.zip"}, alias="acme")
    found = history(root)
    assert all(alias in found.words for alias in ("default", "acme", "globex"))
    assert found.words.count("never looked at") == 1
    assert found.words.count("theirs.zip") == 2  # on its card and in the list
    assert len(found.rows) == 2


def test_the_current_operation_on_the_card(root: Client) -> None:
    sync(RUNNING)
    found = history(root)
    # Once on the card, once in the list.
    assert found.words.count("people.csv") == 2
    assert found.bars == ["50", "50"]
    assert "importer_importing_users" in found.words
