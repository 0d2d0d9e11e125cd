"""Take the screenshots of the README and the documentation from a running demo.

    CHROMIUM=/usr/bin/chromium python docs/screenshots.py http://127.0.0.1:8000

Needs playwright (requirements/ci.txt).
"""

import os
import sys
from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright

FOLDER = Path(__file__).resolve().parent
ADMIN = "/admin/importmonitor/"
HISTORY = f"{ADMIN}importoperation/"

WIDE = ViewportSize(width=1360, height=860)
PHONE = ViewportSize(width=360, height=780)
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")


def main() -> None:
    base = sys.argv[1].rstrip("/")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=os.environ.get("CHROMIUM", "/usr/bin/chromium"),
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        for scheme in SCHEMES:
            page = log_in(browser, base, scheme, WIDE)
            save_screenshot(page, f"history-{scheme}")
            page.locator("#result_list .field-name a").first.click()
            page.wait_for_selector(".im-timeline")
            save_screenshot(page, f"operation-{scheme}")
            page.goto(f"{base}{ADMIN}workspace/?sync_status=failing")
            page.locator("#result_list .field-alias a").first.click()
            page.wait_for_selector(".im-incident")
            save_screenshot(page, f"workspaces-{scheme}")
            page.goto(f"{base}{ADMIN}incident/?kind=workspace.unreachable")
            page.locator("#result_list .field-kind_badge a").first.click()
            page.wait_for_selector(".im-incident-panel")
            save_screenshot(page, f"incident-{scheme}")
            page.context.close()
        page = log_in(browser, base, "light", WIDE)
        page.goto(f"{base}{ADMIN}apitoken/")
        save_screenshot(page, "tokens")
        page.context.close()
        page = log_in(browser, base, "dark", PHONE)
        save_screenshot(page, "phone")
        browser.close()


def log_in(
    browser: Browser, base: str, scheme: Literal["light", "dark"], size: ViewportSize
) -> Page:
    """Log in as the demo's user; return the history page."""
    # At twice the resolution, so that text stays legible in a scaled-down image.
    context = browser.new_context(color_scheme=scheme, viewport=size, device_scale_factor=2)
    page = context.new_page()
    page.goto(f"{base}/admin/login/?next={HISTORY}")
    page.fill("#id_username", "demo")
    page.fill("#id_password", "demo")
    page.click("[type=submit]")
    page.wait_for_selector("#result_list")
    return page


def save_screenshot(page: Page, name: str) -> None:
    """Save the visible part of a page."""
    # Without the sidebar, which lists other apps.
    page.evaluate("document.querySelector('#main').classList.remove('shifted')")
    page.screenshot(path=FOLDER / f"{name}.png", animations="disabled")


if __name__ == "__main__":
    main()
