"""The strip of availability: what is known of each moment, drawn and in words."""

import re

import pytest

from importmonitor.charts import availability as strips
from importmonitor.charts import availability_strip
from importmonitor.charts.scales import (
    seconds,
)
from importmonitor.charts.stretches import GAP, GOOD, Stretch, stretches
from importmonitor.models import SyncPeriod
from tests.admin.charts import (
    Drawn,
    after,
    minutes,
    period,
)
from tests.api.helpers import NOON


def strip_of(*found: Stretch, end: float = 640) -> strips.Availability:
    return strips.availability(found, 0, end)


def test_stretches_leave_no_hole() -> None:
    periods = [
        period(-60, -30),
        period(-8, 10),
        period(11, 20, "empty"),
        period(21, 25, "Unreachable", polls=4),
        period(26, 40),
        period(70, 80),
    ]
    found = stretches(periods[::-1], seconds(NOON), seconds(after(100)), minutes(10))
    start = seconds(NOON)
    assert [
        ((each.start - start) / 60, (each.end - start) / 60, each.kind, each.polls)
        for each in found
    ] == [
        (-8, 21, GOOD, 20),
        (21, 26, "Unreachable", 4),
        (26, 40, GOOD, 10),
        (40, 70, GAP, 0),
        (70, 80, GOOD, 10),
        (80, 100, GAP, 0),
    ]


def test_the_threshold_of_a_gap() -> None:
    periods = [period(0, 10), period(20, 100)]
    for gap_after, kinds in ((minutes(10), [GOOD]), (minutes(9), [GOOD, GAP, GOOD])):
        found = stretches(periods, seconds(NOON), seconds(after(100)), gap_after)
        assert [each.kind for each in found] == kinds


def test_the_beginning_of_the_time() -> None:
    def kinds(*periods: SyncPeriod) -> list[str]:
        found = stretches(periods, seconds(NOON), seconds(after(100)), minutes(10))
        assert found[0].start <= seconds(NOON)
        assert found[-1].end == seconds(after(100))
        return [each.kind for each in found]

    # What was before it says what was until the next look, if that came soon.
    assert kinds(period(-30, -5, "Unreachable"), period(4, 100)) == ["Unreachable", GOOD]
    assert kinds(period(-30, -20, "Unreachable"), period(4, 100)) == [GOOD]
    assert kinds(period(-30, -20, "Unreachable"), period(14, 100)) == [GAP, GOOD]
    assert kinds(period(200, 300)) == [GAP]


def test_many_kinds_are_told_together() -> None:
    found = strip_of(*(Stretch(each * 40, each * 40 + 40, f"Error{each}", 1) for each in range(16)))
    assert len(found.kinds) == 11
    assert strips.told(found.kinds[-1]) == "in other trouble 6 times, for 4 min in all"


def test_a_look_that_failed_a_moment_ago_is_not_all_good() -> None:
    found = strip_of(Stretch(0, 640, GOOD, 9), Stretch(640, 640, "Unreachable", 1))
    assert strips.percent_in_words(found.percent) == "99.9 %"
    assert (found.bars[-1].x, found.bars[-1].width) == (638.5, 1.5)
    assert strip_of(Stretch(640, 640, "Unreachable", 1)).percent == 0


def test_the_strip_to_scale() -> None:
    found = strip_of(
        Stretch(-60, 320, GOOD, 7), Stretch(320, 480, "Unreachable", 3), Stretch(480, 640, GAP, 0)
    )
    gap, good, trouble = found.bars
    assert (good.x, good.width, gap.x, gap.width) == (0, 320, 480, 160)
    assert (trouble.x, trouble.width) == (320, 160)
    # Told apart by their height and their hatch, not by colour alone.
    assert len({each.height for each in found.bars}) == 3
    assert len({each.fill for each in found.bars}) == 3
    assert trouble.title.endswith(": Unreachable, 3 polls")
    assert gap.title.endswith(": not looked at")
    # Of the time that was looked at.
    assert found.percent == pytest.approx(100 * 320 / 480)


def test_each_known_error_has_its_own_hatch() -> None:
    kinds = ["Unreachable", "RateLimited", "Unauthenticated", "PermissionMissing"]
    kinds += ["TwoFactorRequired", "NotRocketChat", "BadAnswer", "SomethingNew", GOOD, GAP]
    found = strip_of(
        *(Stretch(each * 60, each * 60 + 60, kind, 1) for each, kind in enumerate(kinds))
    )
    assert len({each.fill for each in found.bars}) == len(kinds)


def test_a_short_trouble_is_seen() -> None:
    found = strip_of(
        Stretch(0, 500_000, GOOD, 900),
        Stretch(500_000, 500_060, "Unreachable", 1),
        Stretch(500_060, 1_000_000, GOOD, 900),
        end=1_000_000,
    )
    assert found.bars[-1].width == 1.5
    assert found.bars[-1].x == 320
    assert strips.percent_in_words(found.percent) == "99.9 %"


def test_thousands_of_periods_are_few_bars() -> None:
    kinds = ["ok", "Unreachable", "ok", "RateLimited"]
    periods = [period(each, each + 0.5, kinds[each % 4], polls=1) for each in range(8_000)]
    periods.append(period(8_000, 20_000, polls=5))
    periods += [period(20_000 + each, 20_000 + each, kinds[each % 4], 1) for each in range(8_000)]
    found = strips.availability(
        stretches(periods, seconds(NOON), seconds(after(30_000)), minutes(10)),
        seconds(NOON),
        seconds(after(30_000)),
    )
    assert 100 <= len(found.bars) <= 400
    # The long one stays what it was, and no poll is lost.
    longest = max(found.bars, key=lambda each: each.width)
    assert longest.title == "31 Mar 01:20 – 8 Apr 09:21: could be looked at, 6 polls"
    told = [re.search(r"([\d,]+) polls?$", each.title) for each in found.bars]
    assert sum(int(each[1].replace(",", "")) for each in told if each) == 16_005


@pytest.mark.parametrize(
    ("percent", "written"),
    [(None, "–"), (100, "100 %"), (99.999, "99.9 %"), (0.001, "0.1 %"), (0, "0 %"), (50, "50.0 %")],
)
def test_an_availability_is_never_rounded_up(percent: float | None, written: str) -> None:
    assert strips.percent_in_words(percent) == written


def test_the_strip_in_words() -> None:
    periods = [
        period(0, 49),
        period(50, 50, "Unreachable", 1),
        period(60, 60, "ok"),
        period(61, 61, "Unreachable"),
        period(66, 80),
    ]
    chart = Drawn(availability_strip(periods, NOON, after(120), name="acme"))
    chart.check()
    assert chart.all("title")[0].text == "Availability of acme"
    assert chart.all("desc")[0].text == (
        "81.2 %; could be looked at for 1 h 5 min; not looked at for 40 min; "
        "Unreachable 2 times, for 15 min in all"
    )
    assert "25 Mar 12:00" in chart.text
    assert "25 Mar 14:00" in chart.text


def test_the_strip_of_nothing() -> None:
    chart = Drawn(availability_strip([], NOON, NOON))
    chart.check()
    assert chart.all("desc")[0].text == "–; not looked at for 1 s"


def test_two_strips_in_a_page_share_no_id() -> None:
    both = [availability_strip([period(0, 9)], NOON, after(9), name=name) for name in ("a", "b")]
    Drawn(f"<div>{''.join(both)}</div>").check()


def test_the_same_rows_give_the_same_markup() -> None:
    periods = [
        period(each * 2, each * 2 + 1, kind) for each, kind in enumerate(["ok", "A", "B", "C"])
    ]
    assert len({availability_strip(periods, NOON, after(9)) for _ in range(3)}) == 1
