"""The HTML of e-mails, as a mail program on a phone or a desktop shows it."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from importmonitor.alerts.drafts import draft_digest, draft_workspace_alert
from importmonitor.alerts.groups import render_group
from importmonitor.alerts.messages import Message, render_message
from importmonitor.choices import Event
from importmonitor.models import Workspace
from tests.alerts.helpers import BASE_URL
from tests.alerts.test_messages import RUNNING, render, row
from tests.api.helpers import NOON
from tests.browser.browser_page import AXE, IN_CHROMIUM, NODE_CLIENTS, BrowserPage
from tests.malformed_documents import SCRIPT

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = IN_CHROMIUM

LONG = "x" * 400 + "\N{HEBREW LETTER ALEF}" * 100
#: Of a digest.
FIGURES = {
    "period": "weekly",
    "from": "2026-03-16T00:00:00+00:00",
    "to": "2026-03-23T00:00:00+00:00",
    "workspaces": 2,
    "incidents": {
        "open": 30,
        "oldest": [
            {
                "id": 1,
                "kind": kind,
                "workspace": "w" * 63,
                "since": NOON.isoformat(),
                "acknowledged": True,
                "operation": {"id": 1, "type": SCRIPT, "file": LONG},
            }
            for kind in ("import.failed", "import.waiting")
        ],
    },
    "imports": {"started": 9, "ended": 1, "running": 1, "outcomes": {"failed": 1}},
    "records": {"handled": 1_234_567, "errors": 7},
    "availability": {
        "percent": 99.9,
        "worst": [{"workspace": "w" * 63, "percent": 99.9, "seconds_unreachable": 90_000}],
    },
}


@pytest.fixture(params=[(360, "light"), (360, "dark"), (800, "light")], ids=str)
def mail(chromium: "Browser", request: pytest.FixtureRequest) -> Iterator[BrowserPage]:
    """A page as wide as a phone, or wider, that has no network."""
    width, scheme = request.param
    viewport = {"width": width, "height": 740}
    page = BrowserPage(
        chromium, "http://mail.invalid", viewport=viewport, color_scheme=scheme, offline=True
    )
    yield page
    page.close()


@pytest.fixture
def messages(settings: Any) -> list[Message]:
    """Messages of each form, with names that are too long and mean to be more than text."""
    settings.IMPORTMONITOR = settings.IMPORTMONITOR | {"BASE_URL": BASE_URL}
    hostile = {"file": LONG, "type": SCRIPT, "status": LONG}
    rows = [
        render(event, row({**RUNNING, **document}))
        for event in (Event.STARTED, Event.STALLED, Event.FINISHED, Event.FAILED)
        for document in ({}, hostile)
    ]
    unreachable = draft_workspace_alert(
        Event.UNREACHABLE,
        Workspace(alias="default"),
        at=NOON,
        since=NOON,
        outcome="BadAnswer",
        message=LONG,
    )
    group = render_group([*rows[:2], *rows[-2:]])
    digest = render_message(draft_digest("key", FIGURES, at=NOON).body)
    return [*rows, render_message(unreachable.body), group, digest]


def test_mail_fits_its_window_and_loads_nothing(mail: BrowserPage, messages: list[Message]) -> None:
    for message in messages:
        mail.page.set_content(message.html)
        assert mail.overflow() == 0
        button = mail.page.locator(".button a").bounding_box()
        assert button is not None
        # As high as a finger needs it (WCAG 2.2, 2.5.8, asks for 24).
        assert button["height"] >= 36
    assert mail.request_types == []


@pytest.mark.skipif(not NODE_CLIENTS, reason="NODE_CLIENTS names no folder with axe-core")
def test_mail_is_accessible(mail: BrowserPage, messages: list[Message]) -> None:
    for message in messages:
        mail.page.set_content(message.html)
        mail.page.add_script_tag(path=AXE)
        assert mail.violations() == []
