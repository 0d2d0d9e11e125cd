"""A page that is left open: it follows the import, and leaves alone what is in use."""

from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils.html import strip_tags

from importmonitor.admin import display
from importmonitor.models import ImportOperation
from simulator.workspace import Workspace
from tests.admin.helpers import change_url
from tests.browser.browser_page import HISTORY, IN_CHROMIUM, BrowserPage, expect
from tests.browser.conftest import Visit, look

pytestmark = IN_CHROMIUM

FAILED = "This page could not be refreshed"


def refresh(visitor: BrowserPage) -> None:
    """Let the page fetch itself, and wait until it has."""
    with visitor.page.expect_event("requestfinished", lambda each: each.resource_type == "fetch"):
        visitor.pass_time()


def shown(made: str) -> str:
    """Return the words of a piece of the page, with single spaces."""
    return " ".join(strip_tags(made).split())


def current() -> ImportOperation:
    operation = ImportOperation.objects.current("default")
    assert operation is not None
    return operation


def test_an_import_from_start_to_end(visit: Visit, chat: Workspace) -> None:
    chat.start_import("slack", "stuck", seconds=3000, records=9000, stuck_for=3600)
    look(chat, 1)
    visitor = visit(clock=True)
    page = visitor.open(HISTORY)
    page.evaluate("window.notReloaded = true")
    card, row = page.locator(".im-card"), page.locator("#result_list tbody tr").first
    words: list[str] = []
    bars = set()
    while "done" not in words:
        look(chat, 400)
        refresh(visitor)
        badge = shown(display.operation_badge(current()))
        for place in (card, row):
            expect(place.locator(".im-badge")).to_have_text(badge)
            expect(place).to_contain_text(shown(display.progress(current())))
        if current().count_total and current().count_completed is not None:
            bars.add(card.locator("progress").get_attribute("value"))
        if badge[2:] not in words[-1:]:
            words.append(badge[2:])
    assert words == ["loading", "waiting", "importing", "stalled", "importing", "done"]
    assert len(bars) > 4
    assert page.evaluate("window.notReloaded")
    # It is over: nothing is asked for any more.
    asked = visitor.fetched()
    visitor.pass_time(30)
    assert visitor.fetched() == asked


def test_what_was_empty_fills(visit: Visit, chat: Workspace) -> None:
    chat.start_import("slack", seconds=3000, records=9000)
    look(chat, 1)
    visitor = visit(clock=True)
    page = visitor.open(f"{HISTORY}?outcome=done")
    expect(page.locator(".im-empty")).to_contain_text("No operation is like that.")
    expect(page.locator("#result_list")).to_have_count(0)
    expect(page.locator(".im-weeks")).to_contain_text("Nothing was imported")
    for _ in range(6):
        look(chat, 900)
    refresh(visitor)
    expect(page.locator("#result_list tbody tr")).to_have_count(1)
    expect(page.locator(".im-empty")).to_have_count(0)
    expect(page.locator(".im-weeks svg.im-plot a")).not_to_have_count(0)


def test_what_stalls_is_unmissable_and_calm_again(visit: Visit, chat: Workspace) -> None:
    chat.start_import("slack", "stuck", seconds=3000, records=9000, stuck_for=3600)
    for _ in range(8):
        look(chat, 400)
    visitor = visit(clock=True)
    page = visitor.open(HISTORY)
    expect(page.locator(".im-card.im-alarm .im-badge")).to_contain_text("stalled")
    expect(page.locator(".im-card .im-trouble")).to_contain_text("no progress for")
    for _ in range(6):
        look(chat, 400)
    refresh(visitor)
    expect(page.locator(".im-card .im-badge")).to_contain_text("importing")
    expect(page.locator(".im-alarm, .im-card .im-trouble")).to_have_count(0)


def test_the_operation_page_follows_too(visit: Visit, history: Workspace) -> None:
    visitor = visit(clock=True)
    page = visitor.open(change_url(current()))
    before = page.locator(".im-chart svg.im-plot path.im-line").first.get_attribute("d")
    assert page.locator(".im-timeline li").count() > 1
    steps = page.locator(".im-timeline li").count()
    look(history, 9000)
    refresh(visitor)
    expect(page.locator(".im-summary .im-badge")).to_contain_text("done")
    expect(page.locator(".im-timeline li").last).to_contain_text("importer_done")
    assert page.locator(".im-timeline li").count() > steps
    assert page.locator(".im-chart svg.im-plot path.im-line").first.get_attribute("d") != before


def test_a_newer_import_is_led_to(visit: Visit, chat: Workspace) -> None:
    chat.start_import("slack", seconds=3000)
    look(chat, 600)
    first = current()
    visitor = visit(clock=True)
    page = visitor.open(change_url(first))
    newer = page.get_by_role("link", name="Newer import")
    expect(newer).to_have_count(0)
    chat.start_import("csv", seconds=3000)
    look(chat, 60)
    refresh(visitor)
    expect(newer).to_have_attribute("href", change_url(current()))


def test_what_is_in_use_stays(visit: Visit, history: Workspace) -> None:
    """The place on the page, the focus, an opened table and what is written; the rest goes on."""
    visitor = visit(clock=True, viewport={"width": 900, "height": 500})
    page = visitor.open(change_url(current()))
    summary = page.locator(".im-chart summary")
    summary.focus()
    page.keyboard.press("Enter")
    rows = page.locator(".im-chart .im-numbers tbody tr").count()
    page.locator("#id_note").evaluate("note => note.value = 'half a sent'")
    page.evaluate("scrollTo(0, 420)")
    for _ in range(2):
        look(history, 500)
        refresh(visitor)
    expect(page.locator(".im-summary .im-counts")).to_have_text(shown(display.progress(current())))
    # Who has opened the table and reads it sees it grow.
    expect(page.locator(".im-chart .im-numbers tbody tr")).not_to_have_count(rows)
    assert page.locator(".im-chart details").evaluate("each => each.open")
    assert page.evaluate("document.activeElement.tagName") == "SUMMARY"
    assert page.evaluate("document.activeElement.isConnected")
    assert page.evaluate("scrollY") == 420
    assert page.locator("#id_note").input_value() == "half a sent"


def test_what_is_marked_stays_marked(visit: Visit, history: Workspace) -> None:
    visitor = visit(clock=True)
    page = visitor.open(HISTORY)
    page.locator(".im-card .im-file").evaluate("each => getSelection().selectAllChildren(each)")
    look(history, 500)
    refresh(visitor)
    counts = page.locator("#result_list .im-counts").first
    expect(counts).to_have_text(shown(display.progress(current())))
    assert page.evaluate("getSelection().toString()") == "acme.zip"


def test_a_link_under_the_keyboard_leads_where_it_led(visit: Visit, history: Workspace) -> None:
    """A new import goes on top of the list: no row is exchanged under somebody's focus."""
    visitor = visit(clock=True)
    page = visitor.open(HISTORY)
    link = page.locator("#result_list .field-what a").first
    link.focus()
    href = link.get_attribute("href")
    history.start_import("csv", seconds=3000, file_name="another.csv")
    look(history, 60)
    refresh(visitor)
    assert page.evaluate("document.activeElement.getAttribute('href')") == href
    page.locator("#searchbar").focus()
    refresh(visitor)
    expect(page.locator("#result_list tbody tr").first).to_contain_text("another.csv")
    expect(page.locator(".im-card")).to_contain_text("another.csv")


def test_a_hidden_tab_asks_for_nothing(visit: Visit, history: Workspace) -> None:
    visitor = visit(clock=True)
    page = visitor.open(HISTORY)
    page.evaluate("Object.defineProperty(document, 'hidden', {get: () => window.away})")
    page.evaluate("window.away = true")
    visitor.pass_time(60)
    assert visitor.fetched() == 0
    look(history, 9000)
    # Seen again, it is up to date at once.
    page.evaluate("window.away = false; document.dispatchEvent(new Event('visibilitychange'))")
    expect(page.locator(".im-card .im-badge")).to_contain_text("done")
    assert visitor.fetched() == 1


def test_it_says_that_the_server_has_gone(visit: Visit, history: Workspace) -> None:
    visitor = visit(clock=True)
    page = visitor.open(HISTORY)
    notice = page.get_by_text(FAILED)
    with visitor.expecting_troubles():
        visitor.context.set_offline(True)
        visitor.pass_time()
        expect(notice).to_be_visible()
        visitor.pass_time()
        expect(notice).to_have_count(1)
        visitor.context.set_offline(False)
        look(history, 500)
        visitor.pass_time()
        expect(notice).to_have_count(0)
    expect(page.locator(".im-card .im-counts")).to_have_text(shown(display.progress(current())))


def test_it_says_that_the_server_does_not_answer(visit: Visit, history: Workspace) -> None:
    """Whose answer never comes is not asked over and over, and is told of too."""
    visitor = visit(clock=True)
    page = visitor.open(HISTORY)
    page.route(f"**{HISTORY}", lambda _: None)
    for _ in range(6):
        visitor.pass_time()
    expect(page.get_by_text(FAILED)).to_be_visible()
    assert visitor.fetched() < 6
    page.unroute_all(behavior="ignoreErrors")
    # The question that is still open is given up, and the next one is answered.
    for _ in range(4):
        visitor.pass_time()
    expect(page.get_by_text(FAILED)).to_have_count(0)


def test_it_says_that_another_page_came_in_its_place(visit: Visit, history: Workspace) -> None:
    """As a proxy in front answers that wants one to log in, with a 200."""
    visitor = visit(clock=True)
    page = visitor.open(HISTORY)
    page.route(f"**{HISTORY}", lambda route: route.fulfill(body="<html>Please sign in</html>"))
    visitor.pass_time()
    expect(page.get_by_text(FAILED)).to_be_visible()
    expect(page.locator(".im-card")).to_contain_text("acme.zip")


def test_it_says_that_one_is_logged_out(visit: Visit, history: Workspace, admin_user: User) -> None:
    visitor = visit(clock=True)
    page = visitor.open(HISTORY)
    Session.objects.all().delete()
    with visitor.expecting_troubles():
        visitor.pass_time()
        expect(page.get_by_text(FAILED)).to_be_visible()
        # What was there stays, and is not exchanged for a form to log in.
        expect(page.locator(".im-card")).to_contain_text("acme.zip")
    client = Client()
    client.force_login(admin_user)
    visitor.log_in(client.cookies["sessionid"].value)
    visitor.pass_time()
    expect(page.get_by_text(FAILED)).to_have_count(0)
