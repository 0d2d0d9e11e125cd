"""Our bodies, judged by the JSON schemas that Rocket.Chat itself ships.

Rocket.Chat applies them to its answers in its own tests alone: to its users it sends what is in
its database, as we do. So where a document departs from them, we pass the departure on.
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
from tests.clients.live_server import API, ENDPOINTS, House

if TYPE_CHECKING:
    from simulator.writes import Ending

pytestmark = [node.needed, pytest.mark.django_db]

CURRENT, LATEST, PROGRESS, STATUS = (API + endpoint for endpoint in ENDPOINTS[:4])
ABSENT = object()
NOT_A_STEP = "must be equal to one of the allowed values"


@pytest.fixture
def house(db: None, workspace: Workspace) -> House:
    return House("", workspace)


def body(house: House, path: str, name: str = "tool") -> Any:
    """Return the body of our answer to somebody."""
    return Client().get(path, headers=house.headers(name)).json()


def told(house: House) -> list[tuple[str | int, Any]]:
    """Return everything that the endpoints tell of operations, each with its schema."""
    current = body(house, CURRENT)["operation"]
    assert body(house, STATUS)["operation"] == current
    return [
        ("IImport", current),
        *[("IImport", each) for each in body(house, LATEST)],
        ("ProgressStep", body(house, PROGRESS)["step"]),
    ]


@pytest.mark.parametrize(
    ("kinds", "ending"),
    [(tuple(KINDS), "done"), (("csv",), "done-with-errors"), (("slack",), "cancelled")],
)
def test_imports_from_start_to_end(
    house: House, workspace: Workspace, kinds: tuple[str, ...], ending: "Ending"
) -> None:
    judged: list[tuple[str | int, Any]] = []
    for kind in kinds:
        workspace.start_import(kind, ending, seconds=100)
        for _ in range(5):
            house.catch_up()
            judged += told(house)
            workspace.clock.advance(25)
    found = node.judge(judged)
    assert [pair for pair in zip(judged, found, strict=True) if pair[1]] == []


def test_a_restart_in_the_middle(house: House, workspace: Workspace) -> None:
    workspace.start_import("slack", seconds=100)
    workspace.clock.advance(60)
    workspace.restart()
    house.catch_up()
    assert body(house, STATUS)["state"] == "error"
    assert not any(node.judge(told(house)))


def test_refusals(house: House) -> None:
    judged: list[tuple[str | int, Any]] = []
    for path in (CURRENT, LATEST, PROGRESS, STATUS):
        judged.append((401, body(house, path, "with a wrong token")))
        judged.append((403, body(house, path, "stranger")))
    judged += [(400, body(house, f"{path}?count=1")) for path in (CURRENT, LATEST, PROGRESS)]
    judged.append((400, body(house, PROGRESS)))
    assert not any(node.judge(judged))
    assert all(each["success"] is False for _kind, each in judged)


def test_what_was_never_synced(house: House, two_workspaces: None) -> None:
    """Rocket.Chat has no such answer; it takes the form of one that it has."""
    assert node.judge([(500, body(house, "/workspaces/acme" + CURRENT))]) == [[]]


#: What stands otherwise in a document, and what the schema has against it.
DEPARTURES: tuple[tuple[Mapping[str, Any], list[str]], ...] = (
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
    # As 6.2 and older send it; the schema on the vendor's page of the endpoint wants just that.
    ({"ts": 1_635_337_234_169}, ["/ts must be string"]),
    ({"ts": "1635337234169"}, ["/ts must be string"]),
    ({"ts": "yesterday"}, ['/ts must match format "date-time"']),
    # A form that Rocket.Chat never uses, yet the schema does not mind.
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


def test_departures_are_passed_on(house: House) -> None:
    found = []
    for number, (changes, _wrong) in enumerate(DEPARTURES):
        ImportOperation.objects.all().delete()
        document = {**RUNNING, "_id": f"{number:024x}", **changes}
        sync({key: value for key, value in document.items() if value is not ABSENT})
        current = body(house, CURRENT)["operation"]
        assert body(house, LATEST) == [current]
        found.append(current)
    wrong = node.judge([("IImport", current) for current in found])
    assert list(zip(DEPARTURES, wrong, strict=True)) == [(each, each[1]) for each in DEPARTURES]


def test_a_step_that_is_new_to_everybody(house: House) -> None:
    sync({**RUNNING, "status": "importer_dreaming"})
    assert node.judge([("ProgressStep", body(house, PROGRESS)["step"])]) == [[NOT_A_STEP]]
    # As JavaScript leaves out what is undefined.
    assert body(house, STATUS).keys() == {"operation", "success"}


def test_the_judge_knows_a_body_of_djangos() -> None:
    wrong = [{"detail": "No."}, {"success": "false"}, {"success": False, "error": {}}, "No.", None]
    assert all(node.judge([(kind, each) for kind in (400, 401, 403, 500) for each in wrong]))
