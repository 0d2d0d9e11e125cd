"""Filters return exactly the matching rows; invalid parameters are errors."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import pytest
from django.db import connection
from django.utils.dateparse import parse_datetime

from importmonitor.models import EndReason, ImportOperation, Outcome
from importmonitor.rocketchat.states import ImportState
from tests.admin.helpers import make_row
from tests.api.helpers import NOON
from tests.api.rest.api_client import (
    OPERATIONS,
    WORKSPACES,
    ApiClient,
    all_urls,
    problem,
    samples_url,
)

MINUTE = timedelta(minutes=1)
NEPAL = "2026-03-25T17:45:00+05:45"
FILTERS = (
    *("workspace", "remote_id", "state", "status", "outcome", "importer_key", "remote_user_id"),
    *("has_errors", "stalled"),
    *("started_after", "started_before", "finished_after", "finished_before"),
)


@pytest.fixture
def rows(db: None) -> list[ImportOperation]:
    """Operations with every end and state, and various workspaces, importers and users."""
    operations = []
    ends = product(("", *EndReason.values), (None, 0, 3), (None, 5, 10))
    for number, (end_reason, errors, completed) in enumerate(ends):
        row = make_row(
            number,
            end_reason=end_reason,
            count_error=errors,
            count_completed=completed,
            count_total=10,
            workspace=("default", "acme", "acme-2")[number % 3],
            state=list(ImportState)[number % len(ImportState)].value,
            status=("importer_done", "importer_new", "Importer_Done")[number % 3],
            importer_key=("csv", "slack", "csv ", "")[number % 4],
            remote_user_id=("Ada", "ada", "")[number % 3],
            stalled_since=NOON if number % 5 == 0 else None,
        )
        operations.append(row)
    ImportOperation.objects.bulk_create(operations)
    return list(ImportOperation.objects.all())


def exactly(name: str) -> Callable[[ImportOperation, str], bool]:
    return lambda row, value: getattr(row, name) == value


def as_text(name: str) -> Callable[[ImportOperation, str], bool]:
    return lambda row, value: compared(getattr(row, name)) == compared(value)


def compared(text: str) -> str:
    """Return a text as the database compares it: MySQL and MariaDB ignore case and spaces."""
    return text.lower().rstrip() if connection.vendor == "mysql" else text


def outcome(row: ImportOperation, value: str) -> bool:
    return row.finished_at is None if value == "open" else row.outcome == value


def after(name: str) -> Callable[[ImportOperation, str], bool]:
    return lambda row, value: bool(getattr(row, name) and getattr(row, name) >= moment(value))


def before(name: str) -> Callable[[ImportOperation, str], bool]:
    return lambda row, value: bool(getattr(row, name) and getattr(row, name) < moment(value))


def moment(value: str) -> datetime:
    parsed = parse_datetime(value)
    assert parsed is not None
    return parsed


#: The meaning of each filter, and values to test it with.
MEANINGS: dict[str, tuple[Callable[[ImportOperation, str], bool], list[str]]] = {
    "workspace": (as_text("workspace"), ["default", "acme", "ACME", "nowhere", "acme-2", "%", " "]),
    "remote_id": (exactly("remote_id"), ["remote00000000007", "REMOTE00000000007", "remote", "_"]),
    "state": (
        as_text("state"),
        [state.value for state in ImportState if state != ImportState.NONE],
    ),
    "status": (as_text("status"), ["importer_done", "Importer_Done", "importer", "importer_done "]),
    "outcome": (outcome, ["open", *Outcome.values]),
    "importer_key": (as_text("importer_key"), ["csv", "csv ", "CSV", "slack"]),
    "remote_user_id": (exactly("remote_user_id"), ["Ada", "ada", "unknown", "' OR 1=1 --"]),
    "has_errors": (
        lambda row, value: ((row.count_error or 0) > 0) == (value.lower() == "true"),
        ["true", "false", "True", "False"],
    ),
    "stalled": (
        lambda row, value: (row.stalled_since is not None) == (value == "true"),
        ["true", "false"],
    ),
    "started_after": (after("started_at"), ["2026-03-25T11:40:00Z", NEPAL]),
    "started_before": (before("started_at"), ["2026-03-25T11:40:00Z", NEPAL]),
    "finished_after": (after("finished_at"), ["2026-03-25T11:40:00Z", NEPAL]),
    "finished_before": (before("finished_at"), ["2026-03-25T11:40:00.000Z", NEPAL]),
}


def test_every_filter_has_a_case() -> None:
    assert set(MEANINGS) == set(FILTERS)


@pytest.mark.thorough(one_in=3)
@pytest.mark.parametrize("name", FILTERS)
def test_filter_returns_exactly_the_matching_rows(
    api: ApiClient, rows: list[ImportOperation], name: str
) -> None:
    meaning, values = MEANINGS[name]
    counts = set()
    for value in values:
        ids = {row["id"] for row in api.rows(OPERATIONS, {name: value, "page_size": 500})}
        expected = {row.pk for row in rows if meaning(row, value)}
        assert ids == expected, value
        counts.add(len(expected))
    assert counts - {0}, "no value matches a row"


def test_filters_are_combined_with_and(api: ApiClient, rows: list[ImportOperation]) -> None:
    parameters = {"workspace": "acme", "outcome": "done_with_errors", "has_errors": "true"}
    ids = {row["id"] for row in api.rows(OPERATIONS, parameters)}
    expected = {
        row.pk
        for row in rows
        if row.workspace == "acme" and row.outcome == Outcome.DONE_WITH_ERRORS
    }
    assert ids == expected != set()
    assert api.rows(OPERATIONS, parameters | {"has_errors": "false"}) == []


def test_times_are_compared_across_zones(api: ApiClient, settings: Any) -> None:
    make_row().save()
    for zone in ("UTC", "Asia/Kathmandu"):
        settings.TIME_ZONE = zone
        for text in ("2026-03-25T12:00:00Z", NEPAL, "2026-03-25T05:00:00-07:00"):
            assert len(api.rows(OPERATIONS, {"started_after": text})) == 1
            assert len(api.rows(OPERATIONS, {"started_before": text})) == 0


WRONG = [
    *((name, value) for name in ("has_errors", "stalled") for value in ("yes", "2", "null")),
    *((name, value) for name in ("state", "outcome") for value in ("none", "DONE", "done,error")),
    *((name, "") for name in (*FILTERS, "ordering", "page_size", "cursor")),
    *((name, "\0") for name in FILTERS),
    *((name, value) for name in FILTERS[-4:] for value in ("yesterday", "1774440000", "12:00")),
    # Without a zone, the meaning would depend on the server.
    *((name, "2026-03-25T12:00:00") for name in FILTERS[-4:]),
    ("started_after", "2026-03-25"),
    ("started_after", "0001-01-01T00:00:00+14:00"),
    ("finished_before", "9999-12-31T23:59:59-14:00"),
    *(
        ("ordering", value)
        for value in ("id", "-id", "started_at,id", "-STARTED_AT", "--started_at")
    ),
    *(("page_size", value) for value in ("0", "-1", "501", "1.5", "ten", "٣", " 5", "9" * 5000)),
]


@pytest.mark.thorough(one_in=4)
@pytest.mark.parametrize(("name", "value"), WRONG)
def test_invalid_value_is_400(api: ApiClient, name: str, value: str) -> None:
    error = problem(api.get(OPERATIONS, {name: value}), 400)
    assert list(error["errors"]) == [name]
    assert error["detail"].startswith(f"{name}: ")


@pytest.mark.parametrize("name", ["state", "page_size", "cursor", "ordering", "workspace"])
def test_repeated_parameter_is_400(api: ApiClient, name: str) -> None:
    error = problem(api.get(OPERATIONS, [(name, "1"), (name, "2")]), 400)
    assert list(error["errors"]) == [name]


def test_all_invalid_parameters_are_listed(api: ApiClient) -> None:
    parameters = {"state": "gone", "outcome": "gone", "started_after": "then"}
    error = problem(api.get(OPERATIONS, parameters), 400)
    assert set(error["errors"]) == set(parameters)
    assert all(name in error["detail"] for name in parameters)


def test_unknown_parameter_is_400(api: ApiClient) -> None:
    operation = make_row()
    operation.save()
    for url in all_urls(operation.pk):
        for name in ("states", "State", "<script>", "fields", "limit", "", "page[]"):
            error = problem(api.get(url, {name: "x"}), 400)
            assert list(error["errors"]) == [name], (url, name)
    # The parameters of other endpoints are unknown.
    assert problem(api.get(samples_url(operation.pk), {"state": "done"}), 400)
    assert problem(api.get(WORKSPACES, {"ordering": "x"}), 400)
    for url in (OPERATIONS, WORKSPACES):
        assert problem(api.get(url, {"page": "1"}), 400)


def test_error_lists_known_parameters(api: ApiClient) -> None:
    error = problem(api.get(WORKSPACES, {"x": "1"}), 400)
    assert "active, cursor, failing, page_size, search, status" in error["detail"]


@pytest.mark.parametrize("count", [1001, 5000])
def test_more_parameters_than_django_reads_are_400(api: ApiClient, count: int) -> None:
    problem(api.get(OPERATIONS, {f"a{number}": "1" for number in range(count)}), 400)


def test_bodies_do_not_depend_on_language(api: ApiClient) -> None:
    row = make_row(started_at=datetime(2026, 3, 25, 12, tzinfo=UTC), rate=1.5)
    row.save()
    english = api.get(OPERATIONS).json()
    german = api.get(OPERATIONS, Accept_Language="de").json()
    for body in (english, german):
        body["results"][0].pop("duration_seconds")
    assert german == english
