"""A page in Chromium, with its errors and axe-core's findings."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
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

#: The marks of every test in Chromium.
IN_CHROMIUM = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM, reason="CHROMIUM names no executable"),
    pytest.mark.django_db(transaction=True),
]

ADMIN = "/admin/"
HISTORY = f"{ADMIN}importmonitor/importoperation/"
WORKSPACES = f"{ADMIN}importmonitor/workspace/"
ALERTS = f"{ADMIN}importmonitor/alert/"
INCIDENTS = f"{ADMIN}importmonitor/incident/"
TOKENS = f"{ADMIN}importmonitor/apitoken/"

PHONE = {"viewport": {"width": 360, "height": 740}}


#: By a script, which the Content-Security-Policy allows, unlike an element.
NO_ANIMATIONS = """
const sheet = new CSSStyleSheet();
sheet.replaceSync("* { transition: none !important; animation: none !important; }");
document.adoptedStyleSheets.push(sheet);
"""
#: The violations of a page; they are also errors in its console.
COLLECT_CSP_VIOLATIONS = """
window.cspViolations = [];
document.addEventListener("securitypolicyviolation", (event) => cspViolations.push(
    `${event.effectiveDirective} ${event.blockedURI} ${event.sourceFile} ${event.sample}`));
"""


def expect(locator: "Locator") -> Any:
    """Return Playwright's assertions about an element, which wait some seconds for it."""
    # Imported here: without a browser, playwright need not be installed.
    from playwright import sync_api

    return sync_api.expect(locator)


class BrowserPage:
    """A page in a context of its own, with the errors of its console and scripts.

    With `clock`, the page's timers stand still until `pass_time`.
    """

    def __init__(self, browser: "Browser", url: str, *, clock: bool = False, **options: Any):
        self.url = url
        self.context: BrowserContext = browser.new_context(base_url=url, **options)
        self.context.set_default_timeout(10_000)
        # axe-core would measure the colours of a transition midway.
        self.context.add_init_script(NO_ANIMATIONS)
        self.context.add_init_script(COLLECT_CSP_VIOLATIONS)
        if clock:
            # `install` alone lets the clock run on: the page would also refresh by itself.
            now = datetime.now(UTC)
            self.context.clock.install(time=now)
            self.context.clock.pause_at(now + timedelta(seconds=1))
        self.page: Page = self.context.new_page()
        self.errors: list[str] = []
        self.request_types: list[str] = []
        # A dialog would block the page, and is an error.
        self.page.on("dialog", self._dismiss)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", self._log)
        self.page.on("request", lambda request: self.request_types.append(request.resource_type))

    def _dismiss(self, dialog: Any) -> None:
        self.errors.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _log(self, message: Any) -> None:
        if message.type == "error":
            self.errors.append(message.text)

    def log_in(self, session: str) -> None:
        """Take over the session of a test client."""
        cookie = {"name": "sessionid", "value": session, "url": self.url}
        self.context.add_cookies([cookie])  # type: ignore[list-item]

    def open(self, path: str) -> "Page":
        response: Response | None = self.page.goto(path)
        assert response is not None
        assert response.status == 200
        return self.page

    def pass_time(self, seconds: float = 5.0) -> None:
        """Advance the page's timers, by default by the interval between two refreshes."""
        self.page.clock.run_for(round(seconds * 1000))

    def count_fetches(self) -> int:
        """Return how often the page's script has fetched it."""
        return self.request_types.count("fetch")

    def overflow(self) -> int:
        """Return by how many pixels the page is wider than the viewport."""
        pixels = self.page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        return int(pixels)

    @contextmanager
    def expecting_errors(self) -> Iterator[None]:
        """Ignore the errors within the context."""
        before = list(self.errors)
        yield
        self.errors[:] = before

    def violations(self, *rules: str) -> list[str]:
        """Return axe-core's serious and critical findings, by all of its rules or by these."""
        if self.page.evaluate("typeof axe === 'undefined'"):
            self.page.add_script_tag(path=AXE)
        options: dict[str, Any] = {"resultTypes": ["violations"]}
        if rules:
            options["runOnly"] = list(rules)
        results = self.page.evaluate("options => axe.run(options)", options)
        return [
            f"{violation['id']} ({len(violation['nodes'])}): "
            f"{violation['nodes'][0]['html'][:200]} {violation['nodes'][0]['failureSummary']}"
            for violation in results["violations"]
            if violation["impact"] in {"serious", "critical"}
        ]

    def close(self) -> None:
        # The server's threads share one connection to SQLite, which is about to be closed.
        self.page.wait_for_load_state("load")
        self.context.close()
        assert self.errors == [], self.errors
