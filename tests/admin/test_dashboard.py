"""What stands above the history: cards, problems, and the imports of each week."""

from datetime import date, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit
from zoneinfo import ZoneInfo

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from importmonitor.admin import dashboard
from importmonitor.models import ImportOperation, Outcome
from tests.admin.helpers import HISTORY, make_row, page
from tests.admin.standing import HEALTH, STANDING, configure, looked_at, stand
from tests.api.helpers import NOON, workspace_at

# Cards.


def test_those_in_trouble_come_first(root: Client, settings: Any) -> None:
    # By the settings, they would come in the opposite order.
    configure(settings, "new", *reversed(STANDING))
    stand()
    with time_machine.travel(NOON, tick=False):
        response = root.get(HISTORY)
    cards = response.context["cards"]
    order = [card["workspace"].alias for card in cards]
    ranks = [
        {"failed", "interrupted", "stalled"},
        {"unreachable", "late"},
        {"running"},
        {"new", "done", "superseded"},
    ]
    for rank in ranks:
        assert set(order[: len(rank)]) == rank
        del order[: len(rank)]
    alarming = {card["workspace"].alias for card in cards if card.get("alarming")}
    assert alarming == ranks[0]
    assert response.content.count(b"im-alarm") == 3


def test_alike_they_keep_the_order_of_the_settings(root: Client, settings: Any) -> None:
    configure(settings, "b", "c", "a")
    shown = root.get(HISTORY).context["cards"]
    assert [card["workspace"].alias for card in shown] == ["b", "c", "a"]


def test_more_than_a_page_holds_are_told(root: Client, settings: Any) -> None:
    aliases = [f"w{number:02d}" for number in range(30)]
    configure(settings, *aliases)
    for number, alias in enumerate(aliases):
        in_trouble = number % 2 == 0
        looked_at(alias, at=timezone.now())
        make_row(number, workspace=alias, **STANDING["failed" if in_trouble else "done"]).save()
    response = root.get(HISTORY)
    assert len(response.context["cards"]) == dashboard.MOST_CARDS
    assert all(card["alarming"] for card in response.context["cards"])
    assert (
        "and 18 more workspaces, 3 of them not as they should be: Sync health"
        in page(response).words
    )
    assert HEALTH in page(response).links
    # One of them alone, by the filter.
    [card] = root.get(f"{HISTORY}?workspace=w29").context["cards"]
    assert card["workspace"].alias == "w29"


def test_one_more_is_told_in_the_singular(root: Client, settings: Any) -> None:
    configure(settings, *[f"w{number:02d}" for number in range(13)])
    words = page(root.get(HISTORY)).words
    assert "and 1 more workspace: Sync health" in words


def test_problems_of_the_settings_are_shown(root: Client, settings: Any) -> None:
    good = workspace_at("http://127.0.0.1:9")
    settings.IMPORTMONITOR = {
        "WORKSPACES": {"good": good, "bad": {**good, "TIMEOUT": "<b>soon</b>"}},
        "STALLD_AFTER": 3,
    }
    response = root.get(HISTORY)
    words = page(response).words
    assert "STALLD_AFTER" in words
    assert "TIMEOUT" in words
    assert b"<b>soon" not in response.content
    assert good["AUTH_TOKEN"] not in words
    # What can be looked at is shown nevertheless.
    assert "good never looked at" in " ".join(words.replace("○", "").split())


# Weeks.


def started(number: int, moment: datetime, end: str = "done", **fields: Any) -> ImportOperation:
    return make_row(number, started_at=moment, end_reason=end, **fields)


def weeks(today: date) -> dict[date, int]:
    found = dashboard.weeks(ImportOperation.objects.all(), today)
    return {week.start: sum(week.counts.values()) for week in found}


@pytest.mark.django_db
@pytest.mark.parametrize(
    "zone", ["UTC", "Europe/Berlin", "America/Sao_Paulo", "Pacific/Kiritimati"]
)
def test_a_week_is_from_monday_to_monday_where_one_is(zone: str) -> None:
    here = ZoneInfo(zone)
    monday = datetime(2026, 3, 23, tzinfo=here)
    moments = [
        monday - timedelta(microseconds=1),
        monday,
        monday + timedelta(days=6, hours=23, minutes=59),
    ]
    ImportOperation.objects.bulk_create(started(n, each) for n, each in enumerate(moments))
    with timezone.override(here):
        found = weeks(date(2026, 3, 29))
        assert len(found) == dashboard.WEEKS
        assert found[date(2026, 3, 16)] == 1
        assert found[date(2026, 3, 23)] == 2
        assert sum(found.values()) == 3
        assert max(found) == date(2026, 3, 23)
        assert min(found) == date(2026, 1, 5)


@pytest.mark.django_db
def test_a_week_in_which_the_clocks_change() -> None:
    """Berlin's last week of October has an hour more than others."""
    here = ZoneInfo("Europe/Berlin")
    last = datetime(2026, 10, 25, 23, 30, tzinfo=here)
    ImportOperation.objects.bulk_create(
        [started(1, last), started(2, datetime(2026, 10, 26, 0, 0, tzinfo=here))]
    )
    with timezone.override(here):
        found = weeks(date(2026, 10, 26))
    assert (found[date(2026, 10, 19)], found[date(2026, 10, 26)]) == (1, 1)


@pytest.mark.django_db
def test_what_has_not_ended_is_in_no_week() -> None:
    ImportOperation.objects.bulk_create([make_row(1, started_at=NOON), started(2, NOON, "failed")])
    [week] = [
        each
        for each in dashboard.weeks(ImportOperation.objects.all(), NOON.date())
        if any(each.counts.values())
    ]
    assert {outcome for outcome, count in week.counts.items() if count} == {Outcome.FAILED}


@pytest.mark.django_db
def test_all_are_counted_in_one_query(django_assert_num_queries: Any) -> None:
    ImportOperation.objects.bulk_create(
        started(number, NOON - timedelta(minutes=number)) for number in range(2_000)
    )
    with django_assert_num_queries(1):
        found = weeks(NOON.date())
    assert sum(found.values()) == 2_000


@pytest.mark.django_db
@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/Sao_Paulo"])
def test_each_part_of_the_weeks_leads_to_exactly_its_operations(
    root: Client, settings: Any, zone: str
) -> None:
    settings.TIME_ZONE = zone
    configure(settings, "default", "acme")
    ends = ["done", "failed", "interrupted", "canceled"]
    ImportOperation.objects.bulk_create(
        started(
            number,
            NOON - timedelta(hours=13 * number),
            ends[number % 4],
            workspace=("default", "acme")[number % 3 == 0],
        )
        for number in range(120)
    )
    with time_machine.travel(NOON, tick=False):
        for workspace in ("", "acme"):
            found = page(root.get(f"{HISTORY}?workspace={workspace}" if workspace else HISTORY))
            links = {each for each in found.links if "started_at__lt" in each and "outcome" in each}
            assert len(links) > 20
            reached: list[int] = []
            for link in links:
                rows = root.get(link).context["cl"].queryset
                asked = parse_qs(urlsplit(link).query)
                assert set(rows.values_list("outcome", flat=True)) == set(asked["outcome"])
                reached += rows.values_list("pk", flat=True)
            expected = ImportOperation.objects.all()
            if workspace:
                expected = expected.filter(workspace=workspace)
            assert sorted(reached) == sorted(expected.values_list("pk", flat=True))
