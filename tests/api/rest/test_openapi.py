"""The OpenAPI document is the golden file, valid, complete, and in English."""

import os
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from django.contrib.staticfiles import finders
from django.test import Client
from django.utils import translation
from drf_spectacular.validation import validate_schema
from jsonschema import Draft202012Validator  # type: ignore[import-untyped] # it has no types

from importmonitor.api.openapi import views
from tests.api.rest.api_client import (
    INCIDENTS,
    OPERATIONS,
    PROBLEM,
    WORKSPACES,
    ApiClient,
    all_urls,
    problem,
)
from tests.api.rest.openapi_document import fetch_document, operations

GOLDEN = Path(__file__).resolve().parent.parent / "openapi.yaml"
SCHEMA = "/api/schema/"
DOCS = "/api/docs/"
ROCKETCHAT = {
    *("getCurrentImportOperation", "getLatestImportOperations"),
    *("getImportProgress", "import.status"),
}
REST = {url.replace("7", "{id}") for url in all_urls(7)} | {INCIDENTS, f"{INCIDENTS}{{id}}/"}
#: The paths that are not read, and their methods.
WRITES = {
    f"{INCIDENTS}{{id}}/acknowledge/": {"post"},
    f"{WORKSPACES}{{alias}}/maintenance/": {"post", "delete"},
}


@pytest.fixture(autouse=True)
def _public(settings: Any) -> None:
    settings.IMPORTMONITOR = settings.IMPORTMONITOR | {"PUBLIC_SCHEMA": True}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return fetch_document()


def walk(value: Any, *path: str) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    """Yield every object of a document with its path."""
    if isinstance(value, dict):
        yield path, value
        for key, child in value.items():
            yield from walk(child, *path, key)
    elif isinstance(value, list):
        for child in value:
            yield from walk(child, *path)


def test_document_is_the_golden_file(client: Client) -> None:
    """UPDATE_GOLDEN=1 rewrites the file; review its diff."""
    document = client.get(SCHEMA).content.decode()
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.write_text(document)
    assert document == GOLDEN.read_text()


@pytest.mark.long
def test_document_is_valid(document: dict[str, Any]) -> None:
    validate_schema(document)  # type: ignore[no-untyped-call] # it has no types
    assert document["openapi"].startswith("3.1")
    for schema in document["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


def test_document_is_the_same_in_json_and_yaml(client: Client, document: dict[str, Any]) -> None:
    assert client.get(SCHEMA)["Content-Type"] == "application/vnd.oai.openapi; charset=utf-8"
    assert client.get(SCHEMA, {"format": "json"}).json() == document
    assert client.get(SCHEMA, headers={"Accept": "application/json"}).json() == document


def test_document_has_no_openapi_3_0_keywords(document: dict[str, Any]) -> None:
    """Keywords of OpenAPI 3.0 are silently ignored in 3.1."""
    for path, node in walk(document):
        if "properties" not in path[-1:]:
            assert not node.keys() & {"nullable", "x-spec-enum-id"}, path
        if "schemas" in path and "properties" not in path[-1:]:
            assert "example" not in node, path


def test_components_are_those_referenced(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    used = {node["$ref"] for _, node in walk(document) if "$ref" in node}
    assert used == {f"#/components/schemas/{name}" for name in schemas}


def test_paths_are_the_apps_own(document: dict[str, Any]) -> None:
    mirrored = {f"/api/v1/{name}" for name in ROCKETCHAT}
    assert set(document["paths"]) == {
        *REST,
        *WRITES,
        *mirrored,
        *(f"/workspaces/{{alias}}{path}" for path in mirrored),
    }
    for path, methods in document["paths"].items():
        assert set(methods) == WRITES.get(path, {"get"})
    names = [row["operationId"] for path in document["paths"].values() for row in path.values()]
    assert len(set(names)) == len(names) == 18


def test_all_responses_are_described(document: dict[str, Any]) -> None:
    """Every status is described, with its media type."""
    for path, operation in operations(document):
        responses = operation["responses"]
        media_types = {
            status: "".join(response.get("content", {})) for status, response in responses.items()
        }
        if path in REST:
            expected = dict.fromkeys(("400", "401", "403", "404", "406", "429"), PROBLEM)
        else:
            expected = dict.fromkeys(("400", "401", "403", "429", "503"), "application/json")
            expected |= {"404": "text/plain", "412": ""}
        if path.endswith("import.status"):
            del expected["400"]
        assert media_types == expected | {"200": "application/json", "304": ""}, path
        assert all(response["description"] is not None for response in responses.values())
        for status in ("200", "304"):
            assert "ETag" in operation["responses"][status]["headers"]
        assert operation["responses"]["200"]["content"]["application/json"]["examples"]
        assert operation["description"]


def test_security_requirements(document: dict[str, Any]) -> None:
    schemes = document["components"]["securitySchemes"]
    for name, header in (("userId", "X-User-Id"), ("authToken", "X-Auth-Token")):
        scheme = schemes[name]
        assert (scheme["type"], scheme["in"], scheme["name"]) == ("apiKey", "header", header)
    assert schemes["bearer"]["scheme"] == "bearer"
    for path, operation in operations(document):
        security = operation["security"]
        assert {"userId": [], "authToken": []} in security
        assert ({"bearer": []} in security) == (path in REST)
        # An empty requirement would allow anonymous requests.
        assert all(scheme and scheme.keys() <= schemes.keys() for scheme in security)


def test_methods_that_write_are_described(document: dict[str, Any]) -> None:
    for path, methods in WRITES.items():
        for method in methods:
            operation = document["paths"][path][method]
            success = {"post": "200" if "{id}" in path else "201", "delete": "204"}[method]
            statuses = {success, "400", "401", "403", "404", "406", "429"}
            assert statuses <= set(operation["responses"])
            assert ("requestBody" in operation) == (method == "post")
            assert operation["description"]
            assert {"bearer": []} in operation["security"]


def test_described_parameters_are_those_accepted(document: dict[str, Any], api: ApiClient) -> None:
    """Each path describes exactly the parameters that it accepts."""
    for path, operation in operations(document):
        parameters = operation["parameters"]
        assert all(parameter["description"] for parameter in parameters)
        in_path = {parameter["name"] for parameter in parameters if parameter["in"] == "path"}
        assert in_path == set(re.findall("{(.*?)}", path))
        names = sorted(parameter["name"] for parameter in parameters if parameter["in"] == "query")
        if path in REST:
            response = api.get(path.replace("{id}", "1"), {"what": "x"})
            message = f"Known: {', '.join(names) or 'none'}."
            assert message in problem(response, 400)["detail"]
        else:
            assert names == []


def test_described_values_are_those_accepted(document: dict[str, Any], api: ApiClient) -> None:
    """Lists of values of parameters are closed: all are accepted, and no other."""
    schemas = {
        parameter["name"]: parameter["schema"]
        for parameter in document["paths"][OPERATIONS]["get"]["parameters"]
    }
    listed = {name: schema["enum"] for name, schema in schemas.items() if "enum" in schema}
    assert set(listed) == {"state", "outcome", "ordering"}
    for name, values in listed.items():
        for value in values:
            api.body(OPERATIONS, {name: value})
        problem(api.get(OPERATIONS, {name: "something"}), 400)
    for name in ("has_errors", "stalled"):
        assert schemas[name]["type"] == "boolean"
        for value in ("true", "false"):
            api.body(OPERATIONS, {name: value})
    for name in ("started_after", "started_before", "finished_after", "finished_before"):
        assert schemas[name]["format"] == "date-time"
    size = schemas["page_size"]
    for value in (size["minimum"], size["maximum"]):
        api.body(OPERATIONS, {"page_size": value})
        api.body(WORKSPACES, {"page_size": value})
    for value in (size["minimum"] - 1, size["maximum"] + 1):
        problem(api.get(OPERATIONS, {"page_size": value}), 400)


def test_lists_of_values_in_responses_are_open(document: dict[str, Any]) -> None:
    """Clients must not break when Rocket.Chat adds steps and states."""
    schemas = [document["components"]["schemas"]]
    schemas += [operation["responses"] for _, operation in operations(document)]
    assert not [path for path, owner in walk(schemas) if "enum" in owner]
    known = [
        owner["x-extensible-enum"] for _, owner in walk(schemas) if "x-extensible-enum" in owner
    ]
    assert any("importer_importing_contacts" in values for values in known)
    assert any("canceled" in values for values in known)
    for name in ("Operation", "OperationDetail", "Transition"):
        properties = document["components"]["schemas"][name]["properties"]
        open_keys = {key for key, schema in properties.items() if "x-extensible-enum" in schema}
        assert open_keys >= {key for key in properties if key.endswith(("status", "state"))}


def test_examples_match_their_schemas(document: dict[str, Any]) -> None:
    """Each example matches its schema."""
    count = 0
    for path, owner in walk(document["paths"]):
        for name, example in owner.get("examples", {}).items():
            schema = {"components": document["components"], **owner["schema"]}
            errors = list(Draft202012Validator(schema).iter_errors(example["value"]))
            assert not errors, (path, name, errors)
            count += 1
    assert count > 50


@pytest.mark.long
def test_document_without_rest_api(client: Client, settings: Any) -> None:
    settings.ROOT_URLCONF = "tests.api.rest.urls_without_rest"
    document = client.get(SCHEMA, {"format": "json"}).json()
    assert {path.rpartition("/")[2] for path in document["paths"]} == ROCKETCHAT
    validate_schema(document)  # type: ignore[no-untyped-call] # it has no types


class TestOneLanguage:
    """The document is in English, whatever the language of the site or the request is."""

    @pytest.fixture(autouse=True)
    def _shouting(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Translate every text into upper case, except to English."""

        def shout(text: str) -> str:
            return text if (translation.get_language() or "en").startswith("en") else text.upper()

        monkeypatch.setattr("django.utils.translation._trans.gettext", shout)
        # Generate it anew.
        monkeypatch.setattr(views, "_documents", {})

    def test_the_fixture_translates(self) -> None:
        with translation.override("de"):
            assert translation.gettext("import operation") == "IMPORT OPERATION"

    @pytest.mark.thorough(one_in=3)
    @pytest.mark.parametrize("code", ["en-us", "de", "pt-br"])
    def test_site_language_is_ignored(self, client: Client, settings: Any, code: str) -> None:
        settings.LANGUAGE_CODE = code
        response = client.get(SCHEMA)
        assert response.content.decode() == GOLDEN.read_text()
        assert response["Content-Language"] == "en"

    @pytest.mark.thorough(one_in=3)
    @pytest.mark.parametrize("code", ["de", "pt-BR, pt;q=0.9", "zh-hans"])
    def test_accept_language_is_ignored(self, client: Client, code: str) -> None:
        response = client.get(SCHEMA, headers={"Accept-Language": code})
        assert response.content.decode() == GOLDEN.read_text()

    @pytest.mark.thorough(one_in=3)
    @pytest.mark.parametrize(
        "parameters", [{"lang": "de"}, {"lang": "<x>"}, {"version": "a\r\nX: y"}]
    )
    def test_query_parameters_are_ignored(self, client: Client, parameters: dict[str, str]) -> None:
        response = client.get(SCHEMA, parameters)
        assert response.content.decode() == GOLDEN.read_text()
        assert response["Content-Disposition"] == 'inline; filename="importmonitor.yaml"'


class Assets(HTMLParser):
    """The URLs of a page's assets."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.urls: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        if tag in {"link", "script", "img", "iframe"}:
            self.urls.append(attributes.get("href") or attributes.get("src") or f"inline: {tag}")


def test_docs_page_loads_local_assets_only(client: Client) -> None:
    response = client.get(DOCS)
    assert response.status_code == 200
    assets = Assets(response.content.decode()).urls
    assert len(assets) == 6
    for url in assets:
        if not url.startswith(DOCS):
            assert finders.find(url.removeprefix("/static/")), url
    script = client.get(DOCS, {"script": ""})
    assert script["Content-Type"] == "application/javascript"
    assert f'url: "{SCHEMA}"' in script.content.decode()
    assert not re.findall("https?://", response.content.decode() + script.content.decode())


@pytest.mark.parametrize("name", ["lang", "version", "script", "url"])
def test_docs_page_does_not_echo_parameters(client: Client, name: str) -> None:
    for parameters in ({name: "</script><script>alert(1)"}, {name: '";alert(1)//'}):
        for more in ({}, {"script": ""}):
            page = client.get(DOCS, parameters | more).content.decode()
            assert "<script>alert" not in page
            assert '";alert' not in page
