"""What both faces really answer, held against the document."""

from typing import Any

import pytest
import time_machine
from django.test import Client

from importmonitor.models import ImportOperation
from tests.admin.helpers import make_row, save_rows
from tests.api.helpers import (
    NOON,
    RUNNING,
    credentials,
    make_user,
    sync,
    sync_nothing,
    sync_refused,
    workspace_at,
)
from tests.api.rest.asking import Asking, five
from tests.api.rest.document import Judge, operations, read
from tests.malformed_documents import ODD

DONE = {**RUNNING, "status": "importer_done", "_updatedAt": "2026-03-25T11:40:00.000Z"}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return read()


@pytest.fixture(scope="module")
def judge(document: dict[str, Any]) -> Judge:
    return Judge(document)


@pytest.fixture(scope="module")
def paths(document: dict[str, Any]) -> list[str]:
    return [path for path, _ in operations(document)]


@pytest.fixture(autouse=True)
def _acme(settings: Any) -> None:
    settings.IMPORTMONITOR = {
        "WORKSPACES": {
            "default": workspace_at("http://127.0.0.1:9"),
            "acme": workspace_at("http://127.0.0.1:9/acme"),
        }
    }


@pytest.fixture
def both(db: None) -> Asking:
    """Somebody who may ask for everything."""
    user = make_user("both", "run-import", "view-import-operations")
    return Asking(Client(), credentials(user))


def address(path: str, key: int | None = None, alias: str = "acme") -> str:
    if key is None:
        key = ImportOperation.objects.latest("pk").pk
    return path.format(id=key, alias=alias)


def check_all(judge: Judge, paths: list[str], asking: Asking, status: int = 200) -> None:
    """Ask for everything, and judge it."""
    for path in paths:
        response = asking.get(address(path))
        assert response.status_code == status, (path, response.content)
        judge.check(path, response)


def test_under_way_and_done(judge: Judge, paths: list[str], both: Asking) -> None:
    for document in (RUNNING, DONE):
        for alias in ("default", "acme"):
            sync(document, alias=alias)
        check_all(judge, paths, both)


def test_of_every_kind(judge: Judge, paths: list[str], both: Asking) -> None:
    rows = save_rows(10, count_total=10, count_completed=5, rate=1.5, stalled_since=NOON)
    for alias in ("default", "acme"):
        sync(RUNNING, alias=alias)
        sync_refused(alias=alias)
    check_all(judge, paths, both)
    for row in rows:
        for path in paths:
            if "{id}" in path:
                judge.check(path, both.get(address(path, row.pk)))


@pytest.mark.thorough(one_in=4)
@pytest.mark.parametrize("name", ODD)
def test_odd(judge: Judge, paths: list[str], both: Asking, name: str) -> None:
    """Of Rocket.Chat's own document only the REST face can promise anything."""
    sync(ODD[name].document)
    for path in paths:
        if "/api/v1/" not in path:
            judge.check(path, both.get(address(path)))


def test_nothing_was_ever_imported(judge: Judge, paths: list[str], both: Asking) -> None:
    make_row().save()
    for path in paths:
        if "/api/v1/" in path:
            judge.check(path, both.get(address(path)))
    for alias in ("default", "acme"):
        sync_nothing(alias=alias)
    statuses = {path: both.get(address(path)).status_code for path in paths}
    for path, status in statuses.items():
        assert status == (400 if path.endswith("getImportProgress") else 200)
        judge.check(path, both.get(address(path)))


def test_unchanged(judge: Judge, paths: list[str], both: Asking) -> None:
    for alias in ("default", "acme"):
        sync(RUNNING, alias=alias)
    for path in paths:
        url = address(path)
        etag = both.get(url)["ETag"]
        response = both.get(url, If_None_Match=etag)
        assert response.status_code == 304
        judge.check(path, response)
        if "/api/v1/" in path:
            response = both.get(url, If_Match='"other"')
            assert response.status_code == 412
            judge.check(path, response)


def test_refusals(judge: Judge, paths: list[str], both: Asking, settings: Any) -> None:
    for alias in ("default", "acme"):
        sync(RUNNING, alias=alias)
    nobody = credentials(make_user("nobody"))
    for path in paths:
        url = address(path)
        found = {
            "nobody": Client().get(url),
            "wrong": Client().get(url, headers={"X-User-Id": "1", "X-Auth-Token": "x"}),
            "forbidden": Client().get(url, headers=nobody),
            "parameter": both.get(url, {"what": "x"}),
        }
        mirrors_status = path.endswith("import.status")
        assert [each.status_code for each in found.values()] == [
            *(401, 401, 403),
            200 if mirrors_status else 400,
        ]
        for response in found.values():
            judge.check(path, response)


def test_what_there_is_not(judge: Judge, paths: list[str], both: Asking) -> None:
    row = make_row()
    row.save()
    for path in paths:
        asked = {}
        if "{id}" not in path and "{alias}" not in path:
            if "/api/v1/" in path:
                continue
            asked = {"page": "9"} if "workspaces" in path else {"cursor": "x"}
        response = both.get(address(path, row.pk + 1, "nowhere"), asked)
        assert response.status_code == 404
        judge.check(path, response)


def test_not_acceptable(judge: Judge, both: Asking) -> None:
    sync(RUNNING)
    key = ImportOperation.objects.get().pk
    for url, path in zip(five(key), five("{id}"), strict=True):
        response = both.get(url, Accept="text/html")
        assert response.status_code == 406
        judge.check(path, response)


def test_too_often(judge: Judge, paths: list[str], both: Asking, settings: Any) -> None:
    settings.REST_FRAMEWORK = {"DEFAULT_THROTTLE_RATES": {"importmonitor": "1/min"}}
    make_row().save()
    with time_machine.travel(NOON, tick=False):
        for path in paths:
            both.get(address(path))
            response = both.get(address(path))
            assert response.status_code == 429, path
            judge.check(path, response)
