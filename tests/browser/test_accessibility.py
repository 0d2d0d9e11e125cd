"""axe-core has nothing serious against any page, light or dark, wide or on a phone."""

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.contrib.auth.models import User
from django.urls import reverse
from django.utils import timezone

from importmonitor.alerts.messages import TEST
from importmonitor.models import Alert, ApiToken, ImportOperation, SyncPeriod
from importmonitor.rocketchat.exceptions import Unreachable
from importmonitor.sync.poll import sync_workspace
from simulator.clock import Clock
from simulator.workspace import Workspace
from tests.browser.browser_page import (
    ADMIN,
    ALERTS,
    HEALTH,
    HISTORY,
    IN_CHROMIUM,
    NODE_CLIENTS,
    TOKENS,
    BrowserPage,
    expect,
)
from tests.browser.conftest import Visit
from tests.fake_client import FakeClient

if TYPE_CHECKING:
    from simulator.writes import Ending

CHANGE = "admin:importmonitor_importoperation_change"

pytestmark = [
    *IN_CHROMIUM,
    pytest.mark.skipif(not NODE_CLIENTS, reason="NODE_CLIENTS names no folder with axe-core"),
]

#: What goes on in which workspace.
ENDINGS: dict[str, "Ending"] = {
    "running": "done",
    "stalled": "stuck",
    "failed": "failed",
    "waiting": "waiting",
    "short": "done-short",
}


@pytest.fixture
def everything(settings: Any, admin_user: User) -> dict[str, ImportOperation]:
    """Workspaces in every state, alerts and tokens; returns the current operations by workspace."""
    begun = timezone.now() - timedelta(hours=3)
    options = {"URL": "http://127.0.0.1:9", "USER_ID": "u", "AUTH_TOKEN": "t" * 43}
    aliases = [*ENDINGS, "interrupted", "unreachable", "unknown"]
    settings.IMPORTMONITOR = {"WORKSPACES": dict.fromkeys(aliases, options)}
    for alias in aliases[:-1]:
        clock = Clock(begun)
        chat = Workspace(clock, seed=len(alias), rate_limit=None)
        chat.start_import("csv", "done-with-errors", seconds=600)
        near = FakeClient(chat)
        for minute in range(0, 180, 9):
            if minute == 54:
                ending = ENDINGS.get(alias, "done")
                chat.start_import("slack", ending, seconds=12_000, stuck_for=90_000)
            if minute == 90 and alias == "interrupted":
                chat.restart()
            if minute >= 90 and alias == "unreachable":
                near.error = Unreachable("The proxy answered 502.")
            sync_workspace(alias, client=near, now=clock.now)  # type: ignore[arg-type]
            clock.advance(540)
    deliveries: tuple[dict[str, Any], ...] = (
        {"next_attempt_at": begun},
        {"next_attempt_at": begun, "attempts": 2, "last_error": "It answered 451."},
        {"delivered_at": begun, "attempts": 1},
        {"given_up_at": begun, "attempts": 60},
    )
    for number, fields in enumerate(deliveries):
        Alert.objects.create(
            key=str(number),
            event=TEST,
            workspace="failed",
            channel="ops",
            body={"a": number},
            created_at=begun,
            **fields,
        )
    ApiToken.objects.issue(admin_user, name="dashboard")
    ApiToken.objects.issue(admin_user, name="old", expires_at=begun)
    return {
        alias: found
        for alias in aliases
        if (found := ImportOperation.objects.current(alias)) is not None
    }


def judged(visitor: BrowserPage, path: str = "") -> dict[str, list[str]]:
    """Judge a page, or that which is open: by axe-core, and whether it is too wide for a phone."""
    page = visitor.open(path) if path else visitor.page
    found = {"light": visitor.violations()}
    page.emulate_media(color_scheme="dark")
    found["dark"] = visitor.violations("color-contrast", "link-in-text-block")
    page.set_viewport_size({"width": 360, "height": 740})
    found["dark phone"] = visitor.violations()
    if over := visitor.overflow():
        found["dark phone"].append(f"{over} px too wide")
    page.emulate_media(color_scheme="light")
    found["light phone"] = visitor.violations("color-contrast", "link-in-text-block")
    page.set_viewport_size({"width": 1280, "height": 720})
    return {f"{page.url} {look}": each for look, each in found.items() if each}


def test_pages_with_something_on_them(visit: Visit, everything: dict[str, ImportOperation]) -> None:
    visitor = visit()
    paths = [HISTORY, HEALTH, ALERTS, ADMIN]
    shown = ("running", "stalled", "failed")
    paths += [reverse(CHANGE, args=[everything[alias].pk]) for alias in shown]
    paths.append(f"{ALERTS}{Alert.objects.get(key='1').pk}/change/")
    paths.append(f"{HEALTH}{SyncPeriod.objects.get(outcome='Unreachable').pk}/change/")
    paths += [TOKENS, f"{TOKENS}add/", f"{HISTORY}?q=nothing-of-that-name"]
    token = ApiToken.objects.get(name="dashboard").pk
    paths += [f"{TOKENS}{token}/change/", f"{TOKENS}{token}/delete/"]
    paths.append(reverse(CHANGE.replace("_change", "_history"), args=[everything["failed"].pk]))
    found: dict[str, list[str]] = {}
    for path in paths:
        found |= judged(visitor, path)
    assert found == {}


def test_a_token_from_its_making_to_its_end(visit: Visit, admin_user: User) -> None:
    visitor = visit()
    page = visitor.open(f"{TOKENS}add/")
    page.locator("#id_user").fill(admin_user.get_username())
    page.locator("#id_name").fill("Grafana")
    page.locator("[name=_save]").click()
    expect(page.locator("#content")).to_contain_text("not shown again")
    found = judged(visitor)
    page = visitor.open(TOKENS)
    page.locator("#action-toggle").check()
    page.locator("select[name=action]").select_option(label="Delete selected API tokens")
    page.get_by_role("button", name="Go").click()
    expect(page.locator("#content")).to_contain_text("Grafana")
    assert found | judged(visitor) == {}


def test_a_history_of_nothing_configured(visit: Visit, settings: Any) -> None:
    visitor = visit()
    for wrong in ({}, {"WORKSPACES": {"default": {"URL": "chat.example.org"}}}):
        settings.IMPORTMONITOR = wrong
        assert judged(visitor, HISTORY) == {}


def test_a_history_without_anything_in_it(visit: Visit) -> None:
    visitor = visit()
    assert judged(visitor, HISTORY) == {}
    expect(visitor.page.locator(".im-empty")).to_contain_text("No operation has been seen yet")


def test_the_login(visit: Visit) -> None:
    assert judged(visit(log_in=False), f"{ADMIN}login/") == {}


def test_the_page_of_the_api(visit: Visit) -> None:
    """What is ours of it: within, Swagger UI has pale labels and a button in a button."""
    visitor = visit()
    page = visitor.open("/api/docs/")
    page.locator(".opblock").first.wait_for()
    found = [each.partition(" ")[0] for each in visitor.violations()]
    assert set(found) <= {"color-contrast", "nested-interactive"}
