"""The catalogues are complete, sound and up to date, and pages and messages are told in them."""

import gettext
import re
from collections import Counter
from collections.abc import Iterator
from datetime import date, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest
import time_machine
from django.contrib import admin
from django.test import Client
from django.urls import reverse
from django.utils import translation
from django.utils.translation import to_language

from importmonitor.alerts import messages
from importmonitor.charts.scales import short_date
from importmonitor.charts.weeks import Week, format_week
from importmonitor.choices import Event
from importmonitor.models import Alert, ApiToken, EndReason, SyncPeriod
from tests.admin.helpers import Page, change_url, make_row, page, save_rows
from tests.api.helpers import NOON, make_user
from tests.catalogues import catalogue, marked, path

if TYPE_CHECKING:
    from django.test.client import _MonkeyPatchedWSGIResponse as Response

LOCALES = ("de", "pt_BR")
pytestmark = pytest.mark.usefixtures("_an_hour_later")

#: What a translation takes over as it is.
KEPT = re.compile(r"%\(\w+\)[sd]|%%|\{\w*\}|</?\w+[^>]*>|`[^`]+`|\w+_\w+")
PLACEHOLDER = re.compile(r"%\(\w+\)[sd]|\{\w*\}")


@pytest.fixture
def _an_hour_later() -> Iterator[None]:
    with time_machine.travel(NOON + timedelta(hours=1), tick=False):
        yield


@pytest.mark.parametrize("locale", LOCALES)
def test_every_text_is_translated(locale: str) -> None:
    for entry in catalogue(locale):
        assert len(entry.told) == (2 if entry.text.many else 1), entry
        assert all(told.strip() == told != "" for told in entry.told), entry
        assert not entry.is_fuzzy, entry


@pytest.mark.parametrize("locale", LOCALES)
def test_it_holds_what_is_marked_and_nothing_else(locale: str) -> None:
    """Where this fails, `.ci/translations` brings the catalogues up to date.

    A text that it does not find either stands inside of an f-string, where gettext does not look.
    """
    found = Counter(entry.text for entry in catalogue(locale))
    assert max(found.values()) == 1
    assert found.keys() == set(marked())


@pytest.mark.parametrize("locale", LOCALES)
def test_what_is_filled_in_and_markup_stay(locale: str) -> None:
    for entry in catalogue(locale):
        for source, told in zip(filter(None, entry.text[:2]), entry.told, strict=True):
            assert sorted(KEPT.findall(told)) == sorted(KEPT.findall(source)), told
            # They stand in attributes too, and nothing escapes them.
            assert '"' not in told
            assert told.count("<") == source.count("<")
            # What closes a sentence does so in every language.
            assert not source.endswith(".") or told.endswith("."), told


@pytest.mark.parametrize("locale", LOCALES)
def test_it_is_compiled(locale: str) -> None:
    """What is installed is the compiled catalogue: nobody who installs this needs gettext."""
    with path(locale, "mo").open("rb") as file:
        compiled = dict(vars(gettext.GNUTranslations(file))["_catalog"])
    header = compiled.pop("")
    assert f"Language: {locale}\n" in header
    assert "charset=UTF-8" in header
    expected: dict[Any, str] = {}
    for (one, many, context), told, _ in catalogue(locale):
        key = f"{context}\4{one}" if context else one
        expected |= (
            {(key, form): each for form, each in enumerate(told)} if many else {key: told[0]}
        )
    assert compiled == expected


@pytest.mark.parametrize(
    ("language", "forms"),
    [
        ("de", ["0 Abfragen", "1 Abfrage", "2 Abfragen"]),
        ("pt-br", ["0 consulta", "1 consulta", "2 consultas"]),
    ],
)
def test_plurals(language: str, forms: list[str]) -> None:
    with translation.override(language):
        told = [translation.ngettext("%(count)s poll", "%(count)s polls", n) for n in range(3)]
    assert [each % {"count": n} for n, each in enumerate(told)] == forms


@pytest.mark.parametrize(
    ("language", "day", "week"),
    [("de", "12. Okt", "12.–18. Okt"), ("pt-br", "12 Out", "12–18 Out")],
)
def test_dates(language: str, day: str, week: str) -> None:
    monday = date(2026, 10, 12)
    with translation.override(language):
        assert short_date(monday) == day
        assert format_week(Week(monday, {})) == week


@cache
def unmistakable(locale: str) -> dict[str, str]:
    """Return what stands nowhere but where it is meant, with its translation."""
    texts = [(entry.text.one, entry.told[0]) for entry in catalogue(locale) if not entry.text.many]
    return {
        one: told
        for one, told in texts
        if len(PLACEHOLDER.sub("", one)) >= 14
        and not any(_is_in(one, other) for other, _told in texts if other != one)
    }


def compare(english: str, translated: str, locale: str) -> int:
    """Check that what is told in English is translated; return how many texts that are."""
    found = {one: told for one, told in unmistakable(locale).items() if _is_in(one, english)}
    for one, told in found.items():
        assert _is_in(told, translated), told
        assert one == told or not _is_in(one, translated), one
    return len(found)


def _is_in(text: str, words: str) -> bool:
    return _pattern(text).search(words) is not None


@cache
def _pattern(text: str) -> re.Pattern[str]:
    # The admin gives a capital letter to what begins something.
    texts = (text, text[:1].swapcase() + text[1:])
    patterns = (".+?".join(map(re.escape, PLACEHOLDER.split(each))) for each in texts)
    return re.compile(rf"(?<!\w)(?:{'|'.join(patterns)})(?!\w)")


def shown(client: Client, url: str, language: str) -> Page:
    """Open a page as a browser does that asks for a language."""
    answer: Response = client.get(url, headers={"Accept-Language": language})
    assert f'<html lang="{language}"' in answer.content.decode()
    return page(answer)


@pytest.fixture
def everything(db: None) -> list[str]:
    """Return the paths of all pages, with something of every kind to show."""
    operations = save_rows(14, state="done", count_total=10, count_completed=5, count_error=0)
    stalled = make_row(99, remote_id="stalled", state="importing", stalled_since=NOON)
    stalled.save()
    period = SyncPeriod.objects.start("default", "Unreachable", at=NOON, message="no answer")
    known = {"workspace": "default", "channel": "ops", "body": {}, "created_at": NOON}
    alert = Alert.objects.create(event=Event.FAILED, key="key", **known)
    token, _ = ApiToken.objects.issue(make_user("tool"), name="Grafana")
    short, interrupted = (operations[number] for number in (1, 3))
    paths = [change_url(short), change_url(interrupted)]
    for row in (period, alert, token, stalled):
        # A host's site may leave any of them out.
        if admin.site.is_registered(type(row)):
            name = f"admin:importmonitor_{type(row).__name__.lower()}"
            paths += [reverse(f"{name}_changelist"), reverse(f"{name}_change", args=[row.pk])]
            if isinstance(row, ApiToken):
                paths += [reverse(f"{name}_add"), reverse(f"{name}_delete", args=[row.pk])]
    return [*paths, reverse("admin:index")]


@pytest.fixture
def root(db: None) -> Client:
    client = Client()
    client.force_login(make_user("root", is_staff=True, is_superuser=True))
    return client


@pytest.mark.parametrize("locale", LOCALES)
def test_every_page_answers_in_it(root: Client, everything: list[str], locale: str) -> None:
    for url in everything:
        english, found = (shown(root, url, each) for each in ("en", to_language(locale)))
        assert compare(english.words, found.words, locale) >= 2, url
        compare(english.spoken, found.spoken, locale)
        # Translations change nothing but words.
        assert (sorted(found.links), found.fields) == (sorted(english.links), english.fields)


@pytest.mark.parametrize("locale", LOCALES)
def test_a_history_without_anything_says_so_in_it(root: Client, locale: str) -> None:
    url = reverse("admin:importmonitor_importoperation_changelist")
    english, found = (shown(root, url, each) for each in ("en", to_language(locale)))
    assert compare(english.words, found.words, locale) >= 5
    assert compare(english.spoken, found.spoken, locale) >= 1


def body(event: str) -> dict[str, Any]:
    """Return what is stored of an event to tell."""
    if event == "test":
        return messages.draft_test_alert("default", at=NOON, key="key").body
    if event.startswith("workspace."):
        told = {"outcome": "Unreachable", "message": "no answer"}
        return messages.draft_workspace_alert(
            Event(event), "default", at=NOON, since=NOON, **told
        ).body
    ends = {Event.FINISHED: EndReason.DONE, Event.FAILED: EndReason.FAILED}
    end = (ends | {Event.INTERRUPTED: EndReason.INTERRUPTED}).get(Event(event), "")
    counted: dict[str, Any] = {
        "count_total": 100,
        "count_completed": 40,
        "count_error": 3,
        "rate": 0.5,
    }
    operation = make_row(pk=1, end_reason=end, state="done" if end else "importing", **counted)
    return messages.draft_operation_alert(
        Event(event),
        operation,
        at=NOON + timedelta(hours=1),
        key="key",
        states=(None, operation.state),
        log_from=NOON,
        step=operation.status,
        transition_pk=None,
    ).body


@pytest.mark.django_db
@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("event", [*Event, "test"])
def test_every_message_is_told_in_it(event: str, locale: str) -> None:
    stored = body(event)
    with translation.override("en"):
        english = messages.render_message(stored)
    with translation.override(to_language(locale)):
        found = messages.render_message(stored)
    assert found.title.startswith("default: ")
    assert found.title != english.title
    assert compare(f"{english.title}\n{english.text}", f"{found.title}\n{found.text}", locale) >= 1
    # Programs read the same, whatever people read.
    assert found.body == english.body
    labels = {entry.text.one: entry.told[0] for entry in catalogue(locale)}
    for line, told in zip(english.text.splitlines(), found.text.splitlines(), strict=True):
        label, colon, _fact = line.partition(": ")
        if colon and label in labels:
            assert told.startswith(f"{labels[label]}: ")
        else:
            assert line in ("", stored["sync"] and stored["sync"]["message"]) or line != told
