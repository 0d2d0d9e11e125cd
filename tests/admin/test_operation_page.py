"""The page of one operation: status, timeline, server log, raw document and neighbours."""

import json
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
import time_machine
from django.test import Client

from importmonitor.admin import timeline
from importmonitor.models import ImportOperation, ProgressSample, StatusTransition
from tests.admin.helpers import Page, change_url, make_row, page
from tests.api.helpers import NOON, RUNNING, sync


def show(client: Client) -> Page:
    """Return the page of the only operation."""
    return page(client.get(change_url(ImportOperation.objects.get())))


def test_summary_shows_status_progress_and_counters(root: Client) -> None:
    count = {"total": 2_000, "completed": 500, "error": 3, "users": 1_234, "messages": 0}
    with time_machine.travel(NOON, tick=False):
        # With so few records at this step, users are counted once.
        sync({**RUNNING, "status": "importer_importing_messages", "count": count}, at=NOON)
        shown = show(root)
    words = shown.words
    for text in ("Running", "25 %", "500 of 2,000", "3 errors", "1,234", "people.csv", "1 h 0 m"):
        assert text in words
    assert "d26x6zSkaPSe5gCyy" in words
    assert "Started 25 Mar 11:00:00" in words
    assert "Times are in UTC." in words
    assert "25" in shown.bars
    # Rocket.Chat did not send this counter.
    assert "Contacts" not in words


@pytest.mark.parametrize(
    ("name", "shown"), [("Ada <b>", "Ada &lt;b&gt;"), ("", "u1"), (None, "u1")]
)
def test_user_is_shown_by_name_with_the_id_as_title(
    root: Client, name: str | None, shown: str
) -> None:
    make_row(remote_user_id="u1", remote_user_name=name).save()
    response = root.get(change_url(ImportOperation.objects.get()))
    assert f'<bdi title="u1">{shown}</bdi>' in response.content.decode()


def test_summary_shows_the_outcome_and_the_raw_status(root: Client) -> None:
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
    assert "importer_done" in words


def test_timeline_shows_states_times_and_unusual_reasons(root: Client) -> None:
    steps = [
        ("importer_new", True, "New"),
        ("importer_user_selection", True, "Waiting"),
        ("importer_importing_users", True, "Running"),
        ("importer_importing_users", False, "Interrupted"),
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
    times = StatusTransition.objects.values_list("observed_at", flat=True)
    assert len(times) == 4
    words = show(root).words
    shown = words[words.index("Timeline") : words.index("Raw fields")]
    position = 0
    for status, _, word in steps:
        position = shown.index(f"{word} {status}", position) + 1
    assert shown.count("20 min") == 3
    assert [f"{time:%H:%M:%S}" in shown for time in times] == [True] * 4
    assert "Reported by" not in shown
    assert "Invalidated by Rocket.Chat" in shown
    assert "Interrupted" in words


def test_timeline_can_be_empty(root: Client) -> None:
    make_row().save()
    assert "No status changes recorded" in show(root).words


def test_payload_is_indented_and_escaped(root: Client) -> None:
    document = {**RUNNING, "unknown": {"keys": ["of any kind", 'a "quote" & <b>', "ümläut 🎉"]}}
    sync(document)
    html = root.get(change_url(ImportOperation.objects.get())).content.decode()
    words = Page(html).words
    start = words.index('{ "')
    shown, _ = json.JSONDecoder().raw_decode(words[start:])
    assert shown == document
    assert "<b>" not in html
    assert html.count("\n  &quot;") >= len(document)
    assert "ümläut 🎉" in html


def test_unreadable_fields_are_listed(root: Client) -> None:
    sync({**RUNNING, "valid": "perhaps", "count": {"total": {}, "completed": 4}})
    words = show(root).words
    assert "valid, count.total" in words
    assert "4 of –" in words


def test_no_unreadable_fields_are_listed_as_none(root: Client) -> None:
    sync(RUNNING)
    assert "Unreadable fields: none" in show(root).words


def test_imported_data_is_not_shown(root: Client) -> None:
    sync({**RUNNING, "fileData": {"users": [{"email": "ada@example.org"}]}})
    assert b"ada@example.org" not in root.get(change_url(ImportOperation.objects.get())).content


def test_times_are_in_the_admin_s_time_zone(root: Client, settings: Any) -> None:
    settings.TIME_ZONE = "Europe/Berlin"
    sync(RUNNING, at=NOON)
    with time_machine.travel(NOON, tick=False):
        words = show(root).words
    assert "Started 25 Mar 12:00:00" in words
    assert words.count("Europe/Berlin") == 1


def test_older_and_newer_import_are_of_the_same_workspace(root: Client) -> None:
    rows = [make_row(number, workspace="a" if number % 2 else "b") for number in range(5)]
    for row in rows:
        row.save()
    # Numbered from the newest back: 0, 2 and 4 are of one workspace.
    expected = {0: (None, 2), 2: (0, 4), 4: (2, None), 1: (None, 3), 3: (1, None)}
    for number, (newer, older) in expected.items():
        shown = page(root.get(change_url(rows[number])))
        paths = [link.split("?")[0] for link in shown.links]
        for text, neighbour in (("Newer import", newer), ("Older import", older)):
            assert (text in shown.words) == (neighbour is not None)
            assert neighbour is None or change_url(rows[neighbour]) in paths


@pytest.mark.django_db
def test_neighbours_that_started_together_are_in_order_of_their_keys() -> None:
    rows = [make_row(number, started_at=NOON) for number in range(3)]
    for row in rows:
        row.save()
    first, second, third = (row.pk for row in rows)
    neighbours = [ImportOperation.objects.neighbours(row)[:2] for row in rows]
    assert neighbours == [(None, second), (first, third), (second, None)]


def words_of_end(root: Client, recorded_after: timedelta) -> str:
    """Return the page of an import that ended at 12:37:04 and was polled some time after noon."""
    sync(RUNNING, at=NOON)
    done = {**RUNNING, "status": "importer_done", "_updatedAt": "2026-03-25T12:37:04.000Z"}
    sync(done, at=NOON + recorded_after)
    return show(root).words


def test_end_that_was_recorded_later_has_both_times_wherever_it_is_shown(root: Client) -> None:
    words = words_of_end(root, timedelta(minutes=57, seconds=10))
    assert "Ended 12:37:04 (recorded 12:57:10 )" in words
    assert "12:37:04 Done importer_done (recorded 12:57:10 )" in words


def test_end_that_was_recorded_at_once_has_one_time(root: Client) -> None:
    words = words_of_end(root, timedelta(minutes=37, seconds=44))
    assert "Ended 12:37:04 Duration 1 h 37 min" in words
    assert "12:37:04 Done importer_done" in words
    assert "recorded 1" not in words


def test_imports_of_the_kind_before_it_say_what_is_usual(root: Client) -> None:
    ends = {"end_reason": "done", "status": "importer_done", "state": "done"}
    rows = [
        make_row(
            number,
            started_at=NOON - timedelta(hours=number),
            finished_at=NOON - timedelta(hours=number) + timedelta(minutes=10 + number),
            **ends,
        )
        for number in range(8)
    ]
    rows[0].finished_at = NOON + timedelta(minutes=40)
    ImportOperation.objects.bulk_create(rows)
    url = change_url(ImportOperation.objects.get(remote_id=rows[0].remote_id))
    html = root.get(url).content.decode()
    assert (
        "Takes unusually long. Took 40 min ; the last 7 CSV imports took 11 min to 17 min ."
        in Page(html).words
    )
    assert html.count('<rect class="im-duration') == 8
    second = page(root.get(change_url(ImportOperation.objects.get(remote_id=rows[1].remote_id))))
    assert "Took 11 min ; the last 6 CSV imports" in second.words
    assert "unusually" not in second.words
    last = page(root.get(change_url(ImportOperation.objects.get(remote_id=rows[7].remote_id))))
    assert "the last" not in last.words


def test_invalid_is_a_failure_of_an_interrupted_import_alone(root: Client) -> None:
    ends = {"status": "importer_done", "state": "done", "valid": False}
    good, bad = make_row(1, end_reason="done", **ends), make_row(2, end_reason="failed", **ends)
    ImportOperation.objects.bulk_create([good, bad])
    words = [
        page(root.get(change_url(row))).words for row in ImportOperation.objects.newest_first()
    ]
    assert ["Valid no, as usual after the end" in shown for shown in words] == [True, False]
    assert "Valid no Started by" in words[1]


def test_command_for_the_rest_api_is_shown(root: Client) -> None:
    sync(RUNNING)
    key = ImportOperation.objects.get().pk
    url = f"http://testserver/api/import-operations/{key}/"
    assert f'curl -H "Authorization: Bearer $TOKEN" {url}' in show(root).words
    assert root.get(url).status_code == 200


def test_page_of_an_interrupted_import_explains_where_the_reason_is(root: Client) -> None:
    sync({**RUNNING, "valid": False}, at=NOON)
    words = page(root.get(change_url(ImportOperation.objects.get()))).words
    assert "Rocket.Chat's log should give the reason" in words
    assert "Rocket.Chat has abandoned this import" in words
    assert "it may not have restored four settings" in words
    assert "FileUpload_MaxFileSize" in words
    assert "Search it for “Importer”" in words


def test_page_of_an_incomplete_import_does_not_point_to_the_log(root: Client) -> None:
    row = make_row(1, end_reason="done", status="importer_done", state="done", finished_at=NOON)
    row.count_completed, row.count_total = 7, 10
    row.outcome = row.end_outcome()
    row.save()
    words = page(root.get(change_url(row))).words
    assert "at least 7 of 10" in words
    assert "Rocket.Chat does not say what was chosen" in words
    assert "What to do Nothing." in words
    assert "Search it" not in words


def test_timeline_is_cut_to_the_newest_transitions(
    root: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timeline, "MAX_TRANSITIONS", 3)
    row = make_row(1)
    row.save()
    for number in range(5):
        StatusTransition.objects.create(
            operation=row,
            to_status=f"importer_step_{number}",
            to_state="importing",
            reason=StatusTransition.Reason.REMOTE,
            observed_at=NOON + timedelta(minutes=number),
        )
    words = page(root.get(change_url(row))).words
    assert "Earlier changes are not shown." in words
    assert "importer_step_4" in words
    assert "importer_step_1" not in words


def test_rate_is_shown_when_there_is_no_estimate_of_the_time_left(root: Client) -> None:
    row = make_row(1, rate=2.0, count_completed=5)
    row.save()
    words = page(root.get(change_url(row))).words
    assert "120 per minute" in words
    assert "left" not in words.partition("120 per minute")[2][:20]


def test_import_that_runs_again_is_shown_as_running(root: Client) -> None:
    row = make_row(1, end_reason="done", finished_at=NOON)
    row.save()
    words = page(root.get(change_url(row))).words
    assert "Running for" in words
    assert "Duration" not in words


@pytest.mark.django_db
@pytest.mark.parametrize(("count", "step"), [(10, 1), (11, 2), (500, 50)])
def test_chart_reads_samples_that_are_spread_over_the_import(count: int, step: int) -> None:
    operation, other = make_row(remote_id="one"), make_row(remote_id="other")
    operation.save()
    other.save()
    moments = [NOON + timedelta(seconds=number) for number in range(count)]
    ProgressSample.objects.bulk_create(
        ProgressSample(operation=row, observed_at=at, completed=1)
        for row in (other, operation)
        for at in moments
    )
    samples = ProgressSample.objects.spread(operation, 10)
    assert {sample.operation_id for sample in samples} == {operation.pk}
    assert len(samples) <= 11
    times = [sample.observed_at for sample in samples]
    assert times == sorted(times)
    assert times[-1] == moments[-1]
    gaps = [after - before for before, after in pairwise([NOON - timedelta(seconds=1), *times])]
    assert max(gaps) <= timedelta(seconds=step)
