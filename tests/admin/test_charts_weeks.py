"""The chart of weeks: bars by outcome that lead somewhere."""

from datetime import date, timedelta
from itertools import pairwise

import pytest

from importmonitor.admin.display import OUTCOMES
from importmonitor.charts import Week, weeks_chart
from importmonitor.charts import weeks as weekly
from importmonitor.charts.scales import (
    room_of,
)
from importmonitor.models import (
    Outcome,
)
from tests.admin.charts import Drawn

WIDE_WEEKS = weekly.FRAMES[0]


def weeks(*counts: dict[Outcome, int]) -> list[Week]:
    return [
        Week(date(2026, 10, 5) + timedelta(weeks=index), each) for index, each in enumerate(counts)
    ]


def test_weeks_are_stacked_to_scale() -> None:
    found = weekly.bars(
        weeks({Outcome.DONE: 30, Outcome.FAILED: 10}, {}, {Outcome.DONE: 20}), WIDE_WEEKS
    )
    # Two parts at most keep three units each: 86 of 92 are for 40 imports.
    assert [(each.week, each.outcome, each.y, each.height) for each in found.parts] == [
        (0, Outcome.DONE, 35.5, 64.5),
        (0, Outcome.FAILED, 14.0, 21.5),
        (2, Outcome.DONE, 57.0, 43.0),
    ]
    assert [(each.x, each.width) for each in found.parts] == [(129, 30), (129, 30), (513, 30)]
    assert [each.label for each in found.counts] == ["0", "40"]
    assert [each.label for each in found.dates] == ["5 Oct", "12 Oct", "19 Oct"]


def test_one_of_many_can_still_be_hit() -> None:
    (_, part) = weekly.bars(weeks({Outcome.DONE: 10_000, Outcome.FAILED: 1}), WIDE_WEEKS).parts
    assert part.height == 3


def test_many_weeks_name_some_dates() -> None:
    found = weekly.bars(weeks(*[{Outcome.DONE: 1}] * 52), WIDE_WEEKS)
    assert 5 <= len(found.dates) <= 12
    assert found.dates[-1].label == "27 Sep"
    gaps = [after.place - before.place for before, after in pairwise(found.dates)]
    assert min(gaps) > room_of("27 Sep")


@pytest.mark.parametrize(
    ("start", "written"),
    [
        (date(2026, 10, 12), "12–18 Oct"),
        (date(2026, 10, 26), "26 Oct – 1 Nov"),
        (date(9999, 12, 30), "30–31 Dec"),
    ],
)
def test_a_week_in_words(start: date, written: str) -> None:
    assert weekly.week_in_words(Week(start, {})) == written


def test_each_part_leads_somewhere() -> None:
    given_weeks = weeks({}, {Outcome.DONE: 1_200, Outcome.FAILED: 3})
    html = weeks_chart(given_weeks, lambda week, outcome: f"?w={week.start}&o={outcome}", OUTCOMES)
    chart = Drawn(html)
    chart.check()
    links = [(each.get("href"), each.get("aria-label")) for each in chart.all("a")]
    # In the wide drawing, in the narrow one, and in the table.
    assert (
        links
        == [
            ("?w=2026-10-12&o=done", "12–18 Oct: 1,200 Done"),
            ("?w=2026-10-12&o=failed", "12–18 Oct: 3 Failed"),
        ]
        * 3
    )
    assert {each.get("role") for each in chart.drawings if each.get("role")} == {"group"}
    assert [each.text for each in chart.all("title")][1] == "12–18 Oct: 1,200 Done"
    assert chart.all("desc")[0].text == "1,203 imports in 2 weeks: 1,200 Done, 3 Failed"
    assert "✓ 1,200 Done" in chart.text
    assert "✕ 3 Failed" in chart.text
    assert chart.rows() == [["5–11 Oct", "0", "0"], ["12–18 Oct", "1,200", "3"]]


@pytest.mark.parametrize(
    ("given_weeks", "told"),
    [
        ([], "Nothing was imported."),
        (weeks({}), "Nothing was imported in one week."),
        (weeks({}, {Outcome.DONE: 0}), "Nothing was imported in 2 weeks."),
    ],
)
def test_weeks_without_imports(given_weeks: list[Week], told: str) -> None:
    chart = Drawn(weeks_chart(given_weeks, lambda *_: "", OUTCOMES))
    assert chart.text == told
