"""The imports of each week."""

from datetime import date, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit
from zoneinfo import ZoneInfo

import pytest
import time_machine
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from importmonitor.admin import weeks as weeks_module
from importmonitor.models import ImportOperation, Outcome
from tests.admin.helpers import HISTORY, make_row, page
from tests.admin.workspace_states import configure
from tests.api.helpers import NOON


def started(number: int, moment: datetime, end: str = "done", **fields: Any) -> ImportOperation:
    return make_row(number, started_at=moment, end_reason=end, **fields)


def weeks(today: date) -> dict[date, int]:
    found = weeks_module.weeks("", today)
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
        assert len(found) == weeks_module.WEEKS
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
    [week] = [each for each in weeks_module.weeks("", NOON.date()) if any(each.counts.values())]
    assert {outcome for outcome, count in week.counts.items() if count} == {Outcome.FAILED}


@pytest.mark.django_db
def test_any_number_is_counted_in_two_queries(django_assert_num_queries: Any) -> None:
    ImportOperation.objects.bulk_create(
        started(number, NOON - timedelta(minutes=30 * number)) for number in range(2_000)
    )
    with django_assert_num_queries(2):
        found = weeks(NOON.date())
    assert sum(found.values()) == 2_000


@pytest.mark.django_db
def test_weeks_that_are_over_are_counted_once_a_minute(django_assert_num_queries: Any) -> None:
    now, before = NOON, NOON - timedelta(weeks=2)
    ImportOperation.objects.bulk_create([started(1, now), started(2, before)])
    assert sum(weeks(NOON.date()).values()) == 2
    ImportOperation.objects.bulk_create([started(3, now), started(4, before)])
    with django_assert_num_queries(1):
        found = weeks(NOON.date())
    # What has just ended, of the present week, is never late.
    assert sorted(found.values())[-2:] == [1, 2]
    cache.clear()
    assert sum(weeks(NOON.date()).values()) == 4


@pytest.mark.django_db
def test_the_weeks_of_one_workspace_are_remembered_for_it_alone() -> None:
    before = NOON - timedelta(weeks=2)
    ImportOperation.objects.bulk_create([started(1, before), started(2, before, workspace="b")])
    for workspace, count in (("", 2), ("b", 1), ("", 2), ("default", 1)):
        found = weeks_module.weeks(workspace, NOON.date())
        assert sum(sum(week.counts.values()) for week in found) == count


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
