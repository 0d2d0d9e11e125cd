"""No parameter of a list, an export or an action ends in an error page or keeps a worker busy."""

from urllib.parse import urlencode

import pytest
from django.test import Client
from django.urls import reverse

from importmonitor.admin.operations import MAX_NOTE_LENGTH
from importmonitor.models import ImportOperation
from tests.admin.helpers import make_row

pytestmark = pytest.mark.django_db

PAGE = "admin:importmonitor_"
MODELS = ("importoperation", "workspace", "alert", "apitoken", "incident")
LISTS = [f"{PAGE}{model}_changelist" for model in MODELS]
LOOK_UPS = [
    "file__regex",
    "workspace__iregex",
    "note__contains",
    "workspace__regex",
    "user__password__startswith",
    "operation__note__icontains",
    "body__contains",
    "started_at__year",
    "started_at__regex",
    "pk__in",
]
VALUES = [
    "\0",
    "x" * 5000,
    " ".join(map(str, range(1000))),
    "0001-01-01 00:00:00+14:00",
    "9999-12-31 23:59:59-14:00",
    "99999999999",
    "-1",
    "1e999",
    "%00",
    "\ud83d\ude00",
]
PARAMETERS = [
    *("q", "p", "o", "e", "all", "_popup", "_facets", "outcome", "workspace", "state", "importer"),
    *("started_by", "errors", "started_at__gte", "started_at__lt", "started_at__isnull"),
    *("sync_status", "event", "delivery", "status", "kind", "operation__id", "\0"),
]


@pytest.mark.thorough(one_in=4)
@pytest.mark.parametrize("name", LISTS)
def test_only_the_lists_own_filters_are_look_ups(root: Client, name: str) -> None:
    url = reverse(name)
    for look_up in LOOK_UPS:
        response = root.get(url, {look_up: "(a+)+$"})
        assert response.status_code in (302, 400), look_up
    assert root.get(url).status_code == 200


def test_export_accepts_no_other_look_ups(root: Client) -> None:
    url = reverse(f"{PAGE}importoperation_export", args=["csv"])
    for look_up in LOOK_UPS:
        assert root.get(url, {look_up: "(a+)+$"}).status_code == 400


@pytest.mark.long
@pytest.mark.parametrize("name", LISTS)
def test_hostile_values_end_in_a_list(root: Client, name: str) -> None:
    make_row().save()
    url = reverse(name)
    for number, parameter in enumerate(PARAMETERS):
        # Each value somewhere, each parameter with some.
        for value in VALUES[number % 3 :: 3]:
            query = urlencode({parameter: value}, errors="surrogatepass")
            response = root.get(f"{url}?{query}")
            assert response.status_code in (200, 302, 400), (parameter, value)


@pytest.mark.long
def test_hostile_values_end_in_an_export(root: Client) -> None:
    url = reverse(f"{PAGE}importoperation_export", args=["json"])
    for parameter in PARAMETERS:
        for value in VALUES:
            query = urlencode({parameter: value}, errors="surrogatepass")
            response = root.get(f"{url}?{query}")
            # To its end: a user has one export at a time.
            list(response)
            assert response.status_code in (200, 400), (parameter, value)


def test_search_of_a_thousand_words_finds_by_the_first(root: Client) -> None:
    make_row(file="people.csv").save()
    url = reverse(LISTS[0])
    response = root.get(url, {"q": " ".join(["people"] * 1000)})
    assert "people.csv" in response.content.decode()


@pytest.mark.thorough(one_in=4)
@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize("key", ["x", "1" + "0" * 30, "-1", "\0", "1 OR 1=1"])
def test_action_on_impossible_rows_is_a_message(root: Client, name: str, key: str) -> None:
    for action in ("retry_delivery", "delete_selected", "revoke"):
        data = {"action": action, "_selected_action": [key], "select_across": "0"}
        response = root.post(reverse(name), data, follow=True)
        assert response.status_code in (200, 403)


def test_long_note_is_refused_and_nothing_is_lost(root: Client) -> None:
    operation = make_row()
    operation.save()
    ImportOperation.objects.filter(pk=operation.pk).update(note="x" * 2 * MAX_NOTE_LENGTH)
    url = reverse(f"{PAGE}importoperation_change", args=[operation.pk])
    assert root.get(url).status_code == 200
    response = root.post(url, {"note": "y" * (MAX_NOTE_LENGTH + 1)})
    assert response.status_code == 200
    assert "10000" in response.content.decode()
    operation.refresh_from_db()
    assert operation.note == "x" * 2 * MAX_NOTE_LENGTH
    assert root.post(url, {"note": "y" * MAX_NOTE_LENGTH}).status_code == 302
