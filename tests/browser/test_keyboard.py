"""Everything works by the keyboard alone, with a visible focus."""

from typing import TYPE_CHECKING

import pytest
from django.contrib.auth.models import User

from importmonitor.models import ImportOperation
from simulator.workspace import Workspace
from tests.browser.browser_page import HISTORY, IN_CHROMIUM, expect
from tests.browser.conftest import OpenBrowser

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = IN_CHROMIUM

#: More presses of Tab than any control may need.
MAX_TABS = 150

FOCUSED = r"""() => {
    const element = document.activeElement;
    const text = element.getAttribute("aria-label") || element.textContent || element.value || "";
    return [text.trim().replace(/\s+/g, " "), element.name, element.id];
}"""

STYLE = """element => {
    const {outline, boxShadow, stroke, strokeWidth, backgroundColor, textDecoration}
        = getComputedStyle(element);
    return [outline, boxShadow, stroke, strokeWidth, backgroundColor, textDecoration].join();
}"""


def tab_to(page: "Page", text: str) -> None:
    """Press Tab until the element with this text, name or id has the focus."""
    for _ in range(MAX_TABS):
        page.keyboard.press("Tab")
        if text in page.evaluate(FOCUSED):
            return
    raise AssertionError(f"{text} cannot be reached by Tab")


@pytest.mark.usefixtures("waiting_sync")
def test_filter_search_note_and_sync_work_by_keyboard(
    open_browser: OpenBrowser, history: Workspace, admin_user: User
) -> None:
    browser = open_browser(log_in=False)
    page = browser.open(f"/admin/login/?next={HISTORY}")
    # The user name has the initial focus.
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

    tab_to(page, "! Done with errors 1")
    page.keyboard.press("Enter")
    rows = page.locator("#result_list tbody tr")
    expect(rows).to_have_count(1)

    tab_to(page, "searchbar")
    page.keyboard.type("people")
    page.keyboard.press("Enter")
    expect(rows).to_have_count(1)
    tab_to(page, "CSV people.csv")
    page.keyboard.press("Enter")
    expect(page.locator(".im-summary")).to_contain_text("Done with errors")

    tab_to(page, "As a table")
    page.keyboard.press("Enter")
    expect(page.locator(".im-numbers")).to_be_visible()
    tab_to(page, "id_note")
    page.keyboard.type("asked the vendor")
    tab_to(page, "_save")
    page.keyboard.press("Enter")
    expect(page.locator(".messagelist")).to_contain_text("changed successfully")
    operation = ImportOperation.objects.get(outcome="done_with_errors")
    assert operation.note == "asked the vendor"


def test_focus_is_visible_on_each_control(open_browser: OpenBrowser, history: Workspace) -> None:
    browser = open_browser()
    page = browser.open(HISTORY)
    for control in (
        ".im-sync button",
        ".im-tools a",
        ".im-card a",
        ".im-weeks .im-plot a rect",
        ".im-weeks summary",
        ".im-figure",
        ".im-chip",
        ".im-more-filters summary",
        ".field-name a",
    ):
        element = page.locator(control).first
        unfocused = element.evaluate(STYLE)
        element.evaluate(
            "element => element.closest('a, button, summary').focus({focusVisible: true})"
        )
        assert element.evaluate(STYLE) != unfocused, control


def test_question_mark_lists_the_keys_which_lead_to_pages_and_can_be_off(
    open_browser: OpenBrowser, history: Workspace
) -> None:
    page = open_browser().open(HISTORY)
    keys = page.locator("#im-keys")
    expect(keys).to_be_hidden()
    page.keyboard.press("?")
    expect(keys).to_be_visible()
    expect(keys).to_contain_text("Next and previous row")
    page.keyboard.press("Escape")
    expect(keys).to_be_hidden()
    # Rows by j and k, and what is typed into a field is text.
    for key in "jjk":
        page.keyboard.press(key)
    focused = page.evaluate("document.activeElement.closest('tr').rowIndex")
    assert focused == 1
    page.keyboard.press("/")
    page.keyboard.type("?w")
    assert page.input_value("#searchbar") == "?w"
    expect(keys).to_be_hidden()
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("w")
    page.wait_for_url("**/workspace/")
    page.keyboard.press("?")
    keys.locator("input").uncheck()
    page.keyboard.press("Escape")
    page.keyboard.press("h")
    page.wait_for_timeout(200)
    assert page.url.endswith("/workspace/")
    page.keyboard.press("?")
    expect(keys).to_be_visible()
