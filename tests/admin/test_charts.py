"""The chart of an import's progress: what stands where, in words, and as a table."""

from itertools import pairwise

import pytest

from importmonitor.charts import progress_chart
from importmonitor.charts.lines import thinned
from importmonitor.charts.plot import plot
from importmonitor.charts.scales import (
    seconds,
)
from importmonitor.charts.stretches import Span
from importmonitor.models import (
    ProgressSample,
)
from tests.admin.charts import (
    MESSAGES,
    NARROW,
    USERS,
    WIDE,
    Drawn,
    Reason,
    after,
    drawn,
    history,
    period,
    sample,
    transition,
)
from tests.admin.helpers import make_row
from tests.api.helpers import NOON

# The progress of an import: what stands where.


def test_progress_is_drawn_in_steps_to_scale() -> None:
    found = drawn([sample(0, 0), sample(50, 50)])
    # The floor is at 228, the whole at 34; the time goes from 52 to 620.
    assert found.progress.line == "M52.0 228.0H336.0V131.0H620.0"
    assert found.progress.area == "M52.0 228V228.0H336.0V131.0H620.0V228H52.0Z"
    assert [each.label for each in found.progress.ticks] == ["0 %", "50 %", "100 %"]
    assert [each.place for each in found.progress.ticks] == [228, 131, 34]
    assert found.errors is None
    narrow = plot(history([sample(0, 0), sample(50, 50)]), NARROW)
    assert narrow.progress.line == "M48.0 208.0H174.0V121.0H300.0"


def test_the_order_of_rows_does_not_matter() -> None:
    samples = [sample(0, 0), sample(50, 50), sample(70, 60)]
    steps = [transition(0, "importer_new"), transition(20, USERS, "importer_new")]
    there, back = drawn(samples, steps), drawn(samples[::-1], steps[::-1])
    assert there == back


def test_the_first_and_the_last_value_are_named() -> None:
    first, last = drawn([sample(0, 5), sample(50, 50)]).marks
    assert (first.x, first.label and first.label.text) == (52, "5")
    assert (last.x, last.y, last.label and last.label.text) == (620, 131, "50 (50 %)")
    # There is no room for two where they are all but at one place.
    only = drawn([sample(99, 49), sample(100, 50)]).marks
    assert [each.label is not None for each in only] == [False, True]


def test_a_value_at_the_edge_stays_inside() -> None:
    many = [sample(99, 9_876_543, total=None), sample(100, 1, total=None)]
    first, _last = drawn(many).marks
    assert first.label is not None
    assert (first.label.anchor, first.label.right) == ("end", 640)
    early = [sample(0, 0, total=None), sample(1, 9_999_999_999, total=None), sample(2, None)]
    last = drawn(early, now=200).marks[-1]
    assert last.label is not None
    assert (last.label.anchor, last.label.left) == ("start", 0)


def test_errors_have_a_scale_of_their_own() -> None:
    found = drawn([sample(0, 0), sample(50, 50, error=3), sample(60, 60, error=6)])
    assert found.errors is not None
    assert [each.label for each in found.errors.ticks] == ["0", "6"]
    assert found.errors.line == "M52.0 228.0H336.0V211.0H392.8V194.0H620.0"
    # They are drawn below the progress, and not on top of it.
    assert found.progress.floor == 176
    assert found.errors.top == 194


def test_more_than_all_is_drawn_as_that() -> None:
    found = drawn([sample(0, 179, total=135)])
    assert [each.label for each in found.progress.ticks] == ["0 %", "50 %", "100 %", "150 %"]
    assert found.progress.ticks[3].place == 34
    assert found.marks[-1].y < found.progress.ticks[2].place
    label = found.marks[-1].label
    assert label is not None
    assert label.text == "179"


@pytest.mark.parametrize("total", [None, 0, -5, 3])
def test_counts_where_a_percentage_says_nothing(total: int | None) -> None:
    found = drawn([sample(0, 7_000, total=total)])
    assert [each.label for each in found.progress.ticks] == [
        "0",
        "2,000",
        "4,000",
        "6,000",
        "8,000",
    ]
    assert "%" not in progress_chart(make_row(), [sample(0, 7_000, total=total)], [], [], after(9))


def test_a_total_that_changes_is_drawn() -> None:
    found = drawn([sample(0, 0, total=50), sample(50, 20, total=100)])
    assert found.total == "M52.0 131.0H336.0V34.0H620.0"


def test_where_no_count_was_given_there_is_no_line() -> None:
    found = drawn([sample(0, 0), sample(25, None), sample(50, 50)])
    assert found.progress.line == "M52.0 228.0H194.0M336.0 131.0H620.0"


def test_what_goes_backwards_or_below_nothing() -> None:
    assert drawn([sample(0, 50), sample(50, -7)]).progress.line == "M52.0 131.0H336.0V228.0H620.0"


def test_thinned_keeps_what_stands_out() -> None:
    values = [(float(each), each) for each in range(5_000)]
    values[1_234] = (1_234.0, 9_000_000)
    values[4_321] = (4_321.0, -9)
    found = thinned(values)
    assert len(found) <= 240
    assert list(found) == sorted(found)
    assert {values[0], values[1_234], values[4_321], values[-1]} <= set(found)
    assert thinned(values[:240]) == values[:240]


def test_boundaries_are_where_the_step_changed() -> None:
    steps = [
        transition(0, "importer_new"),
        transition(10, USERS, "importer_new"),
        transition(20, USERS, USERS, Reason.STALLED),
        transition(30, USERS, USERS, Reason.RESUMED),
        transition(50, MESSAGES, USERS),
        transition(80, MESSAGES, MESSAGES, Reason.INVALIDATED, to_state="error"),
    ]
    found = drawn([sample(0, 0)], steps).boundaries
    assert [each.x for each in found] == [52, 108.8, 336, 506.4]
    labels = [each.label and each.label.text for each in found]
    assert labels == ["new", "importing users", "importing messages", None]
    assert found[1].title == f"25 Mar 12:10:00: {USERS}"
    assert found[3].title == f"25 Mar 13:20:00: {MESSAGES}, Invalidated by Rocket.Chat"


def test_labels_that_do_not_fit_are_left_out() -> None:
    steps = [
        transition(at, f"importer_step_number_{at}", "importer_new") for at in (0, 4, 8, 60, 99)
    ]
    found = drawn([sample(0, 0)], steps).boundaries
    labels = [each.label for each in found]
    # The long ones first; at the right end, to the left of its line.
    assert [label is not None for label in labels] == [False, False, True, True, True]
    assert [label and label.anchor for label in labels[2:]] == ["start", "start", "end"]
    shown = [label for label in labels if label]
    assert all(one.right < other.left for one, other in pairwise(shown))
    # Only those with a label reach up to it.
    assert [each.top for each in found] == [34, 34, 0, 0, 0]


def test_steps_at_one_time_are_one_line() -> None:
    steps = [transition(10 + each / 60, f"importer_{each}", "x") for each in range(5)]
    (found,) = drawn([sample(0, 0)], steps).boundaries
    assert found.label is not None
    assert found.label.text == "4"


def test_a_stall_lasts_until_it_is_over() -> None:
    stalled = transition(20, USERS, USERS, Reason.STALLED)
    resumed = transition(45, USERS, USERS, Reason.RESUMED)
    failed = transition(60, "importer_import_failed", USERS)
    there = history([sample(0, 0)], [stalled, resumed])
    assert there.stalls == (Span(seconds(after(20)), seconds(after(45))),)
    (band,) = plot(there, WIDE).stalls
    assert (band.x, band.width) == (165.6, 142)
    assert band.title == "25 Mar 12:20 – 12:45"
    assert history([sample(0, 0)], [stalled]).stalls[0].end == seconds(after(100))
    assert history([sample(0, 0)], [stalled, failed]).stalls[0].end == seconds(after(60))


def test_what_is_short_can_be_seen() -> None:
    stalled = transition(20, USERS, USERS, Reason.STALLED)
    resumed = transition(21, USERS, USERS, Reason.RESUMED)
    (band,) = drawn([sample(0, 0)], [stalled, resumed], now=100_000).stalls
    assert band.width == 3


def test_when_nobody_could_look() -> None:
    periods = [period(-10, 20), period(21, 29, "Unreachable"), period(30, 50), period(75, 95)]
    found = history([sample(0, 0)], [], periods)
    start = seconds(NOON)
    assert [(each.start - start, each.end - start) for each in found.unwatched] == [
        (21 * 60, 30 * 60),
        (50 * 60, 75 * 60),
    ]
    # Up to now, if the last look is long ago; before the first period nothing is known.
    late = history([sample(0, 0)], [], [period(40, 50)]).unwatched
    assert [(each.start - start, each.end - start) for each in late] == [(50 * 60, 100 * 60)]


def test_before_it_was_first_seen_nobody_watched() -> None:
    row = make_row(first_seen_at=after(30))
    found = history([sample(30, 50)], operation=row).unwatched
    assert found == (Span(seconds(NOON), seconds(after(30))),)


def test_an_end_seen_later_is_drawn_where_it_was() -> None:
    row = make_row(finished_at=after(50), end_reason="done", status="importer_done", state="done")
    done = transition(58, "importer_done", USERS)
    found = history([sample(0, 0), sample(58, 100)], [done], operation=row, now=5_000)
    assert found.end == seconds(after(50))
    assert [each.at - found.start for each in found.points] == [0, 3_000]
    # What came after that end, came after it.
    again = transition(70, USERS, "importer_done", Reason.REOPENED)
    found = history([sample(0, 0), sample(58, 100), sample(80, 3)], [done, again], operation=row)
    assert [each.at - found.start for each in found.points] == [0, 3_000, 4_800]
    assert found.end == seconds(after(80))


def test_a_clock_ahead_of_ours() -> None:
    found = history([sample(1, 5)], operation=make_row(started_at=after(30)), now=0)
    assert (found.start, found.end) == (seconds(after(1)), seconds(after(1)) + 1)


# In words, and as a table.


def test_progress_in_words() -> None:
    steps = [
        transition(0, USERS),
        transition(20, USERS, USERS, Reason.STALLED),
        transition(45, USERS, USERS, Reason.RESUMED),
    ]
    periods = [period(0, 50), period(51, 60, "Unreachable"), period(61, 80), period(99, 200)]
    samples = [sample(0, 0, total=9_000), sample(50, 6_200, 12, 9_000)]
    html = progress_chart(make_row(), samples, steps, periods, after(200))
    chart = Drawn(html)
    chart.check()
    (title, *_), (desc, *_) = chart.all("title"), chart.all("desc")
    assert title.text == "Progress of the import"
    assert desc.text == (
        "6,200 of 9,000 after 3 h 20 min; 12 errors; stalled once for 25 min; "
        "not watched 2 times, for 29 min in all"
    )
    for drawing in chart.all("svg"):
        if drawing.get("role") == "img":
            assert len(drawing.get("aria-labelledby", "").split()) == 2
    assert len([each for each in chart.all("svg") if each.get("role") == "img"]) == 2


@pytest.mark.parametrize(
    ("given_sample", "told"),
    [
        (sample(1, 7, total=None), "7 after 1 h 40 min"),
        (sample(1, None, total=7), "7 in all, after 1 h 40 min"),
        (sample(1, 1, error=1), "1 of 100 after 1 h 40 min; 1 error"),
    ],
)
def test_words_for_what_is_known(given_sample: ProgressSample, told: str) -> None:
    chart = Drawn(progress_chart(make_row(), [given_sample], [], [], after(100)))
    assert chart.all("desc")[0].text == told


def test_without_counters() -> None:
    steps = [transition(0, USERS)]
    for samples in ([], [sample(1, None, None, None)]):
        chart = Drawn(progress_chart(make_row(), samples, steps, [], after(9)))
        assert chart.text == "No counters were seen yet."
        assert not chart.all("svg")


def test_the_table() -> None:
    steps = [transition(0, USERS, count_completed=0), transition(45, USERS, USERS, Reason.STALLED)]
    samples = [sample(0, 0), sample(20, 5_000, 3, 9_000), sample(21, None)]
    chart = Drawn(progress_chart(make_row(), samples, steps, [], after(100)))
    assert chart.rows() == [
        ["25 Mar 12:00:00", "0", "0", "100", "importing users"],
        ["25 Mar 12:20:00", "5,000", "3", "9,000", "importing users"],
        ["25 Mar 12:21:00", "–", "0", "100", "importing users"],
        ["25 Mar 12:45:00", "–", "–", "–", "importing users: Stalled"],
    ]
    assert [each.get("scope") for each in chart.all("th")] == ["col"] * 5 + ["row"] * 4
    assert chart.all("time")[1].get("datetime") == "2026-03-25T12:20:00+00:00"
    assert chart.all("caption")[0].text == chart.all("desc")[0].text


def test_the_table_is_short() -> None:
    samples = [sample(each, each) for each in range(5_000)]
    steps = [transition(each, f"importer_{each}", "x") for each in range(0, 5_000, 7)]
    html = progress_chart(make_row(), samples, steps, [], after(5_000))
    rows = Drawn(html).rows()
    assert 20 <= len(rows) <= 30
    assert rows[0][1] == "0"
    assert rows[-1][1] == "4,999"
    assert len(html) < 60_000
