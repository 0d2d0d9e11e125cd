"""The chart of an import's progress: its geometry, its words, and its table."""

import pytest

from importmonitor.charts import progress_chart
from importmonitor.charts.scales import seconds
from importmonitor.charts.stretches import Span
from importmonitor.models import ProgressSample, StatusTransition, SyncPeriod
from tests.admin.charts import (
    MESSAGES,
    USERS,
    Markup,
    Reason,
    after,
    history,
    period,
    sample,
    transition,
)
from tests.admin.helpers import make_row
from tests.api.helpers import NOON

STALL = [
    transition(20, USERS, USERS, Reason.STALLED),
    transition(45, USERS, USERS, Reason.RESUMED),
]


def draw(
    samples: list[ProgressSample],
    transitions: list[StatusTransition] | None = None,
    periods: list[SyncPeriod] | None = None,
    now: float = 100,
) -> Markup:
    """Draw an import that began at noon, `now` minutes later."""
    chart = Markup(
        progress_chart(make_row(), samples, transitions or [], periods or [], after(now))
    )
    chart.check()
    return chart


def paths(chart: Markup, class_: str) -> list[str]:
    """Return the paths with a class within the drawing."""
    return [
        path.get("d", "")
        for svg in chart.all("svg", "im-lines")
        for path in svg
        if path.get("class") == class_
    ]


def axis(chart: Markup) -> list[tuple[str, str]]:
    """Return the labels of the vertical axis and where they are."""
    texts = chart.all("text")
    return [(text.text or "", text.get("y", "")) for text in texts if text.get("x") == "-6"]


class TestLines:
    def test_progress_is_drawn_in_steps_to_scale(self) -> None:
        chart = draw([sample(0, 0), sample(50, 50)])
        # 0 is at 228, the total at 34; there are 600 columns.
        assert paths(chart, "im-line im-busy") == ["M0 228.0H300V131.0H600"]
        assert paths(chart, "im-area im-busy") == ["M0 228V228.0H300V131.0H600V228Z"]
        assert axis(chart) == [("0 %", "228.0"), ("50 %", "131.0"), ("100 %", "34.0")]
        assert not chart.all("path", "im-bad")

    def test_order_of_rows_does_not_matter(self) -> None:
        samples = [sample(0, 0), sample(50, 50), sample(70, 60)]
        steps = [transition(0, "importer_new"), transition(20, USERS, "importer_new")]
        assert draw(samples, steps).html == draw(samples[::-1], steps[::-1]).html

    @pytest.mark.parametrize(
        ("samples", "label", "x", "anchor"),
        [
            ([sample(0, 5), sample(50, 50)], "50 (50 %)", "100.0%", "end"),
            ([sample(0, 5), sample(80, 50), sample(90, None)], "50 (50 %)", "80.0%", "end"),
            ([sample(0, 5), sample(10, 7), sample(20, None)], "7 (7 %)", "10.0%", "start"),
            ([sample(0, 179, total=135)], "179", "100.0%", "end"),
        ],
    )
    def test_last_value_is_labelled(
        self, samples: list[ProgressSample], label: str, x: str, anchor: str
    ) -> None:
        [text] = draw(samples).all("text", "im-value")
        assert (text.text, text.get("x"), text.get("text-anchor")) == (label, x, anchor)

    def test_errors_have_a_scale_of_their_own_below(self) -> None:
        chart = draw([sample(0, 0), sample(50, 50, error=3), sample(60, 60, error=6)])
        assert axis(chart)[3:] == [("0", "228.0"), ("6", "194.0")]
        assert axis(chart)[0] == ("0 %", "176.0")
        assert paths(chart, "im-line im-bad") == ["M0 228.0H300V211.0H360V194.0H600"]

    def test_more_than_the_total_is_drawn_above_100_percent(self) -> None:
        labels = axis(draw([sample(0, 179, total=135)]))
        assert [label for label, _y in labels] == ["0 %", "50 %", "100 %"]
        assert float(labels[2][1]) > 34

    @pytest.mark.parametrize("total", [None, 0, -5, 3])
    def test_counts_are_shown_where_a_percentage_says_nothing(self, total: int | None) -> None:
        chart = draw([sample(0, 7_000, total=total)], now=9)
        assert axis(chart) == [("0", "228.0"), ("7,000", "34.0")]
        assert "0 %" not in chart.text

    def test_change_of_the_total_is_drawn(self) -> None:
        chart = draw([sample(0, 0, total=50), sample(50, 20, total=100)])
        assert paths(chart, "im-total") == ["M0 131.0H300V34.0H600"]

    def test_missing_counter_leaves_a_gap(self) -> None:
        chart = draw([sample(0, 0), sample(25, None), sample(50, 50)])
        assert paths(chart, "im-line im-busy") == ["M0 228.0H150M300 131.0H600"]

    def test_negative_counter_is_drawn_as_zero(self) -> None:
        chart = draw([sample(0, 50), sample(50, -7)])
        assert paths(chart, "im-line im-busy") == ["M0 131.0H300V228.0H600"]

    def test_size_does_not_grow_with_the_samples(self) -> None:
        steps = [transition(minute, f"importer_{minute}", "x") for minute in range(0, 5_000, 7)]
        chart = draw([sample(minute, minute) for minute in range(5_000)], steps, now=5_000)
        assert len(chart.html) < 90_000
        rows = chart.rows()
        assert 20 <= len(rows) <= 30
        assert (rows[0][1], rows[-1][1]) == ("0", "4,999")


class TestSteps:
    def test_boundaries_are_where_the_step_changes(self) -> None:
        steps = [
            transition(0, "importer_new"),
            transition(10, USERS, "importer_new"),
            *STALL,
            transition(50, MESSAGES, USERS),
            transition(80, MESSAGES, MESSAGES, Reason.INVALIDATED, to_state="error"),
        ]
        chart = draw([sample(0, 0)], steps)
        boundaries = chart.all("line", "im-boundary")
        assert [boundary.get("x1") for boundary in boundaries] == [
            "0.0%",
            "10.0%",
            "50.0%",
            "80.0%",
        ]
        titles = chart.texts("title")
        assert f"25 Mar 12:10:00: {USERS}" in titles
        assert f"25 Mar 13:20:00: {MESSAGES}, Invalidated by Rocket.Chat" in titles

    def test_steps_are_bands_with_numbers_and_those_wide_enough_have_names(self) -> None:
        steps = [transition(at, f"importer_step_{at}", "x") for at in (0, 4, 6, 60, 99, 100)]
        chart = draw([sample(0, 0)], steps)
        bands = [rect for rect in chart.all("rect", "im-tint") if rect.get("y") == "34"]
        assert [(band.get("x"), band.get("width")) for band in bands] == [
            ("0.0%", "4.0%"),
            ("4.0%", "2.0%"),
            ("6.0%", "54.0%"),
            ("60.0%", "39.0%"),
            ("99.0%", "1.0%"),
        ]
        labels = ["".join(text.itertext()) for text in chart.all("text", "im-step-label")]
        assert labels == ["1", "2 step 6", "3 step 60"]
        tops = [boundary.get("y1") for boundary in chart.all("line", "im-boundary")]
        assert tops == ["0", "34", "0", "0", "34", "34"]
        assert "1 step 0 2 step 6 3 step 60" in chart.text

    def test_legend_names_the_widest_of_many_steps(self) -> None:
        steps = [transition(at, f"importer_step_{at}", "x") for at in range(0, 100, 5)]
        chart = draw([sample(0, 0)], steps)
        assert len(chart.all("text", "im-step-label")) == 8

    def test_time_before_the_first_counter_is_named(self) -> None:
        named = "no counter before 12:26:00"
        assert named in draw([sample(0, None), sample(26, 0), sample(50, 7)]).text
        assert "no counter" not in draw([sample(1, 0), sample(50, 7)]).text

    def test_steps_at_almost_one_time_are_one_line(self) -> None:
        steps = [transition(10 + number / 60, f"importer_{number}", "x") for number in range(5)]
        chart = draw([sample(0, 0)], steps)
        assert len(chart.all("line", "im-boundary")) == 1
        [label] = chart.all("text", "im-step-label")
        assert "".join(label.itertext()) == "1 4"

    def test_stall_lasts_until_the_next_event(self) -> None:
        failed = transition(60, "importer_import_failed", USERS)
        [band] = draw([sample(0, 0)], STALL).all("rect", "im-band")
        assert (band.get("x"), band.get("width")) == ("20.0%", "25.0%")
        assert band[0].text == "stalled: 25 Mar 12:20 – 12:45"
        stalled = STALL[0]
        assert history([], [stalled]).stalls == (Span(seconds(after(20)), seconds(after(100))),)
        assert history([], [stalled, failed]).stalls[0].end == seconds(after(60))

    def test_short_stall_is_visible(self) -> None:
        [band] = draw([sample(0, 0)], STALL, now=100_000).all("rect", "im-band")
        assert band.get("width") == "0.5%"


class TestUnpolled:
    def test_errors_and_gaps_are_unpolled(self) -> None:
        periods = [period(-10, 20), period(21, 29, "Unreachable"), period(30, 50), period(75, 95)]
        spans = history([sample(0, 0)], [], periods).unpolled
        assert spans == (
            Span(seconds(after(21)), seconds(after(30))),
            Span(seconds(after(50)), seconds(after(75))),
        )

    def test_time_after_the_last_period_is_unpolled_and_before_the_first_unknown(self) -> None:
        spans = history([sample(0, 0)], [], [period(40, 50)]).unpolled
        assert spans == (Span(seconds(after(50)), seconds(after(100))),)

    def test_time_before_the_import_was_first_seen_is_unpolled(self) -> None:
        row = make_row(first_seen_at=after(30))
        spans = history([sample(30, 50)], operation=row).unpolled
        assert spans == (Span(seconds(NOON), seconds(after(30))),)


class TestClocks:
    def test_end_that_is_observed_later_is_drawn_where_it_happened(self) -> None:
        row = make_row(finished_at=after(50), end_reason="done", status="importer_done")
        row.state = "done"
        done = transition(58, "importer_done", USERS)
        result = history([sample(0, 0), sample(58, 100)], [done], operation=row, now=5_000)
        assert result.end == seconds(after(50))
        assert [point.at - result.start for point in result.points] == [0, 3_000]
        # Whatever follows the end happened when it was observed.
        again = transition(70, USERS, "importer_done", Reason.REOPENED)
        samples = [sample(0, 0), sample(58, 100), sample(80, 3)]
        result = history(samples, [done, again], operation=row)
        assert [point.at - result.start for point in result.points] == [0, 3_000, 4_800]
        assert result.end == seconds(after(80))

    def test_start_in_the_future_is_drawn(self) -> None:
        result = history([sample(1, 5)], operation=make_row(started_at=after(30)), now=0)
        assert (result.start, result.end) == (seconds(after(1)), seconds(after(1)) + 1)


class TestWords:
    def test_description_sums_up_the_chart(self) -> None:
        steps = [transition(0, USERS), *STALL]
        periods = [period(0, 50), period(51, 60, "Unreachable"), period(61, 80), period(99, 200)]
        samples = [sample(0, 0, total=9_000), sample(50, 6_200, 12, 9_000)]
        chart = draw(samples, steps, periods, now=200)
        assert chart.texts("title")[0] == "Progress of the import"
        assert chart.words == (
            "6,200 of 9,000 after 3 h 20 min · 12 errors · stalled for 25 min · "
            "not polled 2 times, 29 min in total"
        )

    @pytest.mark.parametrize(
        ("row", "words"),
        [
            (sample(1, 7, total=None), "7 after 1 h 40 min"),
            (sample(1, None, total=7), "7 in total, after 1 h 40 min"),
            (sample(1, 1, error=1), "1 of 100 after 1 h 40 min · 1 error"),
        ],
    )
    def test_description_names_known_counters(self, row: ProgressSample, words: str) -> None:
        assert draw([row]).words == words

    def test_without_counters_there_is_no_drawing(self) -> None:
        for samples in ([], [sample(1, None, None, None)]):
            chart = draw(samples, [transition(0, USERS)])
            assert chart.text == "No counters yet."
            assert not chart.all("svg")

    def test_table_has_samples_and_transitions(self) -> None:
        stalled = transition(45, USERS, USERS, Reason.STALLED)
        steps = [transition(0, USERS, count_completed=0), stalled]
        samples = [sample(0, 0), sample(20, 5_000, 3, 9_000), sample(21, None)]
        chart = draw(samples, steps)
        assert chart.rows() == [
            ["25 Mar 12:00:00", "0", "0", "100", "importing users"],
            ["25 Mar 12:20:00", "5,000", "3", "9,000", "importing users"],
            ["25 Mar 12:21:00", "–", "0", "100", "importing users"],
            ["25 Mar 12:45:00", "–", "–", "–", "importing users: Stalled"],
        ]
        assert [cell.get("scope") for cell in chart.all("th")] == ["col"] * 5 + ["row"] * 4
        assert chart.all("time")[1].get("datetime") == "2026-03-25T12:20:00+00:00"
        assert chart.texts("caption") == [chart.words]
