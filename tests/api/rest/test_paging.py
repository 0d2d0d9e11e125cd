"""Pages: forth and back, while rows come and go, over rows of the same time."""

import base64
import itertools
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from importmonitor.models import ImportOperation, ProgressSample, StatusTransition
from tests.admin.helpers import make_row
from tests.api.helpers import NOON
from tests.api.rest.asking import (
    OPERATIONS,
    WORKSPACES,
    Asking,
    detail,
    problem,
    samples,
    transitions,
)

SECOND = timedelta(seconds=1)
#: Times of rows, in seconds before noon: each by itself, all alike, and some alike.
TIMES = {
    "apart": list(range(11)),
    "alike": [0] * 11,
    "some alike": [0, 0, 0, 1, 2, 2, 3, 3, 3, 3, 3],
}
Timed = pytest.mark.parametrize("times", TIMES)
Sized = pytest.mark.parametrize("size", [1, 2, 3, 4, 10, 11, 12])


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
    return [each["id"] for each in body["results"]]


def walk(asking: Asking, url: str | None, way: str = "next") -> list[list[int]]:
    """Follow the links from a page on to the last; return the keys of each page."""
    found: list[list[int]] = []
    while url:
        assert len(found) < 100, "the links lead in a circle"
        body = asking.body(url)
        found.append(keys(body))
        url = body[way]
    return found


@Timed
@Sized
@pytest.mark.parametrize("ordering", ["-started_at", "started_at"])
def test_forth_and_back(asking: Asking, times: str, size: int, ordering: str) -> None:
    all_keys = make(11, lambda number: NOON - TIMES[times][number] * SECOND)
    if ordering == "started_at":
        all_keys.reverse()
    pages = [all_keys[start : start + size] for start in range(0, 11, size)]
    first = f"{OPERATIONS}?page_size={size}&ordering={ordering}"
    assert walk(asking, first) == pages
    assert asking.body(first)["previous"] is None
    last: str = first
    while following := asking.body(last)["next"]:
        last = following
    assert walk(asking, last, "previous") == pages[::-1]


@Timed
@pytest.mark.parametrize("size", [1, 2, 3])
def test_while_new_ones_arrive(asking: Asking, times: str, size: int) -> None:
    """Nothing is told twice, nothing is left out, and the way back leads to the new ones."""
    old = make(11, lambda number: NOON - TIMES[times][number] * SECOND)
    url: str | None = f"{OPERATIONS}?page_size={size}"
    seen: list[int] = []
    page = 0
    last = ""
    while url:
        last = url
        body = asking.body(url)
        seen += keys(body)
        url = body["next"]
        # As new as the newest: among those of the same time they come first, being later.
        make(2, lambda _number: NOON, first=100 + 2 * page)
        page += 1
    assert seen == old
    back = list(
        itertools.chain.from_iterable(each[::-1] for each in walk(asking, last, "previous"))
    )
    assert back == order()[::-1]


def test_while_some_go(asking: Asking) -> None:
    all_keys = make(9, lambda number: NOON - number * SECOND)
    body = asking.body(OPERATIONS, {"page_size": 3})
    ImportOperation.objects.filter(pk__in=all_keys[1:5]).delete()
    assert list(itertools.chain(*walk(asking, body["next"]))) == all_keys[5:]


def test_what_is_gone_to_the_end(asking: Asking) -> None:
    make(4, lambda number: NOON - number * SECOND)
    body = asking.body(OPERATIONS, {"page_size": 2})
    ImportOperation.objects.exclude(pk__in=keys(body)).delete()
    assert asking.body(body["next"])["results"] == []
    assert asking.body(body["next"])["next"] is None


def test_links_keep_what_was_asked_for(asking: Asking) -> None:
    make(6, lambda number: NOON - number * SECOND)
    ImportOperation.objects.filter(pk__in=order()[::2]).update(workspace="acme")
    asked = {"workspace": "acme", "ordering": "started_at", "page_size": "2"}
    body = asking.body(OPERATIONS, asked)
    query = parse_qs(urlsplit(body["next"]).query)
    assert query.pop("cursor")
    assert query == {name: [value] for name, value in asked.items()}
    assert body["next"].startswith("http://testserver/api/import-operations/?")
    assert list(itertools.chain(keys(body), *walk(asking, body["next"]))) == order()[::2][::-1]


@Timed
@pytest.mark.parametrize("address", [transitions, samples])
def test_parts_of_an_operation(asking: Asking, times: str, address: Callable[[int], str]) -> None:
    operation = make_row()
    operation.save()
    observed = [NOON + seconds * SECOND for seconds in TIMES[times]]
    StatusTransition.objects.bulk_create(
        StatusTransition(operation=operation, observed_at=at) for at in observed
    )
    # Told apart by their counters: they have no keys of their own in the body.
    ProgressSample.objects.bulk_create(
        ProgressSample(operation=operation, observed_at=at, completed=number)
        for number, at in enumerate(observed)
    )
    url: str | None = f"{address(operation.pk)}?page_size=3"
    pages, last = [], ""
    while url:
        last, body = url, asking.body(url)
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
        body = asking.body(back)
        assert body["results"] == page
        back = body["previous"]
    assert back is None


@pytest.mark.parametrize(("asked", "told"), [(None, 50), ("1", 1), ("500", 120), ("0100", 100)])
def test_page_sizes(asking: Asking, asked: str | None, told: int) -> None:
    operation_ids = make(120, lambda number: NOON - number * SECOND)
    ProgressSample.objects.bulk_create(
        ProgressSample(operation_id=operation_ids[0], observed_at=NOON + number * SECOND)
        for number in range(120)
    )
    parameters = {} if asked is None else {"page_size": asked}
    for url in (OPERATIONS, samples(operation_ids[0])):
        assert len(asking.rows(url, parameters)) == told


MADE_UP = [
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


@pytest.mark.parametrize("cursor", MADE_UP)
def test_cursors_that_nobody_was_given(asking: Asking, cursor: str) -> None:
    operation = make_row()
    operation.save()
    for url in (OPERATIONS, samples(operation.pk), transitions(operation.pk)):
        found = problem(asking.get(url, {"cursor": cursor}), 404)
        assert found["detail"] == "Invalid cursor"


def test_a_cursor_with_something_added(asking: Asking) -> None:
    make(3, lambda number: NOON - number * SECOND)
    link = asking.body(OPERATIONS, {"page_size": 1})["next"]
    cursor = parse_qs(urlsplit(link).query)["cursor"][0]
    assert asking.get(OPERATIONS, {"cursor": cursor}).status_code == 200
    for changed in (f"{cursor}A", f" {cursor}", f"{cursor}=", cursor[1:], f"{cursor}\n"):
        problem(asking.get(OPERATIONS, {"cursor": changed}), 404)


KEYS = ["0", "-1", "+1", "1.0", "1e3", "x", "%00", "١", "9" * 19, "9" * 400, "9" * 5000]
LARGE = [str(2**31), str(2**63 - 1), str(2**63), str(2**64)]


@pytest.mark.parametrize("key", [*KEYS, *LARGE, "1/x", "1/samples/x", "1/transitions/1"])
def test_operations_that_there_are_not(asking: Asking, key: str) -> None:
    make_row().save()
    for url in (detail(key), transitions(key), samples(key)):
        problem(asking.get(url), 404)


class TestWorkspaces:
    """Pages by number: the list is in the settings, and stays while it is read."""

    @pytest.fixture(autouse=True)
    def _many(self, settings: Any) -> None:
        self.aliases = [f"w{number}" for number in range(250)]
        settings.IMPORTMONITOR = {"WORKSPACES": {alias: {} for alias in self.aliases}}

    def test_forth_and_back(self, asking: Asking) -> None:
        found: list[str] = []
        url: str | None = WORKSPACES
        last = ""
        while url:
            last, body = url, asking.body(url)
            assert body["count"] == 250
            found += [each["workspace"] for each in body["results"]]
            url = body["next"]
        assert found == self.aliases
        assert asking.body(last)["previous"] == f"http://testserver{WORKSPACES}?page=2"

    def test_page_sizes(self, asking: Asking) -> None:
        for size in ("1", "250", "500"):
            assert len(asking.rows(WORKSPACES, {"page_size": size})) == min(250, int(size))
        for size in ("0", "501", "-1", "x"):
            found = problem(asking.get(WORKSPACES, {"page_size": size}), 400)
            assert list(found["errors"]) == ["page_size"]

    @pytest.mark.parametrize(
        "page", ["0", "4", "-1", "last", "x", "1.0", "+1", " 1", "1_0", "١", "\0", "9" * 5000]
    )
    def test_pages_that_there_are_not(self, asking: Asking, page: str) -> None:
        problem(asking.get(WORKSPACES, {"page": page}), 404)
