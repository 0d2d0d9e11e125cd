"""Everything by the keyboard alone, as somebody does who sees where the focus is."""

from typing import TYPE_CHECKING

from django.contrib.auth.models import User

from importmonitor.models import ImportOperation
from simulator.workspace import Workspace
from tests.browser.browser_page import HISTORY, IN_CHROMIUM, expect
from tests.browser.conftest import Visit

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = IN_CHROMIUM

#: More elements than these nobody tabs through.
MOST = 150

FOCUSED = r"""() => {
    const found = document.activeElement;
    const words = found.getAttribute("aria-label") || found.textContent || found.value || "";
    return [words.trim().replace(/\s+/g, " "), found.name, found.id];
}"""

LOOK = """each => {
    const {outline, boxShadow, stroke, strokeWidth, backgroundColor, textDecoration}
        = getComputedStyle(each);
    return [outline, boxShadow, stroke, strokeWidth, backgroundColor, textDecoration].join();
}"""


def tab_to(page: "Page", words: str) -> None:
    """Press Tab until what bears these words, or this name, has the focus."""
    for _ in range(MOST):
        page.keyboard.press("Tab")
        if words in page.evaluate(FOCUSED):
            return
    raise AssertionError(f"{words} cannot be reached by Tab")


def test_by_keyboard(visit: Visit, history: Workspace, admin_user: User) -> None:
    visitor = visit(log_in=False)
    page = visitor.open(f"/admin/login/?next={HISTORY}")
    # The name has the focus from the beginning.
    page.keyboard.type("admin")
    page.keyboard.press("Tab")
    page.keyboard.type("password")
    page.keyboard.press("Enter")
    expect(page.locator("#result_list")).to_be_visible()

    history.clock.advance(9000)
    page.keyboard.press("Tab")
    assert "Skip to main content" in page.evaluate(FOCUSED)
    page.keyboard.press("Enter")
    tab_to(page, "Sync now")
    page.keyboard.press("Enter")
    expect(page.locator(".messagelist")).to_contain_text("Synced default")

    tab_to(page, "failed")
    page.keyboard.press("Enter")
    rows = page.locator("#result_list tbody tr")
    expect(rows).to_have_count(1)

    tab_to(page, "searchbar")
    page.keyboard.type("people")
    page.keyboard.press("Enter")
    expect(rows).to_have_count(1)
    tab_to(page, "CSV people.csv")
    page.keyboard.press("Enter")
    expect(page.locator(".im-summary")).to_contain_text("failed")

    tab_to(page, "As a table")
    page.keyboard.press("Enter")
    expect(page.locator(".im-numbers")).to_be_visible()
    tab_to(page, "id_note")
    page.keyboard.type("asked the vendor")
    tab_to(page, "_save")
    page.keyboard.press("Enter")
    expect(page.locator(".messagelist")).to_contain_text("changed successfully")
    assert ImportOperation.objects.get(outcome="failed").note == "asked the vendor"


def test_the_focus_can_be_seen_everywhere(visit: Visit, history: Workspace) -> None:
    """On each of our own controls a focus by keyboard changes how it looks."""
    visitor = visit()
    page = visitor.open(HISTORY)
    for control in (
        ".im-sync button",
        ".im-tools a",
        ".im-card a",
        ".im-weeks .im-plot a rect",
        ".im-weeks summary",
        ".field-what a",
    ):
        place = page.locator(control).first
        before = place.evaluate(LOOK)
        place.evaluate("each => each.closest('a, button, summary').focus({focusVisible: true})")
        assert place.evaluate(LOOK) != before, control
