"""A host whose every view requires a login, by Django's LoginRequiredMiddleware."""

from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from tests.api.helpers import PATH, RUNNING, credentials, make_user, sync

#: What stands for the parameters of a route.
PARAMETERS = {
    "<int:pk>": "1",
    "<str:alias>": "default",
    "<path:rest>": "nonsense",
    "^": "channels.list",
}


def urls(patterns: Any = None, prefix: str = "") -> Iterator[str]:
    """Yield a URL of each of the app's views, the admin's aside."""
    for pattern in get_resolver().url_patterns if patterns is None else patterns:
        route = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            if route != "admin/":
                yield from urls(pattern.url_patterns, route)
        elif isinstance(pattern, URLPattern) and route:
            for part, value in PARAMETERS.items():
                route = route.replace(part, value)
            yield f"/{route}"


def responses(headers: dict[str, str]) -> dict[tuple[str, str], Any]:
    """Return the status, the location and the body of each view by each method."""
    client = Client()
    result = {}
    for method, url in product(("GET", "POST", "OPTIONS"), urls()):
        response = client.generic(method, url, headers=headers)
        body = None if url in {"/metrics", "/api/schema/"} else response.content
        result[method, url] = (response.status_code, response.headers.get("Location"), body)
    return result


@pytest.fixture
def user(db: None) -> User:
    sync(RUNNING)
    return make_user("program", "run-import", "view-import-operations")


@pytest.mark.parametrize("has_token", [False, True])
def test_every_view_keeps_its_own_access_rule(settings: Any, user: User, has_token: bool) -> None:
    rates = {"DEFAULT_THROTTLE_RATES": {"importmonitor": None, "importmonitor_wrong_tokens": None}}
    settings.REST_FRAMEWORK = settings.REST_FRAMEWORK | rates
    headers = credentials(user) if has_token else {}
    expected = responses(headers)
    assert len(expected) > 40
    settings.MIDDLEWARE = [
        *settings.MIDDLEWARE,
        "django.contrib.auth.middleware.LoginRequiredMiddleware",
    ]
    received = responses(headers)
    ages = {key for key in expected if key[1].startswith(("/api/import", "/api/workspaces"))}
    for key in ages:
        # Their bodies have ages in seconds.
        expected[key], received[key] = expected[key][:2], received[key][:2]
    assert received == expected
    assert received["GET", "/healthz"][0] == 200
    assert received["GET", PATH][0] == (200 if has_token else 401)


def test_unknown_endpoint_is_a_404_in_rocketchats_words(settings: Any, db: None) -> None:
    settings.MIDDLEWARE = [
        *settings.MIDDLEWARE,
        "django.contrib.auth.middleware.LoginRequiredMiddleware",
    ]
    for path in ("/api/v1/channels.list", "/api/v1", "/workspaces/default/api/v1/me", f"{PATH}/"):
        response = Client().get(path)
        assert (response.status_code, response.content) == (404, b"404 Not Found")
    problem = Client().get("/api/workspaces/nonsense/")
    assert (problem.status_code, problem.headers["Content-Type"]) == (
        404,
        "application/problem+json",
    )
