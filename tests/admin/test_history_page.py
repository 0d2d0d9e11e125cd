"""The history page: its rows, its cards, its tab and its queries."""

import re
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from importmonitor.admin import runs
from importmonitor.models import EndReason, ImportOperation, Outcome
from importmonitor.rocketchat.states import STEPS, ImportState, state_of
from importmonitor.sync.register import register_configured
from tests.admin.charts import Markup
from tests.admin.conftest import LogIn
from tests.admin.helpers import HISTORY, Page, change_url, make_row, page, save_rows
from tests.admin.workspace_states import WORKSPACES, configure, save_period, summarize
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
    """Return whether a cell has this text alone, apart from a symbol before it."""
    return any(re.sub(r"^\W+", "", cell) == word for cell in row)


def history(client: Client, query: str = "") -> Page:
    return page(client.get(HISTORY + query))


def test_row_shows_type_file_times_and_progress(root: Client) -> None:
    with time_machine.travel(NOON, tick=False):
        sync(RUNNING, at=NOON - timedelta(minutes=12))
        shown = history(root)
    [row] = shown.rows
    text = " | ".join(row)
    assert has_word(row, "Running")
    for words in ("CSV", "people.csv", "1 hour ago (11:00:00)", "12 minutes ago (11:48:00)"):
        assert words in text.replace("\N{NO-BREAK SPACE}", " ")
    assert "5 of 10" in text
    assert "50 %" in text
    # Rocket.Chat's prefix of the file name.
    assert "20260225" not in text
    assert "50" in shown.bars
    assert change_url(ImportOperation.objects.get()) in [link.split("?")[0] for link in shown.links]


def test_rows_come_newest_first(root: Client) -> None:
    ImportOperation.objects.bulk_create(
        make_row(number, type=name, started_at=NOON - timedelta(days=days))
        for number, (name, days) in enumerate({"old": 9, "new": 1, "middle": 5}.items())
    )
    order = [
        name for row in history(root).rows for name in ("old", "middle", "new") if name in str(row)
    ]
    assert order == ["new", "middle", "old"]


STATE_LABELS = {
    "new": "New",
    "loading": "Loading",
    "ready": "Waiting",
    "importing": "Running",
    "done": "Done",
    "error": "Error",
    "canceled": "Canceled",
    "unknown": "Unknown status",
}


def test_every_state_has_a_label() -> None:
    assert STATE_LABELS.keys() == {*ImportState} - {ImportState.NONE}
    assert {state_of(step, True) for step in STEPS} <= STATE_LABELS.keys()


def test_running_import_shows_its_state(root: Client) -> None:
    expected = list((STATE_LABELS | {"nonsense": "Unknown status"}).items())
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


def test_every_outcome_is_tested() -> None:
    assert {reason for reason, _, _ in OUTCOMES} == set(EndReason.values)
    assert {word for _, word, _ in OUTCOMES} == {str(label) for label in Outcome.labels}


def test_ended_import_shows_its_outcome(root: Client) -> None:
    ImportOperation.objects.bulk_create(
        # The state of an import that was superseded or interrupted is the last one seen.
        make_row(number, end_reason=end_reason, state=STATES.get(end_reason, "error"), **counts)
        for number, (end_reason, _, counts) in enumerate(OUTCOMES)
    )
    for row, (_, word, _) in zip(history(root).rows, OUTCOMES, strict=True):
        assert has_word(row, word)
        assert not has_word(row, "Running")


def test_import_that_runs_again_is_not_shown_as_done(root: Client) -> None:
    make_row(1, end_reason="done", state="importing", status="importer_importing_users").save()
    [row] = history(root).rows
    assert has_word(row, "Running")
    assert not has_word(row, "Done")


def test_stalled_import_is_shown_as_stalled(root: Client) -> None:
    make_row(1, state="importing", stalled_since=NOON).save()
    [row] = history(root).rows
    assert has_word(row, "Stalled")


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
def test_file_name_has_no_prefix(root: Client, file: str, user: str, shown: str) -> None:
    make_row(file=file, remote_user_id=user).save()
    [row] = history(root).rows
    assert f"CSV {shown}" in row


def test_import_without_a_type_is_named_by_its_importer_or_id(root: Client) -> None:
    make_row(1, type="").save()
    make_row(2, type="", importer_key="").save()
    first, second = history(root).rows
    assert "csv" in first
    assert "remote00000000002" in second


@pytest.mark.thorough(one_in=3)
@pytest.mark.parametrize(
    ("counts", "percent", "text"),
    [
        ((135, 179, None), "99", "179 of 135"),
        ((10, 0, 0), "0", "0 of 10"),
        ((1_000, 999, None), "99", "999 of 1,000"),
        ((3, -1, None), "0", "-1 of 3"),
        ((10, 10, 1), "99", "1 error"),
        ((4_000, 1_500, 1_500), "75", "1,500 errors"),
        ((2**63 - 1, 2**63 - 1, 2**63 - 1), "99", "9,223,372,036,854,775,807"),
        ((0, 0, None), None, "0 of 0"),
        ((-5, 3, None), None, "3 of -5"),
        ((None, 7, None), None, "7 of"),
        ((7, None, None), None, "7 in total"),
        ((None, None, None), None, "–"),
    ],
)
def test_progress_of_any_counters_is_shown(
    root: Client, counts: tuple[int | None, ...], percent: str | None, text: str
) -> None:
    total, completed, error = counts
    make_row(
        count_total=total, count_completed=completed, count_error=error, users_twice=False
    ).save()
    shown = history(root)
    assert text in " | ".join(shown.rows[0])
    assert shown.bars == ([] if percent is None else [percent])
    assert (f"{percent} %" in shown.words) == (percent is not None)


def test_rows_are_paginated(root: Client) -> None:
    save_rows(120)
    first, second = history(root), history(root, "?p=2")
    assert 0 < len(first.rows) < 120
    assert "?p=2" in first.links
    assert first.rows != second.rows


@pytest.mark.thorough(one_in=3)
@pytest.mark.parametrize("query", ["?p=99999", "?p=x", "?o=99", "?o=1.2.3", "?started_at__gte=x"])
def test_invalid_parameters_are_ignored(root: Client, query: str) -> None:
    save_rows(3)
    assert "Import history" in page(root.get(HISTORY + query, follow=True)).words


# Queries.


def queries(client: Client, query: str = "") -> list[str]:
    """Return the queries of a page with an empty cache."""
    cache.clear()
    with CaptureQueriesContext(connection) as captured:
        assert client.get(HISTORY + query).status_code == 200
    return [query["sql"] for query in captured]


QUERIES = ["", "?p=2", "?q=remote00000000003", "?q=CSV", "?outcome=done", "?o=4"]


def test_no_query_scans_the_table(root: Client) -> None:
    sync(RUNNING)
    # More than a page of each outcome.
    save_rows(360)
    for sql in [sql for query in QUERIES for sql in queries(root, query)]:
        assert "DISTINCT" not in sql.upper()
        assert re.search(r"DATE_TRUNC|django_datetime|CONVERT_TZ", sql) is None
        if re.search(r"FROM .?importmonitor_importoperation", sql) and "COUNT(" not in sql:
            assert re.search(r"LIMIT \d|.id. IN \(|.id. = ", sql), sql


# Workspaces without imports, settings without workspaces.


def test_page_says_that_no_workspace_is_configured(root: Client, settings: Any) -> None:
    settings.IMPORTMONITOR = {"WORKSPACES": {}}
    shown = history(root)
    assert "No Rocket.Chat workspace is configured" in shown.words
    assert "ROCKETCHAT_URL" in shown.words
    assert shown.rows == []


@pytest.mark.thorough(one_in=3)
@pytest.mark.parametrize(
    "invalid", [None, 7, [], {"WORKSPACES": 7}, {"WORKSPACES": "no.such.path"}]
)
def test_history_is_shown_with_invalid_settings(
    root: Client, settings: Any, invalid: object
) -> None:
    save_rows(3)
    settings.IMPORTMONITOR = invalid
    assert len(history(root).rows) == 3


def test_card_of_a_workspace_that_was_never_synced(root: Client) -> None:
    shown = history(root)
    assert "default" in shown.words
    assert "Never synced" in shown.words
    assert "sync_import_status" in shown.words


def test_card_of_a_workspace_without_imports(root: Client) -> None:
    sync_nothing()
    shown = history(root)
    assert "Nothing was ever imported" in shown.words
    assert "Never synced" not in shown.words
    assert "just now" in shown.words


def test_card_of_a_failing_workspace_shows_the_error_and_the_last_known_status(
    root: Client,
) -> None:
    sync(RUNNING)
    result = sync_refused()
    shown = history(root)
    assert "Credentials refused" in shown.words
    assert "Check USER_ID and AUTH_TOKEN" in shown.words
    assert str(result.error) in shown.words
    assert "Last known status: " in shown.words
    assert "people.csv" in shown.words
    assert len(shown.rows) == 1


def test_card_of_a_workspace_that_never_succeeded_claims_nothing(root: Client) -> None:
    sync_refused()
    words = history(root).words
    assert "The status of its imports is unknown" in words
    assert "Nothing was ever imported" not in words


def test_card_shows_for_how_long_a_workspace_has_failed(root: Client) -> None:
    for hours in range(4):
        sync_refused(at=NOON + timedelta(hours=hours))
    with time_machine.travel(NOON + timedelta(hours=3), tick=False):
        words = history(root).words
    assert "3 h" in words
    assert "4 polls" in words


def test_card_of_a_failing_workspace_says_when_polling_stopped(root: Client) -> None:
    sync_refused(at=NOON)
    with time_machine.travel(NOON + timedelta(minutes=1), tick=False):
        assert "Is sync_import_status running?" not in history(root).words
    with time_machine.travel(NOON + timedelta(days=2), tick=False):
        words = history(root).words
    assert "Last polled" in words
    assert "Is sync_import_status running?" in words


def test_workspaces_are_linked_for_users_who_can_see_them(root: Client, log_in: LogIn) -> None:
    for client, can_view in ((root, True), (log_in("view_importoperation"), False)):
        assert any(link.startswith(WORKSPACES) for link in history(client).links) == can_view
        assert (client.get(WORKSPACES).status_code == 200) == can_view


def test_error_of_a_workspace_is_escaped(root: Client) -> None:
    body = {"success": False, "error": "<script>alert(1)</script>"}
    assert not poll(body, status=400).ok
    response = root.get(HISTORY)
    assert "<script>alert(1)</script>" in page(response).words
    assert b"<script>alert" not in response.content


def test_card_says_that_polling_stopped(root: Client) -> None:
    sync(RUNNING, at=NOON)
    with time_machine.travel(NOON + timedelta(minutes=10), tick=False):
        assert "Is sync_import_status running?" not in history(root).words
    with time_machine.travel(NOON + timedelta(minutes=11), tick=False):
        words = history(root).words.replace("\N{NO-BREAK SPACE}", " ")
    assert "Is sync_import_status running?" in words
    assert "11 minutes ago" in words


def test_each_workspace_has_a_card(root: Client, settings: Any) -> None:
    settings.IMPORTMONITOR = {
        "WORKSPACES": {
            alias: workspace_at(f"http://127.0.0.1:9/{alias}")
            for alias in ("default", "acme", "globex")
        }
    }
    sync(RUNNING)
    sync({**RUNNING, "file": "theirs.zip"}, alias="acme")
    shown = history(root)
    assert all(alias in shown.words for alias in ("default", "acme", "globex"))
    assert shown.words.count("Never synced") == 1
    # On its card, in the table of durations and in the list.
    assert shown.words.count("theirs.zip") == 3
    assert len(shown.rows) == 2


def test_card_shows_the_current_operation(root: Client) -> None:
    sync(RUNNING)
    shown = history(root)
    # On the card, in the table of durations and in the list.
    assert shown.words.count("people.csv") == 3
    assert shown.bars == ["50", "50"]


def test_time_of_a_row_is_exact_after_a_day(root: Client) -> None:
    for number, hours in enumerate((23, 25, 24 * 400)):
        make_row(number, started_at=NOON - timedelta(hours=hours), last_seen_at=NOON).save()
    with time_machine.travel(NOON, tick=False):
        times = [row[4].replace("\N{NO-BREAK SPACE}", " ") for row in history(root).rows]
    assert times == ["23 hours ago (13:00:00)", "24 Mar 11:00:00", "18 Feb 2025 12:00:00"]


def test_workspace_is_a_column_where_there_are_several(root: Client, settings: Any) -> None:
    make_row(1).save()
    assert "default" not in history(root).rows[0]
    # Also if one of them is no longer configured.
    make_row(2, workspace="former").save()
    assert "former" in history(root).rows[1]
    configure(settings, "default", "acme")
    register_configured()
    assert "default" in history(root, "?workspace=default").rows[0]


def test_tab_says_the_state_of_the_imports(root: Client, settings: Any) -> None:
    def tab() -> tuple[str, str]:
        summarize()
        html = root.get(HISTORY).content.decode()
        [title] = re.findall(r"<title>(.*?) · importmonitor</title>", html)
        [icon] = re.findall(r"favicon-(\w+)\.svg", html)
        return title, icon

    configure(settings, "default", "acme")
    assert tab() == ("Never synced", "warn")
    now = timezone.now()
    running = make_row(1, count_total=10, count_completed=6, users_twice=False, started_at=now)
    running.save()
    save_period("default", last_at=now, operation=running)
    assert tab() == ("60 % · CSV", "busy")
    other = make_row(2, workspace="acme", state="loading", started_at=now)
    other.save()
    save_period("acme", last_at=now, operation=other)
    assert tab() == ("2 running", "busy")
    ImportOperation.objects.filter(pk=other.pk).update(
        finished_at=now, end_reason="failed", state="error", outcome="failed"
    )
    assert tab() == ("60 % · CSV", "bad")
    ImportOperation.objects.filter(pk=running.pk).update(
        finished_at=now, end_reason="done", state="done", outcome="done"
    )
    assert tab() == ("1 failed or stalled", "bad")
    ImportOperation.objects.filter(pk=other.pk).update(end_reason="done", outcome="done")
    assert tab() == ("no import running", "good")


def test_chart_has_the_newest_imports_whatever_the_list_is_filtered_by(
    root: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "MAX_RUNS", 3)
    rows = save_rows(5)
    make_row(9, workspace="former", started_at=NOON - timedelta(days=1)).save()
    with time_machine.travel(NOON, tick=False):
        html = root.get(f"{HISTORY}?outcome=failed&workspace=default").context["runs"]
    links = [link.get("href") for link in Markup(html).all("a", "im-part")]
    assert links == [change_url(row) for row in rows[2::-1]]
