"""The chart of the imports of each week."""

from datetime import date, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit
from zoneinfo import ZoneInfo

import pytest
import time_machine
from django.contrib import admin
from django.contrib.auth.models import User
from django.core.cache import cache
from django.test import Client, RequestFactory
from django.utils import timezone

from importmonitor.admin import weeks as weeks_module
from importmonitor.models import ImportOperation, Outcome
from tests.admin.helpers import HISTORY, make_row, page
from tests.admin.workspace_states import configure
from tests.api.helpers import EVERYTHING, NOON


def ended(number: int, moment: datetime, end: str = "done", **fields: Any) -> ImportOperation:
    return make_row(number, started_at=moment, end_reason=end, **fields)


def count_by_week(today: date) -> dict[date, int]:
    weeks = weeks_module.recent_weeks(EVERYTHING, "", today)
    return {week.start: sum(week.counts.values()) for week in weeks}


@pytest.mark.django_db
@pytest.mark.parametrize(
    "zone", ["UTC", "Europe/Berlin", "America/Sao_Paulo", "Pacific/Kiritimati"]
)
def test_week_lasts_from_monday_to_monday_in_local_time(zone: str) -> None:
    zone_info = ZoneInfo(zone)
    monday = datetime(2026, 3, 23, tzinfo=zone_info)
    moments = [
        monday - timedelta(microseconds=1),
        monday,
        monday + timedelta(days=6, hours=23, minutes=59),
    ]
    ImportOperation.objects.bulk_create(ended(n, moment) for n, moment in enumerate(moments))
    with timezone.override(zone_info):
        counts = count_by_week(date(2026, 3, 29))
        assert len(counts) == weeks_module.WEEKS
        assert counts[date(2026, 3, 16)] == 1
        assert counts[date(2026, 3, 23)] == 2
        assert sum(counts.values()) == 3
        assert max(counts) == date(2026, 3, 23)
        assert min(counts) == date(2026, 1, 5)


@pytest.mark.django_db
def test_week_includes_the_hour_of_a_clock_change() -> None:
    """Berlin's last week of October has an hour more than others."""
    zone_info = ZoneInfo("Europe/Berlin")
    last = datetime(2026, 10, 25, 23, 30, tzinfo=zone_info)
    ImportOperation.objects.bulk_create(
        [ended(1, last), ended(2, datetime(2026, 10, 26, 0, 0, tzinfo=zone_info))]
    )
    with timezone.override(zone_info):
        counts = count_by_week(date(2026, 10, 26))
    assert (counts[date(2026, 10, 19)], counts[date(2026, 10, 26)]) == (1, 1)


@pytest.mark.django_db
def test_running_imports_are_in_no_week() -> None:
    ImportOperation.objects.bulk_create([make_row(1, started_at=NOON), ended(2, NOON, "failed")])
    [week] = [
        week
        for week in weeks_module.recent_weeks(EVERYTHING, "", NOON.date())
        if any(week.counts.values())
    ]
    assert {outcome for outcome, count in week.counts.items() if count} == {Outcome.FAILED}


@pytest.mark.django_db
def test_any_number_of_imports_is_counted_in_one_query(django_assert_num_queries: Any) -> None:
    ImportOperation.objects.bulk_create(
        ended(number, NOON - timedelta(hours=10 * number)) for number in range(100)
    )
    with django_assert_num_queries(1):
        counts = count_by_week(NOON.date())
    assert sum(counts.values()) == 100


@pytest.mark.django_db
def test_past_weeks_are_cached_and_the_present_one_is_not(django_assert_num_queries: Any) -> None:
    now, past = NOON, NOON - timedelta(weeks=2)
    ImportOperation.objects.bulk_create([ended(1, now), ended(2, past)])
    assert sum(count_by_week(NOON.date()).values()) == 2
    ImportOperation.objects.bulk_create([ended(3, now), ended(4, past)])
    with django_assert_num_queries(1):
        counts = count_by_week(NOON.date())
    assert sorted(counts.values())[-2:] == [1, 2]
    cache.clear()
    assert sum(count_by_week(NOON.date()).values()) == 4


@pytest.mark.django_db
def test_cached_weeks_of_a_workspace_are_its_own() -> None:
    past = NOON - timedelta(weeks=2)
    ImportOperation.objects.bulk_create([ended(1, past), ended(2, past, workspace="b")])
    for workspace, count in (("", 2), ("b", 1), ("", 2), ("default", 1)):
        weeks = weeks_module.recent_weeks(EVERYTHING, workspace, NOON.date())
        assert sum(sum(week.counts.values()) for week in weeks) == count


@pytest.mark.thorough(one_in=3)
@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/Sao_Paulo"])
def test_each_part_of_the_chart_links_to_exactly_its_operations(
    root: Client, settings: Any, rf: RequestFactory, zone: str
) -> None:
    settings.TIME_ZONE = zone
    configure(settings, "default", "acme")
    ends = ["done", "failed", "interrupted", "canceled"]
    ImportOperation.objects.bulk_create(
        ended(
            number,
            NOON - timedelta(hours=26 * number),
            ends[number % 4],
            workspace=("default", "acme")[number % 3 == 0],
        )
        for number in range(60)
    )
    model_admin = admin.site.get_model_admin(ImportOperation)
    with time_machine.travel(NOON, tick=False):
        for query, rows in (
            ("", ImportOperation.objects.all()),
            ("?workspace=acme", ImportOperation.objects.filter(workspace="acme")),
        ):
            links = {
                link
                for link in page(root.get(HISTORY + query)).links
                if "started_at__lt" in link and "outcome" in link
            }
            assert len(links) > 15
            linked: list[int] = []
            for link in links:
                request = rf.get(link)
                request.user = User.objects.get(username="root")
                matches = model_admin.get_changelist_instance(request).queryset
                outcomes = parse_qs(urlsplit(link).query)["outcome"]
                assert set(matches.values_list("outcome", flat=True)) == set(outcomes)
                linked += matches.values_list("pk", flat=True)
            assert sorted(linked) == sorted(rows.values_list("pk", flat=True))
