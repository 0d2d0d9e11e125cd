"""The paginator counts up to a limit and reads far pages by their keys."""

from typing import Any

import pytest
from django.db import connection
from django.test import Client

from importmonitor.admin import paginator as paginator_module
from importmonitor.admin.paginator import CappedPaginator
from importmonitor.models import ImportOperation
from tests.admin.helpers import HISTORY, page, save_rows


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("rows", "count", "is_capped"), [(9, 9, False), (10, 10, False), (11, 10, True)]
)
def test_rows_are_counted_up_to_a_limit(
    monkeypatch: pytest.MonkeyPatch, rows: int, count: int, is_capped: bool
) -> None:
    monkeypatch.setattr(paginator_module, "MAX_COUNT", 10)
    save_rows(rows)
    paginator = CappedPaginator(ImportOperation.objects.newest_first(), 4)
    assert (paginator.count, paginator.is_capped, paginator.num_pages) == (count, is_capped, 3)
    assert len(paginator.page(3).object_list) == (1 if rows == 9 else 2)


def test_list_says_that_there_are_more_rows(root: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    save_rows(61)
    notice = "There are more rows than are counted here"
    assert notice not in page(root.get(HISTORY)).words
    monkeypatch.setattr(paginator_module, "MAX_COUNT", 60)
    shown = page(root.get(f"{HISTORY}?p=2"))
    assert notice in shown.words
    assert len(shown.rows) == 10


@pytest.mark.django_db
def test_far_pages_have_the_same_rows_as_without_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paginator_module, "_DEEP_OFFSET", 10)
    save_rows(43)
    for rows in (
        ImportOperation.objects.newest_first(),
        ImportOperation.objects.order_by("started_at", "pk").defer("payload"),
        ImportOperation.objects.newest_first().filter(count_error=None, workspace="default"),
    ):
        paginator, keys = CappedPaginator(rows, 5), list(rows.values_list("pk", flat=True))
        pages = [[row.pk for row in shown.object_list] for shown in paginator]
        assert [len(shown) for shown in pages] == [5] * 8 + [3]
        assert [key for shown in pages for key in shown] == keys


@pytest.mark.django_db
def test_far_pages_are_read_by_their_keys_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the filter's condition as well, SQLite scans all rows that fulfil it."""
    if not connection.features.allow_sliced_subqueries_with_in:
        pytest.skip("accepts no LIMIT within an IN")
    monkeypatch.setattr(paginator_module, "_DEEP_OFFSET", 10)
    save_rows(12)
    paginator = CappedPaginator(ImportOperation.objects.newest_first().filter(valid=True), 5)
    rows: Any = paginator.page(3).object_list
    sql = str(rows.query)
    assert "LIMIT" in sql
    assert sql.count("valid", sql.index("WHERE")) == 1
