"""A host in Arabic: values that are written from left to right stay so, in Chromium."""

from typing import TYPE_CHECKING, Any

import pytest

from importmonitor.models import ImportOperation, Workspace
from tests.admin.helpers import change_url
from tests.admin.test_alerts_page import make_alert
from tests.admin.test_incidents_page import make_incident
from tests.browser.browser_page import ALERTS, HISTORY, IN_CHROMIUM, INCIDENTS, WORKSPACES
from tests.browser.conftest import OpenBrowser
from tests.hosts.rows import save_running_operation

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = IN_CHROMIUM

#: Where each of these texts is in an element, from the left, in this order.
POSITIONS = """
(element, texts) => {
  const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
  const nodes = [];
  while (walker.nextNode()) nodes.push(walker.currentNode);
  const text = nodes.map((node) => node.data).join("");
  const place = (offset) => {
    for (const node of nodes) {
      if (offset < node.length) return [node, offset];
      offset -= node.length;
    }
  };
  let from = 0;
  return texts.map((part) => {
    const start = text.indexOf(part, from);
    if (start < 0) throw new Error(`no ${part} in ${text}`);
    from = start + part.length;
    const range = document.createRange();
    range.setStart(...place(start));
    const [node, offset] = place(from - 1);
    range.setEnd(node, offset + 1);
    return range.getBoundingClientRect().left;
  });
}
"""


@pytest.fixture
def operation(settings: Any) -> ImportOperation:
    """A running import halfway through, and a file whose path ends with a slash."""
    settings.LANGUAGE_CODE = "ar"
    return save_running_operation()


def assert_in_order(page: "Page", selector: str, *texts: str) -> None:
    """Check that an element has these texts from left to right."""
    positions = page.locator(selector).first.evaluate(POSITIONS, list(texts))
    assert positions == sorted(positions), (selector, texts, positions)


def test_values_read_from_left_to_right(
    open_browser: OpenBrowser, operation: ImportOperation
) -> None:
    browser = open_browser(locale="ar")
    page = browser.open(HISTORY)
    assert page.locator("html").get_attribute("dir") == "rtl"
    for place in (".im-card", "#result_list .field-progress"):
        assert_in_order(page, f"{place} .im-counts", "249", "of", "250")
        assert_in_order(page, f"{place} .im-errors", "3", "errors")
    assert_in_order(page, "#result_list .field-duration", "1", "h", "5", "min")
    assert_in_order(page, ".im-card p:has-text('per minute')", "30", "per minute")
    page = browser.open(change_url(operation))
    assert_in_order(page, ".im-summary .im-counts", "249", "of", "250")
    page.locator(".im-raw > summary").click()
    assert_in_order(page, "dd:has-text('/tmp/imports')", "/", "tmp", "imports", "csv", "/")
    assert_in_order(page, ".im-title", "people", ".csv")
    assert_in_order(page, ".im-payload", '"', "status", '":')
    # The numbers of the axis stand left of the chart, and times run from left to right.
    plot = page.locator(".im-plot").bounding_box()
    label = page.locator(".im-plot text[x='-6']").first.bounding_box()
    assert plot is not None
    assert label is not None
    assert label["x"] + label["width"] <= plot["x"]
    workspace = Workspace.objects.get()
    page = browser.open(f"{WORKSPACES}{workspace.pk}/change/")
    assert_in_order(page, ".im-ends", *page.locator(".im-ends span").all_inner_texts()[:2])
    make_incident("import.failed", operation=operation)
    page = browser.open(f"{WORKSPACES}{workspace.pk}/change/")
    assert_in_order(page, ".im-current .im-headline", "CSV", "people.csv")
    incident = make_incident("workspace.unreachable", message="GET /api returned 502.")
    page = browser.open(f"{INCIDENTS}{incident.pk}/change/")
    assert_in_order(page, ".im-buttons", "Acknowledge the open incident", ":")
    assert_in_order(page, ".field-message .readonly", "GET", "/api", "502", ".")
    make_alert("one", last_error="The mail server answered 451.", attempts=2)
    page = browser.open(ALERTS)
    assert_in_order(page, "#result_list .field-last_error", "The mail", "451", ".")


def test_arabic_file_name_reads_from_right_to_left(
    open_browser: OpenBrowser, operation: ImportOperation
) -> None:
    ImportOperation.objects.update(file="تقرير أول.csv")
    page = open_browser(locale="ar").open(HISTORY)
    first, last = page.locator(".im-card .im-file").evaluate(POSITIONS, ["تقرير", "أول"])
    assert first > last
