"""Unexpected errors: in Rocket.Chat's form, reported, and without a token."""

import logging
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.signals import got_request_exception
from django.db import DataError, OperationalError, connection
from django.test import Client
from django.views.debug import ExceptionReporter

from tests.api.helpers import PATH, RUNNING, sync
from tests.api.test_responses import assert_not_found, assert_rocketchat

pytestmark = pytest.mark.django_db


@pytest.fixture
def reports() -> Iterator[list[str]]:
    """Return a list that collects the error reports that Django would mail."""
    collected: list[str] = []

    def report(request: Any, **_: Any) -> None:
        collected.append(ExceptionReporter(request, *sys.exc_info()).get_traceback_html())

    got_request_exception.connect(report)
    yield collected
    got_request_exception.disconnect(report)


def refuse(*_args: Any) -> Any:
    raise OperationalError("the server is away")


@pytest.mark.parametrize("bearer", [False, True])
def test_database_error_is_reported_without_token(
    headers: dict[str, str], reports: list[str], caplog: pytest.LogCaptureFixture, bearer: bool
) -> None:
    sync(RUNNING)
    client = Client(raise_request_exception=False)
    token = headers["X-Auth-Token"]
    path, sent = PATH, headers
    if bearer:
        path, sent = "/api/workspaces/", {"Authorization": f"Bearer {token}"}
    with connection.execute_wrapper(refuse), caplog.at_level(logging.ERROR, "django.request"):
        response = client.get(path, headers=sent)
    if bearer:
        assert response.status_code == 500
    else:
        assert_rocketchat(response, 500, b'{"success":false,"error":"Internal server error"}')
    assert "the server is away" in caplog.text
    (report,) = reports
    assert "the server is away" in report
    assert token not in report


@pytest.mark.parametrize("path", [PATH, "/api/workspaces/", "/metrics"])
def test_credentials_that_a_database_rejects_are_401(
    path: str, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PostgreSQL rejects a NUL in a text."""

    def fail(*_args: Any, **_named: Any) -> None:
        raise DataError

    monkeypatch.setattr("django.contrib.auth.backends.ModelBackend.authenticate", fail)
    response = client.get(path, headers={"Authorization": "Basic YQBiOmM="})
    assert response.status_code == 401


@pytest.mark.parametrize("path", ["/api/v1", "/workspaces/default/api/v1"])
def test_api_root_is_404_without_redirect(client: Client, path: str) -> None:
    assert_not_found(client.get(path))
    assert_not_found(client.post(path))
