"""How much of the history is in sight, on screens of several widths."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from importmonitor.models import EndReason
from tests.admin.helpers import make_row
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


@pytest.fixture
def _three_workspaces(settings: Any) -> None:
    """Two running imports, one that failed today, and thirty older ones of all outcomes."""
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
    for number in range(30):
        make_row(
            number + 10,
            workspace=("default", "acme")[number % 2],
            started_at=now - timedelta(days=2 * number + 1.5),
            end_reason=EndReason.values[number % 3],
            state="done",
            count_completed=8_988,
            **counts,
            **kinds,
        ).save()


@pytest.mark.usefixtures("_three_workspaces")
@pytest.mark.parametrize("width", [1280, 1440, 1920])
def test_eight_rows_and_all_columns_are_in_sight(open_browser: OpenBrowser, width: int) -> None:
    browser = open_browser(viewport={"width": width, "height": 900})
    page = browser.open(HISTORY)
    assert page.evaluate(ROWS_IN_SIGHT) >= 8
    assert page.evaluate(HEIGHT_ABOVE) <= 320
    assert page.evaluate(CUT_OFF) == []
    assert browser.overflow() == 0
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
def test_phone_does_not_scroll_sideways(open_browser: OpenBrowser, locale: str) -> None:
    browser = open_browser(locale=locale, viewport={"width": 360, "height": 740})
    browser.open(f"{HISTORY}?importer=csv&errors=yes")
    assert browser.overflow() == 0


@pytest.mark.usefixtures("_three_workspaces")
def test_bar_of_an_import_leads_to_its_page(open_browser: OpenBrowser) -> None:
    page = open_browser().open(HISTORY)
    page.locator(".im-runs .im-plot a").last.click()
    page.locator(".im-summary", has_text="export-of-default.zip").wait_for()
