"""The document: as it was last agreed upon, valid, complete, and in one language."""

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

from tests.api.rest.asking import OPERATIONS, PROBLEM, WORKSPACES, Asking, five, problem
from tests.api.rest.document import operations, read

GOLDEN = Path(__file__).resolve().parent.parent / "openapi.yaml"
SCHEMA = "/api/schema/"
DOCS = "/api/docs/"
ROCKETCHAT = {
    *("getCurrentImportOperation", "getLatestImportOperations"),
    *("getImportProgress", "import.status"),
}
REST = {each.replace("7", "{id}") for each in five(7)}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return read()


def walk(value: Any, *path: str) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    """Yield every object in a document with its place."""
    if isinstance(value, dict):
        yield path, value
        for key, each in value.items():
            yield from walk(each, *path, key)
    elif isinstance(value, list):
        for each in value:
            yield from walk(each, *path)


def test_golden(client: Client) -> None:
    """UPDATE_GOLDEN=1 writes it anew; what that changes is to be meant."""
    found = client.get(SCHEMA).content.decode()
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.write_text(found)
    assert found == GOLDEN.read_text()


def test_valid(document: dict[str, Any]) -> None:
    validate_schema(document)  # type: ignore[no-untyped-call] # it has no types
    assert document["openapi"].startswith("3.1")
    for schema in document["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


def test_json_and_yaml(client: Client, document: dict[str, Any]) -> None:
    assert client.get(SCHEMA)["Content-Type"] == "application/vnd.oai.openapi; charset=utf-8"
    assert client.get(SCHEMA, {"format": "json"}).json() == document
    assert client.get(SCHEMA, headers={"Accept": "application/json"}).json() == document


def test_nothing_of_older_versions(document: dict[str, Any]) -> None:
    """What 3.0 said in other words means nothing in 3.1, and goes unnoticed."""
    for path, each in walk(document):
        if "properties" not in path[-1:]:
            assert not each.keys() & {"nullable", "x-spec-enum-id"}, path
        if "schemas" in path and "properties" not in path[-1:]:
            assert "example" not in each, path


def test_references_lead_somewhere(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    used = {each["$ref"] for _, each in walk(document) if "$ref" in each}
    assert used == {f"#/components/schemas/{name}" for name in schemas}


def test_all_of_ours_and_nothing_else(document: dict[str, Any]) -> None:
    mirrored = {f"/api/v1/{name}" for name in ROCKETCHAT}
    assert set(document["paths"]) == {
        *REST,
        *mirrored,
        *(f"/workspaces/{{alias}}{path}" for path in mirrored),
    }
    assert {tuple(each) for each in document["paths"].values()} == {("get",)}
    names = [operation["operationId"] for _, operation in operations(document)]
    assert len(set(names)) == len(names) == 13


def test_answers(document: dict[str, Any]) -> None:
    """Every path tells of every answer that it has, and in what form."""
    for path, operation in operations(document):
        told = {
            status: "".join(answer.get("content", {}))
            for status, answer in operation["responses"].items()
        }
        if path in REST:
            wanted = dict.fromkeys(("400", "401", "403", "404", "406", "429"), PROBLEM)
        else:
            wanted = dict.fromkeys(("400", "401", "403", "429", "503"), "application/json")
            wanted |= {"404": "text/plain", "412": ""}
        if path.endswith("import.status"):
            del wanted["400"]
        assert told == wanted | {"200": "application/json", "304": ""}, path
        assert all(answer["description"] is not None for answer in operation["responses"].values())
        for status in ("200", "304"):
            assert "ETag" in operation["responses"][status]["headers"]
        assert operation["responses"]["200"]["content"]["application/json"]["examples"]
        assert operation["description"]


def test_who_may_ask(document: dict[str, Any]) -> None:
    schemes = document["components"]["securitySchemes"]
    for name, header in (("userId", "X-User-Id"), ("authToken", "X-Auth-Token")):
        found = schemes[name]
        assert (found["type"], found["in"], found["name"]) == ("apiKey", "header", header)
    assert schemes["bearer"]["scheme"] == "bearer"
    for path, operation in operations(document):
        security = operation["security"]
        assert {"userId": [], "authToken": []} in security
        assert ({"bearer": []} in security) == (path in REST)
        # An empty one would mean: nobody in particular.
        assert all(each and each.keys() <= schemes.keys() for each in security)


def test_parameters(document: dict[str, Any], asking: Asking) -> None:
    """The parameters that are told are those that are understood, each by itself."""
    for path, operation in operations(document):
        found = operation["parameters"]
        assert all(each["description"] for each in found)
        in_path = {each["name"] for each in found if each["in"] == "path"}
        assert in_path == set(re.findall("{(.*?)}", path))
        asked = sorted(each["name"] for each in found if each["in"] == "query")
        if path in REST:
            response = asking.get(path.replace("{id}", "1"), {"what": "x"})
            known = f"Known: {', '.join(asked) or 'none'}."
            assert known in problem(response, 400)["detail"]
        else:
            assert asked == []


def test_values_of_parameters(document: dict[str, Any], asking: Asking) -> None:
    """The lists of values of parameters are closed: each is understood, and no other."""
    found = {
        each["name"]: each["schema"] for each in document["paths"][OPERATIONS]["get"]["parameters"]
    }
    listed = {name: schema["enum"] for name, schema in found.items() if "enum" in schema}
    assert set(listed) == {"state", "outcome", "ordering"}
    for name, values in listed.items():
        for value in values:
            asking.body(OPERATIONS, {name: value})
        problem(asking.get(OPERATIONS, {name: "something"}), 400)
    for name in ("has_errors", "stalled"):
        assert found[name]["type"] == "boolean"
        for value in ("true", "false"):
            asking.body(OPERATIONS, {name: value})
    for name in ("started_after", "started_before", "finished_after", "finished_before"):
        assert found[name]["format"] == "date-time"
    size = found["page_size"]
    for value in (size["minimum"], size["maximum"]):
        asking.body(OPERATIONS, {"page_size": value})
        asking.body(WORKSPACES, {"page_size": value})
    for value in (size["minimum"] - 1, size["maximum"] + 1):
        problem(asking.get(OPERATIONS, {"page_size": value}), 400)


def test_lists_of_values_are_open(document: dict[str, Any]) -> None:
    """Rocket.Chat's steps and states have grown before: no client is to break when they do."""
    answers = [document["components"]["schemas"]]
    answers += [operation["responses"] for _, operation in operations(document)]
    assert not [path for path, each in walk(answers) if "enum" in each]
    known = [each["x-extensible-enum"] for _, each in walk(answers) if "x-extensible-enum" in each]
    assert any("importer_importing_contacts" in each for each in known)
    assert any("canceled" in each for each in known)
    for name in ("Operation", "OperationDetail", "Transition"):
        properties = document["components"]["schemas"][name]["properties"]
        told = {key for key, each in properties.items() if "x-extensible-enum" in each}
        assert told >= {key for key in properties if key.endswith(("status", "state"))}


def test_examples(document: dict[str, Any]) -> None:
    """Each example is what its own schema says."""
    seen = 0
    for path, each in walk(document["paths"]):
        for name, example in each.get("examples", {}).items():
            schema = {"components": document["components"], **each["schema"]}
            errors = list(Draft202012Validator(schema).iter_errors(example["value"]))
            assert not errors, (path, name, errors)
            seen += 1
    assert seen > 50


def test_without_the_rest_face(client: Client, settings: Any) -> None:
    settings.ROOT_URLCONF = "tests.api.rest.urls_mirror_alone"
    found = client.get(SCHEMA, {"format": "json"}).json()
    assert {path.rpartition("/")[2] for path in found["paths"]} == ROCKETCHAT
    validate_schema(found)  # type: ignore[no-untyped-call] # it has no types


class TestOneLanguage:
    """It is written once, in English, whatever language the site and its readers speak."""

    @pytest.fixture(autouse=True)
    def _shouting(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Translate everything into every language but English, more than any catalogue does."""

        def shout(text: str) -> str:
            return text if (translation.get_language() or "en").startswith("en") else text.upper()

        monkeypatch.setattr("django.utils.translation._trans.gettext", shout)

    def test_the_means(self) -> None:
        with translation.override("de"):
            assert translation.gettext("import operation") == "IMPORT OPERATION"

    @pytest.mark.parametrize("code", ["en-us", "de", "pt-br"])
    def test_the_site_s(self, client: Client, settings: Any, code: str) -> None:
        settings.LANGUAGE_CODE = code
        response = client.get(SCHEMA)
        assert response.content.decode() == GOLDEN.read_text()
        assert response["Content-Language"] == "en"

    @pytest.mark.parametrize("code", ["de", "pt-BR, pt;q=0.9", "zh-hans"])
    def test_the_reader_s(self, client: Client, code: str) -> None:
        response = client.get(SCHEMA, headers={"Accept-Language": code})
        assert response.content.decode() == GOLDEN.read_text()

    @pytest.mark.parametrize("asked", [{"lang": "de"}, {"lang": "<x>"}, {"version": "a\r\nX: y"}])
    def test_the_address_s(self, client: Client, asked: dict[str, str]) -> None:
        response = client.get(SCHEMA, asked)
        assert response.content.decode() == GOLDEN.read_text()
        assert response["Content-Disposition"] == 'inline; filename="importmonitor.yaml"'


class Assets(HTMLParser):
    """Where a page takes its parts from."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag in {"link", "script", "img", "iframe"}:
            self.found.append(given.get("href") or given.get("src") or f"none of its own: {tag}")


def test_the_page_takes_nothing_from_elsewhere(client: Client) -> None:
    response = client.get(DOCS)
    assert response.status_code == 200
    assets = Assets(response.content.decode()).found
    assert len(assets) == 5
    for each in assets:
        if not each.startswith(DOCS):
            assert finders.find(each.removeprefix("/static/")), each
    script = client.get(DOCS, {"script": ""})
    assert script["Content-Type"] == "application/javascript"
    assert f'url: "{SCHEMA}"' in script.content.decode()
    assert not re.findall("https?://", response.content.decode() + script.content.decode())


@pytest.mark.parametrize("name", ["lang", "version", "script", "url"])
def test_the_page_repeats_nothing(client: Client, name: str) -> None:
    for asked in ({name: "</script><script>alert(1)"}, {name: '";alert(1)//'}):
        for more in ({}, {"script": ""}):
            told = client.get(DOCS, asked | more).content.decode()
            assert "<script>alert" not in told
            assert '";alert' not in told
