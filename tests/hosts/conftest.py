"""Pages in Chromium, as in tests/browser."""

from tests.browser.conftest import chromium, open_browser

__all__ = ["chromium", "open_browser"]
