"""axe-core has no serious findings on any page, light or dark, wide or on a phone."""

from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from django.contrib.auth.models import User
from django.urls import reverse
from django.utils import timezone

from importmonitor import models
from importmonitor.alerts.drafts import TEST
from importmonitor.models import Alert, ApiToken, ImportOperation, Incident
from importmonitor.rocketchat.exceptions import Unreachable
from importmonitor.sync.poll import sync_workspace
from simulator.clock import Clock
from simulator.workspace import Workspace
from tests.admin.helpers import change_url
from tests.browser.browser_page import (
    ADMIN,
    ALERTS,
    HISTORY,
    IN_CHROMIUM,
    INCIDENTS,
    NODE_CLIENTS,
    TOKENS,
    WORKSPACES,
    BrowserPage,
    expect,
)
from tests.browser.conftest import OpenBrowser
from tests.browser.imports import save_imports
from tests.fake_client import FakeClient

if TYPE_CHECKING:
    from simulator.writes import Ending

CHANGE = "admin:importmonitor_importoperation_change"

pytestmark = [
    *IN_CHROMIUM,
    pytest.mark.skipif(not NODE_CLIENTS, reason="NODE_CLIENTS names no folder with axe-core"),
]

#: The ending of the import of each workspace.
ENDINGS: dict[str, "Ending"] = {
    "running": "done",
    "stalled": "stuck",
    "failed": "failed",
    "waiting": "waiting",
    "short": "done-short",
}


@pytest.fixture
def open_browser(open_browser: OpenBrowser) -> OpenBrowser:
    """The same without the Content-Security-Policy: axe-core adds inline scripts and styles."""
    return partial(open_browser, bypass_csp=True)


@pytest.fixture
def current_operations(settings: Any, admin_user: User) -> dict[str, ImportOperation]:
    """The current operations by workspace, one for each state; and alerts and tokens."""
    began_at = timezone.now() - timedelta(hours=3)
    options = {"URL": "http://127.0.0.1:9", "USER_ID": "u", "AUTH_TOKEN": "t" * 43}
    aliases = [*ENDINGS, "interrupted", "unreachable", "unknown"]
    settings.IMPORTMONITOR = {"WORKSPACES": dict.fromkeys(aliases, options)}
    for alias in aliases[:-1]:
        clock = Clock(began_at)
        chat = Workspace(clock, seed=len(alias), rate_limit=None)
        chat.start_import("csv", "done-with-errors", seconds=600)
        client = FakeClient(chat)
        for minute in range(0, 180, 9):
            if minute == 54:
                ending = ENDINGS.get(alias, "done")
                chat.start_import("slack", ending, seconds=12_000, stuck_for=90_000)
            if minute == 90 and alias == "interrupted":
                chat.restart()
            if minute >= 90 and alias == "unreachable":
                client.error = Unreachable("The proxy answered 502.")
            sync_workspace(alias, client=client, now=clock.now)  # type: ignore[arg-type]
            clock.advance(540)
    deliveries: tuple[dict[str, Any], ...] = (
        {"next_attempt_at": began_at},
        {"next_attempt_at": began_at, "attempts": 2, "last_error": "It answered 451."},
        {"delivered_at": began_at, "attempts": 1},
        {"given_up_at": began_at, "attempts": 60},
    )
    for number, fields in enumerate(deliveries):
        Alert.objects.create(
            key=str(number),
            event=TEST,
            workspace="failed",
            channel="ops",
            body={"a": number},
            created_at=began_at,
            **fields,
        )
    ApiToken.objects.issue(admin_user, name="dashboard")
    ApiToken.objects.issue(admin_user, name="old", expires_at=began_at)
    return {
        row.alias: row.current_operation
        for row in models.Workspace.objects.select_related("current_operation").filter(
            alias__in=aliases
        )
        if row.current_operation is not None
    }


def find_violations(browser: BrowserPage, path: str = "") -> dict[str, list[str]]:
    """Return the violations of a page, or of the open one, and whether a phone scrolls sideways."""
    page = browser.open(path) if path else browser.page
    violations = {"light": browser.violations()}
    page.emulate_media(color_scheme="dark")
    violations["dark"] = browser.violations("color-contrast", "link-in-text-block")
    page.set_viewport_size({"width": 360, "height": 740})
    violations["dark phone"] = browser.violations()
    if over := browser.overflow():
        violations["dark phone"].append(f"{over} px too wide")
    page.emulate_media(color_scheme="light")
    violations["light phone"] = browser.violations("color-contrast", "link-in-text-block")
    page.set_viewport_size({"width": 1280, "height": 720})
    return {f"{page.url} {mode}": problems for mode, problems in violations.items() if problems}


def test_pages_with_content_have_no_violations(
    open_browser: OpenBrowser, current_operations: dict[str, ImportOperation]
) -> None:
    browser = open_browser()
    paths = [HISTORY, WORKSPACES, INCIDENTS, ALERTS, ADMIN]
    shown = ("running", "stalled", "failed")
    paths += [reverse(CHANGE, args=[current_operations[alias].pk]) for alias in shown]
    paths.append(f"{ALERTS}{Alert.objects.get(key='1').pk}/change/")
    paths.append(f"{INCIDENTS}{Incident.objects.open()[0].pk}/change/")
    unreachable = models.Workspace.objects.get(alias="unreachable")
    today = timezone.localdate().isoformat()
    paths += [f"{WORKSPACES}{unreachable.pk}/change/{query}" for query in ("", f"?day={today}")]
    reachable = models.Workspace.objects.get(alias="running")
    paths.append(f"{WORKSPACES}{reachable.pk}/change/")
    paths += [TOKENS, f"{TOKENS}add/", f"{HISTORY}?q=nothing-of-that-name"]
    token = ApiToken.objects.get(name="dashboard").pk
    paths += [f"{TOKENS}{token}/change/", f"{TOKENS}{token}/delete/"]
    paths.append(
        reverse(CHANGE.replace("_change", "_history"), args=[current_operations["failed"].pk])
    )
    violations: dict[str, list[str]] = {}
    for path in paths:
        violations |= find_violations(browser, path)
    assert violations == {}


def test_page_that_acknowledges_incidents_has_no_violations(
    open_browser: OpenBrowser, current_operations: dict[str, ImportOperation]
) -> None:
    browser = open_browser()
    page = browser.open(INCIDENTS)
    page.locator("#action-toggle").check()
    page.locator("select[name=action]").select_option(label="Acknowledge selected incidents")
    page.locator("#changelist-form .actions button").click()
    expect(page.locator("h1")).to_have_text("Acknowledge incidents")
    assert find_violations(browser) == {}
    page.get_by_label("Reason").fill("IT knows")
    page.get_by_role("button", name="Until tomorrow, 08:00").click()
    expect(page.locator(".messagelist")).to_contain_text("acknowledged.")
    expect(page.locator("#result_list")).to_contain_text("IT knows")


def test_page_of_an_import_with_alerts_and_raw_fields_has_no_violations(
    open_browser: OpenBrowser, settings: Any
) -> None:
    browser = open_browser()
    for operation in save_imports(settings, "done", "failed").values():
        browser.open(change_url(operation))
        browser.page.get_by_text("Raw fields and document").click()
        assert find_violations(browser) == {}


def test_pages_of_a_token_from_creation_to_revocation_have_no_violations(
    open_browser: OpenBrowser, admin_user: User
) -> None:
    browser = open_browser()
    page = browser.open(f"{TOKENS}add/")
    page.locator("#id_user").fill(admin_user.get_username())
    page.locator("#id_name").fill("Grafana")
    page.locator("[name=_save]").click()
    expect(page.locator("#content")).to_contain_text("not shown again")
    violations = find_violations(browser)
    page = browser.open(TOKENS)
    page.locator("#action-toggle").check()
    page.locator("select[name=action]").select_option(label="Delete selected API tokens")
    page.get_by_role("button", name="Go").click()
    expect(page.locator("#content")).to_contain_text("Grafana")
    assert violations | find_violations(browser) == {}


def test_history_with_invalid_settings_has_no_violations(
    open_browser: OpenBrowser, settings: Any
) -> None:
    browser = open_browser()
    for invalid in ({}, {"WORKSPACES": {"default": {"URL": "chat.example.org"}}}):
        settings.IMPORTMONITOR = invalid
        assert find_violations(browser, HISTORY) == {}


def test_empty_history_has_no_violations(open_browser: OpenBrowser) -> None:
    browser = open_browser()
    assert find_violations(browser, HISTORY) == {}
    expect(browser.page.locator(".im-empty")).to_contain_text("No imports have been recorded")


def test_login_has_no_violations(open_browser: OpenBrowser) -> None:
    assert find_violations(open_browser(log_in=False), f"{ADMIN}login/") == {}


def test_api_docs_have_only_swagger_ui_s_own_violations(open_browser: OpenBrowser) -> None:
    """Swagger UI has pale labels and a button in a button."""
    browser = open_browser()
    page = browser.open("/api/docs/")
    page.locator(".opblock").first.wait_for()
    rules = [violation.partition(" ")[0] for violation in browser.violations()]
    assert set(rules) <= {"color-contrast", "nested-interactive"}
