"""The pages in Chromium: dark, on a phone, without scripts, and in three languages."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.core.mail import EmailMessage
from django.utils import timezone

from importmonitor import models
from importmonitor.models import Alert, ImportOperation
from simulator.workspace import Workspace
from tests.admin.test_incidents_page import make_incident
from tests.browser.browser_page import (
    ADMIN,
    ALERTS,
    HISTORY,
    IN_CHROMIUM,
    INCIDENTS,
    PHONE,
    WORKSPACES,
    expect,
)
from tests.browser.conftest import OpenBrowser, poll_after

pytestmark = IN_CHROMIUM

MODES: dict[str, dict[str, Any]] = {
    "dark": {"color_scheme": "dark"},
    "phone": PHONE,
    "without scripts": {"java_script_enabled": False},
}


@pytest.mark.parametrize("mode", MODES)
def test_pages_work_in_every_mode(open_browser: OpenBrowser, history: Workspace, mode: str) -> None:
    browser = open_browser(**MODES[mode])
    page = browser.open(HISTORY)
    card = page.locator(".im-card")
    assert card.locator(".im-badge").inner_text().split() == ["▶", "Running"]
    expect(card).to_contain_text("Synced just now")
    expect(card.locator("progress")).to_be_visible()
    expect(page.locator(".im-weeks svg:visible").last).to_be_visible()
    rows = page.locator("#result_list tbody tr")
    assert [row.split(None, 1)[1] for row in rows.locator(".im-badge").all_inner_texts()] == [
        "Running",
        "Done with errors",
        "Failed",
        "Done",
    ]
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (background == "rgb(18, 18, 18)") == (mode == "dark")
    if mode == "phone":
        assert browser.overflow() == 0
    rows.locator("a").first.click()
    expect(page.locator(".im-summary")).to_contain_text("acme.zip")
    assert page.locator(".im-timeline li").count() > 5
    expect(page.locator(".im-chart .im-plot").first).to_be_visible()
    if mode == "phone":
        assert browser.overflow() == 0
    page.get_by_role("link", name="Older import").click()
    expect(page.locator(".im-summary .im-badge")).to_contain_text("Done with errors")
    for path in (WORKSPACES, ALERTS, ADMIN):
        page = browser.open(path)
        if mode == "phone":
            assert browser.overflow() == 0
        expect(page.locator("h1")).to_be_visible()
    expect(page.locator(".im-status")).to_contain_text("1 running")


def test_pages_are_printed_in_light_colours(open_browser: OpenBrowser, history: Workspace) -> None:
    browser = open_browser(color_scheme="dark")
    browser.open(HISTORY)
    browser.page.locator("#result_list tbody tr a").first.click()
    expect(browser.page.locator(".im-timeline")).to_be_visible()
    colours = "[...document.querySelectorAll('body, .im-badge, .im-chart text')].slice(0, 3)"
    script = f"{colours}.map((element) => getComputedStyle(element).color)"
    page = browser.page
    page.emulate_media(media="print", color_scheme="dark")
    on_paper = page.evaluate(script)
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    page.emulate_media(media="screen", color_scheme="light")
    assert page.evaluate(script) == on_paper


def test_workspace_and_incident_are_printed_in_light_colours_without_controls(
    open_browser: OpenBrowser, history: Workspace
) -> None:
    make_incident(since=timezone.now(), message="It answered 502.")
    over = make_incident("workspace.flapping", since=timezone.now(), until=timezone.now())
    browser = open_browser(color_scheme="dark")
    colours = """() => [...document.querySelectorAll(
        "#content :is(h1, h2, h3, p, dt, dd, a, label, .readonly, .im-badge)"
    )].filter((part) => part.offsetParent).map((part) => getComputedStyle(part).color)"""
    workspace = models.Workspace.objects.get()
    for path in (f"{WORKSPACES}{workspace.pk}/change/", f"{INCIDENTS}{over.pk}/change/"):
        page = browser.open(path)
        page.emulate_media(media="print", color_scheme="dark")
        on_paper = page.evaluate(colours)
        assert len(on_paper) > 10
        page.emulate_media(media="print", color_scheme="light")
        assert page.evaluate(colours) == on_paper
        for control in ("#nav-sidebar", ".im-incident-panel .button", ".submit-row", ".im-tools"):
            expect(page.locator(control).locator("visible=true")).to_have_count(0)


@pytest.mark.usefixtures("waiting_sync")
@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
def test_filter_search_export_sync_and_note_work_by_mouse(
    open_browser: OpenBrowser, history: Workspace, scripts: bool
) -> None:
    page = open_browser(java_script_enabled=scripts).open(HISTORY)
    page.locator(".im-chips").get_by_role("link", name="Failed 1").click()
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
    page.get_by_text("More filters").click()
    page.locator("#changelist-filter").get_by_role("link", name="Slack", exact=True).click()
    expect(rows).to_have_count(1)
    page.get_by_role("link", name="Remove the filter importer: Slack").click()
    expect(rows).to_have_count(4)
    page.locator("#searchbar").fill("acme")
    page.locator("#changelist-search [type=submit]").click()
    expect(rows).to_have_count(1)
    page.locator("#searchbar").fill("nothing like it")
    page.locator("#changelist-search [type=submit]").click()
    expect(rows).to_have_count(0)
    page.get_by_role("link", name="Show all imports").click()
    expect(rows).to_have_count(4)
    history.clock.advance(9000)
    page.get_by_role("button", name="Sync now").click()
    expect(page.locator(".messagelist")).to_contain_text("Synced default.")
    expect(rows.first).to_contain_text("Done")
    rows.locator("a").first.click()
    page.locator("#id_note").fill("moved to Sunday <b>")
    page.locator("[name=_save]").click()
    expect(page.locator(".messagelist")).to_contain_text("changed successfully")
    assert ImportOperation.objects.newest_first()[0].note == "moved to Sunday <b>"


def test_alerts_are_delivered_once_the_channel_is_corrected(
    open_browser: OpenBrowser, history: Workspace, settings: Any, mailoutbox: list[EmailMessage]
) -> None:
    channel = {"BACKEND": "importmonitor.alerts.channels.EmailChannel", "TO": ["ops@example.org"]}
    settings.IMPORTMONITOR |= {"CHANNELS": {"ops": channel | {"BACKEND": "no.such.Channel"}}}
    history.start_import("csv", seconds=600)
    poll_after(history, 60)
    page = open_browser().open(ALERTS)
    rows = page.locator("#result_list tbody tr")
    # Two were attempted: the second shows whether it is the channel that fails. The others wait.
    expect(rows.filter(has_text="Retrying").first).to_be_visible()
    waiting = rows.count()
    settings.IMPORTMONITOR |= {"CHANNELS": {"ops": channel}}
    page.locator("#action-toggle").check()
    page.locator("select[name=action]").select_option(label="Retry delivery of selected alerts")
    page.locator("#changelist-form .actions button").click()
    expect(page.locator(".messagelist")).to_contain_text("delivered.")
    expect(rows.filter(has_text="✓ Delivered")).to_have_count(waiting)
    # More than ten of one poll would be one message.
    assert 0 < len(mailoutbox) <= waiting


def test_part_of_a_week_links_to_its_imports(open_browser: OpenBrowser, history: Workspace) -> None:
    page = open_browser().open(HISTORY)
    part = page.locator(".im-weeks .im-plot a", has_text="1 Failed").first
    part.click()
    expect(page.locator("#result_list tbody tr")).to_have_count(1)
    expect(page.locator("#result_list tbody tr")).to_contain_text("Failed")


@pytest.mark.parametrize(("locale", "language"), [("de-DE", "de"), ("pt-BR", "pt-br")])
def test_pages_are_in_the_browser_s_language(
    open_browser: OpenBrowser, history: Workspace, locale: str, language: str
) -> None:
    browser = open_browser(locale=locale, **PHONE)
    operation = ImportOperation.objects.newest_first()[0]
    for path in (HISTORY, f"{HISTORY}{operation.pk}/change/", WORKSPACES):
        page = browser.open(path)
        assert page.locator("html").get_attribute("lang") == language
        assert browser.overflow() == 0
    page = browser.open(HISTORY)
    expect(page.locator(".im-card progress")).to_be_visible()


@pytest.mark.parametrize("locale", ["en-US", "de-DE", "pt-BR"])
def test_every_column_is_visible_at_1280_pixels(
    open_browser: OpenBrowser, history: Workspace, locale: str
) -> None:
    Alert.objects.create(
        key="retrying",
        event="import.waiting",
        workspace="default",
        channel="operations",
        body={},
        created_at=timezone.now() - timedelta(minutes=30),
        next_attempt_at=timezone.now(),
        attempts=2,
        last_error="SMTPServerDisconnected: Connection unexpectedly closed by mail.example.org",
    )
    browser = open_browser(locale=locale, viewport={"width": 1280, "height": 720})
    for path in (HISTORY, WORKSPACES, f"{INCIDENTS}?status=all", ALERTS):
        results = browser.open(path).locator("#changelist .results")
        expect(results).to_be_visible()
        assert results.evaluate("element => element.scrollWidth - element.clientWidth") == 0
