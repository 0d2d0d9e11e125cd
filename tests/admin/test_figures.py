"""The figures above the history: 30 days, compared with the 30 before."""

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client

from importmonitor.admin import figures
from importmonitor.models import ImportOperation
from tests.admin.helpers import HISTORY, make_row
from tests.api.helpers import NOON


def ended(number: int, days: float, minutes: int, end: str = "done", **fields: Any) -> None:
    started = NOON - timedelta(days=days)
    row = make_row(number, started_at=started, end_reason=end, **fields)
    row.finished_at = started + timedelta(minutes=minutes)
    row.save()


@pytest.fixture
def two_months(db: None) -> None:
    for number, (days, minutes, end) in enumerate(
        [
            *((1, 10, "done"), (2, 30, "done"), (3, 20, "done"), (29, 1, "failed")),
            *((31, 50, "done"), (40, 70, "interrupted"), (70, 90, "done")),
        ]
    ):
        ended(number, days, minutes, end, count_total=1_000, count_completed=1_000)
    # Users that are counted twice are records once.
    counts = {"count_completed": 150, "count_users": 50, "users_twice": True}
    make_row(9, started_at=NOON - timedelta(hours=1), **counts).save()


def shown(client: Client, query: str = "") -> list[tuple[str, str, str]]:
    """Return the figures of the page, with what a link into the list adds up to."""
    with time_machine.travel(NOON, tick=False):
        context = client.get(HISTORY + query).context
        return [
            (figure.label, str(figure.value), figure.before) for figure in context["figures"][:4]
        ]


@pytest.mark.usefixtures("two_months")
def test_figures_compare_30_days_with_the_30_before(root: Client) -> None:
    assert shown(root) == [
        ("Imports", "5", "before: 2"),
        ("Ended clean", "75 %", "before: 50 %"),
        ("Median duration", "20 min", "before: 50 min"),
        ("Records", "4,100", "before: 2,000"),
    ]
    assert shown(root, "?workspace=default") == shown(root)


@pytest.mark.usefixtures("two_months")
def test_figure_links_to_the_imports_that_it_counts(root: Client) -> None:
    with time_machine.travel(NOON, tick=False):
        links = [figure.href for figure in root.get(HISTORY).context["figures"]]
        counts = [root.get(HISTORY + link).context["cl"].result_count for link in links]
    assert counts == [5, 3, 3, 5, 5]


@pytest.mark.usefixtures("two_months")
def test_last_clean_import_is_the_newest_that_ended_without_errors(root: Client) -> None:
    with time_machine.travel(NOON, tick=False):
        assert "2026-03-24T12:10:00" in str(last_clean(root))
        ImportOperation.objects.update(outcome="failed")
        assert last_clean(root) == "–"


def last_clean(client: Client) -> Any:
    return client.get(HISTORY).context["figures"][4].value


def test_figures_without_imports_are_dashes(root: Client) -> None:
    assert shown(root) == [
        ("Imports", "0", "before: 0"),
        ("Ended clean", "–", "before: –"),
        ("Median duration", "–", "before: –"),
        ("Records", "0", "before: 0"),
    ]


@pytest.mark.usefixtures("two_months")
def test_figures_of_too_many_imports_are_of_the_newest_and_not_compared(
    root: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(figures, "MAX_ROWS", 3)
    assert shown(root)[0] == ("Imports", "3", "the newest ones")
    assert {before for _label, _value, before in shown(root)[1:]} == {""}
    # All of these 30 days, but not all of those before.
    monkeypatch.setattr(figures, "MAX_ROWS", 6)
    assert shown(root)[0] == ("Imports", "5", "")


@pytest.mark.usefixtures("two_months")
def test_figures_of_many_imports_are_cached(root: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures, "MANY_ROWS", 5)
    before = shown(root)
    ended(20, 1, 10)
    assert shown(root) == before
