"""The pages in Chromium: light, dark, on a phone, without a script, and refreshed by theirs."""

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from django.contrib.auth.models import User

from importmonitor.models import ImportOperation
from importmonitor.sync import sync_workspace
from project.simulator.workspace import Workspace

if TYPE_CHECKING:
    from project.simulator.writes import Ending

CHROMIUM = os.environ.get("CHROMIUM", "")
HISTORY = "/admin/importmonitor/importoperation/"

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM, reason="CHROMIUM names no executable"),
    pytest.mark.django_db(transaction=True),
]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    # Playwright's synchronous calls run an event loop in this thread, and Django, seeing one,
    # would refuse to touch the database.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        yield browser
        browser.close()
    del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


@pytest.fixture
def history(rocketchat: Workspace, admin_user: User) -> Workspace:
    """A few imports that ended in different ways, and one half-way through."""
    endings: tuple[Ending, ...] = ("done", "failed", "done-with-errors")
    for ending in endings:
        rocketchat.start_import("csv", ending, seconds=600, file_name="people.csv")
        rocketchat.clock.advance(700)
        sync_workspace("default", now=rocketchat.clock.now)
    rocketchat.start_import("slack", seconds=3600, file_name="acme.zip")
    rocketchat.clock.advance(2000)
    sync_workspace("default")
    return rocketchat


class Visitor:
    """A page of somebody who is logged in, and what went wrong in it."""

    def __init__(self, chromium: Any, server: Any, client: Any, **options: Any) -> None:
        self.context = chromium.new_context(**options)
        self.context.add_cookies(
            [
                {
                    "name": "sessionid",
                    "value": client.cookies["sessionid"].value,
                    "url": server.url,
                }
            ]
        )
        self.page = self.context.new_page()
        self.troubles: list[str] = []
        self.page.on("pageerror", lambda error: self.troubles.append(str(error)))
        self.page.on(
            "console",
            lambda told: self.troubles.append(told.text) if told.type == "error" else None,
        )
        self.server = server

    def open(self, path: str) -> Any:
        answer = self.page.goto(self.server.url + path)
        assert answer.status == 200
        return self.page

    def close(self) -> None:
        self.context.close()
        assert self.troubles == []


LOOKS: dict[str, dict[str, Any]] = {
    "light": {"color_scheme": "light"},
    "dark": {"color_scheme": "dark"},
    "phone": {"viewport": {"width": 360, "height": 740}},
    "without a script": {"java_script_enabled": False},
}


@pytest.mark.parametrize("look", LOOKS)
def test_the_pages_hold_in_every_look(
    chromium: Any, live_server: Any, admin_client: Any, history: Workspace, look: str
) -> None:
    visitor = Visitor(chromium, live_server, admin_client, **LOOKS[look])
    page = visitor.open(HISTORY)
    card = page.locator(".im-card")
    assert card.locator(".im-badge").inner_text().split() == ["▶", "importing"]
    assert "looked just now" in card.inner_text()
    assert card.locator("progress").is_visible()
    rows = page.locator("#result_list tbody tr")
    assert [row.split()[1] for row in rows.locator(".im-badge").all_inner_texts()] == [
        "importing",
        "done",
        "failed",
        "done",
    ]
    if look == "phone":
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= 360
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (background == "rgb(18, 18, 18)") == (look == "dark")
    rows.locator("a").first.click()
    page.wait_for_selector(".im-timeline")
    assert "acme.zip" in page.locator(".im-summary").inner_text()
    assert page.locator(".im-timeline li").count() == 1
    visitor.close()


def test_an_import_is_watched_without_reloading(
    chromium: Any, live_server: Any, admin_client: Any, history: Workspace
) -> None:
    visitor = Visitor(chromium, live_server, admin_client)
    page = visitor.open(HISTORY)
    page.evaluate("window.notReloaded = true")
    before = page.locator(".im-card .im-counts").inner_text()
    history.clock.advance(1600)
    sync_workspace("default")
    page.wait_for_function(
        "document.querySelector('.im-card .im-badge').innerText.includes('done')", timeout=15_000
    )
    assert page.locator(".im-card .im-counts").inner_text() != before
    assert page.locator("#result_list .im-badge").first.inner_text().split() == ["✓", "done"]
    assert page.evaluate("window.notReloaded")
    visitor.close()


def test_sync_now_and_a_note_by_keyboard(
    chromium: Any, live_server: Any, admin_client: Any, history: Workspace
) -> None:
    visitor = Visitor(chromium, live_server, admin_client)
    page = visitor.open(HISTORY)
    page.get_by_role("button", name="Sync now").focus()
    page.keyboard.press("Enter")
    page.wait_for_selector(".messagelist")
    assert "Synced default" in page.locator(".messagelist").inner_text()
    page.locator("#result_list .field-what a").first.focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("#id_note")
    page.fill("#id_note", "moved to Sunday")
    page.locator("input[name=_save]").focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("#result_list")
    assert ImportOperation.objects.newest_first()[0].note == "moved to Sunday"
    visitor.close()
