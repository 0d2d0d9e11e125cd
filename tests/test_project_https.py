"""The project behind a TLS proxy: https, Secure cookies and HSTS, each by its own variable."""

import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ImproperlyConfigured
from django.test import Client

from importmonitor.models import ImportOperation
from tests.admin.helpers import make_row
from tests.api.helpers import NOON, credentials
from tests.api.rest.api_client import OPERATIONS
from tests.test_project_settings import SETTINGS, read

pytestmark = pytest.mark.usefixtures("empty_environment")

PROXY = "X-Forwarded-Proto: https"
#: A request that came to the proxy over https, and one that came over http.
HTTPS = {"X-Forwarded-Proto": "https", "Host": "testserver"}
HTTP = {"X-Forwarded-Proto": "http", "Host": "testserver"}
LOGIN = "/admin/login/"

Configure = Callable[..., Client]


@pytest.fixture
def configure(monkeypatch: pytest.MonkeyPatch, settings: Any) -> Configure:
    """Return a function that gives the project some variables, and returns a client of it."""

    def configure(**environment: str) -> Client:
        for name, value in read(monkeypatch, **environment).items():
            if name.startswith("SECURE_") or name.endswith("_COOKIE_SECURE"):
                setattr(settings, name, value)
        return Client()

    return configure


def test_deployment_checks_have_no_warnings() -> None:
    environment = {
        "SECRET_KEY": "".join(map(chr, range(40, 100))),
        "ROCKETCHAT_URL": "https://chat.example.org",
        "ROCKETCHAT_USER_ID": "me",
        "ROCKETCHAT_AUTH_TOKEN": "hush",
    }
    result = subprocess.run(
        [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"],
        cwd=SETTINGS.parent.parent,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.django_db
def test_proxy_makes_requests_https(configure: Configure, admin_user: User) -> None:
    client = configure(SECURE_PROXY_SSL_HEADER=PROXY)
    ImportOperation.objects.bulk_create(make_row(key, started_at=NOON) for key in range(2))
    headers = credentials(admin_user) | HTTPS
    body = client.get(OPERATIONS, {"page_size": 1}, headers=headers).json()
    assert body["next"].startswith(f"https://testserver{OPERATIONS}")
    response = client.get(LOGIN, headers=HTTPS)
    assert response.status_code == 200
    assert response["Strict-Transport-Security"] == "max-age=3600"
    response = client.get(LOGIN, headers=HTTP)
    assert response.headers["Location"] == f"https://testserver{LOGIN}"


@pytest.mark.django_db
def test_login_through_proxy_sets_secure_cookies(configure: Configure, admin_user: User) -> None:
    configure(SECURE_PROXY_SSL_HEADER=PROXY)
    client = Client(enforce_csrf_checks=True)
    client.get(LOGIN, headers=HTTPS)
    form = {"username": "admin", "password": "password", "next": "/admin/"}
    form["csrfmiddlewaretoken"] = client.cookies["csrftoken"].value
    # As a browser sends it: no CSRF_TRUSTED_ORIGINS is needed.
    headers = HTTPS | {"Origin": "https://testserver"}
    response = client.post(LOGIN, form, headers=headers, follow=True)
    assert response.redirect_chain == [("/admin/", 302)]
    assert {name for name, cookie in client.cookies.items() if cookie["secure"]} == {
        "sessionid",
        "csrftoken",
    }


@pytest.mark.django_db
def test_header_is_not_believed_without_a_proxy(configure: Configure) -> None:
    response = configure().get(LOGIN, headers=HTTPS)
    assert response.headers["Location"] == f"https://testserver{LOGIN}"


@pytest.mark.django_db
@pytest.mark.parametrize("redirect", ["on", "off"])
@pytest.mark.parametrize("cookies", ["on", "off"])
@pytest.mark.parametrize("seconds", ["0", "60"])
@pytest.mark.parametrize("proxy", ["", PROXY])
def test_variables_are_independent(
    configure: Configure, redirect: str, cookies: str, seconds: str, proxy: str
) -> None:
    client = configure(
        SECURE_SSL_REDIRECT=redirect,
        SECURE_COOKIES=cookies,
        SECURE_HSTS_SECONDS=seconds,
        SECURE_PROXY_SSL_HEADER=proxy,
    )
    over_https = client.get(LOGIN, secure=not proxy, headers=HTTPS)
    assert over_https.status_code == 200
    assert bool(over_https.cookies["csrftoken"]["secure"]) == (cookies == "on")
    hsts = over_https.headers.get("Strict-Transport-Security")
    assert hsts == (None if seconds == "0" else f"max-age={seconds}")
    over_http = client.get(LOGIN, headers=HTTP)
    assert over_http.status_code == (301 if redirect == "on" else 200)
    assert "Strict-Transport-Security" not in over_http.headers
    assert client.get("/healthz", headers=HTTP).status_code == 200


@pytest.mark.django_db
def test_hsts_can_include_subdomains_and_lists_of_browsers(configure: Configure) -> None:
    client = configure(SECURE_HSTS_INCLUDE_SUBDOMAINS="on", SECURE_HSTS_PRELOAD="on")
    header = client.get(LOGIN, secure=True).headers["Strict-Transport-Security"]
    assert header == "max-age=3600; includeSubDomains; preload"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SECURE_PROXY_SSL_HEADER", "on"),
        ("SECURE_PROXY_SSL_HEADER", "HTTP_X_FORWARDED_PROTO: https"),
        ("SECURE_PROXY_SSL_HEADER", "X-Forwarded-Proto:"),
        ("SECURE_PROXY_SSL_HEADER", "X-Forwarded-Proto: https, http"),
        ("SECURE_HSTS_SECONDS", "a year"),
        ("SECURE_HSTS_SECONDS", "-1"),
        ("SECURE_HSTS_SECONDS", "0.5"),
        ("SECURE_COOKIES", "secure"),
    ],
)
def test_invalid_variable_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=f"^{name} "):
        read(monkeypatch, **{name: value})
