"""The HTML of messages: it says what the text says, and remote text stays text in it."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from html.parser import HTMLParser
from typing import Any

import pytest
from django.utils import translation

from importmonitor.alerts.contents import Content, compose
from importmonitor.alerts.drafts import draft_test_alert, draft_workspace_alert
from importmonitor.alerts.groups import render_group
from importmonitor.alerts.links import Link
from importmonitor.alerts.messages import Message, build_message, render_message
from importmonitor.choices import Event
from importmonitor.models import Outcome, Workspace
from tests.alerts.helpers import BASE_URL
from tests.alerts.test_messages import OPERATION_EVENTS, RUNNING, render, row
from tests.api.helpers import NOON
from tests.malformed_documents import BACKWARDS, SCRIPT

LANGUAGES = ("en", "de", "pt-br")
_VOID = {"meta", "br"}


@pytest.fixture(autouse=True)
def _base_url(settings: Any) -> None:
    settings.IMPORTMONITOR = settings.IMPORTMONITOR | {"BASE_URL": BASE_URL}


class Mail(HTMLParser):
    """An HTML body: its text, its elements in order, and the values of their attributes."""

    def __init__(self, message: Message) -> None:
        super().__init__()
        self.text = ""
        self.elements: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self._open: list[str] = []
        self.feed(message.html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in _VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self._open:
            self.text += data

    def values(self, name: str) -> list[str]:
        return [value for attribute, value in self.attributes if attribute == name]


def bodies() -> Iterator[dict[str, Any]]:
    """Yield the stored body of each event, with each outcome."""
    yield draft_test_alert("default", at=NOON, key="key").body
    for event in (Event.UNREACHABLE, Event.RECOVERED):
        for flapping in (False, True):
            yield draft_workspace_alert(
                event,
                Workspace(alias="default"),
                at=NOON,
                since=NOON,
                outcome="Unreachable",
                message="no answer",
                flapping=flapping,
            ).body
    count = {"total": 100, "completed": 40, "error": 3, "users": 40}
    for event in OPERATION_EVENTS:
        body = render(event, row(RUNNING | {"count": count})).body
        for outcome in (None, *Outcome.values):
            yield body | {"operation": {**body["operation"], "outcome": outcome}}


def outage(workspace: str, message: str) -> dict[str, Any]:
    """Return the body of an alert about a workspace that has just become unreachable."""
    return draft_workspace_alert(
        Event.UNREACHABLE,
        Workspace(alias=workspace),
        at=NOON,
        since=NOON,
        outcome="Unreachable",
        message=message,
    ).body


@pytest.mark.parametrize("language", LANGUAGES)
def test_html_of_every_event_and_outcome_says_what_the_text_says(language: str) -> None:
    with translation.override(language):
        for body in bodies():
            content, message = compose(body), render_message(json.loads(json.dumps(body)))
            mail = Mail(message)
            words = [fact.value for fact in content.facts if not fact.is_headline]
            words += [content.name, content.workspace, content.label, content.progress]
            for text in [*words, *content.paragraphs, *(link.label for link in content.links)]:
                assert text in mail.text
            for text in (*words[:-4], *content.paragraphs, content.progress):
                assert text in message.text
            assert mail.values("lang") == [language] * 2
            assert mail.values("dir")[0] == "ltr"
            assert mail.values("href") == [message.body["url"]]
            assert not {"img", "script", "link", "iframe", "form"} & {*mail.elements}


def test_bar_is_as_long_as_the_import_is_complete() -> None:
    for completed, bars in ((0, []), (61, ["61%"]), (99, ["99%"])):
        document = RUNNING | {"count": {"total": 100, "completed": completed}}
        widths = Mail(render(Event.RESUMED, row(document))).values("width")
        assert [width for width in widths if width not in ("100%", "36%", "600")] == bars
    assert f"{completed} of 100" in render(Event.RESUMED, row(document)).html


def test_html_has_the_direction_of_the_language() -> None:
    with translation.override("he"):
        assert Mail(render(Event.STARTED, row(RUNNING))).values("dir")[:2] == ["rtl", "rtl"]


@pytest.mark.parametrize("autoescape", [True, False])
def test_remote_text_is_text_in_html(settings: Any, autoescape: bool) -> None:
    """Even where a host has turned Django's escaping off."""
    settings.TEMPLATES = [
        {**engine, "OPTIONS": {**engine.get("OPTIONS", {}), "autoescape": autoescape}}
        for engine in settings.TEMPLATES
    ]
    plain = Mail(render(Event.FAILED, row(RUNNING))).elements
    hostile = f"{SCRIPT}\"' onload=x {{{{ 7|add:7 }}}} {BACKWARDS}</td></table>"
    document = dict.fromkeys(("type", "file", "importerKey", "status", "user"), hostile)
    message = render(Event.FAILED, row(RUNNING | document))
    mail = Mail(message)
    assert {*mail.elements} == {*plain}
    assert SCRIPT in mail.text
    assert "{{ 7|add:7 }}" in mail.text
    assert "\N{RIGHT-TO-LEFT OVERRIDE}" not in message.html
    assert not any("onload" in name for name, _value in mail.attributes)


def test_remote_text_of_a_response_is_text_in_html() -> None:
    message = render_message(outage("default", SCRIPT))
    assert "script" not in Mail(message).elements
    assert SCRIPT in Mail(render_group([message, message])).text
    assert "script" not in Mail(render_group([message, message])).elements


def test_first_line_and_further_links_are_in_text_and_html() -> None:
    content = Content(
        "title",
        "name",
        "warn",
        intro="Still stalled, since yesterday.",
        paragraphs=["What to do."],
        links=[
            Link("Open", f"{BASE_URL}/1", is_page=True),
            Link("Server log", "https://logs.example/?a=1&b=2"),
        ],
    )
    message = build_message(content, {})
    assert message.text.splitlines() == [
        "Still stalled, since yesterday.",
        "",
        "What to do.",
        "",
        f"{BASE_URL}/1",
        "Server log: https://logs.example/?a=1&b=2",
    ]
    assert list(message.links) == [f"{BASE_URL}/1", "https://logs.example/?a=1&b=2"]
    assert Mail(message).values("href") == message.links
    positions = [message.html.index(text) for text in ("Still stalled", "What to do", "Server log")]
    assert positions == sorted(positions)
    without = build_message(replace(content, links=[]), {})
    assert without.text.endswith("What to do.")


@pytest.mark.parametrize("event", [Event.STALLED, Event.UNREACHABLE])
def test_reminder_says_first_since_when(event: Event) -> None:
    incident = {
        "since": (NOON - timedelta(hours=27)).isoformat(),
        "until": None,
        "id": 5,
        "reminder": 1,
    }
    if event == Event.UNREACHABLE:
        body = outage("acme", "no answer")
    else:
        body = render(event, row(RUNNING)).body
    line = "Still open, since 2026-03-24 09:00:00 UTC (1 d 3 h)."
    message = render_message(body | {"incident": incident})
    assert message.text.splitlines()[0] == line
    assert line in Mail(message).text
    first = render_message(body | {"incident": incident | {"reminder": 0}})
    assert "Still open" not in first.text + first.html


def test_recovery_says_how_long_it_was_and_what_imports_did() -> None:
    progress = {"type": "Slack", "file": "acme.zip", "from_percent": 61, "to_percent": 100}
    draft = draft_workspace_alert(
        Event.RECOVERED,
        Workspace(alias="acme"),
        at=NOON,
        since=NOON - timedelta(hours=6, minutes=51),
        outcome="ok",
        message="",
        progress=[progress],
    )
    message = render_message(draft.body)
    assert message.text.startswith("Reachable again after 6 h 51 min.\n")
    assert "Slack, acme.zip went from 61 % to 100 % meanwhile." in message.text
    assert "(6 h 51 min)" in render_group([message, message]).text


def test_same_event_of_several_workspaces_is_named_in_the_title() -> None:
    bodies = [render(Event.FAILED, row(RUNNING, workspace=name)).body for name in ("a", "b", "c")]
    group = render_group([render_message(body) for body in bodies])
    assert group.title == "Import failed: 3 imports"


@pytest.mark.parametrize(("event", "is_linked"), [(Event.FAILED, True), (Event.STARTED, False)])
def test_server_log_is_linked_where_it_has_the_reason(event: Event, is_linked: bool) -> None:
    body = render(event, row(RUNNING | {"status": "importer_import_failed"})).body
    body["operation"]["outcome"] = "failed" if is_linked else None
    body["server_log"]["log_url"] = "https://logs.example.org/?from=1&to=2"
    message = render_message(body)
    assert message.text.endswith("\nServer log: https://logs.example.org/?from=1&to=2") == is_linked
    assert (body["server_log"]["log_url"] in Mail(message).values("href")) == is_linked


@pytest.mark.parametrize(
    ("event", "severity", "outcome", "tone"),
    [
        (Event.FINISHED, None, "done", "good"),
        (Event.FINISHED, None, "done_with_errors", "warn"),
        (Event.FINISHED, "critical", "done_with_errors", "bad"),
        (Event.FINISHED, None, "canceled", "quiet"),
        (Event.FAILED, None, "failed", "bad"),
        (Event.STALLED, None, None, "warn"),
        (Event.STALLED, "critical", None, "bad"),
        (Event.STARTED, None, None, "busy"),
        (Event.RESUMED, "warning", None, "busy"),
    ],
)
def test_tone_follows_severity_and_outcome(
    event: Event, severity: str | None, outcome: str | None, tone: str
) -> None:
    body = render(event, row(RUNNING)).body
    body["operation"]["outcome"] = outcome
    # An alert of an earlier release has no severity.
    assert compose(body | {"severity": severity}).tone == tone


def test_group_lists_its_alerts_with_links_and_counts_the_rest() -> None:
    message = render(Event.FAILED, row(RUNNING | {"count": {}}))
    group = render_group([message] * 100)
    mail = Mail(group)
    page = message.body["url"]
    assert mail.values("href") == [page] * 60 + [f"{BASE_URL}/admin/importmonitor/importoperation/"]
    assert "and 40 more alerts" in mail.text
    # Gmail shows 102 KB.
    assert len(group.html.encode()) < 100_000
    assert group.text.count(message.title) == 100


def test_group_has_the_worst_severity() -> None:
    messages = [render(event, row(RUNNING)) for event in (Event.STARTED, Event.FAILED)]
    assert render_group(messages).body["severity"] == "critical"
    assert render_group(messages[:1]).body["severity"] == "info"


def test_group_of_an_outage_names_each_workspace_once() -> None:
    bodies = [outage("acme", "acme: no answer"), outage("globex", "globex: no answer")]
    group = render_group([render_message(body) for body in bodies])
    assert group.text.split("\n\n")[0].splitlines() == [
        "acme: since 2026-03-25 12:00:00 UTC. no answer",
        "globex: since 2026-03-25 12:00:00 UTC. no answer",
    ]
    assert "acme" in Mail(group).text


def test_message_has_no_html_without_djangos_templates(settings: Any) -> None:
    settings.TEMPLATES = []
    message = render_message(draft_test_alert("default", at=NOON, key="key").body)
    assert message.text.startswith("If you can read this")
    assert message.html == ""


def test_message_has_no_html_if_a_hosts_template_raises(
    settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """The alert is delivered nevertheless."""
    templates = {"importmonitor/mail/message.html": "{% include content %}"}
    loader = ("django.template.loaders.locmem.Loader", templates)
    engine = "django.template.backends.django.DjangoTemplates"
    settings.TEMPLATES = [{"BACKEND": engine, "OPTIONS": {"loaders": [loader]}}]
    message = render(Event.FAILED, row(RUNNING))
    assert "Import: CSV" in message.text
    assert message.html == ""
    assert caplog.messages == [f"{message.title} has no HTML"]
