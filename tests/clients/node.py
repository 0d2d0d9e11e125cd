"""What runs in Node: Rocket.Chat's clients from npm, and the judge by its JSON schemas."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

#: The folder of the scripts, with `node_modules` in it; "" where there is none.
FOLDER = os.environ.get("NODE_CLIENTS", "")

needed = pytest.mark.skipif(not FOLDER, reason="NODE_CLIENTS names no folder with node_modules")


def ask(client: str, url: str, headers: dict[str, str], *endpoints: str) -> list[Any]:
    """Ask endpoints by a client from npm.

    `client` is its name in `ask.mjs`. Returns for each endpoint `{"resolved": …}` or
    `{"rejected": …}`: what the client gave its caller.
    """
    who = {"USER_ID": headers["X-User-Id"], "AUTH_TOKEN": headers["X-Auth-Token"]}
    done = _run("ask.mjs", client, *endpoints, env={"BASE_URL": url} | who)
    assert done.returncode == 0, done.stderr
    return _lines(done.stdout)


def judge(bodies: list[tuple[str | int, Any]]) -> list[list[str]]:
    """Return what is wrong with each body, given with its kind: see `judge.mjs`."""
    asked = "".join(json.dumps({"kind": kind, "body": body}) + "\n" for kind, body in bodies)
    done = _run("judge.mjs", text=asked)
    found: list[list[str]] = _lines(done.stdout)
    assert done.returncode == (1 if any(found) else 0), done.stderr
    assert len(found) == len(bodies)
    return found


def _run(
    script: str, *arguments: str, env: dict[str, str] | None = None, text: str = ""
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["node", Path(FOLDER) / script, *arguments],
        # Nothing else of ours: a proxy, or options for Node, would have a say.
        env={"PATH": os.environ["PATH"], **(env or {})},
        input=text,
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )


def _lines(text: str) -> list[Any]:
    return [json.loads(line) for line in text.splitlines()]
