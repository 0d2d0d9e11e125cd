"""An open page follows the import without disturbing the user."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone
from django.utils.html import strip_tags

from importmonitor import models
from importmonitor.admin import display
from importmonitor.models import ImportOperation
from importmonitor.sync.background import get_poller
from simulator.workspace import Workspace
from tests.admin.helpers import change_url
from tests.api.helpers import workspace_at
from tests.browser.browser_page import HISTORY, IN_CHROMIUM, BrowserPage, expect
from tests.browser.conftest import OpenBrowser, poll_after

pytestmark = IN_CHROMIUM

FAILED = "This page could not be refreshed"


def refresh(browser: BrowserPage) -> None:
    """Let the page fetch itself and wait for the response."""
    with browser.page.expect_event(
        "requestfinished", lambda request: request.resource_type == "fetch"
    ):
        browser.pass_time()


def text_of(html: str) -> str:
    """Return the text of some HTML, with single spaces."""
    return " ".join(strip_tags(html).split())


def current() -> ImportOperation:
    operation = models.Workspace.objects.get(alias="default").current_operation
    assert operation is not None
    return operation


def tab_title() -> str:
    """Return the title of the history's tab while one import runs."""
    operation = current()
    percent = operation.percent
    state = display.badge_of(operation).label if percent is None else f"{percent} %"
    return f"{state} · {operation.type} · importmonitor"


def test_history_follows_an_import_from_start_to_end(
    open_browser: OpenBrowser, chat: Workspace
) -> None:
    chat.start_import("slack", "stuck", seconds=3000, records=9000, stuck_for=4 * 3600)
    poll_after(chat, 1)
    browser = open_browser(clock=True)
    page = browser.open(HISTORY)
    page.evaluate("window.notReloaded = true")
    card, row = page.locator(".im-card"), page.locator("#result_list tbody tr").first
    labels: list[str] = []
    bars = set()
    while "Done" not in labels:
        poll_after(chat, 400)
        refresh(browser)
        badge = text_of(display.operation_badge(current()))
        for element in (card, row):
            expect(element.locator(".im-badge")).to_have_text(badge)
            expect(element).to_contain_text(text_of(display.progress(current())))
        if current().percent is not None:
            bars.add(card.locator("progress").get_attribute("value"))
        if badge[2:] not in labels[-1:]:
            labels.append(badge[2:])
    assert labels == ["Loading", "Waiting", "Running", "Stalled", "Running", "Done"]
    # It is unknown for long whether users are counted twice, and so what the percentage is.
    assert len(bars) > 1
    assert page.evaluate("window.notReloaded")
    # It has ended: the page fetches itself once a minute.
    fetches = browser.count_fetches()
    browser.pass_time(30)
    assert browser.count_fetches() == fetches


def test_empty_list_fills(open_browser: OpenBrowser, chat: Workspace) -> None:
    chat.start_import("slack", seconds=3000, records=9000)
    poll_after(chat, 1)
    browser = open_browser(clock=True)
    page = browser.open(f"{HISTORY}?outcome=done")
    expect(page.locator(".im-empty")).to_contain_text("No imports match these filters.")
    expect(page.locator("#result_list")).to_have_count(0)
    expect(page.locator(".im-weeks")).to_contain_text("Nothing was imported")
    for _ in range(6):
        poll_after(chat, 900)
    refresh(browser)
    expect(page.locator("#result_list tbody tr")).to_have_count(1)
    expect(page.locator(".im-empty")).to_have_count(0)
    expect(page.locator(".im-weeks svg.im-plot a")).not_to_have_count(0)


def test_stalled_import_is_highlighted_until_it_resumes(
    open_browser: OpenBrowser, chat: Workspace
) -> None:
    chat.start_import("slack", "stuck", seconds=3000, records=9000, stuck_for=4 * 3600)
    for _ in range(24):
        poll_after(chat, 400)
    browser = open_browser(clock=True)
    page = browser.open(HISTORY)
    expect(page.locator(".im-card.im-critical .im-badge")).to_contain_text("Stalled")
    expect(page.locator(".im-card .im-attention")).to_contain_text("No progress for")
    for _ in range(18):
        poll_after(chat, 400)
    refresh(browser)
    expect(page.locator(".im-card .im-badge")).to_contain_text("Running")
    expect(page.locator(".im-critical, .im-card .im-attention")).to_have_count(0)


def test_operation_page_follows_an_import(open_browser: OpenBrowser, history: Workspace) -> None:
    browser = open_browser(clock=True)
    page = browser.open(change_url(current()))
    before = page.locator(".im-chart svg.im-plot path.im-line").first.get_attribute("d")
    assert page.locator(".im-timeline li").count() > 1
    steps = page.locator(".im-timeline li").count()
    poll_after(history, 9000)
    refresh(browser)
    expect(page.locator(".im-summary .im-badge")).to_contain_text("Done")
    expect(page.locator(".im-timeline li").last).to_contain_text("importer_done")
    assert page.locator(".im-timeline li").count() > steps
    assert page.locator(".im-chart svg.im-plot path.im-line").first.get_attribute("d") != before


def test_link_to_a_newer_import_appears(open_browser: OpenBrowser, chat: Workspace) -> None:
    chat.start_import("slack", seconds=3000)
    poll_after(chat, 600)
    first = current()
    browser = open_browser(clock=True)
    page = browser.open(change_url(first))
    newer = page.get_by_role("link", name="Newer import")
    expect(newer).to_have_count(0)
    chat.start_import("csv", seconds=3000)
    poll_after(chat, 60)
    refresh(browser)
    expect(newer).to_have_attribute("href", change_url(current()))


def test_refresh_keeps_scroll_focus_open_table_and_typed_text(
    open_browser: OpenBrowser, history: Workspace
) -> None:
    browser = open_browser(clock=True, viewport={"width": 900, "height": 500})
    page = browser.open(change_url(current()))
    summary = page.locator(".im-chart summary")
    summary.focus()
    page.keyboard.press("Enter")
    rows = page.locator(".im-chart .im-numbers tbody tr").count()
    page.locator("#id_note").evaluate("note => note.value = 'half a sent'")
    page.evaluate("scrollTo(0, 420)")
    for _ in range(2):
        poll_after(history, 500)
        refresh(browser)
    expect(page.locator(".im-summary .im-counts")).to_have_text(
        text_of(display.progress(current()))
    )
    # The open table grows.
    expect(page.locator(".im-chart .im-numbers tbody tr")).not_to_have_count(rows)
    assert page.locator(".im-chart details").evaluate("details => details.open")
    assert page.evaluate("document.activeElement.tagName") == "SUMMARY"
    assert page.evaluate("document.activeElement.isConnected")
    assert page.evaluate("scrollY") == 420
    assert page.locator("#id_note").input_value() == "half a sent"
    page.locator(".im-raw > summary").click()
    page.locator("#id_note").press("End")
    page.keyboard.type("ence")
    poll_after(history, 500)
    refresh(browser)
    expect(page.locator(".im-raw .im-payload")).to_contain_text(f'"{current().status}"')
    assert page.locator(".im-raw").evaluate("details => details.open")
    assert page.evaluate("document.activeElement.id") == "id_note"
    assert page.locator("#id_note").input_value() == "half a sentence"


def test_refresh_keeps_selected_text(open_browser: OpenBrowser, history: Workspace) -> None:
    browser = open_browser(clock=True)
    page = browser.open(HISTORY)
    page.locator(".im-card .im-file").evaluate(
        "element => getSelection().selectAllChildren(element)"
    )
    poll_after(history, 500)
    refresh(browser)
    counts = page.locator("#result_list .im-counts").first
    expect(counts).to_have_text(text_of(display.progress(current())))
    assert page.evaluate("getSelection().toString()") == "acme.zip"


def test_refresh_keeps_the_target_of_the_focused_link(
    open_browser: OpenBrowser, history: Workspace
) -> None:
    """A new import moves the rows down, except while one of them has the focus."""
    browser = open_browser(clock=True)
    page = browser.open(HISTORY)
    link = page.locator("#result_list .field-name a").first
    link.focus()
    href = link.get_attribute("href")
    history.start_import("csv", seconds=3000, file_name="another.csv")
    poll_after(history, 60)
    refresh(browser)
    assert page.evaluate("document.activeElement.getAttribute('href')") == href
    page.locator("#searchbar").focus()
    refresh(browser)
    expect(page.locator("#result_list tbody tr").first).to_contain_text("another.csv")
    expect(page.locator(".im-card")).to_contain_text("another.csv")


def test_hidden_tab_fetches_once_a_minute_for_its_title(
    open_browser: OpenBrowser, history: Workspace
) -> None:
    browser = open_browser(clock=True)
    page = browser.open(HISTORY)
    page.evaluate("Object.defineProperty(document, 'hidden', {get: () => window.isHidden})")
    page.evaluate("window.isHidden = true")
    poll_after(history, 500)
    browser.pass_time(55)
    assert browser.count_fetches() == 0
    refresh(browser)
    page.wait_for_function("title => document.title == title", arg=tab_title())
    assert browser.count_fetches() == 1
    poll_after(history, 9000)
    # It refreshes as soon as it is visible.
    page.evaluate("window.isHidden = false; document.dispatchEvent(new Event('visibilitychange'))")
    expect(page.locator(".im-card .im-badge")).to_contain_text("Done")
    assert browser.count_fetches() == 2


def test_hidden_tab_of_an_operation_does_not_fetch(
    open_browser: OpenBrowser, history: Workspace
) -> None:
    browser = open_browser(clock=True)
    page = browser.open(change_url(current()))
    page.evaluate("Object.defineProperty(document, 'hidden', {get: () => true})")
    browser.pass_time(120)
    assert browser.count_fetches() == 0


def test_idle_history_is_fetched_once_a_minute(open_browser: OpenBrowser, chat: Workspace) -> None:
    chat.start_import("csv", seconds=60, file_name="people.csv")
    poll_after(chat, 600)
    chat.clock.set(timezone.now())
    poll_after(chat)
    browser = open_browser(clock=True)
    page = browser.open(HISTORY)
    icon = page.locator("link[data-im-icon]")
    expect(icon).to_have_attribute("href", "/static/importmonitor/favicon-good.svg")
    browser.pass_time(55)
    assert browser.count_fetches() == 0
    chat.start_import("slack", seconds=10_000, records=20_000)
    poll_after(chat, 5)
    refresh(browser)
    expect(page.locator("#result_list tbody tr")).to_have_count(2)
    expect(icon).to_have_attribute("href", "/static/importmonitor/favicon-busy.svg")
    assert page.title() == tab_title()
    # From now on it is active.
    refresh(browser)
    assert browser.count_fetches() == 2


def test_page_says_that_the_server_is_unreachable(
    open_browser: OpenBrowser, history: Workspace
) -> None:
    browser = open_browser(clock=True)
    page = browser.open(HISTORY)
    notice = page.get_by_text(FAILED)
    with browser.expecting_errors():
        browser.context.set_offline(True)
        browser.pass_time()
        expect(notice).to_be_visible()
        browser.pass_time()
        expect(notice).to_have_count(1)
        browser.context.set_offline(False)
        poll_after(history, 500)
        browser.pass_time()
        expect(notice).to_have_count(0)
    expect(page.locator(".im-card .im-counts")).to_have_text(text_of(display.progress(current())))


def test_page_says_that_the_server_does_not_respond(
    open_browser: OpenBrowser, history: Workspace
) -> None:
    """Only one request is open at a time."""
    browser = open_browser(clock=True)
    page = browser.open(HISTORY)
    page.route(f"**{HISTORY}", lambda _: None)
    for _ in range(6):
        browser.pass_time()
    expect(page.get_by_text(FAILED)).to_be_visible()
    assert browser.count_fetches() < 6
    page.unroute_all(behavior="ignoreErrors")
    # The open request times out, and the next one succeeds.
    for _ in range(4):
        browser.pass_time()
    expect(page.get_by_text(FAILED)).to_have_count(0)


def test_page_says_that_the_response_is_another_page(
    open_browser: OpenBrowser, history: Workspace
) -> None:
    """For example a proxy's login page, with a 200."""
    browser = open_browser(clock=True)
    page = browser.open(HISTORY)
    page.route(f"**{HISTORY}", lambda route: route.fulfill(body="<html>Please sign in</html>"))
    browser.pass_time()
    expect(page.get_by_text(FAILED)).to_be_visible()
    expect(page.locator(".im-card")).to_contain_text("acme.zip")


def test_page_says_that_the_user_is_logged_out(
    open_browser: OpenBrowser, history: Workspace, admin_user: User
) -> None:
    browser = open_browser(clock=True)
    page = browser.open(HISTORY)
    Session.objects.all().delete()
    with browser.expecting_errors():
        browser.pass_time()
        expect(page.get_by_text(FAILED)).to_be_visible()
        # The content stays, and is not replaced by a login form.
        expect(page.locator(".im-card")).to_contain_text("acme.zip")
    client = Client()
    client.force_login(admin_user)
    browser.log_in(client.cookies["sessionid"].value)
    browser.pass_time()
    expect(page.get_by_text(FAILED)).to_have_count(0)


def test_history_follows_a_sync_to_its_end(
    open_browser: OpenBrowser,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without an active import, the page fetches itself while the sync runs, and no longer."""
    monkeypatch.setattr(get_poller(), "start", lambda _: [])
    aliases = [f"w{number}" for number in range(10)]
    options = workspace_at("http://127.0.0.1:9")
    settings.IMPORTMONITOR = {"WORKSPACES": dict.fromkeys(aliases, options)}
    browser = open_browser(clock=True)
    page = browser.open(HISTORY)
    page.get_by_role("button", name="Sync now").click()
    status = page.locator(".im-sync-progress")
    for done, alias in enumerate(aliases):
        expect(status).to_have_text(f"Syncing 10 workspaces: {done} done.")
        expect(status.locator("progress")).to_have_attribute("value", str(done))
        # "Sync now" has made the rows.
        models.Workspace.objects.filter(alias=alias).update(
            sync_status="Unreachable", last_polled_at=timezone.now()
        )
        refresh(browser)
    expect(status).to_have_text("Synced 0 of 10 workspaces. 10 failed.")
    fetches = browser.count_fetches()
    browser.pass_time(30)
    assert browser.count_fetches() == fetches
