"""Whether an import is as usual, by the earlier ones of its kind."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from importmonitor.models import ImportOperation, Unusual, earlier_of_kind, find_unusual
from tests.admin.helpers import make_row
from tests.api.helpers import NOON

DONE: dict[str, Any] = {"end_reason": "done", "status": "importer_done", "state": "done"}


def done(number: int, minutes: float = 10, records: int = 1000, **fields: Any) -> ImportOperation:
    """Return a done import that started `number` hours before noon."""
    start = NOON - timedelta(hours=number)
    defaults: dict[str, Any] = {
        "started_at": start,
        "finished_at": start + timedelta(minutes=minutes),
        "count_total": records,
        "count_completed": records,
        "users_twice": False,
    }
    return make_row(number, **DONE | defaults | fields)


@pytest.mark.django_db
def test_earlier_ones_are_the_last_ten_done_of_the_same_workspace_and_importer() -> None:
    rows = [done(number) for number in range(14)]
    rows[3].end_reason, rows[3].outcome = "failed", "failed"
    rows[4].count_error = 1
    rows[4].outcome = rows[4].end_outcome()
    others = [
        done(20, workspace="other"),
        done(21, importer_key="slack"),
        make_row(22, started_at=NOON - timedelta(minutes=30)),
    ]
    ImportOperation.objects.bulk_create([*rows, *others])
    operation = ImportOperation.objects.get(remote_id=rows[0].remote_id)
    with CaptureQueriesContext(connection) as queries:
        earlier = earlier_of_kind(operation)
        assert find_unusual(operation, earlier, NOON) is None
    assert [row.remote_id for row in earlier] == [
        rows[number].remote_id for number in (1, 2, *range(4, 12))
    ]
    assert len(queries) == 1
    assert "payload" not in queries[0]["sql"]


@pytest.mark.django_db
def test_operation_without_an_importer_has_no_kind() -> None:
    assert earlier_of_kind(make_row(importer_key="")) == []


@pytest.mark.parametrize(
    ("operation", "unusual"),
    [
        (done(0, minutes=14), None),
        # Twice as long, but by less than ten minutes.
        (done(0, minutes=19), None),
        (done(0, minutes=21), Unusual.LONG),
        (done(0, records=251), None),
        (done(0, records=249), Unusual.FEW),
        (done(0, count_total=None, count_completed=None), None),
        # While it runs, the records say nothing, but the time does.
        (make_row(0, started_at=NOON - timedelta(minutes=19), count_completed=1), None),
        (make_row(0, started_at=NOON - timedelta(minutes=21), count_completed=1), Unusual.LONG),
        (make_row(0, started_at=NOON - timedelta(days=1), status="importer_user_selection"), None),
    ],
)
def test_import_is_unusual_if_much_longer_or_with_far_fewer_records(
    operation: ImportOperation, unusual: Unusual | None
) -> None:
    earlier = [done(number, minutes=9 + number / 3) for number in range(1, 6)]
    assert find_unusual(operation, earlier, NOON) == unusual
    assert find_unusual(operation, earlier[1:], NOON) is None


def test_few_records_are_judged_by_imports_whose_records_are_known() -> None:
    unknown = done(1, count_completed=None)
    earlier = [done(number) for number in range(1, 6)]
    few = done(0, records=1)
    assert find_unusual(few, [unknown, *earlier[1:]], NOON) is None
    assert find_unusual(few, [unknown, *earlier], NOON) == Unusual.FEW


@pytest.mark.django_db
def test_neighbours_name_the_downloads_that_ran_later() -> None:
    rows = [
        make_row(3, importer_key="pending-files"),
        make_row(2, importer_key="slack"),
        make_row(1, importer_key="pending-avatars"),
        make_row(0, importer_key="pending-files", workspace="other"),
    ]
    ImportOperation.objects.bulk_create(rows)
    slack = ImportOperation.objects.get(importer_key="slack")
    assert ImportOperation.objects.neighbours(slack).downloads == {"pending-avatars"}
