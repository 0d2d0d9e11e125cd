"""Pages in both directions, with new, deleted and simultaneous rows."""

import base64
import itertools
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from importmonitor.models import ImportOperation, ProgressSample, StatusTransition
from importmonitor.sync.register import register_configured
from tests.admin.helpers import make_row
from tests.api.helpers import NOON
from tests.api.rest.api_client import (
    OPERATIONS,
    WORKSPACES,
    ApiClient,
    detail_url,
    problem,
    samples_url,
    transitions_url,
)

SECOND = timedelta(seconds=1)
#: Times of rows, in seconds before noon: all different, all equal, and some equal.
TIMES = {
    "apart": list(range(11)),
    "alike": [0] * 11,
    "some alike": [0, 0, 0, 1, 2, 2, 3, 3, 3, 3, 3],
}
with_times = pytest.mark.parametrize("times", TIMES)
with_sizes = pytest.mark.parametrize("size", [1, 2, 3, 4, 10, 11, 12])


def make(count: int, at: Callable[[int], datetime], first: int = 0) -> list[int]:
    """Save as many operations with these times; return their keys, the newest first."""
    ImportOperation.objects.bulk_create(
        make_row(first + number, started_at=at(number)) for number in range(count)
    )
    return order()


def order() -> list[int]:
    rows = ImportOperation.objects.order_by("-started_at", "-pk")
    return list(rows.values_list("pk", flat=True))


def keys(body: dict[str, Any]) -> list[int]:
    return [row["id"] for row in body["results"]]


def walk(api: ApiClient, url: str | None, direction: str = "next") -> list[list[int]]:
    """Follow the links to the last page; return the keys of each page."""
    pages: list[list[int]] = []
    while url:
        assert len(pages) < 100, "the links are circular"
        body = api.body(url)
        pages.append(keys(body))
        url = body[direction]
    return pages


@pytest.mark.thorough(one_in=11)
@with_times
@with_sizes
@pytest.mark.parametrize("ordering", ["-started_at", "started_at"])
def test_links_lead_through_all_pages_in_both_directions(
    api: ApiClient, times: str, size: int, ordering: str
) -> None:
    all_keys = make(11, lambda number: NOON - TIMES[times][number] * SECOND)
    if ordering == "started_at":
        all_keys.reverse()
    pages = [all_keys[start : start + size] for start in range(0, 11, size)]
    first = f"{OPERATIONS}?page_size={size}&ordering={ordering}"
    assert walk(api, first) == pages
    assert api.body(first)["previous"] is None
    last: str = first
    while following := api.body(last)["next"]:
        last = following
    assert walk(api, last, "previous") == pages[::-1]


@pytest.mark.thorough(one_in=3)
@with_times
@pytest.mark.parametrize("size", [1, 2, 3])
def test_new_rows_neither_repeat_nor_skip_rows(api: ApiClient, times: str, size: int) -> None:
    """The way back includes the new rows."""
    old = make(11, lambda number: NOON - TIMES[times][number] * SECOND)
    url: str | None = f"{OPERATIONS}?page_size={size}"
    received: list[int] = []
    page = 0
    last = ""
    while url:
        last = url
        body = api.body(url)
        received += keys(body)
        url = body["next"]
        # With the time of the newest; of rows of the same time, later ones come first.
        make(2, lambda _number: NOON, first=100 + 2 * page)
        page += 1
    assert received == old
    back = list(itertools.chain.from_iterable(page[::-1] for page in walk(api, last, "previous")))
    assert back == order()[::-1]


def test_deleted_rows_neither_repeat_nor_skip_rows(api: ApiClient) -> None:
    all_keys = make(9, lambda number: NOON - number * SECOND)
    body = api.body(OPERATIONS, {"page_size": 3})
    ImportOperation.objects.filter(pk__in=all_keys[1:5]).delete()
    assert list(itertools.chain(*walk(api, body["next"]))) == all_keys[5:]


def test_page_after_deleted_rows_is_empty(api: ApiClient) -> None:
    make(4, lambda number: NOON - number * SECOND)
    body = api.body(OPERATIONS, {"page_size": 2})
    ImportOperation.objects.exclude(pk__in=keys(body)).delete()
    assert api.body(body["next"])["results"] == []
    assert api.body(body["next"])["next"] is None


def test_links_keep_filters_and_ordering(api: ApiClient) -> None:
    make(6, lambda number: NOON - number * SECOND)
    ImportOperation.objects.filter(pk__in=order()[::2]).update(workspace="acme")
    parameters = {"workspace": "acme", "ordering": "started_at", "page_size": "2"}
    body = api.body(OPERATIONS, parameters)
    query = parse_qs(urlsplit(body["next"]).query)
    assert query.pop("cursor")
    assert query == {name: [value] for name, value in parameters.items()}
    assert body["next"].startswith("http://testserver/api/import-operations/?")
    assert list(itertools.chain(keys(body), *walk(api, body["next"]))) == order()[::2][::-1]


@with_times
@pytest.mark.parametrize("address", [transitions_url, samples_url])
def test_links_lead_through_transitions_and_samples(
    api: ApiClient, times: str, address: Callable[[int], str]
) -> None:
    operation = make_row()
    operation.save()
    observed = [NOON + seconds * SECOND for seconds in TIMES[times]]
    StatusTransition.objects.bulk_create(
        StatusTransition(operation=operation, observed_at=at) for at in observed
    )
    # Distinguished by their counters: their bodies have no keys.
    ProgressSample.objects.bulk_create(
        ProgressSample(operation=operation, observed_at=at, completed=number)
        for number, at in enumerate(observed)
    )
    url: str | None = f"{address(operation.pk)}?page_size=3"
    pages, last = [], ""
    while url:
        last, body = url, api.body(url)
        pages.append(body["results"])
        url = body["next"]
    rows = [tuple(row.items()) for page in pages for row in page]
    assert [len(page) for page in pages] == [3, 3, 3, 2]
    assert len(set(rows)) == 11
    assert [dict(row)["observed_at"] for row in rows] == [
        at.isoformat()[:-6] + "Z" for at in observed
    ]
    back: str | None = last
    for page in reversed(pages):
        assert back is not None
        body = api.body(back)
        assert body["results"] == page
        back = body["previous"]
    assert back is None


@pytest.mark.parametrize(
    ("page_size", "expected"), [(None, 50), ("1", 1), ("500", 120), ("0100", 100)]
)
def test_page_size_limits_rows(api: ApiClient, page_size: str | None, expected: int) -> None:
    operation_ids = make(120, lambda number: NOON - number * SECOND)
    ProgressSample.objects.bulk_create(
        ProgressSample(operation_id=operation_ids[0], observed_at=NOON + number * SECOND)
        for number in range(120)
    )
    parameters = {} if page_size is None else {"page_size": page_size}
    for url in (OPERATIONS, samples_url(operation_ids[0])):
        assert len(api.rows(url, parameters)) == expected


FORGED_CURSORS = [
    *("x", "!!!!", "\0", "0", "null", "%", "é", "AAAA", "=", "==", " ", "cD0=", "cj0x", "bz0x"),
    "cD0yMDI2LTAzLTI1",  # p=2026-03-25
    "A" * 4000,
    *(
        base64.urlsafe_b64encode(text.encode()).decode()
        for text in (
            "next 2026-03-25 1",
            "next 2026-03-25T12:00:00 1",
            "next 2026-03-25T12:00:00+00:00 -1",
            "next 2026-03-25T12:00:00+00:00 ١",
            "next 2026-03-25T12:00:00+00:00 1 ",
            "next 2026-03-25T12:00:00+00:00 99999999999999999999",
            "next 0001-01-01T00:00:00+14:00 1",
            "next 9999-12-31T23:59:59-14:00 1",
            "sideways 2026-03-25T12:00:00+00:00 1",
            "next 2026-03-25T12:00:00+00:00",
            "r=1&o=99999999999999999999999",
            "o=-1",
            "r=x",
        )
    ),
]


@pytest.mark.thorough(one_in=7)
@pytest.mark.parametrize("cursor", FORGED_CURSORS)
def test_forged_cursor_is_404(api: ApiClient, cursor: str) -> None:
    operation = make_row()
    operation.save()
    for url in (OPERATIONS, samples_url(operation.pk), transitions_url(operation.pk)):
        error = problem(api.get(url, {"cursor": cursor}), 404)
        assert error["detail"] == "Invalid cursor"


def test_modified_cursor_is_404(api: ApiClient) -> None:
    make(3, lambda number: NOON - number * SECOND)
    link = api.body(OPERATIONS, {"page_size": 1})["next"]
    cursor = parse_qs(urlsplit(link).query)["cursor"][0]
    assert api.get(OPERATIONS, {"cursor": cursor}).status_code == 200
    for changed in (f"{cursor}A", f" {cursor}", f"{cursor}=", cursor[1:], f"{cursor}\n"):
        problem(api.get(OPERATIONS, {"cursor": changed}), 404)


KEYS = ["0", "-1", "+1", "1.0", "1e3", "x", "%00", "١", "9" * 19, "9" * 400, "9" * 5000]
LARGE = [str(2**31), str(2**63 - 1), str(2**63), str(2**64)]


@pytest.mark.parametrize("key", [*KEYS, *LARGE, "1/x", "1/samples/x", "1/transitions/1"])
def test_unknown_operation_is_404(api: ApiClient, key: str) -> None:
    make_row().save()
    for url in (detail_url(key), transitions_url(key), samples_url(key)):
        problem(api.get(url), 404)


class TestWorkspaces:
    """Pages of the workspaces, in the order of the settings."""

    @pytest.fixture(autouse=True)
    def _many(self, db: None, settings: Any) -> None:
        self.aliases = [f"w{number}" for number in range(250)]
        settings.IMPORTMONITOR = {"WORKSPACES": {alias: {} for alias in self.aliases}}
        register_configured()

    def walk(self, api: ApiClient, url: str | None, direction: str) -> list[list[str]]:
        pages = []
        while url:
            body = api.body(url)
            pages.append([row["workspace"] for row in body["results"]])
            self.last, url = url, body[direction]
        return pages

    @pytest.mark.parametrize(("size", "count"), [(100, 3), (125, 2), (250, 1), (7, 36)])
    def test_links_lead_through_all_pages_in_both_directions(
        self, api: ApiClient, size: int, count: int
    ) -> None:
        pages = self.walk(api, f"{WORKSPACES}?page_size={size}", "next")
        assert list(itertools.chain(*pages)) == self.aliases
        assert len(pages) == count
        assert self.walk(api, self.last, "previous") == pages[::-1]

    def test_page_has_100_rows_by_default(self, api: ApiClient) -> None:
        assert len(api.rows(WORKSPACES)) == 100

    def test_links_keep_filters(self, api: ApiClient) -> None:
        pages = self.walk(api, f"{WORKSPACES}?page_size=4&search=w2&status=never", "next")
        assert list(itertools.chain(*pages)) == [
            alias for alias in self.aliases if alias.startswith("w2")
        ]

    def test_page_size_limits_rows(self, api: ApiClient) -> None:
        for size in ("1", "250", "500"):
            assert len(api.rows(WORKSPACES, {"page_size": size})) == min(250, int(size))
        for size in ("0", "501", "-1", "x"):
            aliases = problem(api.get(WORKSPACES, {"page_size": size}), 400)
            assert list(aliases["errors"]) == ["page_size"]

    def test_workspaces_that_the_settings_hide_are_left_out(
        self, api: ApiClient, settings: Any
    ) -> None:
        """Their rows hide them from the next poll on."""
        hidden = {"w1": {"GROUPS": ["ops"]}}
        configured: dict[str, Any] = {alias: {} for alias in self.aliases if alias != "w3"}
        settings.IMPORTMONITOR = {"WORKSPACES": configured | hidden}
        pages = self.walk(api, f"{WORKSPACES}?page_size=4", "next")
        assert pages[0] == ["w0", "w2"]
        assert set(itertools.chain(*pages)) == {*self.aliases} - {"w1", "w3"}

    @pytest.mark.parametrize("cursor", FORGED_CURSORS)
    def test_forged_cursor_is_404(self, api: ApiClient, cursor: str) -> None:
        problem(api.get(WORKSPACES, {"cursor": cursor}), 404)

    def test_cursor_of_another_list_is_404(self, api: ApiClient) -> None:
        make(3, lambda number: NOON - number * SECOND)
        for url, other in ((WORKSPACES, OPERATIONS), (OPERATIONS, WORKSPACES)):
            link = api.body(other, {"page_size": 1})["next"]
            cursor = parse_qs(urlsplit(link).query)["cursor"][0]
            problem(api.get(url, {"cursor": cursor}), 404)
