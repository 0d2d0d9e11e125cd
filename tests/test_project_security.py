"""Every response of the project has a Content-Security-Policy; error pages satisfy it as they are.

tests/browser/test_content_security_policy.py loads the other pages.
"""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.http import HttpResponse
from django.test import Client, RequestFactory

from project.security import POLICY, ContentSecurityPolicyMiddleware
from tests.api.helpers import credentials

HEADER = "Content-Security-Policy"


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/", 302),
        ("/admin/", 200),
        ("/admin/importmonitor/importoperation/export/csv/", 200),
        ("/api/docs/", 200),
        ("/api/docs/?script=", 200),
        ("/api/schema/", 200),
        ("/api/workspaces/", 200),
        ("/api/v1/getCurrentImportOperation", 503),
        ("/healthz", 200),
        ("/metrics", 200),
        ("/static/admin/css/base.css", 200),
        ("/no-such-page", 404),
    ],
)
def test_every_response_has_the_policy(
    admin_client: Client, admin_user: User, path: str, status: int
) -> None:
    response = admin_client.get(path, headers=credentials(admin_user))
    assert response.status_code == status
    assert response.headers[HEADER] == POLICY
    response.close()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("method", "path", "host", "status"),
    [
        ("GET", "/admin/", "other.example", 400),
        ("POST", "/admin/login/", "testserver", 403),
        ("GET", "/no-such-page", "testserver", 404),
        ("GET", "/admin/login/", "testserver", 500),
    ],
)
def test_error_page_satisfies_the_policy(
    monkeypatch: pytest.MonkeyPatch, method: str, path: str, host: str, status: int
) -> None:
    if status == 500:
        monkeypatch.delattr("django.contrib.admin.sites.AdminSite.each_context")
    client = Client(enforce_csrf_checks=True, raise_request_exception=False)
    response = client.generic(method, path, headers={"Host": host})
    assert response.status_code == status
    assert response.headers[HEADER] == POLICY
    text = response.content.decode()
    assert "<h1>" in text
    assert not any(part in text for part in ("<style", "style=", "<script", "http"))


def test_page_about_csrf_is_in_the_browser_s_language(db: None) -> None:
    client = Client(enforce_csrf_checks=True)
    response = client.post("/admin/login/", headers={"Accept-Language": "de"})
    assert '<html lang="de">' in response.content.decode()
    assert "CSRF-Verifizierung fehlgeschlagen" in response.content.decode()


def policy_on(response: HttpResponse) -> str | None:
    """Return the policy that a response of a view gets."""
    request = RequestFactory().get("/")
    ContentSecurityPolicyMiddleware(lambda _request: response)(request)
    return response.headers.get(HEADER)


def test_response_keeps_a_policy_of_its_own() -> None:
    assert policy_on(HttpResponse(headers={HEADER: "default-src *"})) == "default-src *"


def test_debug_pages_of_django_have_no_policy(settings: Any) -> None:
    settings.DEBUG = True
    assert policy_on(HttpResponse(status=404)) is policy_on(HttpResponse(status=500)) is None
    assert policy_on(HttpResponse(status=403)) == POLICY
