"""One Chromium, logged-in pages in it, and a workspace with a history."""

import os
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from importmonitor.admin import sync_now
from importmonitor.sync import background
from importmonitor.sync.poll import SyncResult, sync_workspace
from simulator.clock import Clock
from simulator.server import Server
from simulator.workspace import Workspace
from tests.browser.browser_page import CHROMIUM, BrowserPage
from tests.conftest import AUTH_TOKEN, USER_ID, configure

if TYPE_CHECKING:
    from playwright.sync_api import Browser

OpenBrowser = Callable[..., BrowserPage]


@pytest.fixture(scope="package")
def chromium() -> "Iterator[Browser]":
    from playwright.sync_api import sync_playwright

    # Playwright's synchronous calls run an event loop in this thread, in which Django would
    # refuse to use the database.
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
def open_browser(
    chromium: "Browser", live_server: Any, admin_user: User, admin_client: Client
) -> Iterator[OpenBrowser]:
    """Return a function that opens a page, logged in as a superuser.

    At the end of the test it is closed and must have had no errors.
    """
    browsers: list[BrowserPage] = []

    def open_browser(*, log_in: bool = True, **options: Any) -> BrowserPage:
        browser = BrowserPage(chromium, live_server.url, **options)
        browsers.append(browser)
        if log_in:
            browser.log_in(admin_client.cookies["sessionid"].value)
        return browser

    yield open_browser
    for browser in browsers:
        browser.close()


@pytest.fixture
def chat(settings: Any) -> Iterator[Workspace]:
    """A workspace on loopback, whose clock starts two hours ago."""
    clock = Clock(timezone.now() - timedelta(hours=2))
    workspace = Workspace(clock, seed=1, rate_limit=None, limiter_clock=clock)
    workspace.add_user(USER_ID, AUTH_TOKEN)
    with Server(workspace) as server:
        configure(settings, server.url)
        yield workspace


@pytest.fixture
def waiting_sync(shared_database: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """“Sync now” polls again at once, and waits for the result however slow the machine is."""
    monkeypatch.setattr(background, "MIN_INTERVAL", timedelta(0))
    monkeypatch.setattr(sync_now, "MAX_WAIT", 30.0)


def poll_after(chat: Workspace, seconds: float = 0) -> SyncResult:
    """Advance a workspace's clock and poll it."""
    chat.clock.advance(seconds)
    return sync_workspace("default", now=chat.clock.now)


@pytest.fixture
def history(chat: Workspace) -> Workspace:
    """Imports that ended in three ways, and one halfway through that was polled just now."""
    for ending in ("done", "failed", "done-with-errors"):
        chat.start_import("csv", ending, seconds=600, file_name="people.csv")
        poll_after(chat, 300)
        poll_after(chat, 400)
    chat.start_import("slack", seconds=10_000, records=20_000, file_name="acme.zip")
    for _ in range(10):
        poll_after(chat, 500)
    chat.clock.set(timezone.now())
    poll_after(chat)
    return chat
