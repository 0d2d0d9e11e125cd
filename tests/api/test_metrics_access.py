"""Access to `/metrics`, and its formats."""

import ast
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from prometheus_client.openmetrics import parser
from prometheus_client.parser import text_string_to_metric_families

import importmonitor
from tests.api.helpers import credentials, make_user, sync
from tests.api.metrics import COMPLETE

pytestmark = [pytest.mark.django_db, pytest.mark.urls("importmonitor.contrib.prometheus.urls")]


@pytest.mark.parametrize(
    "codename", ["run-import", "view_importoperation", "view-import-operations"]
)
def test_each_permission_allows_scraping(client: Client, codename: str) -> None:
    user = make_user("prometheus", codename)
    rocketchat = credentials(user)
    bearer = {"Authorization": f"Bearer {rocketchat['X-Auth-Token']}"}
    assert client.get("/metrics", headers=rocketchat).status_code == 200
    assert client.get("/metrics", headers=bearer).status_code == 200
    client.force_login(user)
    assert client.get("/metrics").status_code == 200


def test_missing_credentials_and_permission_are_refused(client: Client) -> None:
    anonymous = client.get("/metrics")
    assert anonymous.status_code == 401
    assert anonymous["WWW-Authenticate"] == "Bearer"
    wrong = client.get("/metrics", headers={"Authorization": f"Bearer {'0' * 55}"})
    assert wrong.status_code == 401
    stranger = make_user("stranger")
    # Prometheus does not accept JSON; the error is sent as JSON anyway.
    accept = {"Accept": "text/plain;version=0.0.4"}
    refused = client.get("/metrics", headers=credentials(stranger) | accept)
    assert refused.status_code == 403
    assert set(anonymous.json()) == set(refused.json()) >= {"detail"}
    client.force_login(stranger)
    assert client.get("/metrics").status_code == 403


def test_only_reading_methods_are_allowed(client: Client, headers: dict[str, str]) -> None:
    assert client.head("/metrics", headers=headers).status_code == 200
    assert client.options("/metrics", headers=headers).status_code == 200
    for method in (client.post, client.put, client.patch, client.delete):
        assert method("/metrics", headers=headers).status_code == 405
    assert client.post("/metrics").status_code == 401


def test_accept_selects_the_format(client: Client, headers: dict[str, str]) -> None:
    sync(COMPLETE)
    plain = client.get("/metrics", headers=headers)
    assert plain["Content-Type"].startswith("text/plain; version=0.0.4")
    assert plain["Cache-Control"] == "no-store"
    families = {family.name for family in text_string_to_metric_families(plain.content.decode())}
    # As Prometheus 3 sends it.
    accept = (
        "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,"
        "text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
    )
    other = client.get("/metrics", headers=headers | {"Accept": accept})
    assert other["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    openmetrics: Any = parser
    parsed = openmetrics.text_string_to_metric_families(other.content.decode())
    assert {family.name.removesuffix("_info") for family in parsed} == {
        name.removesuffix("_info") for name in families
    }


@pytest.mark.parametrize(
    "accept", ["application/json", "text/plain;version=x", "application/openmetrics-text;version=x"]
)
def test_unusual_accept_gets_metrics(client: Client, headers: dict[str, str], accept: str) -> None:
    response = client.get("/metrics?format=nonsense", headers=headers | {"Accept": accept})
    assert response.status_code == 200
    assert response["Content-Type"].startswith(("text/plain; version=", "application/openmetrics"))
    assert b"importmonitor_build_info" in response.content


def test_only_contrib_imports_prometheus() -> None:
    package = Path(importmonitor.__file__).parent
    for path in package.rglob("*.py"):
        if path.is_relative_to(package / "contrib"):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            aliases = getattr(node, "names", [])
            names = [alias.name for alias in aliases if hasattr(alias, "name")]
            where = [getattr(node, "module", None) or "", *names]
            assert not any("prometheus" in name or "contrib.pro" in name for name in where), path
