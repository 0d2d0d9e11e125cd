"""A cron command imports only what it needs: each of these takes a tenth of its start-up."""

import json

import pytest

from tests.process.processes import Project

# The modules of a process are listed inside it, after the command.
CHILD = """
import atexit, json, runpy, sys
sys.argv = sys.argv[1:]
atexit.register(lambda: sys.stderr.write(json.dumps(sorted(sys.modules))))
runpy.run_path(sys.argv[0], run_name="__main__")
"""

NEVER = {
    "rest_framework",
    "django.contrib.postgres",
    "whitenoise",
    "project.urls",
    "importmonitor.urls",
    "importmonitor.api",
}


@pytest.mark.parametrize(
    ("arguments", "polls"), [((), True), (("--help",), False)], ids=["sync", "help"]
)
@pytest.mark.thorough(one_in=2)
def test_command_imports_only_what_it_needs(
    project: Project, arguments: tuple[str, ...], polls: bool
) -> None:
    result = project.run("-c", CHILD, "manage.py", "sync_import_status", *arguments)
    assert result.returncode == 0
    imported = set(json.loads(result.stderr))
    assert "importmonitor.sync.poll" in imported
    assert imported & NEVER == set()
    assert ("requests" in imported) is polls
    assert ("importmonitor.rocketchat.client" in imported) is polls
