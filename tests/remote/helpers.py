"""A client of a workspace that a test serves, and what the workspace received."""

import json
import time
from pathlib import Path

import pytest

from importmonitor.rocketchat.client import Client
from importmonitor.rocketchat.config import WorkspaceConfig
from importmonitor.rocketchat.exceptions import Unreachable
from tests.remote.servers import http

USER_ID = "d26x6zSkaPSe5gCyy"
TOKEN = "1Dd4iN_ClKn5jl-xPC36snQ4s9Zd5GZnXCQuCNSKcVE"
OPERATION = {"_id": "7PbvsnKJD9ZAqw38C", "type": "CSV", "status": "importer_done", "valid": True}
#: The login of a proxy in front of the workspace: user and password in base64.
HEADERS = (("Authorization", "Basic c3RhZ2luZzpjb3JyZWN0IGhvcnNl"),)
PASSWORD = "correct horse"
#: How much longer than its deadline a call may take on a busy machine, in seconds.
MARGIN = 8.0
GOOD = http(json.dumps({"operation": OPERATION, "success": True}))
NO_OPERATION = http('{"success": true}')


def workspace_config(
    url: str,
    *,
    ca_bundle: Path | None = None,
    timeout: float = 30,
    deadline: float = 60,
    headers: tuple[tuple[str, str], ...] = (),
) -> WorkspaceConfig:
    return WorkspaceConfig(
        "default",
        url,
        USER_ID,
        TOKEN,
        ca_bundle=str(ca_bundle) if ca_bundle else None,
        timeout=timeout,
        deadline=deadline,
        headers=headers,
    )


def parse_head(head: str) -> tuple[str, dict[str, str]]:
    """Return a request line, and the headers by their names in lower case."""
    first, *lines = head.split("\r\n")
    pairs = (line.split(": ", 1) for line in lines)
    return first, {name.lower(): value for name, value in pairs}


def assert_deadline_holds(config: WorkspaceConfig) -> None:
    started_at = time.monotonic()
    with Client(config) as client, pytest.raises(Unreachable, match="within the deadline"):
        client.current_operation()
    assert time.monotonic() - started_at < config.deadline + MARGIN
