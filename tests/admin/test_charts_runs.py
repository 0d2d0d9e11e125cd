"""The chart of the last imports: bars by duration that are links, and the same as a table."""

from datetime import timedelta

import pytest

from importmonitor.admin.display import OUTCOMES, STATES
from importmonitor.charts import Run, runs_chart
from importmonitor.models import Outcome
from importmonitor.rocketchat.states import ImportState
from tests.admin.charts import Markup
from tests.api.helpers import NOON


def run(minutes: float, outcome: Outcome | None = Outcome.DONE, name: str = "CSV") -> Run:
    return Run(
        name=name,
        started_at=NOON,
        duration=timedelta(minutes=minutes),
        outcome=outcome,
        badge=OUTCOMES[outcome] if outcome else STATES[ImportState.IMPORTING],
        href=f"?{name}",
    )


def draw(*runs: Run) -> Markup:
    chart = Markup(runs_chart(runs))
    chart.check()
    return chart


def test_height_is_the_square_root_of_the_duration() -> None:
    chart = draw(run(100), run(25), run(0, Outcome.FAILED), run(1, None))
    places = [
        [rect.get(name) for name in ("y", "height", "fill")]
        for part in chart.all("a", "im-part")
        for rect in part.iter("rect")
    ]
    assert places == [
        ["8.0", "56.0", "url(#im-runs-plain-good)"],
        ["36.0", "28.0", "url(#im-runs-plain-good)"],
        # Still visible.
        ["61.0", "3.0", "url(#im-runs-cross-bad)"],
        ["58.4", "5.6", "url(#im-runs-backslash-busy)"],
    ]
    assert chart.texts("text") == ["1 h 40 min", "25 min", "25 Mar 12:00", "25 Mar 12:00"]


def test_table_has_what_the_bars_have_newest_first() -> None:
    chart = draw(run(1, name="old"), run(75, Outcome.FAILED, name="<b>"))
    assert chart.rows() == [
        ["<b>", "25 Mar 12:00", "✕ Failed", "1 h 15 min"],
        ["old", "25 Mar 12:00", "✓ Done", "1 min"],
    ]
    assert chart.words == "The last 2 imports; the longest took 1 h 15 min."
    # In the drawing for the mouse alone, in the table for all.
    links = [(link.get("href"), link.get("tabindex")) for link in chart.all("a")]
    assert links == [("?old", "-1"), ("?<b>", "-1"), ("?<b>", None), ("?old", None)]


@pytest.mark.parametrize("durations", [[], [0], [0, 0], [-5, 3], [1e8]])
def test_any_durations_can_be_drawn(durations: list[float]) -> None:
    assert draw(*map(run, durations)).text
