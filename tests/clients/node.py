"""Runs Node: Rocket.Chat's clients from npm, and the validator of its JSON schemas."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

#: The folder of the scripts, with `node_modules` in it; "" if there is none.
FOLDER = os.environ.get("NODE_CLIENTS", "")

required = pytest.mark.skipif(not FOLDER, reason="NODE_CLIENTS names no folder with node_modules")


def request(client: str, url: str, headers: dict[str, str], *endpoints: str) -> list[Any]:
    """Request endpoints with a client from npm, by its name in `request.mjs`.

    Returns what the client returned for each endpoint: `{"resolved": …}` or `{"rejected": …}`.
    """
    credentials = {"USER_ID": headers["X-User-Id"], "AUTH_TOKEN": headers["X-Auth-Token"]}
    process = _run("request.mjs", client, *endpoints, env={"BASE_URL": url} | credentials)
    assert process.returncode == 0, process.stderr
    return _lines(process.stdout)


def validate(bodies: list[tuple[str | int, Any]]) -> list[list[str]]:
    """Return the errors of each body against the schema of its kind: see `validate.mjs`."""
    lines = "".join(json.dumps({"kind": kind, "body": body}) + "\n" for kind, body in bodies)
    process = _run("validate.mjs", text=lines)
    errors: list[list[str]] = _lines(process.stdout)
    assert process.returncode == (1 if any(errors) else 0), process.stderr
    assert len(errors) == len(bodies)
    return errors


def _run(
    script: str, *arguments: str, env: dict[str, str] | None = None, text: str = ""
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["node", Path(FOLDER) / script, *arguments],
        # Nothing else: a proxy or options for Node would have an effect.
        env={"PATH": os.environ["PATH"], **(env or {})},
        input=text,
        capture_output=True,
        encoding="utf-8",
        timeout=300,
        check=False,
    )


def _lines(text: str) -> list[Any]:
    return [json.loads(line) for line in text.splitlines()]
