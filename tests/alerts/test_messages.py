"""Messages for any operation and any response: printable, each value on one line."""

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from django.utils import translation

from importmonitor.alerts.drafts import draft_operation_alert, draft_workspace_alert
from importmonitor.alerts.messages import Message, render_message
from importmonitor.choices import Event
from importmonitor.models import Alert, EndReason, ImportOperation, Workspace
from importmonitor.rocketchat.operation import parse_operation
from importmonitor.sync.change import REMOTE_FIELDS
from tests.alerts.backends import Recorder
from tests.alerts.helpers import sync_documents
from tests.api import helpers
from tests.api.helpers import NOON
from tests.malformed_documents import BACKWARDS, MALFORMED_DOCUMENTS, SCRIPT

RUNNING = dict(helpers.RUNNING)
OPERATION_EVENTS = [event for event in Event if event.startswith("import.")]


_END_REASONS = {
    "importer_done": EndReason.DONE,
    "importer_import_failed": EndReason.FAILED,
    "importer_import_cancelled": EndReason.CANCELED,
}


def row(document: Mapping[str, Any], **fields: Any) -> ImportOperation:
    """Return an operation as a poll stores it."""
    received = parse_operation(dict(document))
    remote: dict[str, Any] = {name: getattr(received, name) for name in REMOTE_FIELDS}
    started = received.remote_started_at or NOON
    local: dict[str, Any] = {
        "workspace": "default",
        "state": received.state.value,
        "started_at": started,
        "first_seen_at": NOON,
        "last_seen_at": NOON,
        "last_progress_at": NOON,
        "end_reason": _END_REASONS.get(received.status, ""),
        "users_twice": False,
    }
    if local["end_reason"]:
        local["finished_at"] = NOON
    operation = ImportOperation(pk=1, **remote, **local | fields)
    operation.outcome = operation.end_outcome()
    return operation


def render(event: Event, operation: ImportOperation) -> Message:
    """Return the message for an event as it is delivered, from its stored form."""
    draft = draft_operation_alert(
        event,
        operation,
        at=NOON,
        key="key",
        states=(None, operation.state),
        log_from=NOON,
        step=operation.status,
        transition_pk=None,
    )
    return render_message(json.loads(json.dumps(draft.body)))


@pytest.mark.thorough(one_in=9)
@pytest.mark.parametrize("name", MALFORMED_DOCUMENTS)
def test_any_document_renders_to_printable_lines(settings: Any, name: str) -> None:
    settings.IMPORTMONITOR = settings.IMPORTMONITOR | {"BASE_URL": "https://imports.example.org"}
    for end in ("", *EndReason.values):
        operation = row(
            MALFORMED_DOCUMENTS[name].document, end_reason=end, finished_at=NOON if end else None
        )
        for event in OPERATION_EVENTS:
            message = render(event, operation)
            assert message.title.isprintable()
            assert all(line.isprintable() for line in message.text.split("\n"))
            assert message.title.startswith("default: Import")
            assert len(message.title) < 1000
            assert len(message.text) < 5000
            assert "ada@example.org" not in json.dumps(message.body) + message.text


def test_text_of_an_operation_starts_no_line(settings: Any) -> None:
    forged = "x\r\nOutcome: done\u2028Outcome: done\x85Outcome: done\x1b[2J"
    message = render(
        Event.FAILED,
        row(
            RUNNING
            | {"type": forged, "file": forged, "status": forged, "importerKey": forged}
            | {"user": "u\nOutcome: done"}
        ),
    )
    assert not any(line.startswith("Outcome") for line in message.text.splitlines())
    assert len(message.title.splitlines()) == 1


def test_printable_text_of_an_operation_is_unchanged() -> None:
    message = render(
        Event.STARTED, row(RUNNING | {"type": SCRIPT, "file": "Nutzer (ä) 100% {0}.csv"})
    )
    assert SCRIPT in message.title
    assert "File: Nutzer (ä) 100% {0}.csv" in message.text.splitlines()
    assert message.body["operation"]["file"] == "Nutzer (ä) 100% {0}.csv"


def test_direction_overrides_are_removed() -> None:
    message = render(Event.STARTED, row(RUNNING | {"file": BACKWARDS}))
    assert "\N{RIGHT-TO-LEFT OVERRIDE}" not in message.title + message.text


def test_empty_operation_is_named_by_its_id() -> None:
    operation = row({})
    assert (
        render(Event.STARTED, operation).title == f"default: Import started ({operation.remote_id})"
    )


def test_file_is_named_without_rocketchats_prefix() -> None:
    operation = row(RUNNING | {"file": "20260225110000_d26x6zSkaPSe5gCyy_people.csv"})
    assert render(Event.STARTED, operation).body["operation"]["file"] == "people.csv"


@pytest.mark.parametrize(
    ("count", "progress"),
    [
        ({"total": 1234567, "completed": 1234}, "Progress: 1,234 of 1,234,567 (0 %)"),
        ({"total": 0, "completed": 0}, "Progress: 0 of 0"),
        ({"total": 135, "completed": 179}, "Progress: 179 of 135 (99 %)"),
        ({"completed": 5}, "Progress: 5"),
        ({"total": 5}, None),
        ({}, None),
    ],
)
def test_counters_are_shown_as_progress(count: Mapping[str, int], progress: str | None) -> None:
    lines = render(Event.STALLED, row(RUNNING | {"count": count})).text.splitlines()
    assert [line for line in lines if line.startswith("Progress")] == list(filter(None, [progress]))


@pytest.mark.parametrize(
    ("language", "progress"),
    [("de", "1.234 von 1.234.567 (0 %)"), ("pt-br", "1.234 de 1.234.567 (0 %)")],
)
def test_counters_are_localized(language: str, progress: str) -> None:
    operation = row(RUNNING | {"count": {"total": 1234567, "completed": 1234}})
    with translation.override(language):
        assert f": {progress}\n" in render(Event.STALLED, operation).text


def test_time_left_is_shown_if_there_is_an_estimate() -> None:
    operation = row(
        RUNNING | {"count": {"total": 100, "completed": 40}}, seconds_left=120, forecast_at=NOON
    )
    message = render(Event.RESUMED, operation)
    assert "Time left: about 2 min" in message.text.splitlines()
    assert message.body["operation"]["seconds_left"] == 120
    assert "Time left" not in render(Event.RESUMED, row(RUNNING)).text


def test_duration_of_a_year_is_shown() -> None:
    operation = row(RUNNING, started_at=NOON - timedelta(days=365))
    assert "Duration: 365 d 0 h" in render(Event.STALLED, operation).text.splitlines()


def test_response_of_a_workspace_is_one_line() -> None:
    draft = draft_workspace_alert(
        Event.UNREACHABLE,
        Workspace(alias="default"),
        at=NOON,
        since=NOON,
        outcome="NotRocketChat",
        message="HTTP status 200\r\nUntil: now\x1b[2J",
    )
    message = render_message(json.loads(json.dumps(draft.body)))
    assert [block.partition(" ")[0] for block in message.text.split("\n\n")] == [
        "Since:",
        "HTTP",
        "An",
    ]
    assert len(message.text.splitlines()) == 5


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["NUL", "lone surrogate", "all null", "script in every string"])
def test_malformed_document_is_delivered(recorder: Recorder, name: str) -> None:
    sync_documents(NOON - timedelta(days=1), None)
    document = {**MALFORMED_DOCUMENTS[name].document, "ts": NOON.isoformat()}
    sync_documents(NOON, document, document)
    assert recorder.events == ["import.started"]
    row = Alert.objects.get()
    assert (row.attempts, row.last_error) == (1, "")
    assert recorder.messages[0].title.isprintable()


def test_failure_links_to_the_log_where_a_viewer_is_configured(settings: Any) -> None:
    failed = row(RUNNING | {"status": "importer_import_failed"})
    message = render(Event.FAILED, failed)
    assert message.body["server_log"]["log_url"] is None
    assert "Server log:" not in message.text
    options = settings.IMPORTMONITOR["WORKSPACES"]["default"]
    log_url = "https://logs.example.org/{id}?from={from}&to={to_ms}"
    settings.IMPORTMONITOR = settings.IMPORTMONITOR | {
        "WORKSPACES": {"default": options | {"LOG_URL": log_url}}
    }
    message = render(Event.FAILED, failed)
    url = f"https://logs.example.org/{RUNNING['_id']}?from=2026-03-25T12%3A00%3A00.000Z"
    assert message.body["server_log"]["log_url"].startswith(f"{url}&to=1774440001000")
    assert f"Server log: {url}&to=" in message.text
    # An alert that an earlier release wrote.
    del message.body["server_log"]["log_url"]
    assert "Server log:" not in render_message(message.body).text


@pytest.mark.parametrize(
    ("names", "shown"),
    [
        ({"started_by_name": "Ada\nLovelace"}, "Ada Lovelace"),
        ({"started_by_name": ""}, "u1"),
        ({}, "u1"),
    ],
)
def test_user_is_named_in_the_text(names: dict[str, str], shown: str) -> None:
    """Alerts that an earlier release has written have no name."""
    body = render(Event.FINISHED, row(RUNNING | {"user": "u1"})).body
    del body["operation"]["started_by_name"]
    body["operation"] |= names
    assert f"Started by: {shown}" in render_message(body).text.splitlines()
