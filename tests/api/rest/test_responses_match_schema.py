"""Real responses of both interfaces match the OpenAPI document."""

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
from tests.api.rest.api_client import ApiClient, all_urls
from tests.api.rest.openapi_document import ResponseValidator, fetch_document, operations
from tests.malformed_documents import MALFORMED_DOCUMENTS

DONE = {**RUNNING, "status": "importer_done", "_updatedAt": "2026-03-25T11:40:00.000Z"}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return fetch_document()


@pytest.fixture(scope="module")
def validator(document: dict[str, Any]) -> ResponseValidator:
    return ResponseValidator(document)


@pytest.fixture(scope="module")
def paths(document: dict[str, Any]) -> list[str]:
    # test_incidents.py has those of incidents.
    return [path for path, _ in operations(document) if "/incidents/" not in path]


@pytest.fixture(autouse=True)
def _acme(settings: Any) -> None:
    settings.IMPORTMONITOR = {
        "WORKSPACES": {
            "default": workspace_at("http://127.0.0.1:9"),
            "acme": workspace_at("http://127.0.0.1:9/acme"),
        }
    }


@pytest.fixture
def api(db: None) -> ApiClient:
    """A client with all permissions."""
    user = make_user("tool", "run-import", "view-import-operations")
    return ApiClient(Client(), credentials(user))


def url_of(path: str, key: int | None = None, alias: str = "acme") -> str:
    if key is None:
        key = ImportOperation.objects.latest("pk").pk
    return path.format(id=key, alias=alias)


def check_all(
    validator: ResponseValidator, paths: list[str], client: ApiClient, status: int = 200
) -> None:
    """Validate the response of every path."""
    for path in paths:
        response = client.get(url_of(path))
        assert response.status_code == status, (path, response.content)
        validator.check(path, response)


def test_running_and_ended_imports_match(
    validator: ResponseValidator, paths: list[str], api: ApiClient
) -> None:
    for document in (RUNNING, DONE):
        for alias in ("default", "acme"):
            sync(document, alias=alias)
        check_all(validator, paths, api)


def test_every_outcome_matches(
    validator: ResponseValidator, paths: list[str], api: ApiClient
) -> None:
    rows = save_rows(10, count_total=10, count_completed=5, rate=1.5, stalled_since=NOON)
    for alias in ("default", "acme"):
        sync(RUNNING, alias=alias)
        sync_refused(alias=alias)
    check_all(validator, paths, api)
    for row in rows:
        for path in paths:
            if "{id}" in path:
                validator.check(path, api.get(url_of(path, row.pk)))


@pytest.mark.thorough(one_in=9)
@pytest.mark.parametrize("name", MALFORMED_DOCUMENTS)
def test_malformed_documents_match(
    validator: ResponseValidator, paths: list[str], api: ApiClient, name: str
) -> None:
    """Only the REST API has a schema for all documents."""
    sync(MALFORMED_DOCUMENTS[name].document)
    for path in paths:
        if "/api/v1/" not in path:
            validator.check(path, api.get(url_of(path)))


def test_workspace_without_imports_matches(
    validator: ResponseValidator, paths: list[str], api: ApiClient
) -> None:
    make_row().save()
    for path in paths:
        if "/api/v1/" in path:
            validator.check(path, api.get(url_of(path)))
    for alias in ("default", "acme"):
        sync_nothing(alias=alias)
    statuses = {path: api.get(url_of(path)).status_code for path in paths}
    for path, status in statuses.items():
        assert status == (400 if path.endswith("getImportProgress") else 200)
        validator.check(path, api.get(url_of(path)))


def test_304_and_412_match(validator: ResponseValidator, paths: list[str], api: ApiClient) -> None:
    for alias in ("default", "acme"):
        sync(RUNNING, alias=alias)
    for path in paths:
        url = url_of(path)
        etag = api.get(url)["ETag"]
        response = api.get(url, If_None_Match=etag)
        assert response.status_code == 304
        validator.check(path, response)
        if "/api/v1/" in path:
            response = api.get(url, If_Match='"other"')
            assert response.status_code == 412
            validator.check(path, response)


def test_400_401_and_403_match(
    validator: ResponseValidator, paths: list[str], api: ApiClient, settings: Any
) -> None:
    for alias in ("default", "acme"):
        sync(RUNNING, alias=alias)
    stranger = credentials(make_user("stranger"))
    for path in paths:
        url = url_of(path)
        responses = {
            "anonymous": Client().get(url),
            "wrong": Client().get(url, headers={"X-User-Id": "1", "X-Auth-Token": "x"}),
            "forbidden": Client().get(url, headers=stranger),
            "parameter": api.get(url, {"what": "x"}),
        }
        ignores_parameters = path.endswith("import.status")
        assert [response.status_code for response in responses.values()] == [
            *(401, 401, 403),
            200 if ignores_parameters else 400,
        ]
        for response in responses.values():
            validator.check(path, response)


def test_404_matches(validator: ResponseValidator, paths: list[str], api: ApiClient) -> None:
    row = make_row()
    row.save()
    for path in paths:
        parameters = {}
        if "{id}" not in path and "{alias}" not in path:
            if "/api/v1/" in path:
                continue
            parameters = {"cursor": "x"}
        response = api.get(url_of(path, row.pk + 1, "nowhere"), parameters)
        assert response.status_code == 404
        validator.check(path, response)


def test_406_matches(validator: ResponseValidator, api: ApiClient) -> None:
    sync(RUNNING)
    key = ImportOperation.objects.get().pk
    for url, path in zip(all_urls(key), all_urls("{id}"), strict=True):
        response = api.get(url, Accept="text/html")
        assert response.status_code == 406
        validator.check(path, response)


def test_429_matches(
    validator: ResponseValidator, paths: list[str], api: ApiClient, settings: Any
) -> None:
    settings.REST_FRAMEWORK = {"DEFAULT_THROTTLE_RATES": {"importmonitor": "1/min"}}
    make_row().save()
    with time_machine.travel(NOON, tick=False):
        for path in paths:
            api.get(url_of(path))
            response = api.get(url_of(path))
            assert response.status_code == 429, path
            validator.check(path, response)
