"""A client of a workspace that a test serves."""

import json
import time
from pathlib import Path

import pytest

from importmonitor.rocketchat.client import Client
from importmonitor.rocketchat.config import WorkspaceConfig
from importmonitor.rocketchat.exceptions import (
    Unreachable,
)
from tests.remote.servers import (
    http,
)

USER_ID = "d26x6zSkaPSe5gCyy"
TOKEN = "1Dd4iN_ClKn5jl-xPC36snQ4s9Zd5GZnXCQuCNSKcVE"
OPERATION = {"_id": "7PbvsnKJD9ZAqw38C", "type": "CSV", "status": "importer_done", "valid": True}
GOOD = http(json.dumps({"operation": OPERATION, "success": True}))
NONE = http('{"success": true}')


def workspace(
    url: str, *, ca_bundle: Path | None = None, timeout: float = 5, deadline: float = 10
) -> WorkspaceConfig:
    return WorkspaceConfig(
        "default",
        url,
        USER_ID,
        TOKEN,
        ca_bundle=str(ca_bundle) if ca_bundle else None,
        timeout=timeout,
        deadline=deadline,
    )


def asked(head: str) -> tuple[str, dict[str, str]]:
    """Return a request's first line and its headers by their names in lower case."""
    first, *lines = head.split("\r\n")
    pairs = (line.split(": ", 1) for line in lines)
    return first, {name.lower(): value for name, value in pairs}


def assert_the_deadline_holds(limits: WorkspaceConfig) -> None:
    began = time.monotonic()
    with Client(limits) as client, pytest.raises(Unreachable, match="within the deadline"):
        client.current_operation()
    assert time.monotonic() - began < limits.deadline + 1
