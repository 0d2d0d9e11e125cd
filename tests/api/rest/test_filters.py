"""Each filter finds exactly what it says; what cannot be understood is said to be wrong."""

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
from tests.api.rest.asking import OPERATIONS, WORKSPACES, Asking, five, problem, samples

MINUTE = timedelta(minutes=1)
NEPAL = "2026-03-25T17:45:00+05:45"
FILTERS = (
    *("workspace", "remote_id", "state", "status", "outcome", "importer_key", "remote_user_id"),
    *("has_errors", "stalled"),
    *("started_after", "started_before", "finished_after", "finished_before"),
)


@pytest.fixture
def rows(db: None) -> list[ImportOperation]:
    """Operations of every end and state, of several workspaces, importers, people and counts."""
    found = []
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
        found.append(row)
    ImportOperation.objects.bulk_create(found)
    return list(ImportOperation.objects.all())


def exactly(name: str) -> Callable[[ImportOperation, str], bool]:
    return lambda row, value: getattr(row, name) == value


def as_text(name: str) -> Callable[[ImportOperation, str], bool]:
    return lambda row, value: compared(getattr(row, name)) == compared(value)


def compared(text: str) -> str:
    """Return what a database takes a text for: MySQL and MariaDB mind neither case nor spaces."""
    return text.lower().rstrip() if connection.vendor == "mysql" else text


def outcome(row: ImportOperation, value: str) -> bool:
    return row.finished_at is None if value == "open" else row.outcome == value


def after(name: str) -> Callable[[ImportOperation, str], bool]:
    return lambda row, value: bool(getattr(row, name) and getattr(row, name) >= moment(value))


def before(name: str) -> Callable[[ImportOperation, str], bool]:
    return lambda row, value: bool(getattr(row, name) and getattr(row, name) < moment(value))


def moment(value: str) -> datetime:
    found = parse_datetime(value)
    assert found is not None
    return found


#: What each filter means, and values to try it with.
MEANINGS: dict[str, tuple[Callable[[ImportOperation, str], bool], list[str]]] = {
    "workspace": (as_text("workspace"), ["default", "acme", "ACME", "nowhere", "acme-2", "%", " "]),
    "remote_id": (exactly("remote_id"), ["remote00000000007", "REMOTE00000000007", "remote", "_"]),
    "state": (as_text("state"), [each.value for each in ImportState if each != ImportState.NONE]),
    "status": (as_text("status"), ["importer_done", "Importer_Done", "importer", "importer_done "]),
    "outcome": (outcome, ["open", *Outcome.values]),
    "importer_key": (as_text("importer_key"), ["csv", "csv ", "CSV", "slack"]),
    "remote_user_id": (exactly("remote_user_id"), ["Ada", "ada", "nobody", "' OR 1=1 --"]),
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


def test_each_filter_is_tried() -> None:
    assert set(MEANINGS) == set(FILTERS)


@pytest.mark.parametrize("name", FILTERS)
def test_filters(asking: Asking, rows: list[ImportOperation], name: str) -> None:
    meaning, values = MEANINGS[name]
    seen = set()
    for value in values:
        found = {each["id"] for each in asking.rows(OPERATIONS, {name: value, "page_size": 500})}
        wanted = {row.pk for row in rows if meaning(row, value)}
        assert found == wanted, value
        seen.add(len(wanted))
    assert seen - {0}, "something has to be found"


def test_all_of_them_have_to_hold(asking: Asking, rows: list[ImportOperation]) -> None:
    asked = {"workspace": "acme", "outcome": "done_with_errors", "has_errors": "true"}
    found = {each["id"] for each in asking.rows(OPERATIONS, asked)}
    wanted = {
        row.pk
        for row in rows
        if row.workspace == "acme" and row.outcome == Outcome.DONE_WITH_ERRORS
    }
    assert found == wanted != set()
    assert asking.rows(OPERATIONS, asked | {"has_errors": "false"}) == []


def test_a_time_is_the_same_in_every_zone(asking: Asking, settings: Any) -> None:
    make_row().save()
    for zone in ("UTC", "Asia/Kathmandu"):
        settings.TIME_ZONE = zone
        for told in ("2026-03-25T12:00:00Z", NEPAL, "2026-03-25T05:00:00-07:00"):
            assert len(asking.rows(OPERATIONS, {"started_after": told})) == 1
            assert len(asking.rows(OPERATIONS, {"started_before": told})) == 0


WRONG = [
    *((name, value) for name in ("has_errors", "stalled") for value in ("yes", "2", "null")),
    *((name, value) for name in ("state", "outcome") for value in ("none", "DONE", "done,error")),
    *((name, "") for name in (*FILTERS, "ordering", "page_size", "cursor")),
    *((name, "\0") for name in FILTERS),
    *((name, value) for name in FILTERS[-4:] for value in ("yesterday", "1774440000", "12:00")),
    # Without a zone it would mean something else on every server.
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


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_wrong_values(asking: Asking, name: str, value: str) -> None:
    found = problem(asking.get(OPERATIONS, {name: value}), 400)
    assert list(found["errors"]) == [name]
    assert found["detail"].startswith(f"{name}: ")


@pytest.mark.parametrize("name", ["state", "page_size", "cursor", "ordering", "workspace"])
def test_what_is_given_twice(asking: Asking, name: str) -> None:
    found = problem(asking.get(OPERATIONS, [(name, "1"), (name, "2")]), 400)
    assert list(found["errors"]) == [name]


def test_everything_that_is_wrong_is_told(asking: Asking) -> None:
    asked = {"state": "gone", "outcome": "gone", "started_after": "then"}
    found = problem(asking.get(OPERATIONS, asked), 400)
    assert set(found["errors"]) == set(asked)
    assert all(name in found["detail"] for name in asked)


def test_unknown_parameters(asking: Asking) -> None:
    operation = make_row()
    operation.save()
    for url in five(operation.pk):
        for name in ("states", "State", "<script>", "fields", "limit", "", "page[]"):
            found = problem(asking.get(url, {name: "x"}), 400)
            assert list(found["errors"]) == [name], (url, name)
    # Each minds those of the others.
    assert problem(asking.get(samples(operation.pk), {"state": "done"}), 400)
    assert problem(asking.get(WORKSPACES, {"cursor": "x"}), 400)
    assert problem(asking.get(OPERATIONS, {"page": "1"}), 400)


def test_unknown_ones_are_told_what_is_known(asking: Asking) -> None:
    found = problem(asking.get(WORKSPACES, {"x": "1"}), 400)
    assert "page, page_size" in found["detail"]


@pytest.mark.parametrize("count", [1001, 5000])
def test_more_parameters_than_django_reads(asking: Asking, count: int) -> None:
    problem(asking.get(OPERATIONS, {f"a{number}": "1" for number in range(count)}), 400)


def test_nothing_depends_on_the_site_s_language(asking: Asking) -> None:
    row = make_row(started_at=datetime(2026, 3, 25, 12, tzinfo=UTC), rate=1.5)
    row.save()
    english = asking.get(OPERATIONS).json()
    german = asking.get(OPERATIONS, Accept_Language="de").json()
    for each in (english, german):
        each["results"][0].pop("duration_seconds")
    assert german == english
