"""A reader of the admin's pages, and rows for them to show."""

from datetime import datetime, timedelta
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

from django.urls import reverse

from importmonitor.models import EndReason, ImportOperation
from tests.api.helpers import NOON

if TYPE_CHECKING:
    from django.test.client import _MonkeyPatchedWSGIResponse as Response

HISTORY = "/admin/importmonitor/importoperation/"
SYNC = f"{HISTORY}sync/"

_HIDDEN = {"script", "style", "title", "head"}
_TEXT_ATTRIBUTES = ("title", "alt", "aria-label", "aria-description", "placeholder")
_VOID = {"link", "meta", "br", "hr", "img", "input", "wbr"}


class Page(HTMLParser):
    """The text of a page, the cells of its list, its links, forms, fields and progress bars."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.actions: list[str] = []
        self.fields: set[str] = set()
        self.bars: list[str] = []
        self._spoken: list[str] = []
        self.rows: list[list[str]] = []
        self._open: list[tuple[str, str]] = []
        self._words: list[str] = []
        self.feed(html)
        self.close()

    @property
    def words(self) -> str:
        return _joined(self._words)

    @property
    def spoken(self) -> str:
        """The text in attributes, for tooltips and screen readers."""
        return _joined(self._spoken)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self._spoken += [values[name] for name in _TEXT_ATTRIBUTES if name in values]
        if tag not in _VOID:
            self._open.append((tag, values.get("id", "")))
        if tag == "a":
            self.links.append(values.get("href", ""))
        elif tag == "form":
            self.actions.append(values.get("action", ""))
        elif tag == "progress":
            self.bars.append(values.get("value", ""))
        elif tag in {"input", "textarea", "select"}:
            self.fields.add(values.get("name", ""))
        elif tag == "tr" and self._in_list():
            self.rows.append([])
        elif tag in {"td", "th"} and self._in_list():
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        while self._open and tag in {name for name, _ in self._open}:
            if self._open.pop()[0] == tag:
                break

    def handle_data(self, data: str) -> None:
        if any(tag in _HIDDEN for tag, _ in self._open):
            return
        self._words.append(data)
        if self._in_list() and self.rows and self.rows[-1]:
            self.rows[-1][-1] = _joined([self.rows[-1][-1], data])

    def _in_list(self) -> bool:
        """Return whether the parser is in the body of the list."""
        tags = [tag for tag, _ in self._open]
        return any(id_ == "result_list" for _, id_ in self._open) and "tbody" in tags


def _joined(parts: list[str]) -> str:
    return " ".join(" ".join(parts).split())


def page(response: "Response") -> Page:
    """Return the page of a successful response."""
    assert response.status_code == 200
    return Page(response.content.decode())


def change_url(operation: ImportOperation) -> str:
    return reverse("admin:importmonitor_importoperation_change", args=[operation.pk])


def messages(response: "Response") -> list[tuple[str, str]]:
    """Return the level and the text of each message that a page shows."""
    return [(message.level_tag, str(message)) for message in response.context["messages"]]


def make_row(number: int = 0, **fields: Any) -> ImportOperation:
    """Return an unsaved operation, by default a running one."""
    started: datetime = fields.pop("started_at", NOON - timedelta(minutes=number))
    defaults: dict[str, Any] = {
        "workspace": "default",
        "remote_id": f"remote{number:011d}",
        "type": "CSV",
        "importer_key": "csv",
        "status": "importer_importing_users",
        "state": "importing",
        "valid": True,
        "started_at": started,
        "first_seen_at": started,
        "last_seen_at": started,
        "last_progress_at": started,
    }
    if fields.get("end_reason"):
        defaults["finished_at"] = started + timedelta(minutes=1)
    row = ImportOperation(**defaults | fields)
    row.outcome = row.end_outcome()
    return row


def save_rows(count: int, **fields: Any) -> list[ImportOperation]:
    """Save rows of all end reasons, in turn."""
    ends = ["", *EndReason.values]
    return ImportOperation.objects.bulk_create(
        make_row(number, end_reason=ends[number % len(ends)], **fields) for number in range(count)
    )
