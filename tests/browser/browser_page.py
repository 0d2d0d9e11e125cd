"""Somebody at a browser: a page, what went wrong in it, and what axe-core has against it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import (
        Browser,
        BrowserContext,
        Locator,
        Page,
        Response,
    )

CHROMIUM = os.environ.get("CHROMIUM", "")
NODE_CLIENTS = os.environ.get("NODE_CLIENTS", "")
AXE = Path(NODE_CLIENTS) / "node_modules" / "axe-core" / "axe.min.js"

#: What every test in Chromium is marked with.
IN_CHROMIUM = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM, reason="CHROMIUM names no executable"),
    pytest.mark.django_db(transaction=True),
]

ADMIN = "/admin/"
HISTORY = f"{ADMIN}importmonitor/importoperation/"
HEALTH = f"{ADMIN}importmonitor/syncperiod/"
ALERTS = f"{ADMIN}importmonitor/alert/"
TOKENS = f"{ADMIN}importmonitor/apitoken/"

PHONE = {"viewport": {"width": 360, "height": 740}}


STILL = """addEventListener("DOMContentLoaded", () => {
    const style = document.createElement("style");
    style.textContent = "* { transition: none !important; animation: none !important; }";
    document.head.append(style);
});"""


def expect(place: "Locator") -> Any:
    """Return what can be asserted of a place on a page, which then has some seconds for it."""
    # Not above: where there is no browser, there need be no playwright.
    from playwright import sync_api

    return sync_api.expect(place)


class BrowserPage:
    """A page in a context of its own, and what its console and its scripts complain of.

    With `clock`, the page's timers stand still until `pass_time`.
    """

    def __init__(self, browser: "Browser", url: str, *, clock: bool = False, **options: Any):
        self.url = url
        self.context: BrowserContext = browser.new_context(base_url=url, **options)
        self.context.set_default_timeout(10_000)
        # What fades from one colour to another is measured half-way.
        self.context.add_init_script(STILL)
        if clock:
            self.context.clock.install()
        self.page: Page = self.context.new_page()
        self.troubles: list[str] = []
        self.asked: list[str] = []
        # An alert that a page opens would hang it; that it does is a trouble.
        self.page.on("dialog", self._refuse)
        self.page.on("pageerror", lambda error: self.troubles.append(str(error)))
        self.page.on("console", self._hear)
        self.page.on("request", lambda request: self.asked.append(request.resource_type))

    def _refuse(self, dialog: Any) -> None:
        self.troubles.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _hear(self, message: Any) -> None:
        if message.type == "error":
            self.troubles.append(message.text)

    def log_in(self, session: str) -> None:
        """Take over the session of a test client."""
        cookie = {"name": "sessionid", "value": session, "url": self.url}
        self.context.add_cookies([cookie])  # type: ignore[list-item]

    def open(self, path: str) -> "Page":
        answer: Response | None = self.page.goto(path)
        assert answer is not None
        assert answer.status == 200
        return self.page

    def pass_time(self, seconds: float = 5.0) -> None:
        """Let time pass on the page: by default, as much as lies between two refreshes."""
        self.page.clock.run_for(round(seconds * 1000))

    def fetched(self) -> int:
        """Return how often the page was fetched by its own script."""
        return self.asked.count("fetch")

    def overflow(self) -> int:
        """Return by how many pixels the page is wider than what it is seen through."""
        found = self.page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        return int(found)

    @contextmanager
    def expecting_troubles(self) -> Iterator[None]:
        """Forget what goes wrong in here: it is meant to."""
        before = list(self.troubles)
        yield
        self.troubles[:] = before

    def violations(self, *rules: str) -> list[str]:
        """Return what axe-core calls serious or critical here, by all of its rules or by these."""
        if self.page.evaluate("typeof axe === 'undefined'"):
            self.page.add_script_tag(path=AXE)
        options: dict[str, Any] = {"resultTypes": ["violations"]}
        if rules:
            options["runOnly"] = list(rules)
        found = self.page.evaluate("options => axe.run(options)", options)
        return [
            f"{each['id']} ({len(each['nodes'])}): {each['nodes'][0]['html'][:200]} "
            f"{each['nodes'][0]['failureSummary']}"
            for each in found["violations"]
            if each["impact"] in {"serious", "critical"}
        ]

    def close(self) -> None:
        self.context.close()
        assert self.troubles == []
