"""Any text from Rocket.Chat is shown as text: it runs no script and breaks no layout."""

from typing import Any

import pytest
import responses

from importmonitor import models
from importmonitor.models import ImportOperation
from importmonitor.sync.poll import sync_workspace
from simulator.workspace import Workspace
from tests.admin.helpers import change_url
from tests.browser.browser_page import HISTORY, IN_CHROMIUM, PHONE, WORKSPACES, expect
from tests.browser.conftest import OpenBrowser

pytestmark = IN_CHROMIUM

RIGHT_TO_LEFT = "\N{RIGHT-TO-LEFT OVERRIDE}"
MARKUP = (
    "<script>alert(1)</script>"
    "\"><img src=x onerror=alert(1)>'><svg onload=alert(1)>"
    "{{ settings.SECRET_KEY }}{% load x %}</textarea></title><!-- javascript:alert(1)"
)
STRINGS = {
    "markup": MARKUP,
    "long": "x" * 10_000,
    "long and Chinese": "導入" * 5_000,
    "right to left": f"{RIGHT_TO_LEFT}gpj.exe\N{LEFT-TO-RIGHT ISOLATE}",
    "invisible": "a\0b\x1b[31m\u2028\ufeff",
}


@pytest.mark.parametrize("name", STRINGS)
def test_document_is_shown_as_text(open_browser: OpenBrowser, chat: Workspace, name: str) -> None:
    text = STRINGS[name]
    now = chat.clock.now()
    times: dict[str, Any] = {"ts": now.isoformat(), "valid": True, "_updatedAt": now.isoformat()}
    strings = dict.fromkeys(("type", "importerKey", "status", "user", "contentType"), text)
    document = {"_id": text, "file": f"x_{text}", "count": {"total": 10, text: text}, text: text}
    chat.put_operation(times | strings | document)
    chat.people[text] = ("user", text)
    sync_workspace("default")
    browser = open_browser(**PHONE)
    page = browser.open(HISTORY)
    plain = text[:20].replace("\0", "\ufffd")
    assert plain in (page.locator(".im-card").text_content() or "")
    assert plain in (page.locator("#result_list").text_content() or "")
    assert browser.overflow() == 0
    page = browser.open(change_url(ImportOperation.objects.get()))
    assert plain in (page.locator(".im-summary").text_content() or "")
    assert plain in (page.locator(".im-timeline").text_content() or "")
    expect(page.locator("#id_note")).to_be_visible()
    assert browser.overflow() == 0
    for path in (f"{HISTORY}?started_by={'%3Cscript%3Ealert(1)%3C/script%3E'}", "/admin/"):
        browser.open(path)
        assert browser.overflow() == 0
    assert page.locator("main img[src=x], main script:not([src])").count() == 0


def test_right_to_left_text_does_not_reorder_its_neighbours(
    open_browser: OpenBrowser, chat: Workspace
) -> None:
    now = chat.clock.now().isoformat()
    chat.put_operation(
        {
            "_id": "a",
            "ts": now,
            "_updatedAt": now,
            "valid": True,
            "status": "importer_new",
            "type": f"{RIGHT_TO_LEFT}desrever",
            "file": f"{RIGHT_TO_LEFT}piz.txt",
            "user": f"{RIGHT_TO_LEFT}ecila",
        }
    )
    sync_workspace("default")
    page = open_browser().open(HISTORY)
    for parts in (
        (".im-card .im-headline > .im-badge", ".im-card .im-headline > a", ".im-card .im-file"),
        (
            "#result_list td.field-status_badge",
            "#result_list .field-name",
            "#result_list td.field-duration",
        ),
    ):
        boxes = [page.locator(part).bounding_box() for part in parts]
        assert [box["x"] for box in boxes if box] == sorted(box["x"] for box in boxes if box)
    # The status comes after the user, within the same line.
    line = page.locator(".im-card .im-quiet", has_text="Started")
    positions = line.evaluate(
        """paragraph => {
            const last = paragraph.lastElementChild.getBoundingClientRect();
            const time = paragraph.querySelector("time").getBoundingClientRect();
            return [time.right, last.left];
        }"""
    )
    assert positions[0] < positions[1]


def test_error_is_shown_as_text(open_browser: OpenBrowser, chat: Workspace, settings: Any) -> None:
    url = "http://127.0.0.1:9"
    settings.IMPORTMONITOR["WORKSPACES"]["default"]["URL"] = url
    with responses.RequestsMock() as remote:
        body = {"success": False, "error": MARKUP}
        remote.get(f"{url}/api/v1/getCurrentImportOperation", status=400, json=body)
        assert not sync_workspace("default").ok
    browser = open_browser(**PHONE)
    workspace = models.Workspace.objects.get()
    own_page = f"{WORKSPACES}{workspace.pk}/change/"
    for path, part in ((HISTORY, ".im-card"), (own_page, ".im-section .im-message")):
        page = browser.open(path)
        assert MARKUP[:25] in (page.locator(part).text_content() or "")
        assert browser.overflow() == 0
