"""Links into a log viewer: what is put in place of the placeholders."""

import re
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from importmonitor import conf
from importmonitor.conf.workspaces import WorkspaceLinks
from importmonitor.rocketchat import log_url

DOCS = Path(__file__).parent.parent.parent / "docs" / "settings.md"
START = datetime(2026, 11, 28, 13, 36, 10, 700_000, tzinfo=UTC)
END = datetime(2026, 11, 28, 14, 57, 10, 1, tzinfo=timezone(timedelta(hours=1)))


def test_values_are_whole_seconds_in_utc_and_percent_encoded() -> None:
    template = "https://logs.example.org/{id}?a={from}&b={to}&c={from_ms}&d={to_ms}#{id}"
    url = log_url.fill(template, START, END, "a/b&{to}#é")
    assert url.startswith("https://logs.example.org/a%2Fb%26%7Bto%7D%23%C3%A9?a=2026-11-28T13%3A36")
    assert parse_qs(urlsplit(url).query) == {
        "a": ["2026-11-28T13:36:10.000Z"],
        "b": ["2026-11-28T13:57:11.000Z"],
        "c": ["1795872970000"],
        "d": ["1795874231000"],
    }


@pytest.mark.parametrize("end", [START, START - timedelta(hours=1)])
def test_span_is_never_empty(end: datetime) -> None:
    first, last = log_url.whole_seconds(START, end)
    assert (first.microsecond, last - first) == (0, timedelta(seconds=1))


def test_documented_urls_are_valid() -> None:
    urls = re.findall(r"^ROCKETCHAT_LOG_URL='(.+)'$", DOCS.read_text(), re.MULTILINE)
    assert [log_url.find_problem(url) for url in urls] == ["", "", ""]
    kibana, grafana = (log_url.fill(url, START, END, "x") for url in urls[1:])
    assert "time:(from:'2026-11-28T13:36:10.000Z',to:'2026-11-28T13:57:11.000Z')" in unquote(kibana)
    assert '"range":{"from":"1795872970000","to":"1795874231000"}' in unquote(grafana)


def test_links_need_no_credentials_and_leave_out_what_is_invalid(settings: Any) -> None:
    url, template = "https://chat.example.org/", "https://logs.example.org/{id}"
    settings.IMPORTMONITOR = {
        "WORKSPACES": {
            "both": {"URL": url, "LOG_URL": template},
            "none": {"URL": "javascript:alert(1)", "LOG_URL": "javascript:alert({id})"},
            "odd": [],
        }
    }
    links = conf.get_links("both")
    assert links.import_page == "https://chat.example.org/admin/import"
    assert links.log_link(START, END, "x y") == "https://logs.example.org/x%20y"
    for alias in ("none", "odd", "unknown"):
        links = conf.get_links(alias)
        assert links == WorkspaceLinks()
        assert (links.import_page, links.log_link(START, END, "x")) == ("", "")
