"""One Chromium, people who look at pages in it, and workspaces with something to show."""

import os
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from importmonitor.sync.poll import SyncResult, sync_workspace
from simulator.clock import Clock
from simulator.server import Server
from simulator.workspace import Workspace
from tests.browser.browser_page import CHROMIUM, BrowserPage
from tests.conftest import AUTH_TOKEN, USER_ID, configure

if TYPE_CHECKING:
    from playwright.sync_api import Browser

Visit = Callable[..., BrowserPage]


@pytest.fixture(scope="package")
def chromium() -> "Iterator[Browser]":
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
def visit(
    chromium: "Browser", live_server: Any, admin_user: User, admin_client: Client
) -> Iterator[Visit]:
    """Bring somebody to a browser, logged in as a superuser; close it and ask for its troubles."""
    visitors: list[BrowserPage] = []

    def visit(*, log_in: bool = True, **options: Any) -> BrowserPage:
        visitor = BrowserPage(chromium, live_server.url, **options)
        visitors.append(visitor)
        if log_in:
            visitor.log_in(admin_client.cookies["sessionid"].value)
        return visitor

    yield visit
    for visitor in visitors:
        visitor.close()


@pytest.fixture
def chat(settings: Any) -> Iterator[Workspace]:
    """A workspace on loopback whose clock stands at two hours ago: what is done there is recent."""
    clock = Clock(timezone.now() - timedelta(hours=2))
    made = Workspace(clock, seed=1, rate_limit=None, limiter_clock=clock)
    made.add_user(USER_ID, AUTH_TOKEN)
    with Server(made) as server:
        configure(settings, server.url)
        yield made


def look(chat: Workspace, seconds: float = 0) -> SyncResult:
    """Let time pass in a workspace, and look at it."""
    chat.clock.advance(seconds)
    return sync_workspace("default", now=chat.clock.now)


@pytest.fixture
def history(chat: Workspace) -> Workspace:
    """Imports that ended in three ways, and one half-way through that was looked at just now."""
    for ending in ("done", "failed", "done-with-errors"):
        chat.start_import("csv", ending, seconds=600, file_name="people.csv")
        look(chat, 300)
        look(chat, 400)
    chat.start_import("slack", seconds=10_000, records=20_000, file_name="acme.zip")
    for _ in range(10):
        look(chat, 500)
    chat.clock.set(timezone.now())
    look(chat)
    return chat
