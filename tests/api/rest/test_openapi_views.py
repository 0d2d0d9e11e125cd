"""Who sees the API's description, and how often it is generated."""

from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.contrib.auth.models import User
from django.test import Client
from drf_spectacular.renderers import OpenApiJsonRenderer, OpenApiYamlRenderer
from pytest_django import DjangoAssertNumQueries

from importmonitor.api.openapi import views
from tests.api.helpers import make_user
from tests.api.rest.api_client import WORKSPACES, ApiClient, problem

SCHEMA = "/api/schema/"
DOCS = "/api/docs/"
URLCONF = "project.urls"


@pytest.fixture
def generated(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The formats in which the document is generated from now on."""
    formats: list[str] = []
    generate = views._generate

    def count(urlconf: str, renderer: Any) -> views.Document:
        formats.append(renderer.format)
        return generate(urlconf, renderer)

    monkeypatch.setattr(views, "_documents", {})
    monkeypatch.setattr(views, "_generate", count)
    return formats


class TestAccess:
    """The API's own credentials and permission; tests/test_access.py has every kind of user."""

    def test_schema_without_credentials_is_401(self, client: Client, db: None) -> None:
        for parameters in ({}, {"format": "json"}):
            response = client.get(SCHEMA, parameters)
            assert "credentials were not provided" in problem(response, 401)["detail"]

    def test_missing_permission_is_403(self, client: Client, db: None) -> None:
        client.force_login(make_user("stranger"))
        for url in (SCHEMA, DOCS):
            assert "permission" in problem(client.get(url), 403)["detail"]

    def test_responses_are_private(self, api: ApiClient) -> None:
        for url in (SCHEMA, DOCS):
            response = api.get(url)
            assert response.status_code == 200
            assert response["Cache-Control"] == "private, no-cache"
            assert {"Authorization", "Cookie"} <= set(response["Vary"].split(", "))

    def test_docs_page_redirects_anonymous_users_to_the_login(
        self, client: Client, db: None, settings: Any
    ) -> None:
        response = client.get(DOCS, {"a": "b"})
        assert response["Location"] == "/admin/login/?next=/api/docs/%3Fa%3Db"
        settings.LOGIN_URL = "/sign-in/"
        assert client.get(DOCS)["Location"] == "/sign-in/?next=/api/docs/"

    def test_docs_page_refuses_wrong_credentials(self, client: Client, db: None) -> None:
        problem(client.get(DOCS, headers={"X-User-Id": "1", "X-Auth-Token": "x"}), 401)

    def test_public_schema_needs_no_credentials_and_no_database(
        self, client: Client, settings: Any
    ) -> None:
        """Not even right ones: this test has no database."""
        settings.IMPORTMONITOR = settings.IMPORTMONITOR | {"PUBLIC_SCHEMA": True}
        client.cookies[django_settings.SESSION_COOKIE_NAME] = "x"
        for headers in ({}, {"X-User-Id": "1", "X-Auth-Token": "x"}):
            for url in (SCHEMA, DOCS):
                assert client.get(url, headers=headers).status_code == 200


class TestGeneration:
    """A process generates the document once per format."""

    def test_document_is_generated_once_per_format(
        self, api: ApiClient, generated: list[str]
    ) -> None:
        for media_type in ("application/json", "application/vnd.oai.openapi+json"):
            for _ in range(2):
                response = api.get(SCHEMA, Accept=f"{media_type}; indent=1")
                assert response["Content-Type"] == media_type
        assert generated == ["json"]
        for _ in range(2):
            assert api.get(SCHEMA)["Content-Type"].startswith("application/vnd.oai.openapi;")
        assert generated == ["json", "yaml"]

    def test_request_changes_nothing(self, api: ApiClient, settings: Any) -> None:
        """Not its host, its mount point, its user or its language."""
        settings.ALLOWED_HOSTS = ["*"]
        expected = views._generate(URLCONF, OpenApiYamlRenderer())
        root = Client()
        root.force_login(User.objects.create_superuser("root"))
        environments: list[dict[str, Any]] = [
            {"HTTP_HOST": "imports.example.org", "wsgi.url_scheme": "https"},
            {"SCRIPT_NAME": "/monitor"},
            {"HTTP_ACCEPT_LANGUAGE": "de"},
        ]
        bodies = []
        for client in (api.client, root):
            for environment in environments:
                views._documents.clear()
                bodies.append(client.get(SCHEMA, headers=api.headers, **environment).content)
        assert set(bodies) == {expected.body}

    def test_concurrent_first_requests_generate_it_once(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        begun, finish, count = Event(), Event(), []

        def generate(urlconf: str, renderer: Any) -> views.Document:
            count.append(renderer.format)
            begun.set()
            assert finish.wait(30)
            return views.Document(b"x", '"x"')

        ready = views.Document(b"ready", '"ready"')
        monkeypatch.setattr(views, "_documents", {(URLCONF, "yaml"): ready})
        monkeypatch.setattr(views, "_generate", generate)
        with ThreadPoolExecutor(8) as pool:
            waiting = [
                pool.submit(views.get_document, URLCONF, OpenApiJsonRenderer()) for _ in range(8)
            ]
            try:
                assert begun.wait(30)
                # Who needs another document does not wait.
                assert views.get_document(URLCONF, OpenApiYamlRenderer()) is ready
            finally:
                finish.set()
            assert {future.result() for future in waiting} == {(b"x", '"x"')}
        assert count == ["json"]

    def test_failed_generation_is_repeated(self, monkeypatch: pytest.MonkeyPatch) -> None:
        errors = [RuntimeError()]

        def generate(urlconf: str, renderer: Any) -> views.Document:
            if errors:
                raise errors.pop()
            return views.Document(b"x", '"x"')

        monkeypatch.setattr(views, "_documents", {})
        monkeypatch.setattr(views, "_generate", generate)
        with pytest.raises(RuntimeError):
            views.get_document(URLCONF, OpenApiJsonRenderer())
        assert views.get_document(URLCONF, OpenApiJsonRenderer()).body == b"x"


class TestETag:
    """Clients that have the document do not receive it again."""

    def test_known_etag_is_304(self, api: ApiClient) -> None:
        etags = {}
        for file_format in ("yaml", "json"):
            response = api.get(SCHEMA, {"format": file_format})
            etags[file_format] = response["ETag"]
            for known in (response["ETag"], f"W/{response['ETag']}", f'"x", {response["ETag"]}'):
                again = api.get(SCHEMA, {"format": file_format}, If_None_Match=known)
                assert (again.status_code, again.content) == (304, b"")
                assert again["ETag"] == response["ETag"]
                assert again["Cache-Control"] == "private, no-cache"
        assert etags["yaml"] != etags["json"]
        response = api.get(SCHEMA, {"format": "json"}, If_None_Match=etags["yaml"])
        assert response.status_code == 200

    def test_etag_is_the_same_in_every_process(self, api: ApiClient, generated: list[str]) -> None:
        first = api.get(SCHEMA)["ETag"]
        views._documents.clear()
        assert api.get(SCHEMA)["ETag"] == first
        assert generated == ["yaml", "yaml"]

    def test_known_etag_does_not_replace_the_permission(self, api: ApiClient) -> None:
        etag = api.get(SCHEMA)["ETag"]
        problem(Client().get(SCHEMA, headers={"If-None-Match": etag}), 401)

    def test_request_costs_what_its_authentication_costs(
        self, api: ApiClient, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        api.get(WORKSPACES)
        api.get(SCHEMA)
        # The token with its user, and the permissions.
        with django_assert_num_queries(3):
            assert api.get(SCHEMA).status_code == 200
