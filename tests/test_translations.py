"""The catalogues are complete and up to date, and pages and alerts use them."""

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

from importmonitor.alerts import drafts, messages
from importmonitor.charts.scales import short_date
from importmonitor.charts.weeks import Week, format_week
from importmonitor.choices import Event
from importmonitor.models import Alert, ApiToken, EndReason, Workspace
from tests.admin.helpers import Page, change_url, make_row, page, save_rows
from tests.api.helpers import NOON, make_user
from tests.catalogues import catalogue, catalogue_path, marked_texts

if TYPE_CHECKING:
    from django.test.client import _MonkeyPatchedWSGIResponse as Response

LOCALES = ("de", "pt_BR")
pytestmark = pytest.mark.usefixtures("_frozen_time")

#: Placeholders, markup and identifiers, which a translation repeats.
VERBATIM = re.compile(r"%\(\w+\)[sd]|%%|\{\w*\}|</?\w+[^>]*>|`[^`]+`|\w+_\w+")
PLACEHOLDER = re.compile(r"%\(\w+\)[sd]|\{\w*\}")


@pytest.fixture
def _frozen_time() -> Iterator[None]:
    with time_machine.travel(NOON + timedelta(hours=1), tick=False):
        yield


@pytest.mark.parametrize("locale", LOCALES)
def test_every_text_is_translated(locale: str) -> None:
    for entry in catalogue(locale):
        assert len(entry.translations) == (2 if entry.text.many else 1), entry
        assert all(text.strip() == text != "" for text in entry.translations), entry
        assert not entry.is_fuzzy, entry


@pytest.mark.parametrize("locale", LOCALES)
def test_catalogue_contains_the_marked_texts_once(locale: str) -> None:
    """If this fails, `.ci/translations` updates the catalogues.

    If a text is missing even then, it is in an f-string, where gettext does not find it.
    """
    texts = Counter(entry.text for entry in catalogue(locale))
    assert max(texts.values()) == 1
    assert texts.keys() == marked_texts()


@pytest.mark.parametrize("locale", LOCALES)
def test_translations_repeat_placeholders_markup_and_full_stops(locale: str) -> None:
    for entry in catalogue(locale):
        sources = filter(None, entry.text[:2])
        for source, translated in zip(sources, entry.translations, strict=True):
            assert sorted(VERBATIM.findall(translated)) == sorted(VERBATIM.findall(source)), source
            # Templates use texts in attributes too, unescaped.
            assert '"' not in translated
            assert translated.count("<") == source.count("<")
            assert not source.endswith(".") or translated.endswith("."), translated


@pytest.mark.parametrize("locale", LOCALES)
def test_compiled_catalogue_is_up_to_date(locale: str) -> None:
    with catalogue_path(locale, "mo").open("rb") as file:
        compiled = dict(vars(gettext.GNUTranslations(file))["_catalog"])
    header = compiled.pop("")
    assert f"Language: {locale}\n" in header
    assert "charset=UTF-8" in header
    expected: dict[Any, str] = {}
    for (one, many, context), translations, _ in catalogue(locale):
        key = f"{context}\4{one}" if context else one
        if many:
            expected |= {(key, form): text for form, text in enumerate(translations)}
        else:
            expected[key] = translations[0]
    assert compiled == expected


@pytest.mark.parametrize(
    ("language", "forms"),
    [
        ("de", ["0 Abfragen", "1 Abfrage", "2 Abfragen"]),
        ("pt-br", ["0 consulta", "1 consulta", "2 consultas"]),
    ],
)
def test_zero_is_plural_in_german_and_singular_in_portuguese(
    language: str, forms: list[str]
) -> None:
    with translation.override(language):
        texts = [translation.ngettext("%(count)s poll", "%(count)s polls", n) for n in range(3)]
    assert [text % {"count": n} for n, text in enumerate(texts)] == forms


@pytest.mark.parametrize(
    ("language", "day", "week"),
    [("de", "12. Okt", "12.–18. Okt"), ("pt-br", "12 Out", "12–18 Out")],
)
def test_dates_follow_the_language(language: str, day: str, week: str) -> None:
    monday = date(2026, 10, 12)
    with translation.override(language):
        assert short_date(monday) == day
        assert format_week(Week(monday, {})) == week


@cache
def unambiguous_texts(locale: str) -> dict[str, str]:
    """Return the texts that are long and part of no other, with their translations."""
    texts = {
        entry.text.one: entry.translations[0] for entry in catalogue(locale) if not entry.text.many
    }
    return {
        text: translated
        for text, translated in texts.items()
        if len(PLACEHOLDER.sub("", text)) >= 14
        and not any(_contains(other, text) for other in texts if other != text)
    }


def compare(english: str, translated: str, locale: str) -> int:
    """Assert that the texts of an English page are translated; return their number."""
    count = 0
    for text, translated_text in unambiguous_texts(locale).items():
        if _contains(english, text):
            count += 1
            assert _contains(translated, translated_text), translated_text
            assert text == translated_text or not _contains(translated, text), text
    return count


def _contains(page_text: str, text: str) -> bool:
    # Most texts are not there, which this finds out much faster than the pattern does.
    return _longest_part(text) in page_text.lower() and bool(_pattern(text).search(page_text))


@cache
def _longest_part(text: str) -> str:
    return max(PLACEHOLDER.split(text), key=len).lower()


@cache
def _pattern(text: str) -> re.Pattern[str]:
    # The admin capitalizes some texts.
    variants = (text, text[:1].swapcase() + text[1:])
    patterns = (".+?".join(map(re.escape, PLACEHOLDER.split(variant))) for variant in variants)
    return re.compile(rf"(?<!\w)(?:{'|'.join(patterns)})(?!\w)")


def get_page(client: Client, url: str, language: str) -> Page:
    """Request a page in a language."""
    response: Response = client.get(url, headers={"Accept-Language": language})
    assert f'<html lang="{language}"' in response.content.decode()
    return page(response)


@pytest.fixture
def page_urls(db: None) -> list[str]:
    """Return the URLs of all admin pages, with a row of every model to show."""
    operations = save_rows(14, state="done", count_total=10, count_completed=5, count_error=0)
    stalled = make_row(99, remote_id="stalled", state="importing", stalled_since=NOON)
    stalled.save()
    workspace = Workspace(alias="default", last_polled_at=NOON, clock_offset=timedelta(hours=1))
    workspace.start_period("Unreachable", NOON, "no answer")
    workspace.sync_status, workspace.list_refused = "Unreachable", "no answer"
    workspace.save()
    alert = Alert.objects.create(
        workspace="default",
        channel="ops",
        event=Event.FAILED,
        key="key",
        body={},
        created_at=NOON,
    )
    token, _ = ApiToken.objects.issue(make_user("tool"), name="Grafana")
    incomplete, interrupted = (operations[number] for number in (1, 3))
    urls = [change_url(incomplete), change_url(interrupted)]
    for row in (workspace, alert, token, stalled):
        # A host can unregister any of them.
        if admin.site.is_registered(type(row)):
            name = f"admin:importmonitor_{type(row).__name__.lower()}"
            urls += [reverse(f"{name}_changelist"), reverse(f"{name}_change", args=[row.pk])]
            if isinstance(row, ApiToken):
                urls += [reverse(f"{name}_add"), reverse(f"{name}_delete", args=[row.pk])]
    return [*urls, reverse("admin:index")]


@pytest.fixture
def superuser_client(db: None) -> Client:
    client = Client()
    client.force_login(make_user("root", is_staff=True, is_superuser=True))
    return client


@pytest.mark.thorough(one_in=2)
@pytest.mark.parametrize("locale", LOCALES)
def test_every_page_is_translated(
    superuser_client: Client, page_urls: list[str], locale: str
) -> None:
    for url in page_urls:
        english = get_page(superuser_client, url, "en")
        translated = get_page(superuser_client, url, to_language(locale))
        assert compare(english.words, translated.words, locale) >= 2, url
        compare(english.spoken, translated.spoken, locale)
        # Links and form fields do not depend on the language.
        assert sorted(translated.links) == sorted(english.links)
        assert translated.fields == english.fields


@pytest.mark.parametrize("locale", LOCALES)
def test_empty_history_is_translated(superuser_client: Client, locale: str) -> None:
    url = reverse("admin:importmonitor_importoperation_changelist")
    english = get_page(superuser_client, url, "en")
    translated = get_page(superuser_client, url, to_language(locale))
    assert compare(english.words, translated.words, locale) >= 5
    assert compare(english.spoken, translated.spoken, locale) >= 1


def alert_body(event: str) -> dict[str, Any]:
    """Return the stored body of an alert about an event."""
    if event == "test":
        return drafts.draft_test_alert("default", at=NOON, key="key").body
    if event.startswith("workspace."):
        return drafts.draft_workspace_alert(
            Event(event),
            Workspace(alias="default"),
            at=NOON,
            since=NOON,
            outcome="Unreachable",
            message="no answer",
        ).body
    ends = {Event.FINISHED: EndReason.DONE, Event.FAILED: EndReason.FAILED}
    end = (ends | {Event.INTERRUPTED: EndReason.INTERRUPTED}).get(Event(event), "")
    operation = make_row(
        pk=1,
        end_reason=end,
        state="done" if end else "importing",
        count_total=100,
        count_completed=40,
        count_error=3,
        rate=0.5,
    )
    return drafts.draft_operation_alert(
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
def test_every_alert_is_translated(event: str, locale: str) -> None:
    body = alert_body(event)
    with translation.override("en"):
        english = messages.render_message(body)
    with translation.override(to_language(locale)):
        translated = messages.render_message(body)
    assert translated.title.startswith("default: ")
    assert translated.title != english.title
    english_text = f"{english.title}\n{english.text}"
    assert compare(english_text, f"{translated.title}\n{translated.text}", locale) >= 1
    # The JSON form does not depend on the language.
    assert translated.body == english.body
    labels = {entry.text.one: entry.translations[0] for entry in catalogue(locale)}
    lines = zip(english.text.splitlines(), translated.text.splitlines(), strict=True)
    for line, translated_line in lines:
        label, colon, _value = line.partition(": ")
        if colon and label in labels:
            assert translated_line.startswith(f"{labels[label]}: ")
        else:
            verbatim = ("", body["sync"] and body["sync"]["message"])
            assert line in verbatim or line != translated_line
