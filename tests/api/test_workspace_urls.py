"""Several workspaces, and the app's URLs under a prefix."""

from typing import Any

import pytest
from django.test import Client

from tests.api.helpers import PATH, RUNNING, sync, sync_nothing, sync_refused, workspace_at

ACME = "/workspaces/acme" + PATH


@pytest.fixture(autouse=True)
def _two_workspaces(settings: Any) -> None:
    settings.IMPORTMONITOR = {
        "WORKSPACES": {
            "default": workspace_at("http://127.0.0.1:9"),
            "acme": workspace_at("http://127.0.0.1:9/acme"),
            "globex-2_x": workspace_at("http://127.0.0.1:9/globex"),
        }
    }


def test_workspaces_have_separate_operations(client: Client, headers: dict[str, str]) -> None:
    ours = {**RUNNING, "_id": "default0000000001"}
    # The same id in two workspaces is two operations.
    theirs = {**ours, "type": "Slack"}
    sync(ours)
    assert client.get(ACME, headers=headers).status_code == 503
    sync(theirs, alias="acme")
    sync_nothing(alias="globex-2_x")
    assert client.get(PATH, headers=headers).json()["operation"] == ours
    assert client.get(ACME, headers=headers).json()["operation"] == theirs
    globex = client.get("/workspaces/globex-2_x" + PATH, headers=headers)
    assert globex.json() == {"success": True}


def test_workspaces_have_separate_sync_status(client: Client, headers: dict[str, str]) -> None:
    sync(RUNNING)
    sync(RUNNING, alias="acme")
    sync_refused(alias="acme")
    assert client.get(PATH, headers=headers)["X-Import-Sync"] == "ok"
    assert client.get(ACME, headers=headers)["X-Import-Sync"] == "failing"


def test_default_has_two_urls(client: Client, headers: dict[str, str]) -> None:
    sync(RUNNING)
    bodies = [
        client.get(path, headers=headers).content for path in (PATH, "/workspaces/default" + PATH)
    ]
    assert bodies[0] == bodies[1]


@pytest.mark.parametrize("alias", ["nowhere", "ACME", "acme%20", "%00", "ac%C3%A9me", "acme%0A"])
def test_unknown_alias_is_404(client: Client, headers: dict[str, str], alias: str) -> None:
    response = client.get(f"/workspaces/{alias}{PATH}", headers=headers)
    assert response.status_code == 404
    assert response.content == b"404 Not Found"


def test_removed_workspace_is_404(client: Client, headers: dict[str, str], settings: Any) -> None:
    sync(RUNNING, alias="acme")
    settings.IMPORTMONITOR = {"WORKSPACES": {}}
    assert client.get(ACME, headers=headers).status_code == 404
    assert client.get(PATH, headers=headers).status_code == 404


def test_invalid_settings_do_not_prevent_reading(
    client: Client, headers: dict[str, str], settings: Any
) -> None:
    sync(RUNNING)
    settings.IMPORTMONITOR = {"WORKSPACES": {"default": {"URL": "nonsense"}}, "TYPO": 1}
    assert client.get(PATH, headers=headers).json()["operation"] == RUNNING


def test_urls_work_under_a_prefix(client: Client, headers: dict[str, str], settings: Any) -> None:
    settings.ROOT_URLCONF = "tests.api.urls_elsewhere"
    sync(RUNNING)
    sync_nothing(alias="acme")
    prefix = "/chat/mirror"
    assert client.get(prefix + PATH, headers=headers).json()["operation"] == RUNNING
    assert client.get(prefix + ACME, headers=headers).json() == {"success": True}
    assert client.get(prefix + PATH + "/", headers=headers).content == b"404 Not Found"
    assert client.get(PATH, headers=headers).status_code == 404
