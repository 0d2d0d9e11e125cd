"""The endpoint and a Rocket.Chat 8 are asked the same, and answer the same."""

import json
from typing import Any

import pytest
from django.test import Client

from project.simulator.wire import answer
from project.simulator.workspace import Workspace
from tests.api.helpers import PATH, credentials, make_user, sync, sync_nothing

THERE = {"X-User-Id": "toooooooooooooool", "X-Auth-Token": "there"}


@pytest.fixture
def who(workspace: Workspace, headers: dict[str, str]) -> dict[str, tuple[Any, Any]]:
    """The headers of each kind of caller, for Rocket.Chat and for us."""
    workspace.add_user(THERE["X-User-Id"], THERE["X-Auth-Token"])
    stranger = {"X-User-Id": "straaaaaaaaaanger", "X-Auth-Token": "stranger"}
    workspace.add_user(stranger["X-User-Id"], stranger["X-Auth-Token"], permissions=())
    return {
        "tool": (THERE, headers),
        "stranger": (stranger, credentials(make_user("stranger"))),
        "wrong": (THERE | {"X-Auth-Token": "no"}, headers | {"X-Auth-Token": "no"}),
        "nobody": ({}, {}),
    }


def catch_up(workspace: Workspace) -> None:
    """Sync what the workspace would answer now, by its own clock."""
    operation, at = workspace.current(), workspace.clock.now()
    if operation is None:
        sync_nothing(at=at)
    else:
        sync(operation, at=at)


@pytest.mark.thorough(one_in=4)
@pytest.mark.parametrize("asking", ["tool", "stranger", "wrong", "nobody"])
@pytest.mark.parametrize(
    ("method", "path", "query"),
    [
        ("GET", PATH, ""),
        ("GET", PATH, "_=1"),
        ("GET", PATH + "/", ""),
        ("GET", PATH.lower(), ""),
        ("POST", PATH, ""),
        ("DELETE", PATH, "a"),
    ],
)
@pytest.mark.parametrize("imported", [False, True])
def test_the_same_answer(
    workspace: Workspace,
    client: Client,
    who: dict[str, tuple[Any, Any]],
    asking: str,
    method: str,
    path: str,
    query: str,
    imported: bool,
) -> None:
    if imported:
        workspace.start_import("slack", seconds=600)
        workspace.clock.advance(300)
    catch_up(workspace)
    theirs, ours = who[asking]
    expected = answer(workspace, method, path, query, theirs)
    found = client.generic(method, f"{path}?{query}", headers=ours)
    assert found.status_code == expected.status
    if expected.status == 200:
        # No database promises the order of a document's keys.
        assert found.json() == json.loads(expected.body)
    else:
        assert found.content == expected.body
    assert _media_type(found["Content-Type"]) == _media_type(expected.headers["Content-Type"])
    if "Cache-Control" in expected.headers:
        assert found["Cache-Control"] == expected.headers["Cache-Control"]


@pytest.mark.thorough(one_in=4)
@pytest.mark.parametrize("iso_ts", [False, True])
@pytest.mark.parametrize("kind", ["csv", "slack", "pending-avatars", "omnichannel_contact"])
def test_the_same_operation_at_every_moment(
    workspace: Workspace, client: Client, headers: dict[str, str], kind: str, iso_ts: bool
) -> None:
    workspace.iso_ts = iso_ts
    workspace.start_import(kind, seconds=100)
    for _ in range(6):
        catch_up(workspace)
        body = client.get(PATH, headers=headers).json()
        assert body == {"operation": workspace.current(), "success": True}
        workspace.clock.advance(25)
    assert body["operation"]["status"] == "importer_done"


def _media_type(content_type: str) -> str:
    return content_type.partition(";")[0]
