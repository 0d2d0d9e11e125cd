"""Our server in the place of a Rocket.Chat, the people who ask it, and what they are to hear."""

import json
from dataclasses import dataclass
from typing import Any

from importmonitor.sync.poll import sync_workspace
from simulator.wire import answer
from simulator.workspace import Workspace
from tests.api.helpers import credentials, make_user
from tests.fake_client import FakeClient

API = "/api/v1/"
UNKNOWN = "getImportWeather"
ENDPOINTS = (
    "getCurrentImportOperation",
    "getLatestImportOperations",
    "getImportProgress",
    "import.status",
    UNKNOWN,
)
#: Who asks, and with which permissions: Rocket.Chat's and ours have the same names.
PEOPLE = {
    "tool": ("run-import", "view-import-operations"),
    "runner": ("run-import",),
    "viewer": ("view-import-operations",),
    "stranger": (),
    "with a wrong token": ("run-import", "view-import-operations"),
}


#: What Rocket.Chat tells who asks too often.
TOO_MANY = (
    r"Error, too many requests\. Please slow down\. You must wait [1-9]\d* seconds before trying "
    r"this endpoint again\. \[error-too-many-requests\]"
)


@dataclass(frozen=True)
class Answer:
    """An HTTP answer: its status, and its body as JSON or, if it is none, as text."""

    status: int
    body: Any

    @classmethod
    def read(cls, status: int, text: str) -> "Answer":
        """Read an answer's text."""
        try:
            return cls(status, json.loads(text))
        except ValueError:
            return cls(status, text)


class House:
    """Our server at `url`, and the workspace in whose place it answers."""

    def __init__(self, url: str, workspace: Workspace) -> None:
        self.url = url
        self._workspace = workspace
        self._here: dict[str, dict[str, str]] = {}
        self._there: dict[str, dict[str, str]] = {}
        for number, (name, permissions) in enumerate(PEOPLE.items()):
            there = {"X-User-Id": f"user{number:013}", "X-Auth-Token": f"token{number:038}"}
            workspace.add_user(there["X-User-Id"], there["X-Auth-Token"], permissions)
            self._there[name] = there
            self._here[name] = credentials(make_user(name, *permissions))
        wrong = {"X-Auth-Token": "z" * 55}
        for known in (self._here, self._there):
            known["with a wrong token"] |= wrong
        self.catch_up()

    def headers(self, name: str) -> dict[str, str]:
        """Return somebody's credentials at our server."""
        return self._here[name]

    def catch_up(self) -> None:
        """Sync what the workspace would answer now, by its own clock."""
        clock = self._workspace.clock
        near: Any = FakeClient(self._workspace)
        result = sync_workspace("default", client=near, now=clock.now)
        assert result.ok, result.error

    def import_something(self) -> None:
        """Let one import end, and another come half-way."""
        clock = self._workspace.clock
        self._workspace.start_import("csv", "done-with-errors", seconds=600)
        clock.advance(1000)
        self.catch_up()
        self._workspace.start_import("slack", seconds=600)
        clock.advance(400)
        self.catch_up()

    def expected(self, name: str, endpoint: str) -> Answer:
        """Return what Rocket.Chat itself answers somebody now."""
        found = answer(self._workspace, "GET", API + endpoint, headers=self._there[name])
        return Answer.read(found.status, found.body.decode())
