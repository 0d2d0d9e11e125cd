"""Whatever Rocket.Chat sends is text on our pages: it runs nothing and moves nothing."""

from typing import Any

import pytest
import responses

from importmonitor.models import ImportOperation
from importmonitor.sync.poll import sync_workspace
from simulator.workspace import Workspace
from tests.admin.helpers import change_url
from tests.browser.browser_page import HEALTH, HISTORY, IN_CHROMIUM, PHONE, expect
from tests.browser.conftest import Visit

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
    "the other way": f"{RIGHT_TO_LEFT}gpj.exe\N{LEFT-TO-RIGHT ISOLATE}",
    "not to be seen": "a\0b\x1b[31m\u2028\ufeff",
}


@pytest.mark.parametrize("name", STRINGS)
def test_what_is_sent_is_text(visit: Visit, chat: Workspace, name: str) -> None:
    text = STRINGS[name]
    now = chat.clock.now()
    known: dict[str, Any] = {"ts": now.isoformat(), "valid": True, "_updatedAt": now.isoformat()}
    wild = dict.fromkeys(("type", "importerKey", "status", "user", "contentType"), text)
    document = {"_id": text, "file": f"x_{text}", "count": {"total": 10, text: text}, text: text}
    chat.put_operation(known | wild | document)
    sync_workspace("default")
    visitor = visit(**PHONE)
    page = visitor.open(HISTORY)
    plain = text[:20].replace("\0", "\ufffd")
    assert plain in (page.locator(".im-card").text_content() or "")
    assert plain in (page.locator("#result_list").text_content() or "")
    assert visitor.overflow() == 0
    page = visitor.open(change_url(ImportOperation.objects.get()))
    assert plain in (page.locator(".im-summary").text_content() or "")
    assert plain in (page.locator(".im-timeline").text_content() or "")
    expect(page.locator("#id_note")).to_be_visible()
    assert visitor.overflow() == 0
    for path in (f"{HISTORY}?started_by={'%3Cscript%3Ealert(1)%3C/script%3E'}", "/admin/"):
        visitor.open(path)
        assert visitor.overflow() == 0
    assert page.locator("main img[src=x], main script:not([src])").count() == 0


def test_what_is_written_backwards_turns_nothing_else_round(visit: Visit, chat: Workspace) -> None:
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
    page = visit().open(HISTORY)
    for parts in (
        (".im-card .im-headline > .im-badge", ".im-card .im-headline > a", ".im-card .im-file"),
        ("#result_list td.field-badge", "#result_list .field-what", "#result_list td.field-took"),
    ):
        places = [page.locator(each).bounding_box() for each in parts]
        assert [box["x"] for box in places if box] == sorted(box["x"] for box in places if box)
    # What comes after the name, within the same sentence.
    told = page.locator(".im-card .im-quiet", has_text="started")
    letters = told.evaluate(
        """paragraph => {
            const last = paragraph.lastElementChild.getBoundingClientRect();
            const time = paragraph.querySelector("time").getBoundingClientRect();
            return [time.right, last.left];
        }"""
    )
    assert letters[0] < letters[1]


def test_what_an_error_says_is_text(visit: Visit, chat: Workspace, settings: Any) -> None:
    url = "http://127.0.0.1:9"
    settings.IMPORTMONITOR["WORKSPACES"]["default"]["URL"] = url
    with responses.RequestsMock() as remote:
        body = {"success": False, "error": MARKUP}
        remote.get(f"{url}/api/v1/getCurrentImportOperation", status=400, json=body)
        assert not sync_workspace("default").ok
    visitor = visit(**PHONE)
    for path, place in ((HISTORY, ".im-card"), (HEALTH, "#result_list")):
        page = visitor.open(path)
        assert MARKUP[:25] in (page.locator(place).text_content() or "")
        assert visitor.overflow() == 0
