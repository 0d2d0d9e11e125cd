"""Charts can be drawn of any rows: never an error, and nothing outside of the drawing."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone, translation
from hypothesis import given, settings
from hypothesis import strategies as st

from importmonitor.admin.display import OUTCOMES
from importmonitor.charts import Week, availability_strip, progress_chart, weeks_chart
from importmonitor.models import (
    ImportOperation,
    Outcome,
    ProgressSample,
    StatusTransition,
    SyncPeriod,
)
from tests.admin.charts import (
    USERS,
    Markup,
    Reason,
    after,
    period,
    sample,
    transition,
)
from tests.admin.helpers import make_row
from tests.api.helpers import NOON


def test_coordinates_are_not_localized(settings: Any) -> None:
    settings.USE_THOUSAND_SEPARATOR = True
    with translation.override("de"):
        chart = Markup(progress_chart(make_row(), [sample(0.3, 1_234, 2, 9_000)], [], [], after(9)))
        chart.check()
        assert "1.234" in chart.text
        strip = Markup(availability_strip([period(0, 7.77), period(9, 9, "X")], NOON, after(100)))
        strip.check()
        assert "99,9 %" in strip.text


def test_hostile_strings_are_escaped() -> None:
    evil = "<script>alert('1')</script>&\"]]>"
    steps = [transition(0, evil), transition(50, evil * 5, evil, evil[:20])]
    chart = Markup(progress_chart(make_row(), [sample(0, 1)], steps, [], after(100)))
    chart.check()
    assert evil in chart.text
    strip = Markup(availability_strip([period(0, 90, evil)], NOON, after(100), name=evil))
    strip.check()
    assert f"Availability of {evil}" in strip.text
    weeks = Markup(
        weeks_chart([Week(date(2026, 3, 2), {Outcome.DONE: 1})], lambda *_: evil, OUTCOMES)
    )
    weeks.check()
    assert weeks.all("a")[0].get("href") == evil


texts = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=60)
moments = st.one_of(
    st.datetimes(timezones=st.just(UTC)),
    st.floats(-1e4, 1e6).map(lambda count: NOON + timedelta(minutes=count)),
)
counters = st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1), st.integers(-3, 300))
samples_of = st.builds(
    ProgressSample, observed_at=moments, completed=counters, error=counters, total=counters
)
transitions_of = st.builds(
    StatusTransition,
    observed_at=moments,
    from_status=texts,
    to_status=texts,
    from_state=texts,
    to_state=texts,
    reason=st.one_of(st.sampled_from(Reason.values), texts),
    count_completed=counters,
    count_error=counters,
    count_total=counters,
)
periods_of = st.builds(
    SyncPeriod,
    workspace=st.just("default"),
    outcome=st.one_of(st.sampled_from(["ok", "empty", "Unreachable", "RateLimited"]), texts),
    first_at=moments,
    last_at=moments,
    polls=st.integers(0, 2**63 - 1),
)
operations_of = st.builds(
    make_row,
    started_at=moments,
    first_seen_at=moments,
    finished_at=st.one_of(st.none(), moments),
    status=st.one_of(texts, st.sampled_from([USERS, "importer_done"])),
    state=st.one_of(texts, st.sampled_from(["importing", "done"])),
    valid=st.one_of(st.none(), st.booleans()),
    end_reason=st.sampled_from(["", "done", "failed", "interrupted", "superseded"]),
)
zones = st.sampled_from(
    [UTC, *map(ZoneInfo, ("Asia/Kathmandu", "America/St_Johns", "Pacific/Apia"))]
)
gaps = st.timedeltas(timedelta(0), timedelta(days=9))


@settings(deadline=None)
@given(
    operations_of,
    st.lists(samples_of, max_size=30),
    st.lists(transitions_of, max_size=20),
    st.lists(periods_of, max_size=20),
    moments,
    gaps,
    zones,
)
def test_any_progress_can_be_drawn(
    operation: ImportOperation,
    samples: list[ProgressSample],
    transitions: list[StatusTransition],
    periods: list[SyncPeriod],
    now: datetime,
    gap_after: timedelta,
    zone: Any,
) -> None:
    with timezone.override(zone):
        Markup(
            progress_chart(operation, samples, transitions, periods, now, gap_after=gap_after)
        ).check()


@pytest.mark.long
@settings(deadline=None, max_examples=10)
@given(st.lists(st.tuples(st.integers(0, 9_999), counters, counters), min_size=241, max_size=300))
def test_many_samples_can_be_drawn(rows: list[tuple[int, int | None, int | None]]) -> None:
    samples = [sample(at / 7, completed, error) for at, completed, error in rows]
    Markup(progress_chart(make_row(), samples, [], [], after(2_000))).check()


@settings(deadline=None)
@given(st.lists(periods_of, max_size=40), moments, moments, gaps, texts, zones)
def test_any_availability_can_be_drawn(
    periods: list[SyncPeriod],
    since: datetime,
    now: datetime,
    gap_after: timedelta,
    name: str,
    zone: Any,
) -> None:
    with timezone.override(zone):
        Markup(availability_strip(periods, since, now, gap_after=gap_after, name=name)).check()


@settings(deadline=None)
@given(
    st.lists(
        st.builds(
            Week, st.dates(), st.dictionaries(st.sampled_from(Outcome), st.integers(-9, 2**62))
        ),
        max_size=60,
    ),
    texts,
)
def test_any_weeks_can_be_drawn(week_rows: list[Week], href: str) -> None:
    Markup(weeks_chart(week_rows, lambda *_: href, OUTCOMES)).check()
