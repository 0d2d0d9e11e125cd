"""Our server as a mirror of a Rocket.Chat, its users, and the responses that they expect."""

import json
from dataclasses import dataclass
from typing import Any

from importmonitor.sync.poll import sync_workspace
from simulator.responses import respond
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
#: Users and their permissions, which have the same names in Rocket.Chat and here.
USERS = {
    "tool": ("run-import", "view-import-operations"),
    "runner": ("run-import",),
    "viewer": ("view-import-operations",),
    "stranger": (),
    "with a wrong token": ("run-import", "view-import-operations"),
}

#: Rocket.Chat's error for too many requests.
TOO_MANY_REQUESTS = (
    r"Error, too many requests\. Please slow down\. You must wait [1-9]\d* seconds before trying "
    r"this endpoint again\. \[error-too-many-requests\]"
)


@dataclass(frozen=True)
class Response:
    """An HTTP response: its status, and its body as JSON or, if it is not JSON, as text."""

    status: int
    body: Any

    @classmethod
    def parse(cls, status: int, text: str) -> "Response":
        """Parse a response's text."""
        try:
            return cls(status, json.loads(text))
        except ValueError:
            return cls(status, text)


class Mirror:
    """Our server at `url`, and the workspace that it mirrors."""

    def __init__(self, url: str, workspace: Workspace) -> None:
        self.url = url
        self._workspace = workspace
        self._our_headers: dict[str, dict[str, str]] = {}
        self._remote_headers: dict[str, dict[str, str]] = {}
        for number, (name, permissions) in enumerate(USERS.items()):
            remote = {"X-User-Id": f"user{number:013}", "X-Auth-Token": f"token{number:038}"}
            workspace.add_user(remote["X-User-Id"], remote["X-Auth-Token"], permissions)
            self._remote_headers[name] = remote
            self._our_headers[name] = credentials(make_user(name, *permissions))
        wrong = {"X-Auth-Token": "z" * 55}
        for headers in (self._our_headers, self._remote_headers):
            headers["with a wrong token"] |= wrong
        self.sync()

    def headers(self, name: str) -> dict[str, str]:
        """Return the headers of a user of our server."""
        return self._our_headers[name]

    def sync(self) -> None:
        """Sync the workspace, by its own clock."""
        clock = self._workspace.clock
        client: Any = FakeClient(self._workspace)
        result = sync_workspace("default", client=client, now=clock.now)
        assert result.ok, result.error

    def run_imports(self) -> None:
        """Run one import to its end, and another half-way."""
        clock = self._workspace.clock
        self._workspace.start_import("csv", "done-with-errors", seconds=600)
        clock.advance(1000)
        self.sync()
        self._workspace.start_import("slack", seconds=600)
        clock.advance(400)
        self.sync()

    def expected(self, name: str, endpoint: str) -> Response:
        """Return Rocket.Chat's own response to a user."""
        headers = self._remote_headers[name]
        response = respond(self._workspace, "GET", API + endpoint, headers=headers)
        return Response.parse(response.status, response.body.decode())
