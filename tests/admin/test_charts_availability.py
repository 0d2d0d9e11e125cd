"""The availability strip: stretches of time, drawn and in words."""

from datetime import date
from itertools import pairwise
from xml.etree import ElementTree as ET

import pytest
from django.utils import timezone

from importmonitor.charts import availability, availability_strip
from importmonitor.charts.availability import Total, format_percent
from importmonitor.charts.scales import midnight, seconds
from importmonitor.charts.stretches import GAP, GOOD, stretches
from importmonitor.models import SyncPeriod
from tests.admin.charts import Markup, after, minutes, period
from tests.api.helpers import NOON

ERRORS = [
    *("Unreachable", "RateLimited", "Unauthenticated", "PermissionMissing", "TwoFactorRequired"),
    *("NotRocketChat", "BadAnswer", "SomethingNew"),
]


def draw(periods: list[SyncPeriod], until: float, name: str = "") -> Markup:
    """Draw the time from noon on, in minutes."""
    chart = Markup(availability_strip(periods, NOON, after(until), name=name))
    chart.check()
    return chart


def bars(chart: Markup) -> list[ET.Element]:
    return [rect for rect in chart.all("rect") if rect.find("title") is not None]


class TestStretches:
    def test_stretches_leave_no_hole(self) -> None:
        periods = [
            period(-60, -30),
            period(-8, 10),
            period(11, 20, "empty"),
            period(21, 25, "Unreachable", polls=4),
            period(26, 40),
            period(70, 80),
        ]
        result = stretches(periods[::-1], seconds(NOON), seconds(after(100)), minutes(10))
        start = seconds(NOON)
        assert [
            ((stretch.start - start) / 60, (stretch.end - start) / 60, stretch.kind, stretch.polls)
            for stretch in result
        ] == [
            (-8, 21, GOOD, 20),
            (21, 26, "Unreachable", 4),
            (26, 40, GOOD, 10),
            (40, 70, GAP, 0),
            (70, 80, GOOD, 10),
            (80, 100, GAP, 0),
        ]

    def test_longer_pause_than_gap_after_is_a_gap(self) -> None:
        periods = [period(0, 10), period(20, 100)]
        for gap_after, kinds in ((minutes(10), [GOOD]), (minutes(9), [GOOD, GAP, GOOD])):
            result = stretches(periods, seconds(NOON), seconds(after(100)), gap_after)
            assert [stretch.kind for stretch in result] == kinds

    @pytest.mark.parametrize(
        ("periods", "kinds"),
        [
            ([period(-30, -5, "Unreachable"), period(4, 100)], ["Unreachable", GOOD]),
            ([period(-30, -20, "Unreachable"), period(4, 100)], [GOOD]),
            ([period(-30, -20, "Unreachable"), period(14, 100)], [GAP, GOOD]),
            ([period(200, 300)], [GAP]),
        ],
    )
    def test_earlier_period_counts_until_a_poll_that_follows_soon(
        self, periods: list[SyncPeriod], kinds: list[str]
    ) -> None:
        result = stretches(periods, seconds(NOON), seconds(after(100)), minutes(10))
        assert [stretch.kind for stretch in result] == kinds
        assert result[0].start <= seconds(NOON)
        assert result[-1].end == seconds(after(100))


class TestBars:
    def test_bars_are_to_scale_and_differ_by_more_than_colour(self) -> None:
        chart = draw([period(-60, 50), period(50, 75, "Unreachable", 3)], 100)
        gap, good, outage = bars(chart)
        assert [(bar.get("x"), bar.get("width")) for bar in (good, outage, gap)] == [
            ("0.0%", "50.0%"),
            ("50.0%", "25.0%"),
            ("75.0%", "25.0%"),
        ]
        for attribute in ("y", "height", "fill"):
            assert len({bar.get(attribute) for bar in (good, outage, gap)}) == 3
        assert outage[0].text == "25 Mar 12:50 – 13:15: Unreachable, 3 polls"
        assert gap[0].text == "25 Mar 13:15 – 13:40: Not polled"

    def test_each_error_has_its_own_hatch(self) -> None:
        periods = [period(0, 9), *(period(20 + 9 * n, 28 + 9 * n, e) for n, e in enumerate(ERRORS))]
        chart = draw(periods, 200)
        assert len({bar.get("fill") for bar in bars(chart)}) == len(ERRORS) + 2

    def test_short_outage_is_visible(self) -> None:
        periods = [period(0, 5_000), period(5_001, 5_002, "Unreachable"), period(5_003, 10_000)]
        outage = bars(draw(periods, 10_000))[-1]
        assert (outage.get("x"), outage.get("width")) == ("50.0%", "0.25%")

    def test_outage_that_has_just_begun_is_visible(self) -> None:
        chart = draw([period(0, 639), period(639.9, 639.9, "Unreachable", 1)], 640)
        outage = bars(chart)[-1]
        assert (outage.get("x"), outage.get("width")) == ("99.75%", "0.25%")
        assert chart.words.startswith("Reachable 10 h 39 min (99.9 %)")

    @pytest.mark.long
    def test_thousands_of_periods_are_few_bars(self) -> None:
        kinds = ["ok", "Unreachable", "ok", "RateLimited"]
        periods = [
            period(start + n, start + n + 0.5, kinds[n // 4 % 4], polls=1)
            for start in (0, 20_000)
            for n in range(0, 8_000, 4)
        ]
        periods.append(period(8_000, 20_000, polls=5))
        drawn = bars(draw(periods, 30_000))
        assert 100 <= len(drawn) <= 800
        [longest] = [bar for bar in drawn if bar.get("width") == "40.0%"]
        assert longest[0].text == "31 Mar 01:20 – 8 Apr 09:24: Reachable, 6 polls"


class TestAxis:
    def test_strip_of_a_week_has_a_tick_for_each_day(self) -> None:
        chart = draw([period(0, 10_080)], 10_080)
        labels = [f"{day} Mar" for day in range(26, 32)] + ["1 Apr"]
        assert chart.texts("text") == labels
        assert len(chart.all("line", "im-tick")) == 7

    def test_strip_of_a_day_has_ticks_at_round_hours(self) -> None:
        chart = draw([period(0, 1_440)], 1_440)
        # Those at the ends have no labels, which would be cut off: both times are below the strip.
        assert chart.texts("text") == ["18:00", "26 Mar", "06:00"]
        assert len(chart.all("line", "im-tick")) == 5

    def test_day_has_23_hours_where_clocks_change(self) -> None:
        """In Berlin, on 29 March."""
        with timezone.override("Europe/Berlin"):
            begins = [seconds(midnight(date(2026, 3, day))) for day in (28, 29, 30)]
        hours = [(end - begin) / 3600 for begin, end in pairwise(begins)]
        assert hours == [24, 23]


class TestMaintenance:
    def test_maintenance_is_marked_and_changes_nothing_else(self) -> None:
        periods = [period(0, 50), period(50, 60, "Unreachable", 3), period(60, 100)]
        spans = [(after(-20), after(10)), (after(50), after(60)), (after(55), after(70))]
        spans.append((after(110), after(120)))
        chart = Markup(availability_strip(periods, NOON, after(100), maintenance=spans))
        chart.check()
        assert chart.words.startswith(draw(periods, 100).words)
        assert chart.words.endswith(" · Maintenance for 30 min")
        marks = [bar for bar in bars(chart) if "Maintenance" in (bar[0].text or "")]
        assert [(bar.get("x"), bar.get("width")) for bar in marks] == [
            ("0.0%", "10.0%"),
            ("50.0%", "20.0%"),
        ]


class TestFigures:
    def test_share_is_that_of_the_strip(self) -> None:
        periods = [period(0, 49), period(50, 50, "Unreachable", 1), period(60, 60), period(90, 95)]
        percent, words = availability(periods, NOON, after(120))
        assert words == draw(periods, 120).words
        assert f"({percent})" in words

    def test_workspace_that_was_not_polled_has_none(self) -> None:
        assert availability([period(-90, -60)], NOON, after(60)) == ("", "Not polled for 1 h 0 min")
        assert availability([], NOON, NOON) == ("", "")


class TestWords:
    def test_words_tell_reachability_outages_and_gaps(self) -> None:
        periods = [
            period(0, 49),
            period(50, 50, "Unreachable", 1),
            period(60, 60, "ok"),
            period(61, 61, "Unreachable"),
            period(66, 70),
            period(71, 75, "RateLimited"),
            period(76, 80),
        ]
        chart = draw(periods, 120, name="acme")
        assert chart.texts("title")[0] == "Availability of acme"
        assert chart.words == (
            "Reachable 1 h 0 min (75.0 %) · Not polled for 40 min · "
            "2 outages, 15 min in total · Rate limited once, 5 min"
        )
        assert "25 Mar 12:00 25 Mar 14:00" in chart.text

    def test_workspace_without_periods_was_not_polled(self) -> None:
        chart = Markup(availability_strip([], NOON, NOON))
        chart.check()
        assert chart.words == "Not polled for 1 s"

    def test_workspace_that_never_answered_has_0_percent(self) -> None:
        words = draw([period(0, 60, "Unreachable")], 60).words
        assert words == "Reachable 0 s (0 %) · 1 outage, 1 h 0 min"

    @pytest.mark.parametrize(
        ("good", "bad", "written"),
        [(100, None, "100 %"), (99_999, 1, "99.9 %"), (1, 99_999, "0.1 %"), (50, 50, "50.0 %")],
    )
    def test_percentage_is_never_rounded_up(
        self, good: float, bad: float | None, written: str
    ) -> None:
        totals = [Total(GOOD, good, 1), Total(GAP, 7, 1)]
        totals += [] if bad is None else [Total("Unreachable", bad, 1)]
        assert format_percent(totals) == written

    def test_two_strips_in_a_page_share_no_id(self) -> None:
        strips = [availability_strip([period(0, 9)], NOON, after(9), name=name) for name in "ab"]
        Markup(f"<div>{''.join(strips)}</div>").check()

    def test_same_rows_give_the_same_markup(self) -> None:
        periods = [period(n * 2, n * 2 + 1, kind) for n, kind in enumerate(["ok", "A", "B", "C"])]
        assert len({availability_strip(periods, NOON, after(9)) for _ in range(3)}) == 1
