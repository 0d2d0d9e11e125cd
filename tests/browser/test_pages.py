"""The pages in Chromium: dark, on a phone, without a script, and in three languages."""

import json
from typing import Any

import pytest
from django.core.mail import EmailMessage

from importmonitor.models import ImportOperation
from simulator.workspace import Workspace
from tests.browser.browser_page import ADMIN, ALERTS, HEALTH, HISTORY, IN_CHROMIUM, PHONE, expect
from tests.browser.conftest import Visit, look

pytestmark = IN_CHROMIUM

WAYS: dict[str, dict[str, Any]] = {
    "dark": {"color_scheme": "dark"},
    "phone": PHONE,
    "without a script": {"java_script_enabled": False},
}


@pytest.mark.parametrize("way", WAYS)
def test_the_pages_hold_in_every_look(visit: Visit, history: Workspace, way: str) -> None:
    visitor = visit(**WAYS[way])
    page = visitor.open(HISTORY)
    card = page.locator(".im-card")
    assert card.locator(".im-badge").inner_text().split() == ["▶", "importing"]
    expect(card).to_contain_text("looked just now")
    expect(card.locator("progress")).to_be_visible()
    expect(page.locator(".im-weeks svg:visible").last).to_be_visible()
    rows = page.locator("#result_list tbody tr")
    assert [row.split(None, 1)[1] for row in rows.locator(".im-badge").all_inner_texts()] == [
        "importing",
        "done with errors",
        "failed",
        "done",
    ]
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (background == "rgb(18, 18, 18)") == (way == "dark")
    if way == "phone":
        assert visitor.overflow() == 0
    rows.locator("a").first.click()
    expect(page.locator(".im-summary")).to_contain_text("acme.zip")
    assert page.locator(".im-timeline li").count() > 5
    expect(page.locator(".im-chart .im-plot").first).to_be_visible()
    if way == "phone":
        assert visitor.overflow() == 0
    page.get_by_role("link", name="Older import").click()
    expect(page.locator(".im-summary .im-badge")).to_contain_text("done with errors")
    for path in (HEALTH, ALERTS, ADMIN):
        page = visitor.open(path)
        if way == "phone":
            assert visitor.overflow() == 0
        expect(page.locator("h1")).to_be_visible()
    expect(page.locator(".im-status")).to_contain_text("1 under way")


def test_on_paper_all_is_as_in_the_light(visit: Visit, history: Workspace) -> None:
    visitor = visit(color_scheme="dark")
    visitor.open(HISTORY)
    visitor.page.locator("#result_list tbody tr a").first.click()
    expect(visitor.page.locator(".im-timeline")).to_be_visible()
    colours = "[...document.querySelectorAll('body, .im-badge, .im-chart text')].slice(0, 3)"
    asked = f"{colours}.map((each) => getComputedStyle(each).color)"
    page = visitor.page
    page.emulate_media(media="print", color_scheme="dark")
    on_paper = page.evaluate(asked)
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    page.emulate_media(media="screen", color_scheme="light")
    assert page.evaluate(asked) == on_paper


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without"])
def test_what_one_does_there(visit: Visit, history: Workspace, scripts: bool) -> None:
    """Filter, search, export, sync, and write a note, with the mouse."""
    page = visit(java_script_enabled=scripts).open(HISTORY)
    filters = page.locator("#changelist-filter")
    filters.get_by_role("link", name="failed", exact=True).click()
    rows = page.locator("#result_list tbody tr")
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("people.csv")
    with page.expect_download() as download:
        page.get_by_role("link", name="Export CSV").click()
    lines = download.value.path().read_text("utf-8-sig").splitlines()
    assert len(lines) == 2
    assert "failed" in lines[1]
    with page.expect_download() as download:
        page.get_by_role("link", name="Export JSON").click()
    [row] = json.loads(download.value.path().read_text())
    assert row["outcome"] == "failed"
    page.get_by_role("link", name="Clear all filters").click()
    expect(rows).to_have_count(4)
    page.locator("#searchbar").fill("acme")
    page.locator("#changelist-search [type=submit]").click()
    expect(rows).to_have_count(1)
    page.locator("#searchbar").fill("nothing like it")
    page.locator("#changelist-search [type=submit]").click()
    expect(rows).to_have_count(0)
    page.get_by_role("link", name="Show all operations").click()
    expect(rows).to_have_count(4)
    history.clock.advance(9000)
    page.get_by_role("button", name="Sync now").click()
    expect(page.locator(".messagelist")).to_contain_text("Synced default.")
    expect(rows.first).to_contain_text("done")
    rows.locator("a").first.click()
    page.locator("#id_note").fill("moved to Sunday <b>")
    page.locator("[name=_save]").click()
    expect(page.locator(".messagelist")).to_contain_text("changed successfully")
    assert ImportOperation.objects.newest_first()[0].note == "moved to Sunday <b>"


def test_an_alert_is_delivered_after_all(
    visit: Visit, history: Workspace, settings: Any, mailoutbox: list[EmailMessage]
) -> None:
    """The channel is configured wrongly, somebody mends it, and asks for another try."""
    channel = {"BACKEND": "importmonitor.alerts.channels.EmailChannel", "TO": ["ops@example.org"]}
    settings.IMPORTMONITOR |= {"CHANNELS": {"ops": channel | {"BACKEND": "no.such.Channel"}}}
    history.start_import("csv", seconds=600)
    look(history, 60)
    page = visit().open(ALERTS)
    rows = page.locator("#result_list tbody tr")
    # One was tried, and the others of the channel wait for it.
    expect(rows.filter(has_text="being tried again")).to_have_count(1)
    waiting = rows.count()
    settings.IMPORTMONITOR |= {"CHANNELS": {"ops": channel}}
    page.locator("#action-toggle").check()
    page.locator("select[name=action]").select_option(label="Try again to deliver")
    page.locator("#changelist-form .actions button").click()
    expect(page.locator(".messagelist")).to_contain_text("delivered.")
    expect(rows.filter(has_text="✓ delivered")).to_have_count(waiting)
    assert len(mailoutbox) == waiting > 0


def test_a_week_leads_to_its_imports(visit: Visit, history: Workspace) -> None:
    page = visit().open(HISTORY)
    part = page.locator(".im-weeks .im-plot a", has_text="1 failed").first
    part.click()
    expect(page.locator("#result_list tbody tr")).to_have_count(1)
    expect(page.locator("#result_list tbody tr")).to_contain_text("failed")


@pytest.mark.parametrize(("locale", "language"), [("de-DE", "de"), ("pt-BR", "pt-br")])
def test_in_the_visitors_language(
    visit: Visit, history: Workspace, locale: str, language: str
) -> None:
    visitor = visit(locale=locale, **PHONE)
    found = ImportOperation.objects.newest_first()[0]
    for path in (HISTORY, f"{HISTORY}{found.pk}/change/", HEALTH):
        page = visitor.open(path)
        assert page.locator("html").get_attribute("lang") == language
        assert visitor.overflow() == 0
    page = visitor.open(HISTORY)
    expect(page.locator(".im-card progress")).to_be_visible()
