"""Our bodies against the JSON schemas that Rocket.Chat itself ships.

Rocket.Chat validates its responses in its own tests only: users get what is in its database, as
they do from us. So a document that violates a schema is passed on unchanged.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pytest
from django.test import Client

from importmonitor.models import ImportOperation
from simulator.kinds import KINDS
from simulator.workspace import Workspace
from tests.api.helpers import RUNNING, sync
from tests.clients import node
from tests.clients.live_server import API, ENDPOINTS, Mirror

if TYPE_CHECKING:
    from simulator.writes import Ending

pytestmark = [node.required, pytest.mark.django_db]

CURRENT, LATEST, PROGRESS, STATUS = (API + endpoint for endpoint in ENDPOINTS[:4])
ABSENT = object()
NOT_A_STEP = "must be equal to one of the allowed values"


@pytest.fixture
def mirror(db: None, workspace: Workspace) -> Mirror:
    return Mirror("", workspace)


def body(mirror: Mirror, path: str, name: str = "tool") -> Any:
    """Return the body of our response to a user."""
    return Client().get(path, headers=mirror.headers(name)).json()


def operation_bodies(mirror: Mirror) -> list[tuple[str | int, Any]]:
    """Return all bodies about operations, with their schemas."""
    current = body(mirror, CURRENT)["operation"]
    assert body(mirror, STATUS)["operation"] == current
    return [
        ("IImport", current),
        *[("IImport", operation) for operation in body(mirror, LATEST)],
        ("ProgressStep", body(mirror, PROGRESS)["step"]),
    ]


@pytest.mark.parametrize(
    ("kinds", "ending"),
    [(tuple(KINDS), "done"), (("csv",), "done-with-errors"), (("slack",), "cancelled")],
)
def test_imports_match_schemas_from_start_to_end(
    mirror: Mirror, workspace: Workspace, kinds: tuple[str, ...], ending: "Ending"
) -> None:
    bodies: list[tuple[str | int, Any]] = []
    for kind in kinds:
        workspace.start_import(kind, ending, seconds=100)
        for _ in range(5):
            mirror.sync()
            bodies += operation_bodies(mirror)
            workspace.clock.advance(25)
    errors = node.validate(bodies)
    assert [pair for pair in zip(bodies, errors, strict=True) if pair[1]] == []


def test_interrupted_import_matches_schemas(mirror: Mirror, workspace: Workspace) -> None:
    workspace.start_import("slack", seconds=100)
    workspace.clock.advance(60)
    workspace.restart()
    mirror.sync()
    assert body(mirror, STATUS)["state"] == "error"
    assert not any(node.validate(operation_bodies(mirror)))


def test_errors_match_schemas(mirror: Mirror) -> None:
    bodies: list[tuple[str | int, Any]] = []
    for path in (CURRENT, LATEST, PROGRESS, STATUS):
        bodies.append((401, body(mirror, path, "with a wrong token")))
        bodies.append((403, body(mirror, path, "stranger")))
    bodies += [(400, body(mirror, f"{path}?count=1")) for path in (CURRENT, LATEST, PROGRESS)]
    bodies.append((400, body(mirror, PROGRESS)))
    assert not any(node.validate(bodies))
    assert all(error["success"] is False for _kind, error in bodies)


def test_never_synced_workspace_matches_error_schema(mirror: Mirror, two_workspaces: None) -> None:
    """Rocket.Chat has no such error; ours has the form of its 500."""
    assert node.validate([(500, body(mirror, "/workspaces/acme" + CURRENT))]) == [[]]


#: Changes of a document, and the errors of the schema.
VIOLATIONS: tuple[tuple[Mapping[str, Any], list[str]], ...] = (
    ({}, []),
    ({"count": ABSENT}, []),
    ({"count": {}}, []),
    ({"count": {"total": 135, "completed": 179, "elephants": 2}}, []),
    ({"count": None}, ["/count must be object"]),
    # Rocket.Chat 6.2.5.
    (
        {"count": {"total": "0[object Promise]", "messages": {}}},
        ["/count/total must be number", "/count/messages must be number"],
    ),
    # As 6.2 and older send it; the schema on the vendor's page of the endpoint requires it.
    ({"ts": 1_635_337_234_169}, ["/ts must be string"]),
    ({"ts": "1635337234169"}, ["/ts must be string"]),
    ({"ts": "yesterday"}, ['/ts must match format "date-time"']),
    # A format that Rocket.Chat never uses, but the schema accepts.
    ({"ts": "2021-10-27 14:20:34.169999+02:00"}, []),
    ({"valid": "true"}, []),
    ({"valid": "yes"}, ["/valid must be boolean"]),
    ({"status": "importer_importing_emoji"}, [f"/status {NOT_A_STEP}"]),
    ({"user": None}, ["/user must be string"]),
    ({"file": None}, ["/file must be string"]),
    ({"messagesstatus": None, "federation": {"deep": [None]}}, []),
    ({"fileData": {"users": [{"email": "ada@example.org"}]}}, []),
    *[
        ({key: ABSENT}, [f"must have required property '{key}'"])
        for key in ("_id", "type", "importerKey", "ts", "status", "valid", "user", "_updatedAt")
    ],
)


def test_violations_are_passed_on(mirror: Mirror) -> None:
    operations = []
    for number, (changes, _errors) in enumerate(VIOLATIONS):
        ImportOperation.objects.all().delete()
        document = {**RUNNING, "_id": f"{number:024x}", **changes}
        sync({key: value for key, value in document.items() if value is not ABSENT})
        current = body(mirror, CURRENT)["operation"]
        assert body(mirror, LATEST) == [current]
        operations.append(current)
    errors = node.validate([("IImport", operation) for operation in operations])
    expected = [(violation, violation[1]) for violation in VIOLATIONS]
    assert list(zip(VIOLATIONS, errors, strict=True)) == expected


def test_unknown_step_has_no_state(mirror: Mirror) -> None:
    sync({**RUNNING, "status": "importer_dreaming"})
    assert node.validate([("ProgressStep", body(mirror, PROGRESS)["step"])]) == [[NOT_A_STEP]]
    # JSON.stringify omits what is undefined.
    assert body(mirror, STATUS).keys() == {"operation", "success"}


def test_validator_rejects_bodies_of_django() -> None:
    bodies = [{"detail": "No."}, {"success": "false"}, {"success": False, "error": {}}, "No.", None]
    assert all(node.validate([(kind, body) for kind in (400, 401, 403, 500) for body in bodies]))
