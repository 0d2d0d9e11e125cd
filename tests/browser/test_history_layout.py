"""How much of the history is in sight, on screens of several widths."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from importmonitor.models import EndReason, Outcome
from tests.admin.helpers import make_row
from tests.admin.test_incidents_page import make_incident
from tests.admin.workspace_states import configure, save_period
from tests.browser.browser_page import HISTORY, IN_CHROMIUM
from tests.browser.conftest import OpenBrowser

pytestmark = IN_CHROMIUM

ROWS_IN_SIGHT = """() => [...document.querySelectorAll("#result_list tbody tr")].filter(
    (row) => row.getBoundingClientRect().bottom <= innerHeight).length"""
HEIGHT_ABOVE = "document.querySelector('.im-above').getBoundingClientRect().height"
CUT_OFF = """() => [...document.querySelectorAll("#result_list :is(th, td)")].filter((cell) => {
    const {right, width} = cell.getBoundingClientRect();
    return width && (right > innerWidth || cell.scrollWidth > cell.clientWidth + 1);
}).map((cell) => cell.textContent)"""


#: How imports of all seven outcomes ended.
ENDS: list[dict[str, Any]] = [
    {"end_reason": EndReason.DONE, "count_completed": 9_000, "count_error": 0},
    {"end_reason": EndReason.DONE, "count_completed": 8_988},
    {"end_reason": EndReason.DONE, "count_completed": 4_500, "count_error": 0},
    *({"end_reason": reason, "count_completed": 4_500} for reason in EndReason.values[1:]),
]


@pytest.fixture
def _three_workspaces(settings: Any) -> None:
    """Two running imports, one that failed today, older ones of all outcomes, and incidents."""
    configure(settings, "default", "acme", "globex-europe")
    now = timezone.now()
    counts = {"count_total": 9_000, "count_error": 12, "users_twice": False}
    kinds = {"count_users": 120, "count_channels": 14, "count_messages": 8_866}
    for number, alias in enumerate(("default", "acme", "globex-europe")):
        row = make_row(
            number,
            workspace=alias,
            type="Slack",
            file=f"export-of-{alias}.zip",
            started_at=now - timedelta(minutes=50 * (number + 1)),
            count_completed=5_490,
            rate=22.5,
            seconds_left=260.0,
            forecast_at=now,
            **counts,
            **kinds,
        )
        if alias == "globex-europe":
            row.end_reason, row.state = "failed", "error"
            row.finished_at = now - timedelta(minutes=30)
            row.outcome = row.end_outcome()
        row.save()
        save_period(alias, last_at=now, operation=row)
    for number in range(20 * len(ENDS)):
        make_row(
            number + 10,
            workspace=("default", "acme")[number % 2],
            started_at=now - timedelta(hours=12 * number + 36),
            state="done",
            file="acme_slack_export.zip",
            **counts | kinds | ENDS[number % len(ENDS)],
        ).save()
    make_incident("import.failed", workspace="globex-europe", operation=row, since=now)
    make_incident(workspace="acme", since=now - timedelta(days=3))


@pytest.mark.usefixtures("_three_workspaces")
@pytest.mark.parametrize("width", [1280, 1440, 1920])
def test_eight_rows_and_all_columns_are_in_sight(open_browser: OpenBrowser, width: int) -> None:
    browser = open_browser(viewport={"width": width, "height": 900})
    page = browser.open(HISTORY)
    assert page.evaluate(ROWS_IN_SIGHT) >= 8
    assert page.evaluate(HEIGHT_ABOVE) <= 320
    assert page.evaluate(CUT_OFF) == []
    assert browser.overflow() == 0
    # The legend of both charts is one line, where the charts are as wide as the page.
    items = page.locator(".im-weeks .im-legend li")
    tops = items.evaluate_all("all => all.map((item) => item.offsetTop)")
    assert len(tops) == len(Outcome)
    assert len(set(tops)) == 1 or width >= 1600
    # Records by kind, where there is room for them.
    is_visible = page.locator("#result_list .field-messages").first.is_visible()
    assert is_visible == (width >= 1440)


@pytest.mark.usefixtures("_three_workspaces")
def test_wide_screen_is_used(open_browser: OpenBrowser) -> None:
    page = open_browser(viewport={"width": 1920, "height": 1000}).open(HISTORY)
    for part in (".im-above", "#result_list", ".im-charts"):
        box = page.locator(part).bounding_box()
        assert box is not None
        assert box["x"] + box["width"] > 1850


@pytest.mark.usefixtures("_three_workspaces")
@pytest.mark.parametrize("locale", ["en-US", "de-DE", "pt-BR"])
@pytest.mark.parametrize("width", [360, 390, 1000])
def test_narrow_screen_does_not_scroll_sideways(
    open_browser: OpenBrowser, locale: str, width: int
) -> None:
    browser = open_browser(locale=locale, viewport={"width": width, "height": 740})
    page = browser.open(f"{HISTORY}?importer=csv&errors=yes")
    assert browser.overflow() == 0
    assert page.locator("#result_list tbody tr").count() > 0
    assert page.evaluate(CUT_OFF) == []


@pytest.mark.usefixtures("_three_workspaces")
def test_bar_of_an_import_leads_to_its_page(open_browser: OpenBrowser) -> None:
    page = open_browser().open(HISTORY)
    page.locator(".im-runs .im-plot a").last.click()
    page.locator(".im-summary", has_text="export-of-default.zip").wait_for()
