"""Take the README's pictures from a running demo.

    CHROMIUM=/usr/bin/chromium python docs/screenshots.py http://127.0.0.1:8000

Needs playwright (requirements/ci.txt).
"""

import os
import sys
from pathlib import Path

from playwright.sync_api import ViewportSize, sync_playwright

FOLDER = Path(__file__).resolve().parent
HISTORY = "/admin/importmonitor/importoperation/"


def main() -> None:
    base = sys.argv[1].rstrip("/")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=os.environ.get("CHROMIUM", "/usr/bin/chromium"),
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        for scheme in ("light", "dark"):
            context = browser.new_context(
                color_scheme="dark" if scheme == "dark" else "light",
                viewport=ViewportSize(width=1360, height=860),
            )
            page = context.new_page()
            page.goto(f"{base}/admin/login/?next={HISTORY}")
            page.fill("#id_username", "demo")
            page.fill("#id_password", "demo")
            page.click("[type=submit]")
            page.wait_for_selector("#result_list")
            # The list of apps at the side says nothing about this one.
            page.evaluate("document.querySelector('#main').classList.remove('shifted')")
            page.screenshot(path=FOLDER / f"history-{scheme}.png")
            page.locator("#result_list .field-what a").first.click()
            page.wait_for_selector(".im-timeline")
            page.evaluate("document.querySelector('#main').classList.remove('shifted')")
            page.screenshot(path=FOLDER / f"operation-{scheme}.png")
            context.close()
        browser.close()


if __name__ == "__main__":
    main()
