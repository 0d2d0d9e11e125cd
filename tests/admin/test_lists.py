"""The lists below: pages that are counted up to some, filters, and the health of the sync."""

from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from importmonitor.admin import paginator as paginator_module
from importmonitor.admin.paginator import CappedPaginator
from importmonitor.models import ImportOperation, SyncPeriod
from tests.admin.helpers import HISTORY, make_row, page, save_rows
from tests.admin.workspace_states import HEALTH, configure, polled_ago

# Pages of the list.


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("rows", "count", "capped"), [(9, 9, False), (10, 10, False), (11, 10, True)]
)
def test_rows_are_counted_up_to_some(
    monkeypatch: pytest.MonkeyPatch, rows: int, count: int, capped: bool
) -> None:
    monkeypatch.setattr(paginator_module, "MOST", 10)
    save_rows(rows)
    paginator = CappedPaginator(ImportOperation.objects.newest_first(), 4)
    assert (paginator.count, paginator.is_capped, paginator.num_pages) == (count, capped, 3)
    assert len(paginator.page(3).object_list) == (1 if rows == 9 else 2)


def test_that_there_are_more_is_told(root: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    save_rows(61)
    told = "There are more: rows are counted up to here"
    assert told not in page(root.get(HISTORY)).words
    monkeypatch.setattr(paginator_module, "MOST", 60)
    found = page(root.get(f"{HISTORY}?p=2"))
    assert told in found.words
    assert len(found.rows) == 10


@pytest.mark.django_db
def test_a_page_far_down_has_the_same_rows_as_if_all_were_read() -> None:
    save_rows(1_080)
    for rows in (
        ImportOperation.objects.newest_first(),
        ImportOperation.objects.order_by("started_at", "pk").defer("payload"),
        ImportOperation.objects.newest_first().filter(count_error=None, workspace="default"),
    ):
        paginator, keys = CappedPaginator(rows, 50), list(rows.values_list("pk", flat=True))
        read = [[row.pk for row in each.object_list] for each in paginator]
        assert len(read) == 22
        assert [key for each in read for key in each] == keys
        assert len(paginator.page(22)) == 30


@pytest.mark.django_db
def test_the_rows_of_a_page_far_down_are_found_by_their_keys_alone() -> None:
    """With a condition beside them, SQLite goes through all rows that it leaves."""
    if not connection.features.allow_sliced_subqueries_with_in:
        pytest.skip("takes no LIMIT within an IN")
    save_rows(600)
    paginator = CappedPaginator(ImportOperation.objects.newest_first().filter(valid=True), 50)
    rows: Any = paginator.page(12).object_list
    sql = str(rows.query)
    assert "LIMIT" in sql
    assert sql.count("valid", sql.index("WHERE")) == 1


def test_what_is_not_found_is_looked_for_once(root: Client) -> None:
    save_rows(3)
    with CaptureQueriesContext(connection) as captured:
        assert page(root.get(f"{HISTORY}?q=nothing of that name")).rows == []
    searches = [each for each in captured if "nothing" in each["sql"]]
    assert len(searches) == 1


# Filters.


@pytest.mark.parametrize(("value", "counts"), [("yes", {1, 7}), ("no", {None, 0, -1})])
def test_the_filter_by_errors(root: Client, value: str, counts: set[int | None]) -> None:
    for number, count in enumerate((None, 0, -1, 1, 7)):
        make_row(number, count_error=count).save()
    rows = root.get(f"{HISTORY}?errors={value}").context["cl"].queryset
    assert set(rows.values_list("count_error", flat=True)) == counts


def test_the_filter_by_who_started_them(root: Client) -> None:
    """The busiest of late are offered; who has not started any of late is still found."""
    now = 0
    for number in range(30):
        for _ in range(30 - number):
            now += 1
            make_row(now, remote_user_id=f"user{number:02d}").save()
    make_row(999, remote_user_id="").save()
    offered = [each for each in page(root.get(HISTORY)).links if each.startswith("?started_by=")]
    assert offered == [f"?started_by=user{number:02d}" for number in range(20)]
    response = root.get(f"{HISTORY}?started_by=user29")
    assert response.context["cl"].result_count == 1
    assert "?started_by=user29" in page(response).links
    assert root.get(f"{HISTORY}?started_by=nobody").context["cl"].result_count == 0


# Sync health.


def test_a_strip_for_each_workspace(root: Client, settings: Any) -> None:
    aliases = [f"w{number:02d}" for number in range(23)]
    configure(settings, *aliases)
    polled_ago("w01", at=timezone.now())
    polled_ago("w02", "Unreachable", at=timezone.now())
    response = root.get(HEALTH)
    assert [alias for alias, _ in response.context["strips"]] == aliases[:20]
    found = page(response)
    assert "and 3 more workspaces: choose one in the filter" in found.words
    assert len(found.rows) == 2
    strips = {alias: str(strip) for alias, strip in response.context["strips"]}
    assert "100 %" in strips["w01"]
    assert "100 %" not in strips["w02"]
    [(alias, _)] = root.get(f"{HEALTH}?workspace=w22").context["strips"]
    assert alias == "w22"


def test_how_looks_went_can_be_filtered(root: Client, settings: Any) -> None:
    configure(settings, "a", "b")
    for alias, outcome in (("a", SyncPeriod.OK), ("b", "Unreachable"), ("c", "BadAnswer")):
        polled_ago(alias, outcome)

    def rows(query: str) -> set[str]:
        found = root.get(f"{HEALTH}?{query}").context["cl"].queryset
        return set(found.values_list("outcome", flat=True))

    assert rows("look=failing") == {"Unreachable", "BadAnswer"}
    assert rows("look=BadAnswer") == {"BadAnswer"}
    assert rows("look=nonsense") == set()
    assert rows("workspace=b") == {"Unreachable"}
    assert rows("") == {SyncPeriod.OK, "Unreachable", "BadAnswer"}
