"""`/healthz`."""

from typing import Any

import pytest
from django.db import OperationalError, connection
from django.test import Client

PATH = "/healthz"


@pytest.mark.django_db
def test_healthy_database_is_200() -> None:
    response = Client().get(PATH)
    assert (response.status_code, response.json()) == (200, {"status": "ok", "database": "ok"})
    assert "no-store" in response["Cache-Control"]


@pytest.mark.django_db
def test_failing_database_is_503() -> None:
    def refuse(*_args: Any) -> Any:
        raise OperationalError("connection to 10.0.0.5, user importmonitor, password hunter2")

    with connection.execute_wrapper(refuse):
        response = Client().get(PATH)
    assert response.status_code == 503
    assert response.json() == {"status": "failing", "database": "unreachable"}
    assert b"hunter2" not in response.content


def test_unreachable_database_is_503(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise OperationalError

    monkeypatch.setattr(connection, "cursor", refuse)
    assert Client().get(PATH).status_code == 503


def test_unreachable_database_is_503_with_atomic_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    """With ATOMIC_REQUESTS, Django would open a transaction before the view and fail there."""
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", True)
    test_unreachable_database_is_503(monkeypatch)
