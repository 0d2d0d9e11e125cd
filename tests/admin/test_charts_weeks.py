"""The chart of weeks: bars by outcome that are links, and the same as a table."""

from datetime import date, timedelta

import pytest

from importmonitor.admin.display import OUTCOMES
from importmonitor.charts import Week, weeks_chart
from importmonitor.charts.weeks import date_ticks, format_week
from importmonitor.models import Outcome
from tests.admin.charts import Markup


def weeks(*counts: dict[Outcome, int]) -> list[Week]:
    monday = date(2026, 10, 5)
    return [Week(monday + timedelta(weeks=index), count) for index, count in enumerate(counts)]


def draw(*counts: dict[Outcome, int]) -> Markup:
    chart = Markup(
        weeks_chart(weeks(*counts), lambda week, outcome: f"?w={week.start}&o={outcome}", OUTCOMES)
    )
    chart.check()
    return chart


def test_weeks_are_stacked_to_scale() -> None:
    chart = draw({Outcome.DONE: 30, Outcome.FAILED: 10}, {}, {Outcome.DONE: 20})
    places = [
        [rect.get(name) for name in ("x", "y", "height")]
        for part in chart.all("a", "im-part")
        for rect in part.iter("rect")
    ]
    # Two outcomes keep three pixels each: 50 of 56 are for 40 imports.
    assert places == [
        ["14.17%", "26.5", "37.5"],
        ["14.17%", "14.0", "12.5"],
        ["80.83%", "39.0", "25.0"],
    ]
    assert chart.texts("text") == ["0", "40", "5 Oct", "12 Oct", "19 Oct"]


def test_one_of_many_imports_can_be_clicked() -> None:
    chart = draw({Outcome.DONE: 10_000, Outcome.FAILED: 1})
    [_done, failed] = chart.all("a", "im-part")
    assert failed[1].get("height") == "3.0"


def test_some_of_many_weeks_are_dated() -> None:
    ticks = date_ticks(weeks(*[{}] * 52))
    assert len(ticks) == 6
    assert ticks[-1].label == "27 Sep"


@pytest.mark.parametrize(
    ("start", "written"),
    [
        (date(2026, 10, 12), "12–18 Oct"),
        (date(2026, 10, 26), "26 Oct – 1 Nov"),
        (date(9999, 12, 30), "30–31 Dec"),
    ],
)
def test_week_is_written_by_its_days(start: date, written: str) -> None:
    assert format_week(Week(start, {})) == written


def test_parts_and_table_link_to_the_imports() -> None:
    chart = draw({}, {Outcome.DONE: 1_200, Outcome.FAILED: 3})
    links = [(link.get("href"), link.get("aria-label")) for link in chart.all("a")]
    # In the drawing and in the table.
    assert links == 2 * [
        ("?w=2026-10-12&o=done", "12–18 Oct: 1,200 Done"),
        ("?w=2026-10-12&o=failed", "12–18 Oct: 3 Failed"),
    ]
    assert chart.texts("title")[:2] == ["Imports per week", "12–18 Oct: 1,200 Done"]
    assert chart.words == "1,203 imports: 1,200 Done, 3 Failed"
    assert "✓ Done ✕ Failed As a table" in chart.text
    assert chart.rows() == [["5–11 Oct", "0", "0"], ["12–18 Oct", "1,200", "3"]]


@pytest.mark.parametrize("counts", [[], [{}], [{}, {Outcome.DONE: 0}]])
def test_weeks_without_imports_have_no_drawing(counts: list[dict[Outcome, int]]) -> None:
    assert draw(*counts).text == "Nothing was imported."
