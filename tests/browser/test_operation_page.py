"""The page of an import in Chromium: it fits a screen or two, and its texts can be copied."""

from typing import Any

import pytest

from tests.admin.helpers import change_url
from tests.browser.browser_page import IN_CHROMIUM, expect
from tests.browser.conftest import OpenBrowser
from tests.browser.imports import save_imports

pytestmark = IN_CHROMIUM

#: A screen and a half at 1,280 by 900 pixels.
MAX_HEIGHT = 1_400


def test_page_of_a_done_import_is_short_and_has_two_columns(
    open_browser: OpenBrowser, settings: Any
) -> None:
    operation = save_imports(settings, "done")["done"]
    browser = open_browser(viewport={"width": 1280, "height": 900})
    page = browser.open(change_url(operation))
    expect(page.locator("h1:visible")).to_contain_text("Slack · acme-export.zip · ")
    assert page.evaluate("document.documentElement.scrollHeight") <= MAX_HEIGHT
    note, timeline = (page.locator(part).bounding_box() for part in ("#id_note", ".im-timeline"))
    assert note is not None
    assert timeline is not None
    assert note["x"] + note["width"] < timeline["x"]
    assert browser.overflow() == 0
    # The raw fields open without a script.
    payload = page.locator(".im-payload")
    expect(payload).to_be_hidden()
    page.get_by_text("Raw fields and document").click()
    expect(payload).to_be_visible()
    assert browser.overflow() == 0


@pytest.mark.parametrize("has_clipboard", [True, False], ids=["clipboard", "no clipboard"])
def test_id_is_copied_by_a_button(
    open_browser: OpenBrowser, settings: Any, has_clipboard: bool
) -> None:
    operation = save_imports(settings, "waiting")["waiting"]
    browser = open_browser(permissions=["clipboard-read", "clipboard-write"])
    page = browser.open(change_url(operation))
    if not has_clipboard:
        # As on a page over http.
        page.evaluate("Object.defineProperty(navigator, 'clipboard', {get: () => undefined})")
    page.locator("#im-id + .im-copy").click()
    expect(page.locator("#im-id + .im-copy")).to_have_text("Copied")
    page.locator("#id_note").fill("")
    page.locator("#id_note").press("Control+V")
    assert page.locator("#id_note").input_value() == operation.remote_id
    expect(page.locator("#im-id + .im-copy")).to_have_text("Copy")


def test_without_scripts_there_are_no_copy_buttons(
    open_browser: OpenBrowser, settings: Any
) -> None:
    operation = save_imports(settings, "waiting")["waiting"]
    page = open_browser(java_script_enabled=False).open(change_url(operation))
    expect(page.locator("#im-id")).to_be_visible()
    expect(page.locator(".im-copy:visible")).to_have_count(0)
