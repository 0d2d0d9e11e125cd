"""No operation and no answer of a workspace breaks a message, or gets to say more than a line."""

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from django.utils import translation

from importmonitor.alerts.messages import (
    Message,
    draft_operation_alert,
    draft_workspace_alert,
    render_message,
)
from importmonitor.choices import Event
from importmonitor.models import Alert, EndReason, ImportOperation
from importmonitor.rocketchat.operation import parse_operation
from importmonitor.sync.diff import REMOTE_FIELDS
from tests.alerts.backends import Post
from tests.alerts.helpers import sync_documents
from tests.api import helpers
from tests.api.helpers import NOON
from tests.malformed_documents import BACKWARDS, ODD, SCRIPT

RUNNING = dict(helpers.RUNNING)
OPERATION_EVENTS = [event for event in Event if event.startswith("import.")]


def row(document: Mapping[str, Any], **fields: Any) -> ImportOperation:
    """Return an operation as a look would store it."""
    received = parse_operation(dict(document))
    remote: dict[str, Any] = {name: getattr(received, name) for name in REMOTE_FIELDS}
    started = received.remote_started_at or NOON
    known: dict[str, Any] = {
        "workspace": "default",
        "state": received.state.value,
        "started_at": started,
        "first_seen_at": NOON,
        "last_seen_at": NOON,
        "last_progress_at": NOON,
        "end_reason": EndReason.from_remote(received.status, received.valid) or "",
    }
    operation = ImportOperation(pk=1, **remote, **known | fields)
    operation.outcome = operation.end_outcome()
    return operation


def told(event: Event, operation: ImportOperation) -> Message:
    """Return a message as it is delivered, from its stored form."""
    notice = draft_operation_alert(
        event,
        operation,
        at=NOON,
        key="key",
        states=(None, operation.state),
        log_from=NOON,
        step=operation.status,
        transition_pk=None,
    )
    return render_message(json.loads(json.dumps(notice.body)))


@pytest.mark.thorough(one_in=4)
@pytest.mark.parametrize("name", ODD)
def test_no_document_breaks_a_message(settings: Any, name: str) -> None:
    settings.IMPORTMONITOR = settings.IMPORTMONITOR | {"BASE_URL": "https://imports.example.org"}
    for end in ("", *EndReason.values):
        operation = row(ODD[name].document, end_reason=end, finished_at=NOON if end else None)
        for event in OPERATION_EVENTS:
            made = told(event, operation)
            assert made.title.isprintable()
            assert all(line.isprintable() for line in made.text.split("\n"))
            assert made.title.startswith("default: Import")
            assert len(made.title) < 1000
            assert len(made.text) < 5000
            assert "ada@example.org" not in json.dumps(made.body) + made.text


def test_what_an_operation_says_begins_no_line(settings: Any) -> None:
    forged = "x\r\nOutcome: done\u2028Outcome: done\x85Outcome: done\x1b[2J"
    made = told(
        Event.FAILED,
        row(
            RUNNING
            | {"type": forged, "file": forged, "status": forged, "importerKey": forged}
            | {"user": "u\nOutcome: done"}
        ),
    )
    assert not any(line.startswith("Outcome") for line in made.text.splitlines())
    assert len(made.title.splitlines()) == 1


def test_what_an_operation_says_is_repeated_as_it_is_otherwise() -> None:
    made = told(Event.STARTED, row(RUNNING | {"type": SCRIPT, "file": "Nutzer (ä) 100% {0}.csv"}))
    assert SCRIPT in made.title
    assert "File: Nutzer (ä) 100% {0}.csv" in made.text.splitlines()
    assert made.body["operation"]["file"] == "Nutzer (ä) 100% {0}.csv"


def test_a_file_name_that_reads_backwards_does_not() -> None:
    made = told(Event.STARTED, row(RUNNING | {"file": BACKWARDS}))
    assert "\N{RIGHT-TO-LEFT OVERRIDE}" not in made.title + made.text


def test_an_operation_of_which_nothing_is_known_is_called_by_its_id() -> None:
    operation = row({})
    assert (
        told(Event.STARTED, operation).title == f"default: Import started ({operation.remote_id})"
    )


def test_a_file_is_called_by_its_own_name() -> None:
    operation = row(RUNNING | {"file": "20260225110000_d26x6zSkaPSe5gCyy_people.csv"})
    assert told(Event.STARTED, operation).body["operation"]["file"] == "people.csv"


@pytest.mark.parametrize(
    ("count", "counted"),
    [
        ({"total": 1234567, "completed": 1234}, "Counted: 1,234 of 1,234,567 (0 %)"),
        ({"total": 0, "completed": 0}, "Counted: 0 of 0"),
        ({"total": 135, "completed": 179}, "Counted: 179 of 135 (100 %)"),
        ({"completed": 5}, "Counted: 5"),
        ({"total": 5}, None),
        ({}, None),
    ],
)
def test_counters(count: Mapping[str, int], counted: str | None) -> None:
    lines = told(Event.STALLED, row(RUNNING | {"count": count})).text.splitlines()
    assert [line for line in lines if line.startswith("Counted")] == ([counted] if counted else [])


@pytest.mark.parametrize(
    ("language", "counted"),
    [("de", "1.234 von 1.234.567 (0 %)"), ("pt-br", "1.234 de 1.234.567 (0 %)")],
)
def test_counters_as_one_writes_them_there(language: str, counted: str) -> None:
    operation = row(RUNNING | {"count": {"total": 1234567, "completed": 1234}})
    with translation.override(language):
        assert f": {counted}\n" in told(Event.STALLED, operation).text


def test_time_left_is_told_where_it_is_known() -> None:
    operation = row(RUNNING | {"count": {"total": 100, "completed": 40}}, rate=0.5)
    made = told(Event.RESUMED, operation)
    assert "Time left: about 2 min" in made.text.splitlines()
    assert made.body["operation"]["seconds_left"] == 120
    assert "Time left" not in told(Event.RESUMED, row(RUNNING)).text


def test_an_import_of_a_year_has_a_duration() -> None:
    operation = row(RUNNING, started_at=NOON - timedelta(days=365))
    assert "Duration: 365 d 0 h" in told(Event.STALLED, operation).text.splitlines()


def test_the_answer_of_a_workspace_is_one_line() -> None:
    notice = draft_workspace_alert(
        Event.UNREACHABLE,
        "default",
        at=NOON,
        since=NOON,
        outcome="NotRocketChat",
        message="was answered\r\nUntil: now\x1b[2J",
    )
    made = render_message(json.loads(json.dumps(notice.body)))
    assert [line.partition(" ")[0] for line in made.text.splitlines()] == ["Since:", "was", "That"]


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["NUL", "lone surrogate", "all null", "script in every string"])
def test_an_odd_document_is_told_through_the_outbox(post: Post, name: str) -> None:
    sync_documents(NOON - timedelta(days=1), None)
    document = {**ODD[name].document, "ts": NOON.isoformat()}
    sync_documents(NOON, document, document)
    assert post.events == ["import.started"]
    row = Alert.objects.get()
    assert (row.attempts, row.last_error) == (1, "")
    assert post.messages[0].title.isprintable()
